"""nndl.layers: forward and backward functions with caches; the maths is handgrad's, the shapes are the course's."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import functional as F
from ...arrays import Array, Cache, MaybeArray
from ...functional.normalization import batch_statistics
from ...naming import check_number

__all__ = [
    "affine_backward",
    "affine_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "dropout_backward",
    "dropout_forward",
    "layernorm_backward",
    "layernorm_forward",
    "np",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "svm_loss",
]


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """out (N, M) = x w + b for x (N, d1, ..., dk), laid out as rows, w (D, M), b (M,); cache (x, w, b).

    ValueError where w does not fit x.
    """
    rows = x.reshape(len(x), -1)
    if len(w) != rows.shape[1]:
        raise ValueError(f"affine: x {x.shape} has {rows.shape[1]} numbers a row, but w {w.shape} takes {len(w)}")
    return F.linear_forward(rows, w, b)[0], (x, w, b)


def affine_backward(dout: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array]:
    """(dx in x's shape, dw, db); input_gradient=False, ours, puts None in dx's place: the first layer needs none."""
    x, w, _ = cache
    dx, dw, db = F.linear_backward(dout, (x.reshape(len(x), -1), w), input_gradient)
    return dx.reshape(x.shape) if input_gradient else None, dw, db


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """max(x, 0); the cache is x."""
    return F.relu_forward(x)[0], x


def relu_backward(dout: Array, cache: Cache) -> Array:
    """dout where x > 0, else 0."""
    return F.relu_backward(dout, cache)[0]


def svm_loss(x: Array, y: Array) -> tuple[float, Array]:
    """(loss, dx) of the multiclass hinge with margin 1, the mean over the rows of scores x (N, C), labels y (N,)."""
    return with_gradient(F.hinge_forward, F.hinge_backward, x, y)


def softmax_loss(x: Array, y: Array) -> tuple[float, Array]:
    """(loss, dx) of the softmax cross-entropy, the mean over the rows of scores x (N, C), labels y (N,)."""
    return with_gradient(F.cross_entropy_forward, F.cross_entropy_backward, x, y)


def with_gradient(
    forward: Callable[..., tuple[float, Cache]], backward: Callable[..., tuple[Array]], x: Array, y: Array
) -> tuple[float, Array]:
    loss, cache = forward(x, y)
    return loss, backward(1.0, cache)[0]


def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Normalize x (N, D) by the batch (mode 'train') or by the running averages ('test').

    running = momentum · running + (1 - momentum) · batch, the variance biased: momentum (0.9) weights what was, where
    PyTorch's weights what is new. bn_param gets running_mean and running_var, zeros at first, as new arrays.
    ValueError for another mode.
    """
    mode, eps, momentum = mode_of("batchnorm", bn_param), bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    running: dict[str, Any] = {
        name: np.array(bn_param.get(name, np.zeros(x.shape[1])), x.dtype) for name in ("running_mean", "running_var")
    }
    if mode == "train":
        batch_statistics(x, (0,)).update(**running, momentum=1 - momentum, unbiased=False)
    bn_param.update(running)
    return F.batch_norm_forward(
        x, gamma, beta, training=mode == "train", epsilon=eps, **(running if mode == "test" else {})
    )


def batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    return F.batch_norm_backward(dout, cache)


# CS231n asks for a second, simplified derivation: ours is that one
batchnorm_backward_alt: Callable[[Array, Cache], tuple[Array, Array, Array]] = batchnorm_backward


def layernorm_forward(x: Array, gamma: Array, beta: Array, ln_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Normalize each row of x (N, D); CS231n's. ln_param may hold eps."""
    return F.layer_norm_forward(x, gamma, beta, epsilon=ln_param.get("eps", 1e-5))


def layernorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    return F.layer_norm_backward(dout, cache)


def dropout_forward(x: Array, dropout_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Drop each number with probability p and divide the others by 1 - p (mode 'train'), or leave x alone ('test').

    The mask is drawn from NumPy's global generator, which dropout_param's seed, if there is one, sets anew each time.
    p is the probability of dropping, as the homework says; in CS231n since 2018 it is that of keeping. ValueError for
    another mode, or a p that is not in [0, 1).
    """
    p, mode = dropout_param["p"], mode_of("dropout", dropout_param)
    check_number("dropout", "p, the probability of dropping,", p, minimum=0, below=1)
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    if mode == "train":
        mask = ((np.random.rand(*x.shape) < 1 - p) / (1 - p)).astype(x.dtype)
    return x if mask is None else x * mask, (dropout_param, mask)


def dropout_backward(dout: Array, cache: Cache) -> Array:
    """dout times the mask."""
    return F.dropout_backward(dout, cache[1])[0]


def mode_of(layer: str, param: Mapping[str, Any]) -> str:
    """'train' or 'test'; ValueError for anything else, or nothing."""
    mode: Any = param.get("mode")
    if mode not in ("train", "test"):
        raise ValueError(f'Invalid forward {layer} mode "{mode}": expected "train" or "test"')
    return str(mode)
