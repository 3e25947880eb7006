"""A write-up as LaTeX for pdflatex and a stock article; its pictures are files beside it."""

import unicodedata

from ..text import column_title, is_right, printable
from .document import Code, Heading, Paragraph, Picture, Table
from .pictures import file_name

HEADINGS = ("section", "subsection", "subsubsection", "paragraph")
TABLE_ROWS = 40  # more do not fit a page

PREAMBLE = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage{graphicx}
\setlength{\textwidth}{6.5in}
\setlength{\oddsidemargin}{0in}
\setlength{\textheight}{8.8in}
\setlength{\topmargin}{-0.4in}
\setlength{\parindent}{0in}
\setlength{\parskip}{0.08in}
\setcounter{secnumdepth}{0}
"""

ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "{-}",
    "'": "{'}",
    "`": "{`}",
}

MATHS = {
    "«": r"\ll",
    "»": r"\gg",
    "×": r"\times",
    "·": r"\cdot",
    "÷": r"\div",
    "±": r"\pm",
    "√": r"\surd",
    "∞": r"\infty",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∈": r"\in",
    "∑": r"\sum",
    "∏": r"\prod",
    "∫": r"\int",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "→": r"\rightarrow",
    "←": r"\leftarrow",
    "⊗": r"\otimes",
    "⊙": r"\odot",
    "‖": r"\|",
    "−": "-",
    "⁻": "^{-}",
    "ᵀ": "^{T}",
    "½": r"\frac{1}{2}",
    "¼": r"\frac{1}{4}",
    "°": r"^{\circ}",
    "′": "'",
    "✓": r"\surd",
    "✗": r"\times",
    "Σ": r"\Sigma",
    "Δ": r"\Delta",
    "Γ": r"\Gamma",
    "Θ": r"\Theta",
    "Λ": r"\Lambda",
    "Ξ": r"\Xi",
    "Π": r"\Pi",
    "Φ": r"\Phi",
    "Ψ": r"\Psi",
    "Ω": r"\Omega",
    "α": r"\alpha",
    "β": r"\beta",
    "γ": r"\gamma",
    "δ": r"\delta",
    "ε": r"\varepsilon",
    "ζ": r"\zeta",
    "η": r"\eta",
    "θ": r"\theta",
    "ι": r"\iota",
    "κ": r"\kappa",
    "λ": r"\lambda",
    "μ": r"\mu",
    "µ": r"\mu",
    "ν": r"\nu",
    "ξ": r"\xi",
    "π": r"\pi",
    "ρ": r"\rho",
    "σ": r"\sigma",
    "τ": r"\tau",
    "υ": r"\upsilon",
    "φ": r"\varphi",
    "χ": r"\chi",
    "ψ": r"\psi",
    "ω": r"\omega",
}
TEXTS = {"…": r"\ldots{}", "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~"}
ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030c": r"\v",
    "\u0327": r"\c",
}


def render(blocks, level, output):
    """The document as text, its sections at that heading level, its pictures beside the file `output`."""
    body = "\n\n".join(RENDERERS[type(block)](block, level, output) for block in blocks)
    return f"{PREAMBLE}{definitions(body)}\\begin{{document}}\n\n{body}\n\n\\end{{document}}\n"


def definitions(text):
    """What each character beyond ASCII is in LaTeX: they stand as they are, in code too."""
    beyond = sorted({c for c in text if ord(c) > 127})
    lines = [f"\\DeclareUnicodeCharacter{{{ord(c):04X}}}{{{in_latex(c)}}}" for c in beyond]
    return "\n".join(["\\ifdefined\\DeclareUnicodeCharacter", *lines, "\\fi", ""]) if beyond else ""


def in_latex(character):
    """LaTeX for one character: a sign, an accented letter, a raised or lowered one, or else its number."""
    if character in MATHS:
        return f"\\ensuremath{{{MATHS[character]}}}"
    if character in TEXTS:
        return TEXTS[character]
    if character in ACCENTS:
        return f"{ACCENTS[character]}{{ }}"
    kind, _, plain = unicodedata.decomposition(character).partition(" ")
    if kind in ("<super>", "<sub>"):
        base = "".join(chr(int(code, 16)) for code in plain.split())
        if base.isascii() and base.isalnum():
            return f"\\ensuremath{{{'^' if kind == '<super>' else '_'}{{{base}}}}}"
    base, *accents = unicodedata.normalize("NFD", character)
    if base.isascii() and len(accents) == 1 and accents[0] in ACCENTS:
        return f"{ACCENTS[accents[0]]}{{{base}}}"
    return f"[U+{ord(character):04X}]"


def escape(text):
    """Text without a command in it; hyphens and quotes are kept from joining up."""
    return "".join(ESCAPED.get(c, c) for c in printable(text))


def heading(block, level, output):
    return f"\\{HEADINGS[level + block.depth - 1]}{{{escape(block.text)}}}"


def paragraph(block, level, output):
    return escape(block.text)


def code(block, level, output):
    """Verbatim, which its own ending must not end."""
    text = printable(block.text).rstrip("\n").replace("\\end{verbatim}", "\\end {verbatim}")
    return f"{{\\scriptsize\n\\begin{{verbatim}}\n{text}\n\\end{{verbatim}}\n}}"


def table(block, level, output):
    """One tabular for each page's worth of rows, made smaller where it is wider than the page."""
    parts = [table_part(block, start) for start in range(0, max(len(block.rows), 1), TABLE_ROWS)]
    caption = [f"{escape(block.caption)}"] if block.caption else []
    return "\n\n".join([*caption, *parts])


def table_part(block, start):
    places = "".join("r" if is_right(column) else "l" for column in block.columns)
    lines = [" & ".join(cell(column_title(column)) for column in block.columns) + r" \\ \hline"]
    for number, row in enumerate(block.rows[start : start + TABLE_ROWS], start):
        bold = number == block.marked
        lines.append(" & ".join(f"\\textbf{{{cell(text)}}}" if bold else cell(text) for text in row) + r" \\")
    body = "\n".join([f"\\begin{{tabular}}{{{places}}}", *lines, "\\end{tabular}"])
    return f"\\resizebox{{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}}{{!}}{{%\n{body}}}"


def cell(text):
    return escape(str(text).replace("\n", " "))


def picture(block, level, output):
    return (
        f"\\begin{{center}}\n\\includegraphics[width=\\textwidth,height=0.4\\textheight,keepaspectratio]"
        f"{{{file_name(output, block)}}}\n\n{{\\small {escape(block.caption)}}}\n\\end{{center}}"
    )


def write_pictures(blocks, output):
    """Write the pictures that `render` names; returns their paths."""
    paths = []
    for block in blocks:
        if isinstance(block, Picture):
            paths.append(output.parent / file_name(output, block))
            block.draw(paths[-1])
    return paths


RENDERERS = {Heading: heading, Paragraph: paragraph, Code: code, Table: table, Picture: picture}
