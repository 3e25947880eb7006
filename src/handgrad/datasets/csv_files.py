"""Rows of cells out of a CSV file: how its cells are parted, whether it has a header, where a cell stands."""

import csv
import gzip
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..files import FilePath
from ..naming import nearest
from ..text import clipped, one_line
from .data_files import cannot_read, check_regular, is_gzipped

MISSING = frozenset(["", "?", "NA", "na", "N/A", "n/a", "NaN", "nan", "NAN", "NULL", "null"])  # Na is sodium
SAMPLE_LINES = 20  # from the first, which say how a file is written
Row = tuple[int, list[str]]  # its number in the file, as an editor counts, and its cells


class Layout(NamedTuple):
    """How a file parts its cells: by what, whether a space follows it, whether each line ends with one more."""

    separator: str
    spaced: bool
    trailing: bool


class CsvTable(NamedTuple):
    """The columns' names, the rows below, the first row's number, and why it is no header, or ''."""

    path: FilePath
    names: list[str]
    rows: Iterable[Row]
    first: int
    no_header: str

    @property
    def header(self) -> bool:
        """Whether the first row holds the names."""
        return not self.no_header

    def place(self, number: int, column: int) -> str:
        """Where a cell stands, as a spreadsheet would say."""
        return f"{self.path} row {number}, column {column + 1} ('{shown(self.names[column])}')"

    def header_hint(self, number: int) -> str:
        """What to do about a fault of row `number` where that was to be a header, or ''."""
        if self.header or number != self.first:
            return ""
        return f"; the first row {self.no_header} and so is no header: name every column by a text, or say --header yes"

    def find(self, what: str, wanted: str | int) -> int:
        """The index of a column, by name or by number counted from 1; what: what it was named for."""
        if wanted in self.names:
            return self.names.index(str(wanted))
        number = int(wanted) if str(wanted).strip().isdecimal() else 0
        if 1 <= number <= len(self.names):
            return number - 1
        hint = "" if self.header else f" (its first row {self.no_header} and so is no header)"
        known = f"name one of {shortened(self.names)}, or give its number from 1 to {len(self.names)}{hint}"
        raise ValueError(f"{self.path} has no {what} {wanted!r}{nearest(wanted, map(shown, self.names))}; {known}")


def open_table(path: FilePath, header: bool | None = None, known: Collection[str] = ()) -> CsvTable:
    """The table in a CSV file, its rows yet to be read.

    The first row is a header when none of its cells is a number or a missing value and none repeats, or when it has
    all of the known names; header says so otherwise.
    """
    rows = numbered_rows(path)
    number, first = next(rows, (0, []))
    if not first:
        raise ValueError(f"{path} is empty; expected rows of numbers separated by commas")
    cells = [cell.strip() for cell in first]
    reason = "was said to be data" if header is False else ""
    if header is None and not (known and set(known) <= set(cells)):
        reason = why_no_header(cells)
    if reason:
        return CsvTable(path, numbered(len(cells)), itertools.chain([(number, first)], rows), number, reason)
    names = [cell or unnamed for cell, unnamed in zip(cells, numbered(len(cells)), strict=True)]
    if (twice := repeated(names)) is not None:
        raise ValueError(f"{path} has more than one column called '{shown(twice)}'; give each its own name")
    return CsvTable(path, names, rows, number, "")


def why_no_header(cells: Sequence[str]) -> str:
    """What a first row does that makes it no header, or ''."""
    for column, cell in enumerate(cells, 1):
        if is_number(cell) or slip(cell) or cell.lower().lstrip("+-") in ("inf", "infinity"):
            return "holds a number"
        if is_missing(cell):
            return f"has no name for column {column} ('{cell}')"
    twice = repeated(cells)
    return "" if twice is None else f"has more than one column called '{shown(twice)}'"


def repeated(names: Sequence[str]) -> str | None:
    """The first name that is there more than once."""
    counts = Counter(names)
    return next((name for name in names if counts[name] > 1), None)


def numbered(count: int) -> list[str]:
    """'column 1', 'column 2', ...: the names of columns without a header."""
    return [f"column {i + 1}" for i in range(count)]


def numbered_rows(path: FilePath) -> Iterator[Row]:
    """Yield (row number in the file, cells); blank lines, and blank rows with none below them, are left out."""
    check_regular(path)
    end = 0
    try:
        opened = gzip.open if is_gzipped(path) else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = lines_of_text(path, file)
            sample = list(itertools.islice(lines, SAMPLE_LINES))
            how = layout_of(sample)
            whole = itertools.chain(sample, lines)
            reader = csv.reader(whole, delimiter=how.separator, skipinitialspace=how.spaced, strict=True)
            blank: list[Row] = []
            for cells in reader:
                end = reader.line_num
                if how.trailing and len(cells) > 1 and not cells[-1].strip():
                    cells.pop()
                if any(map(str.strip, cells)):
                    yield from blank
                    blank = []
                    yield end, cells
                elif len(cells) > 1:
                    blank.append((end, cells))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; expected a CSV file (save it as CSV UTF-8)") from None
    except (OSError, EOFError, zlib.error) as error:
        raise cannot_read(path, error) from None
    except csv.Error as error:
        raise ValueError(f"{path} row {end + 1} is not CSV: {error}") from None


def lines_of_text(path: FilePath, file: Iterable[str]) -> Iterator[str]:
    """The lines of a file; NUL bytes, which some versions of Python's reader take for text, are refused."""
    for number, line in enumerate(file, 1):
        if "\0" in line:
            raise ValueError(f"{path} row {number} holds a NUL byte; expected a CSV file (save it as CSV UTF-8)")
        yield line


def layout_of(lines: Sequence[str]) -> Layout:
    """How the cells are parted, by the first lines without what is quoted in them.

    The separator is a tab, semicolon or comma that is equally often in each line; else what the first has most of.
    """
    text = re.sub(r'"[^"]*("|$)', '""', "".join(lines))
    plain = [line for line in re.split(r"[\r\n]+", text) if line.strip()] or [""]
    counts = {separator: [line.count(separator) for line in plain] for separator in "\t;,"}
    even = [separator for separator, found in counts.items() if found[0] and len(set(found)) == 1]
    separator = even[0] if even else max(",;\t", key=lambda candidate: counts[candidate][0])
    below = "\n".join(plain[1:] or plain)
    spaced = separator in below and not re.search(f"{separator}[^ ]", below)
    trailing = len(plain) > 1 and all(line.rstrip(" ").endswith(separator) for line in plain)
    return Layout(separator, spaced, trailing)


def is_missing(cell: str) -> bool:
    """Whether nothing stands in the cell, or a mark for that."""
    return cell.strip() in MISSING


def as_number(cell: str) -> float:
    """float of the cell, or a ValueError: without Python's own way to write 1000 as 1_000."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def with_comma(cell: str) -> float:
    """The number in a cell that has a decimal comma, or a ValueError."""
    if "." in cell:
        raise ValueError(cell)
    return as_number(cell.replace(",", ".", 1))


NUMBERS = {".": as_number, ",": with_comma}  # decimal sign -> what reads a number written by it


def is_number(cell: str) -> bool:
    """Whether the cell is a finite number."""
    try:
        return math.isfinite(as_number(cell))
    except ValueError:
        return False


def slip(cell: str, number: Callable[[str], float] = as_number) -> str:
    """What to do about a cell that is nearly a number as `number` reads them, or ''."""
    if "," in cell and is_number(cell.replace(",", "")):
        signs = ("comma", "point") if number is with_comma else ("point", "comma")
        return "write it with a decimal {} and no {} between thousands".format(*signs)
    bare = cell.strip("%$€£¥ ")
    return "write it without its sign" if bare != cell.strip() and is_number(bare) else ""


def is_plain(text: str) -> bool:
    """Whether the text is a whole number as Python would write it: '1' and '-1', neither '01' nor '1.0'."""
    try:
        return str(int(text)) == text
    except ValueError:
        return False


def shortened(names: Sequence[str]) -> str:
    """The names in a row, the middle of a long list left out."""
    return ", ".join(map(shown, names if len(names) <= 8 else [*names[:6], "...", names[-1]]))


def shown(text: str) -> str:
    """As much of a cell or name as goes into a message."""
    return clipped(one_line(text), 40)
