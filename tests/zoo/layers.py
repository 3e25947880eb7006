"""Wrong layers, written as people write them: without handgrad."""

import numpy as np

from .specimens import specimen


class Dense:
    """y = σ(x W + b), with attributes W, b, dW, db."""

    def __init__(self, rng, activation=True):
        self.W, self.b = rng.normal(size=(4, 5)), rng.normal(size=5)
        self.dW, self.db = np.zeros((4, 5)), np.zeros(5)
        self.activation = activation

    def forward(self, x):
        self.x = x
        z = x @ self.W + self.b
        self.y = 1 / (1 + np.exp(-z)) if self.activation else z
        return self.y

    def through_activation(self, dy):
        return dy * self.y * (1 - self.y) if self.activation else dy

    def backward(self, dy):
        dz = self.through_activation(dy)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


def layer(subject, slug, lesson):
    """Register a subclass of Dense; it is checked on x (6, 4)."""

    def register(cls):
        def make(rng):
            return cls(rng), (rng.normal(size=(6, 4)),), {}

        make.__name__ = cls.__name__
        specimen(subject, slug, lesson)(make)
        return cls

    return register


@layer("dense layer", "derivative-missing", "dy reaches the product through the activation: dz = dy σ'(z) first.")
class ActivationForgotten(Dense):
    def through_activation(self, dy):
        return dy


@layer("dense layer", "derivative-twice", "The activation's derivative goes in once.")
class ActivationTwice(Dense):
    def through_activation(self, dy):
        return dy * (self.y * (1 - self.y)) ** 2


@layer("dense layer", "derivative-missing", "The weight's gradient, too, comes through the activation.")
class WeightBesideActivation(Dense):
    def backward(self, dy):
        dz = self.through_activation(dy)
        self.dW, self.db = self.x.T @ dy, dz.sum(axis=0)
        return dz @ self.W.T


@layer("dense layer", "gradient-accumulated", "Gradients are assigned; who wants to accumulate must also clear.")
class Accumulates(Dense):
    def backward(self, dy):
        dz = self.through_activation(dy)
        self.dW += self.x.T @ dz
        self.db += dz.sum(axis=0)
        return dz @ self.W.T


@layer("dense layer", "stale-cache", "The input is kept on every forward, not on the first one only.")
class KeepsFirstInput(Dense):
    kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = x.copy()
        y = super().forward(x)
        self.x = self.kept
        return y


@layer("dense layer", "state-mutated", "A forward computes; it must not change what the next forward computes.")
class DecaysInForward(Dense):
    def forward(self, x):
        y = super().forward(x)
        self.b = self.b * 0.99
        return y


@layer("dense layer", "input-modified", "A backward computes gradients; the optimizer updates.")
class UpdatesInBackward(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.W -= 0.1 * self.dW
        return dx


@layer("dense layer", "gradient-missing", "A backward returns dx, or the layer below gets nothing.")
class ReturnsNothing(Dense):
    def backward(self, dy):
        super().backward(dy)


@layer(
    "dense layer", "gradient-missing", "The gradient is computed, but kept under another name than the update reads."
)
class GradientInLocalVariable(Dense):
    def backward(self, dy):
        dz = self.through_activation(dy)
        dW = self.x.T @ dz
        self.db = dz.sum(axis=0)
        return dz @ self.W.T + 0 * dW.sum()


@layer(
    "dense layer",
    "nondeterministic-forward",
    "Noise comes from a generator that is passed in, or the run cannot be repeated.",
)
class NoisyForward(Dense):
    def forward(self, x):
        return super().forward(x) + 0.01 * np.random.normal(size=(len(x), 5))  # noqa: NPY002 (the mistake itself)


@layer("dense layer", "float32-precision", "zeros and astype in float32 pull a float64 network down to seven digits.")
class Float32Forward(Dense):
    def forward(self, x):
        y = np.zeros((len(x), 5), dtype=np.float32)
        y[...] = super().forward(x)
        return y


@layer(
    "dense layer", "input-modified", "x belongs to the caller; x - mean is a new array, x -= mean changes the data set."
)
class CentersInPlace(Dense):
    def forward(self, x):
        x -= x.mean(axis=0)
        return super().forward(x)

    def backward(self, dy):
        dx = super().backward(dy)
        return dx - dx.mean(axis=0)


@layer("dense layer", "cache-modified", "A backward that works in place on what the forward kept can run once only.")
class ScalesCacheInPlace(Dense):
    def forward(self, x):
        return super().forward(x)

    def backward(self, dy):
        if not hasattr(self, "calls"):
            self.calls = 0
        self.calls += 1
        dx = super().backward(dy)
        self.dW = self.dW * self.calls**2
        return dx


@layer("dense layer", "learning-rate-factor", "The learning rate is the optimizer's.")
class LearningRateInside(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW, self.db = 0.01 * self.dW, 0.01 * self.db
        return dx


@layer(
    "dense layer",
    "integer-output",
    "An integer division or an int array cuts the decimals off: there is no slope left.",
)
class IntegerOutput(Dense):
    def forward(self, x):
        return np.round(super().forward(x) * 255).astype(np.int64)


@layer("dense layer", "shape-changes", "y's shape depends on x's shape and nothing else.")
class ForgetsAxis(Dense):
    calls = 0

    def forward(self, x):
        self.calls += 1
        y = super().forward(x)
        return y if self.calls % 2 else y.T


@layer("dense layer", "forward-raises", "The forward must run before anything can be said about its gradient.")
class ForwardRaises(Dense):
    def forward(self, x):
        return super().forward(x.T)


@layer("dense layer", "backward-raises", "Shapes of dz and W: (N, out) and (in, out) meet as dz Wᵀ.")
class BackwardRaises(Dense):
    def backward(self, dy):
        return dy @ self.W


@layer("residual layer", "skip-missing", "y = x + f(x) has two ways back: dx = dy + dy f'.")
class SkipForgotten(Dense):
    def __init__(self, rng):
        super().__init__(rng)
        self.W, self.b = rng.normal(size=(4, 4)), rng.normal(size=4)
        self.dW, self.db = np.zeros((4, 4)), np.zeros(4)

    def forward(self, x):
        return x + super().forward(x)


@layer("residual layer", "factor-two", "The way around f is there once, not twice.")
class SkipTwice(SkipForgotten):
    def backward(self, dy):
        return 2 * dy + super().backward(dy)
