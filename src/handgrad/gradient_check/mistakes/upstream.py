"""What was done to dy: ignored, squared, masked by the wrong thing, taken from the wrong axis."""

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
