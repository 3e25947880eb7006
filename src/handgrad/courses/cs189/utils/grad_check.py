"""neural_networks.utils.grad_check: one number that says how far a gradient is from central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .data_structures import Array


def check_gradients(fn: Callable[[Array], ArrayLike], grad: Array, x: Array, dLdf: ArrayLike, h: float = 1e-6) -> Any:
    """‖numeric - grad‖ / ‖numeric + grad‖, the numeric gradient of Σ fn(x) dLdf entry by entry with step h.

    x is moved in place and put back. TypeError unless x is float32 or float64.
    """
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"`x` must be a float vector but was {x.dtype}")
    numeric = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        value = x[index]
        x[index] = value + h
        above = np.array(fn(x))
        x[index] = value - h
        below = np.array(fn(x))
        x[index] = value
        numeric[index] = np.sum((above - below) * dLdf) / (2 * h)
    return np.linalg.norm(numeric - grad) / np.linalg.norm(numeric + grad)
