"""Losses: y is one number, and the wrong gradients of it are known by name."""

import numpy as np

from ..verdict import Verdict
from .case import ratio


def losses(case):
    """Compare with what is returned instead of a loss's gradient: the Brier score's, softmax without the target..."""
    outputs, targets = outputs_and_targets(case)
    if outputs is None:
        return None
    branch = beyond(case, outputs - targets)
    if branch is not None:
        return branch
    for slug, words, candidate in candidates(case, outputs, targets):
        rows = case.dy.reshape(-1, 1) * np.asarray(candidate).ravel()[case.entries]
        c = case.factor(rows)
        if c is not None and c > 0 and not case.same(rows * c, case.expected):
            return Verdict(
                case.name, slug, words, f"proportional to it in all {len(case.entries)} entries (factor {c:.6g})"
            )
    return None


def beyond(case, residual):
    """Right for small residuals, wrong for large ones: the outer branch of a Huber loss."""
    size = np.abs(residual).ravel()[case.entries]
    wrong = np.abs(case.found - case.expected).max(axis=0) > 1e-7 * np.abs(case.expected).max()
    if not 1 < wrong.sum() < len(wrong) - 1 or not case.expected[:, ~wrong].any():
        return None
    if size[wrong].min() <= size[~wrong].max():
        return None
    return Verdict(
        case.name,
        "one-branch",
        f"right while |x - t| <= {size[~wrong].max():.3g}, wrong beyond: the outer branch has a derivative of its own",
        case.deviates_most(2),
    )


def outputs_and_targets(case):
    """The array of outputs (N, C) and the targets as (N, C), if this is a loss; else (None, None)."""
    if case.y.ndim or case.array.ndim != 2:
        return None, None
    shape = case.array.shape
    for name, value in case.inputs.items():
        if name == case.name or value is None:
            continue
        value = np.asarray(value)
        if value.shape == shape and value.dtype.kind in "fiub":
            return case.array, value.astype(float)
        if value.shape == shape[:1] and value.dtype.kind in "iu" and value.min() >= 0 and value.max() < shape[1]:
            return case.array, np.eye(shape[1])[value]
    return inferred_targets(case)


def inferred_targets(case):
    """Targets that the code keeps to itself: where softmax(x) minus the right gradient is a 1 in every row."""
    if not case.complete:
        return None, None
    p = softmax(case.array)
    targets = p - case.expected_full[0] / case.dy.ravel()[0] * len(p)
    near = np.round(targets)
    one_hot = np.allclose(targets, near, atol=1e-6) and (near.sum(axis=1) == 1).all()
    return (case.array, near) if one_hot else (None, None)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def candidates(case, outputs, targets):
    p = softmax(outputs)
    s = 1 / (1 + np.exp(-outputs))
    off = p - targets
    if case.expected.shape[1] == outputs.size and np.ptp(np.abs(case.expected[0])) < 1e-9:
        yield "formula-slip", "x - t is the derivative of a square; |x - t| has sign(x - t)", outputs - targets
    probabilities = np.allclose(outputs.sum(axis=1), 1) and (outputs >= 0).all()
    if probabilities:
        yield (
            "brier-gradient",
            "this is the gradient of the Brier score ½‖p - t‖², not of the cross-entropy: p - t "
            "belongs to softmax and cross-entropy together; by p alone it is -t / p",
            outputs - targets,
        )
        yield "brier-gradient", "-t / p is due, and 1 / p on every class came", -1 / outputs
        yield "logits-as-probabilities", "softmax is applied to what already are probabilities", off
        yield "log-missing", "the logarithm's derivative 1 / p is missing", -targets
    yield (
        "brier-gradient",
        "this is the gradient of the Brier score ½‖p - t‖²: the softmax Jacobian is applied twice, "
        "since p - t contains it already",
        p * (off - (off * p).sum(axis=1, keepdims=True)),
    )
    yield "target-ignored", "the target is not subtracted: softmax(x) - t is due", p
    yield "target-ignored", "only the target's term -t is there: softmax(x) - t is due", -targets
    yield (
        "cross-terms-missing",
        "softmax(x) - t is due already; its product with p (1 - p), as for a sigmoid, is not",
        off * p * (1 - p),
    )
    if case.expected.shape[1] == outputs.size and sigmoidal(case, s - targets):
        yield "softmax-missing", "x - t came: the sigmoid is missing in sigmoid(x) - t", outputs - targets
    if np.allclose(targets.sum(axis=1), 1):
        yield "softmax-missing", "x - t came: the softmax is missing in softmax(x) - t", outputs - targets
    yield "target-ignored", "the target is not subtracted: sigmoid(x) - t is due", s
    yield (
        "derivative-twice",
        "the sigmoid's derivative is applied again: sigmoid(x) - t contains it already",
        (s - targets) * s * (1 - s),
    )
    yield "derivative-missing", "sign(x - t) came", np.sign(outputs - targets)
    yield "target-ignored", "x came: the target is not subtracted", outputs
    yield "wrong-sign", "x + t came instead of x - t", outputs + targets
    hinge = hinge_terms(outputs, targets)
    yield "target-ignored", "hinge: the correct class gets nothing; it gets minus the number of margins violated", hinge
    yield (
        "target-ignored",
        "hinge: the correct class gets -1; it gets minus the number of margins violated",
        hinge - targets,
    )
    yield "margin-missing", "hinge: the margin is missing in the condition", violated(outputs, targets, 0.0)


def sigmoidal(case, off):
    """Whether the right gradient is that of a sigmoid and a cross-entropy."""
    return ratio(case.expected, case.dy.reshape(-1, 1) * off.ravel()[case.entries], 1e-5) is not None


def hinge_terms(outputs, targets):
    """1 for each wrong class within the margin."""
    right = (outputs * targets).sum(axis=1, keepdims=True)
    return ((outputs - right + 1 > 0) & (targets == 0)).astype(float)


def violated(outputs, targets, margin):
    right = (outputs * targets).sum(axis=1, keepdims=True)
    over = ((outputs - right + margin > 0) & (targets == 0)).astype(float)
    return over - targets * over.sum(axis=1, keepdims=True)


def penalty(case):
    """What is missing or too much is proportional to the array itself: an L2 penalty; or to its sign: L1."""
    values = case.array.ravel()[case.entries]
    scale = case.dy.ravel() if case.y.ndim == 0 else np.ones(len(case.dy))
    off = case.found - case.expected
    if (
        case.same(np.ones(len(values)), np.sign(case.expected[0]) * np.sign(values))
        and case.factor(np.outer(scale, values))
        and np.ptp(np.abs(case.expected[0])) < 1e-9 * np.abs(case.expected[0]).max()
    ):
        return Verdict(
            case.name,
            "formula-slip",
            f"{case.name} itself is the derivative of a square; |{case.name}| has its sign",
            "found is proportional to the array, expected to its sign",
        )
    for kind, shape in (("L2", values), ("L1", np.sign(values))):
        if not np.any(shape):
            continue
        c = float(off[0] @ shape / (shape @ shape)) / scale[0]
        if c and case.same(off, c * np.outer(scale, shape)):
            what = "missing" if c < 0 else "in the gradient but not in the function"
            return Verdict(
                case.name,
                "penalty-missing",
                f"the gradient of an {kind} penalty on {case.name} is {what}",
                f"found - expected = {c:.6g} · {'sign of ' * (kind == 'L1')}{case.name} in every entry",
            )
    return None
