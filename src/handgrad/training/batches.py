"""What goes into training: rows that are checked, cut into batches, and the random streams of one seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..arrays import Array, ArrayLike, Generator
from ..layers.containers import Sequential, check_finite
from ..layers.criteria import Loss
from ..naming import check_count


def epoch_order(num_rows: int, generator: Generator | None = None) -> Array:
    """The rows in the order of one epoch: shuffled by the generator, or as they come without one."""
    return np.arange(num_rows) if generator is None else generator.permutation(num_rows)


def batches(order: Array, batch_size: int, skip: int = 0) -> Iterator[Array]:
    """Yield the row numbers of each batch; the last may be short. skip: how many batches are done already."""
    for start in range(skip * batch_size, len(order), batch_size):
        yield order[start : start + batch_size]


def streams(seed: int | None) -> dict[str, Generator]:
    """One seed as four generators that never meet: {'init', 'shuffle', 'dropout', 'augment'}."""
    if seed is not None:
        check_count("Trainer", "seed", seed, minimum=0)
    children = np.random.SeedSequence(seed).spawn(4)
    names = ("init", "shuffle", "dropout", "augment")
    return {name: np.random.default_rng(child) for name, child in zip(names, children, strict=True)}


# What is refused before the first step: what could only fail or mislead in the middle of training --------------------


def check_rows(x: Array, y: Array, weight: Array | None = None) -> None:
    """Refuse empty data, and targets or weights of another length than x."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("x has no rows: there is nothing to learn from or to measure")
    for name, array in (("y", y), ("sample_weight", weight)):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise ValueError(f"x has {len(x)} rows, {name} has {len(array) if array.ndim else 'none'}: they must agree")


def check_training_data(model: Sequential, loss: Loss, x: Array, y: Array, weight: Array | None = None) -> None:
    """Refuse data that the model or the loss cannot take: shapes, NaN, labels, weights, one class only."""
    check_rows(x, y, weight)
    model.accept(x if x.shape[1:] != model.input_shape else x[:1])
    check_finite(x)
    check_finite(y, "y")
    if weight is not None:
        check_finite(weight, "sample_weight")
        if (weight < 0).any() or not (weight > 0).any():
            raise ValueError("sample_weight must be 0 or more, and not all 0")
    outputs = np.full((1, *model.output_shape), 1 / max(1, model.output_shape[-1]), model.dtype)
    loss(np.broadcast_to(outputs, (len(y), *outputs.shape[1:])), y)
    if loss.classification and y.dtype.kind in "iu" and len(y) > 1 and (y == y[0]).all():
        raise ValueError(f"all {len(y)} targets are class {y.flat[0]}: a classifier needs at least two classes")


def check_validation(model: Sequential, validation_data: Sequence[ArrayLike]) -> tuple[Array, ...]:
    """validation_data as a tuple of arrays: (x, y), or (x, y, sample_weight)."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        got = type(validation_data).__name__
        raise TypeError(f"validation_data must be (x, y), or (x, y, sample_weight); got {got}")
    parts = tuple(np.asarray(part) for part in validation_data)
    x = parts[0]
    try:
        check_rows(*parts)
        model.accept(x if x.shape[1:] != model.input_shape else x[:1])
        for name, part in zip(("x", "y", "sample_weight"), parts, strict=False):
            check_finite(part, name)
    except ValueError as problem:
        raise ValueError(f"validation_data: {problem}") from None
    return parts
