"""What is done to one block of images between the products, in whole-array NumPy; and batch norm's statistics.

Blocks are (n, h, w, C). Numbers per channel come repeated for a whole image row, (w C,), since long runs are fastest.
A choice records for each number of a pooled block which place of its window passes a gradient. Here it is a mask for
each place of the window, and then one of the windows that have such a place, (n, places + 1, h, w, C); or
(n, 1, h, w, C) where there is no pooling. `compiled` has the functions that open with a block's scratch memory, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Shape
from .products import Buffers, Pair

# (scale, z, slope, constant): dz = slope z + constant, plus scale dy at the places that pass a gradient
Affine: TypeAlias = tuple[Array, Array, Array, Array]
Moments: TypeAlias = tuple[int, Array, Array]  # count, mean and Σ (x - mean)², per channel


class BatchStatistics(NamedTuple):
    """What batch norm takes from a batch in training, for each feature or channel."""

    size: int  # how many numbers there are
    mean: Array
    var: Array  # biased: divided by the size

    def update(
        self, running_mean: Array | None, running_var: Array | None, momentum: float, unbiased: bool = True
    ) -> None:
        """running = (1 - momentum) running + momentum batch, in place; an unbiased variance is divided by size - 1."""
        var = self.var * (self.size / (self.size - 1)) if unbiased else self.var
        for running, batch in ((running_mean, self.mean), (running_var, var)):
            if running is not None:
                running *= 1 - momentum
                running += momentum * batch.real

    @classmethod
    def combine(cls, moments: Mapping[int, Moments]) -> BatchStatistics:
        """The statistics of a batch from those of its blocks, without cancellation (Chan, Golub & LeVeque 1979).

        moments: those of each block, by its start.
        """
        columns = zip(*(moments[start] for start in sorted(moments)), strict=True)
        counts, means, squares = (np.array(column) for column in columns)
        shares = (counts / counts.sum()).astype(means.dtype)[:, None]
        mean = (shares * means).sum(axis=0)
        between = (shares * (means - mean) ** 2).sum(axis=0)
        return cls(int(counts.sum()), mean, squares.sum(axis=0) / means.dtype.type(counts.sum()) + between)


def moments(scratch: Buffers, x: Array) -> Moments:
    """Count, mean and Σ (x - mean)² per channel."""
    count = x.size // x.shape[3]
    mean = channel_sum(rows(x).sum(axis=0), x.shape[3]) / count
    centered = np.subtract(rows(x), np.tile(mean, x.shape[2]), out=rows(scratch.take("centered", x.shape)))
    return count, mean, channel_sum(np.einsum("ij,ij->j", centered, centered), x.shape[3])


def largest(scratch: Buffers, z: Array, pool: Pair, best: Array, choice: Array | None = None) -> None:
    """Write the maximum of each window of z into best, and the first place that has it into choice."""
    n, (height, width), channels = len(z), best.shape[1:3], best.shape[3]
    # first down the columns of a window: there whole image rows are compared, the longest runs in memory
    down = scratch.take("down", (n, height, width * pool[1], channels))
    maximum([z[:, i : height * pool[0] : pool[0], : width * pool[1]] for i in range(pool[0])], down)
    maximum([down[:, :, j :: pool[1]] for j in range(pool[1])], best)
    if choice is None:
        return
    first, *others, last = choice.swapaxes(0, 1)[:-1]
    candidates = places(z, pool, best.shape)
    np.equal(candidates[0], best, out=first)
    np.copyto(last, first)  # until the end, the places already taken
    for mask, candidate in zip(others, candidates[1:], strict=False):
        np.equal(candidate, best, out=mask)
        np.greater(mask, last, out=mask)
        np.logical_or(mask, last, out=last)
    np.logical_not(last, out=last)


def activate(
    x: Array, scale: Array | None, shift: Array, relu: bool, y: Array, choice: Array | None = None, pooled: bool = False
) -> None:
    """y = scale x + shift (scale None: 1), then ReLU.

    choice is narrowed to where ReLU lets through; where nothing was pooled, it begins here.
    """
    np.add(rows(x) if scale is None else np.multiply(rows(x), scale, out=rows(y)), shift, out=rows(y))
    if choice is not None:
        if relu:
            np.greater(y, 0, out=choice[:, -1])
        else:
            choice[:, -1] = True
        if pooled:
            choice[:, :-1] &= choice[:, -1:]
    if relu:
        np.maximum(y, 0, out=y)


def gradient_sums(scratch: Buffers, dy: Array, choice: Array | None, x: Array, mean: Array) -> tuple[Array, Array]:
    """Σ g and Σ g (x - mean) per channel, where g is what passes of dy; choice None: all of it."""
    g = dy if choice is None else np.multiply(dy, choice[:, -1], out=scratch.take("passed", dy.shape))
    centered = np.subtract(rows(x), mean, out=rows(scratch.take("centered", x.shape)))
    along = np.einsum("ij,ij->j", rows(g), centered)
    return channel_sum(rows(g).sum(axis=0), dy.shape[3]), channel_sum(along, dy.shape[3])


def passed_sum(scratch: Buffers, dy: Array, choice: Array) -> Array:
    """Σ g per channel, where g is what passes of dy."""
    g = np.multiply(dy, choice[:, -1], out=scratch.take("passed", dy.shape))
    return channel_sum(rows(g).sum(axis=0), dy.shape[3])


def spread(dy: Array, choice: Array, pool: Pair, dz: Array) -> None:
    """dz = dy at the place it passes to, 0 at the other places of the window; dz has no other rows and columns."""
    for place, mask in zip(places(dz, pool, dy.shape), choice.swapaxes(0, 1), strict=False):
        np.multiply(dy, mask, out=place)


def spread_affine(scratch: Buffers, dy: Array, choice: Array | None, pool: Pair, affine: Affine, dz: Array) -> None:
    """dz = slope z + constant, plus scale dy at the place it passes to; choice None: everywhere."""
    scale, z, slope, constant = affine
    np.multiply(rows(z), slope, out=rows(dz))
    np.add(rows(dz), constant, out=rows(dz))
    g = scratch.take("scaled", dy.shape)
    np.multiply(rows(dy), scale, out=rows(g))
    if choice is None:
        dz += g
        return
    passed = scratch.take("passed", g.shape)
    for place, mask in zip(places(dz, pool, dy.shape), choice.swapaxes(0, 1), strict=False):
        place += np.multiply(g, mask, out=passed)


def places(z: Array, pool: Pair, shape: Shape) -> list[Array]:
    """One view per place (i, j) of the window: entry (i, j) of every window of z, each of this shape."""
    (ph, pw), (height, width) = pool, shape[1:3]
    return [z[:, i : height * ph : ph, j : width * pw : pw] for i in range(ph) for j in range(pw)]


def maximum(arrays: Sequence[Array], out: Array) -> None:
    """out = the elementwise maximum of all arrays."""
    np.maximum(arrays[0], arrays[-1], out=out)
    for array in arrays[1:-1]:
        np.maximum(out, array, out=out)


def rows(x: Array) -> Array:
    """(n, h, w, C) as (n h, w C): long runs."""
    return x.reshape(-1, x.shape[2] * x.shape[3])


def channel_sum(row: Array, channels: int) -> Array:
    """Add up the numbers (w C,) of an image row per channel."""
    total: Array = row.reshape(-1, channels).sum(axis=0)
    return total
