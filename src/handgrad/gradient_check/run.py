"""The whole check, from the code under test to the report."""

import sys
import time
from functools import partial

import numpy as np

from .compare import compare_array, rounding_floors
from .conduct import check_conduct, fresh_gradients
from .derivatives import Differentiator, choose_entries
from .mistakes import Case, diagnose
from .models import locate
from .recognize import recognize
from .repair import mend
from .verdict import CodeFault, Report, Verdict

EVERY_ENTRY = 1000  # arrays up to this size are checked entry by entry
FEWEST = 5  # of each array, however long it takes
SHOWN = {"constant-factor", "wrong-shape", "broadcast", "normalisation-terms", "not-passed-down"}
VAGUE = SHOWN | {"unexplained", "wrong-derivative"}  # of these the source may tell more
LITTLE = {"formula-slip", "shifted", "wrong-variable", "term-too-many", "statement-too-many", "statistics-constant"}


def run_check(target, arrays, wrt, kwargs, loss, seed, max_entries, seconds):
    """The report of one check: see check_gradients."""
    started = time.perf_counter()
    report = Report(target=getattr(target, "__name__", type(target).__name__), seed=seed)
    subject, cases = None, {}
    with np.errstate(all="ignore"):
        try:
            subject = recognize(target, arrays, kwargs, wrt, loss, seed)
            report.target = subject.label
            cases = examine(subject, report, generator(seed), max_entries, seconds)
        except CodeFault as fault:
            report.verdicts.append(fault.verdict)
        if subject:
            locate(subject, report, partial(check_part, seed=seed, max_entries=max_entries, seconds=seconds))
            look_at_source(subject, report, cases)
    report.num_forwards += subject.num_forwards if subject else 0
    report.seconds = time.perf_counter() - started
    return report


def check_part(layer, *arrays, seed, max_entries, seconds):
    return run_check(layer, arrays, None, None, None, seed, max_entries, seconds)


def generator(seed):
    """A stream of our own: with plain default_rng(seed) dy would equal an x that was drawn from the same seed."""
    return np.random.default_rng([seed, 0x67726164])


def examine(subject, report, rng, max_entries, seconds):
    """Conduct first (what makes numbers meaningless), then each array's numbers. Returns the wrong ones as cases."""
    upstreams, gradients = check_conduct(subject, report, rng)
    numbers = Differentiator(subject, upstreams, rng)
    plan, expected = plan_entries(subject, numbers, gradients[0], rng, max_entries, seconds)
    floors = rounding_floors(subject, upstreams, gradients, fresh_gradients, rng)
    numbers.progress = Bar(sum(map(len, plan.values())), expected)
    cases = {}
    for name in subject.names:
        check, numeric = compare_array(subject, numbers, upstreams, gradients, name, plan[name], floors[name])
        report.arrays[name] = check
        if not check.ok:
            cases[name] = Case(subject, numbers, upstreams, gradients, check, numeric)
    numbers.progress.wipe()
    for name, case in cases.items():
        for verdict in diagnose(case):
            if verdict.mistake != "unexplained" or name not in {v.array for v in report.verdicts}:
                report.add(verdict)
    return cases


def look_at_source(subject, report, cases):
    """Where numbers say little, the source may say more: the one line that, changed, makes the gradients right."""
    vague = {v.array or name for v in report.verdicts if v.mistake in VAGUE for name in cases}
    if not vague & set(cases):
        return
    right = [name for name, check in report.arrays.items() if check.ok]
    mended = mend(subject, cases, right, next(iter(cases.values())).y)
    if not mended.keys() & vague:
        return
    told = {v.array: v for v in report.verdicts if v.mistake in SHOWN}
    report.verdicts[:] = [v for v in report.verdicts if v.array not in mended and v.mistake != "not-passed-down"]
    for name, verdict in mended.items():
        first = told.get(name) or told.get("")
        report.add(both(first, verdict) if first and verdict.mistake in LITTLE else verdict)


def both(numbers, source):
    """One verdict of two: the name that the numbers gave it, and the line."""
    return Verdict(numbers.array, numbers.mistake, numbers.message, f"{source.message}; {source.evidence}")


def plan_entries(subject, numbers, gradients, rng, max_entries, seconds):
    """({name: entries to differentiate by}, seconds it should take): fewer of each where it would take too long."""
    arrays = numbers.real.arrays
    sizes = {n: arrays[n].size for n in subject.names}
    most = {n: size if size <= max(EVERY_ENTRY, max_entries) else max_entries for n, size in sizes.items()}
    cost = sum(most[n] * numbers.seconds_per_entry(n) for n in subject.names)
    if cost > seconds:
        most = {n: max(FEWEST, int(count * seconds / cost)) for n, count in most.items()}
    return {n: choose_entries(arrays[n], gradients[n], rng, most[n]) for n in subject.names}, min(cost, seconds)


WORTH_IT = 2.0  # seconds a check must be expected to take
WIDTH = 30


class Bar:
    """Counts entries; drawn at most ten times a second, and wiped at the end."""

    def __init__(self, total, expected_seconds):
        self.total, self.done, self.drawn = total, 0, 0.0
        self.visible = expected_seconds >= WORTH_IT and sys.stderr.isatty()

    def step(self):
        self.done += 1
        if self.visible and time.monotonic() - self.drawn > 0.1:
            filled = WIDTH * self.done // max(self.total, 1)
            bar = "█" * filled + "·" * (WIDTH - filled)
            sys.stderr.write(f"\rchecking {bar} {self.done:,} of {self.total:,} entries")
            sys.stderr.flush()
            self.drawn = time.monotonic()

    def wipe(self):
        if self.visible:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
