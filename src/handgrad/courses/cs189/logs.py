"""neural_networks.logs: what a run leaves in experiments/<model_name>/: arguments, figures per epoch, pictures."""

import io
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DRAW_EVERY = 30.0  # seconds: drawing takes longer than an epoch of a small network


class Logger:
    """Keeps figures per epoch in `log`; save=True writes them to the file "log", a pickle, plot=True draws them.

    A folder that another run has filled is left alone: the run goes to <model_name>-2 and so on, and says so.
    """

    model_name: str
    model_args: Mapping[str, Any]
    data_args: Mapping[str, Any]
    save: bool
    plot: bool
    save_dir: str
    log: dict[str, Any]
    counter: int

    def __init__(
        self,
        model_name: str,
        model_args: Mapping[str, Any],
        data_args: Mapping[str, Any],
        save: bool = False,
        plot: bool = False,
        save_dir: str = "experiments/",
    ) -> None:
        self.model_name, self.model_args, self.data_args = model_name, model_args, data_args
        self.save, self.plot = save, plot
        self.save_dir = f"{free_folder(Path(save_dir), model_name)}/"
        self.reset()
        self._drawn = -DRAW_EVERY
        self._write("model_args", model_args)
        self._write("data_args", data_args)

    def push(self, log: Mapping[str, Any]) -> None:
        """Append an epoch's {"loss": {"train": ., "validate": .}, "error": {...}, "params": {"W0": {"max": ...}}}."""
        self.counter += 1
        append(self.log, log)
        if self.save:
            self._write("log", self.log)
        if self.plot and time.monotonic() - self._drawn > DRAW_EVERY:
            self.draw()

    def reset(self) -> None:
        """Forget all figures."""
        self.log = {
            "loss": {"train": [], "validate": []},
            "error": {"train": [], "validate": []},
            "params": {},
        }
        self.counter = 0

    def draw(self) -> None:
        """loss.png, error.png and a picture per parameter; drawn by push now and then, and when training ends."""
        for name, series in self.log.items():
            if name == "params":
                for parameter, extremes in series.items():
                    labels = {f"{parameter}_{key}": values for key, values in extremes.items()}
                    self._picture(parameter, labels)
            else:
                self._picture(name, {"training": series["train"], "validation": series["validate"]})
        self._drawn = time.monotonic()

    def _picture(self, name: str, lines: Mapping[str, Sequence[float]]) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 5), layout="constrained")
        axes = figure.subplots()
        for label, values in lines.items():
            axes.plot(values, label=label)
        axes.set(xlabel="epochs", ylabel=name, title=self.model_name)
        axes.legend()
        picture = io.BytesIO()
        figure.savefig(picture, dpi=100)
        write_bytes(f"{self.save_dir}{name}.png", picture.getvalue())

    def _write(self, name: str, content: object) -> None:
        write_bytes(self.save_dir + name, pickle.dumps(content))


def write_bytes(path: str, content: bytes) -> None:
    """Write a file that is whole or not there, however the program ends."""
    Path(f"{path}.new").write_bytes(content)
    os.replace(f"{path}.new", path)


def free_folder(save_dir: Path, model_name: str) -> Path:
    """The folder of this name, made; where a run was logged in it, the next free <name>-2, <name>-3, ..."""
    folder, number = save_dir / model_name, 1
    while (folder / "log").exists():
        number += 1
        folder = save_dir / f"{model_name}-{number}"
    if number > 1:
        print(f"{save_dir / model_name} holds a run already: this one goes to {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def append(log: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Append each number of nested dictionaries to the list at the same place in log."""
    for name, value in new.items():
        if isinstance(value, dict):
            append(log.setdefault(name, {}), value)
        else:
            log.setdefault(name, []).append(value)
