"""neural_networks.weights: initial weights as callables of a shape, drawn from NumPy's global generator.

The global generator is the course's interface: np.random.seed(0) before a run is what makes it repeatable there.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .utils.data_structures import Array, Shape


def initialize_weights(name: str, activation: str | None = None, mode: str = "fan_in") -> "WeightInitializer":
    """The initializer of that name; NotImplementedError for a name that is none."""
    if name not in WEIGHTS:
        raise NotImplementedError(f"{name} weight initialization is not implemented")
    cls = WEIGHTS[name]
    given = [activation, mode] if issubclass(cls, He) else [activation] if issubclass(cls, Xavier) else []
    initializer: WeightInitializer = cls(*given)
    return initializer


def fans(shape: Shape, mode: str = "sum") -> Any:
    """The fans of a weight: its first and last sizes, as the course counts them.

    For a convolution (kh, kw, c_in, c_out) these are kh and c_out, where kh·kw·c_in and kh·kw·c_out would keep the
    variance; runs with a seed depend on it, so it stays.
    """
    fan_in, fan_out = shape[0], shape[-1]
    values = {"fan_in": fan_in, "fan_out": fan_out, "sum": fan_in + fan_out, "separate": (fan_in, fan_out)}
    if mode not in values:
        raise ValueError(f"mode must be one of {', '.join(values)}, got {mode!r}")
    return values[mode]


def gain(activation: str | None) -> float:
    """√2 for relu, 5/3 for tanh, else 1."""
    return {"relu": math.sqrt(2.0), "tanh": 5 / 3}.get(str(activation), 1.0)


class WeightInitializer(ABC):
    """weights = initializer(shape)."""

    @abstractmethod
    def __call__(self, shape: Shape) -> Array:
        """An array of this shape."""


class Zeros(WeightInitializer):
    """All 0."""

    def __call__(self, shape: Shape) -> Array:
        return np.zeros(shape)


class Ones(WeightInitializer):
    """All 1."""

    def __call__(self, shape: Shape) -> Array:
        return np.ones(shape)


class Identity(WeightInitializer):
    """The identity matrix; ValueError for a shape that is not square."""

    def __call__(self, shape: Shape) -> Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"an identity matrix is square, got the shape {shape}")
        return np.eye(shape[0])


@dataclass
class Uniform(WeightInitializer):
    """Uniform on [low, high)."""

    low: float = -1.0
    high: float = 1.0

    def __call__(self, shape: Shape) -> Array:
        return np.random.uniform(self.low, self.high, size=shape)


@dataclass
class Normal(WeightInitializer):
    """Normal with this mean and standard deviation."""

    mean: float = 0
    std: float = 1.0

    def __call__(self, shape: Shape) -> Array:
        return np.random.normal(self.mean, self.std, size=shape)


@dataclass
class Constant(WeightInitializer):
    """All the same value."""

    val: float = 0.5

    def __call__(self, shape: Shape) -> Array:
        return np.full(shape, self.val)


class Preset(WeightInitializer):
    """The matrix it is given."""

    def __call__(self, preset_matrix: Any) -> Any:
        return preset_matrix


@dataclass
class Sparse(WeightInitializer):
    """Normal of standard deviation std, ⌈sparsity rows⌉ entries of each column set to 0."""

    sparsity: float = 0.1
    std: float = 0.01

    def __call__(self, shape: Shape) -> Array:
        W = np.random.normal(0, self.std, size=shape)
        for column in range(shape[1]):
            rows = np.arange(shape[0])
            np.random.shuffle(rows)
            W[rows[: math.ceil(self.sparsity * shape[0])], column] = 0
        return W


@dataclass
class Xavier(WeightInitializer):
    """Standard deviation gain √(2 / (fan_in + fan_out))."""

    activation: str | None = None

    def std(self, shape: Shape) -> float:
        return gain(self.activation) * math.sqrt(2 / fans(shape, "sum"))


class XavierUniform(Xavier):
    """Uniform on ±√3 std."""

    def __call__(self, shape: Shape) -> Array:
        return uniform(shape, self.std(shape))


class XavierNormal(Xavier):
    """Normal."""

    def __call__(self, shape: Shape) -> Array:
        return np.random.normal(0, self.std(shape), size=shape)


@dataclass
class He(WeightInitializer):
    """Standard deviation gain / √fan, the fan chosen by mode (fan_in, fan_out or sum)."""

    activation: str | None = None
    mode: str = "fan_in"

    def std(self, shape: Shape) -> float:
        return gain(self.activation) / math.sqrt(fans(shape, self.mode))


class HeUniform(He):
    """Uniform on ±√3 std."""

    def __call__(self, shape: Shape) -> Array:
        return uniform(shape, self.std(shape))


class HeNormal(He):
    """Normal."""

    def __call__(self, shape: Shape) -> Array:
        return np.random.normal(0, self.std(shape), size=shape)


def uniform(shape: Shape, std: float) -> Array:
    bound = math.sqrt(3.0) * std
    return np.random.uniform(-bound, bound, size=shape)


WEIGHTS: dict[str, Any] = dict(zeros=Zeros, ones=Ones, identity=Identity, uniform=Uniform, normal=Normal)
WEIGHTS.update(constant=Constant, sparse=Sparse, he_uniform=HeUniform, he_normal=HeNormal)
WEIGHTS.update(xavier_uniform=XavierUniform, xavier_normal=XavierNormal)
