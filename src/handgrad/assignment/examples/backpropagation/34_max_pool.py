"""The winner takes the gradient.

Max pooling keeps the larger of each two neighbours: x (N, 2 T) becomes y (N, T). A little more in the winner is a
little more in y; a little more in the loser is nothing. So dy goes to where the maximum stood.
"""

import numpy as np


def max_pool_forward(x):
    """The larger of x[n, 2 t] and x[n, 2 t + 1]; returns (y, cache)."""
    pairs = x.reshape(len(x), -1, 2)
    return pairs.max(axis=2), pairs


def max_pool_backward(dy, cache):
    """dx (N, 2 T): dy at the winner's place, 0 at the other."""
    pairs = cache
    wins = np.stack([pairs[..., 0] >= pairs[..., 1], pairs[..., 0] < pairs[..., 1]], axis=2)
    return (dy[..., None] * wins).reshape(len(dy), -1)
