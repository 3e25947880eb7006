"""neural_networks.layers: layers by name, and the dense ones; images and sequences stand in files of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import functional as F
from ...arrays import Array, Shape
from ._base import Layer, WeightedLayer
from ._images import Conv2D, Pool2D
from ._sequences import BatchNorm1D, Elman
from .activations import floats


def initialize_layer(
    name: str,
    activation: str | None = None,
    weight_init: str | None = None,
    n_out: int | None = None,
    kernel_shape: int | Sequence[int] | None = None,
    stride: int | None = None,
    pad: int | str | None = None,
    mode: str | None = None,
    eps: float = 1e-8,
    momentum: float = 0.95,
    keep_dim: str | int = "first",
) -> Layer:
    """The layer of that name, with those of the arguments that it takes; None stands for the layer's default."""
    weighted: dict[str, Any] = {"n_out": n_out, "activation": activation, **given(weight_init=weight_init)}
    window: dict[str, Any] = {"kernel_shape": kernel_shape, **given(stride=stride, pad=pad)}
    if name == "fully_connected":
        return FullyConnected(**weighted)
    if name == "conv2d":
        return Conv2D(**weighted, **window)
    if name == "pool2d":
        return Pool2D(**given(mode=mode), **window)
    if name == "flatten":
        return Flatten(keep_dim=keep_dim)
    if name == "elman":
        return Elman(weighted["n_out"], **given(activation=activation, weight_init=weight_init))
    if name == "batchnorm1d":
        return BatchNorm1D(weight_init=weight_init, eps=eps, momentum=momentum)
    raise NotImplementedError(f"Layer type {name} is not implemented")


def given(**arguments: Any) -> dict[str, Any]:
    """Those of the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


class FullyConnected(WeightedLayer):
    """Y = activation(X W + b) for X (batch, n_in), W (n_in, n_out), b (1, n_out)."""

    def _init_parameters(self, X_shape: Shape) -> None:
        self.n_in: int | None = X_shape[1]
        W = self.init_weights((X_shape[1], self.n_out))
        self._set_parameters(("Z", "X"), W=W, b=np.zeros((1, self.n_out)))

    def forward(self, X: Array) -> Array:
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape)
        Z, self._pair_cache = F.linear_forward(X, self.parameters["W"], self.parameters["b"])
        self.cache["Z"], self.cache["X"] = Z, X
        return self.activation(Z)

    def backward(self, dLdY: Array) -> Array:
        """dL/dX; stores dL/dW and dL/db, sums over the batch: the mean, if any, is the loss's."""
        dX, dW, db = F.linear_backward(self.activation.backward(self.cache["Z"], dLdY), self._pair_cache)
        self._set_gradients(dW, db)
        return dX


class Flatten(Layer):
    """Rows of all but the first axis (keep_dim 'first'), or columns of all but the last ('last'); -1: one row."""

    def __init__(self, keep_dim: str | int = "first") -> None:
        super().__init__()
        self.keep_dim = keep_dim
        self.cache: dict[str, Any] = {"in_dims": []}

    def forward(self, X: Array, retain_derived: bool = True) -> Array:
        if retain_derived:
            self.cache["in_dims"] = X.shape
        if self.keep_dim == -1:
            return X.reshape(1, -1)
        return X.reshape((X.shape[0], -1) if self.keep_dim == "first" else (-1, X.shape[-1]))

    def backward(self, dLdY: Array) -> Array:
        return dLdY.reshape(self.cache["in_dims"])
