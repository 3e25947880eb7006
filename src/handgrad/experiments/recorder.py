"""What a run writes down: metrics and checkpoints while it trains, TensorBoard's event files, MLflow's log."""

import contextlib
import datetime
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..arrays import Array
from ..naming import require_extra
from ..text import flatten
from ..training import Callback, Trainer
from .configuration import Recording
from .run_folder import CHECKPOINT, FIGURES, METRICS, NOT_FIGURES, Run, as_number, open_locked, read_lines

POINTS = 200  # at which a run of few epochs is written down, so that one epoch has curves, too
MINUTE = 60  # seconds from one report of a run that trains to the next: what a kill leaves to look at
SHARE = 0.01  # of the time, at most, that goes into checkpoints when nothing says how often to write them


class Recorder(Callback):
    """metrics.jsonl, a line per epoch, and of a run of few epochs some by step; checkpoints, whole or not there."""

    runs_last = True

    def __init__(self, recording: Recording, report: Callable[[Path], object] | None = None) -> None:
        self.recording, self.report = recording, report
        self._step: StepNorms | None = None
        self._norms: dict[str, dict[str, float]] | None = None
        self._epoch_start = self._checkpoint_end = self._reported = time.perf_counter()
        self._checkpoint_cost = 0.0

    def open(self, folder: str | Path) -> None:
        """Write into this folder from now on; raises ValueError where another process trains it."""
        self.folder: Path = Path(folder)
        self._metrics = os.fdopen(open_locked(self.folder / METRICS), "ab", buffering=0)

    def close(self) -> None:
        """Let the folder go, so that others may train it."""
        self._metrics.close()

    def rewind(self, epoch: int, step: int) -> None:
        """Cut metrics.jsonl back to what was written up to this epoch and step."""
        keep = 0
        for line, end in read_lines(self.folder / METRICS):
            if line.get("epoch", 0) > epoch or ("epoch" not in line and line.get("step", 0) > step):
                break
            keep = end
        self._metrics.truncate(keep)

    def state(self) -> dict[str, Any]:
        return {"norms": self._norms}

    def load_state(self, state: Mapping[str, Any]) -> None:
        files.check_form(state, {"norms?": {str: FIGURES}}, "the memory of the recorder")
        self._norms = state.get("norms")

    # Hooks ------------------------------------------------------------------------------------------------------

    def on_fit_begin(self, trainer: Trainer) -> None:
        self._epoch_start = time.perf_counter()

    def steps_unseen(self, trainer: Trainer) -> int:
        return unseen_steps(self.recording, trainer)

    def on_step_begin(self, trainer: Trainer) -> None:
        if any((trainer.num_steps + 1) % count == 0 for count in measured_steps(self.recording, trainer) if count):
            self._step = StepNorms(trainer)

    def on_step_end(self, trainer: Trainer) -> None:
        norms, self._step = self._step.after() if self._step is not None else None, None
        per_epoch, every = measured_steps(self.recording, trainer)
        if is_multiple(trainer.num_steps, per_epoch):
            self._norms = norms
        if is_multiple(trainer.num_steps, every):
            rate = float(trainer.optimizer.learning_rate)
            sizes = {"layers": norms} if norms and not is_multiple(trainer.num_steps, per_epoch) else {}
            self._write({"step": trainer.num_steps, **trainer.figures, "learning_rate": rate, **sizes})
        if is_multiple(trainer.num_steps, self.recording.checkpoint_steps):
            self.checkpoint(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        now = time.perf_counter()
        head = {"epoch": trainer.epoch, "step": trainer.num_steps, "seconds": round(now - self._epoch_start, 6)}
        norms = {"layers": self._norms} if self._norms else {}
        self._write({**head, **trainer.history.epoch(-1), **norms})
        self._norms = None
        if self._is_due(trainer, now):
            self.checkpoint(trainer)
        self._epoch_start = time.perf_counter()

    def checkpoint(self, trainer: Trainer) -> None:
        """Write the trainer's state, remember what that cost, and now and then have the run's report written."""
        start = time.perf_counter()
        trainer.save(self.folder / CHECKPOINT)
        self._checkpoint_end = time.perf_counter()
        self._checkpoint_cost = self._checkpoint_end - start
        if self._checkpoint_end - self._reported > MINUTE:
            self.write_report()
            self._reported = time.perf_counter()

    def write_report(self) -> None:
        """Have the report written, where one is wanted; that it cannot be must not end a training."""
        with contextlib.suppress(OSError, ValueError, ImportError):
            if self.report is not None:
                self.report(self.folder)

    # ------------------------------------------------------------------------------------------------------------

    def _is_due(self, trainer: Trainer, now: float) -> bool:
        if self.recording.checkpoint_epochs:
            return is_multiple(trainer.epoch, self.recording.checkpoint_epochs)
        return not self.recording.checkpoint_steps and self._checkpoint_cost <= SHARE * (now - self._checkpoint_end)

    def _write(self, line: dict[str, Any]) -> None:
        try:
            rest = memoryview((files.to_json(line) + "\n").encode())
            while rest:
                rest = rest[self._metrics.write(rest) :]
        except OSError as problem:
            raise OSError(f"cannot write {self.folder / METRICS}: {problem.strerror}") from None


class Perplexity(Callback):
    """Of a text: how many tokens the model is in doubt between, e^loss, and the bits that tell the right one."""

    def __init__(self, tokens: str) -> None:
        self.names: tuple[str, str] = "perplexity", f"bits_per_{tokens.removesuffix('s')}"

    def of(self, loss: float) -> dict[str, float]:
        """The figures for a cross-entropy."""
        with np.errstate(over="ignore"):
            return dict(zip(self.names, (float(np.exp(loss)), loss / math.log(2)), strict=True))

    @property
    def measures(self) -> list[str]:
        return [*self.names, *(f"validation_{name}" for name in self.names)]

    def on_epoch_end(self, trainer: Trainer) -> None:
        figures = trainer.history.epoch(-1)
        for part in ("", "validation_"):
            if f"{part}loss" in figures:
                trainer.history.append({f"{part}{k}": v for k, v in self.of(figures[f"{part}loss"]).items()})


class R2(Callback):
    """Of one number that is predicted: the share of its variance on validation rows that the network explains.

    It follows from the mean squared error there and the variance of the targets.
    """

    measures = ("validation_r2",)

    def __init__(self, variance: float) -> None:
        self.variance = variance

    def on_epoch_end(self, trainer: Trainer) -> None:
        error = trainer.history.epoch(-1)["validation_loss"] - trainer.engine.penalty_now()
        trainer.history.append({"validation_r2": 1 - error / self.variance})


class StepNorms:
    """The Euclidean norms in the step that the engine does next: of parameters, of gradients, of updates."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._before = trainer, trainer.model_state()["parameters"]
        self._gradients: dict[str, float] = {}
        trainer.engine.on_gradients = self._note

    def _note(self, gradients: Mapping[str, Array]) -> None:
        self._gradients = {name: norm(array) for name, array in gradients.items()}

    def after(self) -> dict[str, dict[str, float]]:
        """{'linear1.weight': {'norm': ..., 'gradient': ..., 'update': ...}}, once the step is done."""
        self._trainer.engine.on_gradients = None
        found = dict[str, dict[str, float]]()
        for name, array in self._trainer.model_state()["parameters"].items():
            update = norm(array - self._before[name])
            found[name] = {"norm": norm(array), "gradient": self._gradients[name], "update": update}
        return found


def measured_steps(recording: Recording, trainer: Trainer) -> tuple[int, int | None]:
    """(after how many steps an epoch ends, after how many one is written down by itself).

    As `recording` says; else at POINTS steps of the run, where that has fewer than half as many epochs.
    """
    epochs, per_epoch = trainer.plan["epochs"], trainer.steps_per_epoch
    usual = max(1, epochs * per_epoch // POINTS) if 2 * epochs < POINTS else None
    return per_epoch, recording.metrics_steps or usual


def unseen_steps(recording: Recording, trainer: Trainer) -> int:
    """How many steps there are before one that is written down, or whose norms are taken: the last of an epoch."""
    every = [*measured_steps(recording, trainer), recording.checkpoint_steps]
    return min(count - 1 - trainer.num_steps % count for count in every if count)


def is_multiple(count: int, every: int | None) -> bool:
    """Whether what is done every so many times is due; never where nothing says how often."""
    return every is not None and count % every == 0


def norm(array: Array) -> float:
    """The Euclidean norm, to seven digits: these are for pictures."""
    flat = array.ravel()
    return float(f"{math.sqrt(float(np.dot(flat, flat))):.7g}")


# For those who look at runs elsewhere ---------------------------------------------------------------------------------


def export_tensorboard(run: Run, folder: str | Path) -> int:
    """Write a run's figures, learning rate and norms per epoch as event files; returns how many numbers.

    Training and validation share a chart: loss/train and loss/validation.
    """
    if Path(folder).is_file():
        raise ValueError(f"{folder} is a file; event files go into a folder: name another one")
    with require_extra("tensorboard", "export-tensorboard"):
        from tensorboardX import SummaryWriter
    clock, count = started(run), 0
    with SummaryWriter(str(folder)) as writer:
        for line in run.epochs():
            clock += as_number(line.get("seconds", 0))
            for tag, value in scalars(line):
                writer.add_scalar(tag, value, global_step=line["epoch"], walltime=clock)
                count += 1
    return count


def started(run: Run) -> float:
    """When the run began, in seconds since 1970; 0 where the record does not say."""
    try:
        return datetime.datetime.fromisoformat(run.record["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def scalars(line: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield (tag, number) for what a line of metrics.jsonl holds."""
    for name, value in line.items():
        if name not in NOT_FIGURES:
            yield tag_of(name), as_number(value)
    for parameter, norms in (line.get("layers") or {}).items():
        for kind, value in norms.items():
            yield f"{kind}_norm/{parameter}" if kind != "norm" else f"norm/{parameter}", as_number(value)


def tag_of(name: str) -> str:
    """TensorBoard's name of a figure: 'validation_loss' is 'loss/validation'."""
    if name == "learning_rate":
        return name
    return f"{name.removeprefix('validation_')}/{'validation' if name.startswith('validation_') else 'train'}"


class MLflow(Callback):
    """Log a training to MLflow: its recipe as parameters, the figures of each epoch as metrics.

    Where to is MLflow's to say: MLFLOW_TRACKING_URI, or mlflow.set_tracking_uri. A resumed training goes on in the
    same MLflow run.
    """

    def __init__(self, experiment: str = "handgrad") -> None:
        self.experiment = experiment
        self.run_id: str | None = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        with require_extra("mlflow", "logging to MLflow"):
            import mlflow
        self._mlflow = mlflow
        mlflow.set_experiment(self.experiment)
        run = mlflow.start_run(run_id=self.run_id)
        if self.run_id is None:
            self.run_id = run.info.run_id
            settings = flatten({**trainer.recipe(), **trainer.plan})
            mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})

    def on_epoch_end(self, trainer: Trainer) -> None:
        figures = {name: value for name, value in trainer.history.epoch(-1).items() if math.isfinite(value)}
        self._mlflow.log_metrics(figures, step=trainer.epoch)

    def on_fit_end(self, trainer: Trainer) -> None:
        self._mlflow.end_run("FINISHED" if trainer.is_finished else "KILLED")

    def state(self) -> dict[str, Any]:
        return {"run_id": self.run_id}

    def load_state(self, state: Mapping[str, Any]) -> None:
        files.check_form(state, {"run_id?": str}, "the memory of MLflow")
        self.run_id = state.get("run_id")
