"""One neuron.

It weighs its inputs, adds them up and bends the sum: y = tanh(x · w + b). x and w have the shape (4,), b and y are
single numbers. One number dy comes back, and four must go to x and four to w: which ones?
"""

import numpy as np


def neuron_forward(x, w, b):
    """y = tanh(x · w + b); returns (y, cache)."""
    y = np.tanh(x @ w + b)
    return y, (x, w, y)


def neuron_backward(dy, cache):
    """(dx, dw, db), each in the shape of its array. The derivative of tanh is 1 - y²."""
    x, w, y = cache
    da = dy * (1 - y**2)
    return da * w, da * x, da
