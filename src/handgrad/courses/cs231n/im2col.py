"""im2col: windows of images (N, C, H, W) as columns, and columns added up as images."""

import numpy as np

from ...arrays import Array, Shape
from ...functional.windows import Geometry, add_windows, window_geometry, windows


def geometry_of(x_shape: Shape, field_height: int, field_width: int, padding: int, stride: int) -> Geometry:
    n, channels, height, width = x_shape
    return window_geometry("im2col", (n, height, width, channels), (field_height, field_width), stride, padding)


def get_im2col_indices(
    x_shape: Shape, field_height: int, field_width: int, padding: int = 1, stride: int = 1
) -> tuple[Array, Array, Array]:
    """(k, i, j): x_padded[:, k, i, j] is (N, C fh fw, H' W'), all windows of the padded images; k is (C fh fw, 1).

    Sizes that the stride does not divide are rounded down (the course's own code fails on every size in Python 3).
    """
    height, width = geometry_of(x_shape, field_height, field_width, padding, stride).output
    k, i, j = (index.reshape(-1, 1) for index in np.indices((x_shape[1], field_height, field_width)))
    row, column = (index.reshape(1, -1) for index in np.indices((height, width)))
    return k, i + stride * row, j + stride * column


def im2col_indices(x: Array, field_height: int, field_width: int, padding: int = 1, stride: int = 1) -> Array:
    """(C fh fw, H' W' N): a column per window, place by place and there example by example."""
    geometry = geometry_of(x.shape, field_height, field_width, padding, stride)
    seen = windows(x.transpose(0, 2, 3, 1), geometry)
    return seen.transpose(5, 3, 4, 1, 2, 0).reshape(x.shape[1] * field_height * field_width, -1)


def col2im_indices(
    cols: Array, x_shape: Shape, field_height: int = 3, field_width: int = 3, padding: int = 1, stride: int = 1
) -> Array:
    """The way back: columns added up where windows overlap, (N, C, H, W) with the padding cut off."""
    n, channels, height, width = x_shape
    geometry = geometry_of(x_shape, field_height, field_width, padding, stride)
    dwindows = cols.reshape(channels, field_height, field_width, *geometry.output, n).transpose(5, 3, 4, 1, 2, 0)
    return add_windows(dwindows, geometry, (n, height, width, channels)).transpose(0, 3, 1, 2)
