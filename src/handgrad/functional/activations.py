"""Activations: each maps x (any shape) to y of the same shape; softmax and log_softmax work along the last axis.

Derivations: docs/derivations/activations.md.
"""

import math

import numpy as np

from .analytic import logistic, magnitude, positive_part

# The tanh form of gelu: Hendrycks & Gimpel 2016, section 2.
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


def identity_forward(x):
    """y = x."""
    return x, None


def identity_backward(dy, cache):
    """dx = dy."""
    return (dy,)


def relu_forward(x):
    """y = max(x, 0)."""
    y = positive_part(x)
    return y, y


def relu_backward(dy, cache):
    """dx = dy where y > 0, else 0: the derivative at x = 0 is 0."""
    return (dy * (cache.real > 0),)


def leaky_relu_forward(x, alpha=0.01):
    """y = x where x > 0, else alpha x (Maas et al. 2013)."""
    alpha = float(alpha)
    positive = positive_part(x)
    return positive + alpha * (x - positive), (x.real > 0, alpha)


def leaky_relu_backward(dy, cache):
    """dx = dy where x > 0, else alpha dy: the derivative at x = 0 is alpha."""
    is_positive, alpha = cache
    # sums of products, where np.where would cost several times as much
    positive = dy * is_positive
    return (positive + alpha * (dy - positive),)


def elu_forward(x, alpha=1.0):
    """y = x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015)."""
    alpha = float(alpha)
    positive = positive_part(x)
    # exp never sees a positive number, so it can't overflow
    negative = alpha * np.expm1(x - positive)
    return positive + negative, (x.real > 0, negative, alpha)


def elu_backward(dy, cache):
    """dx = dy where x > 0, else alpha exp(x) dy."""
    is_positive, negative, alpha = cache
    return (dy * np.where(is_positive, 1, negative + alpha),)


def sigmoid_forward(x):
    """y = 1 / (1 + exp(-x))."""
    y = logistic(x)
    return y, y


def sigmoid_backward(dy, cache):
    """dx = dy y (1 - y)."""
    y = cache
    return (dy * (y * (1 - y)),)


def tanh_forward(x):
    """y = tanh(x)."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy, cache):
    """dx = dy (1 - y²)."""
    y = cache
    return (dy * (1 - y * y),)


def arctan_forward(x):
    """y = arctan(x)."""
    return np.arctan(x), x


def arctan_backward(dy, cache):
    """dx = dy / (1 + x²)."""
    x = cache
    return (dy / (1 + x * x),)


def softplus_forward(x):
    """y = log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    return positive_part(x) + np.log1p(np.exp(-magnitude(x))), x


def softplus_backward(dy, cache):
    """dx = dy sigmoid(x)."""
    return (dy * logistic(cache),)


def silu_forward(x):
    """y = x sigmoid(x), also called swish (Elfwing et al. 2017)."""
    gate = logistic(x)
    return x * gate, (x, gate)


def silu_backward(dy, cache):
    """dx = dy σ (1 + x (1 - σ)) with σ = sigmoid(x)."""
    x, gate = cache
    return (dy * (gate * (1 + x * (1 - gate))),)


def gelu_forward(x):
    """y = x (1 + tanh u) / 2 with u = sqrt(2/π) (x + 0.044715 x³)."""
    tanh = np.tanh(GELU_SCALE * (x + GELU_CUBIC * (x * x * x)))
    return 0.5 * x * (1 + tanh), (x, tanh)


def gelu_backward(dy, cache):
    """dx = dy [(1 + tanh u) / 2 + x (1 - tanh² u) u' / 2] with u' = sqrt(2/π) (1 + 3 · 0.044715 x²)."""
    x, tanh = cache
    inner = GELU_SCALE * (1 + 3 * GELU_CUBIC * (x * x))
    return (dy * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner),)


def _shifted(x):
    """x minus its largest entry along the last axis: the same softmax, and exp can't overflow."""
    return x - x.real.max(axis=-1, keepdims=True)


def softmax_forward(x):
    """y_i = exp(x_i) / Σ_j exp(x_j) along the last axis."""
    exponentials = np.exp(_shifted(x))
    y = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy, cache):
    """dx_i = y_i (dy_i - Σ_j dy_j y_j): the Jacobian y_i (δ_ij - y_j) applied without being built."""
    y = cache
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


def log_softmax_forward(x):
    """y_i = x_i - log Σ_j exp(x_j) along the last axis."""
    shifted = _shifted(x)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dy, cache):
    """dx_i = dy_i - softmax(x)_i Σ_j dy_j."""
    return (dy - np.exp(cache) * dy.sum(axis=-1, keepdims=True),)
