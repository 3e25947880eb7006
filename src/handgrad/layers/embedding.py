"""Embeddings as layers: rows of numbers for indices, and for places in a sequence."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .. import initializers
from ..arrays import Array, Cache, Generator, MaybeArray, Shape
from ..functional.embedding import sinusoidal_positions
from ..initializers import AnyInitializer
from ..naming import check_count, check_switch
from .attention import check_sequence
from .base import Gradients, Layer

# of variance 1, as PyTorch's, whatever the number of rows
UNIT_NORMAL = initializers.Normal(std=1.0)


class Embedding(Layer):
    """y = weight[x]: each whole number of x (N, ...) becomes a row of the weight; y is (N, ..., units).

    x are words, characters, bytes or categories by number. They come as they are: bytes (uint8) are no pixels here.

    Parameters
    ----------
    num_embeddings : int
        How many rows there are: x are 0 to num_embeddings - 1.
    units : int
        How many numbers a row has, 1 or more.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`; by default normal with variance 1.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'embedding1'.

    Attributes
    ----------
    parameters : dict
        'weight' (num_embeddings, units).

    Raises
    ------
    ValueError
        For num_embeddings or units below 1, an unknown initializer; and in a forward, for an x that no row has.
    TypeError
        In a forward, for x that are no whole numbers.

    Notes
    -----
    It stands first in a model, or in all branches of a `Branches` that does: a whole number has no derivative, and dx
    is 0.

    See Also
    --------
    handgrad.functional.embedding_forward : the pair this layer calls, with embedding_backward.

    Examples
    --------
    >>> model = hg.Sequential([hg.Embedding(256, 8), hg.LSTM(16), hg.Linear(2)]).build(20, rng=0)
    >>> model.forward(np.frombuffer(b"a text of 20 letters", np.uint8)[None]).shape
    (1, 2)
    """

    can_skip_input_gradient = True
    takes_indices = True

    def __init__(
        self,
        num_embeddings: int,
        units: int,
        initializer: AnyInitializer = UNIT_NORMAL,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.num_embeddings: int = check_count("Embedding", "num_embeddings", num_embeddings)
        self.units: int = check_count("Embedding", "units", units)
        self.initializer: AnyInitializer = initializer
        initializers.get(initializer)  # an unknown name is refused here rather than at build

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        return {"weight": initializers.draw(self.initializer, (self.num_embeddings, self.units), rng)}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.units)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        try:
            return F.embedding_forward(self.parameters["weight"], x)
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"{self.label}: {problem}") from None

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        (dweight,) = F.embedding_backward(dy, cache)
        return np.zeros(dy.shape[:-1], dy.dtype) if input_gradient else None, {"weight": dweight}


class PositionalEmbedding(Layer):
    """y_t = x_t + p_t: each step of x (N, T, D) gets numbers that tell its place, which attention alone does not know.

    Parameters
    ----------
    length : int, optional
        How many places there are; by default as many as the sequences have that it is built for, which may be fewer.
    sinusoidal : bool
        True adds sines and cosines of many wave lengths instead, and nothing is trained.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'positionalembedding1'.

    Attributes
    ----------
    parameters : dict
        'weight' p (length, D), unless sinusoidal.

    Raises
    ------
    ValueError
        For a length below 1, an unknown initializer; and when built, for examples that are no sequences, or longer.

    See Also
    --------
    handgrad.functional.positional_embedding_forward : the pair this layer calls, with positional_embedding_backward.

    Examples
    --------
    >>> hg.PositionalEmbedding(sinusoidal=True).build((3, 4)).forward(np.zeros((1, 3, 4))).round(2)[0]
    array([[ 0.  ,  1.  ,  0.  ,  1.  ],
           [ 0.84,  0.54,  0.01,  1.  ],
           [ 0.91, -0.42,  0.02,  1.  ]], dtype=float32)
    """

    def __init__(
        self,
        length: int | None = None,
        sinusoidal: bool = False,
        initializer: AnyInitializer = "normal",
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.length: int | None = None if length is None else check_count("PositionalEmbedding", "length", length)
        self.sinusoidal: bool = check_switch("PositionalEmbedding", "sinusoidal", sinusoidal)
        self.initializer: AnyInitializer = initializer
        initializers.get(initializer)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        check_sequence(self.label, input_shape)
        steps, features = input_shape
        if self.length is not None and steps > self.length:
            what = f"{self.label} has {self.length} places, and the sequences have {steps} steps"
            raise ValueError(f"{what}: give it a length of {steps}, or cut the sequences")
        if self.sinusoidal:
            return {}
        return {"weight": initializers.draw(self.initializer, (self.length or steps, features), rng)}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        if self.sinusoidal:
            return F.positional_embedding_forward(x, sinusoidal_positions(*x.shape[1:]).astype(self.dtype))
        return F.positional_embedding_forward(x, self.parameters["weight"])

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        dx, dweight = F.positional_embedding_backward(dy, cache)
        return dx, {} if self.sinusoidal else {"weight": dweight}
