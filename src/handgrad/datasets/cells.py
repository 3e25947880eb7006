"""Cells as numbers: columns of numbers and of texts told apart while they are read, every fault named by its place."""

import re
import shlex
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import numpy as np

from ..arrays import Array
from .csv_files import CsvTable, Row, as_number, is_missing, is_number, shown, slip

MOST_CATEGORIES = 100  # of a column of texts, unless it is named as one of categories
FEW_CATEGORIES = 20  # so many may all be different
UNKNOWN = -1.0
DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?|\d{1,2}:\d{2}.*"
    r"|(\d{1,2}\.?[ -])?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[ -]\d{1,4}.*",
    re.IGNORECASE,
)


class Cells(NamedTuple):
    """The rows of a table. In x (N, features) a text is its number among its column's texts, NaN a missing value."""

    x: Array
    targets: list[str]
    ids: list[str]


def yet_unknown(cell: str) -> float:
    """Stands where a column has had no value by which to know what it holds."""
    raise ValueError(cell)


@dataclass
class Column:
    """A feature's column while it is read.

    convert: what makes a number of a usual cell, and fails for others, which are for `take`. codes: a text's number;
    None in a column of numbers. learning: whether a new text gets a number, or counts as unknown. insisted: whether
    texts were asked for, so that numbers are texts, too. may_lack: whether values may be missing.
    """

    table: CsvTable
    place: int
    number: Callable[[str], float] = as_number
    convert: Callable[[str], float] = yet_unknown
    codes: dict[str, float] | None = None
    learning: bool = True
    insisted: bool = False
    may_lack: bool = False
    first: tuple[int, str] = (0, "")
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """As its header has it."""
        return self.table.names[self.place]

    def hold(self, codes: dict[str, float] | None) -> "Column":
        """It is a column of texts with these numbers, or one of numbers."""
        self.codes, self.convert = codes, self.number if codes is None else codes.__getitem__
        return self

    def insist(self) -> None:
        """It is a column of texts, even where they are numbers."""
        self.insisted = True
        self.hold({})

    def take(self, row: int, cell: str) -> float:
        """The number for any cell, or a ValueError that names its place."""
        if is_missing(cell):
            if not self.may_lack:
                refuse_missing(self.table, row, self.place, cell, learning=self.learning)
            return np.nan
        if self.convert is yet_unknown:
            self.decide(row, cell)
        if self.codes is not None:
            return self.codes[cell] if cell in self.codes else self.take_text(self.codes, cell)
        try:
            return self.number(cell)
        except ValueError:
            self.refuse(row, cell)

    def decide(self, row: int, cell: str) -> None:
        """By its first value a column is one of numbers or one of texts."""
        self.first = (row, cell)
        try:
            self.number(cell)
        except ValueError:
            if slip(cell):
                self.refuse(row, cell)
            self.hold({})
        else:
            self.hold(None)

    def take_text(self, codes: dict[str, float], cell: str) -> float:
        """The number of a text that was not met before."""
        if not self.learning:
            self.unknown[cell] += 1
            return UNKNOWN
        if not self.insisted:
            if is_number(cell):
                self.refuse(*self.first)
            if len(codes) == MOST_CATEGORIES:
                self.refuse_texts(f"more than {MOST_CATEGORIES} different texts")
        return codes.setdefault(cell, float(len(codes)))

    def check_texts(self, num_rows: int) -> None:
        """Refuse a column of which nothing can be learnt: without a value, of dates, or of a text for each row."""
        option = shlex.quote(shown(self.name))
        if self.convert is yet_unknown:
            raise ValueError(f"{self.table.path}: column '{shown(self.name)}' is empty; leave it out (--drop {option})")
        if self.codes is None or self.insisted:
            return
        count = len(self.codes)
        if all(map(DATE.fullmatch, self.codes)) or (count > FEW_CATEGORIES and count > num_rows / 2):
            self.refuse_texts(f"{count} different texts in {num_rows} rows")

    def refuse_texts(self, what: str) -> NoReturn:
        """Raise the ValueError for texts that are no categories, with what to do about them."""
        texts, option = list(self.codes or ()), shlex.quote(shown(self.name))
        dates = all(map(DATE.fullmatch, texts))
        as_numbers = "write them as numbers (years, months, days since the first)"
        advice = as_numbers if dates else f"--id {option} if it is one"
        where = f"{self.table.path}, column {self.place + 1} ('{shown(self.name)}')"
        wrong = f"{what} ('{shown(texts[0])}', ...) are {'dates and ' if dates else ''}no categories"
        remedy = f"leave the column out (--drop {option}), {advice}, or insist (--category {option})"
        raise ValueError(f"{where}: {wrong}; {remedy}")

    def refuse(self, row: int, cell: str) -> NoReturn:
        """Raise the ValueError for a cell that holds no finite number where others of its column do."""
        option, advice = shlex.quote(shown(self.name)), slip(cell, self.number) or "correct it"
        if self.learning and "comma between" in advice:
            advice += " (of a decimal comma, say --decimal ,)"
        elif self.learning and not slip(cell):
            advice += f", leave the column out (--drop {option}), or take its cells as texts (--category {option})"
            advice += self.table.header_hint(row)
        where = self.table.place(row, self.place)
        raise ValueError(f"{where}: '{shown(cell)}' is not a finite number, as features must be; {advice}")


def read_cells(
    table: CsvTable,
    columns: Sequence[Column],
    target: int | None = None,
    id: int | None = None,
    may_lack_target: bool = False,
) -> Cells:
    """The cells of all rows, the targets and ids as they stand."""
    values, numbers, targets, ids = array("d"), array("q"), list[str](), list[str]()
    usual = [(column.convert, column.place) for column in columns]
    for number, cells in whole_rows(table):
        try:
            values.extend([convert(cells[place]) for convert, place in usual])
        except (ValueError, KeyError):
            values.extend([column.take(number, cells[column.place]) for column in columns])
            usual = [(column.convert, column.place) for column in columns]
        numbers.append(number)
        if target is not None:
            if not may_lack_target and is_missing(cells[target]):
                refuse_missing(table, number, target, cells[target], what="target")
            targets.append(cells[target])
        if id is not None:
            ids.append(cells[id])
    if not numbers:
        raise ValueError(f"{table.path} has a header and no rows below it; expected rows of numbers")
    x = np.frombuffer(values).reshape(len(numbers), len(columns))
    check_finite(x, numbers, columns)
    return Cells(x, targets, ids)


def whole_rows(table: CsvTable) -> Iterator[Row]:
    """The table's rows; one of another length than the first is refused."""
    for number, cells in table.rows:
        if len(cells) != len(table.names):
            hint = "" if cells[-1].strip() else " (the last one is empty: is there a separator at the row's end?)"
            expected = f"where the first row has {len(table.names)}; every row needs as many{hint}"
            raise ValueError(f"{table.path} row {number} has {len(cells)} cells {expected}")
        yield number, cells


def check_finite(x: Array, numbers: Sequence[int], columns: Sequence[Column]) -> None:
    """Refuse numbers without end, and those that are none where none may be missing."""
    if np.isfinite(x).all():
        return
    wrong = np.isinf(x) | (np.isnan(x) & ~np.array([column.may_lack for column in columns]))
    for row, column in np.argwhere(wrong)[:1]:
        if np.isnan(x[row, column]):
            refuse_missing(columns[column].table, numbers[row], columns[column].place, "nan", columns[column].learning)
        columns[column].refuse(numbers[row], f"{x[row, column]}")


def refuse_missing(
    table: CsvTable, row: int, place: int, cell: str, learning: bool = True, what: str = "value"
) -> NoReturn:
    """Raise the ValueError for an empty cell."""
    rules = ", or choose a rule: --missing mean, median or drop", "; training had no rule to fill it in by"
    rule = rules[0] if learning else rules[1]
    advice = f"fill it in or leave the row out{rule}{table.header_hint(row)}"
    raise ValueError(f"{table.place(row, place)}: the {what} is missing ('{shown(cell)}'); {advice}")
