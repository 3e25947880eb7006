"""Convolution of images: one small weight slides over the picture, the same at every place.

>>> x = np.arange(9.0).reshape(1, 3, 3, 1)
>>> difference = np.array([-1.0, 1.0]).reshape(1, 2, 1, 1)  # of a pixel and the one to its left
>>> y, cache = conv2d_forward(x, difference)
>>> y[0, :, :, 0]
array([[1., 1.],
       [1., 1.],
       [1., 1.]])
>>> dx, dweight, dbias = conv2d_backward(np.ones_like(y), cache)
>>> dx[0, :, :, 0]
array([[-1.,  0.,  1.],
       [-1.,  0.,  1.],
       [-1.,  0.,  1.]])

Derivations: docs/derivations/convolution.md.
"""

from typing import Any

import numpy as np

from ..arrays import Array, Cache, MaybeArray, Shape
from ..kernels.products import windows_gradient, windows_times
from .windows import (
    Padding,
    Size,
    add_windows,
    check_channels,
    check_images,
    check_upstream,
    pair,
    window_geometry,
    windows,
)


def conv2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> tuple[Array, Cache]:
    """y[n, p, q, o] = Σ_ijc x[n, p s + i d, q s + j d, c] weight[i, j, c, o] + bias[o], with x padded by zeros.

    x is (N, H, W, C), weight (kh, kw, C / groups, out), bias (out,) or None, y (N, H', W', out). stride s,
    padding and dilation d are an int or a pair (vertical, horizontal); padding also 'same' or 'valid'. With
    groups > 1 the channels are cut into that many parts, and each part of the outputs sees its part of the inputs.
    The kernel is not flipped (cross-correlation), as everywhere in deep learning. (LeCun et al. 1989)
    """
    check_weight(x.shape, weight.shape, None if bias is None else np.shape(bias), groups)
    geometry = window_geometry("conv2d", x.shape, weight.shape[:2], stride, padding, dilation)
    seen = windows(x, geometry)
    parts = [windows_times(seen[..., i], weight[..., out]) for i, out in channel_groups(weight.shape, groups)]
    y = parts[0] if groups == 1 else np.concatenate(parts, axis=3)
    if bias is not None:
        y = y + bias
    return y, (seen, weight, bias is not None, x.shape, geometry, groups)


def conv2d_backward(dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, MaybeArray]:
    """dweight = Σ over all windows of window ⊗ dy, dbias = Σ dy, and dx gives each window weight · dy, added up.

    input_gradient=False puts None in dx's place: nothing below the first layer needs it.
    """
    seen, weight, has_bias, x_shape, geometry, groups = cache
    check_upstream("conv2d", dy, (*seen.shape[:3], weight.shape[3]))
    dweight = np.empty(weight.shape, dtype=np.result_type(seen, dy))
    dseen = np.empty(seen.shape, dtype=np.result_type(weight, dy)) if input_gradient else None
    for inputs, outputs in channel_groups(weight.shape, groups):
        dpart = dy[..., outputs]
        dweight[..., outputs] = windows_gradient(seen[..., inputs], dpart)
        if dseen is not None:
            dseen[..., inputs] = np.tensordot(dpart, weight[..., outputs], axes=(3, 3))
    dx = None if dseen is None else add_windows(dseen, geometry, x_shape)
    return dx, dweight, dy.sum(axis=(0, 1, 2)) if has_bias else None


def conv1d_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> tuple[Array, Cache]:
    """y[n, t, o] = Σ_ic x[n, t s + i d, c] weight[i, c, o] + bias[o]: conv2d of images that are one row high.

    x is (N, T, C), weight (k, C / groups, out), bias (out,) or None, y (N, T', out); the rest as in conv2d_forward.
    """
    if x.ndim != 3 or weight.ndim != 3:
        what = "conv1d: x must be (N, T, C) and weight (k, C / groups, out)"
        raise ValueError(f"{what}, got {x.shape} and {weight.shape}")
    across = padding if isinstance(padding, str) else (0, padding)
    y, cache = conv2d_forward(x[:, None], weight[None], bias, (1, stride), across, (1, dilation), groups)
    return y[:, 0], cache


def conv1d_backward(dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, MaybeArray]:
    """dx, dweight and dbias of conv2d, without the axis of the one row."""
    dx, dweight, dbias = conv2d_backward(dy[:, None], cache, input_gradient)
    return None if dx is None else dx[:, 0], dweight[0], dbias


def conv_transpose2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
) -> tuple[Array, Cache]:
    """y[n, p s + i, q s + j, o] += Σ_c x[n, p, q, c] weight[i, j, c, o]: each pixel lays the kernel down, + bias[o].

    That is conv2d's way from dy to dx, so that it makes images larger: H' = (H - 1) stride - 2 padding + kernel +
    output_padding. x is (N, H, W, C), weight (kh, kw, C, out), bias (out,) or None, y (N, H', W', out); padding is cut
    off y, and output_padding, below stride, adds rows and columns at the bottom and right. (Zeiler et al. 2010)
    """
    shape = transposed_shape("conv_transpose2d", x.shape, weight.shape, stride, padding, output_padding)
    if bias is not None and bias.shape != shape[3:]:
        raise ValueError(f"conv_transpose2d: bias must be {shape[3:]}, got {bias.shape}")
    geometry = window_geometry("conv_transpose2d", shape, weight.shape[:2], stride, padding)
    y = add_windows(np.tensordot(x, weight, axes=(3, 2)), geometry, shape)
    return y if bias is None else y + bias, (x, weight, bias is not None, geometry)


def conv_transpose2d_backward(
    dy: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, MaybeArray]:
    """dx is conv2d of dy; dweight = Σ over all pixels of x ⊗ the window of dy that it was laid on; dbias = Σ dy.

    input_gradient=False puts None in dx's place: nothing below the first layer needs it.
    """
    x, weight, has_bias, geometry = cache
    seen = windows(dy, geometry)
    dweight = np.tensordot(x, seen, axes=((0, 1, 2), (0, 1, 2))).transpose(1, 2, 0, 3)
    dx = np.tensordot(seen, weight, axes=((3, 4, 5), (0, 1, 3))) if input_gradient else None
    return dx, dweight, dy.sum(axis=(0, 1, 2)) if has_bias else None


def transposed_shape(
    name: str, x_shape: Shape, weight_shape: Shape, stride: Size, padding: Size, output_padding: Size
) -> Shape:
    """(N, H', W', out) of a transposed convolution; ValueError for arrays that do not fit."""
    check_images(name, x_shape)
    if len(weight_shape) != 4:
        raise ValueError(f"{name}: weight must be (kh, kw, C, out), but has shape {weight_shape}")
    check_channels(name, x_shape, weight_shape[2])
    strides, cut = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0)
    more = pair(name, "output_padding", output_padding, 0)
    if any(m >= s for m, s in zip(more, strides, strict=True)):
        raise ValueError(f"{name}: output_padding must be below stride {stride}, got {output_padding}")
    sizes = zip(x_shape[1:3], strides, cut, weight_shape[:2], more, strict=True)
    height, width = ((size - 1) * s - 2 * p + k + m for size, s, p, k, m in sizes)
    if min(height, width) < 1:
        raise ValueError(f"{name}: padding {padding} cuts off the whole image: use less")
    return x_shape[0], height, width, weight_shape[3]


def channel_groups(weight_shape: Shape, groups: int) -> list[tuple[slice, slice]]:
    """The slices (input channels, output channels) of each group."""
    inputs, outputs = weight_shape[2], weight_shape[3] // groups
    return [(slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)) for g in range(groups)]


def check_weight(x_shape: Shape, weight_shape: Shape, bias_shape: Shape | None, groups: int) -> None:
    """Refuse x, weight and bias that do not fit each other."""
    check_images("conv2d", x_shape)
    if len(weight_shape) != 4 or 0 in weight_shape:
        what = "conv2d: weight must be (kh, kw, C / groups, out), each 1 or more"
        raise ValueError(f"{what}, but has shape {tuple(weight_shape)}")
    if bias_shape not in (None, weight_shape[3:]):
        wanted = f"one number per filter of weight (kh, kw, C / groups, out) {tuple(weight_shape)}"
        raise ValueError(f"conv2d: bias must be {weight_shape[3:]}, {wanted}, but has shape {bias_shape}")
    check_groups("conv2d", x_shape[3], weight_shape[3], groups)
    check_channels("conv2d", x_shape, weight_shape[2] * groups)


def check_groups(name: str, channels: int, filters: int, groups: Any) -> None:
    """Refuse a number of groups that does not divide channels and filters."""
    if not isinstance(groups, (int, np.integer)) or groups < 1 or channels % groups or filters % groups:
        what = f"the {channels} input channels and the {filters} filters"
        raise ValueError(f"{name}: groups={groups!r} must divide {what}")
