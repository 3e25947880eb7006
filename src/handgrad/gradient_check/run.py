"""The whole check, from the code under test to the report."""

import contextlib
import inspect
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Generator
from ..derivatives.graph import draw_graph
from ..derivatives.numeric import Differentiator, choose_entries
from ..user_code.arguments import Gradients, Settings, Wanted, name_of
from ..user_code.faults import CodeFault
from ..user_code.recognize import recognize
from ..user_code.subjects import Subject
from .compare import compare_array, rounding_floors
from .conduct import check_conduct
from .mending import follow_backward
from .mistakes import Case, diagnose, unexplained
from .models import check_layers
from .reference import compare_forward
from .report import Report
from .verdict import Fault, Guess, Verdict
from .vocabulary import Clue

EVERY_ENTRY = 1000  # arrays up to this size are checked entry by entry
FEWEST = 5  # of each array, however long it takes
DRAWN, AROUND = 200, 12  # entries of all arrays, for a graph; lines shown about a wrong one
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
    first = target[0] if isinstance(target, (tuple, list)) and target else target
    report = Report(target=name_of(first), seed=limits.seed)
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
            report.verdicts.append(Fault("", fault.mistake, fault.message, fault.evidence, line=fault.line))
        if subject:
            by_layers = check_layers(subject, report, partial(check_part, limits))
            right = [name for name, check in report.arrays.items() if check.ok]
            look_at_source = partial(follow_backward, subject, cases, right)
            report.verdicts[:] = final_verdicts(report.verdicts, by_layers, list(cases), look_at_source)
            report.num_forwards += subject.num_forwards
    if other_values is not None:
        report.verdicts.insert(0, other_values)
    report.code = lines_around(target, {v.line for v in report.verdicts if v.line})
    few = sum(check.size for check in report.arrays.values()) <= DRAWN
    if few and not any(isinstance(v, Fault) for v in report.verdicts):
        report.draw = partial(graph_of, target, arrays, kwargs, limits.seed)
    report.seconds = time.perf_counter() - started
    return report


def lines_around(target: Any, wrong: set[int]) -> list[tuple[int, str]]:
    """The function of the target in which wrong lines stand, or a few lines about them: (number, text) each."""
    parts = list(target) if isinstance(target, (tuple, list)) else [getattr(type(target), "backward", None), target]
    for part in reversed(parts):
        try:
            lines, first = inspect.getsourcelines(inspect.unwrap(part))
        except (TypeError, OSError):
            continue
        numbered = list(enumerate(textwrap.dedent("".join(lines)).splitlines(), first))
        if wrong & {number for number, _ in numbered}:
            return [(n, text) for n, text in numbered if min(abs(n - line) for line in wrong) <= AROUND]
    return []


def graph_of(target: Any, arrays: Sequence[Any], kwargs: Settings, seed: int) -> str:
    """The computational graph as SVG; '' where it cannot be drawn."""
    try:
        return draw_graph(target, *arrays, kwargs=kwargs, seed=seed).svg
    except Exception:  # the code under test is somebody's: its faults are in the report already
        return ""


def check_part(limits: Limits, layer: Any, *arrays: Array) -> Report:
    return run_check(layer, arrays, None, None, None, limits)


def generator(seed: int) -> Generator:
    """A stream of our own: with plain default_rng(seed) dy would equal an x that was drawn from the same seed."""
    return np.random.default_rng([seed, 0x67726164])


def examine(subject: Subject, report: Report, limits: Limits) -> dict[str, Case]:
    """Conduct first (what makes numbers meaningless), then each array's numbers. Returns the wrong ones as cases."""
    rng = generator(limits.seed)
    upstreams, gradients = check_conduct(subject, report, rng)
    try:
        cases = compared(subject, report, limits, upstreams, gradients, rng)
    except CodeFault as fault:
        if fault.mistake != "forward-raises":
            raise
        beside = "at arrays a little beside those given, which it takes: choose some that are further inside"
        raise CodeFault(fault.mistake, f"{fault.message}, {beside}", fault.evidence, fault.line) from fault
    for name, case in cases.items():
        found: list[Verdict] = []
        with contextlib.suppress(CodeFault):  # of a forward on other arrays, which it need not take
            found = diagnose(case)
        if not found and name not in {v.array for v in report.verdicts}:
            found = [unexplained(case)]
        for verdict in found:
            report.add(verdict)
    return cases


def compared(
    subject: Subject,
    report: Report,
    limits: Limits,
    upstreams: Sequence[Array],
    gradients: Sequence[Gradients],
    rng: Generator,
) -> dict[str, Case]:
    """The arrays whose gradients are not the numeric ones; what is found of each goes to the report."""
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
    return cases


def final_verdicts(
    found: list[Verdict],
    by_layers: list[Verdict] | None,
    wrong: Sequence[str],
    follow: Callable[[], list[Verdict]],
) -> list[Verdict]:
    """What the report says in the end; nothing else decides it.

    Of a model, what its layers say. Else what was found in conduct and numbers; where the backward can be followed in
    its source, what is said of wrong arrays gets its place there: one verdict for each place, which names all arrays
    that it makes wrong. A mere effect on the whole code gives way to the places.
    """
    verdicts = found if by_layers is None else by_layers
    told_by_layers = by_layers is not None and any(v.array or v.clue is not Clue.EFFECT for v in by_layers)
    if told_by_layers or not wrong:
        return verdicts
    order = list(wrong)
    places = sorted(follow(), key=lambda place: order.index(arrays_of(place)[0]))
    placed = {name for place in places for name in arrays_of(place)}
    others = [v for v in verdicts if v.array not in placed and (v.array or not places or v.clue is not Clue.EFFECT)]
    return [*others, *(verdict for place in places for verdict in named(place, verdicts))]


def named(place: Verdict, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """A place in the source under the name that says most, that of the numbers or its own.

    The numbers name the mistake where they say one cause of all arrays that go wrong there, or where only one array
    does; but a guess of theirs gives way to a change of the source that mends everything. That names the mistake too
    where the numbers say different things. Where neither tells a cause, it is called by what the numbers show.
    """
    arrays = arrays_of(place)
    near = [v for v in verdicts if v.array in (*arrays, "")]
    causes = [v for v in near if v.array and v.clue in (Clue.CAUSE, Clue.CHANGE)]
    conduct = [v for v in causes if v.mistake in OF_CONDUCT]
    if len(arrays) == 1 and 0 < len(conduct) < len(causes):  # another mistake, which this change does not mend
        return [*conduct, *named(place, [v for v in verdicts if v not in conduct])]
    effects = [v for v in near if v.clue is Clue.EFFECT]
    mends = bool(place.fix) and place.clue is Clue.CAUSE
    agree = len({v.mistake for v in causes}) == 1 and len(causes) == len(arrays)
    is_slip = place.mistake == "formula-slip" and all(v.mistake in (*COUNTS, "one-branch") for v in causes)
    is_name = place.mistake not in MERE_CHANGES or is_slip
    names_it = place.mistake == "factor-missing" or (bool(place.fix) and is_name)
    guess = names_it and any(may_be_chance(v, place) for v in causes)
    if len(arrays) == 1 and causes and not guess:
        return [under_name(place, cause, cause.message) for cause in causes]
    if agree and not guess:
        return [under_name(place, causes[0], place.message)]
    if mends or ((place.fix or place.clue in (Clue.CAUSE, Clue.CHANGE)) and not effects):
        return [place if place.evidence else replace(place, evidence=[*causes, *near][0].evidence)]
    name = [*effects, *causes, *near][0]
    if name.mistake == "unexplained":
        return [replace(place, evidence=name.evidence)]
    told = len(arrays) == 1 and name.clue is not Clue.NOTHING
    return [under_name(place, name, name.message if told else place.message)]


OF_CONDUCT = "stale-cache", "cache-modified", "gradient-accumulated", "nondeterministic-backward"
MERE_CHANGES = "term-missing", "formula-slip", "wrong-derivative", "partly-missing"  # a guess may have a better name
COUNTS = ("batch-size-factor", "class-count-factor", "element-count-factor", "kernel-area-factor", "not-averaged")
# what a count may be as a change
OF_COUNTS = *COUNTS, "not-summed", "factor-missing", "extra-product", "keyword-factor", "constant-factor", "factor-two"


def may_be_chance(cause: Verdict, place: Verdict) -> bool:
    """Whether what the numbers say gives way to a change of another name that mends everything."""
    change = place.mistake
    if cause.mistake == change:
        return False
    if cause.mistake == "keyword-ignored" and cause.variable:
        return cause.variable not in place.fix
    if cause.mistake == "one-branch" and change == "formula-slip":  # both branches are there, and one is wrong
        return True
    if cause.mistake in (*COUNTS, "gradient-missing") and not isinstance(cause, Guess):  # a factor that equals a count
        return change not in OF_COUNTS or (cause.mistake, change) == ("class-count-factor", "batch-size-factor")
    if (cause.mistake, change) == ("keyword-factor", "kernel-area-factor"):  # by a size that is due squared
        return True
    if cause.mistake == "penalty-missing":
        return change not in ("term-missing", "term-too-many")
    return isinstance(cause, Guess) or cause.mistake == "reversed"


def under_name(place: Verdict, name: Verdict, message: str) -> Verdict:
    return replace(place, mistake=name.mistake, message=message, evidence=name.evidence or place.evidence)


def arrays_of(verdict: Verdict) -> list[str]:
    """The arrays that a verdict is on."""
    return verdict.array.split(", ")


def plan_entries(numbers: Differentiator, gradients: Gradients, limits: Limits) -> tuple[dict[str, Array], float]:
    """({name: entries to differentiate by}, seconds it should take): fewer of each where it would take too long."""
    _, max_entries, seconds = limits
    arrays, names = numbers.real.arrays, numbers.subject.names
    most = {n: arrays[n].size for n in names}
    most = {n: size if size <= max(EVERY_ENTRY, max_entries) else max_entries for n, size in most.items()}
    if (cost := sum(most[n] * numbers.seconds_per_entry(n) for n in names)) > seconds:
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
