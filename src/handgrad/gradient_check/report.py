"""The report of a check: what it found, as lines for the terminal and as a page."""

import textwrap
from dataclasses import dataclass, field, replace

import numpy as np

from .. import html
from ..html import Markup, escape, mark
from ..text import aligned
from .heat_map import heat_maps
from .verdict import ArrayCheck, Kink, Verdict

WIDTH = 110
SHOWN_KINKS = 3
MANY_ARRAYS = 16
MOST_REMARKS = 60


@dataclass
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
    num_forwards : int
        How often the forward ran.
    seconds : float
        How long the check took.
    seed : int
        Of its random numbers.
    """

    target: str
    arrays: dict[str, ArrayCheck] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    num_forwards: int = 0
    seconds: float = 0.0
    seed: int = 0

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
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
        lines = [f"{tick(self.ok)} {self.target}: {outcome(self)}", *array_lines(self)]
        for verdict in distinct(self):
            lines += verdict_lines(verdict)
        lines += [f"  · {name}: {check.coverage}" for name, check in self.arrays.items() if check.coverage]
        lines += [f"  · {kink}" for kink in self.kinks[:SHOWN_KINKS]]
        if len(self.kinks) > SHOWN_KINKS:
            lines.append(f"  · and {count(len(self.kinks) - SHOWN_KINKS, 'more entry', 'more entries')} at kinks")
        lines += [line for note in self.notes for line in wrapped(note, "  · ", "    ")]
        return "\n".join([*lines, f"  {cost(self)}"])

    def to_html(self) -> str:
        """One self-contained page: the verdicts, and the deviation of each array as a heat map."""
        return render(self)


def tick(ok: bool) -> str:
    return "✓" if ok else "✗"


def cost(report: Report) -> str:
    return f"{count(report.num_forwards, 'forward')}, {report.seconds:.2f} s, seed {report.seed}"


def outcome(report: Report) -> str:
    if report.ok:
        return "every gradient is right"
    wrong = [name for name, check in report.arrays.items() if not check.ok]
    parts = [count(len(wrong), "wrong gradient")] if wrong else []
    return ", ".join([*parts, count(len(distinct(report)), "verdict")])


def array_lines(report: Report) -> list[str]:
    """One aligned line per array; in a large model the right ones share a line."""
    right = [check for check in report.arrays.values() if check.ok]
    folded = len(report.arrays) > MANY_ARRAYS
    rows = [
        (f"{tick(check.ok)} {name}", sides(check), error(check), check.method, coverage(check))
        for name, check in report.arrays.items()
        if not (folded and check.ok)
    ]
    lines = [f"  {line}" for line in aligned([""] * 5, rows)[1:]]
    if folded and right:
        lines.append(f"  ✓ {count(len(right), 'array')} right, largest error {max(c.error for c in right):.1e}")
    return lines


def sides(check: ArrayCheck) -> str:
    return "×".join(map(str, check.shape)) or "one number"


def error(check: ArrayCheck) -> str:
    return f"error {check.error:.1e}" if check.error == check.error else "no numbers to compare"


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


def verdict_lines(verdict: Verdict) -> list[str]:
    head = f"  → {verdict.array + ': ' if verdict.array else ''}{verdict.mistake}"
    because = wrapped(verdict.evidence, "      evidence: ", "      ") if verdict.evidence else []
    return [head, *wrapped(verdict.message, "      ", "      "), *because]


def wrapped(words: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=then) or [first.rstrip()]


def count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


# As a page ------------------------------------------------------------------------------------------------------


def render(*reports: Report) -> str:
    """The whole page as a string; several reports stand one below the other."""
    title = ", ".join(f"{report.target}: {outcome(report)}" for report in reports)
    return html.page(title, "<main>", *map(section, reports), "</main>")


def section(report: Report) -> str:
    head = f"<h1>{mark(report.ok)} {escape(f'{report.target}: {outcome(report)}')}</h1>"
    maps = map(heat_maps, report.arrays.values())
    parts = [head, *map(verdict_block, distinct(report)), array_table(report), *maps, remarks(report), footer(report)]
    return "".join(parts)


def verdict_block(found: Verdict) -> str:
    where = f"{escape(found.array)}: " if found.array else ""
    evidence = f'<p class="evidence">{escape(found.evidence)}</p>' if found.evidence else ""
    return f'<div class="verdict"><b>{where}{escape(found.mistake)}</b><p>{escape(found.message)}</p>{evidence}</div>'


def array_table(report: Report) -> str:
    if not report.arrays:
        return ""
    rows = [
        (Markup(f"{mark(check.ok)} {escape(name)}"), sides(check), figure(check), check.method, coverage(check))
        for name, check in report.arrays.items()
    ]
    columns = ("array", "shape", "|a - n| / (|a| + |n|)", "by", "checked")
    return "<h2>Arrays</h2>" + html.table(columns, rows, "gradients by array")


def figure(check: ArrayCheck) -> str:
    return error(check).removeprefix("error ")


def remarks(report: Report) -> str:
    said = [str(kink) for kink in report.kinks] + report.notes
    said += [f"{name}: {check.coverage}" for name, check in report.arrays.items() if check.coverage]
    lines = "".join(f"<li>{escape(words)}</li>" for words in said[:MOST_REMARKS])
    return f"<h2>Notes</h2><ul>{lines}</ul>" if said else ""


def footer(report: Report) -> str:
    return (
        f'<p class="quiet">{cost(report)}. '
        "The gradient is checked for random upstream gradients: by complex step where the forward allows it, else "
        "by extrapolated central differences. Made by handgrad.</p>"
    )
