"""The engine of the estimators: NumpyEngine with scikit-learn's penalty, and with sparse x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import functional as F
from ..arrays import Array
from ..layers import L2, Layer, Loss, Sequential
from ..layers.steps import bias_of, dbias_of
from ..optimizers import Optimizer
from ..training import NumpyEngine
from ..training.engine import Metric, blas_block
from ..training.epochs import POWERS

ROWS = 512  # inference takes so many rows at a time: what a layer makes of them stays in a core's cache


class SharedL2(L2):
    """scikit-learn's penalty: ½ strength Σ w², divided by what the rows of the batch count for together."""


POWERS[SharedL2] = 2, True


class TableEngine(NumpyEngine):
    """NumpyEngine with scikit-learn's penalty, ½ alpha Σ w² / Σ sample_weight of the batch, and with sparse x."""

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        alpha: float = 0.0,
        metrics: Mapping[str, Metric] | None = None,
        typical_rows: int = 1,
    ) -> None:
        super().__init__(model, loss, optimizer, SharedL2(alpha) if alpha else None, metrics)
        self.cache: Any = None  # of the first layer, where x is sparse
        self.typical_rows = typical_rows  # of a batch: what `evaluate` divides the penalty by

    def differentiate(self, x: Any, y: Array, sample_weight: Array | None = None) -> float:
        """The loss and the penalty of one batch; their gradient is then model.gradient_vector."""
        return self.propagate(x, y, sample_weight, must_be_finite=False)[1]

    def forward(self, x: Any) -> Array:
        if not is_sparse(x):
            return super().forward(x)
        y, self.cache = self.model.layers[0].compute(x, True)  # Linear's pair takes a csr matrix, too
        for layer in self.model.layers[1:]:
            y = layer.forward(y, training=True)
        return y

    def backward(self, dy: Array) -> None:
        first, *others = self.model.layers
        if self.cache is None:
            super().backward(dy)
            return
        for layer in reversed(others):
            dy = layer.backward(dy)
        _, first.gradients["weight"], dbias_of(first)[...] = F.linear_backward(dy, self.cache, input_gradient=False)
        self.cache = None

    def add_penalty(self, y: Array, sample_weight: Array | None) -> float:
        if self.penalty is None:
            return 0.0
        count = len(y) if sample_weight is None else float(sample_weight.sum())
        return self.penalty.add(self.model.parameters, self.model.gradients, count)

    def penalty_now(self) -> float:
        """½ alpha Σ w² over the rows of a typical batch."""
        return super().penalty_now() / self.typical_rows

    def why_not_finite(self, x: Any, loss: float) -> str:
        return super().why_not_finite(x.toarray() if is_sparse(x) else x, loss)

    def predict(self, x: Any, batch_size: int = ROWS) -> Array:
        """The model's outputs for all rows."""
        return outputs_of(self.model, x)

    def place(self, array: Any) -> Any:
        """What the trainer draws batches from, as it is: an array, or a csr matrix."""
        return array


def is_sparse(x: Any) -> bool:
    """Whether x, an array or a csr matrix, is the latter: faster than SciPy's question, asked in every step."""
    return not isinstance(x, np.ndarray)


def outputs_of(model: Sequential, x: Any, num_layers: int | None = None) -> Array:
    """What the model, or its first num_layers layers, make of all rows of x, dense or csr, in inference."""
    layers = model.layers[:num_layers]
    is_whole = len(layers) == len(model.layers) and not is_sparse(x)
    forward = model.forward if is_whole else lambda rows: through(layers, rows)
    y = np.empty((x.shape[0], *layers[-1].output_shape), model.dtype)
    for start in range(0, x.shape[0], ROWS):
        with blas_block(model, min(x.shape[0] - start, ROWS)):
            y[start : start + ROWS] = forward(x[start : start + ROWS])
    return y


def through(layers: list[Layer], x: Any) -> Array:
    """What the layers make of x, the first of them a Linear where x is sparse."""
    if is_sparse(x):
        x, layers = x @ layers[0].parameters["weight"] + bias_of(layers[0]), layers[1:]
    y: Array = x
    for layer in layers:
        y = layer.forward(y)
    return y
