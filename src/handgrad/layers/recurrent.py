"""Recurrent layers: they read x (N, T, features) step by step and keep a state of `units` numbers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..initializers import AnyInitializer
from ..naming import check_count, check_switch
from .base import Gradients, Layer, Pair


class Recurrent(Layer, abstract=True):
    """What all of them share: the state starts at zero; the last state (N, units) comes out, or all (N, T, units)."""

    can_skip_input_gradient = True
    gates: tuple[str, ...] = ("z",)  # the blocks of columns of weight and recurrent_weight, in order
    states = 1  # arrays of state before the first step
    pair: ClassVar[Pair]

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        initializer: AnyInitializer = "glorot_uniform",
        recurrent_initializer: AnyInitializer = "orthogonal",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.units: int = check_count(type(self).__name__, "units", units)
        self.return_sequences: bool = check_switch(type(self).__name__, "return_sequences", return_sequences)
        self.initializer: AnyInitializer = initializers.checked(initializer)
        self.recurrent_initializer: AnyInitializer = initializers.checked(recurrent_initializer)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        """Each gate's block is drawn as a weight of its own, so that its fans are its own."""
        if len(input_shape) != 2:
            raise ValueError(f"{self.label} works on sequences (N, T, features), got examples of shape {input_shape}")

        def blocks(initializer: AnyInitializer, inputs: int) -> Array:
            shape = inputs, self.units
            return np.concatenate([initializers.draw(initializer, shape, rng) for _ in self.gates], axis=1)

        return {
            "weight": blocks(self.initializer, input_shape[1]),
            "recurrent_weight": blocks(self.recurrent_initializer, self.units),
            "bias": np.concatenate([self.create_bias(gate) for gate in self.gates]),
        }

    def create_bias(self, gate: str) -> Array:
        """The bias (units,) a gate starts with: zeros."""
        return np.zeros(self.units)

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.units) if self.return_sequences else (self.units,)

    @property
    def multiply_adds(self) -> int:
        return self.input_shape[0] * (self.parameters["weight"].size + self.parameters["recurrent_weight"].size)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        start = [np.zeros((len(x), self.units), self.dtype) for _ in range(self.states)]
        y, cache = self.pair[0](x, *start, *self.parameters.values())
        return y if self.return_sequences else y[:, -1], (cache, y.shape)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        cache, shape = cache
        if not self.return_sequences:
            last, dy = dy, np.zeros(shape, dy.dtype)
            dy[:, -1] = last
        dx, *gradients = self.pair[1](dy, cache, input_gradient)
        return dx, dict(zip(self.parameters, gradients[self.states :], strict=True))


class RNN(Recurrent):
    """h_t = tanh(x_t W + h_{t-1} U + b): reads sequences x (N, T, features) step by step. (Elman 1990)

    The state h starts at zero.

    Parameters
    ----------
    units : int
        How many numbers the state has, 1 or more.
    return_sequences : bool
        Whether all states come out, (N, T, units), or the last one, (N, units).
    initializer, recurrent_initializer : str, dict or callable
        How the weights of x and of the state start out: names or objects of `handgrad.initializers`.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'rnn1'.

    Attributes
    ----------
    parameters : dict
        'weight' W (features, units), 'recurrent_weight' U (units, units), 'bias' b (units,), which starts at zero.

    Raises
    ------
    ValueError
        For units below 1, an unknown initializer; and when built, for examples that are no sequences.

    See Also
    --------
    handgrad.functional.rnn_forward : the pair this layer calls, with rnn_backward.

    Examples
    --------
    >>> hg.RNN(5).build((10, 3)).output_shape
    (5,)
    >>> hg.RNN(5, return_sequences=True).build((10, 3)).output_shape
    (10, 5)
    """

    pair: ClassVar[Pair] = F.rnn_forward, F.rnn_backward


class LSTM(Recurrent):
    """Long short-term memory: reads sequences x (N, T, features), with a cell that gates keep, feed and show.

    i, f, o = σ(x_t W + h_{t-1} U + b) and g = tanh(...), each by its own columns; c_t = f c_{t-1} + i g and
    h_t = o tanh c_t. State and cell start at zero. (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000)

    Parameters
    ----------
    units : int
        How many numbers the state has, 1 or more.
    return_sequences : bool
        Whether all states come out, (N, T, units), or the last one, (N, units).
    initializer, recurrent_initializer : str, dict or callable
        How the weights of x and of the state start out: names or objects of `handgrad.initializers`.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'lstm1'.

    Attributes
    ----------
    parameters : dict
        'weight' W (features, 4 units), 'recurrent_weight' U (units, 4 units), 'bias' b (4 units,), the gates in the
        order i, f, o, g. Biases start at 0, the forget gate's at 1, so that the cell remembers from the start
        (Jozefowicz, Zaremba & Sutskever 2015).

    Raises
    ------
    ValueError
        For units below 1, an unknown initializer; and when built, for examples that are no sequences.

    See Also
    --------
    handgrad.functional.lstm_forward : the pair this layer calls, with lstm_backward.

    Examples
    --------
    >>> hg.LSTM(5).build((10, 3)).output_shape
    (5,)
    >>> hg.LSTM(5, return_sequences=True).build((10, 3)).output_shape
    (10, 5)
    """

    gates: tuple[str, ...] = ("i", "f", "o", "g")
    states = 2
    pair: ClassVar[Pair] = F.lstm_forward, F.lstm_backward

    def create_bias(self, gate: str) -> Array:
        """The bias (units,) a gate starts with: ones for the forget gate, so that cells remember; else zeros."""
        return np.ones(self.units) if gate == "f" else np.zeros(self.units)


class GRU(Recurrent):
    """Gated recurrent unit: reads sequences x (N, T, features), with a gate between the old state and a new one.

    With a = x_t W + b and c = h_{t-1} U + d, each by its own columns: r, z = σ(a + c), n = tanh(a + r c), and
    h_t = (1 - z) n + z h_{t-1}. The state starts at zero. (Cho et al. 2014, in the form of cuDNN and PyTorch)

    Parameters
    ----------
    units : int
        How many numbers the state has, 1 or more.
    return_sequences : bool
        Whether all states come out, (N, T, units), or the last one, (N, units).
    initializer, recurrent_initializer : str, dict or callable
        How the weights of x and of the state start out: names or objects of `handgrad.initializers`.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'gru1'.

    Attributes
    ----------
    parameters : dict
        'weight' W (features, 3 units), 'recurrent_weight' U (units, 3 units), 'bias' b and 'recurrent_bias' d
        (3 units,), which start at zero; the gates in the order r, z, n.

    Raises
    ------
    ValueError
        For units below 1, an unknown initializer; and when built, for examples that are no sequences.

    See Also
    --------
    handgrad.functional.gru_forward : the pair this layer calls, with gru_backward.

    Examples
    --------
    >>> hg.GRU(5).build((10, 3)).output_shape
    (5,)
    >>> hg.GRU(5, return_sequences=True).build((10, 3)).output_shape
    (10, 5)
    """

    gates: tuple[str, ...] = ("r", "z", "n")
    pair: ClassVar[Pair] = F.gru_forward, F.gru_backward

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        parameters = super().create_parameters(input_shape, rng)
        return {**parameters, "recurrent_bias": np.zeros_like(parameters["bias"])}
