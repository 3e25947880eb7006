"""Text for people to read: durations, figures, aligned tables, and what is safe to show."""

import math
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO, TypeAlias

Rows: TypeAlias = Iterable[Sequence[object]]  # of a table

# what is shown of a record that was made to burst a page: letters of a value, and settings by how deep they are nested
MAX_TEXT, MAX_SETTINGS, MAX_DEPTH = 300, 1000, 20
MAX_LINE, COLUMNS = 110, "HANDGRAD_COLUMNS"  # letters of a line of prose, and who sets it for processes of a command
MAX_WORD = 500  # letters of a word in a message


def duration(seconds: Any) -> str | None:
    """'2.5 s', '7 min 12 s', '1 h 3 min'; None for what is no finite number."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return None
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def printable(text: object, replacement: str = "") -> str:
    """The text with tabs as spaces and without other control characters, which no document may hold."""
    shown = (c if c.isprintable() or c in "\n\u00a0" else replacement for c in str(text).expandtabs(4))
    return "".join(shown)


def line_width() -> int:
    """How many letters a line of prose may have: as many as the command line found the terminal to have, or 110."""
    return int(os.environ.get(COLUMNS, MAX_LINE))


def folded(line: str, stream: TextIO | None, indent: str = "  ") -> str:
    """The line for a stream: on a terminal folded at words, but for a command that it names, which can be copied."""
    if stream is None or not stream.isatty():  # none at all, as after >&-
        return line
    width = min(MAX_LINE, os.get_terminal_size(stream.fileno()).columns or MAX_LINE)
    whole = re.sub(r"handgrad [a-z-]+ \S+", lambda command: command[0].replace(" ", "\0"), line)
    lines = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def one_line(text: object) -> str:
    """The text in one line, with '?' for what could steer a terminal."""
    return printable(" ".join(str(text).split()), "?")


SINGLE = re.compile(r"matmul: Input operand \d does not have enough dimensions.*")
MISFIT = re.compile(r"matmul: .*core dimension 0.*\(size (\d+) is different from (\d+)\)")


def complaint(problem: BaseException) -> str:
    """What an exception says; of matrices that do not fit in words that are not NumPy's own.

    >>> complaint(ValueError("matmul: ... core dimension 0 ... (size 6 is different from 5)"))
    'a @ b needs as many columns of a as rows of b, and here they are 5 and 6'
    """
    try:
        said = str(problem)
    except Exception:  # somebody's exception may do anything
        return ""
    said = SINGLE.sub("a @ b needs two arrays, and one of these is a single number: * multiplies by it", said)
    return MISFIT.sub(r"a @ b needs as many columns of a as rows of b, and here they are \2 and \1", said)


def message_line(text: object) -> str:
    """`one_line`, in which no word is longer than a screen: what was typed may have any length."""
    return " ".join(clipped(word, MAX_WORD) for word in one_line(text).split(" "))


def figure_text(value: object) -> str:
    """A figure to four significant digits; '' for none, other things as they are, if they are not too long.

    A whole number of up to nine digits is shown whole: 59000 rows are not 5.9e+04.

    >>> figure_text(0.123456), figure_text(59000.0), figure_text(None)
    ('0.1235', '59000', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"
    return clipped(value, MAX_TEXT + 1)


def error_text(error: float) -> str:
    """A relative error or a difference to two digits.

    >>> error_text(6.94e-17), error_text(0.0)
    ('6.9e-17', '0')
    """
    return f"{error:.1e}" if error else "0"


def alike(values: Sequence[object]) -> list[object]:
    """A column of figures as texts with as many decimals each; as it is where that would take many, or is no figure.

    >>> alike([1.0, 0.9583, None]), alike([1e-7, 2.0])
    (['1.0000', '0.9583', None], [1e-07, 2.0])
    """
    figures = [value for value in values if isinstance(value, float)]
    texts = [figure_text(figure) for figure in figures]
    places = max((len(text.partition(".")[2]) for text in texts), default=0)
    places = min(places, 4) if all(not figure or abs(figure) >= 0.01 for figure in figures) else places
    if places > 5 or "e" in "".join(texts) or len(figures) + sum(value is None for value in values) < len(values):
        return list(values)
    return [f"{value:.{places}f}" if isinstance(value, float) else value for value in values]


def clipped(text: object, length: int = 16) -> str:
    """The text, or as much of it as fits into so many letters.

    >>> clipped("a long name indeed", 7)
    'a long…'
    """
    shown = str(text)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def is_right(column: str) -> bool:
    """Whether a table's column stands to the right, as figures do: its name starts with '>'."""
    return column.startswith(">")


def column_title(column: str) -> str:
    return column.removeprefix(">")


def figures_from(first: int, columns: Sequence[str]) -> list[str]:
    """The columns of a table whose figures begin with the column of this number, which stand to the right."""
    return [*columns[:first], *(f">{column}" for column in columns[first:])]


def aligned(columns: Sequence[str], rows: Rows) -> list[str]:
    """The lines of a table, its titles first; columns whose name starts with '>' stand to the right.

    >>> print(*aligned(["split", ">rows"], [["train", 120], ["test", 30]]), sep="\\n")
    split  rows
    train   120
    test     30
    """
    lines = [[column_title(column) for column in columns], *([figure_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    sides = [">" if is_right(column) else "<" for column in columns]
    return ["  ".join(f"{c:{s}{w}}" for c, s, w in zip(line, sides, widths, strict=True)).rstrip() for line in lines]


def flatten(table: Mapping[str, Any] | Sequence[Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """{'data.name': 'iris', 'model.layers.0.units': 25}: nested plain data by dotted key."""
    pairs: Iterable[tuple[Any, Any]] = table.items() if isinstance(table, Mapping) else enumerate(table)
    flat: dict[str, Any] = {}
    for key, value in pairs:
        if len(flat) >= MAX_SETTINGS:
            flat["…"] = "more than a page holds"
            break
        if isinstance(value, (dict, list, tuple)) and len(value):
            flat.update(flatten(value, f"{prefix}{key}.", depth + 1) if depth < MAX_DEPTH else {f"{prefix}{key}": "…"})
        else:
            flat[f"{prefix}{key}"] = value
    return flat
