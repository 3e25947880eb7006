"""neural_networks.losses: forward(Y, Y_hat) and backward(Y, Y_hat), the targets Y first."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from .utils.data_structures import Array


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
    """-Σ Y log(Y_hat) / m for m rows of one-hot Y and probabilities Y_hat."""

    def __init__(self, name: str = "cross_entropy") -> None:
        super().__init__(name)

    def forward(self, Y: Array, Y_hat: Array) -> np.float64:
        """-Σ Y log(Y_hat + ε) / m, a NumPy scalar; ε is the rounding unit, np.finfo(float).eps, as in the course."""
        return np.float64(-np.sum(Y * np.log(Y_hat + np.finfo(float).eps)) / len(Y))

    def backward(self, Y: Array, Y_hat: Array) -> Array:
        """-Y / (m Y_hat), and 0 where Y is 0.

        The (Y_hat - Y) / m of some write-ups is the gradient by the softmax's *input*; given to SoftMax.backward,
        which applies its Jacobian once more, it descends another loss (the Brier score). Warns where the probability
        of the right class is exactly 0: a saturated softmax passes no gradient on.
        """
        lost = int(np.sum((Y > 0) & (Y_hat == 0)))
        if lost:
            warnings.warn(
                f"{lost} of {len(Y)} rows give their right class the probability 0, and learn nothing: the softmax is "
                "saturated; lower the learning rate, or standardize the inputs",
                stacklevel=2,
            )
        positive = np.maximum(Y_hat, np.finfo(np.result_type(Y_hat, np.float32)).tiny)
        dY_hat: Array = -np.asarray(Y) / (len(Y) * positive)
        return dY_hat


class L2(Loss):
    """factor times the mean of (Y - Y_hat)²: factor is ½ since 2021, and was 1 in Spring 2020 (L2(factor=1.0))."""

    def __init__(self, name: str = "l2", factor: float = 0.5) -> None:
        super().__init__(name)
        self.factor = factor

    def forward(self, Y: Array, Y_hat: Array) -> np.float64:
        """factor times the mean of (Y - Y_hat)² over all entries, a NumPy scalar."""
        return np.float64(self.factor * np.mean((Y - Y_hat) ** 2))

    def backward(self, Y: Array, Y_hat: Array) -> Array:
        """2 factor (Y_hat - Y) / size, so (Y_hat - Y) / m for one output."""
        return 2 * self.factor * (Y_hat - Y) / Y_hat.size


LOSSES: dict[str, Callable[[str], Loss]] = {"cross_entropy": CrossEntropy, "l2": L2}
