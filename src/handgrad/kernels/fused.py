"""Convolution with batch norm, ReLU and max pooling fused: what belongs to a block is done while it is in cache."""

import numpy as np

from . import route
from .normalization import combine, slope_and_constant
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
        kind = route.sweep(pool)
        self.sweep = kind(input_shape, weight_shape, padding, tuple(sizes), pool, relu, dtype)
        self.pools, self.dtype, self.use = pool != (1, 1), dtype, kind.use
        self.output_shape = *pooled, weight_shape[3]

    # Forward ----------------------------------------------------------------------------------------------------

    def infer(self, x, weight, bias):
        """y for x, keeping nothing; a batch norm has been multiplied into weight and bias."""
        y = np.empty((len(x), *self.output_shape), self.dtype)
        self.sweep.forward(x, weight, False, best=y, y=y, shift=self.wide(bias))
        return y

    def train(self, x, weight, bias):
        """y for x, keeping what `backward` needs."""
        y = np.empty((len(x), *self.output_shape), self.dtype)
        self.sweep.forward(x, weight, True, best=y, y=y, shift=self.wide(bias), choice=self.choice(len(x)))
        return y

    def train_normalized(self, x, weight, gamma, beta, epsilon):
        """y for x with the mean and biased variance of the convolution (without bias) over the batch."""
        sign = np.where(gamma < 0, -1, 1).astype(self.dtype)
        z, best = self.normalized_buffers(len(x))
        choice, moments = self.choice(len(x)), {}
        self.sweep.forward(x, weight * sign, True, best=best, z=z, choice=choice, moments=moments)
        mean, var = combine(moments)
        deviation = np.sqrt(var + epsilon)
        scale = abs(gamma) / deviation
        y = np.empty((len(x), *self.output_shape), self.dtype)
        wide_scale, wide_shift = self.wide(scale), self.wide(beta - scale * mean)

        def second(worker, start, stop):
            part = slice(start, stop)
            self.use.activate(best[part], wide_scale, wide_shift, self.sweep.relu, y[part], choice[part], self.pools)

        share(len(x), second, 4 * y.size)
        self.statistics = sign, mean, deviation, scale
        return y, sign * mean, var

    def choice(self, n):
        """Where training keeps which place of each window passes a gradient."""
        return self.sweep.kept.take("choice", (n, *self.sweep.choice_shape(self.output_shape)), self.sweep.choice_dtype)

    def normalized_buffers(self, n):
        """z, and the maximum of each of its windows: z itself where there is no pooling."""
        z = self.sweep.kept.take("z", (n, *self.sweep.sizes, self.sweep.out))
        return z, self.sweep.kept.take("best", (n, *self.output_shape)) if self.pools else z

    def wide(self, vector):
        """A number per channel, repeated for a row of the output."""
        return np.tile(vector, self.output_shape[1])

    # Backward ---------------------------------------------------------------------------------------------------

    def backward(self, dy, weight, dweight, dbias, input_gradient):
        """dx or None; dweight and dbias are written."""
        dx, dbias[...] = self.sweep.backward(dy, self.choice(len(dy)), weight, dweight, input_gradient)
        return dx

    def backward_normalized(self, dy, weight, dweight, dgamma, dbeta, input_gradient):
        """dx or None; dweight, dgamma and dbeta are written."""
        sign, mean, deviation, scale = self.statistics
        z, best = self.normalized_buffers(len(dy))
        choice, sums, wide_mean = self.choice(len(dy)), {}, self.wide(mean)

        def first(worker, start, stop):
            scratch, part = self.sweep.scratch_of(worker), slice(start, stop)
            sums[worker] = self.use.gradient_sums(scratch, dy[part], choice[part], best[part], wide_mean)

        share(len(dy), first, 4 * dy.size)
        dbeta[...] = sum(sums[worker][0] for worker in sorted(sums))
        along = sum(sums[worker][1] for worker in sorted(sums)) / deviation
        dgamma[...] = sign * along
        slope, constant = slope_and_constant(z.size // len(mean), mean, deviation, scale, dbeta, along)
        affine = self.wide(scale), z, np.tile(slope, z.shape[2]), np.tile(constant, z.shape[2])
        dx, _ = self.sweep.backward(dy, choice, weight * sign, dweight, input_gradient, affine)
        dweight *= sign
        return dx
