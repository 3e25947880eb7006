"""neural_networks.activations: objects with forward(Z) and backward(Z, dY), one pair of handgrad.functional each."""

from abc import ABC
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ... import functional as F
from ...arrays import Array, ArrayLike

Pair: TypeAlias = tuple[Callable[..., Any], Callable[..., Any]]


def initialize_activation(name: str) -> "Activation":
    """The activation of that name; NotImplementedError for a name that is none."""
    if name not in ACTIVATIONS:
        raise NotImplementedError(f"{name} activation is not implemented")
    return ACTIVATIONS[name]()


class Activation(ABC):
    """An elementwise function, or one of rows; Z is what goes into it, (batch, dim)."""

    pair: Pair  # (forward, backward) of handgrad.functional

    def __call__(self, Z: Array) -> Array:
        return self.forward(Z)

    def forward(self, Z: Array) -> Array:
        Y: Array = self.pair[0](floats(Z))[0]
        return Y

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ from dL/dY: the chain rule, at the Z that went in."""
        _, cache = self.pair[0](floats(Z))
        dZ: Array = self.pair[1](dY, cache)[0]
        return dZ


class Linear(Activation):
    """Y = Z."""

    pair: Pair = F.identity_forward, F.identity_backward


class Sigmoid(Activation):
    """Y = 1 / (1 + exp(-Z)), with no overflow for any Z."""

    pair: Pair = F.sigmoid_forward, F.sigmoid_backward


class TanH(Activation):
    """Y = tanh(Z)."""

    pair: Pair = F.tanh_forward, F.tanh_backward


class ReLU(Activation):
    """Y = max(0, Z); the derivative at Z = 0 is 0 (the course's texts differ: 0 in the code, 1 in a write-up)."""

    pair: Pair = F.relu_forward, F.relu_backward


class SoftMax(Activation):
    """Each row becomes probabilities; backward applies the whole Jacobian, so a loss gives dL/dY and not dL/dZ."""

    pair: Pair = F.softmax_forward, F.softmax_backward


class ArcTan(Activation):
    """Y = arctan(Z)."""

    pair: Pair = F.arctan_forward, F.arctan_backward


ACTIVATIONS = {"linear": Linear, "sigmoid": Sigmoid, "tanh": TanH, "relu": ReLU, "softmax": SoftMax, "arctan": ArcTan}


def floats(array: ArrayLike) -> Array:
    """The array itself, or as float64 if it holds whole numbers."""
    array = np.asarray(array)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)
