"""Metrics: figures for people, as pure functions of outputs (or predictions) and targets.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5

Outputs are scores (N, C), the larger the likelier, or (N, 1) for two classes, positive for class 1, or predicted labels
(N,). Targets are int labels (N,) or one-hot rows (N, C). Shapes that do not fit are refused, never broadcast.
"""

from typing import Literal, TypeAlias, overload

import numpy as np

from .arrays import Array, ArrayLike

Average: TypeAlias = Literal["macro", "micro"]


def predicted_classes(outputs: ArrayLike) -> Array:
    """Labels (N,) from int labels (N,), scores (N, C) by the largest, or scores (N, 1) by the sign."""
    outputs = np.asarray(outputs)
    if outputs.ndim == 2 and outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.int64)
    if outputs.ndim == 2 and outputs.shape[1]:
        best: Array = outputs.argmax(axis=1)
        return best
    return labels("outputs", outputs)


def target_classes(targets: ArrayLike) -> Array:
    """Labels (N,) from int labels (N,) or (N, 1), or from one-hot or probability rows (N, C)."""
    targets = np.asarray(targets)
    if targets.ndim == 2 and targets.shape[1] > 1:
        likeliest: Array = targets.argmax(axis=1)
        return likeliest
    return labels("targets", targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets)


def labels(name: str, array: Array) -> Array:
    if array.ndim != 1 or (array.dtype.kind not in "iub" and (array != np.floor(array)).any()):
        raise ValueError(f"{name} must be whole labels (N,) or rows (N, C), got {array.dtype} of shape {array.shape}")
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must be labels >= 0, got {array.min()}")
    return array.astype(np.int64)


def both_classes(outputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    predictions, truth = predicted_classes(outputs), target_classes(targets)
    check_rows(predictions, truth)
    return predictions, truth


def check_rows(outputs: Array, targets: Array) -> None:
    if len(outputs) != len(targets) or not len(targets):
        raise ValueError(
            f"outputs and targets must have the same number of rows, at least one; "
            f"got {len(outputs)} and {len(targets)}"
        )


def accuracy(outputs: ArrayLike, targets: ArrayLike) -> float:
    """The fraction of rows whose predicted class is the target."""
    predictions, truth = both_classes(outputs, targets)
    return float((predictions == truth).mean())


def top_k_accuracy(outputs: ArrayLike, targets: ArrayLike, k: int = 5) -> float:
    """The fraction of rows whose target is among the k largest scores (N, C); of equal scores the first count."""
    outputs, truth = np.asarray(outputs), target_classes(targets)
    if outputs.ndim != 2 or not 1 <= k <= outputs.shape[1]:
        raise ValueError(f"top_k_accuracy needs scores (N, C) and 1 <= k <= C, got shape {outputs.shape} and k={k}")
    check_rows(outputs, truth)
    if truth.max() >= outputs.shape[1]:
        raise ValueError(f"targets must be labels below {outputs.shape[1]}, the number of scores, got {truth.max()}")
    best = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(axis=1).mean())


def confusion_matrix(outputs: ArrayLike, targets: ArrayLike, num_classes: int | None = None) -> Array:
    """counts[i, j]: rows of class i that were predicted as j. num_classes: the largest label + 1 if not given."""
    predictions, truth = both_classes(outputs, targets)
    found = int(max(predictions.max(), truth.max())) + 1
    widest = max([found, *(a.shape[1] for a in map(np.asarray, (outputs, targets)) if a.ndim == 2)])
    num_classes = widest if num_classes is None else num_classes
    if found > num_classes:
        raise ValueError(f"labels must be below num_classes={num_classes}, got {found - 1}")
    counts = np.bincount(truth * num_classes + predictions, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


@overload
def precision_recall_f1(
    outputs: ArrayLike, targets: ArrayLike, average: None = None, num_classes: int | None = None
) -> tuple[Array, Array, Array]: ...
@overload
def precision_recall_f1(
    outputs: ArrayLike, targets: ArrayLike, average: Average, num_classes: int | None = None
) -> tuple[float, float, float]: ...
def precision_recall_f1(
    outputs: ArrayLike, targets: ArrayLike, average: Average | None = None, num_classes: int | None = None
) -> tuple[Array, Array, Array] | tuple[float, float, float]:
    """(precision, recall, F1): arrays with a value per class, or floats with average 'macro' or 'micro'.

    precision = right / predicted, recall = right / present, F1 = 2 right / (predicted + present), for a class. 0 where
    a denominator is 0. 'macro' is the plain mean over the classes, 'micro' sums numerators and denominators first.
    """
    if average not in (None, "macro", "micro"):
        raise ValueError(f"average must be None, 'macro' or 'micro', got {average!r}")
    counts = confusion_matrix(outputs, targets, num_classes)
    right, predicted, present = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    if average == "micro":
        right, predicted, present = right.sum(), predicted.sum(), present.sum()
    figures = ratio(right, predicted), ratio(right, present), ratio(2 * right, predicted + present)
    if average is None:
        return figures
    precision, recall, f1 = (float(figure.mean()) for figure in figures)
    return precision, recall, f1


def ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, 0 where the denominator is 0."""
    return np.where(denominator == 0, 0.0, numerator / np.maximum(denominator, 1))


def mean_squared_error(outputs: ArrayLike, targets: ArrayLike) -> float:
    """The mean of (output - target)² over all elements."""
    outputs, targets = same_shape(outputs, targets)
    return float(((outputs - targets) ** 2).mean())


def r2_score(outputs: ArrayLike, targets: ArrayLike) -> float:
    """1 - Σ (output - target)² / Σ (target - mean target)²: 1 is perfect, 0 is as good as the mean. Mean over columns.

    A column of equal targets counts 1 if predicted exactly, else 0.
    """
    outputs, targets = same_shape(outputs, targets)
    residual = ((outputs - targets) ** 2).sum(axis=0)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    scores = 1 - residual / np.where(total == 0, 1, total)
    return float(np.where(total == 0, residual == 0, scores).mean())


def same_shape(outputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Both as float64 arrays (N, columns); (N,) fits (N, 1), nothing else broadcasts."""
    outputs, targets = (np.asarray(array, np.float64) for array in (outputs, targets))
    shapes = outputs.shape, targets.shape
    outputs, targets = (array[:, None] if array.ndim == 1 else array for array in (outputs, targets))
    if outputs.shape != targets.shape or not outputs.size:
        raise ValueError(
            f"outputs and targets must have equal shapes with at least one row, got {shapes[0]} and {shapes[1]}"
        )
    return outputs, targets
