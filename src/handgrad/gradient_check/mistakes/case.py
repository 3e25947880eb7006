"""A wrong gradient with everything known about it: the case that hypotheses argue over."""

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import Array
from ...derivatives.numeric import Differentiator, Line, Numeric, central_difference, complex_step
from ...user_code.arguments import Gradients
from ...user_code.subjects import Point, Subject
from ..verdict import ArrayCheck, Guess, Verdict

EQUAL = "equal to that in every entry"
SUBSET = 24  # entries on which a costly hypothesis is tried before all of them


class Candidate(NamedTuple):
    """A gradient that people return in the place of the right one, at the entries checked: rows like found."""

    mistake: str
    message: str
    rows: Array | None
    is_guess: bool = False  # whether the source may say better


class Case:
    """One array's gradient, found (by the code) and expected (numerically), for several upstream gradients.

    found, expected: one row per upstream, one column per entry checked.
    columns: ∂y/∂entry as rows, or None where there were too many to keep.
    """

    def __init__(
        self, numbers: Differentiator, gradients: Sequence[Gradients], check: ArrayCheck, numeric: Numeric
    ) -> None:
        self.numbers: Differentiator = numbers
        self.gradients: Sequence[Gradients] = gradients
        self.check: ArrayCheck = check
        self.subject: Subject = numbers.subject
        self.name: str = check.name
        self.array: Array = numbers.real.arrays[check.name]
        self.y: Array = numbers.base
        given = [found[check.name] for found in gradients]
        self.missing: bool = given[0] is None
        self.analytic: list[Array] = [np.empty(0) if a is None else a for a in given]
        kinks = [np.ravel_multi_index(k.index, check.shape) for k in check.kinks if k.at_point and k.index]
        kept = ~np.isin(numeric.entries, kinks)
        self.entries: Array = numeric.entries[kept]
        self.expected: Array = numeric.values[:, kept]
        self.columns: Array | None = None if numeric.columns is None else numeric.columns[kept]
        self.tolerance: float = 1e-6 if numeric.method == "complex step" else 1e-5

    def verdict(self, mistake: str, message: str, evidence: str = "") -> Verdict:
        return Verdict(self.name, mistake, message, evidence)

    @cached_property
    def found(self) -> Array:
        return self.pick(self.analytic)

    @property
    def complete(self) -> bool:
        """Whether every entry was differentiated."""
        return len(self.entries) == self.array.size

    @property
    def label(self) -> str:
        return f"the gradient by {self.name}"

    @property
    def everywhere(self) -> str:
        return f"in all {len(self.entries)} entries"

    @property
    def expected_full(self) -> list[Array]:
        """The numeric gradient in the array's shape, one per upstream (only where complete)."""
        return [values.reshape(self.array.shape) for values in self.expected]

    @property
    def dy(self) -> Array:
        """The upstream gradients as rows."""
        return self.numbers.rows

    @property
    def dy_full(self) -> Array:
        """The upstream gradients in the shape of y, one per upstream."""
        return self.dy.reshape(-1, *self.y.shape)

    @property
    def dy_at_entries(self) -> Array:
        """dy at the entries checked, where y has the array's shape."""
        return self.dy[:, self.entries]

    @property
    def values(self) -> Array:
        """The array itself at the entries checked."""
        return self.array.ravel()[self.entries]

    @property
    def arrays(self) -> dict[str, Array]:
        return self.numbers.real.arrays

    @property
    def inputs(self) -> dict[str, Any]:
        """Every argument of the forward by name, differentiated or not."""
        return dict(zip(self.subject.all_names, self.numbers.real.arguments, strict=True))

    @property
    def keywords(self) -> dict[str, Any]:
        """The forward's keywords, given or by default."""
        return {**self.subject.defaults, **self.subject.kwargs}

    @property
    def numbers_given(self) -> dict[str, float]:
        """The forward's numbers by name: keywords, given or by default, arguments, and what a dict of them holds."""
        known = {**self.subject.defaults, **self.inputs, **self.subject.kwargs}
        for value in [*known.values()]:
            known |= value if isinstance(value, dict) else {}
        return {k: float(v) for k, v in known.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}

    @property
    def batch_size(self) -> int:
        shapes = [a.shape for a in self.arrays.values()]
        if self.y.ndim == 2 and {(len(self.y), 1), self.y.shape[:1]} & {*shapes} and self.y.shape[1:] not in shapes:
            return int(self.y.shape[1])  # examples are columns where the bias is one, or has a number for each row
        if self.y.ndim:
            return len(self.y)
        sizes = [len(a) for a in self.inputs.values() if np.ndim(a)]
        shared = [n for n in sizes if sizes.count(n) > 1]  # by inputs and targets
        return int((shared or sizes or [1])[0])

    def pick(self, arrays: Sequence[ArrayLike] | Array) -> Array:
        """These arrays (one per upstream) at the entries checked."""
        return np.stack([np.asarray(a).ravel()[self.entries] for a in arrays])

    # Comparing --------------------------------------------------------------------------------------------------

    def same(self, a: ArrayLike, b: ArrayLike) -> bool:
        """Whether a and b agree by norm."""
        a, b = np.asarray(a), np.asarray(b)
        size = np.linalg.norm(a) + np.linalg.norm(b)
        return a.shape == b.shape and bool(0 < size < np.inf and np.linalg.norm(a - b) <= self.tolerance * size)

    def explains(self, candidate: Array | None) -> bool:
        """Whether candidate (rows like found) is what the code computed, and not what is right anyway."""
        return candidate is not None and self.same(self.found, candidate) and not self.same(candidate, self.expected)

    def named(self, candidates: Iterable[Candidate], evidence: str) -> Verdict | None:
        """The verdict of the first candidate that explains what was found, or None."""
        for mistake, message, rows, is_guess in candidates:
            if self.explains(rows):
                return (Guess if is_guess else Verdict)(self.name, mistake, message, evidence)
        return None

    def factor(self, candidate: Array) -> float | None:
        """c with found = c · candidate, or None."""
        return ratio(self.found, candidate, self.tolerance)

    # Computing --------------------------------------------------------------------------------------------------

    def through(self, upstreams: Array) -> Array | None:
        """The right gradient for other upstreams (rows), at the entries: how a changed dy would have come out."""
        if self.columns is None:
            return None
        right: Array = np.reshape(upstreams, (-1, self.y.size)) @ self.columns.T
        return right

    @property
    def ignores_upstream(self) -> bool:
        """Whether the gradient is the same whatever dy is."""
        several = len(self.found) > 1 and not self.same(self.dy[0], self.dy[1])
        return several and self.same(self.found[0], self.found[1])

    @property
    def wrong_at_one(self) -> bool:
        """Whether the gradient is not the right one for dy = 1 either (False where that can't be told)."""
        right = self.through(np.ones_like(self.dy))
        return right is not None and not self.same(self.found, right)

    def at_one(self) -> "Case":
        """The same case with dy = 1 as its only upstream gradient: for code that ignores dy."""
        case, numbers = copy.copy(self), copy.copy(self.numbers)
        numbers.upstreams, numbers.rows = [np.ones_like(self.y, dtype=np.float64)], np.ones((1, self.y.size))
        expected = self.through(numbers.rows)
        case.numbers, case.expected = numbers, self.expected[:1] if expected is None else expected
        case.gradients, case.analytic, case.found = self.gradients[:1], self.analytic[:1], self.found[:1]
        return case

    def of_value(self, name: str, found: Array, expected: Array) -> "Case":
        """The same case with a value on the way to it, and what that should be (one per upstream), as its gradient."""
        case = copy.copy(self)
        case.name, case.array, case.analytic, case.columns = name, expected[0], [*found], None
        case.entries = np.arange(expected[0].size)
        case.found, case.expected = case.pick(found), case.pick(expected)
        return case

    def elsewhere(self, change: Callable[[Point], object], entries: Array | None = None) -> Array | None:
        """The numeric gradient at a changed point: change(point) moves arrays or keywords. None if that fails."""
        exact = self.numbers.is_exact(self.name)
        try:
            point = self.subject.at(np.complex128 if exact else np.float64)
            point.forward()  # running averages are those after one forward, as the code's backward found them
            change(point)
            base = point.forward()
            if base.shape != self.y.shape:
                return None
            rows = []
            for entry in self.entries if entries is None else entries:
                line = Line(point, self.name, np.unravel_index(entry, self.array.shape))
                rows.append((complex_step(line) if exact else central_difference(line, base).value).ravel())
        except Exception:  # a changed point may be one that the code refuses: then it explains nothing
            return None
        gradient: Array = self.dy @ np.stack(rows).T
        return gradient

    def explained_at(self, change: Callable[[Point], object]) -> bool:
        """Whether the code's gradient is the right one of a changed point: tried on some entries, then on all."""
        order = np.argsort(-np.abs(self.found - self.expected).max(axis=0), kind="stable")
        some = order[:SUBSET]
        candidate = self.elsewhere(change, self.entries[some])
        if (
            candidate is None
            or not self.same(self.found[:, some], candidate)
            or self.same(candidate, self.expected[:, some])
        ):
            return False
        if len(some) == len(order):
            return True
        candidate = self.elsewhere(change)
        return candidate is not None and self.same(self.found, candidate)

    def deviates_most(self, count: int = 3) -> str:
        """The worst entries in words: 'weight[0, 1] is 0.2, should be 0.1; ...'."""
        off = np.abs(self.found[0] - self.expected[0])
        words = []
        for i in np.argsort(-off)[:count]:
            index = ", ".join(str(int(j)) for j in np.unravel_index(self.entries[i], self.array.shape))
            words.append(f"{self.name}[{index}] is {self.found[0, i]:.6g}, should be {self.expected[0, i]:.6g}")
        return "; ".join(words)


def named_axes(axes: Sequence[int]) -> str:
    """'axis 0', 'axes 0, 2'."""
    return f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))}"


def ratio(a: ArrayLike, b: ArrayLike, tolerance: float = 1e-6) -> float | None:
    """c with a = c b up to tolerance, or None."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or not np.any(b) or not np.any(a) or not np.isfinite(a).all():
        return None
    c = float(np.sum(a * b) / np.sum(b * b))
    return c if np.linalg.norm(a - c * b) <= tolerance * np.linalg.norm(a) else None
