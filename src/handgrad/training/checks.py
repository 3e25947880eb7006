"""What a trainer refuses before the first step: what could only fail or mislead in the middle of training."""

import numpy as np

from ..layers.containers import Sequential, check_finite


def check_rows(x, y, weight=None):
    """Refuse empty data, and targets or weights of another length than x."""
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("x has no rows: there is nothing to learn from or to measure")
    for name, array in (("y", y), ("sample_weight", weight)):
        if array is not None and (array.ndim == 0 or len(array) != len(x)):
            raise ValueError(f"x has {len(x)} rows, {name} has {len(array) if array.ndim else 'none'}: they must agree")


def check_parts(model, callbacks, metrics):
    """The callbacks as a list; a class for an object, an object for a list and names for a dict are refused."""
    if not isinstance(model, Sequential):
        raise TypeError(
            f"model must be a Sequential, got {type(model).__name__}: "
            "Trainer(Sequential([Linear(25), ReLU(), Linear(3)]))"
        )
    if hasattr(type(callbacks), "on_fit_begin"):
        raise TypeError(f"callbacks is a list: write callbacks=[{type(callbacks).__name__}(...)]")
    callbacks = list(callbacks)
    for callback in callbacks:
        if isinstance(callback, type) or not hasattr(type(callback), "on_fit_begin"):
            raise TypeError(f"callbacks are objects of classes like Callback, got {callback!r}")
    if metrics is not None and not hasattr(metrics, "items"):
        raise TypeError(
            "metrics is a dict {name: function(outputs, targets)}, such as "
            f"{{'accuracy': handgrad.metrics.accuracy}}; got {metrics!r}"
        )
    return callbacks


def check_validation(model, validation_data):
    """validation_data as a tuple of arrays: (x, y), or (x, y, sample_weight)."""
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data must be (x, y), or (x, y, sample_weight); got {type(validation_data).__name__}"
        )
    parts = tuple(np.asarray(part) for part in validation_data)
    try:
        check_rows(*parts)
        model.accept(parts[0] if parts[0].shape[1:] != model.input_shape else parts[0][:1])
        for name, part in zip(("x", "y", "sample_weight"), parts, strict=False):
            check_finite(part, name)
    except ValueError as problem:
        raise ValueError(f"validation_data: {problem}") from None
    return parts


def check_training_data(trainer, x, y, weight):
    """Refuse data that the trainer's model or loss cannot take: shapes, NaN, labels, weights, one class only."""
    check_rows(x, y, weight)
    trainer.model.accept(x if x.shape[1:] != trainer.model.input_shape else x[:1])
    check_finite(x)
    check_finite(y, "y")
    if weight is not None:
        check_finite(weight, "sample_weight")
        if (weight < 0).any() or not (weight > 0).any():
            raise ValueError("sample_weight must be 0 or more, and not all 0")
    outputs = np.full((1, *trainer.model.output_shape), 1 / max(1, trainer.model.output_shape[-1]), trainer.model.dtype)
    trainer.loss(np.broadcast_to(outputs, (len(y), *outputs.shape[1:])), y)
    if trainer.loss.classification and y.dtype.kind in "iu" and len(y) > 1 and (y == y[0]).all():
        raise ValueError(f"all {len(y)} targets are class {y.flat[0]}: a classifier needs at least two classes")
