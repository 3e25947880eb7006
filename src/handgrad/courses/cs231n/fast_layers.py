"""fast_layers: convolution and max pooling for images (N, C, H, W); one implementation stands behind all the names.

CS231n's needs a compiled im2col_cython, has several ways of which one is fast, and a wrong index for filters that are
not square. Here the library's product over windows does all; caches begin as those of the naive layers do.
"""

from collections.abc import Mapping
from typing import Any

from ... import functional as F
from ...arrays import Array, Cache, MaybeArray
from ..nndl.conv_layers import check_images, pad_of


def channels_last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)


def channels_first(x: Array) -> Array:
    return x.transpose(0, 3, 1, 2)


def conv_forward_strides(x: Array, w: Array, b: Array, conv_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """nndl.conv_layers.conv_forward_naive, with a cache that backward need not make anew."""
    check_images("convolution", x, w=w.shape[1])
    stride, pad = int(conv_param["stride"]), pad_of(conv_param)
    out, cache = F.conv2d_forward(channels_last(x), w.transpose(2, 3, 1, 0), b, stride, pad)
    return channels_first(out), (x, w, b, conv_param, cache)


def conv_backward_strides(
    dout: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, MaybeArray]:
    """(dx, dw, db); input_gradient=False, ours, puts None in dx's place: the first layer needs none."""
    dx, dw, db = F.conv2d_backward(channels_last(dout), cache[-1], input_gradient)
    return channels_first(dx) if input_gradient else None, dw.transpose(3, 2, 0, 1), db


def max_pool_forward_fast(x: Array, pool_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """nndl.conv_layers.max_pool_forward_naive, with a cache that backward need not make anew."""
    check_images("max_pool", x)
    size = pool_param["pool_height"], pool_param["pool_width"]
    out, cache = F.max_pool2d_forward(channels_last(x), size, pool_param["stride"])
    return channels_first(out), (x, pool_param, cache)


def max_pool_backward_fast(dout: Array, cache: Cache) -> Array:
    """dx."""
    return channels_first(F.max_pool2d_backward(channels_last(dout), cache[-1])[0])


def max_pool_forward_reshape(x: Array, pool_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """max_pool_forward_fast where square windows tile the image; ValueError elsewhere."""
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    if not height == width == stride or x.shape[2] % height or x.shape[3] % width:
        raise ValueError(
            f"Invalid pool params: windows {height}x{width} with stride {stride} do not tile images of "
            f"{x.shape[2]}x{x.shape[3]} as squares; max_pool_forward_fast takes any"
        )
    return max_pool_forward_fast(x, pool_param)


conv_forward_fast = conv_forward_strides
conv_forward_im2col = conv_forward_strides
conv_backward_fast = conv_backward_strides
conv_backward_im2col = conv_backward_strides
max_pool_forward_im2col = max_pool_forward_fast
max_pool_backward_im2col = max_pool_backward_fast
max_pool_backward_reshape = max_pool_backward_fast
