"""Layers of images (batch, rows, columns, channels): convolution and pooling, on handgrad's pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import functional as F
from ...arrays import Array, Shape
from ._base import Layer, WeightedLayer
from .activations import floats
from .utils.convolution import pad2d


def resolve_pad(pad: Any, kernel_shape: Sequence[int]) -> tuple[int, int]:
    """(vertical, horizontal) padding for 'same', 'valid' or an int; ValueError for anything else.

    'same' is (kernel - 1) // 2 on both sides, whatever the stride: with an even kernel the output is one smaller.
    """
    if pad == "same":
        return (kernel_shape[0] - 1) // 2, (kernel_shape[1] - 1) // 2
    if pad == "valid":
        return 0, 0
    if isinstance(pad, (int, np.integer)):
        return int(pad), int(pad)
    raise ValueError("Invalid Pad mode found in self.pad.")


class Conv2D(WeightedLayer):
    """Z[d1, d2, n] = Σ W[i, j, c, n] X[stride d1 + i, stride d2 + j, c] + b[n], then the activation.

    W is (kernel rows, kernel columns, channels in, n_out), b (1, n_out); X is padded with zeros.
    """

    def __init__(
        self,
        n_out: int,
        kernel_shape: int | Sequence[int],
        activation: str,
        stride: int = 1,
        pad: int | str = "same",
        weight_init: str = "xavier_uniform",
    ) -> None:
        super().__init__(n_out, activation, weight_init)
        self.kernel_shape = (kernel_shape, kernel_shape) if isinstance(kernel_shape, int) else tuple(kernel_shape)
        self.stride = stride
        self.pad: int | str | tuple[int, int] = pad

    def _init_parameters(self, X_shape: Shape) -> None:
        """Draw the weight for images of this shape, and settle the padding."""
        self.pad = resolve_pad(self.pad, self.kernel_shape)
        self.n_in: int | None = X_shape[3]
        W = self.init_weights((*self.kernel_shape, X_shape[3], self.n_out))
        self._set_parameters(("Z", "X"), W=W, b=np.zeros((1, self.n_out)))

    def forward(self, X: Array) -> Array:
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape)
        W, b = self.parameters["W"], self.parameters["b"]
        Z, self._pair_cache = F.conv2d_forward(X, W, np.ravel(b), stride=self.stride, padding=self.pad)
        self.cache["Z"], self.cache["X"] = Z, X
        return self.activation(Z)

    def backward(self, dLdY: Array) -> Array:
        """dL/dX; stores dL/dW and dL/db."""
        dX, dW, db = F.conv2d_backward(self.activation.backward(self.cache["Z"], dLdY), self._pair_cache)
        self._set_gradients(dW, db)
        return dX

    def forward_faster(self, X: Array) -> Array:
        """Spring 2020's name for a convolution by matrix products, which forward is already."""
        return self.forward(X)

    def backward_faster(self, dLdY: Array) -> Array:
        """Spring 2020's counterpart of forward_faster."""
        return self.backward(dLdY)


class Pool2D(Layer):
    """The maximum or the average of each window, mode 'max' or 'average'.

    Padding is with zeros for both, as in the course: its tests depend on it. So a padded window of negative numbers
    has the maximum 0, where handgrad's own MaxPool2D (and PyTorch's) would never let padding win.
    """

    pairs = {
        "max": (F.max_pool2d_forward, F.max_pool2d_backward),
        "average": (F.avg_pool2d_forward, F.avg_pool2d_backward),
    }

    def __init__(
        self, kernel_shape: int | Sequence[int], mode: str = "max", stride: int = 1, pad: int | str = 0
    ) -> None:
        super().__init__()
        self.kernel_shape = (kernel_shape, kernel_shape) if isinstance(kernel_shape, int) else tuple(kernel_shape)
        self.stride, self.mode = stride, mode
        self.pad = resolve_pad(pad, self.kernel_shape)
        if mode not in self.pairs:
            raise NotImplementedError(f"{mode} pooling is not implemented: expected max or average")
        self.cache = {name: [] for name in ("out_rows", "out_cols", "X_pad", "p", "pool_shape")}

    def forward(self, X: Array) -> Array:
        X_pad, p = pad2d(floats(X), self.pad, self.kernel_shape, self.stride)
        pool, _ = self.pairs[self.mode]
        X_pool, self._pair_cache = pool(X_pad, kernel_size=self.kernel_shape, stride=self.stride)
        self.cache.update(out_rows=X_pool.shape[1], out_cols=X_pool.shape[2], X_pad=X_pad, p=p, pool_shape=X_pool.shape)
        return X_pool

    def backward(self, dLdY: Array) -> Array:
        """dL/dX: to the first maximum of each window, or in equal shares; windows that overlap add up."""
        _, pool_backward = self.pairs[self.mode]
        (dX_pad,) = pool_backward(dLdY, self._pair_cache)
        top, bottom, left, right = self.cache["p"]
        return dX_pad[:, top : dX_pad.shape[1] - bottom, left : dX_pad.shape[2] - right]
