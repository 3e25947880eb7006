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
    with np.errstate(all="ignore"):
        named = case.named(written_for(case, written[0], slopes), f"dx / dy equals it {case.everywhere}")
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


def written_for(case: Case, written: Array, slopes: Array) -> Iterator[Candidate]:
    """What gets written for f', which depends on x alone."""
    for slug, message, derivative in written_derivatives(case, written, slopes):
        yield Candidate(slug, message, case.dy_at_entries * derivative)


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
    """dx / dy is the same for every dy, but not f'(x)."""
    slopes = diagonal(case)
    if slopes is None or len(slopes) < 4:
        return None
    written = case.found / case.dy_at_entries
    if not np.isfinite(written).all() or not np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return None
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
        value = np.unique(np.round(written[other], 9))
        now = f"{value[0]:g}" if len(value) == 1 else "another formula"
        what = f"right for {right} x, wrong for {wrong_side} x, where dx / dy is {now}"
        message = f"{what}: that branch has a derivative of its own"
        return case.verdict("one-branch", message, case.deviates_most(2))
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
        return case.verdict("mask-from-upstream", message, f"dx / dy is {levels[0]:g} wherever dy is negative")
    message = "the mask is not the forward's: keep it in the cache and use it again"
    evidence = f"dx / dy is {shown} as it should be, but in other places"
    return Guess(case.name, "mask-redrawn", message, evidence)


def other_mask(case: Case) -> Verdict | None:
    """A mask with the right numbers in other places, the same for every dy."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    dy = case.dy_at_entries[0]
    written = case.found[0] / np.where(dy == 0, 1, dy)
    levels, right = np.unique(np.round(written, 9)), np.unique(np.round(slopes, 9))
    if len(right) != 2 or right[0] != 0 or not np.isin(levels, right).all() or len(levels) != 2:
        return None
    mistake, message = "wrong-mask", "the mask lets other entries through than the forward does: compare the conditions"
    if case.subject.uses_random:
        mistake = "mask-redrawn"
        message = "the backward's mask is not the forward's: keep the mask in the cache"
    return case.verdict(mistake, message, f"dx / dy is 0 or {right[1]:g} as it should be, but in other places")


# On top of a product: y = f(x W + b) ----------------------------------------------------------------------------


def fused(case: Case) -> Verdict | None:
    """The gradient that is right for dy / f' or dy · f' instead of dy, where f' is read off the bias's slopes."""
    slopes = bias_slopes(case)
    if slopes is None:
        return plain_product(case)
    flat = slopes.ravel()
    with np.errstate(all="ignore"):
        divided = np.where(flat != 0, case.dy / np.where(flat == 0, 1, flat), 0)
    missing = f"in {case.label} the derivative of what comes after the product is missing: multiply dy by it first"
    twice = f"in {case.label} the derivative of what comes after the product is applied twice"
    candidates = [
        Candidate("derivative-missing", missing, case.through(divided)),
        Candidate("derivative-twice", twice, case.through(case.dy * flat)),
    ]
    return case.named(candidates, EQUAL) or plain_product(case)


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


def plain_product(case: Case) -> Verdict | None:
    """xᵀ dy, dy Wᵀ or Σ dy: the bare product's gradient. It needs no bias, and no f' that is nowhere 0."""
    x, full = next(iter(case.arrays.values())), case.dy_full
    if case.y.ndim != 2 or x.ndim != 2:
        return None
    weights = [a for a in case.arrays.values() if a.shape == (x.shape[1], case.y.shape[1]) and a is not x]
    products = [[x.T @ dy for dy in full], [dy.sum(axis=0) for dy in full]]
    products += [[dy @ weight.T for dy in full] for weight in weights]
    fitting = (case.pick(product) for product in products if product[0].size == case.array.size)
    message = f"in {case.label} the derivative of what comes after the product is missing: multiply dy by it first"
    candidates = (Candidate("derivative-missing", message, product) for product in fitting)
    return case.named(candidates, "equal to the bare product's gradient in every entry")
