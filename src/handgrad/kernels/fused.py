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
        shift = self.wide(bias)

        def finish(scratch, block, z):
            best = self.reduce(scratch, z, y[block])
            np.add(rows(best), shift, out=rows(y[block]))
            if self.relu:
                np.maximum(y[block], 0, out=y[block])

        self.sweep.convolve(x, weight, finish)
        return y

    def train(self, x, weight, bias):
        """y for x, keeping what `backward` needs."""
        y = np.empty((len(x), *self.output_shape), self.sweep.dtype)
        passes, active = self.masks(len(x))
        shift = self.wide(bias)

        def finish(scratch, block, z):
            best = self.reduce(scratch, z, y[block], passes[:, block])
            np.add(rows(best), shift, out=rows(y[block]))
            self.activate(y[block], active[block], passes[:, block])

        self.sweep.convolve(x, weight, finish, keep=True)
        return y

    def train_normalized(self, x, weight, gamma, beta, epsilon):
        """y for x with the mean and biased variance of the convolution (without bias) over the batch."""
        sign = np.where(gamma < 0, -1, 1).astype(self.sweep.dtype)
        z, best = self.normalized_buffers(len(x))
        passes, active = self.masks(len(x))
        moments = {}

        def finish(scratch, block, z):
            moments[block.start] = block_moments(scratch, z)
            self.reduce(scratch, z, best[block], passes[:, block])

        self.sweep.convolve(x, weight * sign, finish, keep=True, z=z)
        mean, var = combine([moments[start] for start in sorted(moments)])
        deviation = np.sqrt(var + epsilon)
        scale = abs(gamma) / deviation
        y = np.empty(active.shape, self.sweep.dtype)
        wide_scale, wide_shift = self.wide(scale), self.wide(beta - scale * mean)

        def finish_affine(worker, start, stop):
            part = slice(start, stop)
            np.multiply(rows(best[part]), wide_scale, out=rows(y[part]))
            np.add(rows(y[part]), wide_shift, out=rows(y[part]))
            self.activate(y[part], active[part], passes[:, part])

        share(len(x), finish_affine, 4 * y.size)
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

    def activate(self, y, active, passes):
        """ReLU in place; active becomes where it lets through, passes where also the place of the window does."""
        if self.relu:
            np.greater(y, 0, out=active)
            np.maximum(y, 0, out=y)
        else:
            active[...] = True
        if self.pools:
            np.logical_and(passes, active, out=passes)
        else:
            passes[0] = active

    def masks(self, n):
        """Where training keeps its choices: passes (places, n, h, w, out), and active (n, h, w, out)."""
        shape = n, *self.output_shape
        take = self.sweep.kept.take
        return take("passes", (self.pool[0] * self.pool[1], *shape), bool), take("active", shape, bool)

    def normalized_buffers(self, n):
        """z, and the maximum of each of its windows: z itself where there is no pooling."""
        z = self.sweep.kept.take("z", (n, *self.sweep.sizes, self.sweep.out))
        return z, self.sweep.kept.take("best", (n, *self.output_shape)) if self.pools else z

    def wide(self, vector, image=False):
        """A number per channel, repeated for a whole row of the output: see `rows`."""
        return np.tile(vector, self.sweep.sizes[1] if image else self.output_shape[1])

    # Backward ---------------------------------------------------------------------------------------------------

    def backward(self, dy, weight, dweight, dbias, input_gradient):
        """dx or None; dweight and dbias are written."""
        passes, active = self.masks(len(dy))
        sums = {}

        def make_dz(scratch, block):
            g = np.multiply(dy[block], active[block], out=scratch.take("gated", dy[block].shape))
            sums[block.start] = column_sum(g)
            dz = scratch.take("dz", (len(g), *self.sweep.sizes, self.sweep.out))
            for place, passing in zip(places(dz, self.pool, dy.shape[1:3]), passes[:, block], strict=True):
                np.multiply(dy[block], passing, out=place)
            return dz

        dx = self.sweep.propagate(len(dy), weight, make_dz, dweight, input_gradient)
        dbias[...] = sum(sums[start] for start in sorted(sums))
        return dx

    def backward_normalized(self, dy, weight, dweight, dgamma, dbeta, input_gradient):
        """dx or None; dweight, dgamma and dbeta are written."""
        sign, mean, deviation, scale = self.statistics
        z, best = self.normalized_buffers(len(dy))
        passes, active = self.masks(len(dy))
        dbeta[...], along = self.gradient_sums(dy, best, active, mean, deviation)
        dgamma[...] = sign * along
        # dz = scale (g - mean(g) - ẑ mean(g ẑ)), ẑ = (z - mean) / deviation: affine in z but for the gradient g itself
        count = z.size // len(mean)
        slope = -scale * along / (count * deviation)
        constant = -scale * dbeta / count - slope * mean
        wide_slope, wide_constant, wide_scale = self.wide(slope, True), self.wide(constant, True), self.wide(scale)

        def make_dz(scratch, block):
            dz = scratch.take("dz", z[block].shape)
            np.multiply(rows(z[block]), wide_slope, out=rows(dz))
            np.add(rows(dz), wide_constant, out=rows(dz))
            g = scratch.take("scaled", dy[block].shape)
            np.multiply(rows(dy[block]), wide_scale, out=rows(g))
            passed = scratch.take("passed", g.shape)
            for place, passing in zip(places(dz, self.pool, dy.shape[1:3]), passes[:, block], strict=True):
                place += np.multiply(g, passing, out=passed)
            return dz

        dx = self.sweep.propagate(len(dy), weight * sign, make_dz, dweight, input_gradient)
        dweight *= sign
        return dx

    def gradient_sums(self, dy, best, active, mean, deviation):
        """Σ g and Σ g ẑ per channel, g = what ReLU lets through of dy: only the maxima have a gradient."""
        wide_mean, sums = self.wide(mean), {}

        def part(worker, start, stop):
            scratch, images = self.sweep.scratch_of(worker), slice(start, stop)
            g = np.multiply(dy[images], active[images], out=scratch.take("gated", dy[images].shape))
            centered = np.subtract(rows(best[images]), wide_mean, out=rows(scratch.take("passed", g.shape)))
            products = np.einsum("ij,ij->j", centered, rows(g)).reshape(-1, len(mean)).sum(axis=0)
            sums[worker] = column_sum(g), products / deviation

        share(len(dy), part, 4 * dy.size)
        return [sum(sums[worker][i] for worker in sorted(sums)) for i in (0, 1)]


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
