"""A write-up as one HTML page that loads nothing and runs nothing."""

from .. import html
from ..html import escape
from .document import Code, Heading, Paragraph, Picture, Table
from .pictures import data_uri


def render(blocks, level):
    """The page as text, its sections at that heading level."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Write-up")
    return html.page(title, "<main>", *(RENDERERS[type(block)](block, level) for block in blocks), "</main>")


def heading(block, level):
    return f"<h{level + block.depth}>{escape(block.text)}</h{level + block.depth}>\n"


def paragraph(block, level):
    return f"<p>{escape(block.text)}</p>\n"


def code(block, level):
    return f"<pre><code>{escape(block.text)}</code></pre>\n"


def table(block, level):
    return html.table(block.columns, block.rows, caption=block.caption, marked=block.marked)


def picture(block, level):
    caption = escape(block.caption)
    image = f'<img src="{data_uri(block)}" alt="{caption}">'
    return f'<figure class="picture">{image}<figcaption>{caption}</figcaption></figure>\n'


RENDERERS = {Heading: heading, Paragraph: paragraph, Code: code, Table: table, Picture: picture}
