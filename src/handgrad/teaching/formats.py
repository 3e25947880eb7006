"""Blocks as an HTML page, as Markdown, or as LaTeX for pdflatex and a stock article.

>>> print(render_markdown([Heading("Results"), Paragraph("2 * 2 is 4.")], level=2), end="")
## Results
<BLANKLINE>
2 \\* 2 is 4.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from .. import html
from ..html import escape
from ..reports.page import still_chart
from ..text import column_title, is_right, printable
from .document import Block, Code, Heading, Paragraph, Picture, Table, Title

# HTML: one page that loads nothing and runs nothing -------------------------------------------------------------


def render_html(blocks: Sequence[Block], level: int) -> str:
    """The page as text, its sections at that heading level."""
    title = next((block.text for block in blocks if isinstance(block, (Title, Heading))), "Write-up")
    return html.page(title, "<main>", *(in_html(block, level) for block in blocks), "</main>")


SIGNED = {word: html.Markup(f"{html.mark(ok)} {word}") for word, ok in (("right", True), ("wrong", False))}


def in_html(block: Block, level: int) -> str:
    match block:
        case Title(text, author, date):
            by = escape(", ".join(filter(None, (author, date))))
            return f'<p class="title" role="heading" aria-level="1">{escape(text)}</p><p class="quiet">{by}</p>\n'
        case Heading(text, depth):
            return f"<h{level + depth}>{escape(text)}</h{level + depth}>\n"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>\n"
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>\n'
        case Table(columns, rows, caption, marked):
            rows = [[SIGNED.get(cell, cell) for cell in row] for row in rows]
            return html.table(columns, rows, caption=caption, marked=() if marked is None else (marked,))
        case Picture(caption=caption, charts=charts):
            drawn = "".join(still_chart(chart) for chart in charts if chart)
            said = f"<figcaption>{escape(caption)}</figcaption>"
            return f'<figure class="picture"><div class="charts">{drawn}</div>{said}</figure>\n'


# Markdown: pictures are files beside it ----------------------------------


SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!])")
LINE_START = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s)", re.MULTILINE)


def render_markdown(blocks: Sequence[Block], level: int, output: Path = Path("writeup.md")) -> str:
    """The document as text, its sections at that heading level, its pictures beside the file `output`."""
    return "\n\n".join(in_markdown(block, level, output) for block in blocks) + "\n"


def escape_markdown(text: str) -> str:
    """Text that shows as it is, whatever signs are in it."""
    return LINE_START.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", printable(text))).replace("&", "&amp;")


def in_markdown(block: Block, level: int, output: Path) -> str:
    match block:
        case Title():
            lines = (f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in told(block).items())
            return "\n".join(["---", *lines, "---"])
        case Heading(text, depth):
            return f"{'#' * (level + depth)} {escape_markdown(text)}"
        case Paragraph(text):
            return escape_markdown(text)
        case Code(text, language):
            return fenced(printable(text).rstrip("\n"), language)
        case Table():
            return markdown_table(block)
        case Picture(caption=caption):
            place = picture_path(block, output, ".png").name
            return f"![{markdown_cell(caption)}]({place})\n\n{escape_markdown(caption)}"


def told(title: Title) -> dict[str, str]:
    """What is known of title, author and date, as a document's front matter has it."""
    named = {"title": title.text, "author": title.author, "date": title.date}
    return {name: text for name, text in named.items() if text}


def fenced(text: str, language: str) -> str:
    """A fence longer than any row of backticks within."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def markdown_table(block: Table) -> str:
    rows = [[markdown_cell(text) for text in row] for row in block.rows]
    if block.marked is not None:
        rows[block.marked] = [f"**{text}**" if text else "" for text in rows[block.marked]]
    head = [markdown_cell(column_title(column)) for column in block.columns]
    rule = ["---:" if is_right(column) else "---" for column in block.columns]
    lines = [f"| {' | '.join(line)} |" for line in (head, rule, *rows)]
    return "\n".join([*([escape_markdown(block.caption), ""] if block.caption else []), *lines])


def markdown_cell(text: str) -> str:
    return escape_markdown(text).replace("\n", " ")


# LaTeX: pictures are files beside it ----------------------------------------------------------------------------


HEADINGS = ("section", "subsection", "subsubsection", "paragraph")
TABLE_ROWS = 40  # more do not fit a page

PREAMBLE = Path(__file__).with_name("preamble.tex").read_text(encoding="utf-8")
PICTURE = r"""\begin{center}
\includegraphics[width=\textwidth,height=0.4\textheight,keepaspectratio]{%s}

{\small %s}
\end{center}"""

# a character -> what it is in LaTeX: escaped, so that text is no command and hyphens and quotes do not join up;
# in maths; in text; and of combining accents (grave, acute, circumflex, ...) the command
SIGNS: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("latex_signs.json").read_text(encoding="utf-8"))
ESCAPED, MATHS, TEXTS, ACCENTS = (SIGNS[use] for use in ("escaped", "maths", "texts", "accents"))


def render_latex(blocks: Sequence[Block], level: int, output: Path) -> str:
    """The document as text, its sections at that heading level, its pictures beside the file `output`."""
    body = "\n\n".join(in_latex(block, level, output) for block in blocks)
    return f"{PREAMBLE}{definitions(body)}\\begin{{document}}\n\n{body}\n\n\\end{{document}}\n"


def write_pictures(blocks: Sequence[Block], output: Path, suffix: str) -> list[Path]:
    """Write the pictures that a document names, beside it; returns their paths."""
    pictures = {picture_path(block, output, suffix): block for block in blocks if isinstance(block, Picture)}
    for path, picture in pictures.items():
        picture.draw(path)
    return list(pictures)


def picture_path(picture: Picture, output: Path, suffix: str = ".pdf") -> Path:
    """Beside the file that shows it, with a name of letters, digits and '-' only, as LaTeX wants it."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{output.stem}-{picture.name}")
    return output.with_name(f"{name}{suffix}")


def in_latex(block: Block, level: int, output: Path) -> str:
    match block:
        case Title():
            named = {"author": "", "date": "", **told(block)}
            lines = [f"\\{name}{{{escape_latex(text)}}}" for name, text in named.items()]
            return "\n".join([*lines, r"\maketitle"])
        case Heading(text, depth):
            return f"\\{HEADINGS[level + depth - 1]}{{{escape_latex(text)}}}"
        case Paragraph(text):
            return escape_latex(text)
        case Code(text):
            return verbatim(text)
        case Table():
            return latex_table(block)
        case Picture(caption=caption):
            return PICTURE % (picture_path(block, output).name, escape_latex(caption))


def verbatim(text: str) -> str:
    """Lines as they stand, which the environment's own ending must not end."""
    text = printable(text).rstrip("\n").replace("\\end{verbatim}", "\\end {verbatim}")
    return f"{{\\scriptsize\n\\begin{{verbatim}}\n{text}\n\\end{{verbatim}}\n}}"


def latex_table(block: Table) -> str:
    """One tabular for each page's worth of rows, made smaller where it is wider than the page."""
    parts = [table_part(block, start) for start in range(0, max(len(block.rows), 1), TABLE_ROWS)]
    return "\n\n".join([*([escape_latex(block.caption)] if block.caption else []), *parts])


def table_part(block: Table, start: int) -> str:
    places = "".join("r" if is_right(column) else "l" for column in block.columns)
    lines = [" & ".join(latex_cell(column_title(column)) for column in block.columns) + r" \\ \hline"]
    for number, row in enumerate(block.rows[start : start + TABLE_ROWS], start):
        cells = [f"\\textbf{{{latex_cell(text)}}}" if number == block.marked else latex_cell(text) for text in row]
        lines.append(" & ".join(cells) + r" \\")
    body = "\n".join([f"\\begin{{tabular}}{{{places}}}", *lines, "\\end{tabular}"])
    return f"\\resizebox{{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}}{{!}}{{%\n{body}}}"


def latex_cell(text: str) -> str:
    return escape_latex(text.replace("\n", " "))


# Characters -----------------------------------------------------------------------------------------------------


def escape_latex(text: str) -> str:
    """Text without a command in it."""
    return "".join(ESCAPED.get(c, c) for c in printable(text))


def definitions(text: str) -> str:
    """What each character beyond ASCII is in LaTeX: they stand as they are, in code too."""
    beyond = sorted({c for c in text if ord(c) > 127})
    lines = [f"\\DeclareUnicodeCharacter{{{ord(c):04X}}}{{{character(c)}}}" for c in beyond]
    return "\n".join(["\\ifdefined\\DeclareUnicodeCharacter", *lines, "\\fi", ""]) if beyond else ""


def character(sign: str) -> str:
    """LaTeX for one character: a sign, an accented letter, a raised or lowered one, or else its number."""
    if sign in MATHS:
        return f"\\ensuremath{{{MATHS[sign]}}}"
    if sign in TEXTS:
        return TEXTS[sign]
    if sign in ACCENTS:
        return f"\\{ACCENTS[sign]}{{ }}"
    kind, _, plain = unicodedata.decomposition(sign).partition(" ")
    if kind in ("<super>", "<sub>"):
        base = "".join(chr(int(code, 16)) for code in plain.split())
        if base.isascii() and base.isalnum():
            return f"\\ensuremath{{{'^' if kind == '<super>' else '_'}{{{base}}}}}"
    base, *accents = list(unicodedata.normalize("NFD", sign))
    if base.isascii() and len(accents) == 1 and accents[0] in ACCENTS:
        return f"\\{ACCENTS[accents[0]]}{{{base}}}"
    return f"[U+{ord(sign):04X}]"
