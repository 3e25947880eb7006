"""Recurrent layers: they read x (N, T, features) step by step and keep a state of `units` numbers."""

import numpy as np

from .. import functional as F
from .. import initializers
from ..naming import check_count
from .base import Layer


class Recurrent(Layer):
    """What RNN and LSTM share: the state starts at zero; the last state (N, units) comes out, or all (N, T, units)."""

    can_skip_input_gradient = True
    gates: tuple = ("z",)  # the blocks of columns of weight and recurrent_weight, in order
    states = 1  # arrays of state before the first step
    pair: tuple

    def __init__(
        self, units, return_sequences=False, initializer="glorot_uniform", recurrent_initializer="orthogonal", name=None
    ):
        super().__init__(name)
        self.units, self.return_sequences = check_count(type(self).__name__, "units", units), bool(return_sequences)
        self.initializer, self.recurrent_initializer = initializer, recurrent_initializer
        initializers.get(initializer), initializers.get(recurrent_initializer)

    def create_parameters(self, input_shape, rng):
        """Each gate's block is drawn as a weight of its own, so that its fans are its own."""
        if len(input_shape) != 2:
            raise ValueError(f"{self.label} works on sequences (N, T, features), got examples of shape {input_shape}")

        def blocks(initializer, inputs):
            draw = initializers.get(initializer)
            return np.concatenate([draw((inputs, self.units), rng) for _ in self.gates], axis=1)

        return {
            "weight": blocks(self.initializer, input_shape[1]),
            "recurrent_weight": blocks(self.recurrent_initializer, self.units),
            "bias": np.concatenate([self.create_bias(gate) for gate in self.gates]),
        }

    def create_bias(self, gate):
        return np.zeros(self.units)

    def infer_output_shape(self, input_shape):
        return (input_shape[0], self.units) if self.return_sequences else (self.units,)

    @property
    def multiply_adds(self):
        return self.input_shape[0] * (self.parameters["weight"].size + self.parameters["recurrent_weight"].size)

    def compute(self, x, training):
        start = [np.zeros((len(x), self.units), self.dtype) for _ in range(self.states)]
        p = self.parameters
        y, cache = self.pair[0](x, *start, p["weight"], p["recurrent_weight"], p["bias"])
        return y if self.return_sequences else y[:, -1], (cache, y.shape)

    def differentiate(self, dy, cache, input_gradient=True):
        cache, shape = cache
        if not self.return_sequences:
            last, dy = dy, np.zeros(shape, dy.dtype)
            dy[:, -1] = last
        dx, *_, dweight, drecurrent_weight, dbias = self.pair[1](dy, cache, input_gradient)
        return dx, {"weight": dweight, "recurrent_weight": drecurrent_weight, "bias": dbias}


class RNN(Recurrent):
    """h_t = tanh(x_t W + h_{t-1} U + b) (Elman): the last h (N, units), or all of them with return_sequences=True.

    weight (features, units) by initializer, recurrent_weight (units, units) by recurrent_initializer, bias zero.
    """

    pair = F.rnn_forward, F.rnn_backward


class LSTM(Recurrent):
    """Long short-term memory: a cell that gates keep, feed and show; y (N, units) or (N, T, units).

    weight (features, 4 units), recurrent_weight (units, 4 units), bias (4 units,), the gates in the order i, f, o, g.
    Biases start at 0, the forget gate's at 1, so that the cell remembers from the start (Jozefowicz et al. 2015).
    """

    gates = ("i", "f", "o", "g")
    states = 2
    pair = F.lstm_forward, F.lstm_backward

    def create_bias(self, gate):
        return np.ones(self.units) if gate == "f" else np.zeros(self.units)
