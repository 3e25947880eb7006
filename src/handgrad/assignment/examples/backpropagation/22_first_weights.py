"""How large weights begin.

A sum of n independent terms has n times the variance of one. With weights of variance 1 each layer would multiply the
variance of what passes by n; and ReLU halves the mean square. So the variance that keeps numbers as they are is 2 /
n.
"""

import numpy as np


def first_scale(num_inputs):
    """The standard deviation of the weights before a ReLU, for a neuron of that many inputs (He et al. 2015)."""
    return np.sqrt(2 / num_inputs)
