"""nndl.neural_net: homework 3's two-layer network in one class, its weights (out, in)."""

from typing import Any

import numpy as np

from ...arrays import Array
from .layers import softmax_loss


class TwoLayerNet:
    """scores = relu(X W1ᵀ + b1) W2ᵀ + b2, with W1 (H, D), W2 (C, H) drawn in this order from the global generator.

    fc_net's network of the same name has its weights the other way round.
    """

    params: dict[str, Array]

    def __init__(self, input_size: int, hidden_size: int, output_size: int, std: float = 1e-4) -> None:
        self.params = {
            "W1": std * np.random.randn(hidden_size, input_size),
            "b1": np.zeros(hidden_size),
            "W2": std * np.random.randn(output_size, hidden_size),
            "b2": np.zeros(output_size),
        }

    def loss(self, X: Array, y: Array | None = None, reg: float = 0.0) -> Any:
        """Scores (N, C) without labels; with them (loss, gradients): the mean cross-entropy + ½ reg (ΣW1² + ΣW2²)."""
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden = np.maximum(X @ W1.T + b1, 0)
        scores = hidden @ W2.T + b2
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        dhidden = dscores @ W2 * (hidden > 0)
        loss += 0.5 * reg * float(np.sum(W1**2) + np.sum(W2**2))
        return loss, {
            "W1": dhidden.T @ X + reg * W1,
            "b1": dhidden.sum(axis=0),
            "W2": dscores.T @ hidden + reg * W2,
            "b2": dscores.sum(axis=0),
        }

    def train(
        self,
        X: Array,
        y: Array,
        X_val: Array,
        y_val: Array,
        learning_rate: float = 1e-3,
        learning_rate_decay: float = 0.95,
        reg: float = 1e-5,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
    ) -> dict[str, list[float]]:
        """SGD on batches drawn with replacement; {'loss_history', 'train_acc_history', 'val_acc_history'}.

        Accuracies are taken and the rate decays at every iteration that N / batch_size divides, the first included:
        where that is no whole number an epoch lasts longer than it should, and with N < batch_size the rate decays
        after every iteration. So it was in the course, and its figures depend on it.
        """
        num_train = len(X)
        iterations_per_epoch = max(num_train / batch_size, 1)
        histories: dict[str, list[float]] = {"loss_history": [], "train_acc_history": [], "val_acc_history": []}
        for it in range(num_iters):
            chosen = np.random.choice(num_train, batch_size)
            X_batch, y_batch = X[chosen], y[chosen]
            loss, grads = self.loss(X_batch, y=y_batch, reg=reg)
            histories["loss_history"].append(loss)
            for name, gradient in grads.items():
                self.params[name] = self.params[name] - learning_rate * gradient
            if verbose and it % 100 == 0:
                print(f"iteration {it} / {num_iters}: loss {loss}")
            if it % iterations_per_epoch == 0:
                histories["train_acc_history"].append(np.mean(self.predict(X_batch) == y_batch))
                histories["val_acc_history"].append(np.mean(self.predict(X_val) == y_val))
                learning_rate *= learning_rate_decay
        return histories

    def predict(self, X: Array) -> Array:
        """The class of the largest score, (N,)."""
        classes: Array = np.argmax(self.loss(X), axis=1)
        return classes
