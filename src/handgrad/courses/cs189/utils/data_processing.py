"""neural_networks.utils.data_processing: shift and scale data; normalize and standardize change X itself."""

import numpy as np

from .data_structures import Array, integers_to_one_hot

__all__ = ["center", "integers_to_one_hot", "normalize", "standardize"]


def center(X: Array, axis: int | None = 0) -> Array:
    """X minus its mean along the axis, as a new array."""
    return X - np.mean(X, axis=axis)


def normalize(X: Array, axis: int | None = 0, max_val: float | None = None) -> Array:
    """Shift X to a minimum of 0, then divide by max_val or by the maximum that it has then; in place."""
    X -= np.min(X, axis=axis)
    X /= np.max(X, axis=axis) if max_val is None else max_val
    return X


def standardize(X: Array, axis: int | None = 0) -> Array:
    """Shift X to mean 0 and scale it to standard deviation 1; in place."""
    mean, std = np.mean(X, axis=axis), np.std(X, axis=axis)
    X -= mean
    X /= std + 1e-10
    return X
