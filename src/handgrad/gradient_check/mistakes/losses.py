"""Losses: y is one number, and the wrong gradients of it are known by name."""

import numpy as np

from ..verdict import Verdict
from .case import ratio
from .factors import constant


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


def penalised(case):
    """A loss with a penalty: the data's part off by a factor, the penalty's right, or the other way round."""
    if case.y.ndim:
        return None
    values, scale = case.array.ravel()[case.entries], case.dy.reshape(-1, 1)
    for kind, shape in (("L2", values), ("L1", np.sign(values))):
        basis = np.stack([case.expected.ravel(), (scale * shape).ravel()])
        if kind == "L1" and squared_for_absolute(case, values, scale * shape):
            return Verdict(
                case.name,
                "formula-slip",
                f"the derivative of the penalty |{case.name}| is the sign of {case.name}, not {case.name}",
                f"found - expected = a · {case.name} + b · sign of {case.name} in every entry",
            )
        (a, b), *_ = np.linalg.lstsq(basis.T, case.found.ravel(), rcond=None)
        if abs(a) < 1e-9 or abs(a - 1) < 1e-6 or len(values) < 3 or not case.same((a, b) @ basis, case.found.ravel()):
            continue
        part = PartOfCase(case, a)
        verdict = constant(part)
        return Verdict(
            case.name,
            verdict.mistake,
            f"{verdict.message}, but for its {kind} penalty's term: only the data's part is off",
            f"found = {a:.6g} · expected + {b:.6g} · {'sign of ' * (kind == 'L1')}{case.name} in every entry",
        )
    return None


def squared_for_absolute(case, values, signs):
    """Whether only the penalty's term is wrong: W came where sign(W) is due."""
    basis = np.stack([(case.dy.reshape(-1, 1) * values).ravel(), signs.ravel()])
    off = (case.found - case.expected).ravel()
    (a, b), *_ = np.linalg.lstsq(basis.T, off, rcond=None)
    return len(values) > 2 and a > 0 > b and np.isclose(a, -b) and case.same((a, b) @ basis, off)


class PartOfCase:
    """A case whose gradient is `factor` times the right one."""

    def __init__(self, case, factor):
        self.case, self.found = case, factor * case.expected

    def __getattr__(self, name):
        return getattr(self.case, name)

    def factor(self, candidate):
        return float(self.found.ravel() @ candidate.ravel() / (candidate.ravel() @ candidate.ravel()))


def behind_product(case):
    """The losses' usual mistakes on the outputs x W of a linear model, with or without a penalty on W."""
    if case.y.ndim or case.array.ndim > 2:
        return None
    values, scale = case.array.ravel()[case.entries], case.dy.reshape(-1, 1)
    for x, outputs, targets in linear_outputs(case):
        for slug, words, candidate in written(case, outputs, targets):
            product = (x.T @ candidate).ravel()[case.entries]
            basis = np.stack([(scale * product).ravel(), (scale * values).ravel()])
            fit, *_ = np.linalg.lstsq(basis.T, case.found.ravel(), rcond=None)
            if (
                fit[0] > 0
                and len(values) > 2
                and case.same(fit @ basis, case.found.ravel())
                and not case.same(fit @ basis, case.expected.ravel())
            ):
                return Verdict(
                    case.name,
                    slug,
                    f"in the gradient by {case.name}: {words}",
                    f"proportional to xᵀ times it in every entry (factor {fit[0]:.6g})",
                )
    return None


def linear_outputs(case):
    """(x, x W, targets) for every pair of arguments that can be the inputs and the targets of a linear model."""
    given = [np.asarray(v) for n, v in case.inputs.items() if n != case.name and np.ndim(v)]
    for x in given:
        if x.ndim != 2 or x.shape[1] != len(case.array):
            continue
        outputs = x @ case.array
        for t in given:
            if t.shape == outputs.shape and t.dtype.kind in "fiub":
                yield x, outputs, t.astype(float)
            elif (
                outputs.ndim == 2
                and t.shape == outputs.shape[:1]
                and t.dtype.kind in "iu"
                and (0 <= t.min() <= t.max() < outputs.shape[1])
            ):
                yield x, outputs, np.eye(outputs.shape[1])[t]


def written(case, outputs, targets):
    residual = outputs - targets
    yield "one-branch", "x - t is the derivative of a square: the loss's other branch has another", residual
    yield "one-branch", "sign(x - t) is the outer branch's derivative: the inner one has another", np.sign(residual)
    yield "wrong-sign", "the sign of x - t is lost", np.abs(residual)
    yield "target-ignored", "the target is not subtracted", outputs
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        yield from candidates(case, outputs, targets)
        yield (
            "wrong-sign",
            "hinge: the correct class gets plus the number of margins violated, it gets minus that",
            np.abs(margins(outputs, targets)),
        )


def margins(outputs, targets):
    """The hinge loss's gradient by the outputs."""
    right = (outputs * targets).sum(axis=1, keepdims=True)
    over = ((outputs - right + 1 > 0) & (targets == 0)).astype(float)
    return over - targets * over.sum(axis=1, keepdims=True)
