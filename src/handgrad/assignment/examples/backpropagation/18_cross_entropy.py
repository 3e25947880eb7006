"""The loss of a classifier, and why softmax goes with it.

The loss is the mean of -log p_n over the examples, p_n being the probability of the right class. Softmax and
logarithm together have the simplest of all gradients: by the scores, p - 1 for the right class, p for the others,
over N.
"""

import numpy as np


def cross_entropy_forward(s, labels):
    """The mean of -log p[n, labels[n]] with p = softmax of each row of s (N, C); returns (loss, cache)."""
    shifted = s - s.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(s))
    return -np.log(p[rows, labels]).mean(), (p, labels)


def cross_entropy_backward(dloss, cache):
    """ds (N, C) for the number dloss. Leave the p of the cache as it is."""
    p, labels = cache
    ds = p.copy()
    ds[np.arange(len(p)), labels] -= 1
    return dloss * ds / len(p)
