"""Embeddings as layers: rows of numbers for indices, and for places in a sequence."""

from __future__ import annotations

from collections.abc import Sequence

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
    padding_index : int, optional
        The number that fills up what is shorter: its row starts as zeros and is not trained.
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
        padding_index: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.num_embeddings: int = check_count("Embedding", "num_embeddings", num_embeddings)
        self.units: int = check_count("Embedding", "units", units)
        self.initializer: AnyInitializer = initializers.checked(initializer)
        if padding_index is not None and check_count("Embedding", "padding_index", padding_index, 0) >= num_embeddings:
            what = f"Embedding: padding_index is {padding_index}, and the rows are 0 to {num_embeddings - 1}"
            raise ValueError(f"{what}: give the number of one of them")
        self.padding_index: int | None = padding_index

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        weight = initializers.draw(self.initializer, (self.num_embeddings, self.units), rng)
        if self.padding_index is not None:
            weight[self.padding_index] = 0
        return {"weight": weight}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.units)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        try:
            return F.embedding_forward(self.parameters["weight"], x)
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"{self.label}: {problem}") from None

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        (dweight,) = F.embedding_backward(dy, cache)
        if self.padding_index is not None:
            dweight[self.padding_index] = 0
        return np.zeros(dy.shape[:-1], dy.dtype) if input_gradient else None, {"weight": dweight}


class TableEmbedding(Layer):
    """Each column of x (N, columns) that holds categories by number becomes a row of the weight; others stay numbers.

    y has the numbers first, in their order, then the rows of each column of categories: one-hot columns times a matrix
    each, without the zeros.

    Parameters
    ----------
    sizes : sequence of int
        How many categories each column has, 0 for a column of numbers; none at all for numbers alone.
    units : int
        How many numbers a row has, 1 or more.
    initializer : str, dict or callable
        How the weight starts out: a name or object of `handgrad.initializers`; by default normal with variance 1.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'tableembedding1'.

    Attributes
    ----------
    parameters : dict
        'weight' (sum of sizes, units), the rows of each column after those of the one before; none without categories.

    Raises
    ------
    ValueError
        For sizes below 0, units below 1; when built, for x of other columns; and in a forward, for what is no category.

    See Also
    --------
    handgrad.functional.embedding_forward : the pair this layer calls, with embedding_backward.

    Examples
    --------
    >>> layer = hg.TableEmbedding([0, 3], units=2, initializer="ones").build(2)
    >>> layer.forward([[0.5, 2.0], [1.5, 0.0]])
    array([[0.5, 1. , 1. ],
           [1.5, 1. , 1. ]], dtype=float32)
    """

    def __init__(
        self,
        sizes: Sequence[int] = (),
        units: int = 8,
        initializer: AnyInitializer = UNIT_NORMAL,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.sizes: list[int] = [check_count("TableEmbedding", "sizes", size, 0) for size in sizes]
        self.units: int = check_count("TableEmbedding", "units", units)
        self.initializer: AnyInitializer = initializers.checked(initializer)

    @property
    def held(self) -> Array:
        """The places of the columns of categories."""
        return np.flatnonzero(self.sizes)

    def create_parameters(self, input_shape: Shape, rng: Generator) -> dict[str, Array]:
        if len(input_shape) != 1 or len(self.sizes) not in (0, input_shape[0]):
            what = f"{self.label} has sizes of {len(self.sizes)} columns, and examples have the shape {input_shape}"
            raise ValueError(f"{what}: give one for each column of a table, 0 where it holds numbers")
        count = sum(self.sizes)
        return {"weight": initializers.draw(self.initializer, (count, self.units), rng)} if count else {}

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0] + len(self.held) * (self.units - 1),)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        if not len(self.held):
            return x, None
        sizes = np.array(self.sizes)[self.held]
        codes = x[:, self.held].real
        if len(wrong := np.argwhere((codes < 0) | (codes >= sizes) | (codes != np.floor(codes)))):
            row, place = (int(i) for i in wrong[0])
            what = f"{self.label}: column {self.held[place]} holds {codes[row, place]:g} in row {row}"
            raise ValueError(f"{what}; its categories are whole numbers from 0 to {sizes[place] - 1}")
        rows = codes.astype(np.intp) + np.cumsum(sizes) - sizes
        y, cache = F.embedding_forward(self.parameters["weight"], rows)
        return np.concatenate([np.delete(x, self.held, axis=1), y.reshape(len(x), -1)], axis=1), cache

    def differentiate(self, dy: Array, cache: Cache) -> tuple[Array, Gradients]:
        if cache is None:
            return dy, {}
        numbers = len(self.sizes) - len(self.held)
        (dweight,) = F.embedding_backward(dy[:, numbers:].reshape(len(dy), -1, self.units), cache)
        dx = np.zeros((len(dy), len(self.sizes)), dy.dtype)
        dx[:, np.delete(np.arange(len(self.sizes)), self.held)] = dy[:, :numbers]
        return dx, {"weight": dweight}


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
        self.initializer: AnyInitializer = initializers.checked(initializer)

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
