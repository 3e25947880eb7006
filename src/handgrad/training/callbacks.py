"""Callbacks for a trainer: early stopping, checkpoints, a schedule of the learning rate.

`Callback`, the base class of one's own, is written in `trainer`, which calls it.
"""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from .. import files, schedules
from ..naming import check_count, check_number, check_path, check_switch, check_text
from ..schedules import LearningRateSchedule
from .history import History, lower_is_better
from .trainer import ARRAYS, ModelState, Trainer, not_measured
from .trainer import Callback as Callback


class EarlyStopping(Callback):
    """Stop when a figure has not improved for `patience` epochs; restore the parameters of its best epoch.

    Prechelt, "Early stopping, but when?", 1998.

    Parameters
    ----------
    monitor : str
        A key of the history; those that end in 'loss' or 'error' are better when they are lower.
    patience : int
        How many epochs without improvement are waited for, 1 or more.
    min_delta : float
        The least change that counts as an improvement, 0 or more.
    restore_best : bool
        Whether the parameters and running averages of the best epoch are put back when training has ended.

    Raises
    ------
    ValueError
        For numbers out of range; and in training, where `monitor` is not measured.

    Examples
    --------
    >>> data = hg.load_dataset("iris")
    >>> model = hg.Sequential([hg.Linear(3)])
    >>> trainer = hg.Trainer(model, optimizer=hg.Adam(0.1), callbacks=[hg.EarlyStopping(patience=3)])
    >>> history = trainer.fit(*data.train, validation_data=data.validation, epochs=1000)
    >>> history.num_epochs < 1000, trainer.stop_reason.startswith("validation_loss has not improved")
    (True, True)
    """

    def __init__(
        self, monitor: str = "validation_loss", patience: int = 10, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        self.monitor: str = check_text("EarlyStopping", "monitor", monitor)
        self.patience: int = check_count("EarlyStopping", "patience", patience)
        self.min_delta: float = check_number("EarlyStopping", "min_delta", min_delta, minimum=0)
        self.restore_best: bool = check_switch("EarlyStopping", "restore_best", restore_best)
        self.best_value: float | None = None
        self.best_epoch: int = 0
        self.best_state: ModelState | None = None

    @property
    def watched(self) -> str:
        return self.monitor

    def on_epoch_end(self, trainer: Trainer) -> None:
        value = latest(trainer.history, self.monitor, "EarlyStopping")
        if self._improves(value):
            self.best_value, self.best_epoch = value, trainer.epoch
            if self.restore_best:
                self.best_state = trainer.model_state()
        elif trainer.epoch - self.best_epoch >= self.patience:
            trainer.stop(f"{self.monitor} has not improved since epoch {self.best_epoch}")

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.best_state is not None and trainer.is_finished:
            trainer.load_model_state(self.best_state)

    def _improves(self, value: float) -> bool:
        if self.best_value is None or math.isnan(self.best_value):  # a first value that is NaN is none to beat
            return self.best_value is None or not math.isnan(value)
        gain = self.best_value - value if lower_is_better(self.monitor) else value - self.best_value
        return gain > self.min_delta

    def state(self) -> dict[str, Any]:
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "best_state": self.best_state}

    def load_state(self, state: Mapping[str, Any]) -> None:
        model = {"parameters": ARRAYS, "state": ARRAYS}
        form = {"best_value": files.FIGURE, "best_epoch": files.COUNT, "best_state?": model}
        files.check_form(state, form, "the memory of EarlyStopping")
        self.best_value, self.best_epoch = state["best_value"], state["best_epoch"]
        self.best_state = state.get("best_state")


class Checkpoint(Callback):
    """Write the trainer's full state to path after every `every` epochs, atomically: `Trainer.load(path)` goes on.

    Parameters
    ----------
    path : str or Path
        The file, .npz or .safetensors (which needs an extra).
    every : int
        The number of epochs from one writing to the next, 1 or more.
    monitor : str, optional
        A key of the history: write only when this figure is the best so far ("validation_accuracy", say).

    Examples
    --------
    >>> import tempfile
    >>> x = np.random.default_rng(0).normal(size=(20, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = folder + "/state.npz"
    ...     trainer = hg.Trainer(hg.Sequential([hg.Linear(2)]), callbacks=[hg.Checkpoint(path, every=2)])
    ...     _ = trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=5)
    ...     hg.Trainer.load(path, callbacks=[hg.Checkpoint(path, every=2)]).epoch
    4
    """

    runs_last = True

    def __init__(self, path: str | Path, every: int = 1, monitor: str | None = None) -> None:
        self.path: Path = check_path("Checkpoint", "path", path)
        self.every: int = check_count("Checkpoint", "every", every)
        self.monitor: str | None = None if monitor is None else check_text("Checkpoint", "monitor", monitor)

    @property
    def watched(self) -> str | None:
        return self.monitor

    def on_epoch_end(self, trainer: Trainer) -> None:
        due = trainer.epoch % self.every == 0
        if self.monitor is not None:
            latest(trainer.history, self.monitor, "Checkpoint")
            due = due and trainer.history.best(self.monitor)[0] == trainer.history.num_epochs - 1
        if due:
            trainer.save(self.path)


class Schedule(Callback):
    """Set the optimizer's learning rate from a schedule of `handgrad.schedules`, per epoch or per step.

    Parameters
    ----------
    schedule : callable or dict
        (t) -> learning rate, where t counts the completed epochs or steps from 0, or a table such as
        {'name': 'cosine', 'initial': 0.1, 'num_steps': 50}. One with a method `observe`
        (ReduceOnPlateau) is shown the figure `monitor` after each epoch.
    per : {'epoch', 'step'}
        What t counts.
    monitor : str
        A key of the history, for schedules that observe.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(20, 4))
    >>> halving = hg.Schedule(hg.schedules.Exponential(0.1, decay=0.5))
    >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(2)]), callbacks=[halving])
    >>> trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=3)["learning_rate"]
    [0.1, 0.05, 0.025]
    """

    def __init__(
        self,
        schedule: LearningRateSchedule | dict[str, Any],
        per: Literal["epoch", "step"] = "epoch",
        monitor: str = "validation_loss",
    ) -> None:
        if per not in ("epoch", "step"):
            raise ValueError(f"Schedule(per=...) is 'epoch' or 'step', got {per!r}")
        self.schedule: LearningRateSchedule = schedules.get(schedule)
        self.per: Literal["epoch", "step"] = per
        self.monitor: str = check_text("Schedule", "monitor", monitor)

    @property
    def watched(self) -> str | None:
        return self.monitor if hasattr(self.schedule, "observe") else None

    @property
    def _memory(self) -> object:
        return self.schedule

    def on_epoch_begin(self, trainer: Trainer) -> None:
        if self.per == "epoch":
            trainer.optimizer.learning_rate = self.schedule(trainer.epoch)

    def on_step_begin(self, trainer: Trainer) -> None:
        if self.per == "step":
            trainer.optimizer.learning_rate = self.schedule(trainer.num_steps)

    def steps_unseen(self, trainer: Trainer) -> int:
        return sys.maxsize

    def learning_rates(self, trainer: Trainer, count: int) -> list[float] | None:
        steps = range(trainer.num_steps, trainer.num_steps + count)
        return [self.schedule(step) for step in steps] if self.per == "step" else None

    def on_epoch_end(self, trainer: Trainer) -> None:
        if hasattr(self.schedule, "observe"):
            self.schedule.observe(latest(trainer.history, self.monitor, "Schedule"))

    def state(self) -> dict[str, Any]:
        return dict(self.schedule.state()) if hasattr(self.schedule, "state") else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if hasattr(self.schedule, "load_state"):
            self.schedule.load_state(state)


def latest(history: History, name: str, who: str) -> float:
    """The last epoch's figure of this name, or a ValueError that says how to have one."""
    if name not in history:
        raise ValueError(not_measured(who, name, list(history)))
    return history[name][-1]
