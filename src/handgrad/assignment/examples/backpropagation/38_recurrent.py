"""The same weights at every step.

h_t = tanh(x_t U + h_{t-1} W), with h_{-1} = 0. h_t reaches the loss by its own output and through all steps after it,
so the backward starts at the end, and carries along what the next step sends back. U and W collect from every step.
"""

import numpy as np


def recurrent_forward(x, U, W):
    """The states h (N, T, D) for x (N, T, in), U (in, D) and W (D, D); returns (h, cache)."""
    h = np.zeros((len(x), x.shape[1] + 1, len(W)), x.dtype)  # the last place is the state before the first
    for t in range(x.shape[1]):
        h[:, t] = np.tanh(x[:, t] @ U + h[:, t - 1] @ W)
    return h[:, :-1], (x, U, W, h)


def recurrent_backward(dh, cache):
    """(dx, dU, dW) for dh (N, T, D). h[:, -1] is the state before the first, all 0."""
    x, U, W, h = cache
    dx, dU, dW = np.zeros_like(x), np.zeros_like(U), np.zeros_like(W)
    carried = 0
    for t in reversed(range(x.shape[1])):
        da = (dh[:, t] + carried) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ U.T
        dU += x[:, t].T @ da
        dW += h[:, t - 1].T @ da
        carried = da @ W.T
    return dx, dU, dW
