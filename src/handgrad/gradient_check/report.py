"""The report of a check: what it found, as lines for the terminal and as a page."""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import html
from ..arrays import Array
from ..heat_map import colour_bar, heat_map, scatter
from ..html import Markup, escape, mark
from ..text import aligned, line_width
from .verdict import ArrayCheck, Kink, Verdict, entry

SHOWN_KINKS = 3
UNSEEN = "a wrong forward with its own right backward passes without reference="
MANY_ARRAYS = 16
MOST_REMARKS = 60


@dataclass(repr=False)
class Report:
    """The outcome of a check; `print(report)` shows it, `to_html()` draws it, `report["weight"]` is one array's.

    Attributes
    ----------
    target : str
        The name of what was checked.
    arrays : dict of str to ArrayCheck
        Each array's gradient beside the numeric one, by name.
    verdicts : list of Verdict
        What is wrong; empty when everything is right.
    notes : list of str
        What else a reader should know.
    unchecked : list of str
        The names of arrays that a layer keeps, and that move y, without a gradient that could be checked.
    num_forwards : int
        How often the forward ran.
    seconds : float
        How long the check took.
    seed : int
        The seed of its random numbers.
    reference : str
        What the forward's values were compared with; '' if nothing.
    hints : str
        How much it tells: "none", "where", "what" or "fix".
    code : list of (int, str)
        The lines, with their numbers in the file, around those that are wrong; none where their place is not known.
    draw : callable, optional
        Returns the computational graph as SVG, for the page; None where it is not to be shown.
    """

    target: str
    arrays: dict[str, ArrayCheck] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    num_forwards: int = 0
    seconds: float = 0.0
    seed: int = 0
    reference: str = ""
    hints: str = "fix"
    code: list[tuple[int, str]] = field(default_factory=list)
    draw: Callable[[], str] | None = None

    @property
    def ok(self) -> bool:
        """Whether every gradient that the code gives is right."""
        return not self.verdicts

    def add(self, verdict: Verdict) -> None:
        """Note a verdict, once."""
        if (verdict.array, verdict.mistake) not in {(v.array, v.mistake) for v in self.verdicts}:
            self.verdicts.append(verdict)

    @property
    def kinks(self) -> list[Kink]:
        """The entries of all arrays that stand on a kink or near one."""
        return [kink for check in self.arrays.values() for kink in check.kinks]

    @property
    def max_error(self) -> float:
        """The largest error of any array: 0.0 when nothing was compared."""
        return max((check.error for check in self.arrays.values() if np.isfinite(check.error)), default=0.0)

    def __getitem__(self, name: str) -> ArrayCheck:
        """One array's gradient beside the numeric one."""
        return self.arrays[name]

    def __str__(self) -> str:
        """The outcome, a line per array, then the verdicts, what sampling leaves open, kinks, notes and cost."""
        lines = [f"{'?' if self.ok and self.unchecked else tick(self.ok)} {title_of(self)}", *array_lines(self)]
        for verdict in distinct(self):
            lines += verdict_lines(verdict, self.hints)
        lines += [f"  · {name}: {check.coverage}" for name, check in self.arrays.items() if check.coverage]
        lines += [f"  · {kink}" for kink in self.kinks[:SHOWN_KINKS]]
        if len(self.kinks) > SHOWN_KINKS:
            lines.append(f"  · and {count(len(self.kinks) - SHOWN_KINKS, 'more entry', 'more entries')} at kinks")
        lines += [line for note in self.notes for line in wrapped(note, "  · ", "    ")]
        return "\n".join([*lines, *wrapped(cost(self), "  ", "  ")])

    def __repr__(self) -> str:
        return f"<Report on {self.target}: {outcome(self)}>"

    def to_html(self) -> str:
        """One self-contained page: the verdicts, and the deviation of each array as a heat map."""
        return render(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page's content under smaller headings, without its style."""
        return f"<div>{section(replace(self, draw=None))}</div>".replace("h1>", "h4>").replace("h2>", "h5>")

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays' numbers as plain data, which JSON can hold: what is not finite is None.

        Returns
        -------
        dict
            ok, target, hints, reference, arrays (a list: name, shape, size, method, error, direction_error, threshold,
            num_checked, ok, num_kinks and the first kinks), verdicts (a list of their fields, with the mistake's
            lesson, advice and link), notes, unchecked, num_forwards, seconds, seed.

        Examples
        --------
        >>> Report("mine", seed=3).to_dict()["seed"]
        3
        """
        facts = {name: plain(value) for name, value in vars(self).items() if name not in ("code", "draw")}
        arrays = [array_data(check) for check in self.arrays.values()]
        verdicts = [verdict_data(verdict, self.hints) for verdict in distinct(self)]
        return {"ok": self.ok, **facts, "arrays": arrays, "verdicts": verdicts}


# As plain data --------------------------------------------------------------------------------------------------


def array_data(check: ArrayCheck) -> dict[str, Any]:
    fields = ("name", "shape", "size", "method", "error", "direction_error", "threshold", "num_checked", "ok")
    kinks = [{key: plain(value) for key, value in vars(kink).items() if key != "array"} for kink in check.kinks]
    summary = {name: plain(getattr(check, name)) for name in fields}
    return {**summary, "num_kinks": len(kinks), "kinks": kinks[:MOST_REMARKS]}


def verdict_data(verdict: Verdict, hints: str) -> dict[str, Any]:
    facts, term = {name: plain(value) for name, value in vars(verdict).items()}, verdict.term
    return {**facts, "lesson": term.lesson, "advice": term.advice if hints == "fix" else "", "link": term.link}


def plain(value: Any) -> Any:
    """A figure, or a tuple of them, as JSON can hold it."""
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


# As lines -------------------------------------------------------------------------------------------------------


def tick(ok: bool) -> str:
    return "✓" if ok else "✗"


def cost(report: Report) -> str:
    """What the check took, and what it has or has not seen of the forward itself."""
    spent = f"{count(report.num_forwards, 'forward')}, {report.seconds:.2f} s, seed {report.seed}"
    if report.reference:
        return f"{spent}; y was compared with that of {report.reference}"
    return f"{spent}; {UNSEEN}" if report.ok else spent


def outcome(report: Report) -> str:
    if report.ok and report.unchecked:
        return f"right, but {', '.join(report.unchecked)} could not be checked"
    if report.ok:
        return "every gradient is right"
    wrong = sum(not check.ok for check in report.arrays.values())
    verdicts = count(len(distinct(report)), "verdict")
    return f"{count(wrong, 'wrong gradient')}, {verdicts}" if wrong else verdicts


def array_lines(report: Report) -> list[str]:
    """One aligned line per array; in a large model the right ones share a line."""
    folds, checks = len(report.arrays) > MANY_ARRAYS, report.arrays.values()
    shown, folded = ([c for c in checks if (folds and c.ok) is is_folded] for is_folded in (False, True))
    rows = [(f"{tick(c.ok)} {c.name}", sides(c), error(c), c.method, coverage(c)) for c in shown]
    lines = [f"  {line}" for line in aligned([""] * 5, rows)[1:]]
    if folded:
        lines.append(f"  ✓ {count(len(folded), 'array')} right, largest error {max(c.error for c in folded):.1e}")
    return lines


def sides(check: ArrayCheck) -> str:
    return "×".join(map(str, check.shape)) or "one number"


def error(check: ArrayCheck) -> str:
    if check.error == check.error:
        return f"error {check.error:.1e}"
    return "wrong" if check.numeric is None else "no numbers to compare"


def coverage(check: ArrayCheck) -> str:
    if check.num_checked == check.size:
        return "all entries"
    return f"{check.num_checked:,} of {check.size:,} entries" if check.num_checked else ""


def distinct(report: Report) -> list[Verdict]:
    """The verdicts, those that say the same of several arrays as one: a line of the source may be wrong for many."""
    said: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in report.verdicts:
        said.setdefault((verdict.mistake, verdict.message), []).append(verdict)
    return [replace(group[0], array=", ".join(dict.fromkeys(v.array for v in group))) for group in said.values()]


def verdict_lines(verdict: Verdict, hints: str) -> list[str]:
    said = [line for words in paragraphs(verdict, hints) for line in wrapped(words, "      ", "      ")]
    return [f"  → {verdict.title}", *said]


def paragraphs(verdict: Verdict, hints: str) -> list[str]:
    """What is told of a mistake below its name."""
    term, told = verdict.term, [verdict.message]
    told += [f"right: {verdict.fix}"] if verdict.fix else []
    told += [] if hints != "fix" else [term.lesson if verdict.fix else term.lesson_and_advice]
    return told + ([f"evidence: {verdict.evidence}"] if verdict.evidence else [])


def wrapped(words: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(words, line_width(), initial_indent=first, subsequent_indent=then) or [first.rstrip()]


def count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


# As a page ------------------------------------------------------------------------------------------------------


def render(*reports: Report) -> str:
    """The whole page as a string; several reports stand one below the other."""
    return page_of((title_of(report), section(report)) for report in reports)


def page_of(parts: Iterable[tuple[str, str]]) -> str:
    """The page of several reports' titles and sections: a list of them first, where they are more than one."""
    titles, sections = zip(*parts, strict=True)
    if len(sections) == 1:
        return html.page(titles[0], "<main>", *sections, "</main>")
    wrong = [mark(False) in text.partition("</h1>")[0] for text in sections]
    summary = f"{count(len(sections), 'check')}: {sum(wrong) or 'none'} with something wrong"
    links = (Markup(f'<a href="#check-{i}">{escape(title)}</a>') for i, title in enumerate(titles))
    rows = [(mark(not is_wrong), link) for is_wrong, link in zip(wrong, links, strict=True)]
    listed = html.table(("", "check"), rows, "checks")
    lower = (text.replace("h3>", "h4>").replace("h2>", "h3>").replace("h1>", "h2>") for text in sections)
    below = (f'<section id="check-{i}">{text}</section>' for i, text in enumerate(lower))
    return html.page(summary, f"<main><h1>{escape(summary)}</h1>", listed, *below, "</main>")


def title_of(report: Report) -> str:
    return f"{report.target}: {outcome(report)}"


def section(report: Report) -> str:
    head = f"<h1>{mark(report.ok)} {escape(title_of(report))}</h1>"
    verdicts = [verdict_block(v, report.hints) for v in distinct(report)]
    source = code_block(report)
    told = f'<div class="beside"><div>{"".join(verdicts)}</div>{source}</div>' if source else "".join(verdicts)
    maps = map(heat_maps, report.arrays.values())
    arrays = "".join([array_table(report), *maps])
    both = "".join(f"<div>{part}</div>" for part in (arrays, drawing(report)) if part)
    return "".join([head, told, f'<div class="abreast">{both}</div>', remarks(report), footer(report)])


def verdict_block(found: Verdict, hints: str) -> str:
    message, *more = map(escape, paragraphs(found, hints))
    kinds = ["evidence" if words.startswith(("right: ", "evidence: ")) else "quiet" for words in more]
    said = "".join(f'<p class="{kind}">{words}</p>' for kind, words in zip(kinds, more, strict=True))
    title = escape(found.title.replace(found.mistake, found.mistake.replace("-", " "), 1))
    slug = f'<code class="slug">{escape(found.mistake)}</code>'
    return f'<div class="verdict"><b>{title}</b> {slug}<p>{message}</p>{said}</div>'


def code_block(report: Report) -> str:
    """The code with its wrong lines marked."""
    wrong = {verdict.line for verdict in report.verdicts}
    kinds = ((" class=wrong" if number in wrong else "", number, escape(text)) for number, text in report.code)
    lines = "".join(f"<span{kind}><i>{number}</i> {text}\n</span>" for kind, number, text in kinds)
    return f'<pre class="code" tabindex="0" aria-label="the code, wrong lines marked">{lines}</pre>' if lines else ""


def drawing(report: Report) -> str:
    """The computational graph, with what the backward gets wrong in red, where it is small enough to draw."""
    svg = report.draw() if report.draw is not None and not report.ok else ""
    label = 'tabindex="0" role="region" aria-label="the graph"'
    return f'<h2>The graph</h2><div class="wide" {label}>{svg}</div>' if svg else ""


def array_table(report: Report) -> str:
    if not report.arrays:
        return ""
    checks = report.arrays.values()
    names = (Markup(f"{mark(check.ok)}&nbsp;{escape(check.name)}") for check in checks)
    rows = [(n, sides(c), figure(c), c.method, coverage(c)) for n, c in zip(names, checks, strict=True)]
    columns = ("array", "shape", ">relative error", "by", "checked")
    wrong = [i for i, check in enumerate(checks) if not check.ok]
    return "<h2>Arrays</h2>" + html.table(columns, rows, "gradients by array", marked=wrong)


def figure(check: ArrayCheck) -> str:
    """The error as a plain number where it has few digits."""
    if not check.error:
        return "0"
    return f"{check.error:.2g}" if 1e-3 <= check.error < 1e3 else error(check).removeprefix("error ")


def remarks(report: Report) -> str:
    said = [str(kink) for kink in report.kinks] + report.notes
    said += [f"{name}: {check.coverage}" for name, check in report.arrays.items() if check.coverage]
    lines = "".join(f"<li>{escape(words)}</li>" for words in said[:MOST_REMARKS])
    return f"<h2>Notes</h2><ul>{lines}</ul>" if said else ""


def footer(report: Report) -> str:
    return (
        f'<p class="quiet">{cost(report)}. '
        "The gradient is checked for random upstream gradients: by complex step where the forward allows it, else "
        "by extrapolated central differences. The relative error is |a - n| / (|a| + |n|) by norm, a what the code "
        "gives and n the numeric gradient. Made by handgrad.</p>"
    )


def heat_maps(check: ArrayCheck) -> str:
    """Yours, the right one and the difference, side by side; folded away where all is well."""
    if check.numeric is None or check.size == 0:
        return ""
    limit = float(np.abs(check.numeric[np.isfinite(check.numeric)]).max(initial=0.0))
    shown = {"yours (a)": check.analytic, "numeric (n)": check.numeric, "deviation a - n": check.deviation}
    given = {caption: array for caption, array in shown.items() if array is not None}
    maps = [heat_map(a, teller(check, a, check.numeric), limit, caption) for caption, a in given.items()]
    layout = f"The last of the axes {check.shape} lies across, the others down." if len(check.shape) > 2 else ""
    found = check.analytic
    if found is not None and found.shape == check.numeric.shape and not check.ok:
        maps.append(scatter(check.numeric, found, teller(check, found, check.numeric)))
    bar = colour_bar(limit, has_grey=bool(np.isnan(check.numeric).any()))
    return (
        f"<details{'' if check.ok else ' open'}><summary><b>{escape(check.name)}</b> as a map</summary>"
        f'{"".join(maps)}{bar}<p class="evidence">{layout}</p></details>'
    )


def teller(check: ArrayCheck, array: Array, numeric: Array) -> Callable[[int], str]:
    """index -> the text of a cell: place, value, and what was expected."""

    def tell(flat: int) -> str:
        words = f"{entry(check.name, np.unravel_index(flat, array.shape))} = {array.flat[flat]:.6g}"
        if array.shape == numeric.shape and array is not numeric and np.isfinite(numeric.flat[flat]):
            words += f" (numeric {numeric.flat[flat]:.6g})"
        return words

    return tell
