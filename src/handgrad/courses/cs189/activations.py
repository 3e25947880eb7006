"""neural_networks.activations: objects with forward(Z) and backward(Z, dY)."""

from abc import ABC, abstractmethod

import numpy as np

from .utils.data_structures import Array, floats


def initialize_activation(name: str) -> "Activation":
    """The activation of that name; NotImplementedError for a name that is none."""
    if name not in ACTIVATIONS:
        raise NotImplementedError(f"{name} activation is not implemented")
    return ACTIVATIONS[name]()


class Activation(ABC):
    """An elementwise function, or one of rows; Z is what goes into it, (batch, dim)."""

    def __call__(self, Z: Array) -> Array:
        return self.forward(Z)

    @abstractmethod
    def forward(self, Z: Array) -> Array:
        """Y in the shape of Z."""

    @abstractmethod
    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ from dL/dY: the chain rule, at the Z that went in."""


class Linear(Activation):
    """Y = Z."""

    def forward(self, Z: Array) -> Array:
        """Y = Z."""
        return floats(Z)

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ = dY."""
        return dY


class Sigmoid(Activation):
    """Y = 1 / (1 + exp(-Z))."""

    def forward(self, Z: Array) -> Array:
        """1 / (1 + exp(-Z)), with no overflow for any Z."""
        e = np.exp(-np.abs(Z))
        Y: Array = np.where(np.asarray(Z) >= 0, 1, e) / (1 + e)
        return Y

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ = Y (1 - Y) dY."""
        Y = self.forward(Z)
        dZ: Array = Y * (1 - Y) * dY
        return dZ


class TanH(Activation):
    """Y = tanh(Z)."""

    def forward(self, Z: Array) -> Array:
        """tanh(Z)."""
        return np.tanh(floats(Z))

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ = (1 - Y²) dY."""
        Y = self.forward(Z)
        return (1 - Y**2) * dY


class ReLU(Activation):
    """Y = max(0, Z)."""

    def forward(self, Z: Array) -> Array:
        """max(0, Z)."""
        return np.maximum(floats(Z), 0)

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ = dY where Z > 0, else 0 (at Z = 0 the course's texts differ: 0 in the code, 1 in a write-up)."""
        return dY * (np.asarray(Z) > 0)


class SoftMax(Activation):
    """Each row becomes probabilities."""

    def forward(self, Z: Array) -> Array:
        """exp(Z) / Σ exp(Z) of each row, with no overflow for any Z."""
        e = np.exp(Z - np.max(Z, axis=-1, keepdims=True))
        Y: Array = e / e.sum(axis=-1, keepdims=True)
        return Y

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ_i = Σ_j dY_j σ_j (δ_ij - σ_i) of each row: the whole Jacobian, so a loss gives dL/dY and not dL/dZ."""
        Y = self.forward(Z)
        dZ: Array = Y * (dY - np.sum(Y * dY, axis=-1, keepdims=True))
        return dZ


class ArcTan(Activation):
    """Y = arctan(Z)."""

    def forward(self, Z: Array) -> Array:
        """arctan(Z)."""
        return np.arctan(floats(Z))

    def backward(self, Z: Array, dY: Array) -> Array:
        """dL/dZ = dY / (1 + Z²)."""
        dZ: Array = dY / (1 + floats(Z) ** 2)
        return dZ


ACTIVATIONS: dict[str, type[Activation]] = dict(linear=Linear, sigmoid=Sigmoid, tanh=TanH, relu=ReLU)
ACTIVATIONS.update(softmax=SoftMax, arctan=ArcTan)
