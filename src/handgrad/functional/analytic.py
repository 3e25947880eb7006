"""What several pages share, safe to differentiate by complex step: max(x, 0), |x| and the logistic function.

A complex x stands for x + ih with a tiny h: the side of the kink is chosen by its real part alone.
"""

import math
from functools import cache

import numpy as np

from ..arrays import Array


def positive_part(x: Array) -> Array:
    """max(x, 0), element by element."""
    return np.where(x.real > 0, x, 0) if x.dtype.kind == "c" else np.maximum(x, 0)


def magnitude(x: Array) -> Array:
    """|x|, element by element: x or -x, not the modulus, where x is complex; at 0 it goes with max(x, 0) = 0."""
    return np.where(x.real > 0, x, -x) if x.dtype.kind == "c" else np.abs(x)


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)); x below the logarithm of the smallest number is raised to it, so exp(-x) can't overflow."""
    lowest = np.log(np.finfo(x.dtype).tiny)
    raised = np.where(x.real > lowest, x, lowest) if x.dtype.kind == "c" else np.maximum(x, lowest)
    exponentials: Array = np.exp(-raised)
    return 1 / (1 + exponentials)


def normal_density(x: Array) -> Array:
    """φ(x) = exp(-x² / 2) / √(2π)."""
    density: Array = np.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
    return density


def normal_distribution(x: Array) -> Array:
    """Φ(x), by Taylor's formula from the nearest of a table of points: to the last digits, NumPy having no erf.

    With φ' = -t φ the terms are φ(t) (δ - t δ²/2 + (t² - 1) δ³/6 + (3t - t³) δ⁴/24), the next one below 1e-17.
    """
    steps, most, table = distribution_table()
    inside = np.where(abs(x.real) < most, x, np.sign(x.real) * most).astype(x.dtype)
    place = np.rint(inside.real * steps)
    t = place / steps
    delta = inside - t
    series = 1 + delta * (-t / 2 + delta * ((t * t - 1) / 6 + delta * ((3 * t - t * t * t) / 24)))
    at_points: Array = table[(place + most * steps).astype(int)].astype(x.real.dtype)
    value: Array = at_points + normal_density(t) * (delta * series)
    return value


@cache
def distribution_table() -> tuple[int, int, Array]:
    """How many points there are to 1, the last of them, beyond which Φ is 0 or 1, and Φ at all points."""
    steps, most = 1024, 9
    points = range(-most * steps, most * steps + 1)
    return steps, most, np.array([math.erfc(-i / steps / math.sqrt(2)) / 2 for i in points])
