"""How much a report tells: a course may want the place shown and the answer kept."""

from dataclasses import replace

import numpy as np

from .report import Report
from .verdict import ArrayCheck, Fault, Verdict

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
    report.verdicts[:] = dict.fromkeys(kept(v, hints, report) for v in report.verdicts)
    if hints != "what":
        for check in report.arrays.values():
            withhold_numbers(check)
    return report


def kept(verdict: Verdict, hints: str, report: Report) -> Verdict:
    """What of a verdict may be told."""
    if isinstance(verdict, Fault):
        return verdict
    if hints == "what":
        return replace(verdict, message=verdict.term.lesson, evidence="", fix="")
    names = verdict.array.split(", ")
    wrong = [name for name in names if name in report.arrays and not report.arrays[name].ok]
    said = (
        f"the gradient{'s' * (len(names) > 1)} by {verdict.array}"
        if wrong == names
        else f"something about {verdict.array or 'the code'}"
    )
    message = f"{said} {'are' if len(wrong) > 1 else 'is'} wrong"
    if hints == "none":
        return Verdict(verdict.array, "not-named", message)
    message += f": look at {verdict.variable}" if verdict.variable else ""
    return Verdict(verdict.array, "not-named", message, "", verdict.variable, verdict.line)


def withhold_numbers(check: ArrayCheck) -> None:
    check.kinks.clear()
    check.numeric = None
    if not check.ok:
        check.error = check.direction_error = check.ties_error = np.nan
