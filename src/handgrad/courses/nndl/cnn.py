"""nndl.cnn: a three-layer convolutional network for images (N, C, H, W)."""

from typing import Any

import numpy as np

from ...arrays import Array, Cache, DTypeLike
from .conv_layer_utils import *
from .fc_net import add_l2
from .layer_utils import *


class ThreeLayerConvNet:
    """conv - [batchnorm] - relu - 2x2 max pool - affine - [batchnorm] - relu - affine - softmax.

    params W1 (F, C, k, k), W2 (F H/2 W/2, hidden), W3 (hidden, classes), drawn in this order, biases zero, with
    use_batchnorm gamma1, beta1, gamma2, beta2; all of dtype. The convolution keeps the size of the image.
    """

    use_batchnorm: bool
    reg: float
    dtype: DTypeLike
    conv_param: dict[str, Any]
    pool_param: dict[str, Any]
    params: dict[str, Array]
    bn_params: list[dict[str, Any]]

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (3, 32, 32),
        num_filters: int = 32,
        filter_size: int = 7,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        dtype: DTypeLike = np.float32,
        use_batchnorm: bool = False,
    ) -> None:
        """Draw the params, of dtype; settle conv_param and pool_param, and bn_params, one dict for each batchnorm."""
        self.use_batchnorm, self.reg, self.dtype = use_batchnorm, reg, dtype
        self.conv_param = {"stride": 1, "pad": (filter_size - 1) / 2}
        self.pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        channels, height, width = input_dim
        pooled = num_filters * (height // 2) * (width // 2)
        shapes = ((num_filters, channels, filter_size, filter_size), (pooled, hidden_dim), (hidden_dim, num_classes))
        sizes = num_filters, hidden_dim, num_classes
        params = {}
        for i, (shape, size) in enumerate(zip(shapes, sizes, strict=True), 1):
            params[f"W{i}"], params[f"b{i}"] = weight_scale * np.random.randn(*shape), np.zeros(size)
            if use_batchnorm and i < 3:
                params[f"gamma{i}"], params[f"beta{i}"] = np.ones(size), np.zeros(size)
        self.params = {name: value.astype(dtype) for name, value in params.items()}
        self.bn_params = [{"mode": "train"} for _ in range(2)] if use_batchnorm else []

    def loss(self, X: Array, y: Array | None = None) -> Any:
        """Scores (N, classes) without labels; with them (loss, gradients): the mean cross-entropy + ½ reg ΣW²."""
        for bn_param in self.bn_params:
            bn_param["mode"] = "test" if y is None else "train"
        conv: Any = conv_bn_relu_forward if self.use_batchnorm else conv_relu_forward
        affine: Any = affine_batchnorm_relu_forward if self.use_batchnorm else affine_relu_forward
        out, conv_cache = conv(X.astype(self.dtype), *self.layer(1), self.conv_param, *self.bn_params[:1])
        out, pool_cache = max_pool_forward_fast(out, self.pool_param)
        out, affine_cache = affine(out, *self.layer(2), *self.bn_params[1:])
        scores, scores_cache = affine_forward(out, self.params["W3"], self.params["b3"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        grads = self.gradients(dscores, conv_cache, pool_cache, affine_cache, scores_cache)
        return add_l2(loss, grads, self.params, self.reg)

    def layer(self, i: int) -> list[Array]:
        names = ("W", "b", "gamma", "beta") if self.use_batchnorm else ("W", "b")
        return [self.params[f"{name}{i}"] for name in names]

    def gradients(
        self, dscores: Array, conv_cache: Cache, pool_cache: Cache, affine_cache: Cache, scores_cache: Cache
    ) -> dict[str, Array]:
        """{name: gradient} of all params, from dscores and what the layers kept."""
        conv_backward: Any = conv_bn_relu_backward if self.use_batchnorm else conv_relu_backward
        affine_relu: Any = affine_batchnorm_relu_backward if self.use_batchnorm else affine_relu_backward
        dout, dW3, db3 = affine_backward(dscores, scores_cache)
        dout, *second = affine_relu(dout, affine_cache)
        _, *first = conv_backward(max_pool_backward_fast(dout, pool_cache), conv_cache, input_gradient=False)
        grads = {"W3": dW3, "b3": db3}
        for i, gradients in ((1, first), (2, second)):
            grads.update(zip((f"W{i}", f"b{i}", f"gamma{i}", f"beta{i}"), gradients, strict=False))
        return grads
