"""The rules of layers whose `compute` does more than a program can record: what each computes in inference."""

import math

import numpy as np

from .. import layers as hg
from ..arrays import Array
from ..functional.pooling import shares
from ..functional.recurrent import gru_gates, lstm_gates
from ..functional.windows import pair
from ..layers.images import Pool2D
from ..layers.normalization import inference_affine
from ..layers.recurrent import Recurrent
from .program import AnyValue, by_computing, exports

NOT_SEEN = -math.inf


@exports(hg.Sequential)
def chain(layer: hg.Sequential, x: AnyValue) -> AnyValue:
    """Layers one after the other."""
    for inner in layer.layers:
        x = x.recorder.within(inner, x)
    return x


@exports(hg.Residual)
def residual(layer: hg.Residual, x: AnyValue) -> AnyValue:
    """y = f(x) + x."""
    y = x
    for inner in layer.layers:
        y = x.recorder.within(inner, y)
    return y + (x if layer.shortcut is None else x.recorder.within(layer.shortcut, x))


@exports(hg.Linear)
def affine(layer: hg.Linear, x: AnyValue) -> AnyValue:
    """y = x W + b."""
    y = x @ layer.parameters["weight"]
    return y + layer.parameters["bias"] if layer.bias else y


@exports(hg.Embedding)
def rows(layer: hg.Embedding, x: AnyValue) -> AnyValue:
    """Rows of the weight."""
    return x.recorder.record("take", [layer.parameters["weight"], x], layer.output_shape)


@exports(hg.TableEmbedding)
def columns(layer: hg.TableEmbedding, x: AnyValue) -> AnyValue:
    """The numbers, then each column's rows of the weight."""
    parts = [x[:, at : at + 1] for at, size in enumerate(layer.sizes) if not size]
    ends = np.cumsum(layer.sizes).tolist()
    for at in layer.held.tolist():
        weight = layer.parameters["weight"][ends[at] - layer.sizes[at] : ends[at]]
        parts.append(x.recorder.record("take", [weight, x[:, at : at + 1]], (1, layer.units))[:, 0])
    return np.concatenate(parts, axis=1) if layer.held.size else x


@exports(hg.GELU)
def gelu(layer: hg.GELU, x: AnyValue) -> AnyValue:
    """x Φ(x), of which NumPy's Φ is by a table."""
    if layer.approximate == "tanh":
        return by_computing(layer, x)
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))


def erf(x: AnyValue) -> AnyValue:
    """The error function."""
    return x.recorder.record("erf", [x], x.example)


@exports(hg.BatchNorm)
def folded(layer: hg.BatchNorm, x: AnyValue) -> AnyValue:
    """y = scale x + shift."""
    scale, shift = inference_affine(layer)
    return x * scale + shift


@exports(hg.Conv2D)
def convolution(layer: hg.Conv2D, x: AnyValue) -> AnyValue:
    """A convolution, its padding in numbers."""
    _, stride, dilation, padding, output = layer.geometry(layer.input_shape)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": layer.groups}
    return x.recorder.record("conv2d", [x, *layer.parameters.values()], (*output, layer.filters), **options)


@exports(hg.Conv1D)
def convolution1d(layer: hg.Conv1D, x: AnyValue) -> AnyValue:
    """That of images which are one row high."""
    _, stride, dilation, padding, output = layer.geometry(layer.input_shape)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": layer.groups}
    arrays = [layer.parameters["weight"][None], *list(layer.parameters.values())[1:]]
    return x.recorder.record("conv2d", [x[:, None], *arrays], (*output, layer.filters), **options)[:, 0]


@exports(hg.ConvTranspose2D)
def transposed_convolution(layer: hg.ConvTranspose2D, x: AnyValue) -> AnyValue:
    """A transposed convolution."""
    vertical, horizontal = pair(layer.label, "padding", layer.padding, 0)
    return x.recorder.record(
        "conv_transpose2d",
        [x, *layer.parameters.values()],
        layer.output_shape,
        stride=pair(layer.label, "stride", layer.stride, 1),
        padding=((vertical, vertical), (horizontal, horizontal)),
        output_size=layer.output_shape[:2],
    )


@exports(Pool2D)
def pooling(layer: Pool2D, x: AnyValue) -> AnyValue:
    """The largest number or the mean of each window."""
    kernel, stride, _, padding, _ = layer.geometry(layer.input_shape)
    name = "max_pool2d" if isinstance(layer, hg.MaxPool2D) else "avg_pool2d"
    return x.recorder.record(name, [x], layer.output_shape, kernel=kernel, stride=stride, padding=padding)


@exports(hg.AdaptiveAvgPool2D)
def shared_means(layer: hg.AdaptiveAvgPool2D, x: AnyValue) -> AnyValue:
    """A product with what each row counts for, and one with each column."""
    (height, width, channels), (p, q, _) = layer.input_shape, layer.output_shape
    down = shares(height, p) @ x.reshape(-1, height, width * channels)
    return shares(width, q) @ down.reshape(-1, p, width, channels)


@exports(hg.RNN)
def rnn(layer: hg.RNN, x: AnyValue) -> AnyValue:
    """h_t = tanh(x_t W + h_{t-1} U + b), step by step."""
    inputs, hidden, states = affine_of(layer, x), start_of(layer), list[AnyValue]()
    for t in range(layer.input_shape[0]):
        hidden = np.tanh(inputs[:, t] + hidden @ layer.parameters["recurrent_weight"])
        states.append(hidden)
    return outcome(layer, states)


@exports(hg.LSTM)
def lstm(layer: hg.LSTM, x: AnyValue) -> AnyValue:
    """The gates of `functional.recurrent`, step by step."""
    inputs, hidden, cell, states = affine_of(layer, x), start_of(layer), start_of(layer), list[AnyValue]()
    for t in range(layer.input_shape[0]):
        hidden, cell, _ = lstm_gates(inputs[:, t] + hidden @ layer.parameters["recurrent_weight"], cell)
        states.append(hidden)
    return outcome(layer, states)


@exports(hg.GRU)
def gru(layer: hg.GRU, x: AnyValue) -> AnyValue:
    """The gates of `functional.recurrent`, step by step."""
    inputs, hidden, states = affine_of(layer, x), start_of(layer), list[AnyValue]()
    for t in range(layer.input_shape[0]):
        products = hidden @ layer.parameters["recurrent_weight"] + layer.parameters["recurrent_bias"]
        hidden, _ = gru_gates(inputs[:, t], products, hidden)
        states.append(hidden)
    return outcome(layer, states)


def affine_of(layer: Recurrent, x: AnyValue) -> AnyValue:
    """x W + b, of all steps."""
    return x @ layer.parameters["weight"] + layer.parameters["bias"]


def start_of(layer: Recurrent) -> Array:
    """The state before the first step."""
    return np.zeros((1, layer.units), layer.dtype)


def outcome(layer: Recurrent, states: list[AnyValue]) -> AnyValue:
    """All states, or the last."""
    return np.stack(states, axis=1) if layer.return_sequences else states[-1]


@exports(hg.MultiHeadAttention)
def attention(layer: hg.MultiHeadAttention, x: AnyValue) -> AnyValue:
    """softmax(q kᵀ / √d) v in each head."""
    weight, bias, output_weight, output_bias = layer.parameters.values()
    (steps, features), heads = layer.input_shape, layer.num_heads
    projected = (x @ weight + bias).reshape(-1, steps, 3, heads, features // heads).transpose(0, 2, 3, 1, 4)
    q, k, v = (projected[:, i] for i in range(3))
    scores = (q / math.sqrt(features // heads)) @ k.swapaxes(2, 3)
    if layer.causal:
        scores = scores + np.where(np.tri(steps, dtype=bool), 0, NOT_SEEN)
    weights = x.recorder.within(hg.Softmax(), scores)
    return (weights @ v).swapaxes(1, 2).reshape(-1, steps, features) @ output_weight + output_bias
