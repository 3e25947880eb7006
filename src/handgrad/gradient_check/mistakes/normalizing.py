"""Softmax and normalisation: terms of the gradient that are missing, and statistics taken for constants."""

import numpy as np

from ..verdict import Verdict


def jacobian(case):
    """For x and y of the same shape: only the Jacobian's diagonal, all but it, or the Jacobian twice."""
    if case.columns is None or case.y.shape != case.array.shape:
        return None
    diagonal = case.columns[np.arange(len(case.entries)), case.entries] * case.dy[:, case.entries]
    if case.explains(diagonal):
        return Verdict(
            case.name,
            "cross-terms-missing",
            "only the diagonal of the Jacobian is used: each y also depends on the other entries of x",
            "dx equals dy ∂y_i/∂x_i in every entry",
        )
    if case.explains(case.expected - diagonal):
        return Verdict(
            case.name, "diagonal-missing", "the diagonal of the Jacobian is missing", "right once it is added"
        )
    if case.complete and case.explains(case.through(case.expected)):
        return Verdict(
            case.name, "derivative-twice", "the Jacobian is applied twice", "dx equals Jᵀ Jᵀ dy in every entry"
        )
    if case.complete:
        forwards = case.dy @ case.columns
        if case.explains(forwards):
            return Verdict(
                case.name, "transposed", "the Jacobian is applied untransposed: dx = Jᵀ dy", "dx equals J dy"
            )
    return None


def softmax_terms(case):
    """dx = a y dy - b y Σ y dy along the last axis: right for a = b = 1."""
    if case.y.shape != case.array.shape or case.y.ndim < 1:
        return None
    y, dy = case.y, case.dy.reshape(-1, *case.y.shape)
    if not np.allclose(y.sum(axis=-1), 1) or (y < 0).any():
        return None
    inner = (y * dy).sum(axis=-1, keepdims=True)
    if case.explains(case.dy[:, case.entries]):
        return Verdict(
            case.name,
            "derivative-missing",
            "softmax: dx is dy itself; dx = y (dy - Σ y dy)",
            "equal to dy in every entry",
        )
    named = {
        "softmax: the term -y Σ y dy is missing": y * dy,
        "softmax: the term y dy is missing": -y * inner,
        "softmax: Σ y dy is added, not subtracted": y * (dy + inner),
        "softmax: the factor y is missing before (dy - Σ y dy)": dy - inner,
        "softmax: Σ dy stands for Σ y dy": y * (dy - dy.sum(axis=-1, keepdims=True)),
        "softmax: y (1 - y) alone, as for a sigmoid": y * (1 - y) * dy,
        "softmax: σ_i (1 - σ_j) on every place, the δ_ij is forgotten": y * ((1 - y) * dy).sum(axis=-1, keepdims=True),
        "softmax: the sum runs over the batch, not over the classes": y * (dy - (y * dy).sum(axis=1, keepdims=True)),
    }
    for words, candidate in named.items():
        if case.explains(case.pick(candidate)):
            slug = "wrong-axis" if "batch" in words else "cross-terms-missing"
            return Verdict(case.name, slug, words + "; dx = y (dy - Σ y dy)", "equal to that in every entry")
    return None


def log_softmax_terms(case):
    """dx = dy - exp(y) Σ dy along the last axis."""
    if case.y.shape != case.array.shape or case.y.ndim < 1 or not np.allclose(np.exp(case.y).sum(axis=-1), 1):
        return None
    y, dy = case.y, case.dy.reshape(-1, *case.y.shape)
    total = dy.sum(axis=-1, keepdims=True)
    named = {
        ("value-for-derivative", "the logarithms y stand where the probabilities exp(y) are due"): dy - y * total,
        ("derivative-missing", "dx is dy itself: the term -exp(y) Σ dy is missing"): dy,
        ("wrong-sign", "exp(y) Σ dy is added, not subtracted"): dy + np.exp(y) * total,
        ("wrong-axis", "Σ dy runs over the batch, not over the classes"): dy
        - np.exp(y) * dy.sum(axis=1, keepdims=True),
    }
    for (slug, words), candidate in named.items():
        if case.explains(case.pick(candidate)):
            return Verdict(
                case.name, slug, f"log-softmax: {words}; dx = dy - exp(y) Σ dy", "equal to that in every entry"
            )
    return None


def scale_terms(case):
    """dgamma = Σ dy x̂: with x or y in the place of the normalised x."""
    if case.array.shape != case.y.shape[-1:] or case.y.ndim < 2:
        return None
    axes = tuple(range(1, case.y.ndim))
    dy = case.dy.reshape(-1, *case.y.shape)
    inputs = [(n, a) for n, a in case.arrays.items() if a.shape == case.y.shape]
    centered = [
        (f"{n} - its mean", a - a.mean(axis=axis, keepdims=True))
        for n, a in inputs
        for axis in (tuple(range(a.ndim - 1)), -1)
    ]
    for name, value in [("y", case.y), *inputs, *centered]:
        if value.shape == case.y.shape and case.explains(case.pick((dy * value).sum(axis=axes))):
            return Verdict(
                case.name,
                "unnormalized-input",
                f"{name} stands where the normalised input is due: the gradient by {case.name} is Σ dy x̂",
                f"equal to Σ dy {name} in every entry",
            )
    return None


def statistics(case):
    """dx = s (a dy - b mean(dy) - c x̂ mean(dy x̂)): right for a = b = c = 1, constants for b = c = 0."""
    for axes, means, fit in fitted_terms(case):
        if means == axes and named_terms(case, axes, fit):
            return Verdict(case.name, *named_terms(case, axes, fit), evidence_of(fit))
        if means != axes and np.allclose(fit, 1, atol=1e-4):
            return Verdict(
                case.name,
                "wrong-axis",
                f"the means of the normalisation's gradient run over axis {means}, the statistics over axis {axes}",
                "dx equals that in every entry",
            )
    found = next((v for v in (unbiased(case, axes) for axes in normalized_axes(case)) if v is not None), None)
    return found or scaled(case)


def scaled(case):
    """y = x s(x) with a scale s, such as 1 / |x|: s taken for a constant, or left out."""
    if case.y.shape != case.array.shape or (case.array == 0).any() or not case.y.all():
        return None
    scale = (case.y / case.array).ravel()[case.entries]
    if case.explains(case.dy[:, case.entries] * scale):
        return Verdict(
            case.name,
            "statistics-constant",
            f"what {case.name} is scaled by is treated as a constant, but it moves with every entry it is taken over",
            "dx equals dy y / x in every entry",
        )
    if np.ptp(scale) > 1e-9 and case.explains(case.expected / scale):
        return Verdict(
            case.name,
            "normalisation-terms",
            f"the scale itself is missing from the gradient by {case.name}: what x was multiplied by, dx is too",
            "found · y / x is right in every entry",
        )
    return None


def other_terms(case):
    """The same with factors that have no name."""
    for axes, means, fit in fitted_terms(case):
        if means == axes:
            return Verdict(
                case.name,
                "normalisation-terms",
                "the terms of the normalisation's gradient have wrong factors",
                evidence_of(fit),
            )
    return None


def fitted_terms(case):
    """(axes normalised over, axes of the means, the factors a, b, c that explain found) of every perfect fit."""
    for axes in normalized_axes(case):
        if fit_terms(case, axes, axes, case.expected, 1e-4) is not None:
            for means in (axes, *normalized_axes(case)):
                fit = fit_terms(case, axes, means, case.found)
                if fit is not None:
                    yield axes, means, fit


def normalized_axes(case):
    """The axes over which y is x normalised, if it is: then y is affine in x along them."""
    x, y = case.array, case.y
    if x.shape != y.shape or x.ndim < 2 or not case.complete:
        return
    images = [(0, 2, 3), (2, 3)] if x.ndim == 4 else []  # with channels second
    for axes in (
        tuple(range(x.ndim - 1)),
        (x.ndim - 1,),
        tuple(range(1, x.ndim)),
        (0,),
        tuple(range(1, x.ndim - 1)),
        *images,
    ):
        if axes and np.prod([x.shape[a] for a in axes]) > 2:
            yield axes


def fit_terms(case, axes, means, target, near_one=None):
    """(a, b, c) of the least-squares fit to target, if it is perfect (and near 1, 1, 1 where asked); else None."""
    terms = [build_terms(case, dy.reshape(case.y.shape), axes, means) for dy in case.dy]
    basis = np.concatenate([np.stack([t.ravel()[case.entries] for t in group]) for group in terms], axis=1)
    fit, *_ = np.linalg.lstsq(basis.T, target.ravel(), rcond=None)
    if not case.same(basis.T @ fit, target.ravel()) or (near_one and not np.allclose(fit, 1, atol=near_one)):
        return None
    return fit


def build_terms(case, dy, axes, means, ddof=0):
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


def named_array(case, names, otherwise, axes):
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


def unbiased(case, axes):
    """The whole gradient with the variance divided by m - 1."""
    wrong = [sum(build_terms(case, dy.reshape(case.y.shape), axes, axes, ddof=1)) for dy in case.dy]
    if not case.explains(case.pick(wrong)):
        return None
    return Verdict(
        case.name,
        "unbiased-variance",
        "the backward divides the variance by m - 1, the forward by m",
        "dx is right for the unbiased variance in every entry",
    )


def evidence_of(fit):
    a, b, c = np.round(fit, 6)
    return f"dx = s ({a:g} dy - {b:g} mean(dy) - {c:g} x̂ mean(dy x̂)) in every entry; the right factors are 1, 1, 1"


def named_terms(case, axes, fit):
    """(slug, message) of factors that are somebody's usual mistake, or None."""
    a, b, c = (float(v) for v in np.round(fit, 6))
    count = int(np.prod([case.array.shape[i] for i in axes]))
    constants = {
        (1, 0, 0): "mean and variance are treated as constants, but they move",
        (1, 1, 0): "the variance is treated as a constant, but it moves",
        (1, 0, 1): "the mean is treated as a constant, but it moves",
    }
    if (a, b, c) in constants:
        return "statistics-constant", f"{constants[a, b, c]} with every x they are taken over"
    if count > 1 and np.isclose(c, count / (count - 1), rtol=1e-5):
        return "unbiased-variance", f"the variance's term is divided by {count - 1}, the forward's variance by {count}"
    if count in (b, c):
        return "not-averaged", f"a sum stands where the mean over {count} numbers is due"
    if -1 in (b, c):
        return "wrong-sign", "a term of the normalisation's gradient has the wrong sign"
    return None
