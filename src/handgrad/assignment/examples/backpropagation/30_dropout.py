"""Noise that has to be the same on the way back.

Dropout sets a share `rate` of the numbers to 0 in training and divides the others by 1 - rate, so that their sum
stays what it was on average. The mask (1 keeps, 0 drops) is drawn once: the backward uses the very one that the
forward used.
"""


def dropout_forward(x, mask, rate):
    """x where mask is 1, divided by 1 - rate, else 0; returns (y, cache)."""
    scale = mask / (1 - rate)
    return x * scale, scale


def dropout_backward(dy, cache):
    """dx: what was done to x is done to dy. The mask gets no gradient."""
    return dy * cache
