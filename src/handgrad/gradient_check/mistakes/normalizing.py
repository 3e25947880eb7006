"""Softmax and normalisation: terms of the gradient that are missing, and statistics taken for constants."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

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
        candidates += [Candidate("transposed", message, untransposed, is_guess=True)]
    return case.named(candidates, EQUAL)


def softmax_terms(case: Case) -> Verdict | None:
    """dx = a y dy - b y Σ y dy along the last axis: right for a = b = 1."""
    y, dy = case.y, case.dy_full
    if y.shape != case.array.shape or y.ndim < 1 or not np.allclose(y.sum(axis=-1), 1) or (y < 0).any():
        return None
    inner, what = (y * dy).sum(axis=-1, keepdims=True), "softmax, dx = y (dy - Σ y dy):"
    crossed = {
        "the term -y Σ y dy is missing": y * dy,
        "Σ dy stands for Σ y dy": y * (dy - dy.sum(axis=-1, keepdims=True)),
        "σ_i (1 - σ_j) on every place, the δ_ij is forgotten": y * ((1 - y) * dy).sum(axis=-1, keepdims=True),
    }
    candidates = [Candidate("cross-terms-missing", f"{what} {words}", case.pick(dx)) for words, dx in crossed.items()]
    candidates += [Candidate("wrong-sign", f"{what} Σ y dy is added, not subtracted", case.pick(y * (dy + inner)))]
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
    return case.named([Candidate("value-for-derivative", for_value, case.pick(wrong), True)], EQUAL)


# Normalisation --------------------------------------------------------------------------------------------------


def scale_terms(case: Case) -> Verdict | None:
    """dgamma = Σ dy x̂: with x or y in the place of the normalised x, if what it multiplies is normalised."""
    if case.array.shape != case.y.shape[-1:] or case.y.ndim < 2 or case.columns is None:
        return None
    normalized = case.columns.sum(axis=0)  # ∂y/∂gamma, where each gamma moves its own y alone
    if not np.isclose(np.mean(normalized**2), 1, atol=0.05):
        return None
    axes, dy = tuple(range(1, case.y.ndim)), case.dy_full
    stands = f"stands where the normalised input is due: {case.label} is Σ dy x̂"
    values = [("y", case.y), *((name, a) for name, a in case.arrays.items() if a.shape == case.y.shape)]
    wrong = (Candidate("unnormalized-input", f"{n} {stands}", case.pick((dy * v).sum(axis=axes))) for n, v in values)
    return case.named(wrong, EQUAL)


class Norm(NamedTuple):
    """Over which axes x is normalised, and whether its mean is subtracted, as root mean square norms do not."""

    axes: Axes
    centred: bool


def statistics(case: Case) -> Verdict | None:
    """dx = s (a dy - b mean(dy) - c x̂ mean(dy x̂)): right for a = b = c = 1, constants for b = c = 0."""
    for norm, means, fit in fitted_terms(case):
        named = named_terms(case, norm, fit) if means == norm.axes else None
        if named is not None:
            return case.verdict(*named, evidence_of(norm, fit))
        if means != norm.axes and np.allclose(fit, (1, norm.centred, 1), atol=1e-4):
            what = f"the means of the normalisation's gradient run over {named_axes(means)}"
            message = f"{what}, the statistics over {named_axes(norm.axes)}"
            return case.verdict("wrong-axis", message, "dx equals that in every entry")
    norms = [Norm(axes, True) for axes in normalized_axes(case)]
    late = (scaled_late(case, norm) for norm in norms if np.ndim(named_array(case, SCALES, 1.0, norm.axes)))
    return case.named([*(c for norm in norms for c in (biased(case, norm), unbiased(case, norm))), *late], EQUAL)


def fitted_terms(case: Case) -> Iterator[tuple[Norm, Axes, Array]]:
    """(norm, axes of the means, the factors a, b, c that explain found) of every perfect fit."""
    for axes, centred in itertools.product(normalized_axes(case), (True, False)):
        norm = Norm(axes, centred)
        right = fit_terms(case, norm, axes, case.expected)
        if right is not None and np.allclose(right, (1, centred, 1), atol=1e-4):
            for means in (axes, *normalized_axes(case)):
                if (fit := fit_terms(case, norm, means, case.found)) is not None:
                    yield norm, means, fit


def normalized_axes(case: Case) -> Iterator[Axes]:
    """The axes over which y is x normalised, if it is: then y is affine in x along them."""
    x, n = case.array, case.array.ndim
    if x.shape != case.y.shape or n < 2 or not case.complete:
        return
    images = [(0, 2, 3), (2, 3)] if n == 4 else []  # with channels second
    every: list[Axes] = [tuple(range(n - 1)), (n - 1,), tuple(range(1, n)), (0,), tuple(range(1, n - 1)), *images]
    yield from (axes for axes in every if axes and np.prod([x.shape[a] for a in axes]) > 2)


def fit_terms(case: Case, norm: Norm, means: Axes, target: Array) -> Array | None:
    """(a, b, c) of the least-squares fit to target, if it is perfect."""
    terms = [build_terms(case, dy, norm, means) for dy in case.dy_full]
    basis = np.concatenate([case.pick(group) for group in terms], axis=1)
    fit, *_ = np.linalg.lstsq(basis.T, target.ravel(), rcond=None)
    return fit if case.same(basis.T @ fit, target.ravel()) else None


def build_terms(case: Case, dy: Array, norm: Norm, means: Axes, ddof: int = 0) -> tuple[Array, Array, Array]:
    """s g, -s mean(g) and -s x̂ mean(g x̂), with g = dy γ and the normalised x̂.

    s is read off y itself, so that nobody has to say what epsilon was; ddof=1 makes it the unbiased variance's.
    """
    x, axes = case.array, norm.axes
    gamma, beta = named_array(case, SCALES, 1.0, axes), named_array(case, SHIFTS, 0.0, axes)
    centered = x - norm.centred * x.mean(axis=axes, keepdims=True)
    squares = (centered**2).sum(axis=axes, keepdims=True)
    s = (centered * (case.y - beta) / gamma).sum(axis=axes, keepdims=True) / squares
    if ddof:
        count = x.size // squares.size
        s = 1 / np.sqrt(1 / s**2 + squares / (count - 1) - squares / count)
    normalized, g = centered * s, dy * gamma
    return (
        s * g,
        -s * norm.centred * g.mean(axis=means, keepdims=True) * np.ones_like(x),
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


def unbiased(case: Case, norm: Norm) -> Candidate:
    """The whole gradient with the variance divided by m - 1."""
    wrong = [np.sum(build_terms(case, dy, norm, norm.axes, ddof=1), axis=0) for dy in case.dy_full]
    message = "the backward divides the variance by m - 1, the forward by m"
    return Candidate("unbiased-variance", message, case.pick(wrong))


def biased(case: Case, norm: Norm) -> Candidate:
    """The gradient as it would be if the forward, too, divided the variance by m."""
    wrong = [np.sum(build_terms(case, dy, norm, norm.axes), axis=0) for dy in case.dy_full]
    message = "the forward divides the variance by m - 1, the backward by m"
    return Candidate("unbiased-variance", message, case.pick(wrong))


def scaled_late(case: Case, norm: Norm) -> Candidate:
    """The whole gradient with γ multiplied in after the means were taken."""
    gamma = named_array(case, SCALES, 1.0, norm.axes)
    wrong = [gamma * np.sum(build_terms(case, dy / gamma, norm, norm.axes), axis=0) for dy in case.dy_full]
    late = f"after the means over {named_axes(norm.axes)} are taken: it belongs to dy before"
    return Candidate("factor-misplaced", f"the scale is multiplied in {late}", case.pick(wrong))


def evidence_of(norm: Norm, fit: Array) -> str:
    terms = ("dy", "mean(dy)", "x̂ mean(dy x̂)")
    signed = [float(np.round(v, 6)) for v in fit * (1, -1, -1)]
    pairs = [(v, f"{abs(v):g} " * (abs(v) != 1) + term) for v, term in zip(signed, terms, strict=True) if v]
    words = " ".join(f"{'-' if v < 0 else '+'} {term}" for v, term in pairs).removeprefix("+ ")
    due = "dy - mean(dy) - x̂ mean(dy x̂)" if norm.centred else "dy - x̂ mean(dy x̂)"
    return f"dx = s ({words}) in every entry; {due} is due"


def named_terms(case: Case, norm: Norm, fit: Array) -> tuple[str, str] | None:
    """(mistake, message) of factors that are somebody's usual mistake, or None."""
    a, b, c = (round(float(v), 6) for v in fit)
    count = int(np.prod([case.array.shape[i] for i in norm.axes]))
    parts = zip(("mean", "variance"), (b, c), strict=True) if norm.centred else [("mean square", c)]
    left = [f"the {name}" for name, factor in parts if not factor]
    if a == 1 and left and {b, c} <= {0, 1}:
        said = "is treated as a constant, but it moves" if len(left) == 1 else "are treated as constants, but they move"
        return "statistics-constant", f"{' and '.join(left)} {said} with every x in the norm"
    if count in (b, c):
        return "not-averaged", f"a sum stands where the mean over {count} numbers is due"
    if -1 in (b, c):
        return "wrong-sign", "a term of the normalisation's gradient has the wrong sign"
    return None
