"""neural_networks.utils.image_processing, Spring 2020: the functions of data_processing over a whole array."""

from . import data_processing
from .data_structures import Array


def center(X: Array) -> Array:
    """X minus the mean of all its numbers, as a new array."""
    return data_processing.center(X, axis=None)


def normalize(X: Array, max_val: float | None = None) -> Array:
    """Shift X to a minimum of 0, then divide by max_val or by its maximum; in place."""
    return data_processing.normalize(X, axis=None, max_val=max_val)


def standardize(X: Array) -> Array:
    """Shift X to mean 0 and scale it to standard deviation 1; in place."""
    return data_processing.standardize(X, axis=None)
