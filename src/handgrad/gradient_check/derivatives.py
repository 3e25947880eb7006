"""Derivatives without a backward pass: the complex step, and extrapolated central differences.

Both work on a line through a point: the forward as a function of one number t, where one entry of one array moves by
t, or a whole array by t times a direction.
"""

from dataclasses import dataclass

import numpy as np

COMPLEX_STEP = 1e-100
STEPS = (1e-4, 1e-5, 1e-6, 1e-7)  # relative to the array's size; the first that gives a clean estimate is kept
CLEAN = 2e-8  # an estimate is clean when both steps agree to this, relative to the derivative
ROUNDING = np.finfo(np.float64).eps


class Line:
    """t -> y, the forward with array[where] moved by t times direction; the array is put back after each call."""

    def __init__(self, point, name, where=..., direction=1.0):
        self.point, self.array, self.where, self.direction = point, point.arrays[name], where, direction

    def __call__(self, t):
        saved = self.array[self.where].copy()
        self.array[self.where] = saved + t * self.direction
        try:
            return self.point.forward().copy()  # y may be a view of the array that is put back
        finally:
            self.array[self.where] = saved

    @property
    def scale(self):
        """The size of the numbers that move: steps are relative to it."""
        values = np.abs(self.array[self.where])
        typical = np.sqrt(np.mean(np.abs(self.array) ** 2)) if self.array.size else 0.0
        largest = max(float(values) if values.ndim == 0 else 0.0, float(typical))
        return max(largest, 1e-2) if largest else 1.0


def complex_step(line):
    """∂y/∂t = Im f(t = i h) / h: no difference is taken, so no digit is lost (Squire & Trapp 1998)."""
    return line(1j * COMPLEX_STEP).imag / COMPLEX_STEP


@dataclass
class Slope:
    """∂y/∂t per output, with an error estimate, the one-sided slopes, and which outputs have a kink within the step."""

    value: np.ndarray
    error: np.ndarray
    left: np.ndarray
    right: np.ndarray
    kinked: np.ndarray
    step: float
    crossed: np.ndarray  # outputs with a kink within the first, largest step

    @property
    def smooth(self):
        return not self.kinked.any()


def central_difference(line, base):
    """The slope by central differences at h and h/2, extrapolated to order 4 (Richardson 1911).

    Steps shrink until both agree, so that a kink some way off does no harm; a kink nearer than the last step is
    reported with the slopes on its two sides. base is y at t = 0.
    """
    best, crossed = None, None
    for step in STEPS:
        slope = extrapolate(line, base, step * line.scale)
        crossed = slope.kinked if crossed is None else crossed
        slope.crossed = crossed
        if best is None or quality(slope) < quality(best):
            best = slope
        size = np.linalg.norm(slope.value)
        if slope.smooth and np.linalg.norm(slope.error) <= CLEAN * size + 1e-10:
            return slope
    return best


def quality(slope):
    """Smaller is better: first no kinks, then the smaller error."""
    return (int(slope.kinked.sum()), float(np.linalg.norm(slope.error)))


def extrapolate(line, base, h):
    far_right, far_left, right, left = line(h), line(-h), line(h / 2), line(-h / 2)
    wide, narrow = (far_right - far_left) / (2 * h), (right - left) / h
    # the second difference over h: for a smooth y it halves with h, at a kink it is the jump of the slope
    jump = 2 * (right - 2 * base + left) / (h / 2) - (far_right - 2 * base + far_left) / h
    size = np.maximum(np.abs(base), np.maximum(np.abs(far_right), np.abs(far_left)))
    rounding = 16 * ROUNDING * size / h
    value = (4 * narrow - wide) / 3
    slopes = np.maximum(np.abs((right - base) / (h / 2)), np.abs((base - left) / (h / 2)))
    limit = 1e-5 * slopes + 8 * rounding
    kinked = (np.abs(jump) > limit) | (np.abs(wide - narrow) > limit)
    return Slope(value, np.abs(wide - narrow) / 3 + rounding, (base - left) / (h / 2), (right - base) / (h / 2),
                 kinked, h, kinked)
