"""Layers that compute nothing: the last step, another shape, another order of the axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from .. import functional as F
from ..arrays import Shape
from ..naming import check_count
from .base import Pair, Paired


class Last(Paired):
    """y = the last step of x: (N, T, features) becomes (N, features).

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'last1'.

    Raises
    ------
    ValueError
        When built, for examples without steps.

    Examples
    --------
    >>> hg.Sequential([hg.LSTM(8, return_sequences=True), hg.Last(), hg.Linear(2)]).build((10, 3)).output_shape
    (2,)
    """

    pair: ClassVar[Pair] = F.last_forward, F.last_backward

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ValueError(f"{self.label} works on sequences (N, T, features), got examples of shape {input_shape}")
        return input_shape[1:]


class Reshape(Paired):
    """y = the numbers of each example in another shape, in C order.

    Parameters
    ----------
    shape : sequence of int
        Of one example, the batch axis left out.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'reshape1'.

    Raises
    ------
    ValueError
        For sizes below 1; and when built, for examples with more or fewer numbers.

    Examples
    --------
    >>> hg.Reshape((7, 7, 4)).build(196).output_shape
    (7, 7, 4)
    """

    pair: ClassVar[Pair] = F.reshape_forward, F.reshape_backward

    def __init__(self, shape: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        self.shape: Shape = tuple(check_count("Reshape", "each size of shape", size) for size in shape)

    @property
    def options(self) -> tuple[Any, ...]:
        return (self.shape,)


class Permute(Paired):
    """y = x with its axes in another order: Permute((2, 1)) makes (N, T, C) of (N, C, T).

    Parameters
    ----------
    axes : sequence of int
        Which axis of x each axis of y is, counted from 1; axis 0, of the examples, stays.
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'permute1'.

    Raises
    ------
    ValueError
        When built, for axes that are not those of the examples, each once.

    Examples
    --------
    >>> hg.Permute((3, 1, 2)).build((28, 30, 4)).output_shape
    (4, 28, 30)
    """

    pair: ClassVar[Pair] = F.permute_forward, F.permute_backward

    def __init__(self, axes: Sequence[int], name: str | None = None) -> None:
        super().__init__(name)
        self.axes: Shape = tuple(check_count("Permute", "each of axes", axis) for axis in axes)

    @property
    def options(self) -> tuple[Any, ...]:
        return (self.axes,)
