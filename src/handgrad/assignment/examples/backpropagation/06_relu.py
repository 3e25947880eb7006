"""A mask comes from the input.

ReLU lets positive numbers through and stops the others. Its gradient does to dy what the forward did to x: it passes
where x was positive. Where dy is positive has nothing to do with it.
"""

import numpy as np


def relu_forward(x):
    """y = x where x > 0, else 0; returns (y, cache), and you choose what to keep."""
    return np.maximum(x, 0), x


def relu_backward(dy, cache):
    """dx: dy where x > 0, else 0, also where x is exactly 0. dy itself must stay as it is."""
    return dy * (cache > 0)
