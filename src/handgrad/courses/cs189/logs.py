"""neural_networks.logs: what a run leaves in experiments/<model_name>/: arguments, figures per epoch, pictures."""

import datetime
import io
import json
import os
import pickle
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .datasets import Dataset

PARTS = {"train": "train", "validate": "validation"}  # parts of the log, and what a record calls them
DRAW_EVERY = 30.0  # seconds: drawing takes longer than an epoch of a small network


class Logger:
    """Keeps figures per epoch in `log`; save=True writes them to the file "log", a pickle, plot=True draws them.

    A folder that another run has filled is left alone: the run goes to <model_name>-2 and so on, and says so. What
    was saved is also there for `handgrad runs`, `compare`, `judge` and `writeup`, once training has ended.
    """

    def __init__(
        self,
        model_name: str,
        model_args: Mapping[str, Any],
        data_args: Mapping[str, Any],
        save: bool = False,
        plot: bool = False,
        save_dir: str = "experiments/",
    ) -> None:
        self.model_name: str = model_name
        self.model_args: Mapping[str, Any] = model_args
        self.data_args: Mapping[str, Any] = data_args
        self.save: bool = save
        self.plot: bool = plot
        self.save_dir: str = f"{free_folder(Path(save_dir), model_name)}/"
        self.reset()
        self._drawn = -DRAW_EVERY
        self._started = datetime.datetime.now(datetime.timezone.utc)
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
        parts: Any = {"loss": {"train": [], "validate": []}, "error": {"train": [], "validate": []}, "params": {}}
        self.log: dict[str, Any] = parts
        self.counter: int = 0

    def draw(self) -> None:
        """loss.png, error.png and a picture per parameter; drawn by push now and then, and when training ends."""
        for name, series in self.log.items():
            if name == "params":
                for parameter, extremes in series.items():
                    self._picture(parameter, {f"{parameter}_{key}": values for key, values in extremes.items()})
            else:
                self._picture(name, {"training": series["train"], "validation": series["validate"]})
        self._drawn = time.monotonic()

    def record(self, dataset: Dataset, test: Mapping[str, Sequence[float]] | None = None) -> None:
        """Write run.json and metrics.jsonl, from which handgrad tells of runs; test is what `model.test` returned."""
        settings = self._configuration()
        score = "accuracy" if settings["loss"]["name"] == "cross_entropy" else "mse"
        pairs = {part: list(zip(self.log["loss"][part], self.log["error"][part], strict=True)) for part in PARTS}
        results = {PARTS[part]: figures(score, *values[-1]) for part, values in pairs.items() if values}
        rows = {"train": dataset.n_training, "validation": dataset.n_validation}
        if test:
            results["test"] = figures(score, *(float(np.mean(test[name])) for name in ("loss", "error")))
            rows["test"] = dataset.test.n_samples
        classes = {"class_names": [str(k) for k in range(dataset.out_dim)]} if score == "accuracy" else {}
        record = dict(status="finished", configuration=settings, seed=settings["seed"], epochs=self.counter)
        record |= dict(model={"config": settings["model"]}, data={**settings["data"], "rows": rows, **classes})
        record |= dict(results=results, command=["python", *sys.argv])
        record |= dict(versions={"python": platform.python_version(), "numpy": np.__version__})
        seconds = (datetime.datetime.now(datetime.timezone.utc) - self._started).total_seconds()
        record |= dict(started=self._started.isoformat(timespec="seconds"), seconds=seconds)
        lines = []
        for epoch, (train, validate) in enumerate(zip(*pairs.values(), strict=True), 1):
            validation = {f"validation_{name}": value for name, value in figures(score, *validate).items()}
            lines.append({"epoch": epoch, **figures(score, *train), **validation})
        write_bytes(f"{self.save_dir}metrics.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        write_bytes(f"{self.save_dir}run.json", json.dumps(record, indent=1, default=str).encode())

    def _configuration(self) -> dict[str, Any]:
        """The arguments under the names that a configuration of handgrad has."""
        about, loss = self.model_args, self.model_args.get("loss")
        given = {name: value for name, value in (about.get("optimizer_args") or {}).items() if value is not None}
        schedule = {"name": given.pop("lr_scheduler", "constant")}
        rest = {name: given.pop(name) for name in ("lr_decay", "stage_length", "staircase") if name in given}
        return {
            "name": self.model_name,
            "seed": about.get("seed"),
            "epochs": self.counter,
            "batch_size": self.data_args.get("batch_size"),
            "data": {"name": self.data_args.get("name")},
            "model": {"layers": [{"layer": layer.get("name"), **layer} for layer in about.get("layer_args", ())]},
            "loss": {"name": getattr(loss, "name", loss)},
            "optimizer": {"name": given.pop("name", None), "learning_rate": given.pop("lr", None), **given},
            "schedule": schedule if schedule["name"] == "constant" else {**schedule, **rest},
        }

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


def figures(score: str, loss: float, error: float) -> dict[str, float | None]:
    """Loss and accuracy (or the error itself) for a record, None where they are no numbers."""
    values = {"loss": float(loss), score: float(1 - error if score == "accuracy" else error)}
    return {name: round(value, 6) if np.isfinite(value) else None for name, value in values.items()}


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
