"""nndl.conv_layer_utils: convolutions with what usually follows them, on the fast layers."""

from collections.abc import Mapping
from typing import Any

from ...arrays import Array, Cache, MaybeArray
from ..cs231n.fast_layers import *
from .conv_layers import *


def conv_relu_forward(x: Array, w: Array, b: Array, conv_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """relu(conv(x))."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    out, relu_cache = relu_forward(a)
    return out, (conv_cache, relu_cache)


def conv_relu_backward(dout: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, MaybeArray]:
    """(dx, dw, db); dx is None without input_gradient."""
    conv_cache, relu_cache = cache
    return conv_backward_fast(relu_backward(dout, relu_cache), conv_cache, input_gradient)


def conv_bn_relu_forward(
    x: Array, w: Array, b: Array, gamma: Array, beta: Array, conv_param: Mapping[str, Any], bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """relu(spatial batchnorm(conv(x)))."""
    a, conv_cache = conv_forward_fast(x, w, b, conv_param)
    normalized, bn_cache = spatial_batchnorm_forward(a, gamma, beta, bn_param)
    out, relu_cache = relu_forward(normalized)
    return out, (conv_cache, bn_cache, relu_cache)


def conv_bn_relu_backward(
    dout: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, MaybeArray, Array, Array]:
    """(dx, dw, db, dgamma, dbeta); dx is None without input_gradient."""
    conv_cache, bn_cache, relu_cache = cache
    da, dgamma, dbeta = spatial_batchnorm_backward(relu_backward(dout, relu_cache), bn_cache)
    return *conv_backward_fast(da, conv_cache, input_gradient), dgamma, dbeta


def conv_relu_pool_forward(
    x: Array, w: Array, b: Array, conv_param: Mapping[str, Any], pool_param: Mapping[str, Any]
) -> tuple[Array, Cache]:
    """max_pool(relu(conv(x)))."""
    a, caches = conv_relu_forward(x, w, b, conv_param)
    out, pool_cache = max_pool_forward_fast(a, pool_param)
    return out, (*caches, pool_cache)


def conv_relu_pool_backward(dout: Array, cache: Cache) -> tuple[MaybeArray, Array, MaybeArray]:
    """(dx, dw, db)."""
    *caches, pool_cache = cache
    return conv_relu_backward(max_pool_backward_fast(dout, pool_cache), caches)
