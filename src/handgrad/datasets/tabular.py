"""Tables: those that come with handgrad, and the CSV and NPZ files of the user."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, ArrayLike, MaybeNone
from ..files import FilePath
from .catalog import Table
from .cells import FEW_CATEGORIES
from .csv_files import NUMBERS, is_number, is_plain, shortened, shown
from .data_files import check_regular, is_images, kind_of, read_array_features, read_idx_images, read_npz
from .dataset import Dataset, Split, fingerprint, three_way
from .schema import NewRows, Reading, Schema, TableOptions, read_table
from .standardization import Standardization

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npz")
TASKS = ("classification", "regression")
MOST_NUMBER_CLASSES = 20
USUAL_TARGETS = (0.01, 30)  # sizes that the usual learning rates reach in the usual number of epochs
LARGEST_WHOLE = 2**53  # from here on floats leave whole numbers out
ARRAYS = "an .npz file with its x, or x alone as .npy; IDX files, as t10k-images-idx3-ubyte is, will do too"


class Preparation(NamedTuple):
    """What is done to the rows of a table: the arguments of `load_dataset` of these names."""

    validation: float
    test: float
    seed: int
    standardize: bool | None
    dtype: np.dtype[Any]


class Rows(NamedTuple):
    """x (N, ...), the N targets as they stand, texts or numbers; of a CSV file how it was read, else None."""

    x: Array
    targets: ArrayLike
    reading: Reading | None = None

    @classmethod
    def of_csv(cls, path: FilePath, options: TableOptions) -> "Rows":
        """Those of a table in a CSV file."""
        reading = read_table(path, options)
        return cls(reading.x, np.array(reading.targets), reading)


def load_file(path: FilePath, options: TableOptions, task: str | None, how: Preparation) -> Dataset:
    """The user's table in a CSV file, or arrays x and y in an NPZ file; standardize=None does so for tables only."""
    where = str(path)
    about = Table(Path(path).name.split(".")[0], "", where, "not stated")
    check_regular(path)
    kind = kind_of(path)
    if kind == "csv":
        return build(about, Rows.of_csv(where, options), task, how)
    usual = TableOptions(encoding=options.encoding)
    for name, value in options._asdict().items():
        if value != getattr(usual, name):
            raise ValueError(f"{name}={value!r} names a column or rule of a CSV file; {where} keeps its targets as 'y'")
    return build(about, Rows(*read_npz(where)), task, how)


def build(about: Table, rows: Rows, task: str | None, how: Preparation) -> Dataset:
    """The Dataset of a table: split, encoded, standardised by its training rows (or divided by its scale) and cast.

    Arrays that are no table are not standardised, and images in uint8 stay so.
    """
    x, reading, source = rows.x, rows.reading, about.source
    y, class_names, task = encode_targets(rows.targets, task, source, reading.schema.decimal if reading else ".")
    if how.standardize and x.ndim != 2:
        raise ValueError(f"standardize=True needs a table (N, features); x of {source} is {x.shape}")
    if len(y) < 3:
        raise ValueError(f"{source} has {len(y)} row{'s' * (len(y) != 1)}; three splits need at least 3")
    checksum = fingerprint(x, y, class_names, *([reading.texts] if reading and reading.texts else []))
    notes = notes_of(reading, y, class_names) if reading else ()
    groups = y if task == "classification" else np.zeros(len(y), np.int64)
    parts = three_way(groups, how.validation, how.test, how.seed)
    schema = reading.schema.learn(x, reading.texts, parts[0]) if reading else None
    x = schema.encode(x) if schema else x
    standardization = standardize(x[parts[0]], about.scale, how.standardize, schema) if x.ndim == 2 else None
    splits = (split_of(x[rows], y[rows], standardization, how.dtype) for rows in parts)
    names, target = (schema.feature_names, schema.target) if schema else ((), "y")
    told: dict[str, Any] = {
        "feature_names": names,
        "standardization": standardization,
        "schema": schema,
        "notes": notes,
    }
    return Dataset.of(about, task, splits, class_names, target, checksum, **told)


def split_of(x: Array, y: Array, standardization: Standardization | None, dtype: np.dtype[Any]) -> Split | MaybeNone:
    """Rows standardised and cast, labels as they are; None where there are none."""
    if not len(x):
        return None
    x = x if standardization is None else standardization.apply(x)
    targets = y if y.dtype == np.int64 else cast(y, dtype, "the target")
    return Split(x if is_images(x) else cast(x, dtype), targets)


def standardize(
    train: Array, scale: float | None, wanted: bool | None, schema: Schema | None
) -> Standardization | None:
    """What is to be done to x: by its training rows, or a division by the table's scale; texts stay 0 and 1."""
    if wanted is False:
        return None
    if wanted is None and scale:
        return Standardization(np.zeros(train.shape[1]), np.full(train.shape[1], scale))
    found = Standardization.fit(train)
    if schema is None or not schema.categories:
        return found
    return Standardization(np.where(schema.is_number, found.mean, 0.0), np.where(schema.is_number, found.scale, 1.0))


def cast(x: Array, dtype: np.dtype[Any], name: str = "feature {}") -> Array:
    """x in dtype, or a ValueError where a number is too large for it, or all of a column's become 0."""
    with np.errstate(over="ignore", under="ignore"):
        fitted = x.astype(dtype)
    flat, original = fitted.reshape(len(x), -1), x.reshape(len(x), -1)
    wrong = ~np.isfinite(flat) | ((flat.any(axis=0) != original.any(axis=0)) & (original != 0))
    for row, column in np.argwhere(wrong)[:1]:
        size = "small" if np.isfinite(flat[row, column]) else "large"
        what = f"{name.format(column + 1)} holds a number too {size} for {dtype} ({original[row, column]:g})"
        raise ValueError(f"{what}; scale the column, or pass dtype=float64")
    return fitted


def encode_targets(
    given: ArrayLike, task: str | None, where: str, decimal: str = "."
) -> tuple[Array, tuple[str, ...], str]:
    """(y (N,), class names, task) from an array of texts or numbers.

    Text makes classes; so do whole numbers of at most 20 values, each on two rows or more on average; other numbers
    are a regression. `task` decides instead where it is given. Labels count the classes from 0, sorted as texts, or
    as numbers where all are whole numbers in plain digits: '01' is a text.
    """
    if task not in (None, *TASKS):
        raise ValueError(f"task is {task!r}; expected 'classification' or 'regression'")
    raw = np.asarray(given)
    numbers = None if task == "classification" else as_numbers(raw, NUMBERS[decimal], plain=task is None)
    is_guess = task is None
    if task is None:
        task = "classification" if numbers is None or are_classes(numbers) else "regression"
    if task == "regression":
        if numbers is None:
            way_out = "regression needs numbers (or task='classification')"
            raise ValueError(f"{where}: the target {first_text(raw, NUMBERS[decimal])} is not a number; {way_out}")
        return numbers, (), task
    names, labels = classes_of(raw)
    if is_guess and len(names) > max(FEW_CATEGORIES, len(raw) / 2):
        text = first_text(raw, NUMBERS[decimal])
        what = f"{where}: the target holds {len(names)} different values in {len(raw)} rows, which are no classes"
        raise ValueError(f"{what}, and {text} is no number; correct it, or say what the task is")
    if len(names) < 2:
        what = f"{where}: every one of the {len(raw)} targets is '{shown(names[0])}'"
        raise ValueError(f"{what}; classification needs at least two classes")
    return labels, names, task


def classes_of(raw: Array) -> tuple[tuple[str, ...], Array]:
    """(the classes' names as they stand, sorted, and labels (N,)) of targets; no two texts are one class."""
    values, labels = np.unique(raw.astype(np.int64) if raw.dtype.kind == "b" else raw, return_inverse=True)
    names = [f"{value:.17g}" if raw.dtype.kind == "f" else str(value) for value in values]
    order = np.arange(len(names))
    if raw.dtype.kind in "US" and all(map(is_plain, names)):
        order = np.array(sorted(order, key=lambda k: int(names[k])))
    return tuple(names[k] for k in order), np.argsort(order)[labels.reshape(-1)].astype(np.int64)


def as_numbers(raw: Array, number: Callable[[str], float], plain: bool = False) -> Array | None:
    """The targets in float64, or None where one is text; plain: digits behind a zero, as in '01', are text, too."""
    if raw.dtype.kind not in "US":
        return raw.astype(np.float64)
    try:
        numbers = np.array([number(cell) for cell in raw])
    except ValueError:
        return None
    is_text = not np.isfinite(numbers).all() or (plain and any(map(re.compile(r"[+-]?0\d").match, raw)))
    return None if is_text else numbers


def are_classes(numbers: Array) -> bool:
    """Whether these numbers look like labels: whole, few, and each more than once."""
    if not (numbers == np.round(numbers)).all():
        return False
    return len(np.unique(numbers)) <= min(MOST_NUMBER_CLASSES, len(numbers) / 2)


def first_text(raw: Array, number: Callable[[str], float]) -> str:
    """The first target that is no number, and where it stands."""
    row = next(row for row in range(len(raw)) if as_numbers(raw[row : row + 1], number) is None)
    return f"'{shown(raw[row])}' of example {row + 1}"


# What is told of the reading ------------------------------------------------------------------------------------------


def notes_of(reading: Reading, y: Array, class_names: Sequence[str]) -> tuple[str, ...]:
    """What was decided about a table, in sentences: its header, its columns, what was missing, what looks amiss."""
    table, schema = reading.table, reading.schema
    task = f"{len(class_names)} classes: {shortened(class_names)}" if class_names else "a number: regression"
    head = f"row {table.first} is the header" if table.header else f"no header: the first row {table.no_header}"
    lines = [head, f"the target is {shown(schema.target)} ({task})"]
    if reading.texts:
        sizes = [f"{name} ({len(texts)} categories)" for name, texts in reading.texts.items()]
        lines.append(f"one-hot: {shortened(sizes)}")
    if others := [*([f"{schema.id} (the id)"] if schema.id else []), *schema.drop]:
        lines.append(f"left out: {shortened(others)}")
    notes = ["; ".join(lines), *missing_notes(reading)]
    size = 1.0 if class_names else float(abs(y).max())
    if size and not USUAL_TARGETS[0] <= size <= USUAL_TARGETS[1]:
        units = "larger" if size > 1 else "smaller"
        slow = "and is learnt as it stands, which may take very long"
        notes.append(f"{shown(schema.target)} reaches {size:.3g} in size, {slow}: write it in {units} units, near 1")
    if likely := [f"'{name}'" for name in columns_like_ids(reading)]:
        notes.append(f"{shortened(likely)}: another value in each row, as in an id; one is left out by --id COLUMN")
    for what, names in {schema.target: class_names, **reading.texts}.items():
        if alike := look_alikes(names):
            notes.append(f"{shown(what)}: {shortened(alike)} look alike, and count as different")
    return tuple(f"{Path(table.path).name}: {note}" for note in notes)


def missing_notes(reading: Reading) -> list[str]:
    """How many values were missing where, and what became of them."""
    rule, counts = reading.schema.missing, np.isnan(reading.x).sum(axis=0)
    notes = []
    if counts.any():
        places = np.flatnonzero(counts)
        names = [f"{reading.schema.features[place]} {counts[place]}" for place in places]
        becomes = f"numbers become the {rule} of the training rows, texts no category"
        notes.append(f"missing values: {shortened(names)}; {becomes}")
    if lost := reading.num_read - len(reading.x):
        notes.append(f"rows left out for a missing {'value' if rule == 'drop' else 'target'}: {lost}")
    return notes


def columns_like_ids(reading: Reading) -> list[str]:
    """The columns that hold another whole number or text in each row, beside others to learn from."""
    x, names = reading.x, reading.schema.features
    if len(x) < 10 or len(names) < 2:
        return []

    def differ(part: Array) -> Array:
        """Of each column whether its numbers are whole and all differ, or are too large for it to be known."""
        apart = (np.diff(np.sort(part, axis=0), axis=0) > 0).all(axis=0)
        found: Array = (part == np.floor(part)).all(axis=0) & (apart | (abs(part) > LARGEST_WHOLE).all(axis=0))
        return found

    return [names[place] for place in np.flatnonzero(differ(x[:30])) if differ(x[:, [place]])[0]]


def look_alikes(texts: Sequence[str]) -> list[str]:
    """The texts that differ from another one by spaces and capitals alone, or by how a number is written."""
    keys = [key_of(text) for text in texts]
    counts = Counter(keys)
    return [f"'{text}'" for text, key in zip(texts, keys, strict=True) if counts[key] > 1]


def key_of(text: str) -> str | float:
    """The same for texts that look alike."""
    return float(text) if is_number(text) else " ".join(text.casefold().split())


def load_features(path: FilePath, feature_names: Sequence[str] | Schema = (), target_name: str | None = None) -> Array:
    """The features of new examples out of a file, in the columns that a model was trained on.

    What the model takes is `dataset.standardization.apply(x)`, where the data set has a standardization.

    Parameters
    ----------
    path : str or path
        A CSV file, with or without the target column; an NPZ file with an array x; or an IDX file of images.
    feature_names : Schema or sequence of str
        The data set's `schema`, by which columns of texts become features and missing values are filled in, or its
        feature names where all are numbers. With a header, columns are found by name in any order. Not needed for
        images.
    target_name : str, optional
        The data set's, beside feature names.

    Returns
    -------
    ndarray
        x (N, features) in float64; images (N, height, width, channels) in uint8 stay so.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a file that is unreadable, lacks a column or holds a cell that is no number, naming row and column.

    Warns
    -----
    UserWarning
        For texts that were not there in training: they count as none of their column's categories.

    Examples
    --------
    >>> from handgrad.datasets.catalog import FOLDER
    >>> load_features(FOLDER / "iris.csv", ["petal_length", "petal_width"])[0]
    array([1.4, 0.2])
    """
    rows = read_new(path, feature_names, target_name)
    for note in rows.notes:
        warnings.warn(note, stacklevel=2)
    return rows.x


def read_new(path: FilePath, about: Sequence[str] | Schema, target_name: str | None = None) -> NewRows:
    """New examples out of a file of any kind, as `load_features` reads them, with their ids and what is to be said."""
    if about and not isinstance(about, Schema):
        return read_new(path, Schema.of_numbers(about, target_name))._replace(notes=())
    kind = kind_of(path)
    if kind in ("npz", "npy"):
        return NewRows(read_array_features(path, len(about.feature_names) if isinstance(about, Schema) else 0), (), ())
    if kind == "idx":
        return NewRows(read_idx_images(path), (), ())
    if isinstance(about, Schema):
        return about.read(path)
    raise ValueError(f"{path}: the data trained on has no named columns; expected {ARRAYS}")
