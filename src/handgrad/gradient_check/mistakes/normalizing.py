"""Softmax and normalisation: terms of the gradient that are missing, and statistics taken for constants."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from ...arrays import Array
from ..verdict import Verdict
from .case import EQUAL, Candidate, Case, named_axes

Axes: TypeAlias = tuple[int, ...]


def jacobian(case: Case) -> Verdict | None:
    """For x and y of the same shape: only the Jacobian's diagonal, all but it, or the Jacobian twice."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    diagonal = case.columns[np.arange(len(case.entries)), case.entries] * case.dy_at_entries
    alone = "only the diagonal of the Jacobian is used: each y also depends on the other entries of x"
    candidates = [Candidate("derivative-missing", f"{case.label} is dy itself", case.dy_at_entries)]
    candidates += [Candidate("cross-terms-missing", alone, diagonal)]
    candidates += [Candidate("diagonal-missing", "the diagonal of the Jacobian is missing", case.expected - diagonal)]
    if case.complete:
        twice, untransposed = case.through(case.expected), case.dy @ case.columns
        candidates += [Candidate("derivative-twice", "the Jacobian is applied twice, dx = Jᵀ Jᵀ dy", twice)]
        message = "the Jacobian is applied untransposed, dx = J dy: dx = Jᵀ dy is due"
        candidates += [Candidate("transposed", message, untransposed)]
    return case.named(candidates, EQUAL)


def softmax_terms(case: Case) -> Verdict | None:
    """dx = a y dy - b y Σ y dy along the last axis: right for a = b = 1."""
    y, dy = case.y, case.dy_full
    if y.shape != case.array.shape or y.ndim < 1 or not np.allclose(y.sum(axis=-1), 1) or (y < 0).any():
        return None
    inner, what = (y * dy).sum(axis=-1, keepdims=True), "softmax, dx = y (dy - Σ y dy):"
    crossed = {
        "the term -y Σ y dy is missing": y * dy,
        "Σ y dy is added, not subtracted": y * (dy + inner),
        "Σ dy stands for Σ y dy": y * (dy - dy.sum(axis=-1, keepdims=True)),
        "σ_i (1 - σ_j) on every place, the δ_ij is forgotten": y * ((1 - y) * dy).sum(axis=-1, keepdims=True),
    }
    candidates = [Candidate("cross-terms-missing", f"{what} {words}", case.pick(dx)) for words, dx in crossed.items()]
    over_batch = y * (dy - (y * dy).sum(axis=1, keepdims=True))
    words = f"{what} the sum runs over the batch, not over the classes"
    return case.named([*candidates, Candidate("wrong-axis", words, case.pick(over_batch))], EQUAL)


def log_softmax_terms(case: Case) -> Verdict | None:
    """dx = dy - exp(y) Σ dy along the last axis."""
    y, dy = case.y, case.dy_full
    if y.shape != case.array.shape or y.ndim < 1 or not np.allclose(np.exp(y).sum(axis=-1), 1):
        return None
    for_value = "log-softmax: the logarithms y stand where the probabilities exp(y) are due; dx = dy - exp(y) Σ dy"
    wrong = dy - y * dy.sum(axis=-1, keepdims=True)
    return case.named([Candidate("value-for-derivative", for_value, case.pick(wrong))], EQUAL)


# Normalisation --------------------------------------------------------------------------------------------------


def scale_terms(case: Case) -> Verdict | None:
    """dgamma = Σ dy x̂: with x or y in the place of the normalised x."""
    if case.array.shape != case.y.shape[-1:] or case.y.ndim < 2:
        return None
    axes, dy = tuple(range(1, case.y.ndim)), case.dy_full
    inputs = [(n, a) for n, a in case.arrays.items() if a.shape == case.y.shape]
    candidates = (
        Candidate(
            "unnormalized-input",
            f"{name} stands where the normalised input is due: {case.label} is Σ dy x̂",
            case.pick((dy * value).sum(axis=axes)),
        )
        for name, value in [("y", case.y), *inputs]
    )
    return case.named(candidates, EQUAL)


def statistics(case: Case) -> Verdict | None:
    """dx = s (a dy - b mean(dy) - c x̂ mean(dy x̂)): right for a = b = c = 1, constants for b = c = 0."""
    for axes, means, fit in fitted_terms(case):
        named = named_terms(case, axes, fit) if means == axes else None
        if named is not None:
            return case.verdict(*named, evidence_of(fit))
        if means != axes and np.allclose(fit, 1, atol=1e-4):
            what = f"the means of the normalisation's gradient run over {named_axes(means)}"
            message = f"{what}, the statistics over {named_axes(axes)}"
            return case.verdict("wrong-axis", message, "dx equals that in every entry")
    others = (made(case, axes) for axes in normalized_axes(case) for made in (unbiased, scaled_late))
    return case.named(others, EQUAL)


def fitted_terms(case: Case) -> Iterator[tuple[Axes, Axes, Array]]:
    """(axes normalised over, axes of the means, the factors a, b, c that explain found) of every perfect fit."""
    for axes in normalized_axes(case):
        if fit_terms(case, axes, axes, case.expected, 1e-4) is not None:
            for means in (axes, *normalized_axes(case)):
                fit = fit_terms(case, axes, means, case.found)
                if fit is not None:
                    yield axes, means, fit


def normalized_axes(case: Case) -> Iterator[Axes]:
    """The axes over which y is x normalised, if it is: then y is affine in x along them."""
    x, n = case.array, case.array.ndim
    if x.shape != case.y.shape or n < 2 or not case.complete:
        return
    images = [(0, 2, 3), (2, 3)] if n == 4 else []  # with channels second
    every: list[Axes] = [tuple(range(n - 1)), (n - 1,), tuple(range(1, n)), (0,), tuple(range(1, n - 1)), *images]
    yield from (axes for axes in every if axes and np.prod([x.shape[a] for a in axes]) > 2)


def fit_terms(case: Case, axes: Axes, means: Axes, target: Array, near_one: float | None = None) -> Array | None:
    """(a, b, c) of the least-squares fit to target, if it is perfect (and near 1, 1, 1 where asked); else None."""
    terms = [build_terms(case, dy, axes, means) for dy in case.dy_full]
    basis = np.concatenate([case.pick(group) for group in terms], axis=1)
    fit, *_ = np.linalg.lstsq(basis.T, target.ravel(), rcond=None)
    perfect = case.same(basis.T @ fit, target.ravel())
    return fit if perfect and (not near_one or np.allclose(fit, 1, atol=near_one)) else None


def build_terms(case: Case, dy: Array, axes: Axes, means: Axes, ddof: int = 0) -> tuple[Array, Array, Array]:
    """s g, -s mean(g) and -s x̂ mean(g x̂), with g = dy γ and x̂ from x normalised over axes.

    s is read off y itself, so that nobody has to say what epsilon was; ddof=1 makes it the unbiased variance's.
    """
    x, gamma = case.array, named_array(case, SCALES, 1.0, axes)
    centered = x - x.mean(axis=axes, keepdims=True)
    unscaled = (case.y - named_array(case, SHIFTS, 0.0, axes)) / gamma
    squares = (centered**2).sum(axis=axes, keepdims=True)
    s = (centered * unscaled).sum(axis=axes, keepdims=True) / squares
    if ddof:
        count = x.size // squares.size
        s = 1 / np.sqrt(1 / s**2 + squares / (count - 1) - squares / count)
    normalized, g = centered * s, dy * gamma
    return (
        s * g,
        -s * g.mean(axis=means, keepdims=True) * np.ones_like(x),
        -s * normalized * (g * normalized).mean(axis=means, keepdims=True),
    )


SCALES, SHIFTS = ("gamma", "weight", "scale", "gain", "g"), ("beta", "bias", "shift", "offset", "b")


def named_array(case: Case, names: Sequence[str], otherwise: float, axes: Axes) -> Array | float:
    """The array of one of these names that fits the last axis, or the channels in second place, or a number."""
    second = case.array.ndim == 4 and axes in ((0, 2, 3), (2, 3))
    for name in names:
        array = case.arrays.get(name)
        if name == case.name or array is None:
            continue
        if second and array.size == case.array.shape[1]:
            return array.reshape(1, -1, 1, 1)
        if not second and array.shape == case.array.shape[-1:]:
            return array
    return otherwise


def unbiased(case: Case, axes: Axes) -> Candidate:
    """The whole gradient with the variance divided by m - 1."""
    wrong = [np.sum(build_terms(case, dy, axes, axes, ddof=1), axis=0) for dy in case.dy_full]
    message = "the backward divides the variance by m - 1, the forward by m"
    return Candidate("unbiased-variance", message, case.pick(wrong))


def scaled_late(case: Case, axes: Axes) -> Candidate:
    """The whole gradient with γ multiplied in after the means were taken."""
    gamma = named_array(case, SCALES, 1.0, axes)
    wrong = [gamma * np.sum(build_terms(case, dy / gamma, axes, axes), axis=0) for dy in case.dy_full]
    message = f"the scale is multiplied in after the means over {named_axes(axes)} are taken: it belongs to dy before"
    return Candidate("factor-misplaced", message, case.pick(wrong))


def evidence_of(fit: Array) -> str:
    terms = ("dy", "mean(dy)", "x̂ mean(dy x̂)")
    signed = [float(np.round(v, 6)) for v in fit * (1, -1, -1)]
    pairs = [(v, f"{abs(v):g} " * (abs(v) != 1) + term) for v, term in zip(signed, terms, strict=True) if v]
    words = [f"{'-' if v < 0 else '+'} {term}" for v, term in pairs]
    return f"dx = s ({' '.join(words).removeprefix('+ ')}) in every entry; dy - mean(dy) - x̂ mean(dy x̂) is due"


def named_terms(case: Case, axes: Axes, fit: Array) -> tuple[str, str] | None:
    """(mistake, message) of factors that are somebody's usual mistake, or None."""
    a, b, c = (float(v) for v in np.round(fit, 6))
    count = int(np.prod([case.array.shape[i] for i in axes]))
    constants: dict[tuple[float, float, float], str] = {
        (1, 0, 0): "mean and variance are treated as constants, but they move with every x they are taken over",
        (1, 1, 0): "the variance is treated as a constant, but it moves with every x it is taken over",
        (1, 0, 1): "the mean is treated as a constant, but it moves with every x it is taken over",
    }
    if (a, b, c) in constants:
        return "statistics-constant", constants[a, b, c]
    if count in (b, c):
        return "not-averaged", f"a sum stands where the mean over {count} numbers is due"
    if -1 in (b, c):
        return "wrong-sign", "a term of the normalisation's gradient has the wrong sign"
    return None
