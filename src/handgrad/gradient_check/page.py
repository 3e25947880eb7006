"""A report as one self-contained page: verdicts first, then each array as heat maps."""

import html

import numpy as np

from .heat_map import heat_map
from .text import count, distinct, entries, error, outcome, shape

STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --paper: #fff; --soft: #f4f4f2; --line: #d9d9d4;
        --good: #1a7f37; --bad: #b3400e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #17181a; --soft: #222427; --line: #3a3d41; --good: #57c471; --bad: #ff9a62; }
}
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .8rem; } footer + h1 { margin-top: 4rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
code, td, figcaption, .evidence { font-family: ui-monospace, monospace; font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.verdict { border-left: 4px solid var(--bad); background: var(--soft); padding: .7rem 1rem; margin: .7rem 0;
           border-radius: 0 6px 6px 0; }
.verdict p { margin: .3rem 0 0; } .evidence { opacity: .75; }
table { border-collapse: collapse; width: 100%; } .scroll { overflow-x: auto; }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
figure { display: inline-block; margin: .4rem 1.4rem .4rem 0; vertical-align: top; max-width: 100%; overflow-x: auto; }
figcaption { opacity: .8; white-space: nowrap; } details { margin: .8rem 0; } summary { cursor: pointer; }
footer { margin-top: 2.5rem; opacity: .7; font-size: .85rem; }
"""


def render(*reports):
    """The whole page as a string; several reports stand one below the other."""
    title = html.escape(", ".join(f"{report.target}: {outcome(report)}" for report in reports))
    body = "".join(section(report) for report in reports)
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return (
        f'<!doctype html>\n<html lang="en"><head>{meta}<title>{title}</title><style>{STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def section(report):
    mark, kind = ("✓", "good") if report.ok else ("✗", "bad")
    head = f'<h1><span class="{kind}">{mark}</span> {html.escape(f"{report.target}: {outcome(report)}")}</h1>'
    return "".join(
        [
            head,
            *map(verdict, distinct(report)),
            table(report),
            *(pictures(check) for check in report.arrays.values()),
            remarks(report),
            footer(report),
        ]
    )


def verdict(found):
    where = f"{html.escape(found.array)}: " if found.array else ""
    evidence = f'<p class="evidence">{html.escape(found.evidence)}</p>' if found.evidence else ""
    message = f"<p>{html.escape(found.message)}</p>"
    return f'<div class="verdict"><strong>{where}{found.mistake}</strong>{message}{evidence}</div>'


def table(report):
    if not report.arrays:
        return ""
    rows = "".join(row(check) for check in report.arrays.values())
    names = ("", "array", "shape", "|a - n| / (|a| + |n|)", "by", "checked")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<h2>Arrays</h2><div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def row(check):
    mark, kind = ("✓", "good") if check.ok else ("✗", "bad")
    name, shown = html.escape(check.name), error(check).removeprefix("error ")
    cells = (f'<span class="{kind}">{mark}</span>', name, shape(check), shown, check.method, entries(check))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def pictures(check):
    """Yours, the right one and the difference, side by side; folded away where all is well."""
    if check.numeric is None or check.size == 0:
        return ""
    figures = []
    known = check.numeric[np.isfinite(check.numeric)]
    limit = float(np.abs(known).max(initial=0.0))
    if check.analytic is not None:
        figures.append(heat_map(check.analytic, teller(check, check.analytic), limit, "yours (a)"))
    figures.append(heat_map(check.numeric, teller(check, check.numeric), limit, "numeric (n)"))
    if check.deviation is not None:
        figures.append(heat_map(check.deviation, teller(check, check.deviation), limit, "deviation a - n"))
    state = "" if check.ok else " open"
    scale = f"full colour at ±{limit:.3g}; orange is positive, blue negative, grey unchecked"
    return (
        f"<details{state}><summary><strong>{html.escape(check.name)}</strong> as a map: {scale}</summary>"
        f'{"".join(figures)}<p class="evidence">{html.escape(layout(check))}</p></details>'
    )


def layout(check):
    if len(check.shape) < 3:
        return ""
    return f"The last of the axes {check.shape} lies across, the others down."


def teller(check, array):
    """index -> the text of a cell: place, value, and what was expected."""
    same_shape = array.shape == check.numeric.shape

    def tell(flat):
        index = ", ".join(str(int(i)) for i in np.unravel_index(flat, array.shape)) if array.ndim else ""
        words = f"{check.name}[{index}] = {array.flat[flat]:.6g}"
        if same_shape and array is not check.numeric and np.isfinite(check.numeric.flat[flat]):
            words += f" (numeric {check.numeric.flat[flat]:.6g})"
        return words

    return tell


def remarks(report):
    said = [str(kink) for kink in report.kinks] + report.notes
    said += [f"{name}: {check.coverage}" for name, check in report.arrays.items() if check.coverage]
    if not said:
        return ""
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{html.escape(words)}</li>" for words in said[:60]) + "</ul>"


def footer(report):
    return (
        f"<footer>{count(report.num_forwards, 'forward')}, {report.seconds:.2f} s, seed {report.seed}. "
        "The gradient is checked for random upstream gradients; by complex step where the forward allows it, else "
        "by "
        "extrapolated central differences. Made by handgrad.</footer>"
    )
