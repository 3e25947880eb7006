"""Initializers: how a weight starts out, as callables (shape, rng) -> float64 array.

    >>> HeNormal()((4, 3), np.random.default_rng(0)).shape
    (4, 3)

Weights are (in, out) for dense layers and (kernel height, kernel width, in, out) for convolutions. The scaled ones
keep the variance of the signal the same from layer to layer; `gain` makes up for what the activation takes away.
"""

import math
from typing import Any, Protocol, TypeAlias

import numpy as np

from .arrays import Array, Seed, Shape, numbers_of
from .functional.activations import ACTIVATIONS
from .naming import advised_dataclass, build, by_name, check_number, look_up


class Initializer(Protocol):
    """Draws a weight: any callable (shape, rng) -> array."""

    def __call__(self, shape: Shape, rng: Seed, /) -> Array: ...


# what layers and configurations take for one: its name, a table with the name and arguments, or itself
AnyInitializer: TypeAlias = "str | dict[str, Any] | Initializer"


def gain(activation: str | float) -> float:
    """The factor for weights in front of an activation, which makes up for what that takes from the signal's size.

    Parameters
    ----------
    activation : str or float
        The activation's name, or a factor above 0, which is returned.

    Raises
    ------
    ValueError
        For an unknown name or a number not above 0.

    Examples
    --------
    >>> round(gain("relu"), 4), gain(2.0)  # half of ReLU's outputs are 0: √2 keeps the mean square
    (1.4142, 2.0)
    """
    if isinstance(activation, str):
        return look_up("activation", activation, ACTIVATIONS).gain
    return check_number("gain", "value", activation, above=0)


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): how many values one output is summed from, and how many outputs one input goes to.

    Each is in, or out, times the number of kernel positions.

    Parameters
    ----------
    shape : tuple of int
        Of a weight: (in, out), or (kernel height, kernel width, in, out).

    Raises
    ------
    ValueError
        For fewer than two axes or an empty one.

    Examples
    --------
    >>> fans((4, 3)), fans((5, 5, 3, 8))
    ((4, 3), (75, 200))
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
    """Normal of mean 0 and this standard deviation."""
    return np.random.default_rng(rng).normal(0.0, std, shape)


@advised_dataclass(frozen=True)
class Zeros:
    """All 0: right for biases; as a weight it leaves the units of a layer alike for ever.

    Examples
    --------
    >>> Zeros()((2,), 0)
    array([0., 0.])
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.zeros(shape)


@advised_dataclass(frozen=True)
class Ones:
    """All 1.

    Examples
    --------
    >>> Ones()((2,), 0)
    array([1., 1.])
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.ones(shape)


@advised_dataclass(frozen=True)
class Constant:
    """All the same value.

    Parameters
    ----------
    value : float
        That value.

    Examples
    --------
    >>> Constant(0.1)((2,), 0)
    array([0.1, 0.1])
    """

    value: float

    def __post_init__(self) -> None:
        check_number("Constant", "value", self.value)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.full(shape, float(self.value))


@advised_dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high).

    Parameters
    ----------
    low, high : float
        The bounds; high is low or more.

    Examples
    --------
    >>> weight = Uniform(0.0, 1.0)((100, 100), rng=0)
    >>> bool(weight.min() >= 0), bool(weight.max() < 1)
    (True, True)
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        check_number("Uniform", "low", self.low)
        check_number("Uniform", "high", self.high, minimum=self.low)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.random.default_rng(rng).uniform(self.low, self.high, shape)


@advised_dataclass(frozen=True)
class Normal:
    """Normal with this mean and standard deviation.

    Parameters
    ----------
    mean, std : float
        std is 0 or more.

    Examples
    --------
    >>> weight = Normal(std=0.1)((300, 300), rng=0)
    >>> round(float(weight.std()), 2)
    0.1
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        check_number("Normal", "mean", self.mean)
        check_number("Normal", "std", self.std, minimum=0)

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return np.random.default_rng(rng).normal(self.mean, self.std, shape)


@advised_dataclass(frozen=True)
class Scaled:
    """What takes a gain: a number, or the name of the activation behind the weight."""

    gain: float | str = 1.0

    def __post_init__(self) -> None:
        gain(self.gain)


@advised_dataclass(frozen=True)
class Glorot(Scaled):
    """std = gain √(2 / (fan_in + fan_out)): forward and backward signals keep about their size.

    Also called Xavier initialization. Use GlorotUniform or GlorotNormal.

    Parameters
    ----------
    gain : float or str
        A factor, or the name of the activation behind the weight: see `gain`.

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks (2010).

    Examples
    --------
    >>> round(Glorot().std((30, 20)), 4), round(Glorot("relu").std((30, 20)), 4)
    (0.2, 0.2828)
    """

    def std(self, shape: Shape) -> float:
        """The standard deviation for a weight of this shape."""
        return gain(self.gain) * math.sqrt(2 / sum(fans(shape)))


class GlorotUniform(Glorot):
    """Uniform of mean 0 and std = gain √(2 / (fan_in + fan_out)); parameters and source as for Glorot.

    Examples
    --------
    >>> weight = GlorotUniform()((30, 20), rng=0)
    >>> weight.shape, bool(abs(weight).max() <= (6 / 50) ** 0.5)
    ((30, 20), True)
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, self.std(shape))


class GlorotNormal(Glorot):
    """Normal of mean 0 and std = gain √(2 / (fan_in + fan_out)); parameters and source as for Glorot.

    Examples
    --------
    >>> weight = GlorotNormal("tanh")((300, 200), rng=0)
    >>> round(float(weight.std()), 3)  # 5/3 √(2 / 500)
    0.105
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, self.std(shape))


@advised_dataclass(frozen=True)
class He(Scaled):
    """std = gain / √fan: the size of the signal stays from layer to layer where the activation is ReLU.

    Also called Kaiming initialization. Use HeUniform or HeNormal.

    Parameters
    ----------
    gain : float or str
        A factor, or the name of the activation behind the weight: see `gain`.
    mode : str
        'fan_in' keeps the size of the signal forward, 'fan_out' that of the gradient backward.

    References
    ----------
    He, Zhang, Ren & Sun, Delving Deep into Rectifiers (2015).

    Examples
    --------
    >>> round(He().std((50, 10)), 4), round(He(mode="fan_out").std((50, 10)), 4)
    (0.2, 0.4472)
    """

    gain: float | str = "relu"
    mode: str = "fan_in"

    def __post_init__(self) -> None:
        super().__post_init__()
        look_up("mode", self.mode, {"fan_in": 0, "fan_out": 1})

    def std(self, shape: Shape) -> float:
        """The standard deviation for a weight of this shape."""
        fan_in, fan_out = fans(shape)
        return gain(self.gain) / math.sqrt(look_up("mode", self.mode, {"fan_in": fan_in, "fan_out": fan_out}))


class HeUniform(He):
    """Uniform of mean 0 and std = gain / √fan; parameters and source as for He.

    Examples
    --------
    >>> weight = HeUniform()((50, 10), rng=0)
    >>> bool(abs(weight).max() <= (6 / 50) ** 0.5)
    True
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, self.std(shape))


class HeNormal(He):
    """Normal of mean 0 and std = gain / √fan; parameters and source as for He.

    Examples
    --------
    >>> weight = HeNormal()((200, 300), rng=0)
    >>> round(float(weight.std()), 2)  # √(2 / 200)
    0.1
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, self.std(shape))


@advised_dataclass(frozen=True)
class LecunUniform:
    """Uniform of mean 0 and std = 1 / √fan_in.

    References
    ----------
    LeCun, Bottou, Orr & Müller, Efficient BackProp (1998).

    Examples
    --------
    >>> weight = LecunUniform()((300, 100), rng=0)
    >>> bool(abs(weight).max() <= (3 / 300) ** 0.5)
    True
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_uniform(shape, rng, 1 / math.sqrt(fans(shape)[0]))


@advised_dataclass(frozen=True)
class LecunNormal:
    """Normal of mean 0 and std = 1 / √fan_in.

    References
    ----------
    LeCun, Bottou, Orr & Müller, Efficient BackProp (1998).

    Examples
    --------
    >>> weight = LecunNormal()((100, 600), rng=0)
    >>> round(float(weight.std()), 2)
    0.1
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        return draw_normal(shape, rng, 1 / math.sqrt(fans(shape)[0]))


@advised_dataclass(frozen=True)
class Orthogonal(Scaled):
    """gain Q with orthonormal columns, or rows where these are fewer: a vector's length stays.

    A convolution's weight is taken as (height width in, out).

    Parameters
    ----------
    gain : float or str
        A factor, or the name of the activation behind the weight: see `gain`.

    References
    ----------
    Saxe, McClelland & Ganguli, Exact solutions to the nonlinear dynamics of learning (2014).

    Examples
    --------
    >>> weight = Orthogonal()((3, 3), rng=0)
    >>> np.allclose(weight.T @ weight, np.eye(3))
    True
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        fans(shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(np.random.default_rng(rng).normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # without it Q is not uniform: the signs would be LAPACK's choice
        return gain(self.gain) * np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


@advised_dataclass(frozen=True)
class Identity(Scaled):
    """gain times the identity matrix, for the square weights of recurrent layers.

    Parameters
    ----------
    gain : float or str
        A factor, or the name of the activation behind the weight: see `gain`.

    Raises
    ------
    ValueError
        When called, for weights that are not square.

    References
    ----------
    Le, Jaitly & Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units (2015).

    Examples
    --------
    >>> Identity(0.5)((2, 2), 0)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    def __call__(self, shape: Shape, rng: Seed) -> Array:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"Identity fits square weights (n, n) only, got shape {tuple(shape)}")
        return gain(self.gain) * np.eye(shape[0])


@advised_dataclass(frozen=True)
class Sparse:
    """Normal of mean 0, with ⌈sparsity in⌉ of each unit's incoming weights set to 0.

    Parameters
    ----------
    sparsity : float
        The share of the incoming weights that are 0, from 0 to 1.
    std : float
        The standard deviation of the others, 0 or more.

    Raises
    ------
    ValueError
        When called, for weights that are not (in, out).

    References
    ----------
    Martens, Deep learning via Hessian-free optimization (2010).

    Examples
    --------
    >>> weight = Sparse(sparsity=0.5)((4, 3), rng=0)
    >>> (weight == 0).sum(axis=0)
    array([2, 2, 2])
    """

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
    **by_name("_", Zeros, Ones, Constant, Uniform, Normal, Orthogonal, Identity, Sparse),
    **by_name("_", GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal),
    **{"xavier_uniform": GlorotUniform, "xavier_normal": GlorotNormal},
    **{"kaiming_uniform": HeUniform, "kaiming_normal": HeNormal},
}


def checked(spec: AnyInitializer) -> AnyInitializer:
    """spec as it is, where `get` takes it: an unknown name is refused here rather than when a layer is built."""
    get(spec)
    return spec


def get(spec: AnyInitializer) -> Initializer:
    """The initializer that a configuration means.

    Parameters
    ----------
    spec : str, dict or callable
        A name, a table with a name and arguments, or a callable (shape, rng) -> array, which is returned.

    Raises
    ------
    ValueError
        For a name or an argument that there is not; TypeError for anything else.

    Examples
    --------
    >>> get({"name": "he_normal", "mode": "fan_out"})
    HeNormal(gain='relu', mode='fan_out')
    """
    initializer = build("initializer", spec, INITIALIZERS)
    if not callable(initializer):
        raise TypeError(f"initializer must be a name, a table or a callable (shape, rng), got {spec!r}")
    return initializer


def draw(spec: AnyInitializer, shape: Shape, rng: Seed) -> Array:
    """What the initializer that a configuration means makes for this shape; ValueError for an array of another one."""
    array = numbers_of("what an initializer returns", get(spec)(shape, rng))
    if array.shape != shape:
        raise ValueError(f"initializer {spec!r} must return an array of shape {shape}, got one of shape {array.shape}")
    return array
