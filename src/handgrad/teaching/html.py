"""A write-up as one HTML page that loads nothing and runs nothing."""

from html import escape as escape_html

from ..text import printable
from .document import Code, Heading, Paragraph, Picture, Table, column_title, is_right
from .pictures import data_uri

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
body {{ margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c1e21; background: #fff; line-height: 1.5;
  font-family: system-ui, "Segoe UI", Roboto, sans-serif; }}
h1, h2, h3, h4 {{ line-height: 1.2; margin: 2em 0 .5em; }}
p {{ max-width: 46rem; }}
pre {{ background: #f5f6f8; border: 1px solid #e3e5e8; border-radius: 4px; padding: .75rem 1rem; overflow-x: auto;
  font-size: .8rem; line-height: 1.4; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }}
.wide {{ overflow-x: auto; }}
caption {{ text-align: left; padding-bottom: .3rem; color: #5c6068; }}
th, td {{ text-align: left; vertical-align: top; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid #e3e5e8; }}
.number {{ text-align: right; }}
.marked td {{ font-weight: 650; background: #fff3c4; }}
figure {{ margin: 1.5rem 0; }}
figure img {{ max-width: 100%; }}
figcaption {{ color: #5c6068; }}
@media print {{ pre {{ white-space: pre-wrap; }} body {{ max-width: none; }} }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def render(blocks, level):
    """The page as text, its sections at that heading level."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Write-up")
    body = "\n".join(RENDERERS[type(block)](block, level) for block in blocks)
    return PAGE.format(title=escape(title), body=body)


def escape(text):
    return escape_html(printable(text))


def heading(block, level):
    return f"<h{level + block.depth}>{escape(block.text)}</h{level + block.depth}>"


def paragraph(block, level):
    return f"<p>{escape(block.text)}</p>"


def code(block, level):
    return f"<pre><code>{escape(block.text)}</code></pre>"


def table(block, level):
    classes = [' class="number"' if is_right(column) else "" for column in block.columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(column_title(column))}</th>'
        for column, kind in zip(block.columns, classes, strict=True)
    )
    rows = []
    for number, row in enumerate(block.rows):
        cells = "".join(f"<td{kind}>{escape(text)}</td>" for text, kind in zip(row, classes, strict=True))
        rows.append(f"<tr{' class=marked' if number == block.marked else ''}>{cells}</tr>")
    caption = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
    return (
        '<div class="wide"><table>'
        + caption
        + f"<thead><tr>{head}</tr></thead>\n<tbody>"
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def picture(block, level):
    caption = escape(block.caption)
    return f'<figure><img src="{data_uri(block)}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


RENDERERS = {Heading: heading, Paragraph: paragraph, Code: code, Table: table, Picture: picture}
