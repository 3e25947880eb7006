"""Losses: y is one number, and the wrong gradients of it are known by name."""

from collections.abc import Iterator

import numpy as np

from ...arrays import Array
from ...functional import sigmoid_forward, softmax_forward
from ..verdict import Guess, Verdict
from .case import Case, ratio
from .factors import off_by


def losses(case: Case) -> Verdict | None:
    """Compare with what is returned instead of a loss's gradient: the Brier score's, softmax without the target..."""
    if (targets := targets_of(case)) is None:
        return None
    if not np.isin(targets, (0, 1)).all() and (branch := beyond(case, case.array - targets)):
        return branch
    for slug, words, candidate in (*of_outputs(case, targets), *of_margins(case.array, targets)):
        rows = case.dy * case.pick([candidate] * len(case.dy))
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
    what = f"right while |x - t| <= {bound:.3g}, wrong beyond"
    return case.own_branch(what, case.deviates_most(2)) if size[wrong].min() > bound else None


def targets_of(case: Case) -> Array | None:
    """The targets in the shape of the outputs (N, C), where the array is a loss's outputs."""
    if case.y.ndim or case.array.ndim != 2:
        return None
    examples, classes = case.array.shape
    for name, given in case.inputs.items():
        value = np.asarray(given)
        if name == case.name:
            continue
        if value.shape == (examples, classes) and value.dtype.kind in "fiub":
            return value.astype(float)
        if value.shape == (examples,) and value.dtype.kind in "iu" and value.min() >= 0 and value.max() < classes:
            return np.asarray(np.eye(classes)[value])
    return inferred_targets(case)


def inferred_targets(case: Case) -> Array | None:
    """Targets that the code keeps to itself: where softmax(x) minus the right gradient is a 1 in every row."""
    if not case.complete:
        return None
    p, _ = softmax_forward(case.array)
    targets = p - case.expected_full[0] / case.dy.ravel()[0] * len(p)
    near: Array = np.round(targets)
    return near if np.allclose(targets, near, atol=1e-6) and (near.sum(axis=1) == 1).all() else None


BRIER = "this is the gradient of the Brier score ½‖p - t‖²"
UNFUSED = (
    f"{BRIER}, not of the cross-entropy: p - t belongs to softmax and cross-entropy together; by p alone it is -t / p"
)
TWICE = f"{BRIER}: the softmax Jacobian is applied twice, since p - t contains it already"


def of_outputs(case: Case, t: Array) -> Iterator[tuple[str, str, Array]]:
    """(mistake, words, gradient) of what gets written for outputs, probabilities or logits, and targets."""
    x, (p, _), (s, _) = case.array, softmax_forward(case.array), sigmoid_forward(case.array)
    are_probabilities, ignored = np.allclose(x.sum(axis=1), 1) and (x >= 0).all(), "the target is not subtracted"
    if case.expected.shape[1] == x.size and np.ptp(np.abs(case.expected[0])) < 1e-9:
        yield "formula-slip", "this is x - t, the derivative of ½ (x - t)²; that of |x - t| is sign(x - t)", x - t
    if are_probabilities or ((x > 0) & (x < 1)).all():
        yield "brier-gradient", UNFUSED, x - t
    if are_probabilities:
        yield "logits-as-probabilities", "softmax is applied to what are probabilities already", p - t
        yield "log-missing", "this is -t: the logarithm's derivative 1 / p is missing, -t / p is due", -t
    yield "brier-gradient", TWICE, p * (p - t - ((p - t) * p).sum(axis=1, keepdims=True))
    yield "target-ignored", f"this is softmax(x): {ignored}, softmax(x) - t is due", p
    yield "target-ignored", "this is -t, the target's term alone: softmax(x) - t is due", -t
    if np.allclose(t.sum(axis=1), 1):
        yield "softmax-missing", "this is x - t: the softmax is missing, softmax(x) - t is due", x - t
    yield "target-ignored", f"this is sigmoid(x): {ignored}, sigmoid(x) - t is due", s
    again = "the sigmoid's derivative is applied again: sigmoid(x) - t contains it already"
    yield "derivative-twice", again, (s - t) * s * (1 - s)
    yield "target-ignored", f"this is x: {ignored}, x - t is due", x


def of_margins(x: Array, t: Array) -> Iterator[tuple[str, str, Array]]:
    """The same for scores of which the right class's should be the largest by 1."""
    due, lead = "minus the number of margins violated is due", x - (x * t).sum(axis=1, keepdims=True)
    within, ahead = (np.asarray((lead + margin > 0) & (t == 0), float) for margin in (1, 0))
    yield "target-ignored", f"hinge loss: the right class gets no gradient; {due}", within
    yield "not-summed", f"hinge loss: the right class gets -1; {due}", within - t
    without = ahead - t * ahead.sum(axis=1, keepdims=True)
    yield "margin-missing", "hinge loss: the margin, + 1, is missing in the condition", without


# Penalties ------------------------------------------------------------------------------------------------------


def penalised(case: Case) -> Verdict | None:
    """found = a · expected + b · array + c · its sign: a penalty's term is wrong, or all but that."""
    name, values = case.name, case.values
    scale: Array = case.dy.reshape(-1, 1) if case.y.ndim == 0 else np.ones((len(case.dy), 1))
    signs = np.sign(values) * bool(np.ptp(np.sign(values)))  # all alike, they may be any constant
    terms = np.stack([case.expected, scale * values, scale * signs]).reshape(3, -1)
    if (fit := fitting(case, terms)) is None:
        return None
    sizes = np.abs(fit) * np.linalg.norm(terms, axis=1)
    a, b, c = (float(v) for v in np.where(sizes > 1e-6 * np.linalg.norm(case.found), fit, 0))
    evidence = f"found = {a:.6g} · expected {b:+.6g} · {name} {c:+.6g} · sign of {name} in every entry"
    is_data_right = abs(a - 1) < 1e-6
    sign_is_due = (is_data_right and np.isclose(c, -b)) or (a == c == 0 and ratio(terms[0], terms[2]) is not None)
    if b > 0 and sign_is_due:
        message = f"{name} itself is the derivative of ½ {name}²; that of |{name}| is its sign"
        return case.verdict("formula-slip", message, evidence)
    if bool(b) == bool(c):
        return None
    kind, share = ("L2", b) if b else ("L1", c)
    if is_data_right:
        off = "missing, or too small" if share < 0 else "too large for what the forward has of it, if anything"
        message = f"the gradient of an {kind} penalty on {name} is {off}"
        return (Guess if share < 0 else Verdict)(name, "penalty-missing", message, evidence)
    rest = f"; its {kind} penalty's term is right, only the data's part is off"
    return off_by(case, a, evidence, rest) if a and case.y.ndim == 0 else None


def fitting(case: Case, terms: Array) -> Array | None:
    """The factors of the fewest terms that add up to what was found, where there are more entries than factors."""
    for chosen in ([0, 1], [0, 2], [0, 1, 2]):
        fit = case.fit(terms[chosen], case.found)
        if fit is not None and len(chosen) < len(case.values):
            return np.asarray(np.bincount(chosen, fit, minlength=3))
    return None
