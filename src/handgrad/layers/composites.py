"""Layers of layers: a sum with what came in, and branches side by side that are joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, Cache, MaybeArray, Shape
from ..naming import look_up
from .base import Gradients, Layer, check_apart
from .containers import Chained, Sequential
from .description import from_spec, shape_text

AnyLayers: TypeAlias = Layer | Mapping[str, Any] | Iterable[Layer | Mapping[str, Any]]
JOINS = {"add": "add", "concat": "concat", "multiply": "multiply"}


class Residual(Chained):
    """y = f(x) + x, where f are layers one after the other: a block with a shortcut, or skip connection.

    What came in is added to what the layers make of it, so that f learns a change of x, and dy reaches the layers
    below undiminished. (He et al. 2016)

    Parameters
    ----------
    layers : list of Layer
        f, in the order in which they run. What comes out has the shape of the shortcut's output.
    shortcut : Layer or list of Layer, optional
        What x passes on its way around them, such as a `Conv2D(filters, 1, stride=2)` where f changes the shape;
        by default nothing.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'residual1'.

    Attributes
    ----------
    parameters : dict
        Those of the layers, as 'linear1.weight', and of the shortcut, as 'shortcut.weight'.

    Raises
    ------
    ValueError
        For no layers, and the same layer twice; and when built, where the two have different shapes.

    Examples
    --------
    >>> block = hg.Residual([hg.Linear(4, initializer="ones"), hg.ReLU()]).build(4)
    >>> block.forward([[1.0, 0.0, 0.0, -2.0]])
    array([[ 1.,  0.,  0., -2.]], dtype=float32)
    >>> hg.Residual([hg.Linear(8)], shortcut=hg.Linear(8, bias=False)).build(4).output_shape
    (8,)
    """

    can_skip_input_gradient = True

    def __init__(
        self, layers: Iterable[Layer | Mapping[str, Any]], shortcut: AnyLayers | None = None, name: str | None = None
    ) -> None:
        super().__init__(layers, name)
        self.shortcut: Layer | None = None if shortcut is None else one_layer(shortcut, "shortcut")
        check_apart(self.layers if self.shortcut is None else [*self.layers, self.shortcut])

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = self._chain.forward(x, training)
        around = x if self.shortcut is None else self.shortcut.forward(x, training)
        if y.shape != around.shape:
            shapes = f"make {shape_text(y.shape[1:])} of x, the shortcut {shape_text(around.shape[1:])}"
            advice = "give both one shape, with a shortcut such as hg.Linear(units) or hg.Conv2D(filters, 1, stride=2)"
            raise ValueError(f"{self.label} adds what has one shape, but its layers {shapes}: {advice}")
        return y + around, None

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        dx = self._chain.backward(dy, input_gradient)
        around = dy if self.shortcut is None else self.shortcut.backward(dy, input_gradient)
        return None if dx is None or around is None else dx + around, {}


class Branches(Layer):
    """Several networks on the same x, joined: y = f1(x) + f2(x), their product, or one beside the other.

    Parameters
    ----------
    branches : list of list of Layer
        Each a layer or a list of layers, on x; `[hg.Identity()]` passes x on.
    join : str
        'add' and 'multiply' take outputs of one shape, number by number; 'concat' puts them side by side along the
        last axis (features or channels), and the others are to be equal. What is multiplied may be one number for
        each channel, (1, 1, C) beside images (H, W, C).
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'branches1'.

    Attributes
    ----------
    parameters : dict
        Those of each branch, as 'branch1.linear1.weight', or 'branch1.weight' where it is one layer.

    Raises
    ------
    ValueError
        For an empty branch, the same layer in two of them, and another way to join; and when built, for outputs
        whose shapes do not go together.

    Examples
    --------
    >>> inception = hg.Branches([[hg.Conv2D(4, 1)], [hg.Conv2D(2, 3, padding=1), hg.ReLU()]], join="concat")
    >>> inception.build((8, 8, 3)).output_shape
    (8, 8, 6)
    """

    can_skip_input_gradient = True

    def __init__(self, branches: Sequence[AnyLayers], join: str = "add", name: str | None = None) -> None:
        super().__init__(name)
        if isinstance(branches, (Layer, str, Mapping)) or not branches:
            example = 'Branches([[Linear(8), ReLU()], [Identity()]], join="concat")'
            raise TypeError(f"Branches takes a list of branches, each a list of layers: {example}; got {branches!r}")
        self.branches: list[Layer] = [one_layer(branch, f"branch{i}") for i, branch in enumerate(branches, start=1)]
        check_apart(self.branches)
        self.takes_indices: bool = all(branch.takes_indices for branch in self.branches)
        self.join: str = look_up("way to join", join, JOINS)

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        ys = [branch.forward(x, training) for branch in self.branches]
        self._check_shapes([y.shape[1:] for y in ys])
        if self.join == "concat":
            return np.concatenate(ys, axis=-1), None
        return (sum(ys[1:], ys[0]), None) if self.join == "add" else (prod(ys[1:], start=ys[0]), ys)

    def differentiate(self, dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Gradients]:
        if self.join == "concat":
            ends = np.cumsum([branch.output_shape[-1] for branch in self.branches])
            dys = np.split(dy, ends[:-1], axis=-1)
        elif self.join == "add":
            dys = [dy for _ in self.branches]
        else:  # the derivative of a product by one factor is the product of the others
            dys = [summed(prod(cache[:i] + cache[i + 1 :], start=dy), y.shape) for i, y in enumerate(cache)]
        pairs = zip(self.branches, dys, strict=True)
        dxs = [branch.backward(np.ascontiguousarray(part), input_gradient) for branch, part in pairs]
        return (sum(dxs[1:], dxs[0]) if input_gradient else None), {}

    def _check_shapes(self, shapes: list[Shape]) -> None:
        """Refuse outputs that cannot be joined: NumPy would broadcast them."""
        kept = [shape[:-1] for shape in shapes] if self.join == "concat" else shapes
        if self.join == "multiply" and len({len(shape) for shape in shapes}) == 1:
            whole = tuple(map(max, *shapes)) if len(shapes) > 1 else shapes[0]
            kept = [whole if spreads(shape, whole) else shape for shape in shapes]
        if any(shape != kept[0] for shape in kept):
            made = ", ".join(f"{b.label} {shape_text(s)}" for b, s in zip(self.branches, shapes, strict=True))
            wanted = "axes that are equal but for the last" if self.join == "concat" else "one shape"
            raise ValueError(f"{self.label} joins by '{self.join}' what has {wanted}; its branches make {made}")


def spreads(shape: Shape, whole: Shape) -> bool:
    """Whether what has this shape is one number for each channel of the whole, or has its shape."""
    return shape == whole or (len(shape) > 1 and shape == (*(1 for _ in whole[:-1]), *whole[-1:]))


def summed(gradient: Array, shape: Shape) -> Array:
    """The gradient by what was spread from this shape: a sum over all that it was multiplied by."""
    axes = tuple(axis for axis, size in enumerate(shape) if size < gradient.shape[axis])
    total: Array = gradient.sum(axis=axes, keepdims=True) if axes else gradient
    return total


def one_layer(layers: AnyLayers, name: str) -> Layer:
    """A layer, or a list of layers as one of this name."""
    if isinstance(layers, Mapping):
        layers = from_spec(layers)
    if isinstance(layers, Layer):
        layers.name = layers.name or name
        return layers
    if not (listed := list(layers)):
        advice = "write [hg.Identity()] for one that passes x on"
        raise ValueError(f"{name} is a layer or a list of at least one, got {layers!r}: {advice}")
    return Sequential(listed, name)
