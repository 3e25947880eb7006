"""The whole check, from the code under test to the report."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Generator
from .compare import compare_array, rounding_floors
from .conduct import check_conduct
from .derivatives import Differentiator, choose_entries
from .mending import follow_backward
from .mistakes import Case, diagnose, unexplained
from .models import check_layers
from .recognize import recognize
from .reference import compare_forward
from .report import Report
from .subjects import Gradients, Settings, Subject, Wanted, name_of
from .verdict import CodeFault, Verdict
from .vocabulary import Clue

EVERY_ENTRY = 1000  # arrays up to this size are checked entry by entry
FEWEST = 5  # of each array, however long it takes
WORTH_A_BAR = 2.0  # seconds a check must be expected to take
BAR_WIDTH = 30


class Limits(NamedTuple):
    """What a check may take, and the seed of its random numbers."""

    seed: int
    max_entries: int
    seconds: float


def run_check(
    target: Any,
    arrays: Sequence[Any],
    wrt: Wanted,
    kwargs: Settings,
    loss: Any,
    limits: Limits,
    reference: Any = None,
) -> Report:
    """The report of one check: see check_gradients."""
    started = time.perf_counter()
    report = Report(target=name_of(target), seed=limits.seed)
    subject: Subject | None = None
    cases: dict[str, Case] = {}
    other_values: Verdict | None = None
    with np.errstate(all="ignore"):
        try:
            subject = recognize(target, arrays, kwargs, wrt, loss, limits.seed)
            report.target = subject.label
            if reference is not None:
                report.reference, other_values = compare_forward(subject, reference, generator(limits.seed))
            cases = examine(subject, report, limits)
        except CodeFault as fault:
            report.verdicts.append(fault.verdict)
        if subject:
            by_layers = check_layers(subject, report, partial(check_part, limits))
            right = [name for name, check in report.arrays.items() if check.ok]
            look_at_source = partial(follow_backward, subject, cases, right)
            report.verdicts[:] = final_verdicts(report.verdicts, by_layers, list(cases), look_at_source)
            report.num_forwards += subject.num_forwards
    if other_values is not None:
        report.verdicts.insert(0, other_values)
    report.seconds = time.perf_counter() - started
    return report


def check_part(limits: Limits, layer: Any, *arrays: Array) -> Report:
    return run_check(layer, arrays, None, None, None, limits)


def generator(seed: int) -> Generator:
    """A stream of our own: with plain default_rng(seed) dy would equal an x that was drawn from the same seed."""
    return np.random.default_rng([seed, 0x67726164])


def examine(subject: Subject, report: Report, limits: Limits) -> dict[str, Case]:
    """Conduct first (what makes numbers meaningless), then each array's numbers. Returns the wrong ones as cases."""
    rng = generator(limits.seed)
    upstreams, gradients = check_conduct(subject, report, rng)
    numbers = Differentiator(subject, upstreams, rng)
    plan, expected = plan_entries(numbers, gradients[0], limits)
    floors = rounding_floors(numbers, gradients[0])
    bar = Bar(sum(map(len, plan.values())), expected >= WORTH_A_BAR and sys.stderr.isatty())
    numbers.on_entry = bar.step
    cases = {}
    for name in subject.names:
        check, numeric = compare_array(numbers, gradients, name, plan[name], floors[name])
        report.arrays[name] = check
        if not check.ok:
            cases[name] = Case(numbers, gradients, check, numeric)
    bar.wipe()
    for name, case in cases.items():
        found = diagnose(case)
        if not found and name not in {v.array for v in report.verdicts}:
            found = [unexplained(case)]
        for verdict in found:
            report.add(verdict)
    return cases


def final_verdicts(
    found: list[Verdict],
    by_layers: list[Verdict] | None,
    wrong: Sequence[str],
    follow: Callable[[], list[Verdict]],
) -> list[Verdict]:
    """What the report says in the end.

    Of a model what its layers say; else what was found in the numbers, each with its place in the source, as far as the
    backward can be followed there: one verdict for each place, that names all arrays which it makes wrong.
    """
    verdicts = found if by_layers is None else by_layers
    if not wrong or (by_layers is not None and any(v.array or v.clue is not Clue.EFFECT for v in by_layers)):
        return verdicts
    order = list(wrong)
    placed = sorted(follow(), key=lambda verdict: order.index(verdict.array.split(", ")[0]))
    followed = {name for verdict in placed for name in verdict.array.split(", ")}
    kept = [v for v in verdicts if v.array not in followed and (v.array or not placed or v.clue is not Clue.EFFECT)]
    return [*kept, *(verdict for place in placed for verdict in named(place, verdicts))]


def named(place: Verdict, by_numbers: Sequence[Verdict]) -> list[Verdict]:
    """A place under the name that says most.

    What the numbers say of every array that goes wrong there is the mistake's name; where they say different things of
    them, it is that of the change which mends all of them; where neither says a cause, what the numbers show.
    """
    arrays = place.array.split(", ")
    near = [v for v in by_numbers if v.array in (*arrays, "")]
    said = [v for v in near if v.array and v.clue in (Clue.CAUSE, Clue.CHANGE)]
    shown = [v for v in near if v.clue is Clue.EFFECT]
    alone = len(arrays) == 1
    if said and (alone or (len({v.mistake for v in said}) == 1 and len(said) == len(arrays))):
        names = said if alone else said[:1]
    elif (place.clue is Clue.CAUSE and (place.fix or not shown)) or (place.clue is Clue.CHANGE and not shown):
        return [place]
    else:
        names = [*shown, *said, *near][:1]
    return [
        joined(place, name, name.message if alone and name.clue is not Clue.NOTHING else place.message)
        for name in names
    ]


def joined(place: Verdict, name: Verdict, message: str) -> Verdict:
    """A place under a name."""
    return replace(place, mistake=name.mistake, message=message, evidence=name.evidence or place.evidence)


def plan_entries(numbers: Differentiator, gradients: Gradients, limits: Limits) -> tuple[dict[str, Array], float]:
    """({name: entries to differentiate by}, seconds it should take): fewer of each where it would take too long."""
    _, max_entries, seconds = limits
    arrays, names = numbers.real.arrays, numbers.subject.names
    most = {n: arrays[n].size for n in names}
    most = {n: size if size <= max(EVERY_ENTRY, max_entries) else max_entries for n, size in most.items()}
    cost = sum(most[n] * numbers.seconds_per_entry(n) for n in names)
    if cost > seconds:
        most = {n: max(FEWEST, int(count * seconds / cost)) for n, count in most.items()}
    return {n: choose_entries(arrays[n], gradients[n], numbers.rng, most[n]) for n in names}, min(cost, seconds)


@dataclass
class Bar:
    """A bar on standard error for checks that take a while; nothing in a pipe or a notebook's log.

    It counts entries, is drawn at most ten times a second, and wiped at the end.
    """

    total: int
    visible: bool
    done: int = 0
    drawn: float = 0.0  # when

    def step(self) -> None:
        self.done += 1
        if self.visible and time.monotonic() - self.drawn > 0.1:
            filled = BAR_WIDTH * self.done // max(self.total, 1)
            bar = "█" * filled + "·" * (BAR_WIDTH - filled)
            sys.stderr.write(f"\rchecking {bar} {self.done:,} of {self.total:,} entries")
            sys.stderr.flush()
            self.drawn = time.monotonic()

    def wipe(self) -> None:
        if self.visible:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
