"""nndl.conv_layers: convolution, max pooling and batch normalization of images (N, C, H, W), weights (F, C, HH, WW).

They loop over the places of a window; those of fast_layers take all places at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...arrays import Array, Cache
from .layers import *


def check_images(layer: str, x: Array, **channels: int) -> None:
    """Refuse x that is not (N, C, H, W), or not of as many channels as the array of that name takes."""
    if x.ndim != 4:
        raise ValueError(f"{layer}: x must be images (N, C, H, W), got {x.shape}")
    for name, number in channels.items():
        if number != x.shape[1]:
            raise ValueError(f"{layer}: x {x.shape} has {x.shape[1]} channels (N, C, H, W), but {name} takes {number}")


def pad_of(conv_param: Mapping[str, Any]) -> int:
    """The padding, which may be a whole float, as the homework's (filter_size - 1) / 2."""
    pad = conv_param["pad"]
    if pad != int(pad):
        raise ValueError(f"conv_param['pad'] must be a whole number, got {pad}: only odd filters keep the size")
    return int(pad)


def padded(x: Array, pad: int) -> Array:
    """x with a frame of zeros around each image."""
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def output_size(shape: Sequence[int], height: int, width: int, stride: int) -> tuple[int, int]:
    """(H', W') of windows over images of this shape (N, C, H, W); ValueError where none fits in."""
    if height > shape[2] or width > shape[3]:
        images = f"images of {shape[2]}x{shape[3]}, padding included"
        raise ValueError(f"windows of {height}x{width} do not fit into {images}")
    return 1 + (shape[2] - height) // stride, 1 + (shape[3] - width) // stride


def places(shape: Sequence[int], height: int, width: int, stride: int) -> Iterator[tuple[int, int, slice, slice]]:
    """(i, j, rows, columns): where the window of each output is in images of this shape (N, C, H, W)."""
    for i, top in enumerate(range(0, shape[2] - height + 1, stride)):
        for j, left in enumerate(range(0, shape[3] - width + 1, stride)):
            yield i, j, slice(top, top + height), slice(left, left + width)


def conv_forward_naive(x: Array, w: Array, b: Array, conv_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Cross-correlate x, padded by zeros, with w: H' = 1 + (H + 2 pad - HH) // stride; cache (x, w, b, conv_param)."""
    check_images("convolution", x, w=w.shape[1])
    pad, stride = pad_of(conv_param), int(conv_param["stride"])
    x_pad, (count, _, height, width) = padded(x, pad), w.shape
    size = output_size(x_pad.shape, height, width, stride)
    out = np.empty((len(x), count, *size), np.result_type(x, w))
    for i, j, rows, columns in places(x_pad.shape, height, width, stride):
        out[:, :, i, j] = np.tensordot(x_pad[:, :, rows, columns], w, axes=((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dw, db)."""
    x, w, _, conv_param = cache
    pad, stride = pad_of(conv_param), int(conv_param["stride"])
    x_pad, dw = padded(x, pad), np.zeros_like(w)
    dx_pad = np.zeros_like(x_pad)
    for i, j, rows, columns in places(x_pad.shape, w.shape[2], w.shape[3], stride):
        dw += np.tensordot(dout[:, :, i, j], x_pad[:, :, rows, columns], axes=(0, 0))
        dx_pad[:, :, rows, columns] += np.tensordot(dout[:, :, i, j], w, axes=1)
    dx = dx_pad[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dx, dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x: Array, pool_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """The largest number of each window, H' = 1 + (H - pool_height) // stride; cache (x, pool_param)."""
    check_images("max_pool", x)
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    size = output_size(x.shape, height, width, stride)
    out = np.empty((*x.shape[:2], *size), x.dtype)
    for i, j, rows, columns in places(x.shape, height, width, stride):
        out[:, :, i, j] = x[:, :, rows, columns].max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward_naive(dout: Array, cache: Cache) -> Array:
    """dx: each dout goes to its window's winner, of equal ones the first."""
    x, pool_param = cache
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    dx, (n, c) = np.zeros(x.shape, dout.dtype), np.indices(x.shape[:2])
    for i, j, rows, columns in places(x.shape, height, width, stride):
        winner = x[:, :, rows, columns].reshape(*x.shape[:2], -1).argmax(axis=2)
        dx[n, c, rows.start + winner // width, columns.start + winner % width] += dout[:, :, i, j]
    return dx


def spatial_batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """batchnorm_forward per channel, over examples and places; running averages (C,)."""
    check_images("spatial_batchnorm", x, gamma=len(gamma), beta=len(beta))
    seen = x.transpose(0, 2, 3, 1)
    out, cache = batchnorm_forward(seen.reshape(-1, seen.shape[3]), gamma, beta, bn_param)
    return out.reshape(seen.shape).transpose(0, 3, 1, 2), cache


def spatial_batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    seen = dout.transpose(0, 2, 3, 1)
    dx, dgamma, dbeta = batchnorm_backward(seen.reshape(-1, seen.shape[3]), cache)
    return dx.reshape(seen.shape).transpose(0, 3, 1, 2), dgamma, dbeta
