"""The same numbers in another shape, or some of them: gradients go back to where the numbers came from.

>>> x = np.arange(6.0).reshape(1, 3, 2)
>>> y, cache = last_forward(x)
>>> y
array([[4., 5.]])
>>> last_backward(np.array([[1.0, 10.0]]), cache)[0]
array([[[ 0.,  0.],
        [ 0.,  0.],
        [ 1., 10.]]])

Derivations: docs/derivations/shapes.md.
"""

from math import prod

import numpy as np

from ..arrays import Array, Cache, Shape


def last_forward(x: Array) -> tuple[Array, Cache]:
    """y (N, ...) is the last step of each sequence of x (N, T, ...)."""
    if x.ndim < 2 or not x.shape[1]:
        raise ValueError(f"last: x must be (N, T, ...) with at least one step, got {x.shape}")
    return x[:, -1], x.shape


def last_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx is dy at the last step, and 0 before it."""
    dx = np.zeros(cache, dy.dtype)
    dx[:, -1] = dy
    return (dx,)


def reshape_forward(x: Array, shape: Shape) -> tuple[Array, Cache]:
    """y (N, *shape) has the numbers of each example of x (N, ...) in C order."""
    if prod(shape) != prod(x.shape[1:]):
        raise ValueError(f"reshape: examples of shape {x.shape[1:]} have not the numbers for {tuple(shape)}")
    return x.reshape(len(x), *shape), x.shape


def reshape_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx is dy in the shape of x."""
    return (dy.reshape(cache),)


def permute_forward(x: Array, axes: Shape) -> tuple[Array, Cache]:
    """Axis i of y is axis axes[i - 1] of x, counted from 1: axis 0, of the examples, stays."""
    if sorted(axes) != list(range(1, x.ndim)):
        raise ValueError(f"permute: axes must be 1 to {x.ndim - 1} in some order for x {x.shape}, got {tuple(axes)}")
    return x.transpose(0, *axes), tuple(axes)


def permute_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx: each axis goes back to where it came from."""
    return (dy.transpose(0, *(np.argsort(cache) + 1)),)
