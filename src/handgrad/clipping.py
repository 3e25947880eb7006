"""Clipping: what an optimizer does to gradients that are too long, in place, before an update.

>>> gradient = np.array([3.0, 4.0])
>>> ClipGlobalNorm(1.0)([gradient])
>>> gradient
array([0.6, 0.8])
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .arrays import Array
from .naming import Configured, advised_dataclass, by_name, check_number


@advised_dataclass(frozen=True)
class Clipping(Configured):
    """A limit for a list of gradients; subclasses say in `__call__` what is limited."""

    limit: float
    per_parameter: ClassVar[bool] = False  # True: needs one array per parameter, not all parameters in one flat vector

    def __post_init__(self) -> None:
        check_number(type(self).__name__, "limit", self.limit, above=0)

    def __call__(self, gradients: Sequence[Array]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(gradients)")


class ClipGlobalNorm(Clipping):
    """g <- g limit / ‖all gradients‖ where that norm is above the limit: the direction of the step stays.

    Parameters
    ----------
    limit : float
        The largest L2 norm of all gradients together, above 0.

    References
    ----------
    Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013).

    Examples
    --------
    >>> gradients = [np.array([3.0]), np.array([4.0])]
    >>> ClipGlobalNorm(1.0)(gradients)
    >>> gradients
    [array([0.6]), array([0.8])]
    """

    def __call__(self, gradients: Sequence[Array]) -> None:
        shorten(gradients, self.limit)


class ClipParameterNorm(Clipping):
    """g <- g limit / ‖g‖ for every parameter on its own whose gradient's norm is above the limit.

    Parameters
    ----------
    limit : float
        The largest L2 norm of one parameter's gradient, above 0.

    Examples
    --------
    >>> gradients = [np.array([3.0, 4.0]), np.array([0.5])]
    >>> ClipParameterNorm(1.0)(gradients)
    >>> gradients
    [array([0.6, 0.8]), array([0.5])]
    """

    per_parameter: ClassVar[bool] = True

    def __call__(self, gradients: Sequence[Array]) -> None:
        for gradient in gradients:
            shorten([gradient], self.limit)


class ClipValue(Clipping):
    """g <- min(max(g, -limit), limit), element by element.

    Parameters
    ----------
    limit : float
        The largest absolute value of an entry, above 0.

    Examples
    --------
    >>> gradients = [np.array([-3.0, 0.5])]
    >>> ClipValue(1.0)(gradients)
    >>> gradients
    [array([-1. ,  0.5])]
    """

    def __call__(self, gradients: Sequence[Array]) -> None:
        for gradient in gradients:
            np.clip(gradient, -self.limit, self.limit, out=gradient)


def shorten(arrays: Sequence[Array], limit: float) -> None:
    """Scale all arrays by the same factor so that their common norm is at most limit; inf and NaN stay."""
    norm = math.sqrt(sum(float(np.vdot(a, a)) for a in arrays))
    if norm == math.inf:  # float32 squares overflow long before the gradients do
        norm = math.sqrt(sum(float(np.vdot(a, a)) for a in (a.astype(np.float64) for a in arrays)))
    if limit < norm < math.inf:
        for array in arrays:
            array *= limit / norm


CLIPPINGS: dict[str, type[Clipping]] = by_name("_", ClipGlobalNorm, ClipParameterNorm, ClipValue)
