"""Layers for images (N, H, W, C): convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..functional.convolution import check_groups, transposed_shape
from ..functional.pooling import pool_geometry
from ..functional.windows import Geometry, Padding, Size, pair, window_geometry
from ..initializers import AnyInitializer
from ..kernels.blocks import ConvolutionKernel
from ..naming import check_count, check_switch
from .activations import ReLU
from .attention import check_sequence
from .base import Gradients, Layer, Pair, Paired
from .normalization import BatchNorm, inference_affine
from .steps import FastStep, bias_of, dbias_of

AnyLayer = TypeVar("AnyLayer", bound=Layer)


class Conv2D(Layer):
    """Small weights slide over images (N, H, W, C) and make images (N, H', W', filters).

    y[n, p, q, o] = Σ_ijc x[n, p s + i d, q s + j d, c] weight[i, j, c, o] + bias[o], where s is the stride and d the
    dilation. The kernel is not flipped (cross-correlation), as everywhere in deep learning.

        H' = ⌊(H + top + bottom - dilation (kernel - 1) - 1) / stride⌋ + 1

    with the padding at the top and at the bottom, and W' likewise.

    Parameters
    ----------
    filters : int
        How many channels come out, 1 or more.
    kernel_size : int or pair of int
        Height and width of the window; one number stands for both, here and below.
    stride : int or pair of int
        From one window to the next.
    padding : int, pair of int, 'same' or 'valid'
        Zeros around the image: so many on either side; 'same' for H' = ⌈H / stride⌉, 'valid' for none.
    dilation : int or pair of int
        From one pixel that a window sees to the next.
    groups : int
        With more than one, channels and filters are cut into that many parts, and each part of the filters sees its
        part of the channels.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`. The bias starts at zero.
    bias : bool
        False leaves the bias out.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'conv2d1'.

    Attributes
    ----------
    parameters : dict
        'weight' (kernel height, kernel width, C / groups, filters), and 'bias' (filters,) unless left out.

    Raises
    ------
    ValueError
        For filters below 1; and when built, for examples that are no images, groups that do not divide the channels,
        a window larger than the padded image.

    See Also
    --------
    handgrad.functional.conv2d_forward : the pair that defines this layer, with conv2d_backward. In a model a faster
        step may run in its place, `handgrad.layers.images.ConvolutionBlock`.

    Examples
    --------
    >>> hg.Conv2D(8, 3).build((28, 28, 1)).output_shape  # 28 - (3 - 1)
    (26, 26, 8)
    >>> hg.Conv2D(8, 3, stride=2, padding=1).build((28, 28, 1)).output_shape
    (14, 14, 8)
    """

    can_skip_input_gradient = True

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        initializer: AnyInitializer = "glorot_uniform",
        bias: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.filters: int = check_count(type(self).__name__, "filters", filters)
        self.kernel_size: Size = kernel_size
        self.stride: Size = stride
        self.padding: Padding = padding
        self.dilation: Size = dilation
        self.groups: int = check_count(type(self).__name__, "groups", groups)
        self.initializer: AnyInitializer = initializers.checked(initializer)
        self.bias: bool = check_switch(type(self).__name__, "bias", bias)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        check_image(self.label, input_shape)
        check_groups(self.label, input_shape[2], self.filters, self.groups)
        kernel = pair(self.label, "kernel_size", self.kernel_size, 1)
        shape = *kernel, input_shape[2] // self.groups, self.filters
        weight = initializers.draw(self.initializer, shape, rng)
        return {"weight": weight, "bias": np.zeros(self.filters)} if self.bias else {"weight": weight}

    def geometry(self, input_shape: Shape) -> Geometry:
        """Where the windows lie on an image of this shape."""
        shape = 1, *input_shape
        return window_geometry(self.label, shape, self.kernel_size, self.stride, self.padding, self.dilation)

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (*self.geometry(input_shape).output, self.filters)

    @property
    def multiply_adds(self) -> int:
        return prod(self.output_shape[:2]) * self.parameters["weight"].size

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        return F.conv2d_forward(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, dweight, dbias = F.conv2d_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}

    def fuse(self, following: Sequence[Layer]) -> ConvolutionBlock | None:
        """One block with what follows of BatchNorm, ReLU and MaxPool2D, in this order."""
        if type(self) is not Conv2D or self.dtype not in (np.float32, np.float64) or not self.is_plain:
            return None
        rest = list(following)
        norm, relu, pool = take(rest, BatchNorm), take(rest, ReLU), take(rest, MaxPool2D)
        return ConvolutionBlock(self, norm, relu, pool)

    @property
    def is_plain(self) -> bool:
        """Stride, dilation and groups 1, and no padding that a window could fall into as a whole."""
        geometry = self.geometry(self.input_shape)
        fits = all(max(pads) < k for pads, k in zip(geometry.padding, geometry.kernel, strict=True))
        return geometry.stride == geometry.dilation == (1, 1) and self.groups == 1 and fits


class Conv1D(Conv2D):
    """Small weights slide over sequences (N, T, C) and make sequences (N, T', filters).

    y[n, t, o] = Σ_ic x[n, t s + i d, c] weight[i, c, o] + bias[o], where s is the stride and d the dilation: a `Conv2D`
    of images that are one row high.

    Parameters
    ----------
    filters : int
        How many channels come out, 1 or more.
    kernel_size, stride, dilation : int
        Steps that a window sees, from one window to the next, and from one step that a window sees to the next.
    padding : int, 'same' or 'valid'
        Zeros at either end; 'same' for T' = ⌈T / stride⌉, 'valid' for none.
    groups : int
        With more than one, channels and filters are cut into that many parts, each by itself.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`. The bias starts at zero.
    bias : bool
        False leaves the bias out.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'conv1d1'.

    Attributes
    ----------
    parameters : dict
        'weight' (kernel, C / groups, filters), and 'bias' (filters,) unless left out.

    Raises
    ------
    ValueError
        For filters or sizes below 1; and when built, for examples that are no sequences, groups that do not divide the
        channels, a window longer than the padded sequence.

    See Also
    --------
    handgrad.functional.conv1d_forward : the pair this layer calls, with conv1d_backward.

    Examples
    --------
    >>> hg.Conv1D(8, 3, padding="same").build((20, 4)).output_shape
    (20, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        initializer: AnyInitializer = "glorot_uniform",
        bias: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(filters, kernel_size, stride, padding, dilation, groups, initializer, bias, name)
        for argument, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)):
            check_count("Conv1D", argument, value)
        self.ends: int | str = padding if isinstance(padding, str) else check_count("Conv1D", "padding", padding, 0)
        self.steps: tuple[int, int, int] = kernel_size, stride, dilation

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        check_sequence(self.label, input_shape, "C")
        check_groups(self.label, input_shape[1], self.filters, self.groups)
        shape = self.steps[0], input_shape[1] // self.groups, self.filters
        weight = initializers.draw(self.initializer, shape, rng)
        return {"weight": weight, "bias": np.zeros(self.filters)} if self.bias else {"weight": weight}

    def geometry(self, input_shape: Shape) -> Geometry:
        """Where the windows lie on a sequence of this shape, one row high."""
        (kernel, stride, dilation), ends = self.steps, self.ends
        across = ends if isinstance(ends, str) else (0, ends)
        return window_geometry(self.label, (1, 1, *input_shape), (1, kernel), (1, stride), across, (1, dilation))

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return self.geometry(input_shape).output[1], self.filters

    @property
    def multiply_adds(self) -> int:
        return self.output_shape[0] * self.parameters["weight"].size

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        _, stride, dilation = self.steps
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        return F.conv1d_forward(x, weight, bias, stride, self.ends, dilation, self.groups)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, dweight, dbias = F.conv1d_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}


class ConvTranspose2D(Layer):
    """Each pixel of images (N, H, W, C) lays a small weight down, which makes larger images (N, H', W', filters).

    The way from dy to dx of a `Conv2D`, used forward:

        H' = (H - 1) stride - 2 padding + kernel + output_padding

    Parameters
    ----------
    filters : int
        How many channels come out, 1 or more.
    kernel_size : int or pair of int
        Height and width of what a pixel lays down; one number stands for both, here and below.
    stride : int or pair of int
        How far apart neighbours lay it down.
    padding : int or pair of int
        So many rows and columns are cut off at either side.
    output_padding : int or pair of int
        Rows and columns more at the bottom and right, fewer than stride.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`. The bias starts at zero.
    bias : bool
        False leaves the bias out.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'convtranspose2d1'.

    Attributes
    ----------
    parameters : dict
        'weight' (kernel height, kernel width, C, filters), and 'bias' (filters,) unless left out.

    Raises
    ------
    ValueError
        For filters below 1; and when built, for examples that are no images, and padding that leaves nothing.

    See Also
    --------
    handgrad.functional.conv_transpose2d_forward : the pair this layer calls, with conv_transpose2d_backward.

    Examples
    --------
    >>> hg.ConvTranspose2D(8, 4, stride=2, padding=1).build((7, 7, 16)).output_shape
    (14, 14, 8)
    """

    can_skip_input_gradient = True

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        initializer: AnyInitializer = "glorot_uniform",
        bias: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.filters: int = check_count("ConvTranspose2D", "filters", filters)
        self.kernel_size: Size = kernel_size
        self.stride: Size = stride
        self.padding: Size = padding
        self.output_padding: Size = output_padding
        self.initializer: AnyInitializer = initializers.checked(initializer)
        self.bias: bool = check_switch("ConvTranspose2D", "bias", bias)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        check_image(self.label, input_shape)
        shape = *pair(self.label, "kernel_size", self.kernel_size, 1), input_shape[2], self.filters
        weight = initializers.draw(self.initializer, shape, rng)
        return {"weight": weight, "bias": np.zeros(self.filters)} if self.bias else {"weight": weight}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        shape, options = self.parameters["weight"].shape, (self.stride, self.padding, self.output_padding)
        return transposed_shape(self.label, (1, *input_shape), shape, *options)[1:]

    @property
    def multiply_adds(self) -> int:
        return prod(self.input_shape[:2]) * self.parameters["weight"].size

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        return F.conv_transpose2d_forward(x, weight, bias, self.stride, self.padding, self.output_padding)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, dweight, dbias = F.conv_transpose2d_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}


def take(layers: list[Layer], kind: type[AnyLayer]) -> AnyLayer | None:
    """Remove and return the first layer if it is of this very class, and a pooling only if its windows tile."""
    layer = layers[0] if layers else None
    if type(layer) is not kind or not isinstance(layer, kind) or (isinstance(layer, MaxPool2D) and not layer.tiles):
        return None
    del layers[0]
    return layer


class Pool2D(Paired, abstract=True):
    """What the two poolings share; kernel_size and padding as in Conv2D, stride is the kernel size unless given."""

    def __init__(
        self, kernel_size: Size = 2, stride: Size | None = None, padding: Padding = 0, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.kernel_size: Size = kernel_size
        self.stride: Size | None = stride
        self.padding: Padding = padding

    def geometry(self, input_shape: Shape) -> Geometry:
        """Where the windows lie on an image of this shape."""
        return pool_geometry(self.label, (1, *input_shape), self.kernel_size, self.stride, self.padding)

    @property
    def tiles(self) -> bool:
        """Whether the windows lie side by side, without padding."""
        geometry = self.geometry(self.input_shape)
        return geometry.kernel == geometry.stride and not any(map(any, geometry.padding))

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        check_image(self.label, input_shape)
        return (*self.geometry(input_shape).output, input_shape[2])

    @property
    def options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding


class MaxPool2D(Pool2D):
    """y = the largest number of each window and channel: (N, H, W, C) becomes (N, H', W', C).

    H' = ⌊(H + top + bottom - kernel) / stride⌋ + 1 with the padding at the top and at the bottom, and W' likewise.
    Its gradient goes whole to the pixel that won, of equal ones to the first.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window; one number stands for both, here and below.
    stride : int or pair of int, optional
        From one window to the next; by default the kernel's size, so that windows lie side by side.
    padding : int, pair of int, 'same' or 'valid'
        Around the image, where it never wins; smaller than the kernel.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'maxpool2d1'.

    Raises
    ------
    ValueError
        When built, for examples that are no images, and for a window larger than the padded image.

    Examples
    --------
    >>> hg.MaxPool2D(2).build((2, 2, 1)).forward(np.arange(4.0).reshape(1, 2, 2, 1)).ravel()
    array([3.], dtype=float32)
    """

    pair: ClassVar[Pair] = F.max_pool2d_forward, F.max_pool2d_backward


class AvgPool2D(Pool2D):
    """y = the mean of each window and channel: (N, H, W, C) becomes (N, H', W', C).

    H' = ⌊(H + top + bottom - kernel) / stride⌋ + 1 with the padding at the top and at the bottom, and W' likewise.
    Its gradient is shared equally among the pixels of the window.

    Parameters
    ----------
    kernel_size : int or pair of int
        Height and width of the window; one number stands for both, here and below.
    stride : int or pair of int, optional
        From one window to the next; by default the kernel's size, so that windows lie side by side.
    padding : int, pair of int, 'same' or 'valid'
        Zeros around the image, which count in the mean; smaller than the kernel.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'avgpool2d1'.

    Raises
    ------
    ValueError
        When built, for examples that are no images, and for a window larger than the padded image.

    Examples
    --------
    >>> hg.AvgPool2D(2).build((2, 2, 1)).forward(np.arange(4.0).reshape(1, 2, 2, 1)).ravel()
    array([1.5], dtype=float32)
    """

    pair: ClassVar[Pair] = F.avg_pool2d_forward, F.avg_pool2d_backward


class GlobalAvgPool2D(Paired):
    """y = the mean of each channel over the whole image: (N, H, W, C) becomes (N, C).

    It ends an image network in place of Flatten, without parameters that depend on the image's size.
    (Lin, Chen & Yan 2013)

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'globalavgpool2d1'.

    Raises
    ------
    ValueError
        When built, for examples that are no images.

    Examples
    --------
    >>> hg.GlobalAvgPool2D().build((7, 7, 32)).output_shape
    (32,)
    """

    pair: ClassVar[Pair] = F.global_avg_pool2d_forward, F.global_avg_pool2d_backward

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        check_image(self.label, input_shape)
        return input_shape[2:]


class GlobalAvgPool1D(GlobalAvgPool2D):
    """y = the mean of each feature over all steps: (N, T, C) becomes (N, C).

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'globalavgpool1d1'.

    Raises
    ------
    ValueError
        When built, for examples that are no sequences.

    Examples
    --------
    >>> hg.GlobalAvgPool1D().build((2, 1)).forward([[[1.0], [3.0]]])
    array([[2.]], dtype=float32)
    """

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        check_sequence(self.label, input_shape)
        return input_shape[1:]

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return super().compute(x[:, None], training)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[MaybeArray, Gradients]:
        dx, gradients = super().differentiate(dy, cache)
        return None if dx is None else dx[:, 0], gradients


class AdaptiveAvgPool2D(Paired):
    """y = the means of as many windows as are asked for, of images of any size: (N, H, W, C) becomes (N, H', W', C).

    Windows are as equal as can be, and overlap where H' does not divide H. For one window see `GlobalAvgPool2D`.

    Parameters
    ----------
    output_size : int or pair of int
        H' and W'; one number stands for both.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'adaptiveavgpool2d1'.

    Raises
    ------
    ValueError
        For one window; and when built, for examples that are no images.

    Examples
    --------
    >>> hg.AdaptiveAvgPool2D(7).build((20, 15, 32)).output_shape
    (7, 7, 32)
    """

    pair: ClassVar[Pair] = F.adaptive_avg_pool2d_forward, F.adaptive_avg_pool2d_backward

    def __init__(self, output_size: Size, name: str | None = None) -> None:
        super().__init__(name)
        if pair("AdaptiveAvgPool2D", "output_size", output_size, 1) == (1, 1):
            raise ValueError("AdaptiveAvgPool2D: one window is the whole image: use GlobalAvgPool2D(), a row of means")
        self.output_size: Size = output_size

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        check_image(self.label, input_shape)
        return (*pair(self.label, "output_size", self.output_size, 1), input_shape[2])

    @property
    def options(self) -> tuple[Any, ...]:
        return (self.output_size,)


def check_image(label: str, input_shape: Shape) -> None:
    if len(input_shape) != 3:
        what = f"{label} works on images (N, H, W, C), got examples of shape {input_shape}"
        raise ValueError(f"{what}: give the images three axes, such as input_shape=(28, 28, 1)")


class ConvolutionBlock(FastStep):
    """Conv2D [BatchNorm] [ReLU] [MaxPool2D] by `ConvolutionKernel`."""

    def __init__(self, conv: Conv2D, norm: BatchNorm | None, relu: Layer | None, pool: MaxPool2D | None) -> None:
        super().__init__([layer for layer in (conv, norm, relu, pool) if layer is not None])
        self.conv: Conv2D = conv
        self.norm: BatchNorm | None = norm
        shape, padding = conv.parameters["weight"].shape, conv.geometry(conv.input_shape).padding
        pooled = pool.geometry(pool.input_shape).kernel if pool else (1, 1)
        about = conv.input_shape, shape, padding, pooled, relu is not None, norm is not None, conv.dtype
        self.kernel: ConvolutionKernel = ConvolutionKernel(*about)

    def serves(self, x: Array, training: bool) -> bool:
        """Batch norm in training: not for one number per channel, which is an error, nor where a gamma is 0 and
        the maximum of the result says nothing about which input made it."""
        if not super().serves(x, training) or self.norm is None or not training:
            return super().serves(x, training)
        height, width, _ = self.norm.input_shape
        return len(x) * height * width > 1 and bool(self.norm.parameters["gamma"].all())

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        weight, bias, norm = self.conv.parameters["weight"], bias_of(self.conv), self.norm
        if not training:
            if norm is not None:
                scale, shift = inference_affine(norm)
                weight, bias = weight * scale, bias * scale + shift
            return self.kernel.infer(x, weight, bias), None
        if norm is None:
            return self.kernel.forward(x, weight, bias)
        gamma, beta = norm.parameters["gamma"], norm.parameters["beta"]
        y, statistics, cache = self.kernel.train_normalized(x, weight, gamma, beta, norm.epsilon)
        norm.update(statistics._replace(mean=statistics.mean + bias))
        return y, cache

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool) -> Array | None:
        weight, dweight, dbias = self.conv.parameters["weight"], self.conv.gradients["weight"], dbias_of(self.conv)
        if self.norm is None:
            return self.kernel.backward(dy, cache, weight, dweight, dbias, input_gradient)
        dbias[...] = 0  # batch norm takes any shift away again
        gradients = dweight, self.norm.gradients["gamma"], self.norm.gradients["beta"]
        return self.kernel.backward_normalized(dy, cache, weight, gradients, input_gradient)
