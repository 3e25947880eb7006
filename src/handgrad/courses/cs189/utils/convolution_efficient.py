"""neural_networks.utils.convolution_efficient, Spring 2020: convolution and pooling as functions of padded windows.

Images X are (examples, rows, columns, channels), a padding is (top, bottom, left, right).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .convolution import Padding, add_windows, windows
from .convolution import pad2d as pad
from .data_structures import Array, Shape


def pad2d(
    X: Array, pad_by: int | str | Sequence[int], kernel_shape: Any = None, stride: Any = None
) -> tuple[Array, Padding]:
    """(X with zeros around it, the padding); 'same' keeps the size, with an odd pixel at the bottom and the right."""
    if isinstance(pad_by, str):
        pad_by = calc_pad_dims_2D(X.shape, X.shape[1:3], kernel_shape, stride)
    return pad(X, pad_by, kernel_shape, stride)


def split_windows(X: Array, kernel_shape: Sequence[int], stride: int = 1) -> tuple[Array, Shape]:
    """(all windows of X as (n, H', W', kh, kw, C), that shape)."""
    seen = windows(X, kernel_shape, stride)
    return seen, seen.shape


def im2col(
    X: Array, kernel_shape: Sequence[int], stride: int = 1, pad: int | str | Sequence[int] = 0
) -> tuple[Array, Shape, Shape, Padding]:
    """(one row per window, the shape of the windows, the shape of the padded X, the padding)."""
    X_pad, p = pad2d(X, pad, kernel_shape, stride)
    seen, split_shape = split_windows(X_pad, kernel_shape, stride)
    return seen.reshape(np.prod(split_shape[:3]), -1), split_shape, X_pad.shape, p


def col2im(X_col: Array, X_shape: Shape, split_shape: Shape, kernel_shape: Sequence[int], p: Sequence[int]) -> Array:
    """The rows of windows of stride 1 added up at their places in X_shape, the padded one; then the padding is cut."""
    X = add_windows(X_col.reshape(split_shape), X_shape)
    return X[:, p[0] : X_shape[1] - p[1], p[2] : X_shape[2] - p[3]]


def conv2d(
    X: Array, W: Array, stride: int, pad: int | str | Sequence[int]
) -> tuple[Array, Array, Shape, Shape, Padding]:
    """(Z without a bias, and what im2col returns)."""
    X_col, split_shape, X_pad_shape, p = im2col(X, W.shape[:2], stride, pad)
    return (X_col @ W.reshape(-1, W.shape[3])).reshape(*split_shape[:3], -1), X_col, split_shape, X_pad_shape, p


def pool2d(
    X: Array, kernel_shape: Sequence[int], stride: int, pad: int | str | Sequence[int], mode: str = "max"
) -> Array:
    """The maximum or 'average' of each window of X padded with zeros."""
    pool: Any = {"max": np.max, "average": np.mean}[mode]
    pooled: Array = pool(windows(pad2d(X, pad, kernel_shape, stride)[0], kernel_shape, stride), axis=(3, 4))
    return pooled


def calc_pad_dims_2D(X_shape: Shape, out_dim: Sequence[int], kernel_shape: Sequence[int], stride: int) -> Padding:
    """The padding with which windows of this stride make an output of out_dim (rows, columns) from X.

    ValueError where no padding does: it must be the same on both sides, or one more at the bottom and the right.
    """
    padding: list[int] = []
    for size, out, kernel in zip(X_shape[1:3], out_dim, kernel_shape, strict=True):
        total = stride * (out - 1) + kernel - size
        if total < 0:
            raise ValueError(
                f"{size} pixels under a kernel of {kernel} and stride {stride} give no padding on both "
                f"sides that makes {out}: they make more"
            )
        padding += [total // 2, total - total // 2]
    top, bottom, left, right = padding
    return top, bottom, left, right
