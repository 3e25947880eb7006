"""Pooling as layers: the largest or the mean of each window, or of the whole picture."""

from .. import functional as F
from ..functional.pooling import pool_geometry
from .base import Layer
from .convolution import check_image


class Pool2D(Layer):
    """What the two poolings share; kernel_size and padding as in Conv2D, stride is the kernel size unless given."""

    pair: tuple  # (forward, backward)

    def __init__(self, kernel_size=2, stride=None, padding=0, name=None):
        super().__init__(name)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def infer_output_shape(self, input_shape):
        check_image(self.label, input_shape)
        geometry = pool_geometry(self.label, (1, *input_shape), self.kernel_size, self.stride, self.padding)
        return (*geometry.output, input_shape[2])

    def compute(self, x, training):
        return self.pair[0](x, self.kernel_size, self.stride, self.padding)

    def differentiate(self, dy, cache):
        (dx,) = self.pair[1](dy, cache)
        return dx, {}


class MaxPool2D(Pool2D):
    """y = the largest number of each window and channel; padding never wins."""

    pair = F.max_pool2d_forward, F.max_pool2d_backward


class AvgPool2D(Pool2D):
    """y = the mean of each window and channel; the zeros of the padding count."""

    pair = F.avg_pool2d_forward, F.avg_pool2d_backward


class GlobalAvgPool2D(Layer):
    """y (N, C) = the mean of each channel over the whole picture."""

    def infer_output_shape(self, input_shape):
        check_image(self.label, input_shape)
        return input_shape[2:]

    def compute(self, x, training):
        return F.global_avg_pool2d_forward(x)

    def differentiate(self, dy, cache):
        (dx,) = F.global_avg_pool2d_backward(dy, cache)
        return dx, {}
