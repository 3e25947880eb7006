"""nndl.conv_layers: convolution, max pooling and batch normalization of images (N, C, H, W), weights (F, C, HH, WW).

Outputs are views of handgrad's (N, H, W, C) arrays with the axes moved, so that layers in a row copy nothing.
"""

from collections.abc import Mapping
from typing import Any

from ... import functional as F
from ...arrays import Array, Cache, MaybeArray
from . import layers
from .layers import *  # noqa: F403 (for the scripts, see nndl/__init__.py)
from .layers import batchnorm_backward, batchnorm_forward

__all__ = [
    "conv_backward_naive",
    "conv_forward_naive",
    "max_pool_backward_naive",
    "max_pool_forward_naive",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    *layers.__all__,
]


def check_images(layer: str, x: Array, **channels: int) -> None:
    """Refuse x that is not (N, C, H, W), or not of as many channels as the array of that name takes."""
    if x.ndim != 4:
        raise ValueError(f"{layer}: x must be images (N, C, H, W), got {x.shape}")
    for name, number in channels.items():
        if number != x.shape[1]:
            raise ValueError(f"{layer}: x {x.shape} has {x.shape[1]} channels (N, C, H, W), but {name} takes {number}")


def channels_last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)


def channels_first(x: Array) -> Array:
    return x.transpose(0, 3, 1, 2)


def convolve(x: Array, w: Array, b: Array, conv_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """(out (N, F, H', W'), handgrad's cache); the pad may be a whole float, as the homework's (filter_size - 1) / 2."""
    check_images("convolution", x, w=w.shape[1])
    pad = conv_param["pad"]
    if pad != int(pad):
        raise ValueError(f"conv_param['pad'] must be a whole number, got {pad}: only odd filters keep the size")
    out, cache = F.conv2d_forward(channels_last(x), w.transpose(2, 3, 1, 0), b, int(conv_param["stride"]), int(pad))
    return channels_first(out), cache


def convolve_backward(dout: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, MaybeArray]:
    dx, dw, db = F.conv2d_backward(channels_last(dout), cache, input_gradient)
    return channels_first(dx) if input_gradient else None, dw.transpose(3, 2, 0, 1), db


def pool(x: Array, pool_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    check_images("max_pool", x)
    size = pool_param["pool_height"], pool_param["pool_width"]
    out, cache = F.max_pool2d_forward(channels_last(x), size, pool_param["stride"])
    return channels_first(out), cache


def pool_backward(dout: Array, cache: Cache) -> Array:
    return channels_first(F.max_pool2d_backward(channels_last(dout), cache)[0])


def conv_forward_naive(x: Array, w: Array, b: Array, conv_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Cross-correlate x, padded by zeros, with w: H' = 1 + (H + 2 pad - HH) // stride; cache (x, w, b, conv_param)."""
    return convolve(x, w, b, conv_param)[0], (x, w, b, conv_param)


def conv_backward_naive(dout: Array, cache: Cache) -> tuple[MaybeArray, Array, MaybeArray]:
    """(dx, dw, db); the forward is run again, as the course's cache holds only its arguments."""
    return convolve_backward(dout, convolve(*cache)[1])


def max_pool_forward_naive(x: Array, pool_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """The largest number of each window, H' = 1 + (H - pool_height) // stride; cache (x, pool_param)."""
    return pool(x, pool_param)[0], (x, pool_param)


def max_pool_backward_naive(dout: Array, cache: Cache) -> Array:
    """dx: each dout goes to its window's winner, of equal ones the first."""
    return pool_backward(dout, pool(*cache)[1])


def spatial_batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """batchnorm_forward per channel, over examples and places; running averages (C,)."""
    check_images("spatial_batchnorm", x, gamma=len(gamma), beta=len(beta))
    seen = channels_last(x)
    out, cache = batchnorm_forward(seen.reshape(-1, seen.shape[3]), gamma, beta, bn_param)
    return channels_first(out.reshape(seen.shape)), cache


def spatial_batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    seen = channels_last(dout)
    dx, dgamma, dbeta = batchnorm_backward(seen.reshape(-1, seen.shape[3]), cache)
    return channels_first(dx.reshape(seen.shape)), dgamma, dbeta
