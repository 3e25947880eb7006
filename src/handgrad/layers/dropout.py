"""Dropout as a layer."""

from .. import functional as F
from ..naming import check_number
from .base import Layer


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
