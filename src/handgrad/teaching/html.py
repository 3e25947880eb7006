"""A write-up as one HTML page that loads nothing and runs nothing."""

from collections.abc import Sequence

from .. import html
from ..html import escape
from .document import Block, Code, Heading, Paragraph, Picture, Table


def render(blocks: Sequence[Block], level: int) -> str:
    """The page as text, its sections at that heading level."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Write-up")
    return html.page(title, "<main>", *(in_html(block, level) for block in blocks), "</main>")


def in_html(block: Block, level: int) -> str:
    match block:
        case Heading(text, depth):
            return f"<h{level + depth}>{escape(text)}</h{level + depth}>\n"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>\n"
        case Table(columns, rows, caption, marked):
            return html.table(columns, rows, caption=caption, marked=marked)
        case Picture(caption=caption):
            image = f'<img src="{block.data_uri()}" alt="{escape(caption)}">'
            return f'<figure class="picture">{image}<figcaption>{escape(caption)}</figcaption></figure>\n'
