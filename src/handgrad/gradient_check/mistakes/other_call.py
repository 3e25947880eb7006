"""Right, but for another call: another dy, another array, a keyword forgotten."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...arrays import Array
from ...user_code.subjects import Point
from ..verdict import Verdict
from .case import Candidate, Case


def ignored(case: Case) -> Verdict | None:
    """The same gradient whatever dy is."""
    if not case.ignores_upstream:
        return None
    evidence = f"the same gradient for {len(case.found)} different dy"
    if case.columns is not None and not case.wrong_at_one:
        evidence += "; equal to the right one for dy = 1, so a check with dy = 1 misses it"
    return case.verdict("upstream-ignored", f"{case.label} ignores dy: multiply by it (chain rule)", evidence)


def changed(case: Case) -> Verdict | None:
    """The right gradient for another dy: dy², dy y, one row of it, its mean..."""
    evidence = f"equal to that {case.everywhere}, for {len(case.dy)} upstream gradients"
    for others, is_guess in ((other_upstreams, False), (some_rows, True)) if case.columns is not None else ():
        right = ((slug, f"{case.label} {words}", case.through(dy)) for slug, words, dy in others(case))
        found = case.named((Candidate(*told, is_guess) for told in right), evidence)
        if found is not None:
            return found
    return None


def other_upstreams(case: Case) -> Iterator[tuple[str, str, Array]]:
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


def some_rows(case: Case) -> Iterator[tuple[str, str, Array]]:
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
    """The gradient that would be right if another argument were ones, zeros, transposed, flipped or negative."""
    for other, array in case.arrays.items():
        if other == case.name:
            continue
        for slug, words, value in array_variants(other, array):
            if case.explained_at(partial(put_array, other, value)):
                evidence = f"equal to the right one for such a {other}, {case.everywhere}"
                return case.verdict(slug, f"{case.label} {words}", evidence)
    return None


def put_array(name: str, value: Array, point: Point) -> None:
    point.arrays[name][...] = value


def put_keyword(name: str, value: Any, point: Point) -> None:
    point.kwargs[name] = value


def array_variants(name: str, array: Array) -> Iterator[tuple[str, str, Array]]:
    yield "parameter-ignored", f"leaves {name} out (as if it were 1): multiply by it", np.ones_like(array)
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        yield "transposed", f"uses {name} where its transpose is due", array.T
    if array.ndim == 4:
        for flipped in (array[::-1, ::-1], array[:, :, ::-1, ::-1]):
            yield "flipped-kernel", f"uses {name} flipped the wrong way round", flipped
        if array.shape[2] == array.shape[3]:
            yield "transposed", f"uses {name} with input and output channels exchanged", array.transpose(0, 1, 3, 2)


def keyword_default(case: Case) -> Verdict | None:
    """The gradient that would be right had a keyword not been given."""
    return by_keyword(case, lambda name, value: [case.subject.defaults.get(name, value)])


def keyword(case: Case) -> Verdict | None:
    """The gradient that would be right for other keywords: 0, 1, their square, or a switched flag."""
    return by_keyword(case, lambda name, value: keyword_variants(value))


def by_keyword(case: Case, variants: Callable[[str, Any], list[Any]]) -> Verdict | None:
    for name, value in case.keywords.items():
        for other in variants(name, value):
            if (
                other is value
                or not np.any(other != value)
                or (other == 0.0 and isinstance(other, float) and cuts_off(case, name))
            ):
                continue
            if case.explained_at(partial(put_keyword, name, other)):
                given = f"{name}={value!r}" if np.ndim(value) == 0 else f"{name} given"
                what = f"{case.label} is right for {name}={other!r}, but the forward ran with {given}"
                return case.verdict("keyword-ignored", f"{what}: keep it in the cache", "equal in every entry checked")
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
