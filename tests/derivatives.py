"""Derivatives found without the library, to judge its backwards: central differences and complex step."""

import numpy as np


def numeric_gradient(scalar, x, step=1e-5):
    """dscalar/dx entry by entry from (f(x + step) - f(x - step)) / (2 step)."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (scalar(up) - scalar(down)) / (2 * step)
    return gradient


def complex_step_gradient(scalar, x, step=1e-200):
    """dscalar/dx entry by entry from Im f(x + i step) / step: nothing is subtracted, so nothing cancels."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * step
        gradient[index] = np.imag(scalar(moved)) / step
    return gradient


def relative_error(a, b):
    """|a - b| / (|a| + |b|) in the Euclidean norm; 0 where both are 0."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape} differ"
    size = np.linalg.norm(a) + np.linalg.norm(b)
    return 0.0 if size == 0 else float(np.linalg.norm(a - b) / size)
