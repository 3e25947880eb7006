"""The files image data sets come in: IDX and CIFAR-10 batches, gzipped, archived or pickled."""

import gzip
import io
import tarfile
import zlib
from pathlib import Path

import numpy as np

from .pickles import load_plain

GZIP, PICKLE = b"\x1f\x8b", b"\x80"
DAMAGE = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)


def read_idx(contents, x, y):
    """Fill x (N, H, W, 1) and y (N,) from an IDX file of images and one of labels: a header, then bytes."""
    images, labels = contents
    x[:] = np.frombuffer(images, np.uint8, offset=16).reshape(x.shape)
    y[:] = np.frombuffer(labels, np.uint8, offset=8)


def read_cifar(contents, x, y):
    """Fill x (N, H, W, 3) and y (N,) from batches of rows: a label, then the red, green and blue planes."""
    done = 0
    for batch in contents:
        rows = np.frombuffer(batch, np.uint8).reshape(-1, 1 + x[0].size)
        into = slice(done, done + len(rows))
        y[into] = rows[:, 0]
        x[into] = rows[:, 1:].reshape(-1, x.shape[3], *x.shape[1:3]).transpose(0, 2, 3, 1)
        done += len(rows)


READERS = {"idx": read_idx, "cifar": read_cifar}


def key(name):
    """The part of a file's name that says which file it is: 'train-images.idx3-ubyte.gz' is train-images-idx3-ubyte."""
    return name.lower().removesuffix(".gz").removesuffix(".bin").replace(".", "-")


def is_archive(path):
    return Path(path).name.endswith((".tar.gz", ".tgz", ".tar"))


def members(path):
    """Yield (name, open file) for what a path holds: the files in an archive, or the file itself.

    Archives are read as streams and nothing is ever extracted to where they say.
    """
    if not is_archive(path):
        with open(path, "rb") as file:
            yield Path(path).name, file
        return
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isfile():
                yield Path(member.name).name, archive.extractfile(member)


def unpack(file, size):
    """The contents of an open file, at most a little over `size` bytes: gunzipped, and a pickled batch as rows."""
    stream = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == GZIP else file
    # room for what pickles hold besides; anything longer is not the file it should be
    data = stream.read(size + 2**20)
    return batch_rows(data) if data[:1] == PICKLE else data


def batch_rows(data):
    """A batch of the Python version of CIFAR-10 in the bytes of the binary version, row by row label and planes."""
    batch = load_plain(io.BytesIO(data))
    try:
        images, labels = np.asarray(batch["data"], np.uint8), np.asarray(batch["labels"], np.uint8)
        return np.concatenate([labels[:, None], images], axis=1).tobytes()
    except (KeyError, TypeError, IndexError, ValueError, OverflowError):
        raise ValueError("a pickle without CIFAR-10's data and labels") from None
