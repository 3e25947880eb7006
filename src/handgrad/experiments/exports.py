"""Runs for those who live elsewhere: TensorBoard's event files, and a callback that logs to MLflow."""

import datetime
import math
from pathlib import Path

from ..naming import require_extra
from ..reports.view import flatten
from ..training import Callback
from .run_folder import NOT_FIGURES, as_number


def export_tensorboard(run, folder):
    """Write a run's figures, learning rate and norms per epoch as event files; returns how many numbers.

    Training and validation share a chart: loss/train and loss/validation.
    """
    if Path(folder).is_file():
        raise ValueError(f"{folder} is a file; event files go into a folder: name another one")
    with require_extra("tensorboard", "export-tensorboard"):
        from tensorboardX import SummaryWriter
    time, count = started(run), 0
    with SummaryWriter(str(folder)) as writer:
        for line in run.epochs():
            time += as_number(line.get("seconds", 0))
            for tag, value in scalars(line):
                writer.add_scalar(tag, value, global_step=line["epoch"], walltime=time)
                count += 1
    return count


def started(run):
    """When the run began, in seconds since 1970; 0 where the record does not say."""
    try:
        return datetime.datetime.fromisoformat(run.record["started"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0


def scalars(line):
    """Yield (tag, number) for what a line of metrics.jsonl holds."""
    for name, value in line.items():
        if name not in NOT_FIGURES:
            yield tag_of(name), as_number(value)
    for parameter, norms in (line.get("layers") or {}).items():
        for kind, value in norms.items():
            yield f"{kind}_norm/{parameter}" if kind != "norm" else f"norm/{parameter}", as_number(value)


def tag_of(name):
    if name == "learning_rate":
        return name
    return f"{name.removeprefix('validation_')}/{'validation' if name.startswith('validation_') else 'train'}"


class MLflow(Callback):
    """Log a training to MLflow: its recipe as parameters, the figures of each epoch as metrics.

    Where to is MLflow's to say: MLFLOW_TRACKING_URI, or mlflow.set_tracking_uri. A resumed training goes on in the
    same MLflow run.
    """

    def __init__(self, experiment="handgrad"):
        self.experiment, self.run_id = experiment, None

    def on_fit_begin(self, trainer):
        self._mlflow = load_mlflow()
        self._mlflow.set_experiment(self.experiment)
        run = self._mlflow.start_run(run_id=self.run_id)
        if self.run_id is None:
            self.run_id = run.info.run_id
            settings = flatten({**trainer.recipe(), **trainer.plan})
            self._mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})

    def on_epoch_end(self, trainer):
        figures = {name: value for name, value in trainer.history.epoch(-1).items() if math.isfinite(value)}
        self._mlflow.log_metrics(figures, step=trainer.epoch)

    def on_fit_end(self, trainer):
        self._mlflow.end_run("FINISHED" if trainer.is_finished else "KILLED")

    def state(self):
        return {"run_id": self.run_id}

    def load_state(self, state):
        self.run_id = state["run_id"]


def load_mlflow():
    with require_extra("mlflow", "logging to MLflow"):
        import mlflow
    return mlflow
