"""All entries of an array at once: its gradient along random directions, so that sampling leaves none out."""

import numpy as np

from .conduct import fresh_gradients
from .derivatives import Line, central_difference
from .kinks import Nearby, describe

NUM_DIRECTIONS = 2
TOLERANCE = 1e-6


def check_directions(subject, check, numbers, upstreams, analytic, floor):
    """Set check.direction_error from random directions; where kinks disturb them, from a point moved off the kinks."""
    rng, kinked = numbers.rng, any(kink.at_point for kink in check.kinks)
    errors = []
    for _ in range(NUM_DIRECTIONS):
        direction = rng.normal(size=check.shape)
        slope, uncertainty = numbers.along(check.name, direction)
        noise = max(floor, 20 * float(np.max(np.abs(numbers.upstreams) @ uncertainty.ravel())))
        error = direction_error(analytic, direction, numbers.upstreams @ slope.ravel(), noise)
        if error > TOLERANCE:
            slope = central_difference(Line(numbers.real, check.name, ..., direction), numbers.base)
            kinked |= bool(slope.kinked.any())
            if Nearby(subject, numbers, upstreams).right(check.name, ..., direction):
                error = 0.0
        errors.append(error)
    check.direction_error = max(errors)
    check.ok = check.direction_error <= TOLERANCE
    if check.ok and kinked:
        check_ties(subject, check, numbers, upstreams)


def direction_error(analytic, direction, numeric, noise=0.0):
    """|<a, v> - n| against the size that such a sum of random terms has, the worst of the upstreams."""
    worst = 0.0
    for a, n in zip(analytic, numeric, strict=True):
        total = float(np.sum(a * direction))
        size = abs(total) + abs(n) + np.linalg.norm(a * direction)
        off = abs(total - n)
        worst = max(worst, off / size if off > noise and size else 0.0)
    return worst


def check_ties(subject, check, numbers, upstreams):
    """Move equal entries together: of tied maxima exactly one may be paid, whichever it is.

    The direction is a function of the entry's value, so ties stay ties and the maximum has a slope along it.
    """
    array = numbers.real.arrays[check.name]
    values, counts = np.unique(array, return_counts=True)
    if counts.max(initial=0) < 2:
        return
    phase = numbers.rng.uniform(0.5, 1.0)
    direction = np.cos(phase + array / (np.abs(values).max() or 1.0))
    slope = central_difference(Line(numbers.real, check.name, ..., direction), numbers.base)
    smooth = np.where(slope.kinked, 0.0, 1.0)
    analytic = [np.array(fresh_gradients(subject, dy * smooth)[check.name]) for dy in upstreams]
    numeric = [np.sum(dy * smooth * slope.value) for dy in upstreams]
    noise = 20 * max(float(np.sum(np.abs(dy) * smooth * slope.error)) for dy in upstreams)
    error = direction_error(analytic, direction, numeric, noise)
    if error > TOLERANCE and all_paid(check, numbers, upstreams, subject):
        check.ok, check.ties_error = False, error


def all_paid(check, numbers, upstreams, subject):
    """Whether every entry at a kink gets the slope of moving it up, as a winner does: then ties are paid twice."""
    kinks = [kink for kink in check.kinks if kink.at_point] or tied_entries(check, numbers)
    found = fresh_gradients(subject, upstreams[0])[check.name]
    for kink in kinks:
        slope = numbers.slope(check.name, int(np.ravel_multi_index(kink.index, check.shape)))
        right = np.where(slope.kinked, slope.right, slope.value)
        due = float(np.sum(upstreams[0] * right))
        if abs(found[kink.index] - due) > 1e-4 * (abs(due) + abs(found[kink.index])) + 1e-9:
            return False
    return bool(kinks)


def tied_entries(check, numbers, most=12):
    """Some entries with a kink: the complex step and the code agreed on them, so that they were not looked at yet."""
    found = []
    for entry in numbers.rng.permutation(int(np.prod(check.shape)))[: 40 * most]:
        slope = numbers.slope(check.name, int(entry))
        if slope.kinked.any() and len(found) < most:
            found.append(describe(check, int(entry), slope, numbers, at_point=True))
    return found
