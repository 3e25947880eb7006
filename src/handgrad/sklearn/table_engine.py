"""The engine of the estimators: NumpyEngine's training step for tables, in buffers that every batch uses again."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..kernels.products import affine, affine_input_gradient, affine_weight_gradient
from ..kernels.threads import threads_for
from ..layers import Layer, Linear, Loss, ReLU, Sequential
from ..layers.base import Step
from ..layers.criteria import weights
from ..layers.steps import bias_of, dbias_of, replace
from ..optimizers import Optimizer
from ..training import NumpyEngine
from ..training.engine import Figures, Metric, why_not_finite

ROWS = 512  # inference takes so many rows at a time: what a layer makes of them stays in a core's cache


class TableEngine(NumpyEngine):
    """NumpyEngine with scikit-learn's penalty, ½ alpha Σ w² / Σ sample_weight of the batch, and with sparse x.

    Linear layers and the ReLUs behind them write into buffers of their own: in a small network fresh arrays cost as
    much as the arithmetic. All other layers run as they are, and so does a model of images.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        alpha: float = 0.0,
        metrics: Mapping[str, Metric] | None = None,
        typical_rows: int = 1,
    ) -> None:
        super().__init__(model, loss, optimizer, metrics=metrics)
        self.stages: list[Layer | Step] = stages_of(model)
        self.typical_rows = typical_rows  # of a batch: what `evaluate` divides the penalty by
        penalized = weights(model.parameters)
        factors = [np.full(array.size, alpha * (name in penalized)) for name, array in model.parameters.items()]
        self.decay: Array | None = np.concatenate(factors).astype(model.dtype) if alpha else None
        self.scratch: Array = np.empty_like(model.parameter_vector)
        self.count: float = 0.0
        self.share: Array = self.scratch  # decay / count, for the count that came last

    def step(self, x: Any, y: Array, sample_weight: Array | None = None, metrics: bool = False) -> Figures:
        """One training step on one batch. Returns {'loss': ...}, the penalty in it; FloatingPointError as usual."""
        loss = self.differentiate(x, y, sample_weight)
        if not math.isfinite(loss):
            raise FloatingPointError(why_not_finite(self.model, x.toarray() if is_sparse(x) else x, loss))
        if self.on_gradients is not None:
            self.on_gradients(self.model.gradients)
        self.optimizer.update(*self.arrays())
        return {"loss": loss}

    def differentiate(self, x: Any, y: Array, sample_weight: Array | None = None) -> float:
        """The loss and the penalty of one batch; their gradient is then model.gradient_vector."""
        with blas_block(self.model, len(y)):
            return self._differentiate(x, y, sample_weight)

    def _differentiate(self, x: Any, y: Array, sample_weight: Array | None) -> float:
        outputs = x
        for stage in self.stages:
            outputs = stage.forward(outputs, training=True)
        loss = self.loss.forward(outputs, y, sample_weight)
        dy = self.loss.backward()
        for i in range(len(self.stages) - 1, -1, -1):
            dy = self.stages[i].backward(dy, i > 0)
        return loss + self.add_penalty(len(y) if sample_weight is None else float(sample_weight.sum()))

    def predict(self, x: Any, batch_size: int = ROWS) -> Array:
        """The model's outputs for all rows."""
        return outputs_of(self.model, x.array if isinstance(x, Rows) else x)

    def penalty_now(self) -> float:
        """½ alpha Σ w² over the rows of a typical batch."""
        if self.decay is None:
            return 0.0
        p = self.model.parameter_vector
        return 0.5 * float(np.dot(self.decay * p, p)) / self.typical_rows

    def place(self, array: Any) -> Rows:
        """What the trainer draws batches from."""
        return array if isinstance(array, Rows) else Rows(array)

    def add_penalty(self, count: float) -> float:
        """Add alpha w / count to the gradients of the weights; returns ½ alpha Σ w² / count."""
        if self.decay is None:
            return 0.0
        if self.count != count:
            self.count, self.share = count, self.decay / self.decay.dtype.type(count)
        p, gradient = self.model.parameter_vector, self.model.gradient_vector
        pull: Array = np.multiply(self.share, p, out=self.scratch)
        gradient += pull
        return 0.5 * float(np.dot(pull, p))


def is_sparse(x: Any) -> bool:
    """Whether x, an array or a csr matrix, is the latter: faster than SciPy's question, asked in every step."""
    return not isinstance(x, np.ndarray)


class Rows:
    """An array or a csr matrix, of which batches are taken by their row numbers."""

    def __init__(self, array: Any) -> None:
        self.array: Any = array
        self.num_rows: int = int(array.shape[0])
        # take is twice as fast as fancy indexing, and sparse matrices have none
        self.take: Callable[[Array], Any] = array.__getitem__ if is_sparse(array) else lambda rows: array.take(rows, 0)

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, rows: Array) -> Any:
        return self.take(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.array, dtype)


def stages_of(model: Sequential) -> list[Layer | Step]:
    """What runs in place of the model's layers, the model as a whole where it reads images."""
    if len(model.input_shape) > 1:
        return [model]
    stages: list[Layer | Step] = [*replace(model.layers, BufferedLinear.offer)]
    for before, stage in itertools.pairwise(stages):
        if isinstance(stage, BufferedLinear):
            stage.follows = isinstance(before, BufferedLinear)
    return stages


class BufferedLinear(Step):
    """y = x W + b, or max(0, x W + b) with the ReLU behind it, into buffers kept for each size of batch.

    follows: the stage before is one of these, too, and x is its buffer: what nobody needs any more by the time of
    `backward`, which puts dx there. So a step touches half the memory, and stays in the cache twice as long.
    is_last: the output layer has few columns, so its y lies transposed in memory and the loss's sums over classes run
    along rows.
    """

    def __init__(self, layers: Sequence[Layer], is_last: bool) -> None:
        super().__init__(layers)
        self.layer: Layer = layers[0]
        self.is_rectified: bool = len(layers) > 1
        self.is_last: bool = is_last
        self.follows = False
        self.buffers: dict[Any, Array] = {}

    @classmethod
    def offer(cls, layers: Sequence[Layer]) -> BufferedLinear | None:
        """For a Linear and the ReLU that may follow it; a subclass runs as it was written."""
        if type(layers[0]) is not Linear:
            return None
        is_rectified = len(layers) > 1 and type(layers[1]) is ReLU
        return cls(layers[: 1 + is_rectified], is_last=len(layers) == 1)

    def forward(self, x: Any, training: bool = True) -> Array:
        weight, bias = self.layer.parameters["weight"], bias_of(self.layer)
        if self.is_last and not is_sparse(x):
            y = self.buffer("y", len(bias), len(x)).T
        else:
            y = self.buffer("y", x.shape[0], len(bias))
        affine(x, weight, bias, y)
        if self.is_rectified:
            np.maximum(y, 0, out=y)
            self.positive: Array = np.greater(y, 0, out=self.buffer("positive", len(y), y.shape[1], bool))
        self.x: Any = x
        self.y: Array = y
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if self.is_rectified:
            dy = np.multiply(dy, self.positive, out=self.y)
        self.write_gradients(dy)
        if not input_gradient:
            return None
        weight = self.layer.parameters["weight"]
        dx: Array = self.x if self.follows else self.buffer("dx", len(dy), len(weight))
        affine_input_gradient(dy, weight, dx)
        return dx

    def write_gradients(self, dy: Array) -> None:
        affine_weight_gradient(self.x, dy, self.layer.gradients["weight"])
        # Σ dy over the rows as a product, which BLAS does in half the time of a sum
        np.matmul(self.ones(len(dy)), dy, out=dbias_of(self.layer))

    def ones(self, rows: int) -> Array:
        if rows not in self.buffers:
            self.buffers[rows] = np.ones(rows, self.layer.dtype)
        return self.buffers[rows]

    def buffer(self, name: str, rows: int, columns: int, dtype: type[bool] | None = None) -> Array:
        key = name, rows, columns
        if key not in self.buffers:
            self.buffers[key] = np.empty((rows, columns), dtype or self.layer.dtype)
        return self.buffers[key]


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


def blas_block(model: Sequential, num_rows: int) -> contextlib.AbstractContextManager[object]:
    """What products on so many rows run in; models of images share theirs by themselves."""
    return contextlib.nullcontext() if len(model.input_shape) > 1 else threads_for(num_rows * model.num_parameters)


def through(layers: list[Layer], x: Any) -> Array:
    """What the layers make of x, the first of them a Linear where x is sparse."""
    if is_sparse(x):
        x, layers = x @ layers[0].parameters["weight"] + bias_of(layers[0]), layers[1:]
    y: Array = x
    for layer in layers:
        y = layer.forward(y)
    return y
