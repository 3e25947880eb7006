"""A write-up as Markdown that stands alone: its pictures are part of the text."""

import re
from collections.abc import Sequence

from ..text import column_title, is_right, printable
from .document import Block, Code, Heading, Paragraph, Picture, Table

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!])")
LINE_START = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s)", re.MULTILINE)


def render(blocks: Sequence[Block], level: int) -> str:
    """The document as text, its sections at that heading level."""
    return "\n\n".join(in_markdown(block, level) for block in blocks) + "\n"


def escape(text: str) -> str:
    """Text that shows as it is, whatever signs are in it."""
    return LINE_START.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", printable(text))).replace("&", "&amp;")


def in_markdown(block: Block, level: int) -> str:
    match block:
        case Heading(text, depth):
            return f"{'#' * (level + depth)} {escape(text)}"
        case Paragraph(text):
            return escape(text)
        case Code(text, language):
            return fenced(printable(text).rstrip("\n"), language)
        case Table():
            return table(block)
        case Picture(caption=caption):
            return f"![{cell(caption)}]({block.data_uri()})\n\n{escape(caption)}"


def fenced(text: str, language: str) -> str:
    """A fence longer than any row of backticks within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def table(block: Table) -> str:
    rows = [[cell(text) for text in row] for row in block.rows]
    if block.marked is not None:
        rows[block.marked] = [f"**{text}**" if text else "" for text in rows[block.marked]]
    head = [cell(column_title(column)) for column in block.columns]
    rule = ["---:" if is_right(column) else "---" for column in block.columns]
    lines = [f"| {' | '.join(line)} |" for line in (head, rule, *rows)]
    return "\n".join([*([escape(block.caption), ""] if block.caption else []), *lines])


def cell(text: str) -> str:
    return escape(text).replace("\n", " ")
