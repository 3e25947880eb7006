"""Element-wise functions y_i = f(x_i), alone or on top of a product: what stands in the place of f'(x)."""

import numpy as np

from ..derivatives import Line, central_difference, complex_step
from ..verdict import Verdict


def elementwise(case):
    """Compare dx / dy with the things that get written instead of f'(x)."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    dy = case.dy[:, case.entries]
    with np.errstate(all="ignore"):
        written = case.found / dy
    if np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return first(deterministic(case, written[0], slopes))
    return first(by_branch(case, written, slopes))


def first(verdicts):
    return next((v for v in verdicts if v is not None), None)


def diagonal(case):
    """f'(x) at the entries if y is element-wise in this array, else None."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    rows = np.arange(len(case.entries))
    slopes = case.columns[rows, case.entries]
    rest = case.columns.copy()
    rest[rows, case.entries] = 0
    return None if np.abs(rest).max(initial=0) > 1e-7 * np.abs(slopes).max(initial=0) else slopes


def deterministic(case, written, slopes):
    """written is a function of x: which one?"""
    x, y = case.array.ravel()[case.entries], case.y.ravel()[case.entries]
    total = f"dx / dy equals it in all {len(case.entries)} entries"

    def verdict(slug, message, candidate):
        if case.same(written, candidate) and not case.same(candidate, slopes):
            return Verdict(case.name, slug, message, total)
        return None

    yield verdict("derivative-missing", "dx is dy itself: the derivative of the function is missing", np.ones_like(x))
    if np.ptp(written) <= 1e-9 * abs(written[0]) and np.isclose(slopes, written[0], 1e-9).any():
        yield verdict("derivative-missing", f"dx is {written[0]:g} dy everywhere: the mask is missing", written)
    yield verdict("derivative-twice", "the derivative is applied twice: dx = dy f'(x)²", slopes**2)
    yield verdict("value-for-derivative", "the function's value y stands where its derivative belongs: dx = dy y", y)
    yield verdict("value-for-derivative", "the input x stands where the derivative belongs: dx = dy x", x)
    with np.errstate(all="ignore"):
        for part, left in ((y / x, "f"), (slopes - y / x, "x f'")):
            yield verdict("term-missing", f"of the product rule (x f)' = f + x f' only the term {left} is there", part)
        yield verdict("derivative-inverted", "dx is dy divided by the derivative, not multiplied", 1 / slopes)
        for name, formula in OF_OUTPUT.items():
            if case.same(slopes, formula(y)):
                yield verdict(
                    "derivative-at-input",
                    f"the formula {name} is meant for the output y, but got the input x",
                    formula(x),
                )
        for name, formula in NEARLY.items():
            yield verdict("formula-slip", f"dx / dy is {name}, which is not this function's derivative", formula(x, y))
    at_output = slopes_at_output(case)
    if at_output is not None:
        yield verdict(
            "derivative-at-output",
            "the derivative is taken at the output y instead of the input x: dx = dy f'(y)",
            at_output,
        )
    yield one_branch(case, written, slopes, x)


OF_OUTPUT = {"y (1 - y)": lambda u: u * (1 - u), "1 - y²": lambda u: 1 - u * u, "y": lambda u: u}
NEARLY = {
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


def other_formula(case):
    """dx / dy is the same for every dy, but not f'(x)."""
    slopes = diagonal(case)
    if slopes is None or len(slopes) < 4:
        return None
    written = case.found / case.dy[:, case.entries]
    if not np.isfinite(written).all() or not np.allclose(written, written[0], rtol=1e-6, atol=1e-9):
        return None
    return Verdict(
        case.name,
        "wrong-derivative",
        f"dx / dy depends on {case.name} alone, as it must, but it is not the derivative: is a factor missing, of a "
        "function within the function above all?",
        case.deviates_most(),
    )


def slopes_at_output(case):
    """f'(f(x)) at the entries."""
    exact = case.numbers.methods[case.name] == "complex step"
    try:
        point = case.subject.at(np.complex128 if exact else np.float64)
        point.arrays[case.name][...] = case.y
        line = Line(point, case.name, ..., np.ones(case.array.shape))
        slope = complex_step(line) if exact else central_difference(line, point.forward()).value
    except Exception:  # y may lie where the function is not defined
        return None
    return slope.ravel()[case.entries]


def one_branch(case, written, slopes, x):
    """Right for positive x and wrong for negative ones by a constant, or the other way round."""
    for sign, where in (("positive", x > 0), ("negative", x < 0)):
        other = ~where & (x != 0)
        if where.sum() < 2 or other.sum() < 2 or not case.same(written[where], slopes[where]):
            continue
        side = "negative" if sign == "positive" else "positive"
        value = np.unique(np.round(written[other], 9))
        now = f"{value[0]:g}" if len(value) == 1 else "another formula"
        return Verdict(
            case.name,
            "one-branch",
            f"right for {sign} x, wrong for {side} x, where dx / dy is {now}: the other branch has a derivative of "
            "its own",
            case.deviates_most(2),
        )
    wrong = np.abs(written - slopes) > 1e-6 * np.abs(slopes).max()
    bounds = np.abs(x[wrong]).min(initial=np.inf), np.abs(x[~wrong]).max(initial=0)
    if 0 < wrong.sum() < len(x) and bounds[0] > bounds[1]:
        return Verdict(
            case.name,
            "one-branch",
            f"right up to |x| = {bounds[1]:.3g}, wrong beyond: the outer branch is missing",
            case.deviates_most(2),
        )
    run = np.flatnonzero(wrong[np.argsort(x)])
    if 0 < len(run) < len(x) - 1 and np.ptp(run) + 1 == len(run) and len(x) > 5:
        return Verdict(
            case.name,
            "wrong-mask",
            f"wrong for {case.name} from {x[wrong].min():.3g} to {x[wrong].max():.3g}, right everywhere else: the "
            "condition between the branches is off",
            case.deviates_most(2),
        )
    return None


def by_branch(case, written, slopes):
    """written changes with dy: a mask taken from somewhere else."""
    finite = written[np.isfinite(written)]
    levels = np.unique(np.round(finite, 9))
    allowed = np.unique(np.round(np.append(slopes, 0), 9))
    if len(levels) <= 2 and np.isin(levels, allowed).all() and len(np.unique(np.round(slopes, 9))) <= 2:
        positive = case.dy[:, case.entries] > 0
        if np.array_equal(case.found != 0, positive & (slopes != 0)) or np.array_equal(case.found != 0, positive):
            yield Verdict(
                case.name,
                "mask-from-upstream",
                "the mask is taken from dy > 0; it belongs to the input, x > 0",
                "dx is zero exactly where dy is negative",
            )
        yield Verdict(
            case.name,
            "mask-redrawn",
            "the mask is not the forward's: keep it in the cache and use it again",
            f"dx / dy is {' or '.join(f'{v:g}' for v in levels)} as it should be, but in other places",
        )


def other_mask(case):
    """A mask with the right numbers in other places, the same for every dy."""
    slopes = diagonal(case)
    if slopes is None:
        return None
    written = case.found[0] / np.where(case.dy[0, case.entries] == 0, 1, case.dy[0, case.entries])
    levels, right = np.unique(np.round(written, 9)), np.unique(np.round(slopes, 9))
    if len(right) != 2 or right[0] != 0 or not np.isin(levels, right).all() or len(levels) != 2:
        return None
    if case.subject.uses_random:
        return Verdict(
            case.name,
            "mask-redrawn",
            "the backward's mask is not the forward's: keep the mask in the cache",
            f"dx / dy is 0 or {right[1]:g} as it should be, but in other places",
        )
    return Verdict(
        case.name,
        "wrong-mask",
        "the mask lets other entries through than the forward does: compare the conditions",
        f"dx / dy is 0 or {right[1]:g} as it should be, but in other places",
    )


def fused(case):
    """The gradient that is right for dy / f' or dy · f' instead of dy, where f' is read off the bias's slopes."""
    slopes = bias_slopes(case)
    if slopes is None:
        return plain_product(case)
    flat = slopes.ravel()
    with np.errstate(all="ignore"):
        divided = np.where(flat != 0, case.dy / np.where(flat == 0, 1, flat), 0)
    trials = (
        ("derivative-missing", "the activation's derivative is missing: multiply dy by it first", divided),
        ("derivative-twice", "the activation's derivative is applied twice", case.dy * flat),
    )
    for slug, words, dy in trials:
        candidate = case.through(dy)
        if candidate is not None and case.explains(candidate):
            return Verdict(
                case.name, slug, f"in the gradient by {case.name} {words}", "equal to that in every entry checked"
            )
    return plain_product(case)


def bias_slopes(case):
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


def plain_product(case):
    """xᵀ dy, dy Wᵀ or Σ dy: the bare product's gradient. It needs no bias, and no f' that is nowhere 0."""
    first = next(iter(case.arrays.values()))
    if case.y.ndim != 2 or first.ndim != 2:
        return None
    full = case.dy.reshape(-1, *case.y.shape)
    weights = [a for a in case.arrays.values() if a.shape == (first.shape[1], case.y.shape[1]) and a is not first]
    products = [[first.T @ dy for dy in full], [dy.sum(axis=0) for dy in full]]
    products += [[dy @ weight.T for dy in full] for weight in weights]
    for product in products:
        if product[0].size == case.array.size and case.explains(case.pick(product)):
            return Verdict(
                case.name,
                "derivative-missing",
                f"in the gradient by {case.name} the activation's derivative is missing: multiply dy by it first",
                "equal to the bare product's gradient in every entry",
            )
    return None


def hidden(case):
    """y = f(x W) V: the bare product's gradient where f' of the layer in between was forgotten."""
    if case.y.ndim != 2:
        return None
    matrices = [a for a in case.arrays.values() if a.ndim == 2]
    full = case.dy.reshape(-1, *case.y.shape)
    for last in matrices:
        for top in (last, last.T):
            if top.shape[1] != case.y.shape[1]:
                continue
            for candidate in products_below([dy @ top.T for dy in full], matrices, case.y.shape[0]):
                if candidate[0].shape == case.array.shape and case.explains(case.pick(candidate)):
                    return Verdict(
                        case.name,
                        "derivative-missing",
                        f"in the gradient by {case.name} the derivative of the activation in between is missing",
                        "equal to the gradient of the products alone in every entry",
                    )
    return None


def products_below(upstreams, matrices, batch):
    """Σ dh, xᵀ dh, dhᵀ x, dh Wᵀ and dh W for every x and W that fit."""
    yield [dh.sum(axis=0) for dh in upstreams]
    for matrix in matrices:
        if len(matrix) == batch:
            yield [matrix.T @ dh for dh in upstreams]
            yield [dh.T @ matrix for dh in upstreams]
        for weight in (matrix, matrix.T):
            if len(weight) == upstreams[0].shape[1]:
                yield [dh @ weight for dh in upstreams]
