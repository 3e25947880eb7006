"""nndl.layers: forward and backward functions with caches."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...arrays import Array, Cache, MaybeArray


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """out (N, M) = x w + b for x (N, d1, ..., dk), laid out as rows, w (D, M), b (M,); cache (x, w, b).

    ValueError where w does not fit x.
    """
    rows = x.reshape(len(x), -1)
    if len(w) != rows.shape[1]:
        raise ValueError(f"affine: x {x.shape} has {rows.shape[1]} numbers a row, but w {w.shape} takes {len(w)}")
    return rows @ w + b, (x, w, b)


def affine_backward(dout: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array]:
    """(dx in x's shape, dw, db); input_gradient=False, ours, puts None in dx's place: the first layer needs none."""
    x, w, _ = cache
    dx = (dout @ w.T).reshape(x.shape) if input_gradient else None
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


def relu_forward(x: Array) -> tuple[Array, Cache]:
    """max(x, 0); the cache is x."""
    return np.maximum(x, 0), x


def relu_backward(dout: Array, cache: Cache) -> Array:
    """dout where x > 0, else 0."""
    dx: Array = dout * (cache > 0)
    return dx


def svm_loss(x: Array, y: Array) -> tuple[float, Array]:
    """(loss, dx) of the multiclass hinge with margin 1, the mean over the rows of scores x (N, C), labels y (N,)."""
    rows = np.arange(len(x))
    margins = np.maximum(x - x[rows, y][:, None] + 1, 0)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    return float(margins.sum() / len(x)), dx / len(x)


def softmax_loss(x: Array, y: Array) -> tuple[float, Array]:
    """(loss, dx) of the softmax cross-entropy, the mean over the rows of scores x (N, C), labels y (N,)."""
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dx = np.exp(log_p)
    dx[rows, y] -= 1
    return float(-log_p[rows, y].mean()), dx / len(x)


def batchnorm_forward(x: Array, gamma: Array, beta: Array, bn_param: dict[str, Any]) -> tuple[Array, Cache]:
    """Normalize x (N, D) by the batch (mode 'train') or by the running averages ('test').

    running = momentum · running + (1 - momentum) · batch, the variance biased: momentum (0.9) weights what was, where
    PyTorch's weights what is new. bn_param gets running_mean and running_var, zeros at first, as new arrays.
    ValueError for another mode.
    """
    mode, eps, momentum = mode_of("batchnorm", bn_param), bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mean, var = (np.array(bn_param.get(f"running_{name}", np.zeros(x.shape[1])), x.dtype) for name in ("mean", "var"))
    running = {"running_mean": mean, "running_var": var}
    if mode == "train":
        batch = {"running_mean": x.mean(axis=0), "running_var": x.var(axis=0)}
        running = {name: momentum * old + (1 - momentum) * batch[name] for name, old in running.items()}
        mean, var = batch.values()
    bn_param.update(running)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, std, gamma, mode)


def batchnorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    x_hat, std, gamma, mode = cache
    dx = gamma / std * dout
    if mode == "train":  # the batch's mean and variance depend on x too
        dx = dx - dx.mean(axis=0) - x_hat * np.mean(dx * x_hat, axis=0)
    return dx, np.sum(dout * x_hat, axis=0), dout.sum(axis=0)


# CS231n asks for a second, simplified derivation: ours is that one
batchnorm_backward_alt: Callable[[Array, Cache], tuple[Array, Array, Array]] = batchnorm_backward


def layernorm_forward(x: Array, gamma: Array, beta: Array, ln_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Normalize each row of x (N, D); CS231n's. ln_param may hold eps."""
    std = np.sqrt(x.var(axis=1, keepdims=True) + ln_param.get("eps", 1e-5))
    x_hat = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def layernorm_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta)."""
    x_hat, std, gamma = cache
    dx = gamma / std * dout
    dx = dx - dx.mean(axis=1, keepdims=True) - x_hat * np.mean(dx * x_hat, axis=1, keepdims=True)
    return dx, np.sum(dout * x_hat, axis=0), dout.sum(axis=0)


def dropout_forward(x: Array, dropout_param: Mapping[str, Any]) -> tuple[Array, Cache]:
    """Drop each number with probability p and divide the others by 1 - p (mode 'train'), or leave x alone ('test').

    The mask is drawn from NumPy's global generator, which dropout_param's seed, if there is one, sets anew each time.
    p is the probability of dropping, as the homework says; in CS231n since 2018 it is that of keeping. ValueError for
    another mode, or a p that is not in [0, 1).
    """
    p, mode = dropout_param["p"], mode_of("dropout", dropout_param)
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p, the probability of dropping, must be a finite number >= 0 and < 1, got {p}")
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    if mode == "train":
        mask = ((np.random.rand(*x.shape) < 1 - p) / (1 - p)).astype(x.dtype)
    return x if mask is None else x * mask, (dropout_param, mask)


def dropout_backward(dout: Array, cache: Cache) -> Array:
    """dout times the mask."""
    _, mask = cache
    return dout if mask is None else dout * mask


def mode_of(layer: str, param: Mapping[str, Any]) -> str:
    """'train' or 'test'; ValueError for anything else, or nothing."""
    mode: Any = param.get("mode")
    if mode not in ("train", "test"):
        raise ValueError(f'Invalid forward {layer} mode "{mode}": expected "train" or "test"')
    return str(mode)
