"""Wrong models, closures and functions, written as people write them: without handgrad."""

import numpy as np

from handgrad import functional as F

from .layers import ActivationForgotten, Dense
from .specimens import specimen


class Chain:
    """Two dense layers in a row."""

    def __init__(self, rng):
        self.layers = [Dense(rng), Dense(rng)]
        self.layers[1].W = rng.normal(size=(5, 5))

    def forward(self, x):
        for part in self.layers:
            x = part.forward(x)
        return x

    def backward(self, dy):
        for part in reversed(self.layers):
            dy = part.backward(dy)
        return dy


class SameGradientForAll(Chain):
    def backward(self, dy):
        self.layers[1].backward(dy)
        return self.layers[0].backward(dy)


class OneLayerSkipped(Chain):
    def backward(self, dy):
        self.layers[1].backward(dy)
        return self.layers[0].backward(dy @ self.layers[1].W.T)


@specimen(
    "model", "derivative-missing", "In a model every layer below a wrong one is wrong too: look at the last one first."
)
def second_layer_wrong(rng):
    model = Chain(rng)
    model.layers[1].__class__ = ActivationForgotten
    return model, (rng.normal(size=(6, 4)),), {}


@specimen("model", "not-passed-down", "Each layer gets the gradient that the layer above returned, not the loss's.")
def same_gradient_for_all(rng):
    return SameGradientForAll(rng), (rng.normal(size=(6, 4)),), {}


@specimen(
    "model", "not-passed-down", "What a layer returns from its backward is what the layer below gets, nothing else."
)
def one_layer_passed_by(rng):
    return OneLayerSkipped(rng), (rng.normal(size=(6, 4)),), {}


@specimen("closure", "penalty-missing", "What is added to the loss has a gradient: λ w for ½ λ w².")
def decay_without_gradient(rng):
    x, t = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))

    def closure(weight):
        r = x @ weight - t
        return np.mean(r**2) + 0.05 * np.sum(weight**2), 2 * x.T @ r / r.size

    return closure, (rng.normal(size=(4, 3)),), {}


@specimen("function", "factor-two", "The derivative of a square has a 2.")
def sum_of_squares(rng):
    return (lambda x: np.sum(x**2), lambda x: x), (rng.normal(size=7),), {}


@specimen("function", "derivative-at-output", "Derivatives are taken at the input.")
def square_at_output(rng):
    return (lambda x: x**3, lambda x: 3 * (x**3) ** 2), (rng.normal(size=7),), {}


@specimen(
    "softmax and loss",
    "brier-gradient",
    "p - t contains the softmax Jacobian: the softmax behind it must not apply its own.",
)
def softmax_with_fused_loss(rng):
    labels = rng.integers(0, 5, 6)

    def forward(logits):
        p, cache = F.softmax_forward(logits)
        return -np.log(p[np.arange(6), labels]).mean(), (p, cache)

    def backward(dloss, cache):
        p, inner = cache
        return F.softmax_backward(dloss * (p - np.eye(5)[labels]) / 6, inner)

    return (forward, backward), (rng.normal(size=(6, 5)),), {}
