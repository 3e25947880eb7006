"""How one array lies in handgrad and in PyTorch: (in, out) or (out, in), channels last or first."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Lay(NamedTuple):
    """An array's way there and back: there(array, order), back(array, order).

    order: None, or for features flattened from channels first, ours in their order (theirs = ours[order]).
    """

    there: Callable
    back: Callable


def take(array, order):
    return array if order is None else array[order]


def give(array, order):
    return array if order is None else array[np.argsort(order)]


SAME = Lay(lambda a, order: a, lambda a, order: a)
FEATURES = Lay(take, give)
LINEAR = Lay(lambda a, order: take(a, order).T, lambda a, order: give(a.T, order))  # (in, out), (out, in)
CONVOLUTION = Lay(  # (kh, kw, C, out), (out, C, kh, kw)
    lambda a, order: a.transpose(3, 2, 0, 1), lambda a, order: a.transpose(2, 3, 1, 0)
)


def swap_gates(array, order=None):
    """The last two of four blocks of columns exchanged: gates i, f, o, g to i, f, g, o or back."""
    i, f, o, g = np.split(array, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


GATES = Lay(lambda a, order: swap_gates(a).T, lambda a, order: swap_gates(a.T))


class View(NamedTuple):
    """How a batch lies in PyTorch between two layers: channels first or not, or flattened in an order of its own."""

    first: bool = False
    order: np.ndarray | None = None

    def there(self, batch):
        """Our batch (N, ...) as it lies there."""
        if self.order is not None:
            return batch[:, self.order]
        return np.moveaxis(batch, -1, 1) if self.first and batch.ndim > 2 else batch

    def back(self, batch):
        """Their batch as it lies here."""
        if self.order is not None:
            return batch[:, np.argsort(self.order)]
        return np.moveaxis(batch, 1, -1) if self.first and batch.ndim > 2 else batch

    def flattened(self, shape):
        """The view of rows that were images of this shape."""
        if not self.first or len(shape) < 2:
            return self
        places = np.arange(int(np.prod(shape)))
        order = np.moveaxis(places.reshape(shape), -1, 0).ravel()
        return View() if (order == places).all() else View(order=order)


def turned(rank, to_first):
    """The axes for `permute` that move the channels of examples of this rank first, or last again."""
    return (0, rank, *range(1, rank)) if to_first else (0, *range(2, rank + 1), 1)
