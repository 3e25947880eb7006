"""A person's own data files: what kind they are by their first bytes, arrays in NPZ and NPY, images in IDX."""

import contextlib
import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import Array
from ..files import FilePath, is_device

SAVE = "np.savez(path, x=x, y=y)"


def kind_of(path: FilePath) -> str:
    """'npz', 'npy', 'idx' or 'csv', by what it begins with; 'npz' also by that name, and 'csv' where there is none."""
    if not os.path.isfile(path):
        return "csv"
    with unpacked(path) as file:
        head = file.read(4)
    if head[:3] == b"\0\0\x08":
        return "idx"
    if head == b"\x93NUM":
        return "npy"
    return "npz" if head[:2] == b"PK" or str(path).lower().endswith(".npz") else "csv"


def check_regular(path: FilePath) -> None:
    """Refuse what does not exist, and devices and pipes, which may never end."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"no file {path}")
    if is_device(path):
        raise ValueError(f"{path} is a device or a pipe; expected a file (save what comes from it in one)")


def is_gzipped(path: FilePath) -> bool:
    """Whether a file's first bytes are gzip's."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextlib.contextmanager
def unpacked(path: FilePath) -> Iterator[Any]:
    """The contents of a file, gunzipped where they are gzip's; a ValueError says it where they cannot be read."""
    try:
        with (gzip.open if is_gzipped(path) else open)(path, "rb") as file:
            yield file
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise cannot_read(path, error) from None


def cannot_read(path: FilePath, error: Exception) -> ValueError:
    """The error for a file that could not be opened or is damaged."""
    return ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")


def read_npz(path: FilePath) -> tuple[Array, Array]:
    """The arrays x (N, ...) and y (N,) of an NPZ file, or a ValueError saying which is missing or wrong."""
    x, y = open_npz(path, ("x", "y"))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(x) != len(y):
        raise ValueError(f"{path}: x is {x.shape} and y is {y.shape}; expected one target for each row of x, y (N,)")
    if y.dtype.kind != "U" and (y.dtype.kind not in "biuf" or not np.isfinite(y).all()):
        raise ValueError(f"{path}: y is {y.dtype} or holds NaN or inf; expected labels or finite numbers")
    return x, y


def read_array_features(path: FilePath, num_features: int) -> Array:
    """x of new examples, in an NPZ file or as the one array of an NPY file; num_features 0 takes any shape."""
    x = checked_x(path, open_npy(path)) if kind_of(path) == "npy" else open_npz(path, ("x",))[0]
    if num_features and x.shape[1:] != (num_features,):
        raise ValueError(f"{path}: x is {x.shape}; expected (N, {num_features}), the columns trained on")
    return x


def open_npy(path: FilePath) -> Array:
    """The array in an NPY file, whose rows are read when they are used; a ValueError says what is wrong with it."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError, SyntaxError, OverflowError) as problem:
        raise cannot_read(path, problem) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays; expected one array, as np.save writes it")
    return array


def open_npz(path: FilePath, keys: tuple[str, ...]) -> list[Array]:
    """The arrays of these names, x checked; a ValueError says what is wrong with the file."""
    try:
        if os.path.isfile(path) and not zipfile.is_zipfile(path):
            raise ValueError(f"it is no NPZ file; write one by {SAVE}")
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if "[Content_Types].xml" in file.files:
                raise ValueError("it is a spreadsheet; save it as CSV UTF-8")
            for missing in (key for key in keys if key not in file.files):
                known = ", ".join(file.files) or "none"
                raise ValueError(f"it has no array '{missing}' (its arrays: {known}); save it by {SAVE}")
            arrays = [file[key] for key in keys]
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise cannot_read(path, error) from None
    return [checked_x(path, arrays[0]), *arrays[1:]]


def checked_x(path: FilePath, x: Array) -> Array:
    """x in float64, or as it is where it holds images in uint8."""
    if x.ndim < 2 or not x.size or x.dtype.kind not in "biuf":
        expected = "numbers (N, features) or images (N, height, width, channels)"
        raise ValueError(f"{path}: x is {x.shape} {x.dtype}; expected {expected}")
    if not np.isfinite(x).all():
        row = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{path}: x[{', '.join(map(str, row))}] is {x[tuple(row)]}; expected finite numbers")
    return x if is_images(x) else x.astype(np.float64)


def is_images(x: Array) -> bool:
    """Whether x is raw images, which stay uint8 until a batch of them is made."""
    return x.dtype == np.uint8 and x.ndim > 2


def read_idx_images(path: FilePath) -> Array:
    """Images (N, H, W, 1) in uint8 out of an IDX file, gzipped or not."""
    with unpacked(path) as file:
        return read_idx(file.read(), 3)[..., None]


def read_idx(data: bytes, num_axes: int) -> Array:
    """The uint8 array in the contents of an IDX file: 0, 0, 8 and the number of axes, their big-endian sizes, bytes."""
    start = 4 + 4 * num_axes
    magic, *shape = np.frombuffer(data[:start], ">u4").tolist() if len(data) >= start else (0,)
    if magic != 0x800 + num_axes or len(data) != start + math.prod(shape):
        expected = f"00 00 08 {num_axes:02}, {num_axes} sizes, and as many bytes"
        raise ValueError(f"it is no whole IDX file: expected {expected}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
