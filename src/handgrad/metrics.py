"""Metrics: figures for people, as pure functions of outputs (or predictions) and targets.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5

Outputs are scores (N, C), the larger the likelier, or (N, 1) for two classes, positive for class 1, or predicted labels
(N,). Targets are int labels (N,) or one-hot rows (N, C). Scores (N, T, C) of sequences, with labels (N, T), count as
N T rows. Shapes that do not fit are refused, never broadcast.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, overload

import numpy as np

from .arrays import Array, ArrayLike

Average: TypeAlias = Literal["macro", "micro"]


def predicted_classes(outputs: ArrayLike) -> Array:
    """Labels (N,) from int labels (N,), scores (N, C) by the largest, or scores (N, 1) by the sign.

    Examples
    --------
    >>> predicted_classes([[0.1, 0.9], [0.8, 0.2]]), predicted_classes([[-1.0], [2.0]])
    (array([1, 0]), array([0, 1]))
    """
    outputs = np.asarray(outputs)
    if outputs.ndim == 2 and outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.int64)
    if outputs.ndim == 2 and outputs.shape[1]:
        best: Array = outputs.argmax(axis=1)
        return best
    return labels("outputs", outputs)


def target_classes(targets: ArrayLike) -> Array:
    """Labels (N,) from int labels (N,) or (N, 1), or from one-hot or probability rows (N, C).

    Examples
    --------
    >>> target_classes([[0, 0, 1], [1, 0, 0]])
    array([2, 0])
    """
    targets = np.asarray(targets)
    if targets.ndim == 2 and targets.shape[1] > 1:
        likeliest: Array = targets.argmax(axis=1)
        return likeliest
    return labels("targets", targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets)


def labels(name: str, array: Array) -> Array:
    """The array as labels (N,) of int64; ValueError where they are no whole numbers of 0 or more."""
    if array.ndim != 1 or (array.dtype.kind not in "iub" and (array != np.floor(array)).any()):
        raise ValueError(f"{name} must be whole labels (N,) or rows (N, C), got {array.dtype} of shape {array.shape}")
    if array.size and array.min() < 0:
        raise ValueError(f"{name} must be labels >= 0, got {array.min()}")
    return array.astype(np.int64)


def both_classes(outputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Predicted and true labels, (N,) each."""
    outputs, targets = np.asarray(outputs), np.asarray(targets)
    if outputs.ndim == 3 and targets.shape[:2] == outputs.shape[:2]:
        outputs, targets = outputs.reshape(-1, outputs.shape[2]), targets.reshape(-1, *targets.shape[2:])
    predictions, truth = predicted_classes(outputs), target_classes(targets)
    check_rows(predictions, truth)
    return predictions, truth


def check_rows(outputs: Array, targets: Array) -> None:
    """Refuse arrays of different lengths, and empty ones."""
    if len(outputs) != len(targets) or not len(targets):
        what = "outputs and targets must have the same number of rows, at least one"
        raise ValueError(f"{what}; got {len(outputs)} and {len(targets)}")


def accuracy(outputs: ArrayLike, targets: ArrayLike) -> float:
    """The fraction of rows whose predicted class is the target.

    Parameters
    ----------
    outputs : array_like
        Scores (N, C), scores (N, 1) of two classes, or predicted labels (N,).
    targets : array_like
        Labels (N,) or one-hot rows (N, C).

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        For no rows, or outputs and targets of different lengths.

    Examples
    --------
    >>> accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    predictions, truth = both_classes(outputs, targets)
    return float((predictions == truth).mean())


def top_k_accuracy(outputs: ArrayLike, targets: ArrayLike, k: int = 5) -> float:
    """The fraction of rows whose target is among the k largest scores; of equal scores the first count.

    Parameters
    ----------
    outputs : array_like
        Scores (N, C).
    targets : array_like
        Labels (N,) or one-hot rows (N, C).
    k : int
        From 1 to C.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        For outputs without scores, a k out of range, or targets that do not fit.

    Examples
    --------
    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    outputs, truth = np.asarray(outputs), target_classes(targets)
    if outputs.ndim != 2 or not 1 <= k <= outputs.shape[1]:
        raise ValueError(f"top_k_accuracy needs scores (N, C) and 1 <= k <= C, got shape {outputs.shape} and k={k}")
    check_rows(outputs, truth)
    if truth.max() >= outputs.shape[1]:
        raise ValueError(f"targets must be labels below {outputs.shape[1]}, the number of scores, got {truth.max()}")
    best = np.argsort(-outputs, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(axis=1).mean())


def confusion_matrix(outputs: ArrayLike, targets: ArrayLike, num_classes: int | None = None) -> Array:
    """counts[i, j]: how many rows of class i were predicted as class j.

    Parameters
    ----------
    outputs : array_like
        Scores (N, C), scores (N, 1) of two classes, or predicted labels (N,).
    targets : array_like
        Labels (N,) or one-hot rows (N, C).
    num_classes : int, optional
        Rows and columns of counts; by default as many as labels or scores tell of.

    Returns
    -------
    array of int
        (num_classes, num_classes).

    Raises
    ------
    ValueError
        For rows that do not fit, or a label that is not below num_classes.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1])
    array([[1, 1],
           [0, 1]])
    """
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
    """precision = right / predicted, recall = right / present, F1 = 2 right / (predicted + present), for each class.

    0 where a denominator is 0.

    Parameters
    ----------
    outputs : array_like
        Scores (N, C), scores (N, 1) of two classes, or predicted labels (N,).
    targets : array_like
        Labels (N,) or one-hot rows (N, C).
    average : 'macro' or 'micro', optional
        The plain mean over the classes, or numerators and denominators summed over them first.
    num_classes : int, optional
        By default as many as labels or scores tell of.

    Returns
    -------
    precision, recall, F1
        Arrays (num_classes,), or floats where there is an average.

    Examples
    --------
    >>> precision, recall, f1 = precision_recall_f1([0, 1, 1], [0, 0, 1])
    >>> precision, recall
    (array([1. , 0.5]), array([0.5, 1. ]))
    >>> precision_recall_f1([0, 1, 1, 0], [0, 0, 1, 1], average="macro")
    (0.5, 0.5, 0.5)
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
    """The mean of (output - target)² over all elements.

    Parameters
    ----------
    outputs, targets : array_like
        Of one shape, (N,) or (N, columns); (N,) fits (N, 1).

    Raises
    ------
    ValueError
        For other shapes: nothing is broadcast.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    outputs, targets = same_shape(outputs, targets)
    return float(((outputs - targets) ** 2).mean())


def r2_score(outputs: ArrayLike, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """1 - Σ (output - target)² / Σ (target - mean target)²: 1 is perfect, 0 is as good as the mean. Mean over columns.

    A column of equal targets counts 1 if predicted exactly, else 0.

    Parameters
    ----------
    outputs, targets : array_like
        Of one shape, (N,) or (N, columns); (N,) fits (N, 1).
    sample_weight : array_like, optional
        What each row counts for, (N,).

    Raises
    ------
    ValueError
        For other shapes: nothing is broadcast.

    Examples
    --------
    >>> r2_score([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    outputs, targets = same_shape(outputs, targets)
    weights = None if sample_weight is None else np.asarray(sample_weight)
    residual = np.average((outputs - targets) ** 2, axis=0, weights=weights)
    total = np.average((targets - np.average(targets, axis=0, weights=weights)) ** 2, axis=0, weights=weights)
    scores = 1 - residual / np.where(total == 0, 1, total)
    return float(np.where(total == 0, residual == 0, scores).mean())


def same_shape(outputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    """Both as float64 arrays (N, columns); (N,) fits (N, 1), nothing else broadcasts."""
    outputs, targets = (np.asarray(array, np.float64) for array in (outputs, targets))
    shapes = outputs.shape, targets.shape
    outputs, targets = (array[:, None] if array.ndim == 1 else array for array in (outputs, targets))
    if outputs.shape != targets.shape or not outputs.size:
        what = "outputs and targets must have equal shapes with at least one row"
        raise ValueError(f"{what}, got {shapes[0]} and {shapes[1]}")
    return outputs, targets
