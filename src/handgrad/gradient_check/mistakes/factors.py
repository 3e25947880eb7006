"""Right up to a number: signs, factors of known origin, single precision, and gradients that are not there."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ..verdict import Guess, Verdict
from .case import Case
from .elementwise import diagonal


def zero(case: Case) -> Verdict | None:
    """All zeros where something is due."""
    if np.any(case.found) or not np.any(case.expected):
        return None
    message = f"{case.label} is zero everywhere, as where it is never computed, or overwritten"
    return case.verdict("gradient-missing", message, f"expected norm {np.linalg.norm(case.expected[0]):.3g}")


def single_precision(case: Case) -> Verdict | None:
    """Errors of the size of float32's rounding."""
    error = np.linalg.norm(case.found - case.expected) / max(float(np.linalg.norm(case.expected)), 1e-300)
    least, most = (1e-10, 1e-4) if case.analytic[0].dtype == np.float32 else (3e-9, 1e-6)
    if not least < error < most:
        return None
    message = f"{case.label} is right to single precision only, as where something in the backward computes in float32"
    evidence = f"relative error {error:.2g}, of the size of float32's rounding, 6e-8"
    return case.verdict("float32-precision", message, evidence)


def constant(case: Case) -> Verdict | None:
    """One factor for all entries; its origin when it is a size, a keyword or a common number."""
    c = case.factor(case.expected)
    if c is None or abs(c - 1) < 1e-5:
        return None
    found = off_by(case, c, f"found / expected = {c:.6g} {case.everywhere}, for {len(case.dy)} upstream gradients")
    return None if case.array.size == 1 and found.mistake == "constant-factor" else found  # one number is any other's


def some_signs(case: Case) -> Verdict | None:
    """Right but for the sign of some entries."""
    other: Array = np.any(case.found * case.expected < 0, axis=0)
    if not case.same(np.where(other, -case.found, case.found), case.expected):
        return None
    message = f"{case.label} has the wrong sign in {np.count_nonzero(other)} of {other.size} entries"
    return Guess(case.name, "wrong-sign", message, case.deviates_most())


def off_by(case: Case, c: float, evidence: str, more: str = "") -> Verdict:
    """The verdict on a gradient that is c times what it should be; more is said at the end of its message."""
    if abs(c + 1) < 1e-6:
        return case.verdict("wrong-sign", f"{case.label} has the wrong sign{more}", evidence)
    message = f"{case.label} is {c:.6g} times what it should be"
    for rank, kind in enumerate(known_factors(case)):
        origins = [factor for factor in kind if factor.value and abs(c / factor.value - 1) < 1e-6]
        if origins:
            words = dict.fromkeys(factor.words for factor in origins)
            several = rank == 0 and len({factor.mistake for factor in origins}) > 1
            # a 2 may be the root of a size 4, which other arrays would not have
            several = several or (origins[0] in variants([TWO]) and any(4 in a.shape for a in case.arrays.values()))
            said = f"{message}: {' or '.join([*words][:2])}{more}"
            return (Guess if several else Verdict)(case.name, origins[0].mistake, said, evidence)
    return case.verdict("constant-factor", f"{message}{more}", evidence)


class Factor(NamedTuple):
    """A number that could have slipped in, and what it is."""

    mistake: str
    value: float
    words: str


def known_factors(case: Case) -> Iterator[list[Factor]]:
    """Kinds of numbers that could have slipped in, the most telling first; sizes where something is summed."""
    summed = diagonal(case) is None
    yield [*variants([*(sizes(case) if summed else ()), *made_of_numbers(case), TWO])]
    counts = element_counts(case) if summed else ()
    yield [*variants(Factor("element-count-factor", n, f"the number of elements {n}") for n in counts)]
    rates = (Factor("learning-rate-factor", v, f"a learning rate of {v:g}?") for v in (0.1, 0.01, 0.001, 1e-4))
    yield [*variants(rates)]
    m, last = case.batch_size, class_count(case)
    if case.y.ndim == 0 and last > 1:
        words = f"divided by the {last} classes, not by the {m} examples"
        yield [Factor("class-count-factor", m / last, words)]


def sizes(case: Case) -> Iterator[Factor]:
    """What a sum or a mean may have run over."""
    m, last = case.batch_size, class_count(case)
    yield Factor("batch-size-factor", m, f"the batch size {m}")
    yield from [TWO] if case.y.ndim == 0 else ()
    yield Factor("class-count-factor", last, f"the number of classes (or outputs) {last}")
    yield from (Factor("kernel-area-factor", area, f"the kernel's area {area}") for area in kernel_areas(case))


def made_of_numbers(case: Case) -> Iterator[Factor]:
    """A number that the forward was given, and what is made of a rate."""
    for name, value in case.numbers_given.items():
        odds = value / (1 - value) if value != 1 else 0
        if name.lower() in WINDOWS and case.y.ndim == 4 and value > 1:
            yield Factor("kernel-area-factor", value, f"the window's side {name} = {value:g}, where its area is due")
            continue
        made = ((value, name), (1 - value, f"1 - {name}"), (1 + value, f"1 + {name}"), (odds, f"{name} / (1 - {name})"))
        yield from (Factor("keyword-factor", v, f"{words} = {v:.6g}") for v, words in made)


TWO = Factor("factor-two", 2, "a factor 2")


def variants(factors: Iterable[Factor]) -> Iterator[Factor]:
    """Each number multiplied by, divided by, and both with the other sign."""
    for mistake, value, words in factors:
        if value not in (0, 1, -1):
            both = Factor(mistake, value, words), Factor(mistake, 1 / value, f"divided by {words}")
            yield from both
            yield from (Factor(mistake, -value, f"minus {words}") for _, value, words in both)


def class_count(case: Case) -> int:
    """The size of the outputs' axis; for losses the last of their first argument's, 0 for a vector."""
    if case.y.ndim > 1:
        return len(case.y) if case.y.ndim == 2 and case.batch_size != len(case.y) else case.y.shape[-1]
    shape = np.shape(next(iter(case.inputs.values()), ()))
    return shape[-1] if len(shape) > 1 else 0


def kernel_areas(case: Case) -> list[int]:
    """kh kw as the weight's shape or a keyword gives it."""
    pairs = [(side, side) for name, side in case.numbers_given.items() if name.lower() in WINDOWS]
    pairs += [pair for a in [*case.arrays.values()][1:] if a.ndim == 4 for pair in (a.shape[:2], a.shape[2:])]
    return [int(np.prod(pair)) for pair in pairs]


WINDOWS = ("k", "f", "p", "hh", "kernel", "kernel_size", "ksize", "pool", "pool_size", "pool_height", "pool_h", "size",
           "window")  # fmt: skip


def element_counts(case: Case) -> list[int]:
    y, shape = case.y.shape, case.array.shape
    products = (y, shape, y[1:3], shape[1:], y[:-1], shape[:-1])
    sizes = {case.y.size // case.batch_size, *(int(np.prod(sides)) for sides in products)}
    return sorted(n for n in sizes if n > 1)
