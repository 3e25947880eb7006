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

    def __init__(self, point, name, where=..., direction=1.0, typical=None):
        self.point, self.array, self.where, self.direction = point, point.arrays[name], where, direction
        self.typical = typical  # the array's root mean square, where it is known already

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
        values = self.array[self.where]
        typical = self.typical if self.typical is not None else root_mean_square(self.array)
        largest = max(float(abs(values)) if values.ndim == 0 else 0.0, typical)
        return max(largest, 1e-2) if largest else 1.0


def root_mean_square(array):
    return float(np.sqrt(np.vdot(array, array).real / array.size)) if array.size else 0.0


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
    best = crossed = None
    for step in STEPS:
        slope, gap = extrapolate(line, base, step * line.scale)
        if crossed is None:  # a smooth but strongly curved y has one-sided slopes that differ little
            crossed = slope.kinked
            if crossed.any():
                wide = np.abs(slope.right - slope.left) > 0.01 * np.maximum(np.abs(slope.right), np.abs(slope.left))
                crossed = crossed & wide
        slope.crossed = crossed
        if slope.smooth and norm(gap) <= CLEAN * norm(slope.value) + norm(slope.error - gap):
            return slope
        if best is None or quality(slope) < quality(best):
            best = slope
    return best


def norm(a):
    a = a.ravel()
    return float(np.sqrt(a @ a))


def quality(slope):
    """Smaller is better: first no kinks, then the smaller error."""
    return (int(slope.kinked.sum()), norm(slope.error))


def extrapolate(line, base, h):
    """The slope from y at ±h and ±h/2, and how far the two central differences are apart (a third of it)."""
    far_right, far_left = line(h) - base, base - line(-h)
    right, left = (line(h / 2) - base) * (2 / h), (base - line(-h / 2)) * (2 / h)
    wide, narrow = (far_right + far_left) / (2 * h), (right + left) / 2
    # the second difference over h: for a smooth y it halves with h, at a kink it is the jump of the slope
    jump = 2 * (right - left) - (far_right - far_left) / h
    gap = np.abs(wide - narrow)
    # what is computed on the way to a small y may be as large as the largest y; an output that stays is exact
    steepest = np.maximum(np.abs(right), np.abs(left))
    rounding = np.abs(base).max(initial=0) * (32 * ROUNDING / h) * (steepest + np.abs(wide) != 0)
    limit = 1e-5 * steepest + 8 * rounding
    kinked = (np.abs(jump) > limit) | (gap > limit)
    return Slope((4 * narrow - wide) / 3, gap / 3 + rounding, left, right, kinked, h, kinked), gap / 3
