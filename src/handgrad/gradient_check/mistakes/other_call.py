"""Right, but for another call: another dy, another array, a keyword forgotten."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...arrays import Array
from ..subjects import Point
from ..verdict import Verdict
from .case import Case


def ignored(case: Case) -> Verdict | None:
    """The same gradient whatever dy is."""
    if not case.ignores_upstream:
        return None
    evidence = f"the same gradient for {len(case.found)} different dy"
    if case.columns is not None and not case.wrong_at_one:
        evidence += "; equal to the right one for dy = 1, so a check with dy = 1 misses it"
    return case.verdict("upstream-ignored", f"{case.label} ignores dy: multiply by it (chain rule)", evidence)


def changed(case: Case) -> Verdict | None:
    """The right gradient for another dy: dy², dy y, dy where positive, dy transposed..."""
    for slug, words, dy in other_upstreams(case) if case.columns is not None else ():
        if case.explains(case.through(dy)):
            message = f"{case.label} {words}"
            evidence = f"equal to that {case.everywhere}, for {len(case.dy)} upstream gradients"
            return case.verdict(slug, message, evidence)
    return None


def other_upstreams(case: Case) -> Iterator[tuple[str, str, Array]]:
    """(mistake, what the gradient does, dy) of what may stand in the place of dy."""
    dy, y, full = case.dy, case.y.ravel(), case.dy_full
    yield "upstream-twice", "is right for dy² in place of dy", dy**2
    yield "output-factor", "is right for dy · y in place of dy", dy * y
    yield (
        "mask-from-upstream",
        "is right for dy masked by dy > 0",
        dy * (dy > 0),
    )
    yield "wrong-mask", "is right for dy masked by y > 0, which the forward does not do", dy * (y > 0)
    yield "upstream-sign", "is right for the sign of dy in place of dy", np.sign(dy)
    yield "upstream-sign", "is right for |dy| in place of dy", np.abs(dy)
    shape = case.y.shape
    if case.y.ndim < 2:
        return
    for words, kept in (
        ("only the last row of dy", slice(-1, None)),
        ("only the first row of dy", slice(0, 1)),
        ("all rows of dy but the last", slice(0, -1)),
        ("all rows of dy but the first", slice(1, None)),
    ):
        part = np.zeros_like(full)
        part[:, kept] = full[:, kept]
        yield "examples-missing", f"counts {words}, as where a loop assigns instead of adding, or stops short", part
    for axis in range(case.y.ndim):
        spread = np.broadcast_to(full.mean(axis=axis + 1, keepdims=True), full.shape)
        yield "upstream-averaged", f"is right for the mean of dy over axis {axis} in place of dy", spread
        yield "upstream-averaged", f"is right for the sum of dy over axis {axis} in place of dy", spread * shape[axis]
        yield "upstream-reversed", f"is right for dy in reverse order along axis {axis}", np.flip(full, axis + 1)
    if len(shape) == 4:
        spread = np.broadcast_to(full.mean(axis=(2, 3), keepdims=True), full.shape)
        yield "upstream-averaged", "is right for the mean of dy over the image in place of dy", spread
    if shape[0] == shape[1]:
        yield "wrong-axis", "is right for dy transposed", full.swapaxes(1, 2)
    if len(shape) == 4 and shape[1] == shape[2]:
        yield "transposed", "is right for dy with rows and columns of the image exchanged", full.swapaxes(2, 3)


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
        if array.shape[0] == array.shape[1]:
            yield "transposed", f"uses {name} with rows and columns exchanged", array.transpose(1, 0, 2, 3)
        if array.shape[2] == array.shape[3]:
            yield "transposed", f"uses {name} with input and output channels exchanged", array.transpose(0, 1, 3, 2)
    yield "parameter-ignored", f"ignores {name} (as if it were 0)", np.zeros_like(array)
    yield "wrong-sign", f"uses {name} with the wrong sign", -array


def keyword_default(case: Case) -> Verdict | None:
    """The gradient that would be right had a keyword not been given."""
    return by_keyword(case, lambda name, value: [case.subject.defaults[name]] if name in case.subject.defaults else [])


def keyword(case: Case) -> Verdict | None:
    """The gradient that would be right for other keywords: 0, 1, their square, or a switched flag."""
    return by_keyword(case, keyword_variants)


def by_keyword(case: Case, variants: Callable[[str, Any], list[Any]]) -> Verdict | None:
    for name, value in case.keywords.items():
        if isinstance(value, np.random.Generator):
            continue
        for other in variants(name, value):
            if other is value or (np.ndim(value) == 0 and other == value):
                continue
            if case.explained_at(partial(put_keyword, name, other)):
                given = f"{name}={value!r}" if np.ndim(value) == 0 else f"{name} given"
                what = f"{case.label} is right for {name}={other!r}, but the forward ran with {given}"
                message = f"{what}: keep it in the cache"
                return case.verdict("keyword-ignored", message, "equal in every entry checked")
    return None


def keyword_variants(name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [0, 1]
    return [0.0, 1.0, -value, value * value, 1 - value] if isinstance(value, float) else []
