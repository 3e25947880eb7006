"""Derivatives without a backward pass: the complex step, and extrapolated central differences.

Both work on a line through a point: the forward as a function of one number t, where one entry of one array moves by
t, or a whole array by t times a direction.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..arrays import Array, Generator
from ..user_code.faults import CodeFault
from ..user_code.subjects import Point, Subject

COMPLEX_STEP = 1e-100
STEPS = (1e-4, 1e-5, 1e-6, 1e-7)  # relative to the array's size; the first that gives a clean estimate is kept
CLEAN = 2e-8  # an estimate is clean when both steps agree to this, relative to the derivative
ROUNDING = np.finfo(np.float64).eps
KEPT = 4_000_000  # numbers of the Jacobian that are kept for diagnosis


class Path(Protocol):
    """t -> y, and the size of the numbers that t moves."""

    def __call__(self, t: complex) -> Array: ...

    @property
    def scale(self) -> float: ...


class Line:
    """t -> y, the forward with array[where] moved by t times direction; the array is put back after each call."""

    def __init__(
        self, point: Point, name: str, where: Any = ..., direction: Array | float = 1.0, typical: float | None = None
    ) -> None:
        self.point: Point = point
        self.array: Array = point.arrays[name]
        self.where: Any = where
        self.direction: Array | float = direction
        self.typical = typical  # the array's root mean square, where it is known already

    def __call__(self, t: complex) -> Array:
        saved = self.array[self.where].copy()
        self.array[self.where] = saved + t * self.direction
        try:
            return self.point.forward().copy()  # y may be a view of the array that is put back
        finally:
            self.array[self.where] = saved

    @property
    def scale(self) -> float:
        """The size of the numbers that move: steps are relative to it."""
        values = self.array[self.where]
        typical = self.typical if self.typical is not None else root_mean_square(self.array)
        largest = max(float(abs(values)) if values.ndim == 0 else 0.0, typical)
        return max(largest, 1e-2) if largest else 1.0


def root_mean_square(array: Array) -> float:
    return float(np.sqrt(np.vdot(array, array).real / array.size)) if array.size else 0.0


def complex_step(line: Path) -> Array:
    """∂y/∂t = Im f(t = i h) / h: no difference is taken, so no digit is lost (Squire & Trapp 1998)."""
    return np.asarray(np.imag(line(1j * COMPLEX_STEP)) / COMPLEX_STEP)


@dataclass
class Slope:
    """∂y/∂t per output, with an error estimate, the one-sided slopes, and which outputs have a kink within the step."""

    value: Array
    error: Array
    left: Array
    right: Array
    kinked: Array
    step: float
    crossed: Array  # outputs with a kink within the first, largest step

    @property
    def smooth(self) -> bool:
        return not self.kinked.any()


def central_difference(line: Path, base: Array) -> Slope:
    """The slope by central differences at h and h/2, extrapolated to order 4 (Richardson 1911).

    Steps shrink until both agree, so that a kink some way off does no harm; a kink nearer than the last step is
    reported with the slopes on its two sides. base is y at t = 0.
    """
    tried: list[Slope] = []
    for step in STEPS:
        slope, gap = extrapolate(line, base, step * line.scale)
        slope.crossed = tried[0].crossed if tried else jumping(slope)
        if slope.smooth and norm(gap) <= CLEAN * norm(slope.value) + norm(slope.error - gap):
            return slope
        tried.append(slope)
    return min(tried, key=quality)


def jumping(slope: Slope) -> Array:
    """The outputs whose kink is one: a smooth but strongly curved y has one-sided slopes that differ little."""
    if not slope.kinked.any():
        return slope.kinked
    steepest = np.maximum(np.abs(slope.right), np.abs(slope.left))
    return np.asarray(slope.kinked & (np.abs(slope.right - slope.left) > 0.01 * steepest))


def norm(a: Array) -> float:
    a = a.ravel()
    return float(np.sqrt(a @ a))


def quality(slope: Slope) -> tuple[int, float]:
    """Smaller is better: first no kinks, then the smaller error."""
    return (int(slope.kinked.sum()), norm(slope.error))


def extrapolate(line: Path, base: Array, h: float) -> tuple[Slope, Array]:
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


@dataclass
class Numeric:
    """∂<dy, y>/∂entry for each upstream dy (rows) and each entry chosen (columns), with error estimates."""

    name: str
    method: str
    entries: Array  # flat indices
    values: Array
    errors: Array
    slopes: dict[int, Slope] = field(default_factory=dict)  # by entry, where central differences met a kink
    columns: Array | None = None  # ∂y/∂entry, one row per entry, when small enough to keep


class Differentiator:
    """Derivatives of one point's output by its arrays, by complex step where that is right, else by differences."""

    def __init__(self, subject: Subject, upstreams: Sequence[Array], rng: Generator) -> None:
        self.subject: Subject = subject
        self.upstreams: Sequence[Array] = upstreams
        self.rng: Generator = rng
        self.rows: Array = np.stack([dy.ravel() for dy in upstreams])  # an upstream gradient each
        self.real: Point = subject.at(np.float64)
        self.complex: Point = self.real
        self.base: Array = self.real.forward()
        self.methods: dict[str, str] = {}
        self.on_entry: Callable[[], None] = lambda: None
        self.find_methods()

    def find_methods(self) -> None:
        """Complex step for the arrays where it agrees with central differences along a random direction."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            try:
                self.complex = self.subject.at(np.complex128)
                usable = self.is_continuation(self.complex.forward())
            except (CodeFault, Warning, TypeError, ValueError):
                usable = False
            for name in self.subject.names:
                self.methods[name] = "complex step" if usable and self.agrees(name) else "central differences"

    def is_continuation(self, y: Array) -> bool:
        """Whether the complex forward gives the real one's y, and a complex number."""
        return y.dtype.kind == "c" and y.shape == self.base.shape and np.allclose(np.real(y), self.base, 1e-9, 1e-12)

    def agrees(self, name: str) -> bool:
        direction = self.rng.normal(size=self.real.arrays[name].shape)
        try:
            exact = complex_step(Line(self.complex, name, ..., direction))
        except (CodeFault, Warning, TypeError, ValueError):
            return False
        slope = self.difference(name, ..., direction)
        smooth = ~slope.kinked
        if exact.shape != slope.value.shape or not np.isfinite(exact).all():
            return False
        off = np.linalg.norm((exact - slope.value)[smooth])
        noise = 10 * np.linalg.norm(slope.error[smooth]) + 1e-7 * np.linalg.norm(self.base)
        return bool(off <= 1e-5 * np.linalg.norm(slope.value[smooth]) + noise)

    def line(self, name: str, where: Any = ..., direction: Array | float = 1.0) -> Line:
        return Line(self.complex if self.is_exact(name) else self.real, name, where, direction)

    def is_exact(self, name: str) -> bool:
        """Whether an array is differentiated by complex step."""
        return self.methods[name] == "complex step"

    def along(self, name: str, direction: Array) -> tuple[Array, Array]:
        """The slope of y along a direction through the whole array: (∂y/∂t, error)."""
        line = self.line(name, ..., direction)
        if self.is_exact(name):
            value = complex_step(line)
            return value, np.zeros_like(value)
        slope = central_difference(line, self.base)
        return slope.value, slope.error

    def slope(self, name: str, entry: int) -> Slope:
        """The central difference of one entry, whatever the method of its array."""
        return self.difference(name, np.unravel_index(entry, self.real.arrays[name].shape))

    def difference(self, name: str, where: Any, direction: Array | float = 1.0) -> Slope:
        return central_difference(Line(self.real, name, where, direction), self.base)

    def mistrusts(self, name: str, numeric: Numeric, found: Array, floor: float) -> bool:
        """Whether differences side with the code against the complex step; if so they are used for this array.

        A forward can be complex-safe along most directions and not in some entry (an abs, a conjugate).
        """
        if numeric.method != "complex step":
            return False
        off = np.abs(found - numeric.values).max(axis=0, initial=0)
        size = np.abs(found).max(axis=0, initial=0) + np.abs(numeric.values).max(axis=0, initial=0)
        worst = [i for i in np.argsort(off)[-3:] if off[i] > max(floor, 3e-10 * size[i])]
        for i in worst:
            slope = self.slope(name, int(numeric.entries[i]))
            by_difference = self.rows @ slope.value.ravel()
            near_code = np.abs(by_difference - found[:, i]).max() < 0.1 * off[i]
            if slope.smooth and near_code:
                self.methods[name] = "central differences"
                return True
        return False

    def seconds_per_entry(self, name: str) -> float:
        """What one entry takes, the best of three: a busy machine must not make the check a smaller one."""
        times = []
        for _ in range(3):
            start = time.perf_counter()
            self.line(name)(0.0)
            times.append(time.perf_counter() - start)
        return min(times) * (1 if self.is_exact(name) else 5)

    def entries(self, name: str, entries: Array) -> Numeric:
        """Differentiate by these entries, one at a time."""
        entries = np.asarray(entries, dtype=int)
        shape = self.real.arrays[name].shape
        keep = len(entries) * self.base.size <= KEPT
        columns = np.empty((len(entries), self.base.size)) if keep else None
        values, errors = np.zeros((2, len(self.rows), len(entries)))
        slopes, exact = {}, self.is_exact(name)
        point, typical = self.complex if exact else self.real, root_mean_square(self.real.arrays[name])
        places = list(zip(*np.unravel_index(entries, shape), strict=True)) if shape else [()] * len(entries)
        for i, entry in enumerate(entries):
            line = Line(point, name, places[i], 1.0, typical)
            if exact:
                column = complex_step(line).ravel()
            else:
                slope = central_difference(line, self.base)
                column = slope.value.ravel()
                errors[:, i] = np.sqrt(self.rows**2 @ np.square(slope.error.ravel()))
                if slope.crossed.any():
                    slopes[int(entry)] = slope
            values[:, i] = self.rows @ column
            if columns is not None:
                columns[i] = column
            self.on_entry()
        return Numeric(name, self.methods[name], entries, values, errors, slopes, columns)


def choose_entries(array: Array, analytic: Array | None, rng: Generator, most: int) -> Array:
    """All entries of an array of at most `most`; else that many at random, the first, the last and the largest."""
    if array.size <= most:
        return np.arange(array.size)
    chosen = {0, array.size - 1}
    if analytic is not None and analytic.size == array.size:
        chosen |= set(np.argsort(np.abs(analytic.ravel()))[-8:].tolist())
    return np.unique(np.concatenate([rng.choice(array.size, most, replace=False), np.fromiter(chosen, int)]))
