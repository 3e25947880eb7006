"""Attention as a layer: each step of a sequence looks at the others."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..initializers import AnyInitializer
from ..naming import check_count, check_switch
from .base import Gradients, Layer


class MultiHeadAttention(Layer):
    """Self-attention: each step of x (N, T, D) takes from all steps what it looks for; y is (N, T, D).

    [q k v] = x W + b. Each head has its share of the columns of q, k and v, and computes softmax(q kᵀ / √d) v with
    d = D / num_heads columns; their results, side by side, pass through y = h U + c. The order of the steps plays no
    part, unless a `PositionalEmbedding` has put it into x. (Vaswani et al. 2017)

    Parameters
    ----------
    num_heads : int
        How many heads there are; it divides D.
    causal : bool
        True lets each step look at itself and those before it, as a model that predicts the next one must.
    initializer : str, dict or callable
        How the weights start out: a name or object of `handgrad.initializers`. The biases start at zero.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'multiheadattention1'.

    Attributes
    ----------
    parameters : dict
        'weight' W (D, 3D), each of its three parts drawn by itself, 'bias' b (3D,), 'output_weight' U (D, D) and
        'output_bias' c (D,).

    Raises
    ------
    ValueError
        For num_heads below 1, an unknown initializer; and when built, for examples that are no sequences, and features
        that num_heads does not divide.

    See Also
    --------
    handgrad.functional.multi_head_attention_forward : the pair this layer calls, with multi_head_attention_backward.

    Examples
    --------
    >>> hg.MultiHeadAttention(num_heads=4).build((10, 32)).output_shape
    (10, 32)
    >>> layer, x = hg.MultiHeadAttention(2, causal=True).build((3, 4), rng=0), np.ones((1, 3, 4))
    >>> y = layer.forward(x)
    >>> x[0, 2] = 100.0  # the first two steps do not see the third
    >>> (layer.forward(x)[0] == y[0]).all(axis=1)
    array([ True,  True, False])
    """

    can_skip_input_gradient = True
    sees_one_example: bool = True

    def __init__(
        self,
        num_heads: int,
        causal: bool = False,
        initializer: AnyInitializer = "glorot_uniform",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.num_heads: int = check_count("MultiHeadAttention", "num_heads", num_heads)
        self.causal: bool = check_switch("MultiHeadAttention", "causal", causal)
        self.initializer: AnyInitializer = initializers.checked(initializer)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        check_sequence(self.label, input_shape)
        features = input_shape[1]
        if features % self.num_heads:
            what = f"{self.label} shares the features of x among its heads, and {self.num_heads} does not divide"
            raise ValueError(f"{what} {features}: choose num_heads or the units of the layer before it anew")
        *parts, output = (initializers.draw(self.initializer, (features, features), rng) for _ in range(4))
        into = {"weight": np.concatenate(parts, axis=1), "bias": np.zeros(3 * features)}
        return {**into, "output_weight": output, "output_bias": np.zeros(features)}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    @property
    def multiply_adds(self) -> int:
        steps, features = self.input_shape
        return 4 * steps * features**2 + 2 * steps**2 * features

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        weight, bias, output_weight, output_bias = self.parameters.values()
        options = self.num_heads, self.causal, training
        return F.multi_head_attention_forward(x, weight, bias, output_weight, output_bias, *options)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx, *gradients = F.multi_head_attention_backward(dy, cache, input_gradient)
        return dx, dict(zip(self.parameters, gradients, strict=True))


def check_sequence(label: str, input_shape: Shape, last: str = "features") -> None:
    """Refuse examples that are no sequences of features."""
    if len(input_shape) != 2:
        raise ValueError(f"{label} works on sequences (N, T, {last}), got examples of shape {input_shape}")
