"""Element-wise functions y_i = f(x_i), alone or on top of a product: what stands in the place of f'(x)."""

from collections.abc import Callable, Iterator

import numpy as np

from ...arrays import Array
from ...derivatives.numeric import Line, central_difference, complex_step
from ..verdict import Guess, Verdict
from .case import EQUAL, Candidate, Case


def elementwise(case: Case) -> Verdict | None:
    """Compare dx / dy with the things that get written instead of f'(x)."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    with np.errstate(all="ignore"):
        written = case.found / case.dy_at_entries
        if not np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
            return other_branches(case, written, slopes)
        derivatives = written_derivatives(case, written[0], slopes)
        candidates = (Candidate(slug, said, case.dy_at_entries * derivative) for slug, said, derivative in derivatives)
        named = case.named(candidates, f"dx / dy equals it {case.everywhere}")
    return named or one_branch(case, written[0], slopes, case.values)


def diagonal(case: Case) -> Array | None:
    """f'(x) at the entries if y is element-wise in this array, else None."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    rows = np.arange(len(case.entries))
    slopes: Array = case.columns[rows, case.entries]
    rest = case.columns.copy()
    rest[rows, case.entries] = 0
    return None if np.abs(rest).max(initial=0) > 1e-7 * np.abs(slopes).max(initial=0) else slopes


def written_derivatives(case: Case, written: Array, slopes: Array) -> Iterator[tuple[str, str, Array]]:
    """(mistake, message, what stands for f'(x)) at the entries."""
    x, y, within = case.values, case.y.ravel()[case.entries], f"in {case.label}"
    yield "derivative-missing", f"{case.label} is dy itself", np.ones_like(x)
    if np.ptp(written) <= 1e-9 * abs(written[0]) and np.isclose(slopes, written[0], 1e-9).any():
        everywhere = f"{case.label} is {written[0]:g} dy everywhere, which is right in some entries only"
        yield "derivative-missing", everywhere, written
    yield "derivative-twice", f"{within} the derivative is applied twice: dy f'({case.name})²", slopes**2
    yield "value-for-derivative", f"{within} the value y stands where the derivative belongs: dy y", y
    for part, left in ((y / x, "f"), (slopes - y / x, "x f'")):
        yield "term-missing", f"of the product rule (x f)' = f + x f' only the term {left} is there", part
    yield "derivative-inverted", f"{case.label} is dy divided by the derivative; multiply by it", 1 / slopes
    for name, by_output in OF_OUTPUT.items():
        if case.same(slopes, by_output(y)):
            message = f"the formula {name} is meant for the output y, but is given the input x"
            yield "derivative-at-input", message, by_output(x)
    for name, formula in NEARLY.items():
        yield "formula-slip", f"dx / dy is {name}, which is not this function's derivative", formula(x, y)
    at_output = slopes_at_output(case)
    if at_output is not None:
        message = f"{within} the derivative is taken at the output y instead of the input {case.name}"
        yield "derivative-at-output", message, at_output


OF_OUTPUT: dict[str, Callable[[Array], Array]] = {
    "y (1 - y)": lambda u: u * (1 - u),
    "1 - y²": lambda u: 1 - u * u,
}
NEARLY: dict[str, Callable[[Array, Array], Array]] = {
    "y (1 + y)": lambda x, y: y * (1 + y),
    "1 - y": lambda x, y: 1 - y,
    "1 + y²": lambda x, y: 1 + y * y,
    "1 / √(1 + x²)": lambda x, y: 1 / np.sqrt(1 + x * x),
    "1 / (1 - x²)": lambda x, y: 1 / (1 - x * x),
    "exp(x)": lambda x, y: np.exp(x),
}


def other_formula(case: Case) -> Verdict | None:
    """dx / dy is the same for every dy, but not f'(x): it lets other entries through, or is another formula."""
    slopes = diagonal(case)
    if slopes is None or len(slopes) < 4:
        return None
    written = case.found / case.dy_at_entries
    if not np.isfinite(written).all() or not np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return None
    right = np.unique(np.round(slopes, 9))
    if len(right) == 2 and right[0] == 0 and np.array_equal(np.unique(np.round(written, 9)), right):
        evidence = f"dx / dy is 0 or {right[1]:g} as it should be, but in other places"
        if case.subject.uses_random:
            message = "the backward's mask is not the forward's: keep the mask in the cache"
            return case.verdict("mask-redrawn", message, evidence)
        message = "the mask lets other entries through than the forward does: compare the conditions"
        return case.verdict("wrong-mask", message, evidence)
    message = f"dx / dy depends on {case.name} alone, as it must, but it is not the derivative"
    return case.verdict("wrong-derivative", message, case.deviates_most())


def slopes_at_output(case: Case) -> Array | None:
    """f'(f(x)) at the entries."""
    exact = case.numbers.is_exact(case.name)
    try:
        point = case.subject.at(np.complex128 if exact else np.float64)
        point.arrays[case.name][...] = case.y
        line = Line(point, case.name, ..., np.ones(case.array.shape))
        slope = complex_step(line) if exact else central_difference(line, point.forward()).value
    except Exception:  # y may lie where the function is not defined
        return None
    found: Array = slope.ravel()[case.entries]
    return found


def one_branch(case: Case, written: Array, slopes: Array, x: Array) -> Verdict | None:
    """Right for positive x and wrong for negative ones by a constant, or the other way round."""
    for right, wrong_side, where in (("positive", "negative", x > 0), ("negative", "positive", x < 0)):
        other = ~where & (x != 0)
        if where.sum() < 2 or other.sum() < 2 or not case.same(written[where], slopes[where]):
            continue
        for name, number in case.numbers_given.items():
            if number not in (0, 1) and case.same(written[other] * number, slopes[other]):
                message = f"right for {right} x; for {wrong_side} x the factor {name} = {number:g} is missing"
                return case.verdict("keyword-ignored", message, case.deviates_most(2))
        value = np.unique(np.round(written[other], 9))
        now = f"{value[0]:g}" if len(value) == 1 else "another formula"
        what = f"right for {right} x, wrong for {wrong_side} x, where dx / dy is {now}"
        message = f"{what}: that branch has a derivative of its own"
        return Guess(case.name, "one-branch", message, case.deviates_most(2))
    return None


def other_branches(case: Case, written: Array, slopes: Array) -> Verdict | None:
    """written changes with dy: a mask taken from somewhere else."""
    levels = np.unique(np.round(written[np.isfinite(written)], 9))
    allowed = np.unique(np.round(np.append(slopes, 0), 9))
    if len(levels) > 2 or not np.isin(levels, allowed).all() or len(np.unique(np.round(slopes, 9))) > 2:
        return None
    shown = " or ".join(f"{v:g}" for v in levels)
    positive, passed = case.dy_at_entries > 0, np.isclose(written, levels[-1])
    if np.array_equal(passed, positive & (slopes != 0)) or np.array_equal(passed, positive):
        message = "the mask is taken from dy > 0, not from what went forward"
        return case.verdict("mask-from-upstream", message, f"dx / dy is {levels[0] + 0:g} wherever dy is negative")
    message = "the mask is not the forward's: keep it in the cache and use it again"
    evidence = f"dx / dy is {shown} as it should be, but in other places"
    return Guess(case.name, "mask-redrawn" if case.subject.uses_random else "wrong-mask", message, evidence)


# On top of a product: y = f(x W + b) ----------------------------------------------------------------------------


def fused(case: Case) -> Verdict | None:
    """The derivative of what comes after a product or convolution, not applied or applied twice."""
    what = f"in {case.label} the derivative of what comes after the product is"
    candidates = [Candidate("derivative-missing", f"{what} missing: multiply dy by it first", p) for p in bare(case)]
    slopes = bias_slopes(case)
    if slopes is not None:
        twice = case.through(case.dy * slopes.ravel())
        candidates.append(Candidate("derivative-twice", f"{what} applied twice", twice))
    return case.named(candidates, EQUAL)


def bare(case: Case) -> Iterator[Array]:
    """Σ dy, aᵀ dy and dy aᵀ: gradients of the bare product, which need no bias, and no f' that is nowhere 0."""
    if case.y.ndim != 2 or is_affine(case):
        return
    full, (rows, columns) = case.dy_full, case.y.shape
    matrices = [a for name, a in case.arrays.items() if a.ndim == 2 and name != case.name]
    products = [full.sum(axis=2 if case.array.shape == (rows, 1) else 1)]
    products += [a.T @ full for a in matrices if len(a) == rows]
    products += [full @ a.T for a in matrices if a.shape[1] == columns]
    yield from (case.pick(product) for product in products if product[0].size == case.array.size)


def is_affine(case: Case) -> bool:
    """Whether y is affine in this array, so that no function comes after a product with it."""
    point = case.subject.at(np.float64)
    point.arrays[case.name][...] = 0
    rise = case.y - point.forward()
    return case.columns is not None and case.complete and case.same(case.values @ case.columns, rise.ravel())


def bias_slopes(case: Case) -> Array | None:
    """∂y/∂b of the bias that belongs to each output, or None: an array with one number per last axis of y, or first."""
    if case.y.ndim < 2:
        return None
    for name, array in case.arrays.items():
        row = array.size == case.y.shape[-1] and array.shape[-1:] == case.y.shape[-1:]
        if row or (case.y.ndim == 2 and array.shape == (len(case.y), 1)):
            slope, _ = case.numbers.along(name, np.ones(array.shape))
            if not case.same(slope, np.ones_like(slope)) and slope.any():
                return slope
    return None
