"""All entries of an array at once: its gradient along random directions, so that sampling leaves none out."""

import numpy as np

from .conduct import fresh_gradients
from .derivatives import Line, central_difference

NUM_DIRECTIONS = 2
TOLERANCE = 1e-6


def check_directions(subject, check, numbers, upstreams, analytic, floor):
    """Set check.direction_error from random directions; where kinks disturb them, from a point moved off the kinks."""
    rng, kinked = numbers.rng, bool(check.kinks)
    errors = [0.0]
    for _ in range(NUM_DIRECTIONS):
        direction = rng.normal(size=check.shape)
        slope, uncertainty = numbers.along(check.name, direction)
        error = direction_error(analytic, direction, numbers.upstreams @ slope.ravel(), floor)
        limit = max(TOLERANCE, 20 * relative(uncertainty, slope))
        if error > limit:
            central = central_difference(Line(numbers.real, check.name, ..., direction), numbers.base)
            kinked |= bool(central.kinked.any())
            error = off_kinks(subject, check.name, upstreams, direction, numbers, floor, error)
        errors.append(error)
        if error > limit:
            check.ok = False
    check.direction_error = max(errors)
    if check.ok and kinked:
        check_ties(subject, check, numbers, upstreams)


def relative(uncertainty, slope):
    size = np.linalg.norm(slope)
    return float(np.linalg.norm(uncertainty) / size) if size else 0.0


def direction_error(analytic, direction, numeric, floor=0.0):
    """|<a, v> - n| against the size that such a sum of random terms has, the worst of the upstreams."""
    worst = 0.0
    for a, n in zip(analytic, numeric, strict=True):
        sum_ = float(np.sum(a * direction))
        size = abs(sum_) + abs(n) + np.linalg.norm(a * direction)
        off = abs(sum_ - n)
        worst = max(worst, off / size if off > floor and size else 0.0)
    return worst


def off_kinks(subject, name, upstreams, direction, numbers, floor, error):
    """The direction's error at a point a little way off, the smallest of three tries: kinks are not everywhere."""
    for distance in (1e-3, 1e-2, 1e-5):
        point = subject.at(np.float64)
        for array in point.arrays.values():
            array += distance * Line(point, name).scale * numbers.rng.normal(size=array.shape)
        analytic = [np.array(fresh_gradients(subject, dy, point)[name]) for dy in upstreams]
        base = point.forward()
        slope = central_difference(Line(point, name, ..., direction), base)
        smooth = np.where(slope.kinked, 0.0, 1.0)
        if base.ndim and not smooth.all():
            analytic = [np.array(fresh_gradients(subject, dy * smooth, point)[name]) for dy in upstreams]
        if not base.ndim and slope.kinked.any():
            continue
        numeric = [np.sum(dy * smooth * slope.value) for dy in upstreams]
        error = min(error, direction_error(analytic, direction, numeric, floor))
        if error <= TOLERANCE:
            break
    return error


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
    error = direction_error(analytic, direction, numeric)
    if error > TOLERANCE:
        check.ok, check.ties_error = False, error
