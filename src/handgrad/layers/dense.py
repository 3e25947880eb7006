"""Layers of dense networks: Linear (also called dense or fully connected), Flatten and Dropout."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..initializers import AnyInitializer
from ..kernels.products import shared_affine, shared_affine_gradients
from ..naming import check_count, check_number
from .base import Gradients, Layer
from .steps import FastStep, bias_of, dbias_of


class Linear(Layer):
    """y = x W + b. weight (in, units), bias (units,); the input size is inferred at build.

    initializer: a name or object of `handgrad.initializers` for the weight; the bias starts at zero, or bias=False.
    """

    can_skip_input_gradient = True

    def __init__(
        self, units: int, initializer: AnyInitializer = "glorot_uniform", bias: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.units: int = check_count("Linear", "units", units)
        self.initializer: AnyInitializer = initializer
        self.bias: bool = bias
        initializers.get(initializer)  # an unknown name is refused here rather than at build

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.label} works on rows (N, features), got examples of shape {input_shape}: "
                "put a Flatten() before it"
            )
        weight = initializers.get(self.initializer)((input_shape[0], self.units), rng)
        return {"weight": weight, "bias": np.zeros(self.units)} if self.bias else {"weight": weight}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (self.units,)

    @property
    def multiply_adds(self) -> int:
        return self.input_shape[0] * self.units

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        bias = self.parameters["bias"] if self.bias else bias_of(self)
        return F.linear_forward(x, self.parameters["weight"], bias)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, dweight, dbias = F.linear_backward(dy, cache, input_gradient)
        return dx, {"weight": dweight, "bias": dbias} if self.bias else {"weight": dweight}

    def share(self) -> SharedLinear | None:
        return SharedLinear(self) if type(self) is Linear else None


class Flatten(Layer):
    """Lay each example out as one row: (N, H, W, C) becomes (N, H W C)."""

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.flatten_forward(x)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        (dx,) = F.flatten_backward(dy, cache)
        return dx, {}


class Dropout(Layer):
    """In training each number is dropped with probability rate, the rest divided by 1 - rate; else y = x."""

    def __init__(self, rate: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        check_number("Dropout", "rate, the probability of dropping,", rate, minimum=0, below=1)
        self.rate = rate

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return F.dropout_forward(x, self.rate, self.rng, training)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        (dx,) = F.dropout_backward(dy, cache)
        return dx, {}


class SharedLinear(FastStep):
    """Linear, its products shared out among threads."""

    def __init__(self, layer: Linear) -> None:
        super().__init__([layer])
        self.layer = layer

    def compute(self, x: Array, training: bool) -> tuple[Array, Array]:
        return shared_affine(x, self.layer.parameters["weight"], bias_of(self.layer)), x

    def differentiate(self, dy: Array, cache: Array, input_gradient: bool) -> Array | None:
        weight, dweight = self.layer.parameters["weight"], self.layer.gradients["weight"]
        return shared_affine_gradients(cache, weight, dy, dweight, dbias_of(self.layer), input_gradient)
