"""A report as a few lines for the terminal."""

import textwrap
from dataclasses import replace

from ..text import aligned

WIDTH = 110
SHOWN_KINKS = 3
MANY_ARRAYS = 16


def render(report):
    """The outcome, a line per array, then the verdicts, what sampling leaves open, kinks, notes and cost."""
    lines = [f"{'✓' if report.ok else '✗'} {report.target}: {outcome(report)}", *table(report)]
    for verdict in distinct(report):
        lines += verdict_lines(verdict)
    lines += [f"  · {name}: {check.coverage}" for name, check in report.arrays.items() if check.coverage]
    lines += [f"  · {kink}" for kink in report.kinks[:SHOWN_KINKS]]
    if len(report.kinks) > SHOWN_KINKS:
        lines.append(f"  · and {count(len(report.kinks) - SHOWN_KINKS, 'more entry', 'more entries')} at kinks")
    lines += [line for note in report.notes for line in wrapped(note, "  · ", "    ")]
    lines.append(f"  {count(report.num_forwards, 'forward')}, {report.seconds:.2f} s, seed {report.seed}")
    return "\n".join(lines)


def outcome(report):
    if report.ok:
        return "every gradient is right"
    wrong = [name for name, check in report.arrays.items() if not check.ok]
    parts = [count(len(wrong), "wrong gradient")] if wrong else []
    return ", ".join([*parts, count(len(distinct(report)), "verdict")])


def table(report):
    """One aligned line per array; in a large model the right ones share a line."""
    right = [check for check in report.arrays.values() if check.ok]
    folded = len(report.arrays) > MANY_ARRAYS
    rows = [
        (("✓" if check.ok else "✗") + " " + name, shape(check), error(check), check.method, entries(check))
        for name, check in report.arrays.items()
        if not (folded and check.ok)
    ]
    lines = [f"  {line}" for line in aligned([""] * 5, rows)[1:]]
    if folded and right:
        lines.append(f"  ✓ {count(len(right), 'array')} right, largest error {max(c.error for c in right):.1e}")
    return lines


def shape(check):
    return "×".join(map(str, check.shape)) or "one number"


def error(check):
    return f"error {check.error:.1e}" if check.error == check.error else "no numbers to compare"


def entries(check):
    if check.num_checked == check.size:
        return "all entries"
    return f"{check.num_checked:,} of {check.size:,} entries" if check.num_checked else ""


def distinct(report):
    """The verdicts, those that say the same of several arrays as one: a line of the source may be wrong for many."""
    said = {}
    for verdict in report.verdicts:
        said.setdefault((verdict.mistake, verdict.message), []).append(verdict)
    return [replace(group[0], array=", ".join(dict.fromkeys(v.array for v in group))) for group in said.values()]


def verdict_lines(verdict):
    head = f"  → {verdict.array + ': ' if verdict.array else ''}{verdict.mistake}"
    because = wrapped(verdict.evidence, "      evidence: ", "      ") if verdict.evidence else []
    return [head, *wrapped(verdict.message, "      ", "      "), *because]


def wrapped(words, first, then):
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=then) or [first.rstrip()]


def count(number, noun, plural=None):
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
