"""A wrong gradient with everything known about it: the case that hypotheses argue over."""

import contextlib
import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ...arrays import Array
from ...derivatives.numeric import Differentiator, Numeric
from ...user_code.arguments import Gradients
from ...user_code.subjects import Subject
from ..verdict import ArrayCheck, Guess, Verdict, entry

EQUAL = "equal to that in every entry"
SUBSET = 24  # entries on which a costly hypothesis is tried before all of them


# of what people return in the place of the right gradient: the mistake, a message, and the gradient per upstream
Wrong: TypeAlias = Iterable[tuple[str, str, Array | Sequence[Array]]]


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
        self.dy: Array = numbers.rows  # an upstream gradient each
        self.arrays: dict[str, Array] = numbers.real.arrays
        # every argument of the forward, differentiated or not, and its keywords, given or by default
        self.inputs: dict[str, Any] = dict(zip(self.subject.all_names, numbers.real.arguments, strict=True))
        self.keywords: dict[str, Any] = {**self.subject.defaults, **self.subject.kwargs}
        kinks = [np.ravel_multi_index(k.index, check.shape) for k in check.kinks if k.at_point and k.index]
        kept = ~np.isin(numeric.entries, kinks)
        self.entries: Array = numeric.entries[kept]
        self.expected: Array = numeric.values[:, kept]
        self.columns: Array | None = None if numeric.columns is None else numeric.columns[kept]
        self.tolerance: float = 1e-6 if numeric.method == "complex step" else 1e-5

    def verdict(self, mistake: str, message: str, evidence: str = "") -> Verdict:
        return Verdict(self.name, mistake, message, evidence)

    def own_branch(self, what: str, evidence: str) -> Verdict:
        """The verdict on what is right on one side of a bound."""
        return Guess(self.name, "one-branch", f"{what}: that branch has a derivative of its own", evidence)

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
    def numbers_given(self) -> dict[str, float]:
        """The forward's numbers by name: keywords, given or by default, arguments, and what a dict of them holds."""
        known = self.keywords | self.inputs
        for held in [value for value in known.values() if isinstance(value, dict)]:
            known |= held
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

    def pick(self, arrays: Sequence[Array] | Array) -> Array:
        """These arrays (one per upstream) at the entries checked, as rows."""
        rows: Array = np.reshape(arrays, (len(self.dy), -1))
        return rows[:, self.entries] if rows.shape[1] == self.array.size else rows

    # Comparing --------------------------------------------------------------------------------------------------

    def same(self, a: ArrayLike, b: ArrayLike) -> bool:
        """Whether a and b agree by norm."""
        a, b = np.asarray(a), np.asarray(b)
        size = np.linalg.norm(a) + np.linalg.norm(b)
        return a.shape == b.shape and bool(0 < size < np.inf and np.linalg.norm(a - b) <= self.tolerance * size)

    def explains(self, candidate: Array | None, some: Any = slice(None)) -> bool:
        """Whether candidate (rows like found, at some entries) is what the code computed, and not right anyway."""
        found, expected = self.found[..., some], self.expected[..., some]
        return candidate is not None and self.same(found, candidate) and not self.same(candidate, expected)

    def named(self, wrong: Wrong, evidence: str = EQUAL, kind: type[Verdict] = Verdict) -> Verdict | None:
        """The verdict of the first wrong gradient that explains what was found, or None."""
        for mistake, message, gradient in wrong:
            if self.explains(self.pick(gradient)):
                return kind(self.name, mistake, message, evidence)
        return None

    def factor(self, candidate: Array) -> float | None:
        """c with found = c · candidate, or None."""
        return ratio(self.found, candidate, self.tolerance)

    def fit(self, terms: Iterable[Array], target: Array) -> Array | None:
        """The factors of gradients that add up to a target (rows like found), if there are any."""
        rows = np.stack([self.pick(term).ravel() for term in terms])
        if not np.isfinite(rows).all():
            return None
        factors, *_ = np.linalg.lstsq(rows.T, target.ravel(), rcond=None)
        return factors if self.same(factors @ rows, target.ravel()) else None

    # Computing --------------------------------------------------------------------------------------------------

    def at_one(self) -> "Case | None":
        """The same case with dy = 1 as its only upstream gradient; None where that is right, or unknown."""
        case, case.numbers = copy.copy(self), copy.copy(self.numbers)
        case.dy = case.numbers.rows = np.ones((1, self.y.size))
        case.expected = self.found[:1] if self.columns is None else case.dy @ self.columns.T
        case.analytic, case.found = self.analytic[:1], self.found[:1]
        return None if case.same(case.found, case.expected) else case

    def of_value(self, name: str, found: Array, expected: Array) -> "Case":
        """The same case with a value on the way to it, and what that should be (one per upstream), as its gradient."""
        case = copy.copy(self)
        case.name, case.array, case.analytic, case.columns = name, expected[0], [*found], None
        case.entries = np.arange(expected[0].size)
        case.found, case.expected = case.pick(found), case.pick(expected)
        return case

    def elsewhere(self, name: str, value: Any, some: Array) -> Array | None:
        """The numeric gradient by some entries for another value of an array or a keyword; None where that fails."""
        numbers, is_exact = copy.copy(self.numbers), self.numbers.is_exact(self.name)
        point = numbers.real = numbers.complex = self.subject.at(np.complex128 if is_exact else np.float64)
        numbers.on_entry = lambda: None
        with contextlib.suppress(Exception):  # the code may refuse the value
            point.forward()  # running averages are those after one forward, as the code's backward found them
            if name in point.arrays:
                point.arrays[name][...] = value
            else:
                point.kwargs[name] = value
            numbers.base = point.forward()
            if numbers.base.shape == self.y.shape:
                return numbers.entries(self.name, self.entries[some]).values
        return None

    def explained_by(self, name: str, value: Any) -> bool:
        """Whether it is the right gradient for another value of an array or keyword: by some entries, then by all."""
        order = np.argsort(-np.abs(self.found - self.expected).max(axis=0), kind="stable")
        tries = (order[:n] for n in sorted({min(SUBSET, len(order)), len(order)}))
        return all(self.explains(self.elsewhere(name, value, some), some) for some in tries)

    def deviates_most(self, count: int = 3) -> str:
        """The worst entries in words: 'weight[0, 1] is 0.2, should be 0.1; ...'."""
        worst = np.argsort(-np.abs(self.found[0] - self.expected[0]))[:count]
        names = [entry(self.name, np.unravel_index(self.entries[i], self.array.shape)) for i in worst]
        pairs = zip(names, self.found[0, worst], self.expected[0, worst], strict=True)
        return "; ".join(f"{name} is {found:.6g}, should be {expected:.6g}" for name, found, expected in pairs)


def groups_of_axes(ndim: int) -> Iterator[tuple[int, ...]]:
    """Every choice of axes, single ones first."""
    for n in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), n)


def named_axes(axes: Sequence[int]) -> str:
    """'axis 0', 'axes 0, 2'."""
    return f"ax{'is' if len(axes) == 1 else 'es'} {', '.join(map(str, axes))}"


def apart(wrong: Sequence[Array], right: Sequence[Array]) -> Iterator[str]:
    """'index 0, 3 of axis 1': where along an axis there are only wrong entries, from the indices of all."""
    for axis, (missing, held) in enumerate(zip(map(set, wrong), map(set, right), strict=True)):
        if held and not missing & held:
            places = ", ".join(map(str, sorted(missing)[:6])) + (", ..." if len(missing) > 6 else "")
            yield f"index {places} of axis {axis}"


def ratio(a: ArrayLike, b: ArrayLike, tolerance: float = 1e-6) -> float | None:
    """c with a = c b up to tolerance, or None."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or not np.any(b) or not np.any(a) or not np.isfinite(a).all():
        return None
    c = float(np.sum(a * b) / np.sum(b * b))
    return c if np.linalg.norm(a - c * b) <= tolerance * np.linalg.norm(a) else None
