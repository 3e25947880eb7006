"""neural_networks.utils.convolution: padding, the windows of images, and images as columns of windows.

Images X are (examples, rows, columns, channels) unless nchw is said; a padding is (top, bottom, left, right).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from .data_structures import Array, Shape

Padding: TypeAlias = tuple[int, int, int, int]  # top, bottom, left, right


def pad2d(
    X: Array, pad: int | str | Sequence[int], kernel_shape: Any, stride: int | None = None
) -> tuple[Array, Padding]:
    """(X with zeros around it, padding); pad: int, (vertical, horizontal), 4 numbers or 'same' (stride None: 1)."""
    sides: Any = pad
    if isinstance(pad, str) and pad == "same":
        sides = compute_pad(X, kernel_shape, 1 if stride is None else stride)
    elif isinstance(pad, (int, np.integer)):
        sides = (pad,) * 4
    elif len(pad) == 2:
        sides = (pad[0], pad[0], pad[1], pad[1])
    top, bottom, left, right = (int(side) for side in sides)
    return np.pad(X, ((0, 0), (top, bottom), (left, right), (0, 0))), (top, bottom, left, right)


def compute_pad(X: Array, kernel_shape: Sequence[int], stride: int) -> Padding:
    """The padding with which a convolution of this stride keeps the size of X.

    The course's version takes X as (examples, channels, rows, columns) although it is given the other order, which
    shows where stride > 1; here rows and columns are those of X.
    """
    vertical, horizontal = (
        int(((stride - 1) * size - stride + kernel) / 2)
        for size, kernel in zip(X.shape[1:3], kernel_shape, strict=True)
    )
    return vertical, vertical, horizontal, horizontal


def unpad2d(X_pad: Array, padding: Sequence[int]) -> Array:
    """X_pad without the padding that pad2d put around it."""
    top, bottom, left, right = padding
    return X_pad[:, top : X_pad.shape[1] - bottom, left : X_pad.shape[2] - right]


def windows(X: Array, kernel_shape: Sequence[int], stride: int = 1) -> Array:
    """All windows of X as (examples, out rows, out columns, kh, kw, channels), a view that copies nothing."""
    if X.ndim != 4 or X.shape[1] < kernel_shape[0] or X.shape[2] < kernel_shape[1]:
        raise ValueError(
            f"images must be (examples, rows, columns, channels), at least as large as the kernel "
            f"{tuple(kernel_shape)}, but have shape {X.shape}"
        )
    seen = np.lib.stride_tricks.sliding_window_view(X, tuple(kernel_shape), axis=(1, 2))
    return seen[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


def add_windows(dwindows: Array, X_shape: Shape, stride: int = 1) -> Array:
    """The way back from windows: an array of X_shape to which each window is added at its place."""
    X = np.zeros(X_shape, dwindows.dtype)
    _, rows, columns, kh, kw, _ = dwindows.shape
    for i, j in np.ndindex(kh, kw):
        X[:, i : i + stride * rows : stride, j : j + stride * columns : stride] += dwindows[:, :, :, i, j]
    return X


def im2col_indices(
    X: Array, kernel_shape: Sequence[int], stride: int, pad: Sequence[int]
) -> tuple[Array, Array, Array]:
    """(i, j, k) with X_pad[:, k, i, j] all windows of nchw images: i and j (C kh kw, H' W'), k (C kh kw, 1)."""
    k, i, j = (index.reshape(-1, 1) for index in np.indices((X.shape[1], *kernel_shape)))
    sizes = X.shape[2] + pad[0] + pad[1], X.shape[3] + pad[2] + pad[3]
    out = [(size - kernel) // stride + 1 for size, kernel in zip(sizes, kernel_shape, strict=True)]
    row, column = (index.reshape(1, -1) for index in np.indices(out))
    return i + stride * row, j + stride * column, k


def im2col(X: Array, kernel_shape: Sequence[int], stride: int, pad: int | str | Sequence[int]) -> tuple[Array, Padding]:
    """(columns, padding): one column per window, place by place and there example by example, each C kh kw long."""
    X_pad, p = pad2d(X, pad, kernel_shape, stride)
    seen = windows(X_pad, kernel_shape, stride)
    return seen.transpose(5, 3, 4, 1, 2, 0).reshape(X.shape[3] * seen.shape[3] * seen.shape[4], -1), p


def col2im(X_col: Array, X: Array, W_shape: Shape, stride: int, pad: Sequence[int]) -> Array:
    """The way back: the columns added up where windows overlap, as nchw images of X's size, padding cut off."""
    X_pad, p = pad2d(X, pad, W_shape[:2], stride)
    seen = windows(X_pad, W_shape[:2], stride)
    dwindows = X_col.reshape(*(seen.shape[axis] for axis in (5, 3, 4, 1, 2, 0))).transpose(5, 3, 4, 1, 2, 0)
    return unpad2d(add_windows(dwindows, X_pad.shape, stride), p).transpose(0, 3, 1, 2)
