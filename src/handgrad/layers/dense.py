"""Layers of dense networks: Linear (also called dense or fully connected), Flatten and Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import ClassVar

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..functional.linear import over_steps, over_steps_gradients
from ..initializers import AnyInitializer
from ..kernels import route
from ..kernels.products import shared_affine, shared_affine_gradients
from ..kernels.threads import TOO_SMALL_TO_SHARE, is_in_block
from ..naming import check_count, check_number, check_switch
from .activations import ReLU
from .base import Gradients, Layer, Pair, Paired
from .steps import FastStep, bias_of, dbias_of


class Linear(Layer):
    """y = x W + b: each unit is a weighted sum of all features. Also called dense, or fully connected.

    x is (N, features) and y (N, units), or of sequences (N, T, features) and (N, T, units): the same for each step. The
    number of features is seen when the layer is built.

    Parameters
    ----------
    units : int
        How many numbers come out, 1 or more.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`. The bias starts at zero.
    bias : bool
        False leaves b out.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'linear1'.

    Attributes
    ----------
    parameters : dict
        'weight' (features, units), and 'bias' (units,) unless left out.

    Raises
    ------
    ValueError
        For units below 1, an unknown initializer; and when built, for examples that are neither rows nor sequences.

    See Also
    --------
    handgrad.functional.linear_forward : the pair this layer calls, with linear_backward.

    Examples
    --------
    >>> layer = hg.Linear(2, initializer="ones").build(3)
    >>> layer.forward([[1.0, 2.0, 3.0]])
    array([[6., 6.]], dtype=float32)
    >>> {name: array.shape for name, array in layer.parameters.items()}
    {'weight': (3, 2), 'bias': (2,)}
    """

    can_skip_input_gradient = True
    sees_one_example: bool = True

    def __init__(
        self, units: int, initializer: AnyInitializer = "glorot_uniform", bias: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.units: int = check_count("Linear", "units", units)
        if isinstance(initializer, int):
            what = f"Linear takes the number of its outputs alone, and learns that of its inputs: Linear({initializer})"
            raise TypeError(f"{what}; got Linear({units}, {initializer})")
        self.initializer: AnyInitializer = initializers.checked(initializer)
        self.bias: bool = check_switch("Linear", "bias", bias)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        if len(input_shape) > 2:
            rows = "rows (N, features) or sequences (N, T, features)"
            what = f"{self.label} works on {rows}, got examples of shape {input_shape}"
            raise ValueError(f"{what}: put a Flatten() before it")
        weight = initializers.draw(self.initializer, (input_shape[-1], self.units), rng)
        return {"weight": weight, "bias": np.zeros(self.units)} if self.bias else {"weight": weight}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    @property
    def multiply_adds(self) -> int:
        return prod(self.input_shape) * self.units

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        bias = self.parameters["bias"] if self.bias else bias_of(self)
        return (F.linear_forward if x.ndim == 2 else over_steps)(x, self.parameters["weight"], bias)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, dweight, dbias = (F.linear_backward if dy.ndim == 2 else over_steps_gradients)(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}

    def shorten(self, following: Sequence[Layer], /) -> ShortLinear | None:
        is_plain = type(self) is Linear and self.bias and len(self.input_shape) == 1 and self.dtype.kind == "f"
        # a product with a row or a column is another one to BLAS
        return ShortLinear(self, following) if is_plain and min(self.input_shape[0], self.units) > 1 else None

    def share(self) -> SharedLinear | None:
        return SharedLinear(self) if type(self) is Linear and len(self.input_shape) == 1 else None


class Flatten(Paired):
    """Lay each example out as one row: (N, H, W, C) becomes (N, H W C), in C order.

    It stands between the image layers of a network and its Linear layers.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'flatten1'.

    Examples
    --------
    >>> hg.Flatten().build((28, 28, 1)).output_shape
    (784,)
    """

    pair: ClassVar[Pair] = F.flatten_forward, F.flatten_backward


class Dropout(Layer):
    """In training each number is dropped with probability rate, and the rest divided by 1 - rate; else y = x.

    The division keeps the mean of each number, so that nothing is left to do at inference (inverted dropout).
    (Srivastava et al. 2014)

    Parameters
    ----------
    rate : float
        The probability of dropping, from 0 to below 1.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'dropout1'.

    Raises
    ------
    ValueError
        For a rate outside of this range.

    Notes
    -----
    What is dropped is drawn from `rng`, which a model hands to all its layers: the same seed drops the same numbers.

    Examples
    --------
    >>> layer = hg.Dropout(0.5).build(4, rng=0)
    >>> layer.forward(np.ones((1, 4)))
    array([[1., 1., 1., 1.]], dtype=float32)
    >>> sorted(set(layer.forward(np.ones((10, 4)), training=True).ravel().tolist()))
    [0.0, 2.0]
    """

    def __init__(self, rate: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.rate: float = check_number("Dropout", "rate, the probability of dropping,", rate, minimum=0, below=1)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.dropout_forward(x, self.rate, self.rng, training)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        (dx,) = F.dropout_backward(dy, cache)
        return dx, {}


class ShortLinear(FastStep):
    """Linear, and a ReLU right after it, in as few calls as NumPy needs: these are the time of a small network."""

    def __init__(self, layer: Linear, following: Sequence[Layer]) -> None:
        relu = [following[0]] if following and type(following[0]) is ReLU else []
        super().__init__([layer, *relu])
        self.layer: Linear = layer
        self.zero: Array | None = np.zeros((), layer.dtype) if relu else None

    def serves(self, x: Array, training: bool) -> bool:
        products = len(x) * self.layer._row_products
        return x.dtype == self.layer.dtype and len(x) > 1 and (products <= TOO_SMALL_TO_SHARE or is_in_block())

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = x.dot(self.layer.parameters["weight"])
        y += self.layer.parameters["bias"]
        if self.zero is not None:
            np.maximum(y, self.zero, out=y)
        return y, (x, y)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool) -> Array | None:
        x, y = cache
        if self.zero is not None:
            dy = dy * np.sign(y)  # 1 where y > 0, else 0
        x.T.dot(dy, out=self.layer.gradients["weight"])
        np.add.reduce(dy, axis=0, out=self.layer.gradients["bias"])
        return dy.dot(self.layer.parameters["weight"].T) if input_gradient else None


class SharedLinear(FastStep):
    """Linear, its products shared out among threads."""

    def __init__(self, layer: Linear) -> None:
        super().__init__([layer])
        self.layer = layer
        self.use: ModuleType = route.affine(layer.dtype)

    def compute(self, x: Array, training: bool) -> tuple[Array, Array]:
        x = np.ascontiguousarray(x)
        return shared_affine(self.use, x, self.layer.parameters["weight"], bias_of(self.layer)), x

    def differentiate(self, dy: Array, cache: Array, input_gradient: bool) -> Array | None:
        weight, dweight = self.layer.parameters["weight"], self.layer.gradients["weight"]
        return shared_affine_gradients(self.use, cache, weight, dy, dweight, dbias_of(self.layer), input_gradient)
