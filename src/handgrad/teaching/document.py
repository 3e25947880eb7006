"""What a write-up is made of, before it is LaTeX, Markdown or HTML: a list of blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Title:
    """What stands above all of it; author and date as they are told, or ''."""

    text: str
    author: str = ""
    date: str = ""


@dataclass(frozen=True)
class Heading:
    """depth 0 for a section of the write-up, 1 below it."""

    text: str
    depth: int = 0


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines as they stand, in a language that a reader's colours may know."""

    text: str
    language: str = "python"


@dataclass(frozen=True)
class Table:
    """Texts; columns whose name starts with '>' stand to the right. marked: the number of a row to stand out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    marked: int | None = None


@dataclass(frozen=True)
class Picture:
    """draw(path) writes the picture, in the format of the path's suffix; name tells it from the others.

    charts: the same for a page, as `reports.charts` makes them.
    """

    name: str
    draw: Callable[[Path], object]
    caption: str
    charts: Sequence[dict[str, Any] | None]


Block: TypeAlias = Title | Heading | Paragraph | Code | Table | Picture
