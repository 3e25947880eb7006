"""A person's own data files: tables in CSV, arrays in NPZ, images in IDX; every fault is named by its place."""

import csv
import gzip
import itertools
import math
import os
import re
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

import numpy as np

from ..arrays import Array, ArrayLike
from ..files import FilePath

SAVE = "np.savez(path, x=x, y=y)"
MISSING = ("", "?", "na", "n/a", "nan")
Rows = Iterable[tuple[int, list[str]]]  # each with its number in the file, as an editor counts


class Columns(NamedTuple):
    """x (N, features) or (N, ...), N targets as they stand in the file, texts or numbers, and the columns' names."""

    x: Array
    target: ArrayLike
    feature_names: tuple[str, ...]
    target_name: str


def read_csv(path: FilePath, target: str | int | None = None) -> Columns:
    """The table in a CSV file; target is a column's name, or its number counted from 1 (default: the last).

    Raises ValueError, naming rows and columns as a spreadsheet does, where the file is unreadable, empty or ragged,
    a cell is missing or no number, or there is no such column.
    """
    names, rows = open_table(path)
    chosen = find_column(path, names, target)
    features = [i for i in range(len(names)) if i != chosen]
    if not features:
        raise ValueError(f"{path} has the target column '{names[chosen]}' alone; it needs at least one feature column")
    x, labels = read_cells(path, rows, names, features, chosen)
    return Columns(x, labels, tuple(names[i] for i in features), names[chosen])


def read_features(path: FilePath, feature_names: Sequence[str], target_name: str | None = None) -> Array:
    """x (N, features) of a CSV file whose columns are those of a table read before, with or without its target.

    With a header, columns are found by name and others are passed over; without one, they are taken in order.
    """
    names, rows = open_table(path)
    if names == numbered(len(names)):  # no header: the order has to do
        if len(names) == len(feature_names):
            names = list(feature_names)
        elif len(names) == len(feature_names) + 1:
            names = with_target(feature_names, target_name)
        else:
            expected = f"the {len(feature_names)} features ({shortened(feature_names)}), with or without the target"
            raise ValueError(f"{path} has {len(names)} columns; expected {expected}")
    missing = [name for name in feature_names if name not in names]
    if missing:
        wanted = f"(its columns: {shortened(names)}); the model was trained on {shortened(feature_names)}"
        raise ValueError(f"{path} has no column '{missing[0]}' {wanted}")
    return read_cells(path, rows, names, [names.index(name) for name in feature_names])[0]


def with_target(feature_names: Sequence[str], target_name: str | None) -> list[str]:
    """The names with the target put back: where its number says in a table without a header, else at the end."""
    everything = numbered(len(feature_names) + 1)
    place = everything.index(target_name) if target_name in everything else len(feature_names)
    return [*feature_names[:place], target_name or everything[-1], *feature_names[place:]]


def open_table(path: FilePath) -> tuple[list[str], Rows]:
    """(the names of the columns, an iterator over (row number, cells)) of a CSV file with or without a header.

    The first row is a header when none of its cells is a number.
    """
    rows = numbered_rows(path)
    number, first = next(rows, (0, None))
    if first is None:
        raise ValueError(f"{path} is empty; expected rows of numbers separated by commas")
    if any(is_number(cell) for cell in first):
        return numbered(len(first)), itertools.chain([(number, first)], rows)
    names = [cell.strip() or unnamed for cell, unnamed in zip(first, numbered(len(first)), strict=True)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path} has more than one column called '{twice}'; give each its own name")
    return names, rows


def numbered(count: int) -> list[str]:
    """'column 1', 'column 2', ...: the names of columns without a header."""
    return [f"column {i + 1}" for i in range(count)]


def numbered_rows(path: FilePath) -> Iterator[tuple[int, list[str]]]:
    """Yield (row number in the file, cells), blank rows left out; the separator is ',', ';' or tab by the first row."""
    opened = gzip.open if str(path).endswith(".gz") else open
    end = 0
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
            lines = itertools.chain([first], file)
            reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
            for cells in reader:
                end = reader.line_num
                if any(cell.strip() for cell in cells):
                    yield end, cells
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; expected a CSV file (save it as CSV UTF-8)") from None
    except (OSError, EOFError, zlib.error) as error:
        raise cannot_read(path, error) from None
    except csv.Error as error:
        raise ValueError(f"{path} row {end + 1} is not CSV: {error}") from None


def cannot_read(path: FilePath, error: Exception) -> ValueError:
    """The error for a file that could not be opened or is damaged."""
    return ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")


def read_cells(
    path: FilePath, rows: Rows, names: list[str], features: list[int], target: int | None = None
) -> tuple[Array, list[str]]:
    """(x (N, features) in float64, the target cells as text) out of the rows."""
    values, numbers = array("d"), array("q")
    labels: list[str] = []
    for number, cells in rows:
        if len(cells) != len(names):
            expected = f"where the first row has {len(names)}; every row needs as many"
            raise ValueError(f"{path} row {number} has {len(cells)} cells {expected}")
        try:
            values.extend([as_number(cells[i]) for i in features])
        except ValueError:
            wrong = next(i for i in features if not is_number(cells[i]))
            refuse(place(path, number, names, wrong), number, cells[wrong].strip())
        if target is not None:
            cell = cells[target].strip()
            if cell.lower() in MISSING:
                refuse_missing(place(path, number, names, target), "target", cell)
            labels.append(cell)
        numbers.append(number)
    if not numbers:
        raise ValueError(f"{path} has a header and no rows below it; expected rows of numbers")
    x = np.frombuffer(values).reshape(len(numbers), len(features))
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        refuse(place(path, numbers[row], names, features[column]), numbers[row], f"{x[row, column]}")
    return x, labels


def place(path: FilePath, number: int, names: list[str], column: int) -> str:
    """Where a cell stands, as a spreadsheet would say."""
    return f"{path} row {number}, column {column + 1} ('{names[column]}')"


def refuse(where: str, number: int, cell: str) -> NoReturn:
    """Raise the ValueError for a feature cell that holds no finite number."""
    if cell.lower() in MISSING:
        refuse_missing(where, "value", cell)
    hint = "; name every column of a header by a text" if number == 1 else ""
    if "," in cell and is_number(cell.replace(",", "")):
        hint = "; write it with a decimal point, and no comma between thousands"
    raise ValueError(f"{where}: '{cell}' is not a finite number; features must be numbers{hint}")


def refuse_missing(where: str, what: str, cell: str) -> NoReturn:
    """Raise the ValueError for an empty cell."""
    raise ValueError(f"{where}: the {what} is missing ('{cell}'); fill it in or leave the row out")


def find_column(path: FilePath, names: list[str], target: str | int | None) -> int:
    """The index of the target column: by name, else by number counted from 1, else the last."""
    if target is None:
        return len(names) - 1
    if target in names:
        return names.index(str(target))
    number = int(target) if str(target).strip().isdecimal() else 0
    if 1 <= number <= len(names):
        return number - 1
    no_header = " (its first row holds a number and so is no header: name every column of a header by a text)"
    hint = no_header if names == numbered(len(names)) else ""
    known = f"{shortened(names)}, or give its number from 1 to {len(names)}{hint}"
    raise ValueError(f"{path} has no target column {target!r}; name one of {known}")


def as_number(cell: str) -> float:
    """float of the cell, or a ValueError: without Python's own way to write 1000 as 1_000."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str) -> bool:
    """Whether the cell is a finite number."""
    try:
        return math.isfinite(as_number(cell))
    except ValueError:
        return False


def shortened(names: Sequence[str]) -> str:
    """The names in a row, the middle of a long list left out."""
    return ", ".join(names if len(names) <= 8 else [*names[:6], "...", names[-1]])


def read_npz(path: FilePath) -> Columns:
    """The arrays x (N, ...) and y (N,) of an NPZ file, or a ValueError saying which is missing or wrong."""
    x, y = open_npz(path, ("x", "y"))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(x) != len(y):
        raise ValueError(f"{path}: x is {x.shape} and y is {y.shape}; expected one target for each row of x, y (N,)")
    if y.dtype.kind not in "US" and (y.dtype.kind not in "biuf" or not np.isfinite(y).all()):
        raise ValueError(f"{path}: y is {y.dtype} or holds NaN or inf; expected labels or finite numbers")
    return Columns(x, y, (), "y")


def read_npz_features(path: FilePath, num_features: int) -> Array:
    """x of an NPZ file of new examples; num_features 0 takes any shape."""
    (x,) = open_npz(path, ("x",))
    if num_features and x.shape[1:] != (num_features,):
        raise ValueError(f"{path}: x is {x.shape}; expected (N, {num_features}), the columns trained on")
    return x


def open_npz(path: FilePath, keys: tuple[str, ...]) -> list[Array]:
    """The arrays of these names, x checked; a ValueError says what is wrong with the file."""
    try:
        if os.path.isfile(path) and not zipfile.is_zipfile(path):
            raise ValueError(f"it is no NPZ file; write one by {SAVE}")
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file.files]
            if missing:
                known = ", ".join(file.files) or "none"
                raise ValueError(f"it has no array '{missing[0]}' (its arrays: {known}); save it by {SAVE}")
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
    try:
        with open(path, "rb") as file:
            data = file.read()
        return read_idx(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data, 3)[..., None]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise cannot_read(path, error) from None


def read_idx(data: bytes, num_axes: int) -> Array:
    """The uint8 array in the contents of an IDX file: 0, 0, 8 and the number of axes, their big-endian sizes, bytes."""
    start = 4 + 4 * num_axes
    magic, *shape = np.frombuffer(data[:start], ">u4").tolist() if len(data) >= start else (0,)
    if magic != 0x800 + num_axes or len(data) != start + math.prod(shape):
        expected = f"00 00 08 {num_axes:02}, {num_axes} sizes, and as many bytes"
        raise ValueError(f"it is no whole IDX file: expected {expected}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
