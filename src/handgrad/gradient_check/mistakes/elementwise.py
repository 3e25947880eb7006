"""Element-wise functions y_i = f(x_i), alone or on top of a product: what stands in the place of f'(x)."""

from collections.abc import Callable, Iterator

import numpy as np

from ...arrays import Array
from ..verdict import Guess, Verdict
from .case import Case


def elementwise(case: Case) -> Verdict | None:
    """Compare dx / dy with the things that get written instead of f'(x)."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    written = factor_of_upstream(case)
    if written is None:
        return other_mask(case, slopes)
    evidence, dy = f"dx / dy equals it {case.everywhere}", case.dy_at_entries
    stands = written_derivatives(case, written, slopes)
    if named := case.named(((slug, said, dy * derivative) for slug, said, derivative in stands), evidence):
        return named
    if case.explained_by(case.name, case.y):
        message = f"in {case.label} the derivative is taken at the output y instead of the input {case.name}"
        return case.verdict("derivative-at-output", message, evidence)
    return one_branch(case, written, slopes) or other_mask(case, slopes)


def factor_of_upstream(case: Case) -> Array | None:
    """dx / dy at the entries where it is the same for every dy."""
    written = case.found / case.dy_at_entries
    first: Array = written[0]
    return first if np.allclose(written, first, rtol=1e-6, atol=1e-9) else None


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
    written = None if diagonal(case) is None else factor_of_upstream(case)
    if written is None or len(written) < 4 or not np.isfinite(written).all():
        return None
    message = f"dx / dy depends on {case.name} alone, as it must, but it is not the derivative"
    return case.verdict("wrong-derivative", message, case.deviates_most())


def one_branch(case: Case, written: Array, slopes: Array) -> Verdict | None:
    """Right for positive x and wrong for negative ones, or the other way round."""
    x = case.values
    for right, wrong, side in (("positive", "negative", x), ("negative", "positive", -x)):
        others = side < 0
        if (side > 0).sum() > 1 < others.sum() and case.same(written[side > 0], slopes[side > 0]):
            values = np.unique(np.round(written[others], 9))
            now = f"{values[0]:g}" if len(values) == 1 else "another formula"
            what = f"right for {right} x, wrong for {wrong} x, where dx / dy is {now}"
            return case.own_branch(what, case.deviates_most(2))
    return None


def other_mask(case: Case, slopes: Array) -> Verdict | None:
    """dx / dy is one of the two numbers that it may be, in other places: a mask taken from somewhere else."""
    written = case.found / case.dy_at_entries
    levels, allowed, own = (np.unique(np.round(a, 9)) for a in (written[np.isfinite(written)], [*slopes, 0], slopes))
    if max(len(levels), len(own)) > 2 or not np.isin(levels, allowed).all():
        return None
    positive, passed = case.dy_at_entries > 0, np.isclose(written, levels[-1])
    if any(np.array_equal(passed, mask) for mask in (positive & (slopes != 0), positive)):
        message = "the mask is taken from dy > 0, not from what went forward"
        return case.verdict("mask-from-upstream", message, f"dx / dy is {levels[0] + 0:g} wherever dy is negative")
    said = "the backward's mask is not the forward's"
    evidence = f"dx / dy is {' or '.join(f'{v:g}' for v in levels)} as it should be, but in other places"
    if case.subject.uses_random:
        return case.verdict("mask-redrawn", f"{said}: keep the mask in the cache", evidence)
    return Guess(case.name, "wrong-mask", f"{said}: compare the two conditions", evidence)


# On top of a product: y = f(x W + b) ----------------------------------------------------------------------------


def fused(case: Case) -> Verdict | None:
    """The derivative of what comes after a product or convolution, not applied or applied twice."""
    what = f"in {case.label} the derivative of what comes after the product is"
    wrong = [("derivative-missing", f"{what} missing: multiply dy by it first", product) for product in bare(case)]
    slopes = bias_slopes(case)
    if slopes is not None and case.columns is not None:
        wrong.append(("derivative-twice", f"{what} applied twice", (case.dy * slopes.ravel()) @ case.columns.T))
    return case.named(wrong)


def bare(case: Case) -> list[Array]:
    """Σ dy, aᵀ dy and dy aᵀ: gradients of the bare product, which need no bias, and no f' that is nowhere 0."""
    if case.y.ndim != 2 or is_affine(case):
        return []
    full, (rows, columns) = case.dy_full, case.y.shape
    matrices = [a for name, a in case.arrays.items() if a.ndim == 2 and name != case.name]
    products = [full.sum(axis=2 if case.array.shape == (rows, 1) else 1)]
    products += [a.T @ full for a in matrices if len(a) == rows]
    products += [full @ a.T for a in matrices if a.shape[1] == columns]
    return [product for product in products if product[0].size == case.array.size]


def is_affine(case: Case) -> bool:
    """Whether y is affine in this array, so that no function comes after a product with it."""
    point = case.subject.at(np.float64)
    point.arrays[case.name][...] = 0
    rise = case.y - point.forward()
    return case.columns is not None and case.complete and case.same(case.values @ case.columns, rise.ravel())


def bias_slopes(case: Case) -> Array | None:
    """∂y/∂b of the bias that belongs to each output, or None: an array with one number per last axis of y, or first."""
    for name, array in case.arrays.items() if case.y.ndim > 1 else ():
        row = array.size == case.y.shape[-1] and array.shape[-1:] == case.y.shape[-1:]
        if row or (case.y.ndim == 2 and array.shape == (len(case.y), 1)):
            slope, _ = case.numbers.along(name, np.ones(array.shape))
            if not case.same(slope, np.ones_like(slope)) and slope.any():
                return slope
    return None
