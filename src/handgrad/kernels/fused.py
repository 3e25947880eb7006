"""Convolution with batch norm, ReLU and max pooling fused: what belongs to a block is done while it is in cache."""

import numpy as np

from .pooling import find_winners, largest, places
from .sweep import Sweep
from .threads import share


class FusedConvolution:
    """The arithmetic of Conv2D [BatchNorm] [ReLU] [MaxPool2D] on arrays, with all memory kept from step to step.

    pool (ph, pw) are windows side by side, (1, 1) for none. Three rearrangements save work and change nothing but
    rounding: gamma's sign goes into the weight, so that the maximum can be taken before the affine step; the bias
    before a batch norm is left out, since the mean takes it away again; without batch norm, rows and columns that no
    pooling window covers are not computed.
    """

    def __init__(self, input_shape, weight_shape, padding, pool, relu, normalized, dtype):
        sizes = [input_shape[i] + sum(padding[i]) - weight_shape[i] + 1 for i in (0, 1)]
        pooled = sizes[0] // pool[0], sizes[1] // pool[1]
        if not normalized:
            sizes = pooled[0] * pool[0], pooled[1] * pool[1]
        self.sweep = Sweep(input_shape, weight_shape, padding, tuple(sizes), dtype)
        self.pool, self.pools, self.relu = pool, pool != (1, 1), relu
        self.output_shape = *pooled, weight_shape[3]

    # Forward ----------------------------------------------------------------------------------------------------

    def infer(self, x, weight, bias):
        """y for x, keeping nothing; a batch norm has been multiplied into weight and bias."""
        y = np.empty((len(x), *self.output_shape), self.sweep.dtype)

        def finish(scratch, block, z):
            best = self.reduce(scratch, z, y[block])
            self.affine(best, None, bias, y[block])

        self.sweep.convolve(x, weight, finish)
        return y

    def train(self, x, weight, bias):
        """y for x, keeping what `backward` needs."""
        y = np.empty((len(x), *self.output_shape), self.sweep.dtype)
        winners, active = self.masks(len(x))

        def finish(scratch, block, z):
            best = self.reduce(scratch, z, y[block], winners[:, block])
            self.affine(best, None, bias, y[block], active[block])

        self.sweep.convolve(x, weight, finish, keep=True)
        return y

    def train_normalized(self, x, weight, gamma, beta, epsilon):
        """y for x with the mean and biased variance of the convolution (without bias) over the batch."""
        n, kept = len(x), self.sweep.kept
        sign = np.where(gamma < 0, -1, 1).astype(self.sweep.dtype)
        z = kept.take("z", (n, *self.sweep.sizes, self.sweep.out))
        best = kept.take("best", (n, *self.output_shape)) if self.pools else z
        winners, active = self.masks(n)
        moments = {}

        def finish(scratch, block, z):
            moments[block.start] = block_moments(scratch, z)
            self.reduce(scratch, z, best[block], winners[:, block])

        self.sweep.convolve(x, weight * sign, finish, keep=True, z=z)
        mean, var = combine([moments[start] for start in sorted(moments)])
        deviation = np.sqrt(var + epsilon)
        scale = abs(gamma) / deviation
        y = np.empty((n, *self.output_shape), self.sweep.dtype)

        def second(worker, start, stop):
            part = slice(start, stop)
            self.affine(best[part], scale, beta - scale * mean, y[part], active[part])

        share(n, second)
        self.statistics = sign, mean, deviation, scale
        return y, sign * mean, var

    def reduce(self, scratch, z, best, winners=None):
        """The maximum of each window of z, in best; winners, if given, tell which place it came from."""
        if not self.pools:
            return z
        n, (height, width), channels = len(z), best.shape[1:3], best.shape[3]
        largest(z, self.pool, best, scratch.take("rows", (n, height, width * self.pool[1], channels)))
        if winners is not None:
            taken = scratch.take("taken", best.shape, bool)
            find_winners(places(z, self.pool, best.shape[1:3]), best, winners, taken)
        return best

    def affine(self, x, scale, shift, y, active=None):
        """y = scale x + shift (scale None: 1), then ReLU; active, if given, tells where ReLU lets through."""
        width = x.shape[2]
        if scale is None:
            np.add(rows(x), np.tile(shift, width), out=rows(y))
        else:
            np.multiply(rows(x), np.tile(scale, width), out=rows(y))
            np.add(rows(y), np.tile(shift, width), out=rows(y))
        if self.relu:
            if active is not None:
                np.greater(y, 0, out=active)
            np.maximum(y, 0, out=y)

    def masks(self, n):
        """Where training keeps its choices: winners (places, n, h, w, out) of the pooling, active (n, h, w, out)."""
        shape = n, *self.output_shape
        count = self.pool[0] * self.pool[1] if self.pools else 0
        return self.sweep.kept.take("winners", (count, *shape), bool), self.sweep.kept.take("active", shape, bool)

    # Backward ---------------------------------------------------------------------------------------------------

    def backward(self, dy, weight, dweight, dbias, input_gradient):
        """dx or None; dweight and dbias are written."""
        winners, active = self.masks(len(dy))
        sums = {}

        def make_dz(scratch, block):
            g = self.gate(scratch, dy[block], active[block])
            sums[block.start] = column_sum(g)
            return self.spread(scratch, g, winners[:, block])

        dx = self.sweep.propagate(len(dy), weight, make_dz, dweight, input_gradient)
        dbias[...] = sum(sums[start] for start in sorted(sums))
        return dx

    def backward_normalized(self, dy, weight, dweight, dgamma, dbeta, input_gradient):
        """dx or None; dweight, dgamma and dbeta are written."""
        sign, mean, deviation, scale = self.statistics
        n, kept = len(dy), self.sweep.kept
        z = kept.take("z", (n, *self.sweep.sizes, self.sweep.out))
        best = kept.take("best", dy.shape) if self.pools else z
        winners, active = self.masks(n)
        sums = {}

        def first(worker, start, stop):
            scratch, part = self.sweep.scratch_of(worker), slice(start, stop)
            g = self.gate(scratch, dy[part], active[part])
            centered = np.subtract(rows(best[part]), np.tile(mean, dy.shape[2]), out=rows(scratch.take("z", g.shape)))
            products = np.einsum("ij,ij->j", centered, rows(g)).reshape(-1, len(mean)).sum(axis=0)
            sums[worker] = column_sum(g), products / deviation

        share(n, first)
        dbeta[...] = sum(sums[worker][0] for worker in sorted(sums))
        along = sum(sums[worker][1] for worker in sorted(sums))
        dgamma[...] = sign * along
        # dz = scale (g - mean(g) - ẑ mean(g ẑ)), ẑ = (z - mean) / deviation: affine in z but for the gradient g itself
        count = z.size // len(mean)
        slope = -scale * along / (count * deviation)
        constant = -scale * dbeta / count - slope * mean

        def make_dz(scratch, block):
            g = self.gate(scratch, dy[block], active[block])
            dz = scratch.take("dz", z[block].shape)
            np.multiply(rows(z[block]), np.tile(slope, z.shape[2]), out=rows(dz))
            np.add(rows(dz), np.tile(constant, z.shape[2]), out=rows(dz))
            scaled = scratch.take("scaled", g.shape)
            np.multiply(rows(g), np.tile(scale, g.shape[2]), out=rows(scaled))
            self.add_spread(scratch, scaled, winners[:, block], dz)
            return dz

        dx = self.sweep.propagate(n, weight * sign, make_dz, dweight, input_gradient)
        dweight *= sign
        return dx

    def gate(self, scratch, dy, active):
        """What ReLU lets through of dy."""
        return np.multiply(dy, active, out=scratch.take("gated", dy.shape)) if self.relu else dy

    def spread(self, scratch, g, winners):
        """dz: each g at the place that won its window, zeros elsewhere."""
        if not self.pools:
            return g
        dz = scratch.take("dz", (len(g), *self.sweep.sizes, g.shape[3]))
        for place, winner in zip(places(dz, self.pool, g.shape[1:3]), winners, strict=True):
            np.multiply(g, winner, out=place)
        return dz

    def add_spread(self, scratch, g, winners, dz):
        """Add each g to dz at the place that won its window."""
        if not self.pools:
            dz += g
            return
        won = scratch.take("won", g.shape)
        for place, winner in zip(places(dz, self.pool, g.shape[1:3]), winners, strict=True):
            place += np.multiply(g, winner, out=won)


def rows(x):
    """(n, h, w, C) as (n h, w C): long runs, on which whole-array operations are fastest."""
    return x.reshape(-1, x.shape[2] * x.shape[3])


def column_sum(x):
    """Σ over all axes but the last."""
    return rows(x).sum(axis=0).reshape(-1, x.shape[3]).sum(axis=0)


def block_moments(scratch, z):
    """Count, mean and Σ (z - mean)² per channel of one block."""
    count = z.size // z.shape[3]
    mean = column_sum(z) / count
    centered = np.subtract(rows(z), np.tile(mean, z.shape[2]), out=rows(scratch.take("centered", z.shape)))
    return count, mean, np.einsum("ij,ij->j", centered, centered).reshape(-1, z.shape[3]).sum(axis=0)


def combine(moments):
    """Mean and biased variance of all blocks together, without cancellation (Chan, Golub & LeVeque 1979)."""
    counts, means, squares = (np.array(column) for column in zip(*moments, strict=True))
    weights = (counts / counts.sum()).astype(means.dtype)[:, None]
    mean = (weights * means).sum(axis=0)
    var = squares.sum(axis=0) / means.dtype.type(counts.sum()) + (weights * (means - mean) ** 2).sum(axis=0)
    return mean, var
