"""nndl.layer_utils: affine layers with what usually follows them, as one forward and one backward."""

from typing import Any

from ...arrays import Array, Cache, MaybeArray
from .layers import *


def affine_relu_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """relu(x w + b)."""
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array]:
    """(dx, dw, db); dx is None without input_gradient."""
    fc_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), fc_cache, input_gradient)


def affine_batchnorm_relu_forward(
    x: Array, w: Array, b: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]
) -> tuple[Array, Cache]:
    """relu(batchnorm(x w + b))."""
    a, fc_cache = affine_forward(x, w, b)
    normalized, bn_cache = batchnorm_forward(a, gamma, beta, bn_param)
    out, relu_cache = relu_forward(normalized)
    return out, (fc_cache, bn_cache, relu_cache)


def affine_batchnorm_relu_backward(
    dout: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, Array, Array, Array]:
    """(dx, dw, db, dgamma, dbeta); dx is None without input_gradient."""
    fc_cache, bn_cache, relu_cache = cache
    da, dgamma, dbeta = batchnorm_backward(relu_backward(dout, relu_cache), bn_cache)
    return *affine_backward(da, fc_cache, input_gradient), dgamma, dbeta
