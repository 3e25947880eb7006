"""A run's folder: made once, read by anybody, trusted by nobody.

run.json                 configuration, data, versions, machine, status, results
metrics.jsonl            a line per epoch: {"epoch": 1, "step": 6, "loss": ..., "validation_loss": ...}
checkpoint.safetensors   the trainer's full state: `handgrad resume` goes on from it
model.safetensors        the trained model: `hg.load_model` reads it
curves.png               loss and accuracy by epoch
"""

import contextlib
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import files
from ..layers.containers import Sequential, from_description, load_model
from ..layers.description import load_arrays
from ..training import History
from ..training.trainer import read_state
from .configuration import Configuration, check_configuration

if sys.platform != "win32":
    import fcntl

RECORD, METRICS, CHECKPOINT, MODEL = "run.json", "metrics.jsonl", "checkpoint.safetensors", "model.safetensors"
SWEEP = "sweep.json"
FORMAT = 1
NOT_FIGURES = ("epoch", "step", "seconds", "layers")
LARGEST_RECORD, LARGEST_METRICS = 2**24, 2**28
# The forms of what a folder holds, see `files.check_form`: who has a `Run` need not ask again.
FIGURES = {str: files.FIGURE}
RECORDED = {
    "configuration": {
        "name?": str,
        **dict.fromkeys(("data?", "model?", "loss?", "optimizer?", "schedule?", "penalty?", "engine?"), dict),
        **{key: [dict] for key in ("augmentation?", "callbacks?")},
    },
    "status": {"running", "finished", "interrupted", "failed"},
    "data": {
        **{"rows?": {str: files.COUNT}, "class_names?": list, "feature_names?": [str]},
        "standardization?": {"mean": [float], "scale": [float]},
    },
    "results?": {str: FIGURES},
    "model?": {"config?": {"layers?": [dict]}},
    **dict.fromkeys(("command?", "resumed?"), list),
    **dict.fromkeys(("versions?", "machine?", "threads?", "git?"), dict),
    "seconds?": float,
    "kernels?": str,
}
LINE = {
    "epoch?": range(1, 2**53),
    "step?": files.COUNT,
    "seconds?": float,
    "layers?": {str: FIGURES},
    str: files.FIGURE,
}


class Run:
    """A run as its folder tells it. Nothing in the folder is executed.

    Parameters
    ----------
    path : str or path
        The folder, such as experiments/iris/2026-11-21-104500.

    Attributes
    ----------
    path : Path
        The folder.
    record : dict
        What run.json says: configuration, data, versions, machine, status, results.

    Raises
    ------
    ValueError
        For a folder that is no run, or a damaged one: here, or where the damage is met.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self.record: dict[str, Any] = read_record(self.path)

    @property
    def id(self) -> str:
        """The name of the run's folder: when it was started, unless a sweep or a user named it."""
        return self.path.name

    @property
    def name(self) -> str:
        """The name in its configuration, which many runs may share."""
        return str(self.record["configuration"].get("name", ""))

    @property
    def status(self) -> str:
        """'running', 'finished', 'interrupted', 'failed', or 'killed': running by its record, but nobody trains it."""
        status: str = self.record["status"]
        return "killed" if status == "running" and not is_locked(self.path / METRICS) else status

    @property
    def configuration(self) -> Configuration:
        """The Configuration as run."""
        return check_configuration(self.record["configuration"], self.path / RECORD)

    @property
    def results(self) -> dict[str, dict[str, float]]:
        """{'train': {'loss': ..., 'accuracy': ...}, 'validation': ..., 'test': ...}; empty until finished."""
        recorded = (self.record.get("results") or {}).items()
        return {split: {name: as_number(value) for name, value in figures.items()} for split, figures in recorded}

    @property
    def restored_epoch(self) -> int | None:
        """The epoch whose parameters early stopping put back in the end, counted from 1."""
        epoch = self.record.get("restored_epoch")
        return epoch if isinstance(epoch, int) and epoch > 0 else None

    @property
    def paths(self) -> list[Path]:
        """The files that this class reads, there or not, and the file that it was trained on, if it is there."""
        data = str(self.record["configuration"].get("data", {}).get("name"))
        own = [self.path / name for name in (RECORD, METRICS, CHECKPOINT, MODEL)]
        return [*own, Path(data)] if os.path.isfile(data) else own

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.path / CHECKPOINT).is_file()

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl as dicts, in order; an unfinished last line is left out."""
        return [line for line, _ in read_lines(self.path / METRICS)]

    def epochs(self) -> list[dict[str, Any]]:
        """The lines that hold an epoch."""
        return [line for line in self.lines() if "epoch" in line]

    def history(self) -> History:
        """The figures of each epoch, as a `History`."""
        lines = self.epochs()
        names = dict.fromkeys(name for line in lines for name in line if name not in NOT_FIGURES)
        return History({name: [as_number(line.get(name)) for line in lines] for name in names})

    def checkpoint(self) -> dict[str, Any]:
        """The trainer's state at the last checkpoint."""
        return read_state(self.path / CHECKPOINT)

    def model(self) -> Sequential:
        """The trained model, or that of the last checkpoint where training has not ended."""
        if (self.path / MODEL).is_file():
            return load_model(self.path / MODEL)
        state = self.checkpoint()
        with files.reading(self.path / CHECKPOINT):
            engine = state["engine"]
            model = from_description(state["recipe"]["model"])
            load_arrays(model, {**engine["parameters"], **{f"state.{k}": v for k, v in engine["state"].items()}})
            return model

    def __repr__(self) -> str:
        return f"<run {self.path}: {self.status}>"


def read_record(path: Path) -> dict[str, Any]:
    """The dict in a run's run.json, its main keys checked."""
    file = path / RECORD
    if not file.is_file():
        why = f"it has no {RECORD} (handgrad runs lists the runs)"
        if (path / SWEEP).is_file():
            why = f"it is a sweep; name one of its runs, such as {path / '000'}"
        elif path.is_file():
            why = "it is a file, and a run is a folder (handgrad runs lists the runs)"
        raise ValueError(f"{path} is no run: {why}")
    return read_form(file, RECORDED, FORMAT)


def read_form(file: Path, form: files.Form, newest: int) -> dict[str, Any]:
    """A record of this form, if no later version of handgrad wrote it."""
    record = parse(read_text(file, LARGEST_RECORD), file)
    version = record.get("format", 1)
    if isinstance(version, int) and version > newest:
        what = f"{file} has format {version}, which a later version of handgrad wrote"
        raise ValueError(f"{what}; this one reads up to {newest}: update handgrad")
    files.check_form(record, {**form, "format?": files.COUNT}, file)
    return record


def read_text(file: Path, largest: int) -> str:
    """The text of a file, but not of one larger than any that we write."""
    try:
        if file.stat().st_size > largest:
            raise ValueError(f"{file} has {file.stat().st_size} bytes, more than any run writes ({largest})")
        return file.read_bytes().decode("utf-8")
    except OSError as problem:
        raise ValueError(f"cannot read {file}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise ValueError(f"{file} is damaged: it is no UTF-8 text ({problem.reason} at byte {problem.start})") from None


def parse(text: str, where: object) -> dict[str, Any]:
    """The JSON object in a text, or a ValueError that says where it was read."""
    record = files.from_json(text, where)
    if not isinstance(record, dict):
        raise ValueError(f"{where} is damaged: expected a JSON object, got {type(record).__name__}")
    return record


def read_lines(file: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield (dict, offset of its end) for each whole line; the end of a line cut off by a kill is left out."""
    end = 0
    *lines, _ = read_text(file, LARGEST_METRICS).split("\n") if file.is_file() else [""]
    for number, line in enumerate(lines, 1):
        end += len(line.encode()) + 1
        parsed = parse(line, where := f"{file} line {number}")
        files.check_form(parsed, LINE, where)
        yield parsed, end


def check_output(path: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """`files.check_output`, which here refuses the files of any run or sweep too."""
    output = files.check_output(path, inputs)
    is_kept = output.name in (RECORD, METRICS, CHECKPOINT, MODEL, SWEEP)
    if is_kept and any((output.parent / name).is_file() for name in (RECORD, SWEEP)):
        raise ValueError(f"the output {path} would replace a file of the run in {output.parent}: name another file")
    return output


def check_num_classes(model: Sequential, class_names: Sequence[object], where: Path) -> None:
    """Refuse a model that cannot tell so many classes: its file and the record are not of one training."""
    outputs, classes = model.output_shape[-1:], len(class_names)
    if outputs not in ((classes,), (1,)) or (outputs == (1,) and classes != 2):
        what = f"{where}: the model has {outputs[0] if outputs else 'no'} outputs, the run's data {classes} classes"
        raise ValueError(f"{what}; one of the two is damaged")


def as_number(value: object) -> float:
    """The value, or NaN for None and other things that JSON holds where a number is no number."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def create_folder(path: Path, name: str, record: dict[str, Any], numbered: bool = True) -> Path:
    """A new folder, with its record in the file `name` from the first instant; where path is taken, path-2 and so on.

    It is filled under another name and then renamed, which fails where the name is taken: the next number is tried.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    except OSError as problem:
        raise OSError(f"cannot write in {path.parent}: {problem.strerror} (choose a folder with --out)") from None
    os.chmod(temporary, 0o777 & ~files.UMASK)
    files.write_json(temporary / name, record)
    for attempt in range(1, 10_000 if numbered else 2):
        with contextlib.suppress(OSError):
            return temporary.rename(f"{path}-{attempt}" if attempt > 1 else path)
    shutil.rmtree(temporary)
    raise OSError(f"{path} exists already (choose another folder)")


# One trainer per run, one process per sweep: a lock on an open file, which the system lets go when its process dies.
# On Windows, which has no such locks, nothing is locked, and a killed run stays 'killed' while it is resumed.
ATTEMPTS = 10


def open_locked(path: Path, use: str = "trained") -> int:
    """A descriptor to read and append to path, locked; ValueError when another process holds the lock.

    A link in its place is not followed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o666)
    for _ in range(ATTEMPTS):
        if take(descriptor, exclusive=True):
            return descriptor
        time.sleep(0.02)  # a trainer has it, or for an instant somebody who asks whether there is one
    os.close(descriptor)
    raise ValueError(f"{path.parent} is being {use} by another process: wait until that has ended")


@contextlib.contextmanager
def locked(path: Path, use: str = "trained") -> Iterator[None]:
    """Hold the lock on a file within the block; a ValueError where another process holds it."""
    descriptor = open_locked(path, use)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process trains the run whose metrics file this is."""
    if not path.is_file():
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not take(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


def take(descriptor: int, exclusive: bool) -> bool:
    """Lock the open file, for oneself or beside other readers; False where another process has it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
