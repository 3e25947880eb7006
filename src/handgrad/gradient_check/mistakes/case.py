"""A wrong gradient with everything known about it: the case that hypotheses argue over."""

import copy
from functools import cached_property

import numpy as np

from ..derivatives import Line, central_difference, complex_step

SUBSET = 24  # entries on which a costly hypothesis is tried before all of them


class Case:
    """One array's gradient, found (by the code) and expected (numerically), for several upstream gradients.

    found, expected: one row per upstream, one column per entry checked.
    columns: ∂y/∂entry as rows, or None where there were too many to keep.
    """

    def __init__(self, subject, numbers, upstreams, gradients, check, numeric):
        self.subject, self.numbers, self.check, self.numeric = subject, numbers, check, numeric
        self.upstreams, self.gradients = upstreams, gradients
        self.name, self.array = check.name, numbers.real.arrays[check.name]
        self.analytic = [found[check.name] for found in gradients]
        kinks = [np.ravel_multi_index(k.index, check.shape) for k in check.kinks if k.at_point and k.index]
        self.kept = ~np.isin(numeric.entries, kinks)
        self.entries = numeric.entries[self.kept]
        self.expected = numeric.values[:, self.kept]
        self.columns = None if numeric.columns is None else numeric.columns[self.kept]
        self.y = numbers.base
        self.tolerance = 1e-6 if numeric.method == "complex step" else 1e-5

    @cached_property
    def found(self):
        return self.pick(self.analytic)

    @property
    def complete(self):
        """Whether every entry was differentiated."""
        return len(self.entries) == self.array.size

    @property
    def expected_full(self):
        """The numeric gradient in the array's shape, one per upstream (only where complete)."""
        return [values.reshape(self.array.shape) for values in self.expected]

    @property
    def dy(self):
        """The upstream gradients as rows."""
        return self.numbers.upstreams

    @property
    def arrays(self):
        return self.numbers.real.arrays

    @property
    def inputs(self):
        """Every argument of the forward by name, differentiated or not."""
        point = self.numbers.real
        return dict(zip(self.subject.all_names, point.arguments, strict=True))

    @property
    def batch_size(self):
        if self.y.ndim == 2 and any(a.shape == (len(self.y), 1) for a in self.arrays.values()):
            return self.y.shape[1]  # examples are columns where the bias is one
        if self.y.ndim:
            return len(self.y)
        sizes = [len(a) for name, a in self.inputs.items() if np.ndim(a)]
        shared = [n for n in sizes if sizes.count(n) > 1]  # by inputs and targets
        return (shared or sizes or [1])[0]

    def pick(self, arrays):
        """These arrays (one per upstream) at the entries checked."""
        return np.stack([np.asarray(a).ravel()[self.entries] for a in arrays])

    # Comparing --------------------------------------------------------------------------------------------------

    def same(self, a, b, tolerance=None):
        """Whether a and b agree by norm."""
        a, b = np.asarray(a), np.asarray(b)
        size = np.linalg.norm(a) + np.linalg.norm(b)
        return (
            a.shape == b.shape
            and 0 < size < np.inf
            and bool(np.linalg.norm(a - b) <= (tolerance or self.tolerance) * size)
        )

    def explains(self, candidate):
        """Whether candidate (rows like found) is what the code computed, and not what is right anyway."""
        return self.same(self.found, candidate) and not self.same(candidate, self.expected)

    def factor(self, candidate):
        """c with found = c · candidate, or None."""
        return ratio(self.found, candidate, self.tolerance)

    # Computing --------------------------------------------------------------------------------------------------

    def through(self, upstreams):
        """The right gradient for other upstreams (rows), at the entries: how a changed dy would have come out."""
        return None if self.columns is None else np.reshape(upstreams, (-1, self.y.size)) @ self.columns.T

    @property
    def wrong_at_one(self):
        """Whether the gradient is not the right one for dy = 1 either (False where that can't be told)."""
        right = self.through(np.ones_like(self.dy))
        return right is not None and not self.same(self.found, right)

    def at_one(self):
        """The same case with dy = 1 as its only upstream gradient: for code that ignores dy."""
        case = copy.copy(self)
        case.numbers = copy.copy(self.numbers)
        case.numbers.upstreams = np.ones((1, self.y.size))
        case.upstreams = [np.ones_like(self.y, dtype=np.float64)]
        case.expected = self.through(case.numbers.upstreams)
        case.gradients, case.analytic, case.found = self.gradients[:1], self.analytic[:1], self.found[:1]
        return case

    def elsewhere(self, change, entries=None):
        """The numeric gradient at a changed point: change(point) moves arrays or keywords. None if that fails."""
        entries = self.entries if entries is None else entries
        exact = self.numbers.methods[self.name] == "complex step"
        try:
            point = self.subject.at(np.complex128 if exact else np.float64)
            point.forward()  # running averages are those after one forward, as the code's backward found them
            change(point)
            base = point.forward()
            if base.shape != self.y.shape:
                return None
            rows = []
            for entry in entries:
                line = Line(point, self.name, np.unravel_index(entry, self.array.shape))
                rows.append((complex_step(line) if exact else central_difference(line, base).value).ravel())
        except Exception:  # a changed point may be one that the code refuses: then it explains nothing
            return None
        return self.dy @ np.stack(rows).T

    def explained_at(self, change):
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
        return len(some) == len(order) or self.same(self.found, self.elsewhere(change))

    def deviates_most(self, count=3):
        """The worst entries in words: 'weight[0, 1] is 0.2, should be 0.1; ...'."""
        off = np.abs(self.found[0] - self.expected[0])
        words = []
        for i in np.argsort(-off)[:count]:
            index = ", ".join(str(int(j)) for j in np.unravel_index(self.entries[i], self.array.shape))
            words.append(f"{self.name}[{index}] is {self.found[0, i]:.6g}, should be {self.expected[0, i]:.6g}")
        return "; ".join(words)


def ratio(a, b, tolerance=1e-6):
    """c with a = c b up to tolerance, or None."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or not np.any(b) or not np.any(a) or not np.isfinite(a).all():
        return None
    c = float(np.sum(a * b) / np.sum(b * b))
    return c if np.linalg.norm(a - c * b) <= tolerance * np.linalg.norm(a) else None
