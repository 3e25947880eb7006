"""Kinks: points without a derivative, where any value between the one-sided slopes is right."""

import numpy as np

from .conduct import fresh_gradients
from .derivatives import STEPS, Line, central_difference, extrapolate
from .verdict import Kink

GIVE_UP = 5  # this many wrong entries that stand on no kink, and the rest is not looked at
NEARBY = (1e-3, 1e-2, 1e-5, 3e-3)  # how far a point moves to leave its kinks, relative to each array's size
SCANNED = 400  # entries at most
AROUND = 24  # places at which the slopes around a kink are taken


def accept_kinks(subject, check, numbers, upstreams, numeric, found):
    """Mask of the entries that stand on a kink with a valid gradient there; they are noted in check.kinks.

    Valid is what lies between the one-sided slopes. Where several kinks meet (a maximum of ties that feeds a ReLU)
    their choices combine to values outside of these; then the entry must lie among the slopes at points around, and
    be right at one of them. In a model even that is too narrow, and kinks may cancel along the entry: there it is
    enough to be right nearby, and the layers are checked one by one.
    """
    size = np.sqrt(np.mean(numeric.values**2)) if numeric.values.size else 0.0
    off = np.abs(found - numeric.values).max(axis=0, initial=0)
    allowed = 1e-7 * (np.abs(numeric.values).max(axis=0, initial=0) + size) + 1e-14
    accepted, refused, nearby = np.zeros(len(numeric.entries), bool), 0, None
    for i in np.flatnonzero(off > allowed):
        entry = int(numeric.entries[i])
        slope = numbers.slope(check.name, entry)
        valid = slope.kinked.any() and between(found[:, i], slope, numbers.upstreams)
        if not valid and (slope.kinked.any() or subject.has_parts):
            nearby, index = nearby or Nearby(subject, numbers, upstreams), np.unravel_index(entry, check.shape)
            valid = nearby.right(check.name, index) and (
                subject.has_parts or nearby.spans(check.name, index, found[:, i])
            )
        if valid:
            accepted[i] = True
            check.kinks.append(describe(check, entry, slope, numbers, at_point=True))
        else:
            refused += 1
        if refused >= GIVE_UP:
            break
    return accepted


class Nearby:
    """Points a little way off, with the code's gradients there: kinks are not everywhere."""

    def __init__(self, subject, numbers, upstreams):
        self.subject, self.numbers, self.upstreams = subject, numbers, upstreams
        self.known = {}

    def point(self, i):
        """(point, its y): the i-th place, the first few at other distances than the rest."""
        if i not in self.known:
            distance = NEARBY[i] if i < len(NEARBY) else NEARBY[0]
            point = self.subject.at(np.float64)
            for name, array in point.arrays.items():
                array += distance * Line(point, name).scale * self.numbers.rng.normal(size=array.shape)
            self.known[i] = point, point.forward()
        return self.known[i]

    def slope(self, i, name, index, direction=1.0):
        point, base = self.point(i)
        return central_difference(Line(point, name, index, direction), base)

    def right(self, name, index, direction=1.0, tolerance=1e-6):
        """Whether the gradient along a line agrees with differences at one of the places that has no kink there."""
        for i in range(len(NEARBY)):
            slope = self.slope(i, name, index, direction)
            if slope.kinked.any():
                continue
            dy = self.numbers.upstreams
            numeric, noise = dy @ slope.value.ravel(), np.abs(dy) @ slope.error.ravel()
            gradients = [fresh_gradients(self.subject, u, self.point(i)[0])[name] for u in self.upstreams]
            moving = np.stack([(g[index] * direction).ravel() for g in gradients])
            size = np.linalg.norm(moving, axis=1) + np.abs(numeric)
            if np.all(np.abs(moving.sum(axis=1) - numeric) <= tolerance * size + 20 * noise):
                return True
        return False

    def spans(self, name, index, values):
        """Whether values lie among the slopes at places around: the convex hull of nearby gradients (Clarke 1975)."""
        slopes = [self.slope(len(NEARBY) + i, name, index) for i in range(AROUND)]
        found = np.stack(
            [self.numbers.upstreams @ slope.value.ravel() for slope in slopes if slope.smooth]
            or [np.full(len(values), np.nan)]
        )
        slack = 0.02 * np.abs(found).max()
        return bool(np.all((values >= found.min(axis=0) - slack) & (values <= found.max(axis=0) + slack)))


def crossings(check, numbers, numeric):
    """The entries whose first step crosses a kink: a smaller step on this side of it, or a complex one, counted."""
    noted = {kink.index for kink in check.kinks}
    slopes = scan(check, numbers, numeric) if numeric.method == "complex step" else numeric.slopes
    found = [describe(check, entry, slope, numbers, slope.kinked.any()) for entry, slope in slopes.items()]
    return [kink for kink in found if kink.index not in noted]


def scan(check, numbers, numeric):
    """{entry: Slope} of the entries that a difference would take across a kink, though the complex step was not.

    Entry by entry only if moving all of them at once meets a kink at all.
    """
    signs = numbers.rng.choice((-1.0, 1.0), size=check.shape)
    line = Line(numbers.real, check.name, ..., signs)
    if check.kinks or not extrapolate(line, numbers.base, STEPS[0] * line.scale)[0].kinked.any():
        return {}
    slopes = {}
    for entry in numeric.entries[:SCANNED]:
        line = Line(numbers.real, check.name, np.unravel_index(entry, check.shape))
        h = STEPS[0] * line.scale
        right, left = (line(h) - numbers.base) / h, (numbers.base - line(-h)) / h
        if (np.abs(right - left) > 0.01 * np.maximum(np.abs(right), np.abs(left)) + 1e-9).any():
            slope = numbers.slope(check.name, int(entry))
            if slope.crossed.any():
                slopes[int(entry)] = slope
    return slopes


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
    outputs = np.flatnonzero(slope.kinked if at_point else slope.crossed)
    output, shape = int(outputs[0]) if len(outputs) else 0, numbers.base.shape
    row = int(np.unravel_index(output, shape)[0]) if shape and len(outputs) else None
    left, right = float(slope.left.ravel()[output]), float(slope.right.ravel()[output])
    flat = min(abs(left), abs(right)) <= 1e-6 * max(abs(left), abs(right))
    index = tuple(int(i) for i in np.unravel_index(entry, check.shape))
    return Kink(check.name, index, row, flat, left, right, at_point, check.method)
