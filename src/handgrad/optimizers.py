"""Optimizers: rules that turn gradients into new parameters, in place, one array operation after another.

    >>> optimizer = SGD(learning_rate=0.5)
    >>> weight = np.array([1.0, 2.0])
    >>> optimizer.update([weight], [np.array([1.0, -1.0])])
    >>> weight
    array([0.5, 2.5])

An optimizer sees a list of parameter arrays and a list of gradient arrays in the same order; it knows no layers.
Rules and defaults are PyTorch's (https://pytorch.org/docs/stable/optim.html). In the formulas p is a parameter,
g its gradient, t the number of the step, 1 for the first.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .arrays import Array, Shape
from .clipping import CLIPPINGS, Clipping
from .clipping import ClipGlobalNorm as ClipGlobalNorm
from .clipping import ClipParameterNorm as ClipParameterNorm
from .clipping import ClipValue as ClipValue
from .files import COUNT, check_form
from .kernels.threads import all_blas_threads
from .naming import Configured, build, by_name, check_number, check_switch, without

if TYPE_CHECKING:
    from typing_extensions import Self

# Larger arrays are updated in pieces of this many floats, so that parameter, gradient and state stay in the cache
# while ten operations pass over them. From 2^17 to 2^20 floats do equally well; smaller pieces cost more calls.
BLOCK = 2**18
SHAPE = operator.attrgetter("shape")
ClipSpec: TypeAlias = str | dict[str, Any] | Clipping | None


@without("zero_grad", "state_dict", "load_state_dict", assigned=["lr"])
class Optimizer(Configured):
    """A rule for p; subclasses write `step` and name their state arrays in `slots`.

    `learning_rate` may be changed between updates, to 0 or more.

    Parameters
    ----------
    learning_rate : float
        The length of a step, above 0.
    weight_decay : float
        Adds weight_decay p to g (L2 regularisation), 0 or more.
    clipping : str, dict or Clipping, optional
        What is done to the gradients before the update: ClipGlobalNorm(1.0), or a table such as
        {'name': 'clip_global_norm', 'limit': 1.0}.

    Examples
    --------
    >>> class SignDescent(Optimizer):
    ...     def step(self, p, g, scratch, *state):
    ...         p -= self.learning_rate * np.sign(g)
    >>> weight = np.array([1.0, 2.0])
    >>> SignDescent(0.5).update([weight], [np.array([3.0, -0.1])])
    >>> weight
    array([0.5, 2.5])
    """

    slots: tuple[str, ...] = ()

    def __init__(self, learning_rate: float, weight_decay: float = 0.0, clipping: ClipSpec = None) -> None:
        self.learning_rate = self.number("learning_rate", learning_rate, above=0)
        self.weight_decay: float = self.number("weight_decay", weight_decay, minimum=0)
        self.clipping: Clipping | None = None if clipping is None else build("clipping", clipping, CLIPPINGS, Clipping)
        self.num_steps: int = 0
        self.arrays: dict[str, Array] = {}  # the state: {"velocity.0": array} for slot "velocity" and parameter 0
        # per parameter its scratch array and its state arrays, made by the first update
        self.rows: list[tuple[Array, ...]] | None = None
        self.shapes: list[Shape] = []

    @property
    def learning_rate(self) -> float:
        """The length of a step: whoever changes it, a schedule say, gives a finite number of 0 or more."""
        rate: float = vars(self)["learning_rate"]
        return rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        vars(self)["learning_rate"] = self.number("learning_rate", value, minimum=0)

    def number(self, name: str, value: float, **limits: float) -> float:
        """value as a float within the limits; see `naming.check_number`."""
        return check_number(type(self).__name__, name, value, **limits)

    def set_params(self, **arguments: Any) -> Self:
        """Change arguments by name, 'clipping__limit' too; what earlier updates left, momentum say, is kept."""
        memory = {name: getattr(self, name) for name in ("num_steps", "arrays", "rows", "shapes")}
        super().set_params(**arguments)
        vars(self).update(memory)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "rows": None}  # laid out again by the next update, from the arrays

    def update(self, parameters: Sequence[Array], gradients: Sequence[Array]) -> None:
        """Move the parameters one step, in place; the gradients may be overwritten.

        Parameters
        ----------
        parameters : list of arrays
            C-contiguous arrays of floats, the same ones in every update.
        gradients : list of arrays
            One for each parameter, in its shape.

        Raises
        ------
        ValueError
            When parameters, gradients and the state of earlier updates differ in number or shape.
        """
        rows = self.start(parameters) if self.rows is None else self.rows
        if not list(map(SHAPE, parameters)) == list(map(SHAPE, gradients)) == self.shapes:
            what = f"parameters and gradients must keep the shapes of the first update, {self.shapes}"
            raise ValueError(f"{what}; got {[p.shape for p in parameters]} and {[g.shape for g in gradients]}")
        if self.clipping is not None:
            with all_blas_threads:  # which the bits of a norm depend on
                self.clipping(gradients)
        self.num_steps += 1
        for parameter, gradient, row in zip(parameters, gradients, rows, strict=True):
            if parameter.size <= BLOCK:
                self.step(parameter, gradient, *row)
            else:
                for block in blocks(parameter, gradient, *row):
                    self.step(*block)

    def step(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """Update p and its state arrays, one per slot, in place; g and scratch may be overwritten."""
        raise NotImplementedError(f"{type(self).__name__} must define step(p, g, scratch, *state)")

    def decay(self, p: Array, g: Array, scratch: Array) -> None:
        """g <- g + weight_decay p."""
        if self.weight_decay:
            np.multiply(p, scalar(self.weight_decay, p.dtype), scratch)
            g += scratch

    def start(self, parameters: Sequence[Array]) -> list[tuple[Array, ...]]:
        """Create the state arrays, all zero, or check those that were loaded; lay out the rows."""
        for i, p in enumerate(parameters):
            if p.dtype.kind != "f" or not p.flags.c_contiguous:
                what = f"parameter {i} must be a C-contiguous array of floats (see np.ascontiguousarray)"
                raise ValueError(f"{what}, got {p.dtype} of shape {p.shape} and strides {p.strides}")
        fresh = {f"{slot}.{i}": np.zeros_like(p) for i, p in enumerate(parameters) for slot in self.slots}
        self.arrays = self.arrays or fresh
        check_same(self.arrays, fresh)
        self.shapes = [p.shape for p in parameters]
        scratch = [np.empty_like(p) if p.size <= BLOCK else np.empty(BLOCK, p.dtype) for p in parameters]
        self.rows = [(s, *(self.arrays[f"{slot}.{i}"] for slot in self.slots)) for i, s in enumerate(scratch)]
        return self.rows

    def state(self) -> dict[str, Any]:
        """What load_state needs to go on exactly from here: {'learning_rate': 0.1, 'num_steps': 3, 'velocity.0': a}."""
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        return {"learning_rate": float(self.learning_rate), "num_steps": self.num_steps, **arrays}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; ValueError, and nothing changed, when it is not this optimizer's."""
        names = [name for name in state if "." in name]
        num_arrays = len(names) // max(1, len(self.slots))
        wanted = {"learning_rate", "num_steps", *(f"{slot}.{i}" for slot in self.slots for i in range(num_arrays))}
        if set(state) != wanted:
            what = f"the state does not fit {type(self).__name__}, which keeps {', '.join(sorted(wanted))}"
            raise ValueError(f"{what}; got {', '.join(sorted(state))}")
        form = {"learning_rate": float, "num_steps": COUNT, str: np.ndarray}
        check_form(state, form, f"the state of {type(self).__name__}")
        arrays = {name: np.array(state[name]) for name in names}
        if self.rows is not None and arrays:
            check_same(arrays, self.arrays)
        self.learning_rate, self.num_steps = float(state["learning_rate"]), int(state["num_steps"])
        self.arrays, self.rows = arrays, None


@functools.lru_cache(maxsize=64)
def scalar(value: float, dtype: np.dtype[Any]) -> Array:
    """value as an array without axes: NumPy takes it up faster than a Python number, which counts in small networks."""
    return np.array(value, dtype)


def check_same(arrays: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Raise a ValueError unless the arrays have the names, dtypes and shapes of those expected."""
    found, wanted = ({name: f"{a.dtype} {a.shape}" for name, a in table.items()} for table in (arrays, expected))
    if found != wanted:
        raise ValueError(f"the optimizer's state is for other parameters: it holds {found}, these need {wanted}")


def blocks(parameter: Array, gradient: Array, scratch: Array, *state: Array) -> Iterator[tuple[Array, ...]]:
    """Flat pieces of all arrays, BLOCK floats each; scratch, that long itself, is used again for every piece."""
    if not parameter.flags.c_contiguous:
        raise ValueError(f"a parameter of shape {parameter.shape} is not C-contiguous; see np.ascontiguousarray")
    p, g, *flat = (array.reshape(-1) for array in (parameter, gradient, *state))
    for start in range(0, p.size, BLOCK):
        piece = slice(start, start + BLOCK)
        yield p[piece], g[piece], scratch[: p.size - start], *(array[piece] for array in flat)


class SGD(Optimizer):
    """Stochastic gradient descent: p <- p - learning_rate v with v <- momentum v + g.

    With Nesterov's momentum p <- p - learning_rate (g + momentum v).

    Parameters
    ----------
    learning_rate : float
        The length of a step, above 0.
    momentum : float
        How much of v stays, from 0 to below 1.
    nesterov : bool
        Nesterov's form, which needs momentum.
    weight_decay : float
        Adds weight_decay p to g (L2 regularisation), 0 or more.
    clipping : str, dict or Clipping, optional
        What is done to the gradients before the update: ClipGlobalNorm(1.0), or a table such as
        {'name': 'clip_global_norm', 'limit': 1.0}.

    References
    ----------
    Polyak (1964); Sutskever, Martens, Dahl & Hinton (2013), in the form where the learning rate stays outside v.

    Examples
    --------
    >>> optimizer, weight = SGD(0.1, momentum=0.5), np.array([1.0])
    >>> for _ in range(2):
    ...     optimizer.update([weight], [np.array([1.0])])
    >>> weight  # 1 - 0.1 - 0.1 * 1.5
    array([0.75])
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clipping: ClipSpec = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipping)
        self.momentum: float = self.number("momentum", momentum, minimum=0, below=1)
        self.nesterov: bool = check_switch("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov=True needs momentum > 0, got momentum=0.0")
        self.slots: tuple[str, ...] = ("velocity",) if self.momentum else ()

    def step(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """v <- momentum v + g, then p <- p - learning_rate v."""
        learning_rate = scalar(self.learning_rate, p.dtype)
        self.decay(p, g, scratch)
        if not state:
            g *= learning_rate
        else:
            (velocity,) = state
            velocity *= scalar(self.momentum, p.dtype)
            velocity += g
            if self.nesterov:  # g + momentum v, its two terms one after the other
                g *= learning_rate
                p -= g
                np.multiply(velocity, scalar(self.momentum * self.learning_rate, p.dtype), g)
            else:
                np.multiply(velocity, learning_rate, g)
        p -= g


class Adam(Optimizer):
    """p <- p - learning_rate m̂ / (√v̂ + epsilon), the hats for m / (1 - beta1ᵗ) and v / (1 - beta2ᵗ).

    m <- beta1 m + (1 - beta1) g and v <- beta2 v + (1 - beta2) g² are running means of the gradient and its square.

    Parameters
    ----------
    learning_rate : float
        About the largest change of a number in one step, above 0.
    beta1, beta2 : float
        How much of the running means stays, from 0 to below 1.
    epsilon : float
        Keeps the quotient finite where gradients are tiny, above 0.
    weight_decay : float
        Adds weight_decay p to g (L2 regularisation), 0 or more.
    clipping : str, dict or Clipping, optional
        What is done to the gradients before the update: ClipGlobalNorm(1.0), or a table such as
        {'name': 'clip_global_norm', 'limit': 1.0}.

    References
    ----------
    Kingma & Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.

    Examples
    --------
    >>> optimizer, weight = Adam(0.1), np.array([1.0, 1.0])
    >>> optimizer.update([weight], [np.array([5.0, -0.01])])  # the first step is learning_rate, whatever g's size
    >>> weight.round(4)
    array([0.9, 1.1])
    """

    slots: tuple[str, ...] = ("gradient_sum", "square_sum")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clipping: ClipSpec = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipping)
        self.beta1: float = self.number("beta1", beta1, minimum=0, below=1)
        self.beta2: float = self.number("beta2", beta2, minimum=0, below=1)
        self.epsilon: float = self.number("epsilon", epsilon, above=0)

    def step(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """Both running means, then p <- p - learning_rate m̂ / (√v̂ + epsilon)."""
        # The state holds the sums Σ beta1ᵏ g and Σ beta2ᵏ g², that is m / (1 - beta1) and v / (1 - beta2): two passes
        # over the arrays fewer. The factors go into the step length and, as √v̂ = scale √Σ, into epsilon / scale.
        gradient_sum, square_sum = state
        self.decay(p, g, scratch)
        scale = math.sqrt((1 - self.beta2) / (1 - self.beta2**self.num_steps))
        length = self.learning_rate * (1 - self.beta1) / (1 - self.beta1**self.num_steps) / scale
        gradient_sum *= self.beta1
        gradient_sum += g
        g *= g
        square_sum *= self.beta2
        square_sum += g
        np.sqrt(square_sum, g)
        g += self.epsilon / scale
        np.divide(gradient_sum, g, g)
        g *= scalar(length, p.dtype)
        p -= g


class AdamW(Adam):
    """Adam after p <- (1 - learning_rate weight_decay) p: the decay is not divided by √v̂ as in Adam.

    Parameters
    ----------
    learning_rate, beta1, beta2, epsilon, clipping
        As for Adam.
    weight_decay : float
        The share of p, times the learning rate, that goes in every step; 0 or more.

    References
    ----------
    Loshchilov & Hutter, Decoupled Weight Decay Regularization (2019).

    Examples
    --------
    >>> optimizer, weight = AdamW(0.1, weight_decay=0.5), np.array([1.0])
    >>> optimizer.update([weight], [np.array([0.0])])
    >>> weight
    array([0.95])
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        clipping: ClipSpec = None,
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, weight_decay, clipping)

    def decay(self, p: Array, g: Array, scratch: Array) -> None:
        """p <- (1 - learning_rate weight_decay) p; the gradient stays as it is."""
        p *= scalar(1 - self.learning_rate * self.weight_decay, p.dtype)


class RMSprop(Optimizer):
    """p <- p - learning_rate g / (√v + epsilon) with v <- decay_rate v + (1 - decay_rate) g².

    Parameters
    ----------
    learning_rate : float
        The length of a step, above 0.
    decay_rate : float
        How much of v stays, from 0 to below 1.
    epsilon : float
        Keeps the quotient finite where gradients are tiny, above 0.
    weight_decay : float
        Adds weight_decay p to g (L2 regularisation), 0 or more.
    clipping : str, dict or Clipping, optional
        What is done to the gradients before the update: ClipGlobalNorm(1.0), or a table such as
        {'name': 'clip_global_norm', 'limit': 1.0}.

    References
    ----------
    Hinton, Neural Networks for Machine Learning (2012), lecture 6e.

    Examples
    --------
    >>> optimizer, weight = RMSprop(0.01, decay_rate=0.75), np.array([1.0])
    >>> optimizer.update([weight], [np.array([3.0])])  # v = 9 / 4, a step of 0.01 * 3 / 1.5
    >>> weight.round(6)
    array([0.98])
    """

    slots: tuple[str, ...] = ("square_sum",)

    def __init__(
        self,
        learning_rate: float = 0.01,
        decay_rate: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clipping: ClipSpec = None,
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipping)
        self.decay_rate: float = self.number("decay_rate", decay_rate, minimum=0, below=1)
        self.epsilon: float = self.number("epsilon", epsilon, above=0)

    def step(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """v <- decay_rate v + (1 - decay_rate) g², then p <- p - learning_rate g / (√v + epsilon)."""
        (square_sum,) = state
        self.decay(p, g, scratch)
        square_sum *= self.decay_rate
        scale = math.sqrt(1 - self.decay_rate)
        scaled_step(p, g, scratch, square_sum, self.learning_rate / scale, self.epsilon / scale)


class Adagrad(Optimizer):
    """p <- p - learning_rate g / (√s + epsilon) with s <- s + g²: numbers that moved much move less.

    Parameters
    ----------
    learning_rate : float
        The length of the first step, above 0.
    epsilon : float
        Keeps the quotient finite where gradients are tiny, above 0.
    weight_decay : float
        Adds weight_decay p to g (L2 regularisation), 0 or more.
    clipping : str, dict or Clipping, optional
        What is done to the gradients before the update: ClipGlobalNorm(1.0), or a table such as
        {'name': 'clip_global_norm', 'limit': 1.0}.

    References
    ----------
    Duchi, Hazan & Singer, Adaptive Subgradient Methods (2011).

    Examples
    --------
    >>> optimizer, weight = Adagrad(0.1), np.array([1.0])
    >>> for _ in range(2):
    ...     optimizer.update([weight], [np.array([2.0])])
    >>> weight.round(4)  # 1 - 0.1 - 0.1 / √2
    array([0.8293])
    """

    slots: tuple[str, ...] = ("square_sum",)

    def __init__(
        self, learning_rate: float = 0.01, epsilon: float = 1e-10, weight_decay: float = 0.0, clipping: ClipSpec = None
    ) -> None:
        super().__init__(learning_rate, weight_decay, clipping)
        self.epsilon: float = self.number("epsilon", epsilon, above=0)

    def step(self, p: Array, g: Array, scratch: Array, *state: Array) -> None:
        """s <- s + g², then p <- p - learning_rate g / (√s + epsilon)."""
        (square_sum,) = state
        self.decay(p, g, scratch)
        scaled_step(p, g, scratch, square_sum, self.learning_rate, self.epsilon)


def scaled_step(p: Array, g: Array, scratch: Array, square_sum: Array, length: float, epsilon: float) -> None:
    """s <- s + g², then p <- p - length g / (√s + epsilon)."""
    np.multiply(g, g, scratch)
    square_sum += scratch
    np.sqrt(square_sum, scratch)
    scratch += epsilon
    g /= scratch
    g *= scalar(length, p.dtype)
    p -= g


OPTIMIZERS: dict[str, type[Optimizer]] = by_name("_", SGD, Adam, AdamW, RMSprop, Adagrad)


def get(spec: str | dict[str, Any] | Optimizer) -> Optimizer:
    """The optimizer that a configuration means.

    Parameters
    ----------
    spec : str, dict or Optimizer
        A name, a table with a name and arguments, or an object, which is returned.

    Raises
    ------
    ValueError
        For a name or an argument that there is not; TypeError for anything else.

    Examples
    --------
    >>> get("adagrad")
    Adagrad(learning_rate=0.01, epsilon=1e-10, weight_decay=0.0, clipping=None)
    """
    return build("optimizer", spec, OPTIMIZERS, Optimizer)
