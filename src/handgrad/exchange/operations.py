"""What programs are made of: each operation as a function of NumPy arrays (N, ...), its options those of one example.

A single Python file is written with those of the functions that it needs, as they stand here: they use NumPy alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..arrays import Array, Shape
from ..functional.windows import Pair

# the operations that are a function of NumPy's, of the same name
UFUNCS = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "matmul", "negative", "absolute", "sqrt"),
    *("exp", "expm1", "log", "log1p", "tanh", "arctan"),
)
COMPARISONS = ("greater", "less", "equal")


def greater(one: Array, other: Array) -> Array:
    """1 where one is greater than the other, else 0."""
    return np.asarray(one > other, np.result_type(one, other))


def less(one: Array, other: Array) -> Array:
    """1 where one is less than the other, else 0."""
    return np.asarray(one < other, np.result_type(one, other))


def equal(one: Array, other: Array) -> Array:
    """1 where both are equal, else 0."""
    return np.asarray(one == other, np.result_type(one, other))


def where(condition: Array, one: Array, other: Array) -> Array:
    """One where the condition is not 0, else the other."""
    return np.where(condition != 0, one, other)


def erf(x: Array) -> Array:
    """The error function, number by number."""
    return np.array([math.erf(number) for number in x.ravel()], x.dtype).reshape(x.shape)


def take(weight: Array, indices: Array) -> Array:
    """Rows of a weight, by number."""
    rows = indices.astype(int)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(weight)):
        raise ValueError(f"x must be whole numbers from 0 to {len(weight) - 1}, got {rows.min()} to {rows.max()}")
    chosen: Array = weight[rows]
    return chosen


def reshape(x: Array, shape: Shape) -> Array:
    """Each example in another shape."""
    return x.reshape(len(x), *shape)


def transpose(x: Array, axes: Shape) -> Array:
    """The axes of each example in another order."""
    return x.transpose(0, *(axis + 1 for axis in axes))


def select(x: Array, slices: tuple[Shape, ...]) -> Array:
    """A part of each example: start, stop and step for each axis."""
    return x[(slice(None), *(slice(*bounds) for bounds in slices))]


def concatenate(*arrays: Array, axis: int) -> Array:
    """Each example's arrays side by side; those of one axis fewer are the same for all examples."""
    whole = max(arrays, key=np.ndim)
    wide = [np.broadcast_to(a, (len(whole), *a.shape[a.ndim - whole.ndim + 1 :])) for a in arrays]
    return np.concatenate(wide, axis + 1)


def total(x: Array, axes: Shape, keepdims: bool) -> Array:
    """The sum over axes of each example."""
    y: Array = x.sum(tuple(axis + 1 for axis in axes), keepdims=keepdims)
    return y


def mean(x: Array, axes: Shape, keepdims: bool) -> Array:
    """The mean over axes of each example."""
    y: Array = x.mean(tuple(axis + 1 for axis in axes), keepdims=keepdims)
    return y


def largest(x: Array, axes: Shape, keepdims: bool) -> Array:
    """The largest number over axes of each example."""
    y: Array = x.max(tuple(axis + 1 for axis in axes), keepdims=keepdims)
    return y


def sights(
    x: Array, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair = (1, 1), fill: float = 0.0
) -> Iterator[tuple[int, int, Array]]:
    """Yield (i, j, what that place of the window sees as it slides over images (N, H, W, C)), padded with fill."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    sizes = zip(x.shape[1:3], kernel, stride, dilation, strict=True)
    height, width = ((size - d * (k - 1) - 1) // s + 1 for size, k, s, d in sizes)
    for i, j in np.ndindex(*kernel):
        top, left = i * dilation[0], j * dilation[1]
        rows = slice(top, top + stride[0] * (height - 1) + 1, stride[0])
        yield i, j, x[:, rows, left : left + stride[1] * (width - 1) + 1 : stride[1]]


def conv2d(
    x: Array, weight: Array, *bias: Array, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair, groups: int
) -> Array:
    """A convolution of images (N, H, W, C) by a weight (kernel height, kernel width, C / groups, filters)."""
    kernel, parts = (len(weight), weight.shape[1]), []
    for part, filters in zip(np.split(x, groups, 3), np.split(weight, groups, 3), strict=True):
        products = [seen @ filters[i, j] for i, j, seen in sights(part, kernel, stride, padding, dilation)]
        parts.append(sum(products[1:], products[0]))
    y: Array = np.concatenate(parts, 3) + (bias[0] if bias else 0)
    return y


def conv_transpose2d(
    x: Array, weight: Array, *bias: Array, stride: Pair, padding: tuple[Pair, Pair], output_size: Pair
) -> Array:
    """Each pixel of images (N, H, W, C) lays a weight (kernel height, kernel width, C, filters) down."""
    height, width = (size + sum(pads) for size, pads in zip(output_size, padding, strict=True))
    y = np.zeros((len(x), height, width, weight.shape[3]), x.dtype)
    for i, j in np.ndindex(*weight.shape[:2]):
        rows = slice(i, i + stride[0] * (x.shape[1] - 1) + 1, stride[0])
        y[:, rows, j : j + stride[1] * (x.shape[2] - 1) + 1 : stride[1]] += x @ weight[i, j]
    (top, _), (left, _) = padding
    cut: Array = y[:, top : top + output_size[0], left : left + output_size[1]] + (bias[0] if bias else 0)
    return cut


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair]) -> Array:
    """The largest number of each window of images (N, H, W, C), padding never."""
    y: Array = np.max([seen for _, _, seen in sights(x, kernel, stride, padding, fill=-np.inf)], axis=0)
    return y


def avg_pool2d(x: Array, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair]) -> Array:
    """The mean of each window of images (N, H, W, C), zeros of the padding included."""
    y: Array = np.mean([seen for _, _, seen in sights(x, kernel, stride, padding)], axis=0)
    return y


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in UFUNCS},
    **{f.__name__: f for f in (greater, less, equal, where, erf, take, reshape, transpose, concatenate)},
    **{"slice": select, "sum": total, "mean": mean, "max": largest},
    **{f.__name__: f for f in (conv2d, conv_transpose2d, max_pool2d, avg_pool2d)},
}
