"""Losses of a product x W, alone or with a penalty on W: what went wrong behind the product, or in one of the terms."""

import numpy as np

from ..verdict import Verdict
from .factors import constant
from .losses import candidates


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
