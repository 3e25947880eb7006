"""Files that are whole or not there: atomic writes, and named arrays by suffix."""

import contextlib
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path`; it takes path's place when the block ends well, and is removed if not."""
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    except OSError as problem:
        raise OSError(
            f"cannot write {path}: {problem.strerror} (choose a folder that exists and is writable)"
        ) from None
    os.close(handle)
    try:
        yield Path(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, path)
    except OSError as problem:
        raise OSError(f"cannot write {path}: {problem.strerror or problem} (nothing was changed)") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


UMASK = os.umask(0)
os.umask(UMASK)


def write_text(path, text):
    """Write a text file atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, data):
    """Write plain data as indented JSON, atomically."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def write_arrays(path, arrays, metadata=None):
    """Write {name: array} and {key: text} atomically, in the format that path's suffix names."""
    write, _ = format_of(path)
    with atomic_path(path) as temporary:
        write(temporary, {k: np.ascontiguousarray(v) for k, v in arrays.items()}, dict(metadata or {}))


def read_arrays(path):
    """({name: array}, {key: text}) from a file of named arrays. Runs no code from it; damage is a ValueError."""
    path = Path(path)
    _, read = format_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return read(path)


def format_of(path):
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ValueError(f"{path}: arrays are stored as {' or '.join(FORMATS)}, got suffix '{suffix}'")
    return FORMATS[suffix]


METADATA = "__metadata__"


def write_npz(path, arrays, metadata):
    with open(path, "wb") as file:
        np.savez(file, **arrays, **{METADATA: np.frombuffer(json.dumps(metadata).encode(), np.uint8)})


def read_npz(path):
    try:
        # np.load would take a bare .npy too, and would leave a damaged file open
        with open(path, "rb") as raw, np.lib.npyio.NpzFile(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            metadata = json.loads(arrays.pop(METADATA, np.frombuffer(b"{}", np.uint8)).tobytes())
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as problem:
        raise ValueError(
            f"{path} is damaged or no .npz file of plain arrays ({str(problem).splitlines()[0]})"
        ) from None
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} has damaged metadata: expected a JSON object")
    return arrays, metadata


# suffix -> (write, read); training/checkpoint.py adds .safetensors, whose library is an extra
FORMATS = {".npz": (write_npz, read_npz)}
