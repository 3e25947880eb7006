"""numpy_ann: a network with one hidden layer, its training loop included.

>>> ann = NumpyANN(input_size=5, hidden_size=3, output_size=2, lr=0.01)
>>> ann._forward(np.array([[1, 2, 3, 4, 5]]))
array([[0.50013134, 0.49986866]])
>>> ann._backward(np.array([[1, 2, 3, 4, 5]]), np.array([[1, 0]]))
>>> ann.W2
array([[-0.00504001, -0.01071118],
       [ 0.00314247, -0.00908024],
       [-0.01412304,  0.01465649]])
>>> ann.accuracy(np.array([[1, 2, 3, 4, 5]]), np.array([[1, 0]]))
1.0
"""

import numpy as np

from ...arrays import Array
from ..arguments import script_arguments
from .utils import fashion_parts


class NumpyANN:
    """softmax(relu(X W1 + b1) W2 + b2), trained by SGD on one-hot rows; W1, W2 start at 0.01 N(0, 1), in this order."""

    z1: Array
    a1: Array
    z2: Array
    a2: Array

    def __init__(self, input_size: int, hidden_size: int, output_size: int, lr: float, random_seed: int = 42) -> None:
        np.random.seed(random_seed)
        self.input_size: int = input_size
        self.hidden_size: int = hidden_size
        self.output_size: int = output_size
        self.lr: float = lr
        self.W1: Array = np.random.randn(input_size, hidden_size) * 0.01
        self.b1: Array = np.zeros((1, hidden_size))
        self.W2: Array = np.random.randn(hidden_size, output_size) * 0.01
        self.b2: Array = np.zeros((1, output_size))

    def _relu(self, z: Array) -> Array:
        """max(z, 0), whole numbers staying whole.

        >>> NumpyANN(1, 1, 1, 0.1)._relu(np.array([-1, 0, 1]))
        array([0, 0, 1])
        """
        activated: Array = np.maximum(z, 0)
        return activated

    def _relu_grad(self, z: Array) -> Array:
        """1 where z > 0, else 0.

        >>> NumpyANN(1, 1, 1, 0.1)._relu_grad(np.array([-1, 0, 1]))
        array([0, 0, 1])
        """
        return (np.asarray(z) > 0).astype(np.asarray(z).dtype)

    def _softmax(self, z: Array) -> Array:
        """Probabilities of each row."""
        e = np.exp(z - np.max(z, axis=1, keepdims=True))
        probabilities: Array = e / e.sum(axis=1, keepdims=True)
        return probabilities

    def _cross_entropy(self, y_pred: Array, y_true: Array) -> float:
        """-Σ y_true log y_pred, divided by the number of samples (the handout says of classes; its figures say this).

        >>> round(NumpyANN(1, 1, 1, 0.1)._cross_entropy(np.full((2, 2), 0.5), np.eye(2)), 12)
        0.69314718056
        """
        y_pred, y_true = np.asarray(y_pred), np.asarray(y_true)
        if np.isin(y_pred, (0, 1)).all() and not np.isin(y_true, (0, 1)).all():
            raise ValueError("y_pred is one-hot and y_true is not: exchanged? The order is y_pred, y_true")
        right = y_true > 0  # where it is 0, y_pred may be too
        return -float(np.sum(y_true[right] * np.log(y_pred[right]))) / len(y_pred)

    def _forward(self, X: Array, training: bool = True) -> Array:
        """Probabilities (N, classes); in training z1, a1, z2, a2 are kept for _backward."""
        z1 = X @ self.W1 + self.b1
        a1 = self._relu(z1)
        z2 = a1 @ self.W2 + self.b2
        a2 = self._softmax(z2)
        if training:
            self.z1, self.a1, self.z2, self.a2 = z1, a1, z2, a2
        return a2

    def _backward(self, X: Array, y_true: Array) -> None:
        """One step of SGD on the mean cross-entropy, whose gradient by z2 is (a2 - y) / N; y_true is one-hot."""
        if np.shape(y_true) != self.a2.shape:
            way_out = "np.eye(classes)[labels] makes it so"
            raise ValueError(f"y_true must be one-hot {self.a2.shape}, got {np.shape(y_true)}: {way_out}")
        dz2 = (self.a2 - y_true) / len(X)
        dz1 = dz2 @ self.W2.T * self._relu_grad(self.z1)
        self.W2 -= self.lr * self.a1.T @ dz2
        self.b2 -= self.lr * dz2.sum(axis=0)
        self.W1 -= self.lr * X.T @ dz1
        self.b1 -= self.lr * dz1.sum(axis=0)

    def train(self, X_train: Array, y_train: Array, X_val: Array, y_val: Array, epochs: int, batch_size: int) -> None:
        """Batches in the order of the rows, never shuffled; losses and accuracies are printed every tenth epoch."""
        for epoch in range(1, epochs + 1):
            for start in range(0, len(X_train), batch_size):
                rows = slice(start, start + batch_size)
                self._forward(X_train[rows])
                self._backward(X_train[rows], y_train[rows])
            if epoch % 10 == 0:
                figures = [*self._measure(X_train, y_train), *self._measure(X_val, y_val)]
                names = ("Train Loss", "Train Accuracy", "Val Loss", "Val Accuracy")
                print(
                    f"[{epoch} / {epochs}]",
                    *(f"{name}: {figure:.5f}" for name, figure in zip(names, figures, strict=True)),
                    sep=" | ",
                )

    def _measure(self, X: Array, y_true: Array) -> tuple[float, float]:
        return self._cross_entropy(self._forward(X, training=False), y_true), self.accuracy(X, y_true)

    def predict(self, X: Array) -> Array:
        """Probabilities (N, classes)."""
        return self._forward(X, training=False)

    def accuracy(self, X: Array, y_true: Array) -> float:
        """The share of rows whose likeliest class is that of the one-hot row."""
        return float(np.mean(np.argmax(self.predict(X), axis=1) == np.argmax(y_true, axis=1)))


def main() -> None:
    """Train 784-64-10 on Fashion-MNIST."""
    arguments = script_arguments(__doc__, epochs=250, rows=(2000, 59_800), seed=42)
    train, validation, (X_test, y_test) = fashion_parts(arguments.rows)
    ann = NumpyANN(input_size=784, hidden_size=64, output_size=10, lr=0.01, random_seed=arguments.seed)
    ann.train(*train, *validation, epochs=arguments.epochs, batch_size=64)
    print(f"test accuracy: {ann.accuracy(X_test, y_test):.4f}")


if __name__ == "__main__":
    main()
