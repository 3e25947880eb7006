"""What a model predicts for new rows, as a CSV file: names and probabilities, or the Id and Category of Kaggle."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..arrays import Array
from ..files import FilePath, atomic_path
from ..naming import look_up
from .csv_files import is_number, is_plain

SUFFIXES = ("", ".csv", ".txt")  # not .gz, .tsv or .xlsx, as which other programs would fail to read it
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet may compute, or computes without the apostrophe


@dataclass(frozen=True)
class Predictions:
    """What a model predicts for N rows.

    Attributes
    ----------
    ids : sequence
        What names the rows: the cells of the id column, or their numbers from 1.
    id_name, target_name : str
        The columns' own.
    values : sequence
        The predicted classes by name, or numbers.
    labels : ndarray (N,), optional
        The classes by number from 0; None in regression.
    probabilities : ndarray (N, classes), optional
        Of each class; None in regression.
    class_names : tuple of str
        class_names[k] is the name of label k; empty in regression.
    notes : tuple of str
        What there is to say about the new rows: texts that were not there in training.
    """

    ids: Sequence[object]
    values: Sequence[object] | Array
    id_name: str = "row"
    target_name: str = "target"
    labels: Array | None = None
    probabilities: Array | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def numbers_stand_for_names(self) -> bool:
        """Whether Kaggle's format writes classes by number, since a name is no whole number."""
        return self.labels is not None and not all(map(is_plain, self.class_names))

    def table(self) -> Iterable[Sequence[object]]:
        """Rows of id, target and a probability for each class, after their names."""
        if self.probabilities is None:
            yield self.id_name, self.target_name
            yield from zip(self.ids, self.values, strict=True)
            return
        yield self.id_name, self.target_name, *(f"P({name})" for name in self.class_names)
        for id, value, row in zip(self.ids, self.values, self.probabilities, strict=True):
            yield id, value, *row

    def kaggle(self) -> Iterable[Sequence[object]]:
        """Rows of Id and Category, a class's number (its name where all names are whole numbers), or Id and Value."""
        if self.labels is None:
            yield "Id", "Value"
            yield from zip(self.ids, self.values, strict=True)
            return
        yield "Id", "Category"
        numbers = self.labels.tolist() if self.numbers_stand_for_names else self.values
        yield from zip(self.ids, numbers, strict=True)


PREDICTION_FORMATS = {"table": Predictions.table, "kaggle": Predictions.kaggle}


def write_predictions(path: FilePath, predictions: Predictions, format: str = "table") -> None:
    """Write predictions as a CSV file, atomically.

    A text that a spreadsheet would take for a formula, one that begins with = + - @ and is no number, gets an
    apostrophe in front; `read_predictions` takes it off again.

    Parameters
    ----------
    path : str or path
        The file.
    predictions : Predictions
        What to write.
    format : {"table", "kaggle"}
        "table" has the columns id, target and P(class) for each class; "kaggle" has Id and Category, as whole numbers,
        or Id and Value in regression.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_predictions(folder + "/p.csv", Predictions([7, 8], ["=1+1", "-1"], target_name="kind"))
    ...     read_predictions(folder + "/p.csv")
    {'row': ['7', '8'], 'kind': ['=1+1', '-1']}
    """
    rows = look_up("format of predictions", format, PREDICTION_FORMATS)(predictions)
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"predictions are a CSV file, and {path} is called another: name it .csv")
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(map(guarded, row) for row in rows)


def guarded(value: object) -> str:
    """The value as text, with an apostrophe before what a spreadsheet would compute."""
    text = str(value)
    is_signed = text[:1] in ("+", "-") and is_number(text)
    return f"'{text}" if FORMULA.match(text) and not is_signed else text


def read_predictions(path: FilePath) -> dict[str, list[str]]:
    """{column: cells} of a file of predictions, each text as it was before it was written."""
    with open(path, encoding="utf-8", newline="") as file:
        names, *rows = ([plain(cell) for cell in row] for row in csv.reader(file))
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def plain(cell: str) -> str:
    """The text that `guarded` wrote."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
