"""Layers of dense networks: Linear (also called dense or fully connected), Flatten and Dropout."""

from math import prod

import numpy as np

from .. import functional as F
from .. import initializers
from ..naming import check_count, check_number
from .base import Layer
from .steps import SharedLinear


class Linear(Layer):
    """y = x W + b. weight (in, units), bias (units,); the input size is inferred at build.

    initializer: a name or object of `handgrad.initializers` for the weight; the bias starts at zero, or bias=False.
    """

    can_skip_input_gradient = True

    def __init__(self, units, initializer="glorot_uniform", bias=True, name=None):
        super().__init__(name)
        self.units, self.initializer, self.bias = check_count("Linear", "units", units), initializer, bias
        initializers.get(initializer)  # an unknown name is refused here rather than at build

    def create_parameters(self, input_shape, rng):
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.label} works on rows (N, features), got examples of shape {input_shape}: "
                "put a Flatten() before it"
            )
        weight = initializers.get(self.initializer)((input_shape[0], self.units), rng)
        return {"weight": weight, "bias": np.zeros(self.units)} if self.bias else {"weight": weight}

    def infer_output_shape(self, input_shape):
        return (self.units,)

    @property
    def multiply_adds(self):
        return self.input_shape[0] * self.units

    def compute(self, x, training):
        return F.linear_forward(x, self.parameters["weight"], self.parameters.get("bias", 0))

    def differentiate(self, dy, cache, input_gradient=True):
        dx, dweight, dbias = F.linear_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}

    def share(self):
        return SharedLinear(self) if type(self) is Linear else None


class Flatten(Layer):
    """Lay each example out as one row: (N, H, W, C) becomes (N, H W C)."""

    def infer_output_shape(self, input_shape):
        return (prod(input_shape),)

    def compute(self, x, training):
        return F.flatten_forward(x)

    def differentiate(self, dy, cache):
        (dx,) = F.flatten_backward(dy, cache)
        return dx, {}


class Dropout(Layer):
    """In training each number is dropped with probability rate, the rest divided by 1 - rate; else y = x."""

    def __init__(self, rate=0.5, name=None):
        super().__init__(name)
        check_number("Dropout", "rate, the probability of dropping,", rate, minimum=0, below=1)
        self.rate = rate

    def infer_output_shape(self, input_shape):
        return input_shape

    def compute(self, x, training):
        return F.dropout_forward(x, self.rate, self.rng, training)

    def differentiate(self, dy, cache):
        (dx,) = F.dropout_backward(dy, cache)
        return dx, {}
