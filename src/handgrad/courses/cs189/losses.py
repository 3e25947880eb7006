"""neural_networks.losses: forward(Y, Y_hat) and backward(Y, Y_hat), the targets Y first."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from ... import functional as F
from ...arrays import Array


def initialize_loss(name: "str | Loss") -> "Loss":
    """The loss of that name, or the loss itself: L2(factor=1.0), say. NotImplementedError for a name that is none."""
    if isinstance(name, Loss):
        return name
    if name not in LOSSES:
        raise NotImplementedError(f"{name} loss is not implemented")
    return LOSSES[name](name)


class Loss(ABC):
    """A number for targets Y and predictions Y_hat, both (batch, dim)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, Y: Array, Y_hat: Array) -> np.float64:
        return self.forward(Y, Y_hat)

    @abstractmethod
    def forward(self, Y: Array, Y_hat: Array) -> np.float64:
        """The loss, a NumPy scalar."""

    @abstractmethod
    def backward(self, Y: Array, Y_hat: Array) -> Array:
        """dL/dY_hat, (batch, dim)."""


class CrossEntropy(Loss):
    """-Σ Y log(Y_hat) / m for one-hot Y and probabilities Y_hat (the course adds the rounding unit to Y_hat).

    backward is -Y / (m Y_hat). The (Y_hat - Y) / m of some write-ups is the gradient by the softmax's *input*; given
    to SoftMax.backward, which applies its Jacobian once more, it descends another loss (the Brier score).
    """

    def __init__(self, name: str = "cross_entropy") -> None:
        super().__init__(name)

    def forward(self, Y: Array, Y_hat: Array) -> np.float64:
        return np.float64(F.probability_cross_entropy_forward(Y_hat + np.finfo(float).eps, Y)[0])

    def backward(self, Y: Array, Y_hat: Array) -> Array:
        _, cache = F.probability_cross_entropy_forward(Y_hat, Y)
        return F.probability_cross_entropy_backward(1.0, cache)[0]


class L2(Loss):
    """factor times the mean of (Y - Y_hat)²: factor is ½ since 2021, and was 1 in Spring 2020 (L2(factor=1.0))."""

    def __init__(self, name: str = "l2", factor: float = 0.5) -> None:
        super().__init__(name)
        self.factor = factor

    def forward(self, Y: Array, Y_hat: Array) -> np.float64:
        return np.float64(self.factor * F.mean_squared_error_forward(Y_hat, Y)[0])

    def backward(self, Y: Array, Y_hat: Array) -> Array:
        """2 factor (Y_hat - Y) / size, so (Y_hat - Y) / m for one output."""
        _, cache = F.mean_squared_error_forward(Y_hat, Y)
        return F.mean_squared_error_backward(self.factor, cache)[0]


LOSSES: dict[str, Callable[[str], Loss]] = {"cross_entropy": CrossEntropy, "l2": L2}
