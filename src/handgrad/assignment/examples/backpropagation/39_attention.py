"""Attention: the heart of a transformer.

Each query looks at all keys, and takes a weighted mean of the values: y = A v, where A = softmax of each row of s = q
kᵀ / √D. Three things come back, and you have derived each of them already: two matrix products, and a softmax.
"""

import numpy as np


def attention_forward(q, k, v):
    """y (T, V) for q (T, D), k (S, D) and v (S, V); returns (y, cache)."""
    s = q @ k.T / np.sqrt(q.shape[1])
    exponentials = np.exp(s - s.max(axis=1, keepdims=True))
    A = exponentials / exponentials.sum(axis=1, keepdims=True)
    return A @ v, (q, k, v, A)


def attention_backward(dy, cache):
    """(dq, dk, dv)."""
    q, k, v, A = cache
    dA = dy @ v.T
    ds = A * (dA - (dA * A).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, A.T @ dy
