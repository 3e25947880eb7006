"""What a model runs in place of its layers where that is faster: runs of image layers in one sweep over the batch."""

import numpy as np

from ..functional.normalization import update_running
from ..functional.windows import window_geometry
from ..kernels.fused import FusedConvolution
from ..kernels.linear import linear, linear_gradients
from ..kernels.normalization import SharedBatchNorm
from .activations import ReLU
from .base import NOTHING
from .convolution import Conv2D
from .linear import Linear
from .normalization import BatchNorm
from .pooling import MaxPool2D


def fuse(layers):
    """The steps that do what layers (built) do: fused blocks for the runs that have one, the other layers as they are.

    A run is Conv2D, then if present BatchNorm, ReLU and MaxPool2D in this order. Only the library's own classes are
    replaced, in single or double precision; a subclass runs as it was written.
    """
    steps, rest = [], list(layers)
    while rest:
        run = fusible_run(rest)
        steps.append(ConvolutionBlock(run) if run else rest[0])
        rest = rest[len(run) or 1 :]
    if any(isinstance(step, ConvolutionBlock) for step in steps):
        # next to worker threads, BLAS must not use threads of its own: share its products out, too
        steps = [SHARED[type(step)](step) if type(step) in SHARED else step for step in steps]
    return steps


def fusible_run(layers):
    """The longest opening run of layers that a ConvolutionBlock can do, or []."""
    conv = layers[0]
    if type(conv) is not Conv2D or conv.dtype not in (np.float32, np.float64) or not is_plain(conv):
        return []
    run = [conv]
    for kind in (BatchNorm, ReLU, MaxPool2D):
        following = layers[len(run)] if len(run) < len(layers) else None
        if type(following) is kind and (kind is not MaxPool2D or lies_side_by_side(following)):
            run.append(following)
    return run


def is_plain(conv):
    """Stride, dilation and groups 1, and no padding that a window could fall into as a whole."""
    geometry = conv_geometry(conv)
    fits = all(max(pads) < k for pads, k in zip(geometry.padding, geometry.kernel, strict=True))
    return geometry.stride == geometry.dilation == (1, 1) and conv.groups == 1 and fits


def conv_geometry(conv):
    return window_geometry(
        conv.label, (1, *conv.input_shape), conv.kernel_size, conv.stride, conv.padding, conv.dilation
    )


def pool_geometry(pool):
    stride = pool.kernel_size if pool.stride is None else pool.stride
    return window_geometry(pool.label, (1, *pool.input_shape), pool.kernel_size, stride, pool.padding)


def lies_side_by_side(pool):
    geometry = pool_geometry(pool)
    return geometry.kernel == geometry.stride and not any(map(any, geometry.padding))


class Step:
    """A step of a model's route that stands for a run of layers: same results, same messages."""

    def __init__(self, layers):
        self.layers, self._cache = layers, NOTHING

    def serves(self, x, training):
        """Whether the fast way can take this x; the layers themselves are run otherwise."""
        return x.dtype == self.layers[0].dtype and len(x) > 0

    def compute(self, x, training):
        """y and, in training, what `differentiate` needs besides dy."""
        raise NotImplementedError

    def differentiate(self, dy, cache, input_gradient):
        """dx or None; the layers' gradients are written."""
        raise NotImplementedError

    @property
    def num_parameters(self):
        return sum(layer.num_parameters for layer in self.layers)

    def forward(self, x, training=False):
        if not self.serves(x, training):
            self._cache = NOTHING
            for layer in self.layers:
                x = layer.forward(x, training)
            return x
        y, cache = self.compute(x, training)
        if training:
            self._cache = cache, y.shape
        return y

    def backward(self, dy, input_gradient=True):
        if self._cache is NOTHING:
            for i in range(len(self.layers) - 1, -1, -1):
                dy = self.layers[i].backward(dy, input_gradient or i > 0)
            return dy
        cache, shape = self._cache
        if dy.shape != shape:
            raise ValueError(f"{self.layers[-1].label}.backward expected dy of shape {shape}, got {dy.shape}")
        self._cache = NOTHING
        return self.differentiate(np.ascontiguousarray(dy, self.layers[0].dtype), cache, input_gradient)

    def clear_cache(self):
        self._cache = NOTHING
        for layer in self.layers:
            layer.clear_cache()


class ConvolutionBlock(Step):
    """Conv2D [BatchNorm] [ReLU] [MaxPool2D] by `handgrad.kernels.fused`."""

    def __init__(self, layers):
        super().__init__(layers)
        found = {type(layer): layer for layer in layers}
        self.conv, self.norm, pool = found[Conv2D], found.get(BatchNorm), found.get(MaxPool2D)
        self.kernel = FusedConvolution(
            self.conv.input_shape,
            self.conv.parameters["weight"].shape,
            conv_geometry(self.conv).padding,
            pool_geometry(pool).kernel if pool else (1, 1),
            ReLU in found,
            self.norm is not None,
            self.conv.dtype,
        )

    def serves(self, x, training):
        """Batch norm in training: not for one number per channel, which is an error, nor where a gamma is 0 and
        the maximum of the result says nothing about which input made it."""
        if not super().serves(x, training) or self.norm is None or not training:
            return super().serves(x, training)
        return self.count(x) > 1 and self.norm.parameters["gamma"].all()

    def count(self, x):
        return len(x) * self.norm.input_shape[0] * self.norm.input_shape[1]

    def compute(self, x, training):
        weight = self.conv.parameters["weight"]
        bias = bias_of(self.conv, "parameters")
        if self.norm is None:
            return (self.kernel.train if training else self.kernel.infer)(x, weight, bias), None
        if not training:
            scale, shift = inference_affine(self.norm)
            return self.kernel.infer(x, weight * scale, bias * scale + shift), None
        gamma, beta = self.norm.parameters["gamma"], self.norm.parameters["beta"]
        y, mean, var = self.kernel.train_normalized(x, weight, gamma, beta, float(self.norm.epsilon))
        update_averages(self.norm, mean + bias, var, self.count(x))
        return y, None

    def differentiate(self, dy, cache, input_gradient):
        weight, gradients = self.conv.parameters["weight"], self.conv.gradients
        dbias = bias_of(self.conv, "gradients")
        if self.norm is None:
            return self.kernel.backward(dy, weight, gradients["weight"], dbias, input_gradient)
        dbias[...] = 0  # batch norm takes any shift away again
        dgamma, dbeta = self.norm.gradients["gamma"], self.norm.gradients["beta"]
        return self.kernel.backward_normalized(dy, weight, gradients["weight"], dgamma, dbeta, input_gradient)


def bias_of(layer, group):
    """The layer's bias or its gradient; where it has none, zeros that nobody reads again."""
    return getattr(layer, group)["bias"] if layer.bias else np.zeros(layer.output_shape[-1], layer.dtype)


class SharedLinear(Step):
    """Linear by `handgrad.kernels.linear`."""

    def __init__(self, layer):
        super().__init__([layer])

    def compute(self, x, training):
        return linear(x, self.layers[0].parameters["weight"], bias_of(self.layers[0], "parameters")), x

    def differentiate(self, dy, cache, input_gradient):
        layer = self.layers[0]
        return linear_gradients(
            cache,
            layer.parameters["weight"],
            dy,
            layer.gradients["weight"],
            bias_of(layer, "gradients"),
            input_gradient,
        )


class SharedNorm(Step):
    """BatchNorm by `handgrad.kernels.normalization`."""

    def __init__(self, layer):
        super().__init__([layer])
        self.norm, self.kernel = layer, SharedBatchNorm(layer.dtype)

    def serves(self, x, training):
        return super().serves(x, training) and (not training or x.size > x.shape[-1])

    def compute(self, x, training):
        if not training:
            return self.kernel.infer(np.ascontiguousarray(x), *inference_affine(self.norm)), None
        x = np.ascontiguousarray(x)
        gamma, beta = self.norm.parameters["gamma"], self.norm.parameters["beta"]
        y, mean, var = self.kernel.train(x, gamma, beta, float(self.norm.epsilon))
        update_averages(self.norm, mean, var, x.size // len(gamma))
        return y, x

    def differentiate(self, dy, cache, input_gradient):
        return self.kernel.backward(dy, cache, self.norm.gradients["gamma"], self.norm.gradients["beta"])


def inference_affine(norm):
    """Batch norm at inference is y = scale x + shift."""
    scale = norm.parameters["gamma"] / np.sqrt(norm.state["running_var"] + float(norm.epsilon))
    return scale, norm.parameters["beta"] - norm.state["running_mean"] * scale


def update_averages(norm, mean, var, count):
    update_running(norm.state["running_mean"], mean, float(norm.momentum))
    update_running(norm.state["running_var"], var * (count / (count - 1)), float(norm.momentum))


SHARED = {Linear: SharedLinear, BatchNorm: SharedNorm}
