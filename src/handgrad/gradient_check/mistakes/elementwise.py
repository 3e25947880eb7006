"""Element-wise functions y_i = f(x_i), alone or on top of a product: what stands in the place of f'(x)."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ...arrays import Array
from ..derivatives import Line, central_difference, complex_step
from ..verdict import Verdict
from .case import Case


def elementwise(case: Case) -> Verdict | None:
    """Compare dx / dy with the things that get written instead of f'(x)."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    with np.errstate(all="ignore"):
        written = case.found / case.dy_at_entries
    if np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return first(deterministic(case, written[0], slopes))
    return first(by_branch(case, written, slopes))


def first(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    return next((v for v in verdicts if v is not None), None)


def diagonal(case: Case) -> Array | None:
    """f'(x) at the entries if y is element-wise in this array, else None."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    rows = np.arange(len(case.entries))
    slopes: Array = case.columns[rows, case.entries]
    rest = case.columns.copy()
    rest[rows, case.entries] = 0
    return None if np.abs(rest).max(initial=0) > 1e-7 * np.abs(slopes).max(initial=0) else slopes


def deterministic(case: Case, written: Array, slopes: Array) -> Iterator[Verdict | None]:
    """written is a function of x: which one?"""
    x, y = case.values, case.y.ravel()[case.entries]

    def verdict(slug: str, message: str, candidate: Array) -> Verdict | None:
        if case.same(written, candidate) and not case.same(candidate, slopes):
            return case.verdict(slug, message, f"dx / dy equals it {case.everywhere}")
        return None

    yield verdict("derivative-missing", f"{case.label} is dy itself", np.ones_like(x))
    if np.ptp(written) <= 1e-9 * abs(written[0]) and np.isclose(slopes, written[0], 1e-9).any():
        everywhere = f"{case.label} is {written[0]:g} dy everywhere, which is right in some entries only"
        yield verdict("derivative-missing", everywhere, written)
    yield verdict(
        "derivative-twice", f"in {case.label} the derivative is applied twice: dy f'({case.name})²", slopes**2
    )
    yield verdict("value-for-derivative", f"in {case.label} the value y stands where the derivative belongs: dy y", y)
    yield verdict(
        "value-for-derivative",
        f"in {case.label} {case.name} itself stands where the derivative belongs: dy {case.name}",
        x,
    )
    with np.errstate(all="ignore"):
        for part, left in ((y / x, "f"), (slopes - y / x, "x f'")):
            yield verdict("term-missing", f"of the product rule (x f)' = f + x f' only the term {left} is there", part)
        yield verdict(
            "derivative-inverted", f"{case.label} is dy divided by the derivative; multiply by it", 1 / slopes
        )
        for name, by_output in OF_OUTPUT.items():
            if case.same(slopes, by_output(y)):
                message = f"the formula {name} is meant for the output y, but is given the input x"
                yield verdict("derivative-at-input", message, by_output(x))
        for name, formula in NEARLY.items():
            message = f"dx / dy is {name}, which is not this function's derivative"
            yield verdict("formula-slip", message, formula(x, y))
    at_output = slopes_at_output(case)
    if at_output is not None:
        message = f"in {case.label} the derivative is taken at the output y instead of the input {case.name}"
        yield verdict("derivative-at-output", message, at_output)
    yield one_branch(case, written, slopes, x)


OF_OUTPUT: dict[str, Callable[[Array], Array]] = {
    "y (1 - y)": lambda u: u * (1 - u),
    "1 - y²": lambda u: 1 - u * u,
    "y": lambda u: u,
}
NEARLY: dict[str, Callable[[Array, Array], Array]] = {
    "y (1 + y)": lambda x, y: y * (1 + y),
    "1 - y": lambda x, y: 1 - y,
    "1 + y²": lambda x, y: 1 + y * y,
    "y (1 - y) with y = 1/(1 + exp(x))": lambda x, y: -y * (1 - y),
    "1 / (1 + x)": lambda x, y: 1 / (1 + x),
    "1 / √(1 + x²)": lambda x, y: 1 / np.sqrt(1 + x * x),
    "1 / (1 - x²)": lambda x, y: 1 / (1 - x * x),
    "1 / (1 + x²)": lambda x, y: 1 / (1 + x * x),
    "exp(x)": lambda x, y: np.exp(x),
    "1 / x": lambda x, y: 1 / x,
}


def other_formula(case: Case) -> Verdict | None:
    """dx / dy is the same for every dy, but not f'(x)."""
    slopes = diagonal(case)
    if slopes is None or len(slopes) < 4:
        return None
    written = case.found / case.dy_at_entries
    if not np.isfinite(written).all() or not np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return None
    what = f"dx / dy depends on {case.name} alone, as it must, but it is not the derivative"
    message = f"{what}"
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
    wrong = np.abs(written - slopes) > 1e-6 * np.abs(slopes).max()
    bounds = np.abs(x[wrong]).min(initial=np.inf), np.abs(x[~wrong]).max(initial=0)
    if 0 < wrong.sum() < len(x) and bounds[0] > bounds[1]:
        message = f"right up to |x| = {bounds[1]:.3g}, wrong beyond: the outer branch has a derivative of its own"
        return case.verdict("one-branch", message, case.deviates_most(2))
    run = np.flatnonzero(wrong[np.argsort(x)])
    if 0 < len(run) < len(x) - 1 and np.ptp(run) + 1 == len(run) and len(x) > 5:
        what = f"wrong for {case.name} from {x[wrong].min():.3g} to {x[wrong].max():.3g}, right everywhere else"
        message = f"{what}, as where the condition between the branches is off"
        return case.verdict("wrong-mask", message, case.deviates_most(2))
    return None


def by_branch(case: Case, written: Array, slopes: Array) -> Iterator[Verdict]:
    """written changes with dy: a mask taken from somewhere else."""
    levels = np.unique(np.round(written[np.isfinite(written)], 9))
    allowed = np.unique(np.round(np.append(slopes, 0), 9))
    if len(levels) <= 2 and np.isin(levels, allowed).all() and len(np.unique(np.round(slopes, 9))) <= 2:
        positive, passed = case.dy_at_entries > 0, case.found != 0
        if np.array_equal(passed, positive & (slopes != 0)) or np.array_equal(passed, positive):
            message = "the mask is taken from dy > 0, not from what went forward"
            yield case.verdict("mask-from-upstream", message, "dx is zero exactly where dy is negative")
        message = "the mask is not the forward's: keep it in the cache and use it again"
        shown = " or ".join(f"{v:g}" for v in levels)
        yield case.verdict("mask-redrawn", message, f"dx / dy is {shown} as it should be, but in other places")


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
    for slug, words, dy in (
        (
            "derivative-missing",
            "the derivative of what comes after the product is missing: multiply dy by it first",
            divided,
        ),
        ("derivative-twice", "the derivative of what comes after the product is applied twice", case.dy * flat),
    ):
        if case.explains(case.through(dy)):
            message = f"in {case.label} {words}"
            return case.verdict(slug, message, "equal to that in every entry checked")
    return plain_product(case)


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
    for product in products:
        if product[0].size == case.array.size and case.explains(case.pick(product)):
            message = (
                f"in {case.label} the derivative of what comes after the product is missing: multiply dy by it first"
            )
            return case.verdict("derivative-missing", message, "equal to the bare product's gradient in every entry")
    return None
