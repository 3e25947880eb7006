"""Right, but for another call: another dy, another array, a keyword forgotten."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import Array
from ..verdict import Guess, Verdict
from .case import Case, Wrong


def ignored(case: Case) -> Verdict | None:
    """The same gradient whatever dy is."""
    if len(case.dy) < 2 or case.same(case.dy[0], case.dy[1]) or not case.same(case.found[0], case.found[1]):
        return None
    evidence = f"the same gradient for {len(case.found)} different dy"
    if case.columns is not None and case.at_one() is None:
        evidence += "; equal to the right one for dy = 1, so a check with dy = 1 misses it"
    return case.verdict("upstream-ignored", f"{case.label} ignores dy: multiply by it (chain rule)", evidence)


def changed(case: Case) -> Verdict | None:
    """The right gradient for another dy: dy², dy y, one row of it, its mean..."""
    evidence = f"equal to that {case.everywhere}, for {len(case.dy)} upstream gradients"
    return case.named(through(case, other_upstreams), evidence) or case.named(through(case, some_rows), evidence, Guess)


def through(case: Case, others: Callable[[Case], Wrong]) -> Wrong:
    """The gradients that other dy would have had."""
    if case.columns is not None:
        for mistake, words, dy in others(case):
            yield mistake, f"{case.label} {words}", np.reshape(dy, (len(dy), -1)) @ case.columns.T


def other_upstreams(case: Case) -> Wrong:
    """(mistake, what the gradient does, dy) of what may stand in the place of dy."""
    dy, full, shape = case.dy, case.dy_full, case.y.shape
    yield "upstream-twice", "is right for dy² in place of dy", dy**2
    yield "output-factor", "is right for dy · y in place of dy", dy * case.y.ravel()
    yield "upstream-sign", "is right for the sign of dy in place of dy", np.sign(dy)
    for axis in range(len(shape)):
        yield "upstream-reversed", f"is right for dy in reverse order along axis {axis}", np.flip(full, axis + 1)
    if len(shape) == 4:
        spread = np.broadcast_to(full.mean(axis=(2, 3), keepdims=True), full.shape)
        yield "upstream-averaged", "is right for the mean of dy over the image in place of dy", spread
    if len(shape) > 1:
        yield "wrong-axis", "is right for dy transposed", full.swapaxes(1, 2)


def some_rows(case: Case) -> Wrong:
    """The same of dy without some of its rows, or steps; the source may say why."""
    shape, full = case.y.shape, case.dy_full
    slip = ", as where a loop assigns instead of adding, or stops short"
    for axis, which in itertools.product(range(len(shape)) if len(shape) > 1 else (), ("last", "first")):
        end = shape[axis] - 1 if which == "last" else 0
        kept = np.expand_dims(np.arange(shape[axis]) == end, [*range(axis), *range(axis + 1, len(shape))])
        along = f" along axis {axis}" if axis else ""
        yield "examples-missing", f"counts only the {which} row of dy{along}{slip}", full * kept
        yield "examples-missing", f"counts all rows of dy but the {which}{along}{slip}", full * ~kept


def other_array(case: Case) -> Verdict | None:
    """The gradient that would be right if another argument were ones, transposed or flipped."""
    for other, array in case.arrays.items():
        for slug, words, value in array_variants(other, array) if other != case.name else ():
            if case.explained_by(other, value):
                evidence = f"equal to the right one for such a {other}, {case.everywhere}"
                return case.verdict(slug, f"{case.label} {words}", evidence)
    return None


def array_variants(name: str, array: Array) -> Iterator[tuple[str, str, Array]]:
    yield "parameter-ignored", f"leaves {name} out (as if it were 1): multiply by it", np.ones_like(array)
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        yield "transposed", f"uses {name} where its transpose is due", array.T
    if array.ndim == 4:
        for axes in ((0, 1), (2, 3)):
            yield "flipped-kernel", f"uses {name} flipped the wrong way round", np.flip(array, axes)
        if array.shape[2] == array.shape[3]:
            yield "transposed", f"uses {name} with input and output channels exchanged", array.swapaxes(2, 3)


def keyword_default(case: Case) -> Verdict | None:
    """The gradient that would be right had a keyword not been given."""
    return by_keyword(case, lambda name, value: [case.subject.defaults.get(name, value)])


def keyword(case: Case) -> Verdict | None:
    """The gradient that would be right for other keywords: 0, 1, their square, or a switched flag."""
    return by_keyword(case, lambda name, value: keyword_variants(value))


def by_keyword(case: Case, variants: Callable[[str, Any], list[Any]]) -> Verdict | None:
    for name, value in case.keywords.items():
        for other in variants(name, value):
            is_other = other is not value and np.any(other != value)
            cuts = isinstance(other, float) and not other and cuts_off(case, name)
            if is_other and not cuts and case.explained_by(name, other):
                given = f"{name}={value!r}" if np.ndim(value) == 0 else f"{name} given"
                what = f"{case.label} is right for {name}={other!r}, but the forward ran with {given}"
                evidence = "equal in every entry checked"
                if isinstance(value, float) and other == 1 - value and other not in (0, value):
                    said = f"{case.label} is right for 1 - {name} in place of {name}: the two are exchanged"
                    return case.verdict("swapped", said, evidence)
                found = case.verdict("keyword-ignored", f"{what}: keep it in the cache", evidence)
                return replace(found, variable=name)
    return None


def cuts_off(case: Case, name: str) -> bool:
    """Whether another array has no part in y where a keyword is 0: then the gradient lacks what came through it."""
    point = case.subject.at(np.float64)
    point.kwargs[name] = 0
    with contextlib.suppress(Exception):  # the forward may refuse it
        for other in (n for n in case.subject.names if n != case.name):
            before = point.forward().copy()
            point.arrays[other] *= 1.5
            if np.array_equal(before, point.forward()):
                return True
    return False


def keyword_variants(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [0, 1]
    return [0.0, 1.0, -value, value * value, 1 - value] if isinstance(value, float) else []
