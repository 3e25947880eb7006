"""Kinks: points without a derivative, where any value between the one-sided slopes is right."""

import numpy as np

from .verdict import Kink

GIVE_UP = 5  # this many wrong entries that stand on no kink, and the rest is not looked at


def accept_kinks(check, numbers, numeric, found):
    """Mask of the entries that stand on a kink with a valid subgradient there; they are noted in check.kinks."""
    size = np.sqrt(np.mean(numeric.values**2)) if numeric.values.size else 0.0
    off = np.abs(found - numeric.values).max(axis=0, initial=0)
    allowed = 1e-7 * (np.abs(numeric.values).max(axis=0, initial=0) + size) + 1e-14
    accepted, refused = np.zeros(len(numeric.entries), bool), 0
    for i in np.flatnonzero(off > allowed):
        entry = int(numeric.entries[i])
        slope = numbers.slope(check.name, entry)
        if slope.kinked.any() and between(found[:, i], slope, numbers.upstreams):
            accepted[i] = True
            check.kinks.append(describe(check, entry, slope, numbers, at_point=True))
        else:
            refused += 1
        if refused >= GIVE_UP:
            break
    return accepted


def crossings(check, numbers, numeric):
    """The entries whose first step crossed a kink; a smaller step on this side of it was compared instead."""
    noted = {kink.index for kink in check.kinks}
    found = [describe(check, entry, slope, numbers, at_point=False) for entry, slope in numeric.slopes.items()]
    return [kink for kink in found if kink.index not in noted]


def between(values, slope, upstreams):
    """Whether each <dy, subgradient> lies in the range that the one-sided slopes of each output allow."""
    value, kinked = slope.value.ravel(), slope.kinked.ravel()
    left, right = (np.where(kinked, side.ravel(), value) for side in (slope.left, slope.right))
    low = np.minimum(upstreams * left, upstreams * right).sum(axis=1)
    high = np.maximum(upstreams * left, upstreams * right).sum(axis=1)
    slack = 1e-5 * (np.abs(low) + np.abs(high)) + 1e-10
    return bool(np.all((values >= low - slack) & (values <= high + slack)))


def describe(check, entry, slope, numbers, at_point):
    """The kink as a record: the first kinked output's row, and the slopes on the two sides."""
    output = int(np.flatnonzero(slope.kinked if at_point else slope.crossed)[0])
    shape = numbers.base.shape
    row = int(np.unravel_index(output, shape)[0]) if shape else None
    left, right = float(slope.left.ravel()[output]), float(slope.right.ravel()[output])
    flat = min(abs(left), abs(right)) <= 1e-6 * max(abs(left), abs(right))
    index = tuple(int(i) for i in np.unravel_index(entry, check.shape))
    return Kink(check.name, index, row, flat, left, right, at_point)
