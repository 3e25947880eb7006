"""Probabilities from any numbers, even large ones.

softmax(s)_j = exp(s_j) / Σ_k exp(s_k), in each row. exp(1000) is more than a float can hold; but a number taken off
all s of a row cancels in the fraction. Take off the row's largest, and no exponent is above 0. The scores here are
large.
"""

import numpy as np


def softmax(s):
    """The probabilities of each row of s (N, C), without overflow."""
    exponentials = np.exp(s - s.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
