"""Activations as layers: one class a pair, no parameters."""

from typing import ClassVar

from .. import functional as F
from ..arrays import Array, Cache
from ..naming import check_number
from .base import Gradients, Layer, Pair


class Activation(Layer):
    """A layer whose whole content is one pair of `handgrad.functional`."""

    pair: ClassVar[Pair]

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return self.pair[0](x)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        (dx,) = self.pair[1](dy, cache)
        return dx, {}


class ReLU(Activation):
    """y = max(0, x); the derivative at 0 is 0."""

    pair: ClassVar[Pair] = F.relu_forward, F.relu_backward


class LeakyReLU(Activation):
    """y = x where x > 0, else alpha x."""

    pair: ClassVar[Pair] = F.leaky_relu_forward, F.leaky_relu_backward

    def __init__(self, alpha: float = 0.01, name: str | None = None) -> None:
        super().__init__(name)
        check_number("LeakyReLU", "alpha", alpha)
        self.alpha = alpha

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.leaky_relu_forward(x, self.alpha)


class ELU(Activation):
    """y = x where x > 0, else alpha (eˣ - 1)."""

    pair: ClassVar[Pair] = F.elu_forward, F.elu_backward

    def __init__(self, alpha: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        check_number("ELU", "alpha", alpha)
        self.alpha = alpha

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.elu_forward(x, self.alpha)


class Sigmoid(Activation):
    """y = 1 / (1 + e⁻ˣ)."""

    pair: ClassVar[Pair] = F.sigmoid_forward, F.sigmoid_backward


class Tanh(Activation):
    """y = tanh x."""

    pair: ClassVar[Pair] = F.tanh_forward, F.tanh_backward


class Softmax(Activation):
    """Each row becomes probabilities, y = eˣ / Σ eˣ. CrossEntropy wants logits instead: it has the softmax in it."""

    pair: ClassVar[Pair] = F.softmax_forward, F.softmax_backward


class LogSoftmax(Activation):
    """y = x - log Σ eˣ along the last axis."""

    pair: ClassVar[Pair] = F.log_softmax_forward, F.log_softmax_backward


class Identity(Activation):
    """y = x."""

    pair: ClassVar[Pair] = F.identity_forward, F.identity_backward


class Arctan(Activation):
    """y = arctan x."""

    pair: ClassVar[Pair] = F.arctan_forward, F.arctan_backward


class Softplus(Activation):
    """y = log(1 + eˣ), a smooth ReLU."""

    pair: ClassVar[Pair] = F.softplus_forward, F.softplus_backward


class GELU(Activation):
    """y = x Φ(x) in its tanh form (Hendrycks & Gimpel, 2016)."""

    pair: ClassVar[Pair] = F.gelu_forward, F.gelu_backward


class SiLU(Activation):
    """y = x σ(x), also called swish."""

    pair: ClassVar[Pair] = F.silu_forward, F.silu_backward


# each name of functional's table -> its class
ACTIVATIONS = {
    name: cls
    for name, facts in F.ACTIVATIONS.items()
    for cls in Activation.__subclasses__()
    if cls.pair[0] is facts.forward
}
