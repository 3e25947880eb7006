"""One array's gradient against the numeric one: entry by entry, along directions, and at kinks.

A kink is a point without a derivative, where any value between the one-sided slopes is right.
"""

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import Array
from ..derivatives.numeric import STEPS, Differentiator, Line, Numeric, Slope, central_difference, extrapolate
from ..user_code.arguments import Gradients
from ..user_code.subjects import Point
from .verdict import ArrayCheck, Kink

Index: TypeAlias = Any  # whatever selects entries of an array

EXACT_THRESHOLD = 1e-9
DIFFERENCE_THRESHOLD = 1e-7
NUM_DIRECTIONS = 2
TOLERANCE = 1e-6  # along a direction
GIVE_UP = 5  # this many wrong entries that stand on no kink, and the rest is not looked at
NEARBY = (1e-3, 1e-2, 1e-5, 3e-3)  # how far a point moves to leave its kinks, relative to each array's size
SCANNED = 400  # entries at most
AROUND = 24  # places at which the slopes around a kink are taken
SEARCHED, TIED = 480, 12  # entries among which kinks are looked for, and how many are enough


def compare_array(
    numbers: Differentiator, gradients: Sequence[Gradients], name: str, entries: Array, floor: float
) -> tuple[ArrayCheck, Numeric]:
    """(ArrayCheck, Numeric) of one array; check.ok says whether its numbers agree."""
    array = numbers.real.arrays[name]
    check = ArrayCheck(name, array.shape, numbers.methods[name])
    check.analytic = gradients[0][name]
    numeric = numbers.entries(name, entries)
    analytic = [a for g in gradients if (a := g[name]) is not None and a.shape == array.shape and np.isfinite(a).all()]
    check.ok = len(analytic) == len(gradients)
    if check.ok:
        found = np.stack([a.ravel()[entries] for a in analytic])
        if numbers.mistrusts(name, numeric, found, floor):
            numeric = numbers.entries(name, entries)
            check.method = numeric.method
        judge_entries(check, numbers, numeric, found, floor)
        if check.ok:
            check_directions(check, numbers, analytic, floor)
    check.num_checked, check.numeric = len(entries), np.full(check.shape, np.nan)
    check.numeric.flat[numeric.entries] = numeric.values[0]
    return check, numeric


def judge_entries(check: ArrayCheck, numbers: Differentiator, numeric: Numeric, found: Array, floor: float) -> None:
    """Set the error, the threshold and the kinks of the entries checked one by one."""
    check.threshold = EXACT_THRESHOLD if numeric.method == "complex step" else DIFFERENCE_THRESHOLD
    check.error = relative_error(found, numeric.values)
    if check.error > check.threshold:
        kinked = accept_kinks(check, numbers, numeric, found)
        noise = np.maximum(floor, 5 * np.linalg.norm(numeric.errors, axis=1))
        check.error = relative_error(found[:, ~kinked], numeric.values[:, ~kinked], noise)
    check.kinks += crossings(check, numbers, numeric)
    check.ok = check.error <= check.threshold


def relative_error(a: Array, n: Array, noise: Array | float = 0.0) -> float:
    """|a - n| / (|a| + |n|) by norm, the worst of the upstream gradients (rows); differences below noise are none."""
    sizes = np.linalg.norm(a, axis=1) + np.linalg.norm(n, axis=1)
    off = np.linalg.norm(a - n, axis=1)
    return float(np.max(np.where(off <= noise, 0, off / np.where(sizes == 0, 1, sizes)), initial=0.0))


def rounding_floors(numbers: Differentiator, gradients: Gradients) -> dict[str, float]:
    """{name: how far its gradient moves when every array is rounded anew}: a difference below it says nothing.

    It matters where the true gradient is zero, as by a bias before batch norm: what is left there is rounding.
    """
    point = numbers.subject.at(np.float64)
    for array in point.arrays.values():
        array *= 1 + 4 * np.finfo(float).eps * numbers.rng.choice((-1, 1), size=array.shape)
    moved = numbers.subject.gradients(numbers.upstreams[0], point)
    sizes = [float(np.linalg.norm(g)) for g in gradients.values() if g is not None and np.isfinite(g).all()]
    cap = 1e-9 * max(sizes, default=0.0)
    return {name: floor_of(gradients[name], moved[name], cap) for name in numbers.subject.names}


def floor_of(gradient: Array | None, moved: Array | None, cap: float) -> float:
    if gradient is None or moved is None or np.shape(gradient) != np.shape(moved):
        return 0.0
    noise = float(np.linalg.norm(gradient - moved))
    return min(30 * noise + 1e-15, cap) if np.isfinite(noise) else 0.0


# All entries at once, along directions ----------------------------------------------------------------------------


def check_directions(check: ArrayCheck, numbers: Differentiator, analytic: Sequence[Array], floor: float) -> None:
    """Set check.direction_error from random directions; where kinks disturb them, from a point moved off the kinks."""
    rng, kinked = numbers.rng, any(kink.at_point for kink in check.kinks)
    errors: list[float] = []
    for _ in range(NUM_DIRECTIONS):
        direction = rng.normal(size=check.shape)
        slope, uncertainty = numbers.along(check.name, direction)
        noise = max(floor, 20 * float(np.max(np.abs(numbers.rows) @ uncertainty.ravel())))
        if (error := direction_error(analytic, direction, numbers.rows @ slope.ravel(), noise)) > TOLERANCE:
            kinked |= bool(numbers.difference(check.name, ..., direction).kinked.any())
            if Nearby(numbers).right(check.name, ..., direction):
                error = 0.0
        errors.append(error)
    check.direction_error = max(errors)
    check.ok = check.direction_error <= TOLERANCE
    if check.ok and kinked:
        check_ties(check, numbers)


def direction_error(
    analytic: Sequence[Array], direction: Array | float, numeric: ArrayLike, noise: float = 0.0
) -> float:
    """|<a, v> - n| against the size that such a sum of random terms has, the worst of the upstreams."""
    terms = np.reshape([a * direction for a in analytic], (len(analytic), -1))
    total = terms.sum(axis=1)
    off, size = np.abs(total - numeric), np.abs(total) + np.abs(numeric) + np.linalg.norm(terms, axis=1)
    return float(np.max(np.where(off > noise, off / np.where(size, size, 1), 0), initial=0))


def check_ties(check: ArrayCheck, numbers: Differentiator) -> None:
    """Move equal entries together: of tied maxima exactly one may be paid, whichever it is.

    The direction is a function of the entry's value, so ties stay ties and the maximum has a slope along it.
    """
    array = numbers.real.arrays[check.name]
    values, counts = np.unique(array, return_counts=True)
    if counts.max(initial=0) < 2:
        return
    phase = numbers.rng.uniform(0.5, 1.0)
    direction = np.cos(phase + array / (np.abs(values).max() or 1.0))
    slope = numbers.difference(check.name, ..., direction)
    smooth = np.where(slope.kinked, 0.0, 1.0)
    analytic = [numbers.subject.gradient(check.name, dy * smooth) for dy in numbers.upstreams]
    numeric = [float(np.sum(dy * smooth * slope.value)) for dy in numbers.upstreams]
    noise = 20 * max(float(np.sum(np.abs(dy) * smooth * slope.error)) for dy in numbers.upstreams)
    error = direction_error(analytic, direction, numeric, noise)
    if error > TOLERANCE and all_paid(check, numbers):
        check.ok, check.ties_error = False, error


def all_paid(check: ArrayCheck, numbers: Differentiator) -> bool:
    """Whether every entry at a kink gets the slope of moving it up, as a winner does: then ties are paid twice.

    Where none is noted, some are looked for: the complex step and the code may have agreed on them.
    """
    noted = [int(np.ravel_multi_index(kink.index, check.shape)) for kink in check.kinks if kink.at_point]
    entries = noted or numbers.rng.permutation(check.size)[:SEARCHED].tolist()
    slopes = ((entry, numbers.slope(check.name, entry)) for entry in entries)
    kinked = itertools.islice((pair for pair in slopes if noted or not pair[1].smooth), None if noted else TIED)
    found, dy = numbers.subject.gradient(check.name, numbers.upstreams[0]).ravel(), numbers.upstreams[0]
    dues = ((found[i], float(np.sum(dy * np.where(slope.kinked, slope.right, slope.value)))) for i, slope in kinked)
    paid = (bool(abs(a - due) <= 1e-4 * (abs(due) + abs(a)) + 1e-9) for a, due in dues)
    return next(paid, False) and all(paid)


# Kinks -----------------------------------------------------------------------------------------------------------


def accept_kinks(check: ArrayCheck, numbers: Differentiator, numeric: Numeric, found: Array) -> Array:
    """Mask of the entries that stand on a kink with a valid gradient there; they are noted in check.kinks.

    Valid is what lies between the one-sided slopes. Where several kinks meet (a maximum of ties that feeds a ReLU)
    their choices combine to values outside of these; then the entry must lie among the slopes at points around, and
    be right at one of them. In a model even that is too narrow, and kinks may cancel along the entry: there it is
    enough to be right nearby, and the layers are checked one by one.
    """
    size = np.sqrt(np.mean(numeric.values**2)) if numeric.values.size else 0.0
    off = np.abs(found - numeric.values).max(axis=0, initial=0)
    allowed = 1e-7 * (np.abs(numeric.values).max(axis=0, initial=0) + size) + 1e-14
    accepted, refused = np.zeros(len(numeric.entries), bool), 0
    nearby, is_model = Nearby(numbers), numbers.subject.has_parts
    for i in np.flatnonzero(off > allowed):
        entry = int(numeric.entries[i])
        slope = numbers.slope(check.name, entry)
        valid = slope.kinked.any() and between(found[:, i], slope, numbers.rows)
        if not valid and (slope.kinked.any() or is_model):
            index = np.unravel_index(entry, check.shape)
            valid = nearby.right(check.name, index) and (is_model or nearby.spans(check.name, index, found[:, i]))
        if valid:
            accepted[i] = True
            check.kinks.append(describe(check, entry, slope, numbers, at_point=True))
        refused += not valid
        if refused >= GIVE_UP:
            break
    return accepted


class Nearby:
    """Points a little way off, with the code's gradients there: kinks are not everywhere."""

    def __init__(self, numbers: Differentiator) -> None:
        self.numbers = numbers
        self.known: dict[int, tuple[Point, Array]] = {}

    def point(self, i: int) -> tuple[Point, Array]:
        """(point, its y): the i-th place, the first few at other distances than the rest."""
        if i not in self.known:
            distance = NEARBY[i] if i < len(NEARBY) else NEARBY[0]
            point = self.numbers.subject.at(np.float64)
            for name, array in point.arrays.items():
                array += distance * Line(point, name).scale * self.numbers.rng.normal(size=array.shape)
            self.known[i] = point, point.forward()
        return self.known[i]

    def slope(self, i: int, name: str, index: Index, direction: Array | float = 1.0) -> Slope:
        point, base = self.point(i)
        return central_difference(Line(point, name, index, direction), base)

    def right(self, name: str, index: Index, direction: Array | float = 1.0) -> bool:
        """Whether the gradient along a line agrees with differences at one of the places that has no kink there."""
        for i in range(len(NEARBY)):
            slope = self.slope(i, name, index, direction)
            if slope.kinked.any():
                continue
            gradients = [self.numbers.subject.gradient(name, u, self.point(i)[0]) for u in self.numbers.upstreams]
            numeric, noise = (self.numbers.rows @ slope.value.ravel(), np.abs(self.numbers.rows) @ slope.error.ravel())
            if direction_error([g[index] for g in gradients], direction, numeric, 20 * noise.max()) <= TOLERANCE:
                return True
        return False

    def spans(self, name: str, index: Index, values: Array) -> bool:
        """Whether values lie among the slopes at places around: the convex hull of nearby gradients (Clarke 1975)."""
        slopes = [self.slope(len(NEARBY) + i, name, index) for i in range(AROUND)]
        smooth = [self.numbers.rows @ slope.value.ravel() for slope in slopes if slope.smooth]
        found = np.stack(smooth or [np.full(len(values), np.nan)])
        slack = 0.02 * np.abs(found).max()
        return bool(np.all((values >= found.min(axis=0) - slack) & (values <= found.max(axis=0) + slack)))


def crossings(check: ArrayCheck, numbers: Differentiator, numeric: Numeric) -> list[Kink]:
    """The entries whose first step crosses a kink: a smaller step on this side of it, or a complex one, counted."""
    noted = {kink.index for kink in check.kinks}
    slopes = scan(check, numbers, numeric) if numeric.method == "complex step" else numeric.slopes
    found = [describe(check, entry, slope, numbers, bool(slope.kinked.any())) for entry, slope in slopes.items()]
    return [kink for kink in found if kink.index not in noted]


def scan(check: ArrayCheck, numbers: Differentiator, numeric: Numeric) -> dict[int, Slope]:
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


def between(values: Array, slope: Slope, upstreams: Array) -> bool:
    """Whether each <dy, subgradient> lies in the range that the one-sided slopes of each output allow."""
    value, kinked = slope.value.ravel(), slope.kinked.ravel()
    left, right = (np.where(kinked, side.ravel(), value) for side in (slope.left, slope.right))
    low = np.minimum(upstreams * left, upstreams * right).sum(axis=1)
    high = np.maximum(upstreams * left, upstreams * right).sum(axis=1)
    slack = 1e-5 * (np.abs(low) + np.abs(high)) + 1e-10
    return bool(np.all((values >= low - slack) & (values <= high + slack)))


def describe(check: ArrayCheck, entry: int, slope: Slope, numbers: Differentiator, at_point: bool) -> Kink:
    """The kink as a record: the first kinked output's row, and the slopes on the two sides."""
    outputs = np.flatnonzero(slope.kinked if at_point else slope.crossed)
    output, shape = int(outputs[0]) if len(outputs) else 0, numbers.base.shape
    row = int(np.unravel_index(output, shape)[0]) if shape and len(outputs) else None
    left, right = float(slope.left.ravel()[output]), float(slope.right.ravel()[output])
    flat = min(abs(left), abs(right)) <= 1e-6 * max(abs(left), abs(right))
    index = tuple(int(i) for i in np.unravel_index(entry, check.shape))
    return Kink(check.name, index, row, flat, left, right, at_point, check.method)
