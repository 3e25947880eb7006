"""Convolution as a layer."""

from math import prod

import numpy as np

from .. import functional as F
from .. import initializers
from ..functional.convolution import check_groups
from ..functional.windows import pair, window_geometry
from ..naming import check_count
from .base import Layer


class Conv2D(Layer):
    """filters small weights slide over images (N, H, W, C) and make (N, H', W', filters).

    weight (kh, kw, C / groups, filters), bias (filters,). kernel_size, stride, padding and dilation are an int or a
    pair (vertical, horizontal); padding also 'same' or 'valid'.
    initializer: a name or object of `handgrad.initializers` for the weight; the bias starts at zero, or bias=False.
    """

    can_skip_input_gradient = True

    def __init__(
        self,
        filters,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        initializer="glorot_uniform",
        bias=True,
        name=None,
    ):
        super().__init__(name)
        self.filters = check_count("Conv2D", "filters", filters)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups, self.initializer, self.bias = dilation, groups, initializer, bias

    def create_parameters(self, input_shape, rng):
        check_image(self.label, input_shape)
        check_groups(self.label, input_shape[2], self.filters, self.groups)
        kernel = pair(self.label, "kernel_size", self.kernel_size, 1)
        weight = initializers.get(self.initializer)((*kernel, input_shape[2] // self.groups, self.filters), rng)
        return {"weight": weight, "bias": np.zeros(self.filters)} if self.bias else {"weight": weight}

    def infer_output_shape(self, input_shape):
        geometry = window_geometry(
            self.label, (1, *input_shape), self.kernel_size, self.stride, self.padding, self.dilation
        )
        return (*geometry.output, self.filters)

    @property
    def multiply_adds(self):
        return prod(self.output_shape[:2]) * self.parameters["weight"].size

    def compute(self, x, training):
        return F.conv2d_forward(
            x,
            self.parameters["weight"],
            self.parameters.get("bias"),
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )

    def differentiate(self, dy, cache, input_gradient=True):
        dx, dweight, dbias = F.conv2d_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}


def check_image(label, input_shape):
    if len(input_shape) != 3:
        raise ValueError(
            f"{label} works on images (N, H, W, C), got examples of shape {input_shape}: "
            "give the images three axes, such as input_shape=(28, 28, 1)"
        )
