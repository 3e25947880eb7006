"""What homework 2's Softmax and SVM share: scores X Wᵀ, a loss on them, and SGD."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ...arrays import Array
from ..cs231n.gradient_check import compare, difference


class LinearClassifier(ABC):
    """W (classes, D) on rows X (N, D) that end in a one, for the bias. Subclasses write a loss."""

    weight_scale: float = 1.0
    W: Array

    def __init__(self, dims: Sequence[int] = (10, 3073)) -> None:
        self.init_weights(dims=dims)

    def init_weights(self, dims: Sequence[int]) -> None:
        """Draw W from the global generator."""
        self.W = np.random.normal(size=dims) * self.weight_scale

    @abstractmethod
    def loss(self, X: Array, y: Array) -> float:
        """The mean of the rows' losses, without a penalty."""

    @abstractmethod
    def loss_and_grad(self, X: Array, y: Array) -> tuple[float, Array]:
        """(loss, its gradient by W); the homework asks for a loop over the rows first."""

    def fast_loss_and_grad(self, X: Array, y: Array) -> tuple[float, Array]:
        """The same without a loop, as loss_and_grad is here."""
        return self.loss_and_grad(X, y)

    def grad_check_sparse(self, X: Array, y: Array, your_grad: Array, num_checks: int = 10, h: float = 1e-5) -> None:
        """Print numeric beside given gradients of entries drawn from the global generator."""
        for _ in range(num_checks):
            ix = tuple(np.random.randint(m) for m in self.W.shape)
            compare(difference(lambda _: self.loss(X, y), self.W, ix, h) / (2 * h), your_grad[ix])

    def train(
        self,
        X: Array,
        y: Array,
        learning_rate: float = 1e-3,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
    ) -> list[float]:
        """Draw W anew, then SGD on batches drawn with replacement; the list of their losses."""
        self.init_weights(dims=[np.max(y) + 1, X.shape[1]])
        loss_history = []
        for it in range(num_iters):
            chosen = np.random.choice(len(X), batch_size)
            loss, grad = self.fast_loss_and_grad(X[chosen], y[chosen])
            loss_history.append(loss)
            self.W -= learning_rate * grad
            if verbose and it % 100 == 0:
                print(f"iteration {it} / {num_iters}: loss {loss}")
        return loss_history

    def predict(self, X: Array) -> Array:
        """The class of the largest score, (N,)."""
        classes: Array = np.argmax(X @ self.W.T, axis=1)
        return classes
