"""Losses: y is one number, and the wrong gradients of it are known by name."""

from collections.abc import Iterator

import numpy as np

from ...arrays import Array
from ..verdict import Verdict
from .case import Case
from .factors import off_by


def losses(case: Case) -> Verdict | None:
    """Compare with what is returned instead of a loss's gradient: the Brier score's, softmax without the target..."""
    targets = targets_of(case)
    if targets is None:
        return None
    branch = beyond(case, case.array - targets)
    if branch is not None:
        return branch
    for slug, words, candidate in candidates(case, case.array, targets):
        rows = case.dy.reshape(-1, 1) * candidate.ravel()[case.entries]
        c = case.factor(rows)
        if c is not None and c > 0 and not case.same(rows * c, case.expected):
            return case.verdict(slug, words, f"found is proportional to that {case.everywhere} (factor {c:.6g})")
    return None


def beyond(case: Case, residual: Array) -> Verdict | None:
    """Right for small residuals, wrong for large ones: the outer branch of a Huber loss."""
    size = np.abs(residual).ravel()[case.entries]
    wrong = np.abs(case.found - case.expected).max(axis=0) > 1e-7 * np.abs(case.expected).max()
    if not 1 < wrong.sum() < len(wrong) or not case.expected[:, ~wrong].any():
        return None
    bound = size[~wrong].max()
    if size[wrong].min() <= bound:
        return None
    message = f"right while |x - t| <= {bound:.3g}, wrong beyond: the outer branch has a derivative of its own"
    return case.verdict("one-branch", message, case.deviates_most(2))


def targets_of(case: Case) -> Array | None:
    """The targets in the shape of the outputs (N, C), where the array is a loss's outputs."""
    if case.y.ndim or case.array.ndim != 2:
        return None
    shape = case.array.shape
    for name, given in case.inputs.items():
        if name == case.name or given is None:
            continue
        value = np.asarray(given)
        if value.shape == shape and value.dtype.kind in "fiub":
            as_floats: Array = value.astype(float)
            return as_floats
        if value.shape == shape[:1] and value.dtype.kind in "iu" and value.min() >= 0 and value.max() < shape[1]:
            one_hot: Array = np.eye(shape[1])[value]
            return one_hot
    return inferred_targets(case)


def inferred_targets(case: Case) -> Array | None:
    """Targets that the code keeps to itself: where softmax(x) minus the right gradient is a 1 in every row."""
    if not case.complete:
        return None
    p = softmax(case.array)
    targets = p - case.expected_full[0] / case.dy.ravel()[0] * len(p)
    near: Array = np.round(targets)
    return near if np.allclose(targets, near, atol=1e-6) and (near.sum(axis=1) == 1).all() else None


def softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.max(axis=1, keepdims=True))
    total: Array = e.sum(axis=1, keepdims=True)
    return e / total


def candidates(case: Case, x: Array, t: Array) -> Iterator[tuple[str, str, Array]]:
    """(mistake, words, gradient) of what gets written for outputs x and targets t."""
    if case.expected.shape[1] == x.size and np.ptp(np.abs(case.expected[0])) < 1e-9:
        yield "formula-slip", "this is x - t, the derivative of ½ (x - t)²; that of |x - t| is sign(x - t)", x - t
    if np.allclose(x.sum(axis=1), 1) and (x >= 0).all():
        yield from of_probabilities(x, t)
    yield from of_softmax(x, t)
    yield "target-ignored", "this is x: the target is not subtracted, x - t is due", x
    yield from of_margins(x, t)


def of_probabilities(p: Array, t: Array) -> Iterator[tuple[str, str, Array]]:
    """The outputs are probabilities already."""
    yield (
        "brier-gradient",
        "this is the gradient of the Brier score ½‖p - t‖², not of the cross-entropy: "
        "p - t belongs to softmax and cross-entropy together; by p alone it is -t / p",
        p - t,
    )
    yield "logits-as-probabilities", "softmax is applied to what are probabilities already", softmax(p) - t
    yield "log-missing", "this is -t: the logarithm's derivative 1 / p is missing, -t / p is due", -t


def of_softmax(x: Array, t: Array) -> Iterator[tuple[str, str, Array]]:
    """The outputs are logits, before a softmax or a sigmoid."""
    p, s = softmax(x), 1 / (1 + np.exp(-x))
    off = p - t
    yield (
        "brier-gradient",
        "this is the gradient of the Brier score ½‖p - t‖²: the softmax Jacobian is applied twice, since p - t "
        "contains it already",
        p * (off - (off * p).sum(axis=1, keepdims=True)),
    )
    yield "target-ignored", "this is softmax(x): the target is not subtracted, softmax(x) - t is due", p
    yield "target-ignored", "this is -t, the target's term alone: softmax(x) - t is due", -t
    if np.allclose(t.sum(axis=1), 1):
        yield "softmax-missing", "this is x - t: the softmax is missing, softmax(x) - t is due", x - t
    yield "target-ignored", "this is sigmoid(x): the target is not subtracted, sigmoid(x) - t is due", s
    yield (
        "derivative-twice",
        "the sigmoid's derivative is applied again: sigmoid(x) - t contains it already",
        (s - t) * s * (1 - s),
    )


def of_margins(x: Array, t: Array) -> Iterator[tuple[str, str, Array]]:
    due = "minus the number of margins violated is due"
    wrong_classes = violated(x, t, 1.0)
    yield "target-ignored", f"hinge loss: the right class gets no gradient; {due}", wrong_classes
    yield "target-ignored", f"hinge loss: the right class gets -1; {due}", wrong_classes - t
    without = violated(x, t, 0.0)
    without = without - t * without.sum(axis=1, keepdims=True)
    yield "margin-missing", "hinge loss: the margin, + 1, is missing in the condition", without


def violated(x: Array, t: Array, margin: float) -> Array:
    """1 for each wrong class within the margin."""
    right: Array = (x * t).sum(axis=1, keepdims=True)
    return np.asarray((x - right + margin > 0) & (t == 0), float)


# Penalties ------------------------------------------------------------------------------------------------------


def penalty(case: Case) -> Verdict | None:
    """What is missing or too much is proportional to the array itself: an L2 penalty; or to its sign: L1."""
    values, name = case.values, case.name
    scale: Array = case.dy.ravel() if case.y.ndim == 0 else np.ones(len(case.dy))
    off = case.found - case.expected
    if (
        case.same(np.ones(len(values)), np.sign(case.expected[0]) * np.sign(values))
        and case.factor(np.outer(scale, values))
        and np.ptp(np.abs(case.expected[0])) < 1e-9 * np.abs(case.expected[0]).max()
    ):
        message = f"{name} itself is the derivative of ½ {name}²; that of |{name}| is its sign"
        return case.verdict("formula-slip", message, "found is proportional to the array, expected to its sign")
    for kind, shape in (("L2", values), ("L1", np.sign(values))):
        if not np.any(shape):
            continue
        c = float(off[0] @ shape / (shape @ shape)) / scale[0]
        if c and case.same(off, c * np.outer(scale, shape)):
            what = "is missing, or too small" if c < 0 else "is too large for what the forward has of it, if anything"
            evidence = f"found - expected = {c:.6g} · {'sign of ' * (kind == 'L1')}{name} in every entry"
            return case.verdict("penalty-missing", f"the gradient of an {kind} penalty on {name} {what}", evidence)
    return None


def penalised(case: Case) -> Verdict | None:
    """A loss with a penalty: the data's part off by a factor, the penalty's right, or the other way round."""
    if case.y.ndim:
        return None
    values, scale, name = case.values, case.dy.reshape(-1, 1), case.name
    for kind, shape in (("L2", values), ("L1", np.sign(values))):
        if kind == "L1" and squared_for_absolute(case, values, scale * shape):
            message = f"the derivative of the penalty |{name}| is the sign of {name}, not {name} itself"
            evidence = f"found - expected = a · {name} + b · sign of {name} in every entry"
            return case.verdict("formula-slip", message, evidence)
        basis = np.stack([case.expected.ravel(), (scale * shape).ravel()])
        (a, b), *_ = np.linalg.lstsq(basis.T, case.found.ravel(), rcond=None)
        if abs(a) < 1e-9 or abs(a - 1) < 1e-6 or len(values) < 3 or not case.same((a, b) @ basis, case.found.ravel()):
            continue
        evidence = f"found = {a:.6g} · expected {b:+.6g} · {'sign of ' * (kind == 'L1')}{name} in every entry"
        return off_by(case, float(a), evidence, f"; its {kind} penalty's term is right, only the data's part is off")
    return None


def squared_for_absolute(case: Case, values: Array, signs: Array) -> bool:
    """Whether only the penalty's term is wrong: W stands where sign(W) is due."""
    basis = np.stack([(case.dy.reshape(-1, 1) * values).ravel(), signs.ravel()])
    off = (case.found - case.expected).ravel()
    (a, b), *_ = np.linalg.lstsq(basis.T, off, rcond=None)
    return bool(len(values) > 2 and a > 0 > b and np.isclose(a, -b) and case.same((a, b) @ basis, off))
