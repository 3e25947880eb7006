"""Losses: each maps outputs and targets to one number, a mean over the batch, as a Python float.

Every loss takes sample_weight (N,), which turns the mean over examples into Σ w l / Σ w. Shapes that would broadcast by
accident are refused with a ValueError, and so are targets that are no numbers, or no probabilities where these are due:
each from 0 to 1, a row's sum within 0.02 of 1, as rounded ones are.

>>> loss, cache = cross_entropy_forward(np.zeros((1, 2)), np.array([1]))  # -log ½
>>> round(loss, 4)
0.6931
>>> cross_entropy_backward(1.0, cache)[0]
array([[ 0.5, -0.5]])

Derivations: docs/derivations/losses.md.
"""

import math
from types import EllipsisType
from typing import TypeAlias

import numpy as np

from ..arrays import Array, ArrayLike, Cache, array_of, numbers_of
from ..naming import check_number
from .analytic import logistic, magnitude, positive_part

# of the rows or the classes, as a caller gives them
Weights: TypeAlias = ArrayLike | None
LossAndCache: TypeAlias = tuple[float, Cache]
# what the rows count for in a mean: one number for all, or one for each
Share: TypeAlias = float | Array
ROUNDED = 0.02  # how far the probabilities of a row may be from a sum of 1


def cross_entropy_forward(
    logits: Array,
    targets: ArrayLike,
    class_weight: Weights = None,
    label_smoothing: float = 0.0,
    sample_weight: Weights = None,
) -> LossAndCache:
    """Mean of -Σ_c q_c log softmax(logits)_c over the rows of logits (N, C), q being the row's target distribution.

    targets: integer labels (N,) or probabilities (N, C). Logits (N, T, C) of sequences are N T rows, with labels (N, T)
    or probabilities (N, T, C), and a sample weight counts for all steps of its example. label_smoothing ε mixes q with
    the uniform distribution: (1 - ε) q + ε / C. class_weight (C,) multiplies the terms of its class; for labels the
    mean is then divided by Σ class_weight[label], for probabilities by N (both as PyTorch does).
    Raises ValueError or TypeError for targets or weights that do not fit logits.
    """
    logits = _outputs("cross_entropy", logits)
    shape = logits.shape
    if logits.ndim == 3:
        logits, targets, sample_weight = _steps_as_rows("cross_entropy", logits, targets, sample_weight)
    targets = _class_targets("cross_entropy", logits, targets)
    options = class_weight, label_smoothing, sample_weight
    where, amount, row_amount = _term_weights("cross_entropy", logits, targets, *options)
    shifted = logits - _largest(logits)
    picked = _weighted_sum(amount, shifted[where])
    exponentials = np.exp(shifted, out=shifted)
    totals = np.add.reduce(exponentials, axis=1, keepdims=True)
    loss = _weighted_sum(row_amount, np.log(totals)) - picked
    return loss, (exponentials, totals, where, amount, row_amount, shape)


def cross_entropy_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """dlogits = dloss (softmax(logits) - q) / N, each term times its weight."""
    exponentials, totals, where, amount, row_amount, shape = cache
    dloss = float(dloss)
    dlogits = exponentials * (dloss * row_amount / totals)
    dlogits[where] -= dloss * amount
    return (dlogits.reshape(shape),)


def probability_cross_entropy_forward(
    probabilities: Array, targets: ArrayLike, sample_weight: Weights = None
) -> LossAndCache:
    """Mean of -Σ_c q_c log p_c over the rows of probabilities (N, C): for outputs that went through a softmax already.

    targets: integer labels (N,) or probabilities (N, C). p is kept at or above the smallest normal number of its dtype.
    """
    name = "probability_cross_entropy"
    probabilities = _outputs(name, probabilities)
    targets = _class_targets(name, probabilities, targets)
    lowest, highest = probabilities.real.min(), probabilities.real.max()
    if not (lowest >= 0 and highest <= 1 + ROUNDED):
        wrong = f"above 1, got {highest}" if lowest >= 0 else f"negative, got {lowest}"
        raise ValueError(f"{name}: probabilities must not be {wrong}: for logits use cross_entropy")
    where, amount, _ = _term_weights(name, probabilities, targets, None, 0.0, sample_weight)
    smallest = np.finfo(probabilities.dtype).tiny
    picked = probabilities[where]
    picked = np.where(picked.real > smallest, picked, smallest)
    return -_weighted_sum(amount, np.log(picked)), (probabilities, where, amount, picked)


def probability_cross_entropy_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """dp = -dloss q / (N p), and exactly 0 where q is 0."""
    probabilities, where, amount, picked = cache
    dprobabilities = np.zeros_like(probabilities)
    dprobabilities[where] = -float(dloss) * amount / picked
    return (dprobabilities,)


def binary_cross_entropy_forward(logits: Array, targets: ArrayLike, sample_weight: Weights = None) -> LossAndCache:
    """Mean over all elements of max(z, 0) - z t + log(1 + exp(-|z|)) for logits z and targets t in [0, 1].

    That is -t log σ(z) - (1 - t) log(1 - σ(z)), rewritten so that nothing overflows. Targets (N,) fit logits (N, 1).
    """
    name = "binary_cross_entropy"
    logits = _outputs(name, logits)
    targets = _fit_targets(name, logits, targets)
    lowest, highest = targets.min(), targets.max()
    if not (lowest >= 0 and highest <= 1):
        raise ValueError(f"{name}: targets must lie between 0 and 1, got {lowest:g} to {highest:g}")
    weight = _element_weights(name, logits, sample_weight)
    losses = positive_part(logits) - logits * targets + np.log1p(np.exp(-magnitude(logits)))
    return _weighted_sum(weight, losses), (logits, targets, weight)


def binary_cross_entropy_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """dlogits = dloss (σ(logits) - targets) / number of elements."""
    logits, targets, weight = cache
    return ((logistic(logits) - targets) * (float(dloss) * weight),)


def mean_squared_error_forward(outputs: Array, targets: ArrayLike, sample_weight: Weights = None) -> LossAndCache:
    """Mean over all elements of (outputs - targets)², without a ½. Targets (N,) fit outputs (N, 1)."""
    outputs = _outputs("mean_squared_error", outputs)
    difference = outputs - _fit_targets("mean_squared_error", outputs, targets)
    weight = _element_weights("mean_squared_error", outputs, sample_weight)
    return _weighted_sum(weight, difference * difference), (difference, weight)


def mean_squared_error_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """doutputs = dloss 2 (outputs - targets) / number of elements."""
    difference, weight = cache
    return (difference * (2 * float(dloss) * weight),)


def mean_absolute_error_forward(outputs: Array, targets: ArrayLike, sample_weight: Weights = None) -> LossAndCache:
    """Mean over all elements of |outputs - targets|. Targets (N,) fit outputs (N, 1)."""
    outputs = _outputs("mean_absolute_error", outputs)
    difference = outputs - _fit_targets("mean_absolute_error", outputs, targets)
    weight = _element_weights("mean_absolute_error", outputs, sample_weight)
    return _weighted_sum(weight, magnitude(difference)), (difference, weight)


def mean_absolute_error_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """doutputs = dloss sign(outputs - targets) / number of elements: 0 where they are equal."""
    difference, weight = cache
    return (np.sign(difference.real) * (float(dloss) * weight),)


def huber_forward(
    outputs: Array, targets: ArrayLike, delta: float = 1.0, sample_weight: Weights = None
) -> LossAndCache:
    """Mean over all elements of ½ d² where |d| ≤ delta, else delta (|d| - ½ delta), for d = outputs - targets.

    Quadratic near the target and linear far from it, so that outliers do not rule. (Huber 1964)
    """
    delta = check_number("huber", "delta", delta, above=0)
    outputs = _outputs("huber", outputs)
    difference = outputs - _fit_targets("huber", outputs, targets)
    weight = _element_weights("huber", outputs, sample_weight)
    clipped = difference.real.clip(-delta, delta)
    clipped = np.where(clipped == difference.real, difference, clipped)
    # one product for both branches: clipped is d within ±delta, and ±delta outside
    return _weighted_sum(weight, clipped * (difference - 0.5 * clipped)), (clipped, weight)


def huber_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """doutputs = dloss d / number of elements, d cut off at -delta and delta."""
    clipped, weight = cache
    return (clipped * (float(dloss) * weight),)


def hinge_forward(scores: Array, targets: ArrayLike, sample_weight: Weights = None) -> LossAndCache:
    """Mean over the rows of Σ_{j≠y} max(0, s_j - s_y + 1), the multiclass hinge of Weston & Watkins 1999.

    scores (N, C), targets integer labels (N,).
    """
    scores = _outputs("hinge", scores)
    targets = _class_targets("hinge", scores, targets, labels_only=True)
    weight = _row_weights("hinge", scores, sample_weight)
    label = np.arange(len(targets)), targets
    margins = positive_part(scores - scores[label][:, None] + 1)
    margins[label] = 0
    return _weighted_sum(weight, margins.sum(axis=1)), (margins, label, weight)


def hinge_backward(dloss: float, cache: Cache) -> tuple[Array]:
    """dscores_j = dloss / N for each j ≠ y with a positive margin; dscores_y = minus their sum."""
    margins, label, weight = cache
    dscores = (margins.real > 0).astype(margins.dtype)
    dscores[label] = -dscores.sum(axis=1)
    return (dscores * (float(dloss) * _as_column(weight)),)


def _outputs(loss: str, outputs: ArrayLike) -> Array:
    """outputs as an array of floats, or of complex numbers for a complex step; other numbers become floats."""
    if type(outputs) is np.ndarray and outputs.dtype.kind in "fc":
        return outputs
    array = numbers_of(f"{loss}: outputs", outputs, "biufc")
    return array if array.dtype.kind in "fc" else array.astype(float)


def _steps_as_rows(
    loss: str, outputs: Array, targets: ArrayLike, sample_weight: Weights
) -> tuple[Array, Array, Weights]:
    """Outputs (N, T, C) as N T rows, with the targets of each and the weight of its example."""
    n, steps, num_classes = outputs.shape
    targets = array_of(f"{loss}: targets", targets)
    if targets.shape[:2] != (n, steps):
        expected = f"({n}, {steps}) or probabilities {outputs.shape}"
        raise ValueError(f"{loss}: outputs {outputs.shape} need labels {expected}, got targets {targets.shape}")
    if sample_weight is not None:
        sample_weight = np.repeat(_weights(loss, "sample_weight", sample_weight, outputs, axis=0), steps)
    return outputs.reshape(n * steps, num_classes), targets.reshape(n * steps, *targets.shape[2:]), sample_weight


def _class_targets(loss: str, outputs: Array, targets: ArrayLike, labels_only: bool = False) -> Array:
    """Check integer labels (N,), or probabilities (N, C) in the dtype of outputs, against outputs (N, C)."""
    if type(targets) is not np.ndarray:
        targets = array_of(f"{loss}: targets", targets)
    if outputs.ndim != 2 or not len(outputs):
        raise ValueError(f"{loss}: outputs must be (examples, classes) with at least one example, got {outputs.shape}")
    if targets.shape == outputs.shape and not labels_only:
        return _probabilities(loss, targets).astype(outputs.real.dtype, copy=False)
    if targets.ndim != 1 or len(targets) != len(outputs):
        expected = f"({len(outputs)},)" if labels_only else f"({len(outputs)},) or probabilities {outputs.shape}"
        raise ValueError(f"{loss}: outputs {outputs.shape} need labels {expected}, got targets {targets.shape}")
    if targets.dtype.kind not in "iu":
        what = f"{loss}: labels must be integers, got {targets.dtype} {targets[:3]}"
        raise TypeError(f"{what}: use y.astype(int) for whole numbers, np.unique(y, return_inverse=True)[1] for names")
    num_classes = outputs.shape[1]
    unsigned = targets.view(targets.dtype.str.replace("i", "u"))  # negative labels are the largest then: one pass
    if unsigned.item(unsigned.argmax()) >= num_classes:
        row = np.flatnonzero((targets < 0) | (targets >= num_classes))[0]
        what = f"{loss}: labels must be 0 to {num_classes - 1} for {num_classes} outputs"
        raise ValueError(f"{what}, got {targets[row]} in row {row}")
    return targets


def _probabilities(loss: str, targets: Array) -> Array:
    """Check that each row of targets (N, C) is a distribution, or nearly."""
    sums, lowest = np.add.reduce(numbers_of(f"{loss}: targets", targets), axis=1), np.minimum.reduce(targets, axis=1)
    right = (abs(sums - 1) <= ROUNDED) & (lowest >= 0)
    if not right.all():
        row = int(np.argmin(right))
        what = f"{loss}: targets of the outputs' shape are probabilities, at least 0 and 1 in sum by row"
        way_out = "divide each row by its sum, or pass int labels (N,)"
        raise ValueError(f"{what}, got {targets[row]} in row {row}: {way_out}")
    return targets


def _fit_targets(loss: str, outputs: Array, targets: ArrayLike) -> Array:
    """Bring targets to the shape and dtype of outputs; only (N,) to (N, 1) may be reshaped."""
    targets = numbers_of(f"{loss}: targets", targets).astype(outputs.real.dtype, copy=False)
    if targets.shape != outputs.shape:
        if outputs.shape != (*targets.shape, 1) or targets.ndim != 1:
            what = f"{loss}: targets {targets.shape} do not fit outputs {outputs.shape}"
            raise ValueError(f"{what}: the shapes must be equal (only targets (N,) also fit outputs (N, 1))")
        targets = targets[:, None]
    if not targets.size:
        raise ValueError(f"{loss}: outputs {outputs.shape} hold no example: pass at least one")
    if not (math.isfinite(np.add.reduce(targets, axis=None)) or np.isfinite(targets).all()):  # one pass as a rule
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(targets))[0])
        raise ValueError(f"{loss}: targets must be finite, got {targets[place]} at {place}")
    return targets


def _row_weights(loss: str, outputs: Array, sample_weight: Weights, example_weight: Array | None = None) -> Share:
    """What each example counts for in the mean: 1 / N, or s / Σ s e (N,) for sample weights s, example weights e."""
    if sample_weight is None and example_weight is None:
        return 1 / len(outputs)
    weight: Array
    if sample_weight is None:
        weight = np.ones_like(example_weight)
    else:
        weight = _weights(loss, "sample_weight", sample_weight, outputs, axis=0)
    total: float = (weight if example_weight is None else weight * example_weight).sum()
    if not total > 0:
        raise ValueError(f"{loss}: the weights of this batch sum to {total}: at least one must be greater than 0")
    return weight / total


def _weights(loss: str, name: str, weights: ArrayLike, outputs: Array, axis: int) -> Array:
    """Check that weights are (size of axis,) and not negative, in the dtype of outputs."""
    try:
        weights = numbers_of(f"{loss}: {name}", weights).astype(outputs.real.dtype, copy=False)
    except (TypeError, ValueError) as problem:
        each = "row" if axis == 0 else "class"
        raise TypeError(f"{problem}; {outputs.shape[axis]} numbers are needed, one for each {each}") from None
    if weights.shape != outputs.shape[axis : axis + 1]:
        raise ValueError(f"{loss}: {name} must be ({outputs.shape[axis]},), got {weights.shape}")
    if not weights.min() >= 0:
        raise ValueError(f"{loss}: {name} must not be negative, got {weights.min()}")
    if weights.max() == np.inf:
        raise ValueError(f"{loss}: {name} must be finite, got inf")
    return weights


def _element_weights(loss: str, outputs: Array, sample_weight: Weights) -> Share:
    """What each element counts for in the mean over all: 1 / size, or row weight / elements per row (N, 1, ...)."""
    weight = _row_weights(loss, outputs, sample_weight)
    elements_per_row = outputs.size // len(outputs)
    if isinstance(weight, float):
        return weight / elements_per_row
    return weight.reshape(-1, *[1] * (outputs.ndim - 1)) / elements_per_row


def _weighted_sum(weight: Share, values: Array) -> float:
    """Σ weight · value as a Python number; a weight that is one number stays out of the sum."""
    counted = values if isinstance(weight, float) else weight * values
    total: float = np.add.reduce(counted, axis=None).item()
    return weight * total if isinstance(weight, float) else total


def _largest(values: Array) -> Array:
    """The largest number of each row (N, C), as (N, 1): found and looked up, faster than a maximum of few."""
    starts = np.arange(0, values.size, values.shape[1])  # of the rows, laid out one after the other
    largest: Array = values.take(starts + values.real.argmax(axis=1))
    return largest[:, None]


def _as_column(weight: Share) -> Share:
    """Row weights (N,) as (N, 1), to go with (N, C); the one number 1 / N as it is."""
    return weight if isinstance(weight, float) else weight[:, None]


def _term_weights(
    loss: str, outputs: Array, targets: Array, class_weight: Weights, label_smoothing: float, sample_weight: Weights
) -> tuple[tuple[Array, Array] | EllipsisType, Share, Share]:
    """Write a cross-entropy as -Σ amount · log p[where]; return where, amount and the sums of amount by row."""
    if label_smoothing != 0:
        label_smoothing = check_number(loss, "label_smoothing", label_smoothing, minimum=0, below=1)
    is_label, example_weight = targets.ndim == 1, None
    if class_weight is not None:
        class_weight = _weights(loss, "class_weight", class_weight, outputs, axis=1)
        example_weight = class_weight[targets] if is_label else None
    row_weight = _row_weights(loss, outputs, sample_weight, example_weight)
    if is_label:
        label = np.arange(len(targets)), targets
        if not label_smoothing:
            amount = row_weight if example_weight is None else row_weight * example_weight
            return label, amount, _as_column(amount)
        targets = np.zeros(outputs.shape, outputs.real.dtype)
        targets[label] = 1
    if label_smoothing:
        targets = (1 - label_smoothing) * targets + label_smoothing / outputs.shape[1]
    amount = targets * _as_column(row_weight)
    if class_weight is not None:
        amount = amount * class_weight
    return ..., amount, amount.sum(axis=1, keepdims=True)
