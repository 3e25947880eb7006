"""What several pages share, safe to differentiate by complex step: max(x, 0), |x| and the logistic function.

A complex x stands for x + ih with a tiny h: the side of the kink is chosen by its real part alone.
"""

import numpy as np

from ..arrays import Array


def positive_part(x: Array) -> Array:
    """max(x, 0), element by element."""
    if x.dtype.kind == "c":
        return np.where(x.real > 0, x, 0)
    return np.maximum(x, 0)


def magnitude(x: Array) -> Array:
    """|x|, element by element: x or -x, not the modulus, where x is complex; at 0 it goes with max(x, 0) = 0."""
    if x.dtype.kind == "c":
        return np.where(x.real > 0, x, -x)
    return np.abs(x)


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)); x below the logarithm of the smallest number is raised to it, so exp(-x) can't overflow."""
    lowest = np.log(np.finfo(x.dtype).tiny)
    raised = np.where(x.real > lowest, x, lowest) if x.dtype.kind == "c" else np.maximum(x, lowest)
    exponentials: Array = np.exp(-raised)
    return 1 / (1 + exponentials)
