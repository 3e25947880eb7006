"""A product and an activation in one: y = f(x W + b), and what happens to f'."""

import numpy as np

from ..verdict import Verdict


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
