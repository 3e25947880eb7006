"""nndl.fc_net: networks of affine layers, their weights (in, out), for the Solver."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...arrays import Array, Cache, DTypeLike, MaybeArray
from .layer_utils import *


def add_l2(
    loss: float, grads: dict[str, Array], params: Mapping[str, Array], reg: float
) -> tuple[float, dict[str, Array]]:
    """The loss with ½ reg ΣW² of every weight, not of biases; grads gains reg W in place."""
    for name, weight in params.items():
        if name.startswith("W"):
            loss += 0.5 * reg * float(np.sum(weight**2))
            grads[name] = grads[name] + weight * reg
    return loss, grads


class TwoLayerNet:
    """affine - relu - affine - softmax; params W1 (D, H), b1, W2 (H, C), b2, drawn W1 first. dropout is not used."""

    reg: float
    params: dict[str, Array]

    def __init__(
        self,
        input_dim: int = 3 * 32 * 32,
        hidden_dims: int = 100,
        num_classes: int = 10,
        dropout: float = 0,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
    ) -> None:
        """Keep reg; draw weights from weight_scale · N(0, 1) by the global generator, W1 first; biases are zeros."""
        self.reg = reg
        self.params = {
            "W1": weight_scale * np.random.randn(input_dim, hidden_dims),
            "b1": np.zeros(hidden_dims),
            "W2": weight_scale * np.random.randn(hidden_dims, num_classes),
            "b2": np.zeros(num_classes),
        }

    def loss(self, X: Array, y: Array | None = None) -> Any:
        """Scores (N, C) without labels; with them (loss, gradients): the mean cross-entropy + ½ reg ΣW²."""
        hidden, first_cache = affine_relu_forward(X, self.params["W1"], self.params["b1"])
        scores, second_cache = affine_forward(hidden, self.params["W2"], self.params["b2"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        dhidden, dW2, db2 = affine_backward(dscores, second_cache)
        _, dW1, db1 = affine_relu_backward(dhidden, first_cache, input_gradient=False)
        return add_l2(loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}, self.params, self.reg)


class FullyConnectedNet:
    """{affine - [batchnorm] - relu - [dropout]} x (L - 1) - affine - softmax.

    params W1, b1 to WL, bL, with use_batchnorm gamma1, beta1 to those of L - 1; weights weight_scale · N(0, 1), drawn
    layer by layer, all of dtype. dropout is the probability of dropping, 0 for no dropout; seed makes its masks the
    same at every call. loss without labels is in test mode, for batchnorm too (the homework of 2022 wrote
    bn_param[mode] for bn_param['mode'], and so never left training).
    """

    use_batchnorm: bool
    use_dropout: bool
    reg: float
    dtype: DTypeLike
    num_layers: int
    params: dict[str, Array]
    dropout_param: dict[str, Any]
    bn_params: list[dict[str, Any]]

    def __init__(
        self,
        hidden_dims: Sequence[int],
        input_dim: int = 3 * 32 * 32,
        num_classes: int = 10,
        dropout: float = 0,
        use_batchnorm: bool = False,
        reg: float = 0.0,
        weight_scale: float = 1e-2,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        """Draw the params, of dtype; set bn_params and dropout_param as the layers take them, in mode 'train'."""
        self.use_batchnorm, self.use_dropout = use_batchnorm, dropout > 0
        self.reg, self.dtype, self.num_layers = reg, dtype, 1 + len(hidden_dims)
        self.params = {}
        dims = [input_dim, *hidden_dims, num_classes]
        for i in range(1, self.num_layers + 1):
            self.params[f"W{i}"] = weight_scale * np.random.randn(dims[i - 1], dims[i])
            self.params[f"b{i}"] = np.zeros(dims[i])
            if use_batchnorm and i < self.num_layers:
                self.params[f"gamma{i}"], self.params[f"beta{i}"] = np.ones(dims[i]), np.zeros(dims[i])
        self.params = {name: value.astype(dtype) for name, value in self.params.items()}
        self.dropout_param = {"mode": "train", "p": dropout} if self.use_dropout else {}
        if self.use_dropout and seed is not None:
            self.dropout_param["seed"] = seed
        self.bn_params = [{"mode": "train"} for _ in hidden_dims] if use_batchnorm else []

    def loss(self, X: Array, y: Array | None = None) -> Any:
        """Scores (N, C) without labels, in test mode; with them (loss, gradients) in training mode."""
        mode = "test" if y is None else "train"
        for settings in [*self.bn_params, *([self.dropout_param] if self.use_dropout else [])]:
            settings["mode"] = mode
        out, caches = X.astype(self.dtype), []
        for i in range(1, self.num_layers):
            out, cache = self.hidden_forward(i, out)
            caches.append(cache)
        last = self.num_layers
        scores, cache = affine_forward(out, self.params[f"W{last}"], self.params[f"b{last}"])
        if y is None:
            return scores
        loss, dout = softmax_loss(scores, y)
        dout, dW, db = affine_backward(dout, cache)
        grads = {f"W{last}": dW, f"b{last}": db}
        for i in range(last - 1, 0, -1):
            dout = self.hidden_backward(i, dout, caches[i - 1], grads)
        return add_l2(loss, grads, self.params, self.reg)

    def hidden_forward(self, i: int, x: Array) -> tuple[Array, Cache]:
        """(out, cache) of hidden layer i, counted from 1."""
        W, b, dropout_cache = self.params[f"W{i}"], self.params[f"b{i}"], None
        if self.use_batchnorm:
            gamma, beta = self.params[f"gamma{i}"], self.params[f"beta{i}"]
            out, cache = affine_batchnorm_relu_forward(x, W, b, gamma, beta, self.bn_params[i - 1])
        else:
            out, cache = affine_relu_forward(x, W, b)
        if self.use_dropout:
            out, dropout_cache = dropout_forward(out, self.dropout_param)
        return out, (cache, dropout_cache)

    def hidden_backward(self, i: int, dout: Array, cache: Cache, grads: dict[str, Array]) -> MaybeArray:
        """dx, None for the first layer; the layer's gradients are put into grads."""
        cache, dropout_cache = cache
        if self.use_dropout:
            dout = dropout_backward(dout, dropout_cache)
        backward: Any = affine_batchnorm_relu_backward if self.use_batchnorm else affine_relu_backward
        dx, *gradients = backward(dout, cache, input_gradient=i > 1)
        grads.update(zip((f"W{i}", f"b{i}", f"gamma{i}", f"beta{i}"), gradients, strict=False))
        return dx
