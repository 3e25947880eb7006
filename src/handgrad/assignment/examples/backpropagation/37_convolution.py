"""One kernel, used at every place.

y[n, t] = Σ_k x[n, t + k] w[k]. w[k] takes part in every y, so that its gradient is a sum over n and t. x[n, s] takes
part in y[n, s - k] for each k: its gradient collects from there. A loop over the few k is all that you need, in both.
"""

import numpy as np


def convolution_forward(x, w):
    """y (N, T - K + 1) for x (N, T) and w (K,); returns (y, cache)."""
    length = x.shape[1] - len(w) + 1
    return sum(x[:, k : k + length] * w[k] for k in range(len(w))), (x, w)


def convolution_backward(dy, cache):
    """(dx, dw)."""
    x, w = cache
    length = dy.shape[1]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(len(w)):
        dx[:, k : k + length] += dy * w[k]
        dw[k] = (dy * x[:, k : k + length]).sum()
    return dx, dw
