"""Initializers: how a weight starts out, as callables (shape, rng) -> float64 array.

    >>> HeNormal()((4, 3), np.random.default_rng(0)).shape
    (4, 3)

Weights are (in, out) for dense layers and (kernel height, kernel width, in, out) for convolutions. The scaled ones
keep the variance of the signal the same from layer to layer; `gain` makes up for what the activation takes away.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from .arrays import Array, Seed, Shape
from .functional.activations import ACTIVATIONS
from .naming import build, check_number, look_up


class Initializer(Protocol):
    """Draws a weight: any callable (shape, rng) -> array."""

    def __call__(self, shape: Shape, rng: Seed, /) -> Array: ...


# what layers and configurations take for one: its name, a table with the name and arguments, or itself
AnyInitializer: TypeAlias = "str | dict[str, Any] | Initializer"


def gain(activation: str | float) -> float:
    """The factor for weights in front of this activation (name), or a number as it is: gain('relu') is √2."""
    if isinstance(activation, str):
        return look_up("activation", activation, ACTIVATIONS).gain
    return check_number("gain", "value", activation, above=0)


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (..., in, out): the values one output is summed from, and one input goes to.

    Each is in, or out, times the number of kernel positions. ValueError for fewer than two axes or an empty one.
    """
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"fans are defined for weights (..., in, out) with no empty axis, got shape {tuple(shape)}")
    positions = math.prod(shape[:-2])
    return positions * shape[-2], positions * shape[-1]


def draw_uniform(shape: Shape, rng: Seed, std: float) -> Array:
    """Uniform on ±√3 std: of mean 0 and standard deviation std."""
    bound = math.sqrt(3) * std
    return np.random.default_rng(rng).uniform(-bound, bound, shape)


def draw_normal(shape: Shape, rng: Seed, std: float) -> Array:
    return np.random.default_rng(rng).normal(0.0, std, shape)


@dataclass(frozen=True)
class Zeros:
    """All 0: right for biases; as a weight it leaves the units of a layer alike for ever."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones:
    """All 1."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant:
    """All the same value."""

    value: float

    def __post_init__(self) -> None:
        check_number("Constant", "value", self.value)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high)."""

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        check_number("Uniform", "low", self.low)
        check_number("Uniform", "high", self.high, minimum=self.low)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.random.default_rng(rng).uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Normal:
    """Normal with this mean and standard deviation."""

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        check_number("Normal", "mean", self.mean)
        check_number("Normal", "std", self.std, minimum=0)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.random.default_rng(rng).normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Scaled:
    """What takes a gain: a number, or the name of the activation behind the weight."""

    gain: float | str = 1.0

    def __post_init__(self) -> None:
        gain(self.gain)


@dataclass(frozen=True)
class Glorot(Scaled):
    """std = gain √(2 / (fan_in + fan_out)): forward and backward signals keep about their size.

    Glorot & Bengio (2010), also called Xavier. gain is a number or an activation's name.
    """

    def std(self, shape: Shape) -> float:
        return gain(self.gain) * math.sqrt(2 / sum(fans(shape)))


class GlorotUniform(Glorot):
    """Uniform with std = gain √(2 / (fan_in + fan_out)); see Glorot."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, self.std(shape))


class GlorotNormal(Glorot):
    """Normal with std = gain √(2 / (fan_in + fan_out)); see Glorot."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, self.std(shape))


@dataclass(frozen=True)
class He(Scaled):
    """std = gain / √fan: the forward signal keeps its size with mode 'fan_in', the backward one with 'fan_out'.

    He, Zhang, Ren & Sun (2015), also called Kaiming. gain is a number or an activation's name.
    """

    gain: float | str = "relu"
    mode: str = "fan_in"

    def __post_init__(self) -> None:
        super().__post_init__()
        look_up("mode", self.mode, {"fan_in": 0, "fan_out": 1})

    def std(self, shape: Shape) -> float:
        fan_in, fan_out = fans(shape)
        return gain(self.gain) / math.sqrt(look_up("mode", self.mode, {"fan_in": fan_in, "fan_out": fan_out}))


class HeUniform(He):
    """Uniform with std = gain / √fan; see He."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, self.std(shape))


class HeNormal(He):
    """Normal with std = gain / √fan; see He."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, self.std(shape))


@dataclass(frozen=True)
class LecunUniform:
    """Uniform with std = 1 / √fan_in. LeCun, Bottou, Orr & Müller, Efficient BackProp (1998)."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, 1 / math.sqrt(fans(shape)[0]))


@dataclass(frozen=True)
class LecunNormal:
    """Normal with std = 1 / √fan_in. LeCun, Bottou, Orr & Müller, Efficient BackProp (1998)."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, 1 / math.sqrt(fans(shape)[0]))


@dataclass(frozen=True)
class Orthogonal(Scaled):
    """gain Q with orthonormal columns, or rows where these are fewer: lengths stay. Saxe, McClelland & Ganguli (2014).

    A convolution's weight is taken as (height width in, out).
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        fans(shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(np.random.default_rng(rng).normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # without it Q is not uniform: the signs would be LAPACK's choice
        return gain(self.gain) * np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


@dataclass(frozen=True)
class Identity(Scaled):
    """gain times the identity matrix, for square weights; ValueError for others. Le, Jaitly & Hinton (2015)."""

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"Identity fits square weights (n, n) only, got shape {tuple(shape)}")
        return gain(self.gain) * np.eye(shape[0])


@dataclass(frozen=True)
class Sparse:
    """Normal of standard deviation std, with ⌈sparsity in⌉ of each unit's incoming weights set to 0. Martens (2010)."""

    sparsity: float = 0.1
    std: float = 0.01

    def __post_init__(self) -> None:
        check_number("Sparse", "sparsity", self.sparsity, minimum=0, maximum=1)
        check_number("Sparse", "std", self.std, minimum=0)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        if len(shape) != 2:
            raise ValueError(f"Sparse fits weights (in, out) only, got shape {tuple(shape)}")
        rng = np.random.default_rng(rng)
        weight = rng.normal(0.0, self.std, shape)
        order = rng.random(shape).argsort(axis=0)  # in each column, every choice of rows is as likely
        weight[order < math.ceil(self.sparsity * shape[0])] = 0.0
        return weight


INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "uniform": Uniform,
    "normal": Normal,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "xavier_uniform": GlorotUniform,
    "xavier_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "kaiming_uniform": HeUniform,
    "kaiming_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "sparse": Sparse,
}


def get(spec: AnyInitializer) -> Initializer:
    """The initializer meant by 'he_normal', {'name': 'he_normal', 'mode': 'fan_out'} or a callable (shape, rng)."""
    initializer = build("initializer", spec, INITIALIZERS)
    if not callable(initializer):
        raise TypeError(f"initializer must be a name, a table or a callable (shape, rng), got {spec!r}")
    return initializer
