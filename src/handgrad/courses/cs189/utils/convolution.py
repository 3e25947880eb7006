"""neural_networks.utils.convolution: padding, and images as columns of windows, on handgrad's windows.

Images X are (examples, rows, columns, channels) unless nchw is said; a padding is (top, bottom, left, right).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ....arrays import Array, Shape
from ....functional.windows import Geometry, add_windows, window_geometry, windows

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


def padded_geometry(shape: Shape, kernel_shape: Sequence[int], stride: int, pad: Sequence[int]) -> Geometry:
    """Where the windows lie on images of this shape padded by four numbers."""
    top, bottom, left, right = pad
    padded = shape[0], top + shape[1] + bottom, left + shape[2] + right, shape[3]
    inside = window_geometry("im2col", padded, tuple(kernel_shape), stride)
    return Geometry(inside.kernel, inside.stride, inside.dilation, ((top, bottom), (left, right)), inside.output)


def im2col_indices(
    X: Array, kernel_shape: Sequence[int], stride: int, pad: Sequence[int]
) -> tuple[Array, Array, Array]:
    """(i, j, k) with X_pad[:, k, i, j] all windows of nchw images: i and j (C kh kw, H' W'), k (C kh kw, 1)."""
    n, channels, rows, columns = X.shape
    geometry = padded_geometry((n, rows, columns, channels), kernel_shape, stride, pad)
    (height, width), (sh, sw), (kh, kw) = geometry.output, geometry.stride, geometry.kernel
    k, i, j = (index.reshape(-1, 1) for index in np.indices((channels, kh, kw)))
    row, column = (index.reshape(1, -1) for index in np.indices((height, width)))
    return i + sh * row, j + sw * column, k


def im2col(X: Array, kernel_shape: Sequence[int], stride: int, pad: int | str | Sequence[int]) -> tuple[Array, Padding]:
    """(columns, padding): one column per window, place by place and there example by example, each C kh kw long."""
    _, p = pad2d(X[:0], pad, kernel_shape, stride)
    seen = windows(X, padded_geometry(X.shape, kernel_shape, stride, p))
    return seen.transpose(5, 3, 4, 1, 2, 0).reshape(X.shape[3] * seen.shape[3] * seen.shape[4], -1), p


def col2im(X_col: Array, X: Array, W_shape: Shape, stride: int, pad: Sequence[int]) -> Array:
    """The way back: the columns added up where windows overlap, as nchw images of X's size, padding cut off."""
    geometry = padded_geometry(X.shape, W_shape[:2], stride, pad)
    (kh, kw), (height, width) = geometry.kernel, geometry.output
    dwindows = X_col.reshape(X.shape[3], kh, kw, height, width, X.shape[0]).transpose(5, 3, 4, 1, 2, 0)
    return add_windows(dwindows, geometry, X.shape).transpose(0, 3, 1, 2)
