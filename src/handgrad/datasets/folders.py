"""Folders of arrays larger than memory, train_x.npy, train_y.npy and so on: rows are read when they are used."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, MappedRows
from ..files import FilePath
from ..naming import fold
from .catalog import DATASETS, Table
from .data_files import is_images, open_npy
from .dataset import Dataset, Split, fingerprint
from .standardization import Standardization
from .tabular import SUFFIXES, Preparation, cast, encode_targets

PARTS = ("train", "validation", "test")
LAYOUT = "train_x.npy and train_y.npy, and if you like the same of validation and test"


def is_folder(path: FilePath) -> bool:
    """Whether this is a folder, which then must hold arrays; the name of a data set is none (write ./iris)."""
    name = str(path)
    return os.path.isdir(path) and fold(name) not in map(fold, DATASETS) and not name.lower().endswith(SUFFIXES)


def load_folder(path: FilePath, task: str | None, how: Preparation) -> Dataset:
    """The Dataset of a folder of arrays: x of each part stays in its file; rows are prepared as they are read."""
    parts = {name: part for name in PARTS if (part := open_part(path, name)) is not None}
    if "train" not in parts:
        raise ValueError(f"{path} has no train_x.npy; a folder of data holds {LAYOUT}")
    check_alike(path, parts)
    y, class_names, task = encode_targets(np.concatenate([y for _, y in parts.values()]), task, str(path))
    x = parts["train"][0]
    if how.standardize and x.ndim != 2:
        raise ValueError(f"standardize=True needs tables (N, features); train_x.npy in {path} is {x.shape}")
    try:
        is_table = x.ndim == 2 and how.standardize is not False
        standardization = Standardization.fit(MappedRows(x)) if is_table else None
    except ValueError as problem:
        raise ValueError(f"{path}: train_{problem}") from None
    dtype = np.dtype(np.uint8) if is_images(x) else how.dtype
    as_read = functools.partial(prepared, standardization=standardization, dtype=dtype)
    splits: dict[str, Split] = {}
    for name, (rows, targets) in parts.items():
        labels, y = y[: len(targets)], y[len(targets) :]
        labels = labels if class_names else cast(labels, how.dtype, "the target")
        splits[name] = Split(MappedRows(rows, as_read), labels)
    about = Table(Path(path).resolve().name, "", str(path), "not stated")
    checksum = fingerprint(*(array for part in parts.values() for array in part), class_names)
    drawn = map(splits.get, PARTS)
    return Dataset.of(about, task, drawn, class_names, "y", checksum, standardization=standardization)


def prepared(x: Array, standardization: Standardization | None, dtype: np.dtype[Any]) -> Array:
    """Rows as a model takes them: standardised and in dtype, images in uint8 as they are."""
    if standardization is not None:
        x = standardization.apply(x)
    return x.astype(dtype, copy=False)


def open_part(path: FilePath, name: str) -> tuple[Array, Array] | None:
    """(x, y) of a part, x in its file; None where the folder has neither."""
    files = [Path(path) / f"{name}_{array}.npy" for array in "xy"]
    if not any(file.exists() for file in files):
        return None
    x, y = (open_array(file) for file in files)
    if x.ndim < 2 or not x.size or x.dtype.kind not in "biuf" or not x.flags.c_contiguous:
        expected = "numbers (N, features) or images (N, height, width, channels), written row after row (C order)"
        raise ValueError(f"{files[0]}: x is {x.shape} {x.dtype}; expected {expected}")
    if y.ndim != 1 or len(y) != len(x):
        raise ValueError(f"{files[1]}: y is {y.shape} and x {x.shape}; expected one target for each row of x, y (N,)")
    if y.dtype.kind not in "biufU" or (y.dtype.kind == "f" and not np.isfinite(y).all()):
        raise ValueError(f"{files[1]}: y is {y.dtype} or holds NaN or inf; expected labels or finite numbers")
    return x, np.asarray(y)


def open_array(path: Path) -> Array:
    """The array in a file of the folder, whose rows are read when they are used."""
    if not path.is_file():
        raise ValueError(f"cannot read {path}: there is no such file; a folder of data holds {LAYOUT}")
    return open_npy(path)


def check_alike(path: FilePath, parts: dict[str, tuple[Array, Array]]) -> None:
    """Refuse parts whose examples or targets are not of the same kind."""
    x, y = parts["train"]
    for name, (other, targets) in parts.items():
        is_text = (y.dtype.kind == "U", targets.dtype.kind == "U")
        if other.shape[1:] != x.shape[1:] or is_images(other) != is_images(x) or is_text[0] != is_text[1]:
            got = f"{name}_x.npy {other.shape} {other.dtype} and {name}_y.npy {targets.dtype}"
            raise ValueError(f"{path}: {got} do not go with train_x.npy {x.shape} {x.dtype} and train_y.npy {y.dtype}")
