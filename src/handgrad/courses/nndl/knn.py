"""nndl.knn: k nearest neighbours, homework 2's first classifier."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...arrays import Array


class KNN:
    """Labels a row by the majority of the k training rows nearest to it."""

    X_train: Array
    y_train: Array

    def train(self, X: Array, y: Array) -> None:
        """Keep the training rows X (num_train, D) and their labels."""
        self.X_train, self.y_train = X, y

    def compute_distances(self, X: Array, norm: Callable[[Array], Any] | None = None) -> Array:
        """dists (num_test, num_train): norm of every difference of a row of X and a training row, one by one.

        norm maps a vector to its length, by default the Euclidean one.
        """
        length: Callable[[Array], Any] = np.linalg.norm if norm is None else norm
        return np.array([[length(row - known) for known in self.X_train] for row in X])

    def compute_L2_distances_vectorized(self, X: Array) -> Array:
        """The same for the Euclidean norm: |a - b|² = |a|² - 2 a·b + |b|², all at once."""
        squares = (X**2).sum(axis=1)[:, None] - 2 * X @ self.X_train.T + (self.X_train**2).sum(axis=1)
        distances: Array = np.sqrt(np.maximum(squares, 0))
        return distances

    def predict_labels(self, dists: Array, k: int = 1) -> Array:
        """(num_test,): the commonest label of the k nearest, of equally common ones the smallest."""
        nearest = np.asarray(self.y_train)[np.argsort(dists, axis=1, kind="stable")[:, :k]]
        labels = np.unique(self.y_train)
        votes = (nearest[:, :, None] == labels).sum(axis=1)
        chosen: Array = labels[votes.argmax(axis=1)].astype(np.float64)
        return chosen
