"""A write-up as Markdown that stands alone: its pictures are part of the text."""

import re

from ..text import column_title, is_right, printable
from .document import Code, Heading, Paragraph, Picture, Table
from .pictures import data_uri

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!])")
LINE_START = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s)", re.MULTILINE)


def render(blocks, level):
    """The document as text, its sections at that heading level."""
    return "\n\n".join(RENDERERS[type(block)](block, level) for block in blocks) + "\n"


def escape(text):
    """Text that shows as it is, whatever signs are in it."""
    return LINE_START.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", printable(text))).replace("&", "&amp;")


def heading(block, level):
    return f"{'#' * (level + block.depth)} {escape(block.text)}"


def paragraph(block, level):
    return escape(block.text)


def code(block, level):
    """A fence longer than any row of backticks within."""
    text = printable(block.text).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{block.language}\n{text}\n{fence}"


def table(block, level):
    rows = [[cell(text) for text in row] for row in block.rows]
    if block.marked is not None:
        rows[block.marked] = [f"**{text}**" if text else "" for text in rows[block.marked]]
    head = [cell(column_title(column)) for column in block.columns]
    rule = ["---:" if is_right(column) else "---" for column in block.columns]
    lines = [f"| {' | '.join(line)} |" for line in (head, rule, *rows)]
    return "\n".join([*([escape(block.caption), ""] if block.caption else []), *lines])


def cell(text):
    return escape(text).replace("\n", " ")


def picture(block, level):
    return f"![{cell(block.caption)}]({data_uri(block)})\n\n{escape(block.caption)}"


RENDERERS = {Heading: heading, Paragraph: paragraph, Code: code, Table: table, Picture: picture}
