"""Pooling: each window of an image becomes one number per channel, its largest or its mean.

>>> x = np.array([[1.0, 5.0], [3.0, 2.0]]).reshape(1, 2, 2, 1)
>>> y, cache = max_pool2d_forward(x)
>>> y.ravel()
array([5.])
>>> max_pool2d_backward(np.full_like(y, 7.0), cache)[0][0, :, :, 0]
array([[0., 7.],
       [0., 0.]])

Derivations: docs/derivations/pooling.md.
"""

import numpy as np

from ..arrays import Array, Cache, Shape
from .windows import Geometry, Padding, Size, add_windows, check_images, check_upstream, pair, window_geometry, windows


def max_pool2d_forward(
    x: Array, kernel_size: Size = 2, stride: Size | None = None, padding: Padding = 0
) -> tuple[Array, Cache]:
    """y = the largest number of each window and channel: x (N, H, W, C) to y (N, H', W', C).

    stride defaults to the kernel size. Padding counts as -inf, so it never wins (PyTorch, ONNX); of equal
    numbers the first in the window wins; a NaN always wins, so that it stays visible.
    """
    geometry = pool_geometry("max_pool2d", x.shape, kernel_size, stride, padding)
    lowest = -np.inf if x.dtype.kind in "fc" else np.iinfo(x.dtype).min
    seen = windows(x, geometry, fill=lowest)
    y = seen[:, :, :, 0, 0].copy()
    winner = np.zeros(y.shape, dtype=np.int32)
    for place in range(1, geometry.kernel[0] * geometry.kernel[1]):
        candidate = seen[:, :, :, place // geometry.kernel[1], place % geometry.kernel[1]]
        better = (candidate.real > y.real) | (candidate != candidate)
        np.copyto(y, candidate, where=better)
        winner[better] = place
    return y, (winner, x.shape, geometry)


def max_pool2d_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx: the whole of each dy goes to the one pixel that won its window, and adds up where windows overlap."""
    winner, x_shape, geometry = cache
    check_upstream("max_pool2d", dy, winner.shape)
    places = np.arange(geometry.kernel[0] * geometry.kernel[1]).reshape(*geometry.kernel, 1)
    won = winner[:, :, :, None, None] == places
    return (add_windows(dy[:, :, :, None, None] * won, geometry, x_shape),)


def avg_pool2d_forward(
    x: Array, kernel_size: Size = 2, stride: Size | None = None, padding: Padding = 0
) -> tuple[Array, Cache]:
    """y = the mean of each window and channel: x (N, H, W, C) to y (N, H', W', C).

    stride defaults to the kernel size. The zeros of the padding count, which is PyTorch's default.
    """
    geometry = pool_geometry("avg_pool2d", x.shape, kernel_size, stride, padding)
    return windows(x, geometry).mean(axis=(3, 4)), (x.shape, geometry)


def avg_pool2d_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx: each dy is shared equally among the kh kw pixels of its window, 1 / (kh kw) each."""
    x_shape, geometry = cache
    n, channels, (height, width), (kh, kw) = x_shape[0], x_shape[3], geometry.output, geometry.kernel
    check_upstream("avg_pool2d", dy, (n, height, width, channels))
    share = np.broadcast_to((dy / (kh * kw))[:, :, :, None, None], (n, height, width, kh, kw, channels))
    return (add_windows(share, geometry, x_shape),)


def global_avg_pool2d_forward(x: Array) -> tuple[Array, Cache]:
    """y (N, C) = the mean of each channel of x (N, H, W, C) over the whole picture (Lin, Chen & Yan 2013)."""
    check_images("global_avg_pool2d", x.shape)
    return x.mean(axis=(1, 2)), x.shape


def global_avg_pool2d_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx: each dy is shared equally among the H W pixels of its channel."""
    n, height, width, channels = cache
    check_upstream("global_avg_pool2d", dy, (n, channels))
    return (np.broadcast_to((dy / (height * width))[:, None, None], cache).copy(),)


def adaptive_avg_pool2d_forward(x: Array, output_size: Size) -> tuple[Array, Cache]:
    """y[n, p, q, c] = the mean of rows ⌊p H / H'⌋ to ⌈(p + 1) H / H'⌉ - 1 and columns likewise: x (N, H, W, C).

    y is (N, H', W', C) with output_size H', W' an int or a pair: as many windows as asked for, as equal as can be.
    """
    check_images("adaptive_avg_pool2d", x.shape)
    cells = pair("adaptive_avg_pool2d", "output_size", output_size, 1)
    rows, columns = (shares(n, m).astype(x.real.dtype) for n, m in zip(x.shape[1:3], cells, strict=True))
    return np.einsum("ph,nhwc,qw->npqc", rows, x, columns, optimize=True), (rows, columns)


def adaptive_avg_pool2d_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx: each dy is shared equally among the pixels of its window, and adds up where windows overlap."""
    rows, columns = cache
    return (np.einsum("ph,npqc,qw->nhwc", rows, dy, columns, optimize=True),)


def shares(size: int, cells: int) -> Array:
    """(cells, size): what each of so many places counts for in the mean of each cell."""
    cell, place = np.arange(cells)[:, None], np.arange(size)
    inside = (place >= cell * size // cells) & (place < -(-(cell + 1) * size // cells))
    weights: Array = inside / inside.sum(axis=1, keepdims=True)
    return weights


def pool_geometry(name: str, shape: Shape, kernel_size: Size, stride: Size | None, padding: Padding) -> Geometry:
    """Windows of a pooling; padding must leave at least one pixel of the picture in every window."""
    geometry = window_geometry(name, shape, kernel_size, kernel_size if stride is None else stride, padding)
    for kernel, pads in zip(geometry.kernel, geometry.padding, strict=True):
        if max(pads) >= kernel:
            what = f"{name}: padding {padding!r} must be smaller than the kernel {kernel_size!r}"
            raise ValueError(f"{what}, or a window would hold nothing but padding")
    return geometry
