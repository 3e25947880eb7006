"""Normalisation: shift and scale to mean 0 and variance 1, then to a learnt mean and scale.

>>> x, gamma, beta = np.array([[1.0], [3.0]]), np.array([10.0]), np.array([5.0])
>>> y, cache = batch_norm_forward(x, gamma, beta, epsilon=0.0)  # mean 2, variance 1
>>> y
array([[-5.],
       [15.]])
>>> dx, dgamma, dbeta = batch_norm_backward(np.array([[1.0], [0.0]]), cache)
>>> dx, dgamma, dbeta
(array([[0.],
       [0.]]), array([-1.]), array([1.]))

Derivations: docs/derivations/normalization.md.
"""

from math import prod

import numpy as np

from ..arrays import Array, Cache, Shape
from ..kernels.plain import BatchStatistics
from ..naming import check_number
from .windows import check_channels


def batch_norm_forward(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> tuple[Array, Cache]:
    """y = gamma x̂ + beta with x̂ = (x - mean) / √(var + epsilon), per feature or channel: the last axis of x.

    x is (N, features) or (N, H, W, C); gamma, beta and the running averages have one number per feature. In training
    mean and var (biased, divided by the count) are the batch's, and the running averages, if given, are updated in
    place: running = (1 - momentum) running + momentum batch, the variance unbiased (divided by count - 1), both as
    PyTorch does. Otherwise mean and var are the running averages. (Ioffe & Szegedy 2015)
    """
    check_features("batch_norm", x.shape, gamma.shape, beta.shape)
    check_running(gamma.shape, running_mean=running_mean, running_var=running_var)
    epsilon = check_number("batch_norm", "epsilon", epsilon, minimum=0)
    momentum = check_number("batch_norm", "momentum", momentum, minimum=0, maximum=1)
    axes = tuple(range(x.ndim - 1))
    if training:
        statistics = batch_statistics(x, axes)
        statistics.update(running_mean, running_var, momentum)
        _, mean, var = statistics
    elif running_mean is None or running_var is None:
        what = "batch_norm: training=False needs running_mean= and running_var="
        raise ValueError(f"{what}, the averages collected in training")
    else:
        mean, var = running_mean, running_var
    scale = 1 / np.sqrt(var + epsilon)
    normalized = (x - mean) * scale
    return gamma * normalized + beta, (normalized, gamma, scale, axes, training)


def batch_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dgamma = Σ dy x̂, dbeta = Σ dy, dx = gamma scale (dy - mean(dy) - x̂ mean(dy x̂)), scale = 1 / √(var + epsilon).

    The two means are what dy loses because each x also moves the batch's mean and variance; at inference these are
    constants and dx = gamma scale dy.
    """
    normalized, gamma, scale, axes, training = cache
    dgamma = (dy * normalized).sum(axis=axes)
    dbeta = dy.sum(axis=axes)
    if not training:
        return dy * (gamma * scale), dgamma, dbeta
    count = dy.size // len(gamma)
    dx = (gamma * scale) * (dy - dbeta / count - normalized * (dgamma / count))
    return dx, dgamma, dbeta


def layer_norm_forward(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> tuple[Array, Cache]:
    """y = gamma x̂ + beta, where x̂ has mean 0 and variance 1 within each example.

    The mean and (biased) variance are taken over the trailing axes of x (N, ...) that gamma and beta have: the
    features of (N, features), or with gamma (H, W, C) a whole picture. (Ba, Kiros & Hinton 2016)
    """
    check_features("layer_norm", x.shape, gamma.shape, beta.shape)
    epsilon = check_number("layer_norm", "epsilon", epsilon, minimum=0)
    axes = tuple(range(x.ndim - gamma.ndim, x.ndim))
    centered = x - x.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt((centered * centered).mean(axis=axes, keepdims=True) + epsilon)
    normalized = centered * scale
    return gamma * normalized + beta, (normalized, gamma, scale, axes)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dgamma = Σ dy x̂, dbeta = Σ dy over the examples; with g = gamma dy, dx = scale (g - mean(g) - x̂ mean(g x̂))."""
    normalized, gamma, scale, axes = cache
    examples = tuple(range(dy.ndim - gamma.ndim))
    g = gamma * dy
    dx = scale * (g - g.mean(axis=axes, keepdims=True) - normalized * (g * normalized).mean(axis=axes, keepdims=True))
    return dx, (dy * normalized).sum(axis=examples), dy.sum(axis=examples)


def group_norm_forward(
    x: Array, gamma: Array, beta: Array, num_groups: int = 1, epsilon: float = 1e-5
) -> tuple[Array, Cache]:
    """y = gamma x̂ + beta, where x̂ has mean 0 and variance 1 within each group of channels of each example.

    x is (N, ..., C), gamma and beta (C,); num_groups divides C, and pixels or steps count with their group's channels.
    (Wu & He 2018)
    """
    check_groups(x.shape, gamma.shape, beta.shape, num_groups)
    epsilon = check_number("group_norm", "epsilon", epsilon, minimum=0)
    grouped = x.reshape(len(x), prod(x.shape[1:-1]), num_groups, x.shape[-1] // num_groups)
    centered = grouped - grouped.mean(axis=(1, 3), keepdims=True)
    scale = 1 / np.sqrt((centered * centered).mean(axis=(1, 3), keepdims=True) + epsilon)
    normalized = centered * scale
    return gamma * normalized.reshape(x.shape) + beta, (normalized, gamma, scale)


def group_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """As for layer_norm with g = gamma dy, the means over each group: dx = scale (g - mean(g) - x̂ mean(g x̂))."""
    normalized, gamma, scale = cache
    examples = tuple(range(dy.ndim - 1))
    g = (gamma * dy).reshape(normalized.shape)
    within = (g * normalized).mean(axis=(1, 3), keepdims=True)
    dx = scale * (g - g.mean(axis=(1, 3), keepdims=True) - normalized * within)
    return dx.reshape(dy.shape), (dy * normalized.reshape(dy.shape)).sum(axis=examples), dy.sum(axis=examples)


def rms_norm_forward(x: Array, gamma: Array, epsilon: float = 1e-6) -> tuple[Array, Cache]:
    """y = gamma x̂ with x̂ = x / √(mean(x²) + epsilon), over the last axis: x (N, ..., D), gamma (D,).

    Layer norm without the mean and without beta. (Zhang & Sennrich 2019)
    """
    check_features("rms_norm", x.shape, gamma.shape)
    epsilon = check_number("rms_norm", "epsilon", epsilon, minimum=0)
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon)
    normalized = x * scale
    return gamma * normalized, (normalized, gamma, scale)


def rms_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """dgamma = Σ dy x̂ over the examples; with g = gamma dy, dx = scale (g - x̂ mean(g x̂))."""
    normalized, gamma, scale = cache
    g = gamma * dy
    dx = scale * (g - normalized * (g * normalized).mean(axis=-1, keepdims=True))
    return dx, (dy * normalized).sum(axis=tuple(range(dy.ndim - 1)))


def check_groups(x_shape: Shape, gamma_shape: Shape, beta_shape: Shape, num_groups: int) -> None:
    """Refuse gamma and beta that are not one number a channel, and groups that do not divide the channels."""
    check_features("group_norm", x_shape, gamma_shape, beta_shape)
    if len(gamma_shape) > 1 or num_groups < 1 or x_shape[-1] % num_groups:
        raise ValueError(f"group_norm: num_groups={num_groups} must divide the {x_shape[-1]} channels of x {x_shape}")


def batch_statistics(x: Array, axes: Shape) -> BatchStatistics:
    """Count, mean and biased variance of each feature over the batch, analytic in x (no abs, so complex steps pass)."""
    if (count := x.size // x.shape[-1]) < 2:
        what = f"batch_norm: x {tuple(x.shape)} has fewer than two numbers per feature and so no variance"
        raise ValueError(f"{what} to divide by in training; use a batch of two or more, or training=False")
    mean = x.mean(axis=axes)
    centered = x - mean
    return BatchStatistics(count, mean, (centered * centered).mean(axis=axes))


def check_running(shape: Shape, **averages: Array | None) -> None:
    """Refuse running averages that are not one float per feature."""
    for name, running in averages.items():
        if running is not None and (running.shape != shape or running.dtype.kind not in "fc"):
            what = f"batch_norm: {name} must be an array of floats of gamma's shape {shape}"
            raise ValueError(f"{what}, but came as {running.dtype} of shape {running.shape}")


def check_features(name: str, x_shape: Shape, *shapes: Shape) -> None:
    """Refuse gamma and beta that do not have the shape of x's trailing axes: they would broadcast by accident."""
    if name == "batch_norm" and len(x_shape) == 4 and len(shapes[0]) == 1:
        check_channels(name, x_shape, shapes[0][0])
    for shape in shapes:
        fits = len(shape) == 1 if name == "batch_norm" else 1 <= len(shape) < len(x_shape)
        if len(x_shape) < 2 or not fits or x_shape[-len(shape) :] != shape or shape != shapes[0]:
            what = f"{name}: gamma and beta must have the shape of the last axes of x {tuple(x_shape)}"
            raise ValueError(f"{what}, but came as {' and '.join(str(tuple(s)) for s in shapes)}")
