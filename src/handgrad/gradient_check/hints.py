"""How much a report tells: a course may want the place shown and the answer kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .report import Report
from .verdict import Fault, Verdict

HINTS = {
    "none": "which arrays are wrong",
    "where": "and the variable and line where it begins",
    "what": "and the mistake's name and lesson, with the numbers",
    "fix": "and the line that would be right, with advice and evidence",
}


def keep_to(report: Report, hints: str) -> Report:
    """The report, with nothing left in it that tells more than these hints allow.

    A fault, such as an exception, is told in full always: it is no answer, and code must run before it can be mended.
    Below "what" the numbers of wrong arrays go as well, errors included, since their ratios name a factor; so do the
    slopes at kinks.
    """
    report.hints = hints
    if hints == "fix":
        return report
    report.verdicts[:] = dict.fromkeys(told for v in report.verdicts for told in kept(v, hints, report))
    if hints == "none":
        report.code.clear()
    if hints != "what":
        report.draw = None  # it shows true gradients
        for check in report.arrays.values():
            check.kinks.clear()
            check.numeric = None
            if not check.ok:
                check.error = check.direction_error = check.ties_error = np.nan
    return report


def kept(verdict: Verdict, hints: str, report: Report) -> list[Verdict]:
    """What of a verdict may be told; of several arrays one by one where not even their common cause may be."""
    if isinstance(verdict, Fault):
        return [verdict]
    if hints == "what":
        return [replace(verdict, message=verdict.term.lesson, evidence="", fix="")]
    names = verdict.array.split(", ")
    if hints == "none":
        return [Verdict(name, "not-named", wrongness([name], report)) for name in names]
    variable = {"": "", "return": ": look at the return"}.get(verdict.variable, f": look at {verdict.variable}")
    message = wrongness(names, report) + variable
    return [Verdict(verdict.array, "not-named", message, "", verdict.variable, verdict.line)]


def wrongness(names: Sequence[str], report: Report) -> str:
    """That the gradients by these arrays are wrong, or something else about them."""
    named = ", ".join(names)
    if not all(name in report.arrays and not report.arrays[name].ok for name in names):
        return f"something about {named or 'the code'} is wrong"
    return f"the gradients by {named} are wrong" if len(names) > 1 else f"the gradient by {named} is wrong"
