"""Runs from start to end: train, resume, and what is written when a run ends, however it ends."""

import contextlib
import datetime
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import files
from ..datasets import Dataset
from ..layers.containers import describe
from ..metrics import r2_score
from ..reports import save_curves
from ..training import Callback, Trainer
from . import provenance
from .assembly import build_trainer, load_data
from .recorder import Recorder
from .rehearsal import rehearse
from .run_folder import CHECKPOINT, FORMAT, MODEL, RECORD, Run, create_folder, harmless
from .schema import Configuration

SPLITS = ("train", "validation", "test")


class RunFailed(Exception):
    """Training ended early by no fault of the input: a loss that is no number, a full disk. run.json says which."""


class Job(NamedTuple):
    """A run about to be trained."""

    configuration: Configuration
    data: Dataset
    trainer: Trainer
    recorder: Recorder


def train(configuration, out="experiments", progress=None, command=None, folder=None):
    """Train as configured in a new folder out/name/<time>, or in `folder`; returns the Run, finished or interrupted.

    Bad input raises a ValueError or TypeError before anything is written; what fails later raises RunFailed.
    Of the processes that torchrun starts only the first writes, and returns a Run.
    """
    if is_follower(configuration):
        return follow(prepare(configuration, follower))
    job = prepare(configuration)
    record = first_record(job, command)
    job.recorder.open(create_folder(out, configuration.name, record, folder))
    return conduct(job, record, progress)


def resume(path, progress=None):
    """Finish the run in a folder, to the bits it would have reached; from the beginning where it has no checkpoint.

    The data must be the same (by fingerprint). A finished run is returned as it is.
    """
    run = Run(path)
    if run.record["status"] == "finished":
        return run
    with harmless(run.path / RECORD):
        follows = is_follower(run.configuration)
        job = prepare(run.configuration, follower if follows else Recorder)
    check_same_data(run, job.data)
    if follows:
        load_checkpoint(job, run)
        return follow(job)
    job.recorder.open(run.path)
    with contextlib.closing(job.recorder):
        load_checkpoint(job, run)
        job.recorder.rewind(job.trainer.epoch, job.trainer.num_steps)
        record = {
            **run.record,
            "status": "running",
            "error": None,
            "resumed": [*(run.record.get("resumed") or []), {"time": now(), "epoch": job.trainer.epoch}],
        }
        remove_leftovers(run.path)
        files.write_json(run.path / RECORD, record)
        return conduct(job, record, progress)


def load_checkpoint(job, run):
    """Put the trainer where the run's checkpoint is, if there is one."""
    if not run.has_checkpoint:
        return
    try:
        state = run.checkpoint()
    except ValueError as problem:
        raise ValueError(f"{problem}; delete that file, and resume starts the run from its beginning") from None
    with harmless(run.path / CHECKPOINT):
        job.trainer.load_state(state)


def prepare(configuration, make_recorder=Recorder):
    """Everything built and checked, nothing written."""
    if Path(configuration.data.name).suffix and Path(configuration.data.name).is_file():
        absolute = str(Path(configuration.data.name).resolve())
        configuration = configuration.model_copy(
            update={"data": configuration.data.model_copy(update={"name": absolute})}
        )
    data = load_data(configuration)
    recorder = make_recorder(configuration.recording)
    trainer = build_trainer(configuration, data, [recorder])
    rehearse(trainer, configuration, data)
    return Job(configuration, data, trainer, recorder)


def is_follower(configuration):
    """Whether torchrun started this process to train beside another one, which does the writing."""
    return configuration.engine["name"] == "torch" and int(os.environ.get("RANK", 0)) > 0


def follower(recording):
    """What stands in the recorder's place where another process records."""
    return Callback()


def follow(job):
    """Train along and write nothing; returns None."""
    fit(job, progress=False)
    if not job.trainer.was_interrupted:  # as in write_end: all processes measure, or none
        measure(job.trainer, job.data)


def conduct(job, record, progress):
    """Train to the end and write down how it ended."""
    folder, start, earlier = job.recorder.folder, time.perf_counter(), record.get("seconds") or 0.0

    def write_record(ending):
        record.update(ending, seconds=round(earlier + time.perf_counter() - start, 3), ended=now())
        files.write_json(folder / RECORD, record)

    job.trainer.resume_hint = f"handgrad resume {folder}"
    try:
        fit(job, progress)
        write_record(write_end(job, folder))
    except KeyboardInterrupt:
        write_record({"status": "interrupted"})
        raise
    except Exception as problem:
        with contextlib.suppress(OSError):  # a disk that is full has no room for this either: the run counts as killed
            write_record({"status": "failed", "error": f"{type(problem).__name__}: {problem}"})
        if isinstance(problem, FloatingPointError):
            raise RunFailed(f"{folder}: {problem}") from None
        if isinstance(problem, (OSError, MemoryError)):
            raise RunFailed(f"{problem or 'out of memory'}{advice(folder)}") from None
        raise
    finally:
        job.recorder.close()
    return Run(folder)


def fit(job, progress):
    """Fit from the beginning, or go on where a checkpoint was loaded."""
    trainer, data, configuration = job.trainer, job.data, job.configuration
    options = {"validation_data": data.validation, "progress": progress}
    # A training that diverges ends with a message of its own; NumPy's warnings on the way there say less.
    with np.errstate(over="ignore", invalid="ignore"):
        if trainer.plan is None:
            trainer.fit(
                *data.train,
                epochs=configuration.epochs,
                batch_size=configuration.batch_size,
                shuffle=configuration.shuffle,
                exact=configuration.exact,
                **options,
            )
        else:
            trainer.resume(*data.train, **options)


def write_end(job, folder):
    """Checkpoint and model, and of a finished run curves and results; returns what the record says of the end."""
    trainer = job.trainer
    job.recorder.checkpoint(trainer)
    trainer.model.save(folder / MODEL)
    ended = {"epochs": trainer.epoch, "steps": trainer.num_steps, "stop_reason": trainer.stop_reason}
    if trainer.was_interrupted:
        return {**ended, "status": "interrupted"}
    if trainer.history:
        save_curves(trainer.history, folder / "curves.png", title=f"{job.configuration.name}  {folder.name}")
    return {**ended, "status": "finished", "results": measure(trainer, job.data)}


def measure(trainer, data):
    """{'train': {'loss': ..., 'accuracy': ...}, ...} of the model as it is, over all rows of each split."""
    results = {}
    for name in SPLITS:
        split = getattr(data, name)
        if split is not None:
            results[name] = trainer.evaluate(*split)
            if data.task == "regression":
                results[name]["r2"] = r2_score(trainer.engine.predict(split.x), split.y)
    return results


def first_record(job, command):
    """What run.json says before training."""
    data, trainer = job.data, job.trainer
    return {
        "format": FORMAT,
        "status": "running",
        "started": now(),
        "command": list(command or []),
        "configuration": job.configuration.as_table(),
        "seed": job.configuration.seed,
        "model": {**describe(trainer.model), "num_parameters": trainer.model.num_parameters},
        "data": describe_data(data),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "threads": provenance.threads(),
        "git": provenance.git_state(),
        "folder": str(Path.cwd()),
    }


def describe_data(data):
    """What a prediction or a report has to know of the data, without the data."""
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "task": data.task,
        "rows": rows_of(data),
        "input_shape": list(data.train.x.shape[1:]),
        "dtype": data.train.x.dtype.name,
        "class_names": list(data.class_names),
        "feature_names": list(data.feature_names),
        "target_name": data.target_name,
        "standardization": data.standardization.as_dict() if data.standardization is not None else None,
        "source": data.source,
        "licence": data.licence,
    }


def rows_of(data):
    """{'train': 96, 'validation': 24, 'test': 30}: the splits there are, and how long they are."""
    return {name: len(getattr(data, name).y) for name in SPLITS if getattr(data, name) is not None}


def check_same_data(run, data):
    trained_on = run.record["data"].get("fingerprint")
    if trained_on != data.fingerprint:
        raise ValueError(
            f"the data of {data.source} have changed since {run.path} was started "
            f"(fingerprint {data.fingerprint[:12]}, was {str(trained_on)[:12]}): put the old data back, "
            "or train anew"
        )


def remove_leftovers(folder):
    """Delete the temporary files of writes that a kill cut off, and results of an earlier ending."""
    for path in [*folder.glob(".*.json"), *folder.glob(".*.safetensors"), *folder.glob(".*.png"), folder / MODEL]:
        path.unlink(missing_ok=True)


def advice(folder):
    if (folder / CHECKPOINT).is_file():
        return f"; the last good checkpoint is kept in {folder}: handgrad resume {folder}"
    return f"; {folder} has no checkpoint yet"


def now():
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
