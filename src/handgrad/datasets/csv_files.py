"""Tables of numbers in CSV files: read row by row, with every fault named by its row and column."""

import csv
import gzip
import itertools
import math
import re
import zlib
from array import array
from typing import NamedTuple

import numpy as np

MISSING = ("", "?", "na", "n/a", "nan")


class Table(NamedTuple):
    """Features x (N, features) in float64, the target cells as text, and the names of the columns."""

    x: np.ndarray
    target: list
    feature_names: tuple
    target_name: str


def read_csv(path, target=None):
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
    return Table(x, labels, tuple(names[i] for i in features), names[chosen])


def read_features(path, feature_names, target_name=None):
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
            raise ValueError(
                f"{path} has {len(names)} columns; expected the {len(feature_names)} features "
                f"({shortened(feature_names)}), with or without the target"
            )
    missing = [name for name in feature_names if name not in names]
    if missing:
        raise ValueError(
            f"{path} has no column '{missing[0]}' (its columns: {shortened(names)}); "
            f"the model was trained on {shortened(feature_names)}"
        )
    return read_cells(path, rows, names, [names.index(name) for name in feature_names])[0]


def with_target(feature_names, target_name):
    """The names with the target put back: where its number says in a table without a header, else at the end."""
    everything = numbered(len(feature_names) + 1)
    place = everything.index(target_name) if target_name in everything else len(feature_names)
    return [*feature_names[:place], target_name, *feature_names[place:]]


def open_table(path):
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


def numbered(count):
    return [f"column {i + 1}" for i in range(count)]


def numbered_rows(path):
    """Yield (row number in the file, cells), blank rows left out; the separator is ',', ';' or tab by the first row."""
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
            reader, end = (
                csv.reader(itertools.chain([first], file), delimiter=separator, skipinitialspace=True, strict=True),
                0,
            )
            for cells in reader:
                end = reader.line_num
                if any(cell.strip() for cell in cells):
                    yield end, cells
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; expected a CSV file (save it as CSV UTF-8)") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except csv.Error as error:
        raise ValueError(f"{path} row {end + 1} is not CSV: {error}") from None


def read_cells(path, rows, names, features, target=None):
    """(x (N, features) in float64, the target cells as text) out of the rows."""
    values, labels, numbers = array("d"), [], array("q")
    for number, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"{path} row {number} has {len(cells)} cells where the first row has {len(names)}; "
                "every row needs as many"
            )
        try:
            values.extend([as_number(cells[i]) for i in features])
        except ValueError:
            refuse_cell(path, number, names, cells, features)
        if target is not None:
            labels.append(checked_label(path, number, names, target, cells[target].strip()))
        numbers.append(number)
    if not numbers:
        raise ValueError(f"{path} has a header and no rows below it; expected rows of numbers")
    x = np.frombuffer(values).reshape(len(numbers), len(features))
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        refuse(path, numbers[row], names, features[column], f"{x[row, column]}")
    return x, labels


def refuse_cell(path, number, names, cells, features):
    wrong = next(i for i in features if not is_number(cells[i]))
    refuse(path, number, names, wrong, cells[wrong].strip())


def refuse(path, number, names, column, cell):
    """Raise the ValueError for a feature cell that holds no finite number."""
    where = f"{path} row {number}, column {column + 1} ('{names[column]}')"
    if cell.lower() in MISSING:
        raise ValueError(f"{where}: the value is missing ('{cell}'); fill it in or leave the row out")
    hint = "; name every column of a header by a text" if number == 1 else ""
    if "," in cell and is_number(cell.replace(",", "")):
        hint = "; write it with a decimal point, and no comma between thousands"
    raise ValueError(f"{where}: '{cell}' is not a finite number; features must be numbers{hint}")


def checked_label(path, number, names, column, cell):
    if cell.lower() in MISSING:
        raise ValueError(
            f"{path} row {number}, column {column + 1} ('{names[column]}'): the target is missing "
            f"('{cell}'); fill it in or leave the row out"
        )
    return cell


def find_column(path, names, target):
    """The index of the target column: by name, else by number counted from 1, else the last."""
    if target is None:
        return len(names) - 1
    if target in names:
        return names.index(target)
    try:
        number = int(target)
    except (TypeError, ValueError):
        number = 0
    if 1 <= number <= len(names):
        return number - 1
    hint = ""
    if names == numbered(len(names)):
        hint = " (its first row holds a number and so is no header: name every column of a header by a text)"
    raise ValueError(
        f"{path} has no target column {target!r}; name one of {shortened(names)}, "
        f"or give its number from 1 to {len(names)}{hint}"
    )


def as_number(cell):
    """float of the cell, or a ValueError: without Python's own way to write 1000 as 1_000."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def is_number(cell):
    try:
        return math.isfinite(as_number(cell))
    except ValueError:
        return False


def shortened(names):
    """The names in a row, the middle of a long list left out."""
    shown = list(names) if len(names) <= 8 else [*names[:6], "...", names[-1]]
    return ", ".join(shown)
