"""Batch norm with the batch shared out among threads, in blocks that stay in cache."""

import numpy as np

from . import route
from .buffers import Buffers
from .products import blocks
from .threads import share


class SharedBatchNorm:
    """Batch norm of (n, h, w, C), or of (n, C) seen as pictures of one pixel."""

    def __init__(self, dtype):
        self.dtype, self.scratch, self.use = dtype, {}, route.steps()

    def infer(self, x, scale, shift):
        """y = scale x + shift."""
        x, y = as_images(x), np.empty_like(x)
        wide_scale, wide_shift = np.tile(scale, x.shape[2]), np.tile(shift, x.shape[2])

        def part(scratch, block):
            self.use.activate(x[block], wide_scale, wide_shift, False, as_images(y)[block])

        self.sweep(x, part)
        return y

    def train(self, x, gamma, beta, epsilon):
        """y for x with the mean and biased variance over the batch."""
        images, moments = as_images(x), {}

        def part(scratch, block):
            moments[block.start] = self.use.moments(scratch, images[block])

        self.sweep(images, part)
        mean, var = combine(moments)
        deviation = np.sqrt(var + epsilon)
        scale = gamma / deviation
        self.statistics = mean, deviation, scale
        return self.infer(x, scale, beta - scale * mean), mean, var

    def backward(self, dy, x, dgamma, dbeta):
        """dx; dgamma and dbeta are written."""
        (mean, deviation, scale), sums, dx = self.statistics, {}, np.empty_like(dy)
        dy, x, out = as_images(dy), as_images(x), as_images(dx)
        width = x.shape[2]
        wide_mean, wide_scale = np.tile(mean, width), np.tile(scale, width)

        def first(scratch, block):
            sums[block.start] = self.use.gradient_sums(scratch, dy[block], None, x[block], wide_mean)

        self.sweep(x, first)
        dbeta[...] = sum(sums[start][0] for start in sorted(sums))
        dgamma[...] = along = sum(sums[start][1] for start in sorted(sums)) / deviation
        slope, constant = slope_and_constant(x.size // len(mean), mean, deviation, scale, dbeta, along)
        wide_slope, wide_constant = np.tile(slope, width), np.tile(constant, width)

        def second(scratch, block):
            self.use.spread_affine(
                scratch, dy[block], None, (1, 1), wide_scale, x[block], wide_slope, wide_constant, out[block]
            )

        self.sweep(x, second)
        return dx

    def sweep(self, images, function):
        """Call function(scratch, block) for all blocks, the threads taking a part of the batch each."""

        def part(worker, start, stop):
            scratch = self.scratch.setdefault(worker, Buffers(self.dtype))
            for block in blocks(start, stop, images[0].nbytes):
                function(scratch, block)

        share(len(images), part, 4 * images.size)


def as_images(x):
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1)


def combine(moments):
    """Mean and biased variance over all blocks, without cancellation (Chan, Golub & LeVeque 1979).

    moments: {start of the block: (count, mean, Σ (x - mean)²)}.
    """
    counts, means, squares = (np.array(column) for column in zip(*(moments[k] for k in sorted(moments)), strict=True))
    shares = (counts / counts.sum()).astype(means.dtype)[:, None]
    mean = (shares * means).sum(axis=0)
    var = squares.sum(axis=0) / means.dtype.type(counts.sum()) + (shares * (means - mean) ** 2).sum(axis=0)
    return mean, var


def slope_and_constant(count, mean, deviation, scale, dbeta, along):
    """slope and constant of dx = scale g + slope x + constant, which is scale (g - mean(g) - x̂ mean(g x̂)).

    x̂ = (x - mean) / deviation; dbeta = Σ g and along = Σ g x̂ are count times the means.
    """
    slope = -scale * along / (count * deviation)
    return slope, -scale * dbeta / count - slope * mean
