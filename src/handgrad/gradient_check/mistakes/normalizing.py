"""Softmax and normalisation: terms of the gradient that are missing, and statistics taken for constants."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ...arrays import Array, Shape
from ..verdict import Guess, Verdict
from .case import Case, Wrong, groups_of_axes, named_axes

Axes: TypeAlias = tuple[int, ...]


def jacobian(case: Case) -> Verdict | None:
    """For x and y of the same shape: only the Jacobian's diagonal, all but it, or the Jacobian twice."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    diagonal = case.columns[np.arange(len(case.entries)), case.entries] * case.dy_at_entries
    alone = "only the diagonal of the Jacobian is used: each y also depends on the other entries of x"
    wrong = [
        ("derivative-missing", f"{case.label} is dy itself", case.dy),
        ("cross-terms-missing", alone, diagonal),
        ("diagonal-missing", "the diagonal of the Jacobian is missing", case.expected - diagonal),
    ]
    if not case.complete:
        return case.named(wrong)
    once = case.dy @ case.columns.T
    twice = "derivative-twice", "the Jacobian is applied twice, dx = Jᵀ Jᵀ dy", once @ case.columns.T
    told = "transposed", "the Jacobian is applied untransposed, dx = J dy: dx = Jᵀ dy is due"
    if any(is_row_of(array, case.array.shape) for name, array in case.arrays.items() if name != case.name):
        said = "a scale is multiplied in after the sums or means, where it is due before: on dy first"
        told = "factor-misplaced", said
    return case.named([*wrong, twice]) or case.named([(*told, case.dy @ case.columns)], kind=Guess)


def is_row_of(scale: Array, shape: Shape) -> bool:
    """Whether an array holds a number for each column, or channel."""
    return scale.ndim == 1 and len(scale) in shape[1:]


def softmax_terms(case: Case) -> Verdict | None:
    """dx = y (dy - Σ y dy) along the last axis; of its logarithm dx = dy - exp(y) Σ dy."""
    y, dy, what = case.y, case.dy_full, "softmax, dx = y (dy - Σ y dy):"
    if y.shape != case.array.shape:
        return None
    if np.allclose(np.exp(y).sum(axis=-1), 1):
        said = "log-softmax: the logarithms y stand where the probabilities exp(y) are due; dx = dy - exp(y) Σ dy"
        return case.named([("value-for-derivative", said, dy - y * along_classes(dy))], kind=Guess)
    if not np.allclose(y.sum(axis=-1), 1) or (y < 0).any():
        return None
    without_delta = f"{what} σ_i (1 - σ_j) on every place, the δ_ij is forgotten"
    over_batch = y * (dy - (y * dy).sum(axis=1, keepdims=True))
    wrong = (
        ("cross-terms-missing", f"{what} the term -y Σ y dy is missing", y * dy),
        ("cross-terms-missing", f"{what} Σ dy stands for Σ y dy", y * (dy - along_classes(dy))),
        ("cross-terms-missing", without_delta, y * along_classes((1 - y) * dy)),
        ("wrong-sign", f"{what} Σ y dy is added, not subtracted", y * (dy + along_classes(y * dy))),
        ("wrong-axis", f"{what} the sum runs over the batch, not over the classes", over_batch),
    )
    return case.named(wrong)


def along_classes(values: Array) -> Array:
    return np.asarray(values.sum(axis=-1, keepdims=True))


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
    values = {"y": case.y} | {name: a for name, a in case.arrays.items() if a.shape == case.y.shape}
    return case.named(("unnormalized-input", f"{n} {stands}", (dy * v).sum(axis=axes)) for n, v in values.items())


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
    every = [*normalized_axes(case)]
    found = case.named(itertools.chain.from_iterable(other_norms(case, axes) for axes in every))
    told = "the forward divides the variance by m - 1, the backward by m"
    unbiased = (("unbiased-variance", told, build_terms(case, Norm(axes, True), axes).sum(axis=0)) for axes in every)
    return found or case.named(unbiased, kind=Guess)  # an epsilon elsewhere may look so, too


def other_norms(case: Case, axes: Axes) -> Wrong:
    """The whole gradient with another variance, or with γ multiplied in after the means were taken."""
    norm, gamma = Norm(axes, True), named_array(case, SCALES, 1.0, axes)
    divides = "the backward divides the variance by m - 1, the forward by m"
    yield "unbiased-variance", divides, build_terms(case, norm, axes, 1).sum(axis=0)
    if np.ndim(gamma):
        late = f"after the means over {named_axes(axes)} are taken: it belongs to dy before"
        without = build_terms(case, norm, axes, gamma=1.0).sum(axis=0)
        yield "factor-misplaced", f"the scale is multiplied in {late}", gamma * without


def fitted_terms(case: Case) -> Iterator[tuple[Norm, Axes, Array]]:
    """(norm, axes of the means, the factors a, b, c that explain found) of every perfect fit."""
    for axes, centred in itertools.product(normalized_axes(case), (True, False)):
        norm = Norm(axes, centred)
        right = case.fit(build_terms(case, norm, axes), case.expected)
        if right is not None and np.allclose(right, (1, centred, 1), atol=1e-4):
            for means in (axes, *normalized_axes(case)):
                if (fit := case.fit(build_terms(case, norm, means), case.found)) is not None:
                    yield norm, means, fit


def normalized_axes(case: Case) -> Iterator[Axes]:
    """The axes over which y is x normalised, if it is: then y is affine in x along them."""
    shape = case.array.shape
    if shape == case.y.shape and len(shape) > 1 and case.complete:
        yield from (axes for axes in groups_of_axes(len(shape)) if np.prod([shape[axis] for axis in axes]) > 2)


def build_terms(case: Case, norm: Norm, means: Axes, ddof: int = 0, gamma: Array | float | None = None) -> Array:
    """s g, -s mean(g) and -s x̂ mean(g x̂), with g = dy γ and the normalised x̂, for each upstream.

    s is read off y itself, so that nobody has to say what epsilon was; ddof=1 makes it the unbiased variance's.
    """
    x, axes = case.array, norm.axes
    scale, shift = named_array(case, SCALES, 1.0, axes), named_array(case, SHIFTS, 0.0, axes)
    centered = x - norm.centred * x.mean(axis=axes, keepdims=True)
    squares = (centered**2).sum(axis=axes, keepdims=True)
    s = (centered * (case.y - shift) / scale).sum(axis=axes, keepdims=True) / squares
    if ddof:
        count = x.size // squares.size
        s = 1 / np.sqrt(1 / s**2 + squares / (count - 1) - squares / count)
    normalized, g = centered * s, case.dy_full * (scale if gamma is None else gamma)
    over = tuple(axis - x.ndim for axis in means)
    mean, moment = (terms.mean(axis=over, keepdims=True) for terms in (g, g * normalized))
    return np.asarray(-s * np.stack([-g, norm.centred * mean + 0 * g, normalized * moment]))


SCALES, SHIFTS = ("gamma", "weight", "scale", "gain", "g"), ("beta", "bias", "shift", "offset", "b")


def named_array(case: Case, names: Sequence[str], otherwise: float, axes: Axes) -> Array | float:
    """The array of one of these names that fits the last axis, or the channels in second place, or a number."""
    n = case.array.ndim
    place = 1 if n == 4 and axes in ((0, 2, 3), (2, 3)) else n - 1
    arrays = [case.arrays[name] for name in names if name in case.arrays and name != case.name]
    fitting = (a for a in arrays if a.size == case.array.shape[place])
    return next((a.reshape([-1 if axis == place else 1 for axis in range(n)]) for a in fitting), otherwise)


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
