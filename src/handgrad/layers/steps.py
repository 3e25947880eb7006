"""What a model runs in place of its layers where that is faster: a run of image layers in one go, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..kernels.blocks import BatchNormKernel, ConvolutionKernel, Normalization
from ..kernels.products import shared_affine, shared_affine_gradients
from .base import NOTHING, Layer
from .containers import Step

if TYPE_CHECKING:
    from .dense import Linear
    from .images import Conv2D, MaxPool2D
    from .normalization import BatchNorm


class FastStep(Step):
    """A step by one of `handgrad.kernels`: the results and messages of its layers, which run what it cannot take."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__(layers)
        self._cache: Any = NOTHING

    def serves(self, x: Array, training: bool) -> bool:
        """Whether the fast way can take this x; the layers themselves are run otherwise."""
        return x.dtype == self.layers[0].dtype and len(x) > 0

    def compute(self, x: Array, training: bool) -> tuple[Array, Any]:
        """y and, in training, what `differentiate` needs besides dy."""
        raise NotImplementedError

    def differentiate(self, dy: Array, cache: Any, input_gradient: bool) -> Array | None:
        """dx or None; the layers' gradients are written."""
        raise NotImplementedError

    def forward(self, x: Array, training: bool = False) -> Array:
        if not self.serves(x, training):
            self._cache = NOTHING
            for layer in self.layers:
                x = layer.forward(x, training)
            return x
        y, cache = self.compute(x, training)
        if training:
            self._cache = cache, y.shape
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if self._cache is NOTHING:
            for i in range(len(self.layers) - 1, -1, -1):
                dy = self.layers[i].backward(dy, input_gradient or i > 0)
            return dy
        cache, shape = self._cache
        if dy.shape != shape:
            raise ValueError(f"{self.layers[-1].label}.backward expected dy of shape {shape}, got {dy.shape}")
        self._cache = NOTHING
        return self.differentiate(np.ascontiguousarray(dy, self.layers[0].dtype), cache, input_gradient)

    def clear_cache(self) -> None:
        self._cache = NOTHING
        super().clear_cache()


class ConvolutionBlock(FastStep):
    """Conv2D [BatchNorm] [ReLU] [MaxPool2D] by `ConvolutionKernel`."""

    def __init__(self, conv: Conv2D, norm: BatchNorm | None, relu: Layer | None, pool: MaxPool2D | None) -> None:
        super().__init__([layer for layer in (conv, norm, relu, pool) if layer is not None])
        self.conv, self.norm = conv, norm
        self.kernel = ConvolutionKernel(
            conv.input_shape,
            conv.parameters["weight"].shape,
            conv.geometry(conv.input_shape).padding,
            pool.geometry(pool.input_shape).kernel if pool else (1, 1),
            relu is not None,
            norm is not None,
            conv.dtype,
        )

    def serves(self, x: Array, training: bool) -> bool:
        """Batch norm in training: not for one number per channel, which is an error, nor where a gamma is 0 and
        the maximum of the result says nothing about which input made it."""
        if not super().serves(x, training) or self.norm is None or not training:
            return super().serves(x, training)
        height, width, _ = self.norm.input_shape
        return len(x) * height * width > 1 and bool(self.norm.parameters["gamma"].all())

    def compute(self, x: Array, training: bool) -> tuple[Array, Any]:
        weight, bias, norm = self.conv.parameters["weight"], bias_of(self.conv), self.norm
        if norm is None:
            return (self.kernel.train if training else self.kernel.infer)(x, weight, bias), None
        if not training:
            scale, shift = inference_affine(norm)
            return self.kernel.infer(x, weight * scale, bias * scale + shift), None
        gamma, beta = norm.parameters["gamma"], norm.parameters["beta"]
        y, statistics, cache = self.kernel.train_normalized(x, weight, gamma, beta, float(norm.epsilon))
        norm.update(statistics._replace(mean=statistics.mean + bias))
        return y, cache

    def differentiate(self, dy: Array, cache: Any, input_gradient: bool) -> Array | None:
        weight, dweight, dbias = self.conv.parameters["weight"], self.conv.gradients["weight"], dbias_of(self.conv)
        if self.norm is None:
            return self.kernel.backward(dy, weight, dweight, dbias, input_gradient)
        dbias[...] = 0  # batch norm takes any shift away again
        dgamma, dbeta = self.norm.gradients["gamma"], self.norm.gradients["beta"]
        return self.kernel.backward_normalized(dy, cache, weight, dweight, dgamma, dbeta, input_gradient)


class SharedLinear(FastStep):
    """Linear, its products shared out among threads."""

    def __init__(self, layer: Linear) -> None:
        super().__init__([layer])
        self.layer = layer

    def compute(self, x: Array, training: bool) -> tuple[Array, Array]:
        return shared_affine(x, self.layer.parameters["weight"], bias_of(self.layer)), x

    def differentiate(self, dy: Array, cache: Array, input_gradient: bool) -> Array | None:
        weight, dweight = self.layer.parameters["weight"], self.layer.gradients["weight"]
        return shared_affine_gradients(cache, weight, dy, dweight, dbias_of(self.layer), input_gradient)


class SharedBatchNorm(FastStep):
    """BatchNorm, the batch shared out among threads."""

    def __init__(self, norm: BatchNorm) -> None:
        super().__init__([norm])
        self.norm, self.kernel = norm, BatchNormKernel(norm.dtype)

    def serves(self, x: Array, training: bool) -> bool:
        return super().serves(x, training) and (not training or x.size > x.shape[-1])

    def compute(self, x: Array, training: bool) -> tuple[Array, Any]:
        norm, x = self.norm, np.ascontiguousarray(x)
        if not training:
            return self.kernel.infer(x, *inference_affine(norm)), None
        gamma, beta = norm.parameters["gamma"], norm.parameters["beta"]
        y, normalization = self.kernel.train(x, gamma, beta, float(norm.epsilon))
        norm.update(normalization.statistics)
        return y, (x, normalization)

    def differentiate(self, dy: Array, cache: tuple[Array, Normalization], input_gradient: bool) -> Array | None:
        return self.kernel.backward(dy, *cache, self.norm.gradients["gamma"], self.norm.gradients["beta"])


def bias_of(layer: Conv2D | Linear) -> Array:
    """The layer's bias, or zeros where it has none."""
    return layer.parameters["bias"] if layer.bias else np.zeros(layer.output_shape[-1], layer.dtype)


def dbias_of(layer: Conv2D | Linear) -> Array:
    """Where the bias's gradient is written: memory that nobody reads where the layer has no bias."""
    return layer.gradients["bias"] if layer.bias else np.zeros(layer.output_shape[-1], layer.dtype)


def inference_affine(norm: BatchNorm) -> tuple[Array, Array]:
    """Batch norm at inference is y = scale x + shift."""
    scale = norm.parameters["gamma"] / np.sqrt(norm.state["running_var"] + float(norm.epsilon))
    return scale, norm.parameters["beta"] - norm.state["running_mean"] * scale
