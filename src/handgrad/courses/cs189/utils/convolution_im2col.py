"""neural_networks.utils.convolution_im2col, Spring 2020's name for the functions of convolution."""

from .convolution import col2im, compute_pad, im2col, im2col_indices, pad2d

__all__ = ["col2im", "compute_pad", "im2col", "im2col_indices", "pad2d"]
