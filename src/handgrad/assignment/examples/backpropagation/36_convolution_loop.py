"""A convolution without a loop.

A signal x (N, T) and a kernel w (K,): y[n, t] = Σ_k x[n, t + k] w[k]. The loops below are right and slow.
`np.lib.stride_tricks.sliding_window_view(x, K, axis=1)` shows all windows of x as an array (N, T - K + 1, K), without
a copy.

    y = np.zeros((len(x), x.shape[1] - len(w) + 1))
    for n in range(len(x)):
        for t in range(y.shape[1]):
            for k in range(len(w)):
                y[n, t] += x[n, t + k] * w[k]
    return y
"""

import numpy as np


def convolve(x, w):
    """y (N, T - K + 1), without a loop over n or t."""
    return np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1) @ w
