"""Tables: those that come with handgrad, and the CSV and NPZ files of the user."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, ArrayLike
from ..files import FilePath
from .catalog import Table
from .data_files import Columns, is_images, read_csv, read_features, read_idx_images, read_npz, read_npz_features
from .dataset import Dataset, Split, Standardization, fingerprint, three_way

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npz")
TASKS = ("classification", "regression")
MOST_NUMBER_CLASSES = 20


class Preparation(NamedTuple):
    """What is done to the rows of a table: the arguments of `load_dataset` of these names."""

    validation: float
    test: float
    seed: int
    standardize: bool | None
    dtype: np.dtype[Any]


def load_file(path: FilePath, target: str | int | None, task: str | None, how: Preparation) -> Dataset:
    """The user's table in a CSV file, or arrays x and y in an NPZ file; standardize=None does so for tables only."""
    where = str(path)
    about = Table(Path(path).name.split(".")[0], "", where, "not stated")
    if not where.lower().endswith(".npz"):
        return build(about, read_csv(where, target), task, how)
    if target is not None:
        raise ValueError(f"target={target!r} names a column of a CSV file; {where} keeps its targets as 'y'")
    return build(about, read_npz(where), task, how)


def build(about: Table, columns: Columns, task: str | None, how: Preparation) -> Dataset:
    """The Dataset of a table: split, standardised by its training rows (or divided by its scale) and cast to a dtype.

    Arrays that are no table are not standardised, and images in uint8 stay so.
    """
    x, source = columns.x, about.source
    y, class_names, task = encode_targets(columns.target, task, source)
    if how.standardize and x.ndim != 2:
        raise ValueError(f"standardize=True needs a table (N, features); x of {source} is {x.shape}")
    if len(y) < 3:
        raise ValueError(f"{source} has {len(y)} rows; three splits need at least 3")
    groups = y if task == "classification" else np.zeros(len(y), np.int64)
    train, validation, test = three_way(groups, how.validation, how.test, how.seed)
    standardization = None
    if x.ndim == 2 and how.standardize is None and about.scale:
        standardization = Standardization(np.zeros(x.shape[1]), np.full(x.shape[1], about.scale))
    elif x.ndim == 2 and how.standardize is not False:
        standardization = Standardization.fit(x[train])

    def split(rows: Array) -> Split:
        """The prepared rows of these numbers."""
        part = x[rows] if standardization is None else standardization.apply(x[rows])
        labels = y[rows] if task == "classification" else y[rows].astype(how.dtype)
        return Split(part if is_images(x) else cast(part, how.dtype), labels)

    return Dataset(
        name=about.name,
        task=task,
        train=split(train),
        validation=split(validation) if len(validation) else None,
        test=split(test) if len(test) else None,
        class_names=class_names,
        feature_names=columns.feature_names,
        target_name=columns.target_name,
        standardization=standardization,
        source=source,
        licence=about.licence,
        fingerprint=fingerprint(x, y, class_names),
    )


def cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """x in dtype, or a ValueError where a number does not fit into it."""
    with np.errstate(over="ignore"):
        fitted = x.astype(dtype)
    if not np.isfinite(fitted).all():
        row, column = np.argwhere(~np.isfinite(fitted.reshape(len(x), -1)))[0]
        what = f"feature {column + 1} holds a number too large for {dtype} ({x.reshape(len(x), -1)[row, column]:g})"
        raise ValueError(f"{what}; scale the column, or pass dtype=float64")
    return fitted


def encode_targets(given: ArrayLike, task: str | None, where: str) -> tuple[Array, tuple[str, ...], str]:
    """(y (N,), class names, task) from an array of texts or numbers.

    Text makes classes; so do whole numbers of at most 20 values, each on two rows or more on average; other numbers
    are a regression. `task` decides instead where it is given. Labels count the sorted classes from 0.
    """
    if task not in (None, *TASKS):
        raise ValueError(f"task is {task!r}; expected 'classification' or 'regression'")
    raw = np.asarray(given)
    numbers = as_numbers(raw)
    if task is None:
        task = "classification" if numbers is None or are_classes(numbers) else "regression"
    if task == "regression":
        if numbers is None:
            way_out = "regression needs numbers (or task='classification')"
            raise ValueError(f"{where}: the target {first_text(raw)} is not a number; {way_out}")
        return numbers, (), task
    values, labels = np.unique(raw if numbers is None else numbers, return_inverse=True)
    names = tuple(map(str, values) if numbers is None else (f"{value:.17g}" for value in values))
    if len(names) < 2:
        what = f"{where}: every one of the {len(raw)} targets is '{names[0]}'"
        raise ValueError(f"{what}; classification needs at least two classes")
    return labels.reshape(-1).astype(np.int64), names, task


def as_numbers(raw: Array) -> Array | None:
    """The targets in float64, or None where one is text."""
    if raw.dtype.kind not in "US":
        return raw.astype(np.float64)
    try:
        return np.array([float(cell) for cell in raw])
    except ValueError:
        return None


def are_classes(numbers: Array) -> bool:
    """Whether these numbers look like labels: whole, few, and each more than once."""
    if not (numbers == np.round(numbers)).all():
        return False
    return len(np.unique(numbers)) <= min(MOST_NUMBER_CLASSES, len(numbers) / 2)


def first_text(raw: Array) -> str:
    """The first target that is no number, and where it stands."""
    return next(f"'{cell}' of example {row}" for row, cell in enumerate(raw, 1) if as_numbers(np.array([cell])) is None)


def load_features(path: FilePath, feature_names: Sequence[str] = (), target_name: str | None = None) -> Array:
    """The features of new examples out of a file, in the columns that a model was trained on.

    What the model takes is `dataset.standardization.apply(x)`, where the data set has a standardization.

    Parameters
    ----------
    path : str or path
        A CSV file, with or without the target column; an NPZ file with an array x; or an IDX file of images, named as
        t10k-images-idx3-ubyte is.
    feature_names : sequence of str
        The data set's; with a header, columns are found by name in any order. Not needed for images.
    target_name : str, optional
        The data set's.

    Returns
    -------
    ndarray
        x (N, features) in float64; images (N, height, width, channels) in uint8 stay so.

    Raises
    ------
    ValueError
        For a file that is unreadable, lacks a column or holds a cell that is no number, naming row and column.

    Examples
    --------
    >>> from handgrad.datasets.catalog import FOLDER
    >>> load_features(FOLDER / "iris.csv", ["petal_length", "petal_width"])[0]
    array([1.4, 0.2])
    """
    where, name = str(path), Path(path).name.lower()
    if name.endswith(".npz"):
        return read_npz_features(where, len(feature_names))
    if not name.endswith(SUFFIXES) and ("idx" in name or "ubyte" in name):
        return read_idx_images(where)
    if not feature_names:
        expected = "an .npz file with its x; IDX files, named as t10k-images-idx3-ubyte is, will do too"
        raise ValueError(f"{where}: the data trained on has no named columns; expected {expected}")
    return read_features(where, feature_names, target_name)
