"""Activations: each maps x (any shape) to y of the same shape; softmax and log_softmax work along the last axis.

>>> y, cache = relu_forward(np.array([-1.0, 2.0]))
>>> y
array([0., 2.])
>>> relu_backward(np.array([3.0, 3.0]), cache)
(array([0., 3.]),)

Derivations: docs/derivations/activations.md.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Cache
from .analytic import logistic, magnitude, normal_density, normal_distribution, positive_part

# constants of GELU's tanh form
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def identity_forward(x: Array) -> tuple[Array, Cache]:
    """y = x."""
    return x, None


def identity_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy."""
    return (dy,)


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """y = max(x, 0) (Nair & Hinton 2010)."""
    y = positive_part(x)
    return y, y


def relu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy where y > 0, else 0: the derivative at x = 0 is 0."""
    return (dy * (cache.real > 0),)


def relu6_forward(x: Array) -> tuple[Array, Cache]:
    """y = min(max(x, 0), 6): what is above 6 is cut off (Krizhevsky 2010)."""
    y = np.minimum(positive_part(x), 6)
    return y, y


def relu6_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy where 0 < y < 6, else 0."""
    return (dy * ((cache.real > 0) & (cache.real < 6)),)


def leaky_relu_forward(x: Array, alpha: float = 0.01) -> tuple[Array, Cache]:
    """y = x where x > 0, else alpha x (Maas et al. 2013)."""
    alpha = float(alpha)
    positive = positive_part(x)
    return positive + alpha * (x - positive), (x.real > 0, alpha)


def leaky_relu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy where x > 0, else alpha dy: the derivative at x = 0 is alpha."""
    is_positive, alpha = cache
    # sums of products, where np.where would cost several times as much
    positive = dy * is_positive
    return (positive + alpha * (dy - positive),)


def elu_forward(x: Array, alpha: float = 1.0) -> tuple[Array, Cache]:
    """y = x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2015)."""
    alpha = float(alpha)
    positive = positive_part(x)
    # exp never sees a positive number, so it can't overflow
    negative = alpha * np.expm1(x - positive)
    return positive + negative, (x.real > 0, negative, alpha)


def elu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy where x > 0, else alpha exp(x) dy."""
    is_positive, negative, alpha = cache
    return (dy * np.where(is_positive, 1, negative + alpha),)


def selu_forward(x: Array) -> tuple[Array, Cache]:
    """y = λ x where x > 0, else λ α (exp(x) - 1), with λ and α that keep mean 0 and variance 1 (Klambauer et al. 2017).

    λ = 1.0507 and α = 1.6733, to the 17 digits that the paper gives.
    """
    y, cache = elu_forward(x, SELU_ALPHA)
    return SELU_SCALE * y, cache


def selu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = λ dy where x > 0, else λ α exp(x) dy."""
    return elu_backward(SELU_SCALE * dy, cache)


def sigmoid_forward(x: Array) -> tuple[Array, Cache]:
    """y = 1 / (1 + exp(-x))."""
    y = logistic(x)
    return y, y


def sigmoid_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy y (1 - y)."""
    y = cache
    return (dy * (y * (1 - y)),)


def tanh_forward(x: Array) -> tuple[Array, Cache]:
    """y = tanh(x)."""
    y = np.tanh(x)
    return y, y


def tanh_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy (1 - y²)."""
    y = cache
    return (dy * (1 - y * y),)


def arctan_forward(x: Array) -> tuple[Array, Cache]:
    """y = arctan(x)."""
    return np.arctan(x), x


def arctan_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy / (1 + x²)."""
    x = cache
    return (dy / (1 + x * x),)


def softplus_forward(x: Array) -> tuple[Array, Cache]:
    """y = log(1 + exp(x)), computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow (Dugas et al. 2001)."""
    return positive_part(x) + np.log1p(np.exp(-magnitude(x))), x


def softplus_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy sigmoid(x)."""
    return (dy * logistic(cache),)


def silu_forward(x: Array) -> tuple[Array, Cache]:
    """y = x sigmoid(x), also called swish (Elfwing et al. 2017)."""
    gate = logistic(x)
    return x * gate, (x, gate)


def silu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy σ (1 + x (1 - σ)) with σ = sigmoid(x)."""
    x, gate = cache
    return (dy * (gate * (1 + x * (1 - gate))),)


def gelu_forward(x: Array) -> tuple[Array, Cache]:
    """y = x (1 + tanh u) / 2 with u = sqrt(2/π) (x + 0.044715 x³), close to x Φ(x) (Hendrycks & Gimpel 2016)."""
    tanh = np.tanh(GELU_SCALE * (x + GELU_CUBIC * (x * x * x)))
    return 0.5 * x * (1 + tanh), (x, tanh)


def gelu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy [(1 + tanh u) / 2 + x (1 - tanh² u) u' / 2] with u' = sqrt(2/π) (1 + 3 · 0.044715 x²)."""
    x, tanh = cache
    inner = GELU_SCALE * (1 + 3 * GELU_CUBIC * (x * x))
    return (dy * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner),)


def exact_gelu_forward(x: Array) -> tuple[Array, Cache]:
    """y = x Φ(x) with the distribution function Φ of the normal distribution (Hendrycks & Gimpel 2016)."""
    distribution = normal_distribution(x)
    return x * distribution, (x, distribution)


def exact_gelu_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy (Φ(x) + x φ(x)) with Φ' = φ(x) = exp(-x² / 2) / √(2π)."""
    x, distribution = cache
    return (dy * (distribution + x * normal_density(x)),)


def _shifted(x: Array) -> Array:
    """x minus its largest entry along the last axis: the same softmax, and exp can't overflow."""
    largest: Array = x.real.max(axis=-1, keepdims=True)
    return x - largest


def softmax_forward(x: Array) -> tuple[Array, Cache]:
    """y_i = exp(x_i) / Σ_j exp(x_j) along the last axis: positive numbers of sum 1 (Bridle 1990)."""
    exponentials = np.exp(_shifted(x))
    y = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return y, y


def softmax_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx_i = y_i (dy_i - Σ_j dy_j y_j): the Jacobian y_i (δ_ij - y_j) applied without being built."""
    y = cache
    return (y * (dy - (dy * y).sum(axis=-1, keepdims=True)),)


def log_softmax_forward(x: Array) -> tuple[Array, Cache]:
    """y_i = x_i - log Σ_j exp(x_j) along the last axis: the logarithm of softmax, where that would round to 0."""
    shifted = _shifted(x)
    y = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx_i = dy_i - softmax(x)_i Σ_j dy_j."""
    return (dy - np.exp(cache) * dy.sum(axis=-1, keepdims=True),)


SELU_LOWEST = SELU_SCALE * SELU_ALPHA  # negated, what y comes to far below 0


class Facts(NamedTuple):
    """All that the library knows of an activation besides its derivation."""

    forward: Callable[..., tuple[Array, Cache]]
    backward: Callable[[Array, Cache], tuple[Array]]
    gain: float  # of the weights in front of it: see handgrad.initializers.gain
    # slope(y, **options), options by their constructor names such as alpha: the derivative as a share of the steepest
    slope: Callable[..., Array] | None = None
    elementwise: bool = True


# Initializers, the recurrent pair, the diagnosis, estimators and the PyTorch twin look here. Gains up to tanh are
# PyTorch's calculate_gain; below it they follow He's argument: 1 / √E f(z)² for z of mean 0 and variance 1.
ACTIVATIONS: dict[str, Facts] = {
    "identity": Facts(identity_forward, identity_backward, 1.0),
    "sigmoid": Facts(sigmoid_forward, sigmoid_backward, 1.0, lambda y: 4 * y * (1 - y)),
    "softmax": Facts(softmax_forward, softmax_backward, 1.0, elementwise=False),
    "log_softmax": Facts(log_softmax_forward, log_softmax_backward, 1.0, elementwise=False),
    "relu": Facts(relu_forward, relu_backward, math.sqrt(2)),
    "leaky_relu": Facts(leaky_relu_forward, leaky_relu_backward, math.sqrt(2 / (1 + 0.01**2))),
    "tanh": Facts(tanh_forward, tanh_backward, 5 / 3, lambda y: 1 - y * y),
    "elu": Facts(elu_forward, elu_backward, 1.2452, lambda y, alpha: np.where(y > 0, 1, 1 + y / alpha)),
    "gelu": Facts(gelu_forward, gelu_backward, 1.5335),
    "exact_gelu": Facts(exact_gelu_forward, exact_gelu_backward, 1.5335),
    "relu6": Facts(relu6_forward, relu6_backward, math.sqrt(2)),
    "selu": Facts(selu_forward, selu_backward, 1.0, lambda y: np.where(y > 0, 1 / SELU_ALPHA, 1 + y / SELU_LOWEST)),
    "silu": Facts(silu_forward, silu_backward, 1.6765),
    "softplus": Facts(softplus_forward, softplus_backward, 1.0419, lambda y: 1 - np.exp(-y)),
    "arctan": Facts(arctan_forward, arctan_backward, 1.4912, lambda y: np.cos(y) ** 2),
}
ACTIVATIONS["linear"], ACTIVATIONS["logistic"] = ACTIVATIONS["identity"], ACTIVATIONS["sigmoid"]
ACTIVATIONS["swish"] = ACTIVATIONS["silu"]
