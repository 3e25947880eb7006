"""What the columns of a table are: decided when it is learnt from, recorded with the run, repeated for new rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..files import FilePath, check_form
from ..naming import nearest
from .cells import UNKNOWN, Column, read_cells
from .csv_files import NUMBERS, CsvTable, is_missing, numbered, open_table, shortened, shown
from .standardization import scaled

MISSING_RULES = ("mean", "median", "drop")
FORM: dict[str, Any] = {  # of what `Schema.as_dict` returns, once it has been JSON; see `files.check_form`
    **{"columns": [str], "target": str, "id": (str, type(None)), "drop": [str]},
    **{"categories": {str: [str]}, "fill": {str: float}, "missing": (str, type(None))},
    **{"header": bool, "decimal": {".", ","}, "encoding?": {"one-hot", "index"}},
}
ColumnName = str | int
ColumnNames = ColumnName | Sequence[ColumnName]


class TableOptions(NamedTuple):
    """How a CSV file is to be read: the arguments of `load_dataset` of these names."""

    target: ColumnName | None = None
    drop: ColumnNames = ()
    id: ColumnName | None = None
    category: ColumnNames = ()
    missing: str | None = None
    header: bool | None = None
    decimal: str = "."
    encoding: str = "one-hot"


class NewRows(NamedTuple):
    """x (N, features) before standardising, the ids as they stand or (), and what there is to say about it."""

    x: Array
    ids: Sequence[str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """How each column of a table is read.

    Attributes
    ----------
    columns : tuple of str
        All columns of the table in their order. Those that are none of the following are features.
    target : str
        The column that is predicted.
    id : str, optional
        The column that names the rows.
    drop : tuple of str
        The columns that are left out.
    categories : dict of str to tuple of str
        The texts of each column of texts in the training rows, sorted: each becomes a feature that is 1 where the
        column holds it, else 0. All are 0 for other texts.
    fill : dict of str to float
        What stands for a missing value of a column of numbers; a missing text is none of its categories.
    missing : {"mean", "median", "drop"}, optional
        The rule that was asked for. Without one, and with "drop", new rows may not lack a value.
    header : bool
        Whether the first row holds the columns' names.
    decimal : {".", ","}
        The sign before the fraction of a number.
    encoding : {"one-hot", "index"}
        Whether a text becomes those features, or one, its place in the categories; others stand behind the last.

    Examples
    --------
    >>> schema = Schema(("age", "sex", "alive"), "alive", categories={"sex": ("f", "m")})
    >>> schema.features, schema.feature_names
    (('age', 'sex'), ('age', 'sex=f', 'sex=m'))
    >>> schema.encode(np.array([[30.0, 1.0], [40.0, 0.0]]))
    array([[30.,  0.,  1.],
           [40.,  1.,  0.]])
    """

    columns: tuple[str, ...]
    target: str
    id: str | None = None
    drop: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fill: Mapping[str, float] = field(default_factory=dict)
    missing: str | None = None
    header: bool = True
    decimal: str = "."
    encoding: str = "one-hot"

    @property
    def features(self) -> tuple[str, ...]:
        """The columns to learn from."""
        others = {self.target, self.id, *self.drop}
        return tuple(name for name in self.columns if name not in others)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features that these columns become: 'age', 'sex=f', 'sex=m', or by index 'age', 'sex'."""
        if self.encoding == "index":
            return self.features
        texts = {name: [f"{name}={text}" for text in known] for name, known in self.categories.items()}
        return tuple(name for column in self.features for name in texts.get(column, [column]))

    @property
    def is_number(self) -> Array:
        """Of each of the feature_names whether its column holds numbers: these are standardised, the others 0 or 1."""
        return np.repeat([name not in self.categories for name in self.features], self.widths)

    @property
    def widths(self) -> Array:
        """Of each of the features how many of the feature_names it becomes."""
        one_hot = self.categories if self.encoding == "one-hot" else {}
        return np.array([len(one_hot.get(name, ("",))) for name in self.features])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of each of the features how many indices it has, those of other texts included: 0 for numbers."""
        return tuple(len(self.categories[name]) + 1 if name in self.categories else 0 for name in self.features)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Schema":
        """The schema that `as_dict` made plain data of; a ValueError for what is none."""
        check_form(record, FORM, "the schema")
        tuples = {name: tuple(record[name]) for name in ("columns", "drop")}
        categories = {name: tuple(texts) for name, texts in record["categories"].items()}
        return cls(**{**record, **tuples, "categories": categories})

    @classmethod
    def of_numbers(cls, feature_names: Sequence[str], target_name: str | None) -> "Schema":
        """That of a table of numbers. The target stands where its number says without a header, else at the end."""
        everything = numbered(len(feature_names) + 1)
        target = target_name or everything[-1]
        place = everything.index(target) if target in everything else len(feature_names)
        columns = (*feature_names[:place], target, *feature_names[place:])
        return cls(columns, target, header=columns != tuple(everything))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, to be recorded."""
        return asdict(self)

    def learn(self, x: Array, texts: Mapping[str, Sequence[str]], train: Array) -> "Schema":
        """With the categories and fillings of these training rows of x, whose texts are numbered anew, in place."""
        places = {name: place for place, name in enumerate(self.features)}
        categories = {name: renumber(x[:, places[name]], column, train) for name, column in texts.items()}
        fill: dict[str, float] = {}
        if self.missing in ("mean", "median"):
            numbers = [name for name in places if name not in texts]
            values = x[train][:, [places[name] for name in numbers]]
            for empty in np.flatnonzero(np.isnan(values).all(axis=0)):
                what = f"column '{shown(numbers[empty])}' has no value in the training rows to fill it by"
                raise ValueError(f"{what}; leave it out (drop)")
            fill = dict(zip(numbers, middle(values, self.missing).tolist(), strict=True))
        if not any(name not in categories or categories[name] for name in places):
            raise ValueError("no column has a value in the training rows; give them more rows")
        return replace(self, categories=categories, fill=fill)

    def encode(self, x: Array) -> Array:
        """The feature_names' values of x (N, features), missing numbers filled in, in place."""
        fill = np.array([self.fill.get(name, np.nan) for name in self.features])
        rows, places = np.nonzero(np.isnan(x))
        x[rows, places] = fill[places]
        if not self.categories:
            return x
        if self.encoding == "index":
            sizes = np.array(self.sizes)
            return np.where((sizes == 0) | (x >= 0), x, sizes - 1.0)
        starts = np.cumsum(self.widths) - self.widths
        numbers = np.array([name not in self.categories for name in self.features])
        encoded = np.zeros((len(x), len(self.feature_names)))
        encoded[:, starts[numbers]] = x[:, numbers]
        for place in np.flatnonzero(~numbers):
            rows = np.flatnonzero(x[:, place] >= 0)
            encoded[rows, starts[place] + x[rows, place].astype(np.intp)] = 1
        return encoded

    def read(self, path: FilePath) -> NewRows:
        """New rows out of a CSV file that has the features' columns, in any order where it has a header."""
        table = self.open(path)
        places = {name: place for place, name in enumerate(table.names)}
        for absent in (name for name in self.features if name not in places):
            wanted = f"(its columns: {shortened(table.names)}); the model was trained on {shortened(self.features)}"
            raise ValueError(f"{path} has no column '{shown(absent)}' {wanted}")
        columns = [self.column(table, places[name]) for name in self.features]
        x, _, ids = read_cells(table, columns, id=places.get(self.id or ""))
        notes = [unknown_texts(column) for column in columns if column.unknown]
        if self.header and not table.header:
            order = f"so its columns are taken in the order {shortened(table.names)}"
            notes.append(f"{path} has no header, since the first row {table.no_header}, {order}")
        if nameless := len(ids) - len(set(filter(str.strip, ids))):
            notes.append(f"{path}: the id in '{shown(self.id or '')}' is missing or repeated in {nameless} rows")
        return NewRows(self.encode(x), ids, tuple(notes))

    def column(self, table: CsvTable, place: int) -> Column:
        """What reads a column of new rows."""
        may_lack = self.missing in ("mean", "median")
        column = Column(table, place, NUMBERS[self.decimal], learning=False, may_lack=may_lack)
        texts = self.categories.get(column.name)
        return column.hold(None if texts is None else {text: float(code) for code, text in enumerate(texts)})

    def open(self, path: FilePath) -> CsvTable:
        """The table; without a header its columns are all, all but the target, or the features alone, in that order."""
        table = open_table(path, None if self.header else False, known=self.features)
        if table.header:
            return table
        for names in (self.columns, tuple(name for name in self.columns if name != self.target), self.features):
            if len(names) == len(table.names):
                return table._replace(names=list(names))
        expected = f"the {len(self.features)} features ({shortened(self.features)}), with or without the target"
        raise ValueError(f"{path} has {len(table.names)} columns; expected {expected}")


def renumber(column: Array, texts: Sequence[str], train: Array) -> tuple[str, ...]:
    """The column's texts in the training rows, sorted; in the column they are numbered so, others are unknown."""
    there = np.unique(column[train])
    categories = sorted(texts[int(code)] for code in there[~np.isnan(there)])
    codes = {text: float(code) for code, text in enumerate(categories)}
    anew = np.array([codes.get(text, UNKNOWN) for text in texts])
    known = ~np.isnan(column)
    column[known] = anew[column[known].astype(np.intp)]
    return tuple(categories)


def middle(values: Array, rule: str) -> Array:
    """The mean or median of each column, without what is missing."""
    shrunk, exponents = scaled(values)
    return np.ldexp((np.nanmean if rule == "mean" else np.nanmedian)(shrunk, axis=0), exponents)


def unknown_texts(column: Column) -> str:
    """What there is to say about new texts in a column."""
    texts = ", ".join(f"'{shown(text)}' ({count})" for text, count in column.unknown.most_common(5))
    more = ", ..." if len(column.unknown) > 5 else ""
    what = f"column '{shown(column.name)}' holds texts that were not there in training"
    return f"{column.table.path}: {what}, which count as none of its categories: {texts}{more}"


# Read to be learnt from -----------------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """A table as it was read: the schema as far as it is known by then, x with numbers for texts, and those texts."""

    table: CsvTable
    schema: Schema
    x: Array
    targets: list[str]
    texts: dict[str, tuple[str, ...]]
    num_read: int


def read_table(path: FilePath, options: TableOptions) -> Reading:
    """The table in a CSV file, rows left out as the rule for missing values has it."""
    check_options(options)
    table = open_table(path, options.header)
    schema = choose_columns(table, options)
    may_lack, places = options.missing is not None, {name: place for place, name in enumerate(table.names)}
    columns = [Column(table, places[name], NUMBERS[options.decimal], may_lack=may_lack) for name in schema.features]
    for name in named(table, "column of categories", options.category):
        if name not in schema.features:
            raise ValueError(f"{path}: '{shown(name)}' is no feature, so it cannot be one of categories")
        columns[schema.features.index(name)].insist()
    cells = read_cells(table, columns, places[schema.target], may_lack_target=may_lack)
    for column in columns:
        column.check_texts(len(cells.x))
    texts = {column.name: tuple(column.codes) for column in columns if column.codes is not None}
    keep = np.array([not is_missing(target) for target in cells.targets])
    if options.missing == "drop":
        keep &= ~np.isnan(cells.x).any(axis=1)
    if not keep.any():
        raise ValueError(f"{path} has no row without a missing value")
    x, targets = cells.x, cells.targets
    if not keep.all():
        x, targets = x[keep], [target for target, kept in zip(targets, keep, strict=True) if kept]
    return Reading(table, schema, x, targets, texts, len(keep))


def check_options(options: TableOptions) -> None:
    """Refuse a rule, a header or a decimal sign that is none."""
    if options.missing not in (None, *MISSING_RULES):
        known = "expected 'mean', 'median' or 'drop'"
        raise ValueError(f"missing is {options.missing!r}{nearest(options.missing, MISSING_RULES)}; {known}")
    if options.header not in (None, True, False):
        raise ValueError(f"header is {options.header!r}; expected True, False, or None to decide by the first row")
    if options.encoding not in FORM["encoding?"]:
        raise ValueError(f"encoding is {options.encoding!r}; expected 'one-hot' or 'index'")
    if options.decimal not in NUMBERS:
        raise ValueError(f"decimal is {options.decimal!r}; expected '.' or ','")


def choose_columns(table: CsvTable, options: TableOptions) -> Schema:
    """Which column is what, by the options."""
    drop = named(table, "column to drop", options.drop)
    id = None if options.id is None else table.names[table.find("id column", options.id)]
    if options.target is not None:
        target = table.names[table.find("target column", options.target)]
    else:
        target = next((name for name in reversed(table.names) if name not in (*drop, id)), "")
    if target in (*drop, id):
        raise ValueError(f"{table.path}: '{shown(target)}' is the target; it can be neither dropped nor the id")
    rules: dict[str, Any] = {name: getattr(options, name) for name in ("missing", "decimal", "encoding")}
    schema = Schema(tuple(table.names), target, id, drop, header=table.header, **rules)
    if not schema.features:
        what = f"{table.path} has the target column '{shown(target)}' alone"
        raise ValueError(f"{what}; it needs at least one feature, parted by a comma, semicolon or tab")
    return schema


def named(table: CsvTable, what: str, wanted: ColumnNames) -> tuple[str, ...]:
    """The names of the columns that were named, one or several."""
    several = [wanted] if isinstance(wanted, (str, int)) else wanted
    return tuple(dict.fromkeys(table.names[table.find(what, one)] for one in several))
