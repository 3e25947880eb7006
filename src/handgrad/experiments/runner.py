"""Runs from start to end: configure, train, resume, and what is written when a run ends, however it ends."""

import contextlib
import datetime
import importlib.metadata
import json
import math
import os
import platform
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import files
from ..arrays import Array
from ..datasets import Dataset, is_text
from ..datasets.folders import is_folder
from ..kernels import num_threads, route
from ..layers import Conv2D, Sequential, load_model
from ..layers.base import leaves
from ..layers.description import describe
from ..metrics import r2_score
from ..reports import save_curves
from ..training import Callback, EarlyStopping, Trainer
from .assembly import build_trainer, load_data, rehearse
from .configuration import Configuration, check_configuration, dump_toml, is_data, load_configuration, path_of
from .recorder import Perplexity, Recorder
from .run_folder import CHECKPOINT, FORMAT, MODEL, RECORD, Run, create_folder

PACKAGES = ("handgrad", "numpy", "safetensors", "torch")
THREADS = ("HANDGRAD_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")
# Ctrl-C; what a scheduler or a container sends before it kills; a terminal that is closed
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
SPLITS = ("train", "validation", "test")
MOST_OUTPUTS = 2**26  # numbers that a model puts out in one measurement


class RunFailed(Exception):
    """Training ended early by no fault of the input: a loss that is no number, a full disk. run.json says which."""


class Job(NamedTuple):
    """A run about to be trained."""

    configuration: Configuration
    data: Dataset
    trainer: Trainer


# What a user names, as a configuration --------------------------------------------------------------------------------


def configure(source: str | Path, target: str | int | None = None, overrides: Sequence[str] = ()) -> Configuration:
    """The configuration for what a user names: a ready example, a file of theirs, or a table to learn from.

    Parameters
    ----------
    source : str or path
        "iris", "mine.toml", or a .csv, .tsv or .npz file or a folder of arrays, which gets a network of one hidden
        layer, as does a data set without a ready configuration, such as "mnist"; a .txt file gets "transformer-text".
    target : str or int, optional
        The column of a table to be predicted, by name or by number from 1; the last one by default.
    overrides : sequence of str
        'key.path=value' each, see `load_configuration`.

    Returns
    -------
    Configuration

    Raises
    ------
    ValueError
        For a file that cannot be read, and naming the key that is wrong.

    Examples
    --------
    >>> configure("iris", overrides=["epochs=5"]).epochs
    5
    """
    if is_text(source, None, None):
        return load_configuration("transformer-text", [f"data.name={json.dumps(str(source))}", *overrides])
    if is_data(source):
        return check_configuration(for_data(source, target, overrides), source, overrides)
    chosen = [] if target is None else [f"data.target={json.dumps(target)}"]
    return load_configuration(source, [*overrides, *chosen])


def configuration_text(source: str | Path, target: str | int | None = None, overrides: Sequence[str] = ()) -> str:
    """The configuration of a name, a TOML file, a table or a run, as TOML: as written where nothing changes it.

    Parameters
    ----------
    source : str or path
        What `configure` takes, or a run's folder.
    target, overrides
        As for `configure`; a run's configuration is shown as it was.

    Returns
    -------
    str
        What a .toml file of one's own may begin with.

    Examples
    --------
    >>> print(configuration_text("iris").splitlines()[0])
    # Three species of iris told apart by four lengths: 150 flowers, a second of training.
    """
    if is_run(source):
        return dump_toml(Run(source).configuration.as_table())
    configuration = configure(source, target, overrides)
    if not overrides and not is_data(source):
        return path_of(source).read_text(encoding="utf-8")
    return dump_toml(configuration.as_table())


def for_data(source: str | Path, target: str | int | None, overrides: Sequence[str]) -> dict[str, Any]:
    """A network of one hidden layer for a file of examples or a data set, its loss by what the target is."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", Path(source).name.split(".")[0]).lstrip("._-")[:100] or "table"
    table: dict[str, Any] = {
        "name": name,
        "epochs": 100,
        "batch_size": 32,
        "data": {"name": str(source)} if target is None else {"name": str(source), "target": target},
        "model": {"layers": [{"layer": "Linear", "units": 64}, "ReLU", {"layer": "Linear", "units": "classes"}]},
        "loss": {"name": "cross-entropy"},
        "optimizer": {"name": "adam", "learning_rate": 0.003},
        "callbacks": [{"name": "early-stopping", "patience": 20}],
    }
    of_data = [override for override in overrides if override.startswith(("data.", "dtype="))]
    of_data.append("data.standardize=false")  # what the data are is all that is asked here
    found = load_data(check_configuration(table, source, of_data))
    if found.task == "regression":
        table["loss"], table["model"]["layers"][-1]["units"] = {"name": "mean-squared-error"}, 1
    if found.train.x.ndim > 2:
        table["model"]["layers"].insert(0, "Flatten")
    if found.validation is None:
        table["callbacks"] = []
    return table


def how_trained(source: str | Path) -> str:
    """Whether the model of a name, a TOML file, a table or a run is trained many steps in a compiled call, and why not.

    Of a model's file it is told for batches of 32, a cross-entropy and SGD, since those are not in it.

    Examples
    --------
    >>> print(how_trained("lenet"))
    step by step: conv2d1 (Conv2D) is not compiled
    """
    if is_model(source):
        return Trainer(load_model(source)).engine.how(32)
    configuration = Run(source).configuration if is_run(source) else configure(source)
    trainer = build_trainer(configuration, load_data(configuration))
    return trainer.engine.how(configuration.batch_size)


def network_of(source: str | Path, overrides: Sequence[str] = ()) -> Sequential:
    """The built model of a name, a TOML file, a table; or of a run or a file, as it was trained."""
    if is_run(source):
        if overrides:
            raise ValueError(f"{source} is a run, whose network is what it was: leave {overrides[0]} out")
        return Run(source).model()
    if is_model(source):
        return load_model(source)
    configuration = configure(source, overrides=overrides)
    return build_trainer(configuration, load_data(configuration)).model


def is_model(source: str | Path) -> bool:
    return Path(source).suffix in files.FORMATS and Path(source).is_file()


def is_run(source: str | Path) -> bool:
    return (Path(source) / RECORD).is_file()


# Trained --------------------------------------------------------------------------------------------------------------


def train(
    configuration: Configuration,
    out: str | Path = "experiments",
    progress: bool | None = None,
    command: Sequence[str] | None = None,
    folder: str | Path | None = None,
    tell: Callable[[str], object] | None = None,
    report: Callable[[Path], object] | None = None,
) -> Run:
    """Train as configured, in a folder that says all about it.

    Of the processes that torchrun starts only the first writes and returns; the others end when the training does.

    Parameters
    ----------
    configuration : Configuration
        Of `load_configuration`, `check_configuration` or `configure`.
    out : str or path
        Where the folder is made: out/name/time.
    progress : bool, optional
        Whether to show a bar; by default where somebody watches a terminal or a notebook.
    command : sequence of str, optional
        What to write down as the command that started it.
    folder : str or path, optional
        The folder itself, in place of `out`. It must not be there yet.
    tell : callable, optional
        Called before training with each of the data's notes, a sentence: `print`, say.
    report : callable, optional
        Called with the run's folder once a minute, at checkpoints, and where training is interrupted or fails.

    Returns
    -------
    Run
        Finished, or interrupted by Ctrl-C: `resume` goes on with it.

    Raises
    ------
    ValueError, TypeError
        For bad input, before anything is written.
    RunFailed
        For what fails later: a loss that is no number, a full disk.

    Examples
    --------
    >>> run = train(load_configuration("iris", ["epochs=5"]), progress=False)
    >>> run.status, sorted(run.results)
    ('finished', ['test', 'train', 'validation'])
    """
    if is_follower(configuration):
        follow(prepare(configuration))
    recorder = Recorder(configuration.recording, report)
    job = prepare(configuration, recorder)
    if tell is not None:
        for note in job.data.notes:
            tell(note)
    record = first_record(job, command or ())
    path = Path(out) / configuration.name / datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    recorder.open(create_folder(Path(folder or path), RECORD, record, numbered=folder is None))
    return conduct(job, recorder, record, progress)


def resume(path: str | Path, progress: bool | None = None, report: Callable[[Path], object] | None = None) -> Run:
    """Finish a run that was interrupted or killed, to the very bits that it would have reached.

    Parameters
    ----------
    path : str or path
        The run's folder. Training goes on from its checkpoint, and begins anew where it has none.
    progress, report
        As for `train`.

    Returns
    -------
    Run
        A finished run is returned as it is.

    Raises
    ------
    ValueError
        For a folder that is no run, a damaged one, or data that have changed since (by fingerprint).
    RunFailed
        As for `train`.

    Examples
    --------
    >>> run = train(load_configuration("iris", ["epochs=5"]), progress=False)
    >>> resume(run.path).status
    'finished'
    """
    run = Run(path)
    if run.record["status"] == "finished":
        return run
    with files.reading(run.path / RECORD):
        recorder = Recorder(run.configuration.recording, report)
        follows = is_follower(run.configuration)
        job = prepare(run.configuration, None if follows else recorder)
    check_same_data(run, job.data)
    check_same_kernels(run, job.trainer)
    if follows:
        load_checkpoint(job, run)
        follow(job)
    recorder.open(run.path)
    with contextlib.closing(recorder):
        load_checkpoint(job, run)
        recorder.rewind(job.trainer.epoch, job.trainer.num_steps)
        resumed = [*(run.record.get("resumed") or []), {"time": now(), "epoch": job.trainer.epoch}]
        record = {**run.record, "status": "running", "error": None, "resumed": resumed}
        remove_leftovers(run.path)
        files.write_json(run.path / RECORD, record)
        return conduct(job, recorder, record, progress)


def load_checkpoint(job: Job, run: Run) -> None:
    """Put the trainer where the run's checkpoint is, if there is one."""
    if not run.has_checkpoint:
        return
    try:
        state = run.checkpoint()
    except ValueError as problem:
        raise ValueError(f"{problem}; delete that file, and resume starts the run from its beginning") from None
    with files.reading(run.path / CHECKPOINT):
        job.trainer.load_state(state)


def prepare(configuration: Configuration, observer: Callback | None = None) -> Job:
    """Everything built and checked, nothing written; observer: a last callback, such as a Recorder.

    Without one a callback that does nothing stands in its place, so that a checkpoint fits either.
    """
    path = Path(configuration.data.name)
    if ((path.suffix or configuration.data.tokens) and path.is_file()) or is_folder(path):
        table = configuration.data.model_copy(update={"name": str(path.resolve())})
        configuration = configuration.model_copy(update={"data": table})
    data = load_data(configuration)
    trainer = build_trainer(configuration, data, [observer or Callback()])
    rehearse(trainer, configuration, data)
    return Job(configuration, data, trainer)


def is_follower(configuration: Configuration) -> bool:
    """Whether torchrun started this process to train beside another one, which does the writing."""
    return configuration.engine["name"] == "torch" and int(os.environ.get("RANK", 0)) > 0


def follow(job: Job) -> NoReturn:
    """Train along, write nothing, and end this process: the run is another one's to go on with."""
    fit(job, progress=False)
    if not job.trainer.was_interrupted:  # as in write_end: all processes measure, or none
        measure(job.trainer, job.data)
    raise SystemExit(0)


def conduct(job: Job, recorder: Recorder, record: dict[str, Any], progress: bool | None) -> Run:
    """Train to the end and write down how it ended."""
    folder, start, earlier = recorder.folder, time.perf_counter(), record.get("seconds") or 0.0

    def write_record(ending: dict[str, Any]) -> None:
        record.update(ending, seconds=round(earlier + time.perf_counter() - start, 3), ended=now())
        files.write_json(folder / RECORD, record)

    job.trainer.resume_hint = f"handgrad resume {folder}"
    try:
        fit(job, progress)
        write_record(write_end(job, recorder))
    except KeyboardInterrupt:
        write_record({"status": "interrupted"})
        raise
    except Exception as problem:
        with contextlib.suppress(OSError):  # a disk that is full has no room for this either: the run counts as killed
            write_record({"status": "failed", "error": f"{type(problem).__name__}: {problem}"})
        if isinstance(problem, FloatingPointError):
            raise RunFailed(f"{folder}: {problem}") from None
        if isinstance(problem, (OSError, MemoryError)):
            raise RunFailed(f"{str(problem) or 'out of memory'}{advice(folder)}") from None
        raise
    finally:
        recorder.close()
        if record["status"] != "finished":
            recorder.write_report()
    return Run(folder)


def fit(job: Job, progress: bool | None) -> None:
    """Fit from the beginning, or go on where a checkpoint was loaded."""
    configuration, data, trainer = job
    trainer.interrupts = INTERRUPTS
    # A training that diverges ends with a message of its own; NumPy's warnings on the way there say less.
    with np.errstate(over="ignore", invalid="ignore"):
        if not trainer.has_plan:
            how = configuration.model_dump(include={"epochs", "batch_size", "shuffle", "exact"})
            trainer.fit(*data.train, data.validation, **how, progress=progress)
        else:
            trainer.resume(*data.train, data.validation, progress=progress)


def write_end(job: Job, recorder: Recorder) -> dict[str, Any]:
    """Checkpoint and model, and of a finished run curves and results; returns what the record says of the end."""
    trainer, folder = job.trainer, recorder.folder
    recorder.checkpoint(trainer)
    trainer.model.save(folder / MODEL)
    stoppers = [c for c in trainer.callbacks if isinstance(c, EarlyStopping) and c.best_state is not None]
    ended: dict[str, Any] = {
        "epochs": trainer.epoch,
        "steps": trainer.num_steps,
        "stop_reason": trainer.stop_reason,
        "restored_epoch": stoppers[-1].best_epoch if stoppers and trainer.is_finished else None,
    }
    if trainer.was_interrupted:
        return {**ended, "status": "interrupted"}
    if trainer.history:
        title = f"{job.configuration.name}  {folder.name}"
        save_curves(trainer.history, folder / "curves.png", title, ended["restored_epoch"])
    results = measure(trainer, job.data)
    for split, figures in results.items():
        if not math.isfinite(figures["loss"]):
            raise FloatingPointError(f"the {split} loss is {figures['loss']} in the end: lower the learning_rate")
    return {**ended, "status": "finished", "results": results}


def measure(trainer: Trainer, data: Dataset) -> dict[str, dict[str, float]]:
    """{'train': {'loss': ..., 'accuracy': ...}, ...} of the model as it is, over all rows of each split."""
    results = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name in rows_of(data):
            x, y = getattr(data, name)
            results[name] = evaluate(trainer, x, y)
            for callback in trainer.callbacks:
                results[name] |= callback.of(results[name]["loss"]) if isinstance(callback, Perplexity) else {}
            if data.task == "regression":
                results[name]["r2"] = r2_score(trainer.engine.predict(x), y)
    return results


def evaluate(trainer: Trainer, x: Any, y: Array) -> dict[str, float]:
    """The figures over all rows, of as many at a time as have outputs of some 256 MB: of texts these are many."""
    most = max(1, MOST_OUTPUTS // math.prod(trainer.model.output_shape))
    if len(y) <= most:
        return trainer.evaluate(x, y)
    parts = [slice(start, start + most) for start in range(0, len(y), most)]
    measured = [trainer.evaluate(x[part], y[part]) for part in parts]
    weights = [len(y[part]) / len(y) for part in parts]
    return {name: float(np.dot(weights, [figures[name] for figures in measured])) for name in measured[0]}


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of writes that a kill cut off, and results of an earlier ending."""
    for path in [*folder.glob(".*.json"), *folder.glob(".*.safetensors"), *folder.glob(".*.png"), folder / MODEL]:
        path.unlink(missing_ok=True)


def advice(folder: Path) -> str:
    """How to go on with a run that failed."""
    if (folder / CHECKPOINT).is_file():
        return f"; the last good checkpoint is kept in {folder}: handgrad resume {folder}"
    return f"; {folder} has no checkpoint yet"


# Recorded: where a run comes from -------------------------------------------------------------------------------------


def first_record(job: Job, command: Sequence[str]) -> dict[str, Any]:
    """What run.json says before training."""
    model = job.trainer.model
    return {
        "format": FORMAT,
        "status": "running",
        "started": now(),
        "command": list(command),
        "configuration": job.configuration.as_table(),
        "seed": job.configuration.seed,
        "model": {**describe(model), "num_parameters": model.num_parameters},
        "data": describe_data(job.data),
        **{"versions": versions(), "machine": machine(), "threads": threads()},
        **{"kernels": kernels_of(job.trainer), "git": git_state(), "folder": str(Path.cwd())},
    }


def describe_data(data: Dataset) -> dict[str, Any]:
    """What a prediction or a report has to know of the data, without the data."""
    x = data.train.x
    return {
        **{name: getattr(data, name) for name in ("name", "fingerprint", "task")},
        **{"rows": rows_of(data), "input_shape": list(x.shape[1:]), "dtype": x.dtype.name},
        **{name: list(getattr(data, name)) for name in ("class_names", "feature_names", "notes")},
        "standardization": data.standardization.as_dict() if data.standardization is not None else None,
        "schema": data.schema.as_dict() if data.schema is not None else None,
        **{name: getattr(data, name) for name in ("target_name", "tokens", "source", "licence")},
    }


def rows_of(data: Dataset) -> dict[str, int]:
    """{'train': 96, 'validation': 24, 'test': 30}: the splits there are, and how long they are."""
    return {name: len(getattr(data, name).y) for name in SPLITS if getattr(data, name) is not None}


def check_same_data(run: Run, data: Dataset) -> None:
    """Refuse data other than those that the run was trained on."""
    trained_on = run.record["data"].get("fingerprint")
    if trained_on != data.fingerprint:
        what = f"the data of {data.source} have changed since {run.path} was started"
        fingerprints = f"(fingerprint {data.fingerprint[:12]}, was {str(trained_on)[:12]})"
        raise ValueError(f"{what}: put the old data back or train anew {fingerprints}")


def kernels_of(trainer: Trainer) -> str | None:
    """Which kernels train this model here, as HANDGRAD_KERNELS names them, since its last bits depend on them."""
    if not trainer.engine.trains_in_place:
        return None
    name = route.name()
    has_convolutions = any(isinstance(layer, Conv2D) for layer in leaves(trainer.model))
    return "compiled" if name == "winograd" and not has_convolutions else name


def check_same_kernels(run: Run, trainer: Trainer) -> None:
    """Refuse to go on with a run by other kernels than those that trained it: it would not come to the same bits."""
    trained_by, here = run.record.get("kernels"), kernels_of(trainer)
    if trained_by not in (None, here):
        missing = f" ({route.why_numpy()})" if here == "numpy" else ""
        what = f"{run.path} was trained by the kernels '{trained_by}', and here they are '{here}'{missing}"
        raise ValueError(f"{what}: the environment's HANDGRAD_KERNELS={trained_by} goes on to the same bits")


def now() -> str:
    """The time, with the offset of its zone, as records hold it."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """{'python': '3.13.1', 'numpy': '2.1.0', ...} of what is installed, imported or not."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine() -> dict[str, Any]:
    """{'system': ..., 'machine': ..., 'processor': ..., 'cores': ...}."""
    system = f"{platform.system()} {platform.release()}"
    return {"system": system, "machine": platform.machine(), "processor": processor(), "cores": os.cpu_count()}


def processor() -> str:
    """The processor's model, where the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def threads() -> dict[str, Any]:
    """{'num_threads': 2, 'OPENBLAS_NUM_THREADS': '1'}: what decides how sums are split, and so their last bits."""
    return {"num_threads": num_threads(), **{name: os.environ[name] for name in THREADS if name in os.environ}}


def git_state() -> dict[str, Any] | None:
    """{'commit': ..., 'branch': ..., 'changed': whether tracked files differ from it}, or None outside a repository."""
    if not (commit := git("rev-parse", "HEAD")):
        return None
    changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    return {"commit": commit, "branch": git("rev-parse", "--abbrev-ref", "HEAD"), "changed": changed}


def git(*arguments: str) -> str:
    """What git prints in the working folder; '' where it fails or is not there."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
