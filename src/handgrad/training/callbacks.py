"""Callbacks: what happens between steps and epochs."""

from pathlib import Path

from ..naming import constructor_names
from .history import lower_is_better


class Callback:
    """Hooks that a trainer calls with itself as argument; override those you want.

    state() and load_state() make a callback's memory part of a checkpoint, so that a resumed run is the same run.
    """

    runs_last = False  # True: called after the other callbacks, to see (and save) what they have done

    def on_fit_begin(self, trainer):
        """Before the first epoch of a `fit` or `resume`."""

    def on_epoch_begin(self, trainer):
        """Before an epoch's first batch; trainer.epoch counts the completed ones."""

    def on_step_begin(self, trainer):
        """Before each step; trainer.num_steps counts the completed ones."""

    def on_step_end(self, trainer):
        """After each step; trainer.figures holds its loss."""

    def on_epoch_end(self, trainer):
        """After validation; trainer.history ends with this epoch."""

    def on_fit_end(self, trainer):
        """After the last epoch, also when training was stopped or interrupted."""

    def state(self):
        return {}

    def load_state(self, state):
        pass

    def __repr__(self):
        known = [name for name in constructor_names(type(self)) if hasattr(self, name)]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in known)})"


class EarlyStopping(Callback):
    """Stop when a figure has not improved for `patience` epochs; restore the parameters of its best epoch.

    monitor: a history key, by default the user's own validation loss. min_delta: the least change that counts.
    Prechelt, "Early stopping, but when?", 1998.
    """

    def __init__(self, monitor="validation_loss", patience=10, min_delta=0.0, restore_best=True):
        if patience < 1 or min_delta < 0:
            raise ValueError(f"EarlyStopping needs patience >= 1 and min_delta >= 0, got {patience} and {min_delta}")
        self.monitor, self.patience, self.min_delta, self.restore_best = monitor, patience, min_delta, restore_best
        self.best_value, self.best_epoch, self.best_state = None, 0, None

    def on_epoch_end(self, trainer):
        value = latest(trainer.history, self.monitor, "EarlyStopping")
        if self._improves(value):
            self.best_value, self.best_epoch = value, trainer.epoch
            if self.restore_best:
                self.best_state = trainer.model_state()
        elif trainer.epoch - self.best_epoch >= self.patience:
            trainer.stop(f"{self.monitor} has not improved since epoch {self.best_epoch}")

    def on_fit_end(self, trainer):
        if self.best_state is not None and trainer.is_finished:
            trainer.load_model_state(self.best_state)

    def _improves(self, value):
        if self.best_value is None:
            return True
        gain = self.best_value - value if lower_is_better(self.monitor) else value - self.best_value
        return gain > self.min_delta

    def state(self):
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "best_state": self.best_state}

    def load_state(self, state):
        self.best_value, self.best_epoch, self.best_state = (
            state[k] for k in ("best_value", "best_epoch", "best_state")
        )


class Checkpoint(Callback):
    """Write the trainer's full state to path after every `every` epochs, atomically: `Trainer.load(path)` goes on.

    monitor: write only when this figure is the best so far ("validation_accuracy", say).
    """

    runs_last = True

    def __init__(self, path, every=1, monitor=None):
        if every < 1:
            raise ValueError(f"Checkpoint(every=...) counts epochs, 1 or more; got {every}")
        self.path, self.every, self.monitor = Path(path), every, monitor

    def on_epoch_end(self, trainer):
        due = trainer.epoch % self.every == 0
        if self.monitor is not None:
            latest(trainer.history, self.monitor, "Checkpoint")
            due = due and trainer.history.best(self.monitor)[0] == trainer.history.num_epochs - 1
        if due:
            trainer.save(self.path)


class Schedule(Callback):
    """Set the optimizer's learning rate from a schedule of `handgrad.schedules`, per epoch or per step.

    A schedule with `observe` (reduce on plateau) is shown `monitor` after each epoch.
    """

    def __init__(self, schedule, per="epoch", monitor="validation_loss"):
        if per not in ("epoch", "step"):
            raise ValueError(f"Schedule(per=...) is 'epoch' or 'step', got {per!r}")
        self.schedule, self.per, self.monitor = schedule, per, monitor

    def on_epoch_begin(self, trainer):
        if self.per == "epoch":
            trainer.optimizer.learning_rate = float(self.schedule(trainer.epoch))

    def on_step_begin(self, trainer):
        if self.per == "step":
            trainer.optimizer.learning_rate = float(self.schedule(trainer.num_steps))

    def on_epoch_end(self, trainer):
        if hasattr(self.schedule, "observe"):
            self.schedule.observe(latest(trainer.history, self.monitor, "Schedule"))

    def state(self):
        return self.schedule.state() if hasattr(self.schedule, "state") else {}

    def load_state(self, state):
        if hasattr(self.schedule, "load_state"):
            self.schedule.load_state(state)


def latest(history, name, who):
    """The last epoch's figure of this name, or a ValueError that says how to have one."""
    if name not in history:
        advice = " (pass validation_data to fit)" if name.startswith("validation") else ""
        raise ValueError(
            f"{who} watches '{name}', which this training does not measure{advice}; it measures: {', '.join(history)}"
        )
    return history[name][-1]
