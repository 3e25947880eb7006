"""Right, but for another call: another dy, another array, a keyword forgotten."""

import numpy as np

from ..verdict import Verdict


def ignored(case):
    """The same gradient whatever dy is."""
    if len(case.found) < 2 or not case.same(case.found[0], case.found[1]) or case.same(case.dy[0], case.dy[1]):
        return None
    evidence = f"the same gradient for {len(case.found)} different dy"
    if case.columns is not None and not case.wrong_at_one:
        evidence += "; equal to the right one for dy = 1, so a check with dy = 1 misses it"
    return Verdict(
        case.name, "upstream-ignored", f"the gradient by {case.name} ignores dy: multiply by it (chain rule)", evidence
    )


def changed(case):
    """The right gradient for another dy: dy², dy y, dy where positive, dy transposed..."""
    if case.columns is None:
        return None
    for slug, words, dy in variants(case):
        candidate = case.through(dy)
        if candidate is not None and case.explains(candidate):
            return Verdict(
                case.name,
                slug,
                said(case.name, slug, words),
                f"equal to it in all {len(case.entries)} entries, for {len(case.dy)} upstream gradients",
            )
    return None


def said(name, slug, words):
    if slug == "examples-missing":
        return f"the gradient by {name} counts {words}: a loop assigns where it should add, or stops short"
    return f"the gradient by {name} is right for {words} in place of dy"


def variants(case):
    dy, y = case.dy, case.y.ravel()
    yield "upstream-twice", "dy²: dy is multiplied in twice", dy**2
    yield "output-factor", "dy · y: a factor y too many", dy * y
    yield "mask-from-upstream", "dy where dy > 0: the mask belongs to the input, not to dy", dy * (dy > 0)
    yield "mask-from-upstream", "dy where y > 0", dy * (y > 0)
    yield "upstream-sign", "the sign of dy", np.sign(dy)
    yield "upstream-sign", "|dy|", np.abs(dy)
    shape = case.y.shape
    if case.y.ndim < 2:
        return
    full = dy.reshape(-1, *shape)
    for words, kept in (
        ("only the last example", slice(-1, None)),
        ("only the first example", slice(0, 1)),
        ("all examples but the last", slice(0, -1)),
        ("all examples but the first", slice(1, None)),
    ):
        part = np.zeros_like(full)
        part[:, kept] = full[:, kept]
        yield "examples-missing", words, part
    for axis in range(case.y.ndim):
        sizes = f"its mean over axis {axis}"
        spread = np.broadcast_to(full.mean(axis=axis + 1, keepdims=True), full.shape)
        yield "upstream-averaged", sizes, spread
        yield "upstream-averaged", f"its sum over axis {axis}", spread * shape[axis]
        yield "upstream-reversed", f"dy in reverse order along axis {axis}", np.flip(full, axis + 1)
    if len(shape) == 4:
        spread = np.broadcast_to(full.mean(axis=(2, 3), keepdims=True), full.shape)
        yield "upstream-averaged", "its mean over the image", spread
    if shape[0] == shape[1]:
        yield "wrong-axis", "dy transposed", full.swapaxes(1, 2)
    if len(shape) == 4 and shape[1] == shape[2]:
        yield "transposed", "dy with rows and columns of the image exchanged", full.swapaxes(2, 3)


def other_array(case):
    """The gradient that would be right if another argument were ones, zeros, transposed, flipped or negative."""
    for other, array in case.arrays.items():
        if other == case.name:
            continue
        for slug, words, value in array_variants(other, array):
            if case.explained_at(lambda point, o=other, v=value: point.arrays[o].__setitem__(..., v)):
                return Verdict(
                    case.name,
                    slug,
                    f"the gradient by {case.name} {words}",
                    f"equal to the right one for such a {other}, in all {len(case.entries)} entries",
                )
    return None


def array_variants(name, array):
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


def own_array(case):
    """The gradient of the same function taken at the output."""
    if case.y.shape != case.array.shape or not case.explained_at(
        lambda point: point.arrays[case.name].__setitem__(..., case.y)
    ):
        return None
    return Verdict(
        case.name,
        "derivative-at-output",
        "the derivative is taken at the output y instead of the input x",
        f"right for x = y in all {len(case.entries)} entries",
    )


def keyword_default(case):
    """The gradient that would be right had a keyword not been given."""
    return by_keyword(case, lambda name, value: [case.subject.defaults[name]] if name in case.subject.defaults else [])


def keyword(case):
    """The gradient that would be right for other keywords: 0, 1, their square, or a switched flag."""
    return by_keyword(case, keyword_variants)


def by_keyword(case, variants):
    known = {**case.subject.defaults, **case.subject.kwargs}
    for name, value in known.items():
        if isinstance(value, np.random.Generator):
            continue
        for other in variants(name, value):
            if other is value or (np.ndim(value) == 0 and other == value):
                continue
            if case.explained_at(lambda point, n=name, v=other: point.kwargs.__setitem__(n, v)):
                given = f"{name}={value!r}" if np.ndim(value) == 0 else f"{name} given"
                return Verdict(
                    case.name,
                    "keyword-ignored",
                    f"the gradient by {case.name} is right for {name}={other!r}, but the forward ran with {given}: "
                    "keep it in the cache",
                    "equal in every entry checked",
                )
    return None


def keyword_variants(name, value):
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [0, 1]
    return [0.0, 1.0, -value, value * value, 1 - value] if isinstance(value, float) else []
