"""A loss is one number, and where gradients begin.

The mean squared error is the mean of (output - target)² over all entries. So each entry's gradient has the 2 of the
square, and is divided by how many entries there are: what was averaged forward is divided back.
"""

import numpy as np


def squared_error_forward(output, target):
    """The mean of (output - target)² over all entries; returns (loss, cache)."""
    difference = output - target
    return np.mean(difference**2), difference


def squared_error_backward(dloss, cache):
    """The gradient by output alone: targets are not trained. dloss is one number."""
    return dloss * 2 * cache / cache.size
