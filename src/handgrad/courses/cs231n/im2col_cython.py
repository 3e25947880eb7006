"""im2col_cython: what CS231n compiles, in NumPy; nothing needs to be built."""

from ...arrays import Array
from .im2col import col2im_indices, im2col_indices

im2col_cython = im2col_indices


def col2im_cython(
    cols: Array, N: int, C: int, H: int, W: int, field_height: int, field_width: int, padding: int, stride: int
) -> Array:
    """Columns (C fh fw, H' W' N) added up as images (N, C, H, W)."""
    return col2im_indices(cols, (N, C, H, W), field_height, field_width, padding, stride)


def col2im_6d_cython(cols: Array, N: int, C: int, H: int, W: int, HH: int, WW: int, pad: int, stride: int) -> Array:
    """The same from cols (C, HH, WW, N, H', W')."""
    return col2im_indices(cols.transpose(0, 1, 2, 4, 5, 3), (N, C, H, W), HH, WW, pad, stride)
