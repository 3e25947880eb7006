"""One shell for every page: head, style sheet, light and dark, escaping, and a policy under which nothing is loaded.

>>> page("Two and two", "<main>", table(["sum", ">value"], [["2 + 2", 4.0]]), "</main>").count("<td")
1
"""

import base64
import functools
import hashlib
import html
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from .text import Rows, alike, column_title, figure_text, is_right, printable

SHELL, STYLE = (Path(__file__).with_name(name) for name in ("page.html", "page.css"))

NO_ICON = '<link rel="icon" href="data:,">'  # or a browser asks the server for one


class Markup(str):
    """Text that is HTML already: neither `escape` nor jinja2 changes it."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def escape(text: str) -> str:
    """Text that shows as it is.

    >>> escape("<b>"), escape(Markup("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return text if isinstance(text, Markup) else html.escape(printable(text))


def page(title: str, *body: str, scripts: Sequence[str] = (), stamp: str | None = None) -> str:
    """A page as text that stands alone. body: HTML; scripts: the only ones that may run, each as text.

    stamp: the state of what a server's page shows, for a script that follows it. Only such a page may fetch.
    """
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{code}'" for code in hashes) or "'none'"
    source = "none" if stamp is None else "self"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src '{source}'; base-uri 'none'; form-action 'none'"
    )
    return read(SHELL).format(
        policy=policy,
        title=escape(title),
        style=read(STYLE),
        icon="" if stamp is None else NO_ICON,
        attributes="" if stamp is None else f' data-stamp="{escape(stamp)}"',
        body="".join(body),
        scripts="".join(f"<script>{script}</script>\n" for script in scripts),
    )


def mark(ok: bool) -> Markup:
    """A green tick or a red cross."""
    return Markup('<span class="good">✓</span>' if ok else '<span class="bad">✗</span>')


def table(
    columns: Sequence[str], rows: Rows, label: str = "", caption: str = "", marked: Collection[int] = ()
) -> Markup:
    """A table that scrolls where it is wider than the page; columns whose name starts with '>' stand to the right.

    label: what it is called for who cannot see it. marked: the numbers of rows to stand out.
    """
    kinds = [' class="number"' if is_right(column) else "" for column in columns]
    titles = zip(columns, kinds, strict=True)
    head = "".join(f'<th scope="col"{kind}>{escape(column_title(column))}</th>' for column, kind in titles)
    lines, tags = [], ['th scope="row"', *["td"] * (len(columns) - 1)]
    texts = [alike(cells) if kind else cells for kind, cells in zip(kinds, zip(*rows, strict=True), strict=False)]
    for number, row in enumerate(zip(*texts, strict=True)):
        cells = zip(tags, row, kinds, strict=True)
        line = "".join(f"<{tag}{kind}>{shown(cell)}</{tag[:2]}>" for tag, cell, kind in cells)
        lines.append(f"<tr{' class=marked' if number in marked else ''}>{line}</tr>\n")
    name = escape(label or caption)
    region = f' role="region" aria-label="{name}"' if name else ""
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(
        f'<div class="wide" tabindex="0"{region}><table>{said}\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{''.join(lines)}</tbody></table></div>"
    )


def shown(cell: object) -> str:
    return cell if isinstance(cell, Markup) else escape(figure_text(cell))


def data_uri(png: bytes) -> str:
    """A picture as text, for an <img> that needs no file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


@functools.cache
def read(path: Path) -> str:
    """A file of ours, once."""
    return path.read_text(encoding="utf-8")


def palette(selector: str) -> str:
    """The style sheet's colours, on light paper and on dark, for a picture that may stand alone: as CSS of its own."""
    return read(STYLE)[: read(STYLE).index("* {")].partition("*/")[2].strip().replace(":root", selector)


@functools.cache
def colours() -> dict[str, str]:
    """The style sheet's colours on white paper by name: {'train': '#0072b2', ...}. Pictures are drawn in them too."""
    named = re.findall(r"--([\w-]+)\s*:\s*([^;]+);", read(STYLE).partition("@media")[0])
    for name, colour in named:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise ValueError(f"{STYLE.name}: pictures need colours as #rrggbb, with six digits; got --{name}: {colour}")
    return dict(named)
