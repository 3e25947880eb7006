"""The files that images come in: IDX and CIFAR-10 batches, gzipped, archived or pickled. None of their code is run."""

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..arrays import Array
from .data_files import read_idx

GZIP, PICKLE = b"\x1f\x8b", b"\x80"
DAMAGE = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)


def fill_from_idx(contents: Iterable[bytes], x: Array, y: Array) -> None:
    """Fill x (N, H, W, 1) and y (N,) from a file of images and one of labels."""
    images, labels = contents
    x[:] = read_idx(images, 3)[..., None]
    y[:] = read_idx(labels, 1)


def fill_from_cifar(contents: Iterable[bytes], x: Array, y: Array) -> None:
    """Fill x (N, H, W, 3) and y (N,) from batches of rows: a label, then the red, green and blue planes."""
    done = 0
    for batch in contents:
        rows = np.frombuffer(batch, np.uint8).reshape(-1, 1 + x[0].size)
        into = slice(done, done + len(rows))
        y[into] = rows[:, 0]
        x[into] = rows[:, 1:].reshape(-1, x.shape[3], *x.shape[1:3]).transpose(0, 2, 3, 1)
        done += len(rows)


READERS = {"idx": fill_from_idx, "cifar": fill_from_cifar}


def key(name: str) -> str:
    """The part of a file's name that says which file it is: 'train-images.idx3-ubyte.gz' is train-images-idx3-ubyte."""
    return name.lower().removesuffix(".gz").removesuffix(".bin").replace(".", "-")


def is_archive(path: str | Path) -> bool:
    """Whether the name is that of an archive of several files."""
    return Path(path).name.endswith((".tar.gz", ".tgz", ".tar"))


def members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, open file) for what a path holds: the files in an archive, or the file itself.

    Archives are read as streams and nothing is ever extracted to where they say.
    """
    if not is_archive(path):
        with open(path, "rb") as file:
            yield Path(path).name, file
        return
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isfile() else None
            if opened is not None:
                yield Path(member.name).name, opened


def unpack(file: IO[bytes], size: int) -> bytes:
    """The contents of an open file, at most a little over `size` bytes: gunzipped, and a pickled batch as rows."""
    most = size + 2**20  # room for what pickles hold besides; anything longer is not the file it should be
    data = file.read(most)
    if data[:2] == GZIP:
        data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(most)
    return batch_rows(data) if data[:1] == PICKLE else data


def batch_rows(data: bytes) -> bytes:
    """A batch of the Python version of CIFAR-10 in the bytes of the binary version, row by row label and planes."""
    batch = load_plain(io.BytesIO(data))
    try:
        images, labels = np.asarray(batch["data"], np.uint8), np.asarray(batch["labels"], np.uint8)
        return np.concatenate([labels[:, None], images], axis=1).tobytes()
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        raise ValueError("a pickle without CIFAR-10's data and labels") from None


# Pickles of plain data and NumPy arrays, read without running any code from them -------------------------------------

# what NumPy itself puts into the pickle of an array, whatever the NumPy release calls its module
RECONSTRUCT = np.empty(0).__reduce__()[0]


def latin1_bytes(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, by which Python 3 spells bytes in the pickle protocol of Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("_codecs", "encode"): latin1_bytes,
}


class PlainUnpickler(pickle.Unpickler):
    """Unpickles dicts, lists, numbers, text and arrays; every other class or function is refused unlooked-up."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of that name, if it is one of the few that plain data need."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data")
        return ALLOWED[module, name]


def load_plain(file: IO[bytes]) -> Any:
    """The object in an open pickle file (of Python 2 or 3), or a ValueError for damage and for all but plain data."""
    try:
        return PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # damaged pickles raise whatever they like, and it all means the same
        raise ValueError(f"not a pickle of plain data: {error}") from None
