"""Convolution and batch norm, with ReLU and max pooling, a few images at a time while these are in cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Shape
from . import route
from .passes import BatchPass, Pads, total
from .plain import BatchStatistics, Moments
from .products import Buffers, DType, Memories, Memory, Pair, blocks
from .threads import share


class Normalization(NamedTuple):
    """Batch norm of one batch: y = scale x + shift, where scale = gamma / deviation."""

    statistics: BatchStatistics
    deviation: Array
    scale: Array
    shift: Array

    @classmethod
    def of(cls, statistics: BatchStatistics, gamma: Array, beta: Array, epsilon: float) -> Normalization:
        deviation = np.sqrt(statistics.var + epsilon)
        scale = gamma / deviation
        return cls(statistics, deviation, scale, beta - scale * statistics.mean)

    def gradients(self, sums: Mapping[int, tuple[Array, Array]]) -> tuple[Array, Array, Array, Array]:
        """(dgamma, dbeta, slope, constant), with dx = scale g + slope x + constant.

        sums: Σ g and Σ g (x - mean) of each part of the batch, by its number. This dx is batch norm's
        scale (g - mean(g) - x̂ mean(g x̂)) with x̂ = (x - mean) / deviation multiplied out: one pass over x makes it.
        """
        (size, mean, _), deviation = self.statistics, self.deviation
        dbeta = total({part: both[0] for part, both in sums.items()})
        dgamma = total({part: both[1] for part, both in sums.items()}) / deviation
        slope = -self.scale * dgamma / (size * deviation)
        return dgamma, dbeta, slope, -self.scale * dbeta / size - slope * mean


class ConvolutionKernel:
    """The arithmetic of Conv2D [BatchNorm] [ReLU] [MaxPool2D] on arrays, in memory that passes use again.

    What training lends, `forward` returns and `backward` gives back, so that calls in several threads never meet.

    pool (ph, pw) are windows side by side, (1, 1) for none. Three rearrangements save work and change nothing but
    rounding: gamma's sign goes into the weight, so that the maximum can be taken before the affine step; the bias
    before a batch norm is left out, since the mean takes it away again; without batch norm, rows and columns that no
    pooling window covers are not computed.
    """

    def __init__(
        self,
        input_shape: Shape,
        weight_shape: Shape,
        padding: Pads,
        pool: Pair,
        relu: bool,
        normalized: bool,
        dtype: DType,
    ) -> None:
        height, width = (input_shape[i] + sum(padding[i]) - weight_shape[i] + 1 for i in (0, 1))
        pooled = height // pool[0], width // pool[1]
        sizes = (height, width) if normalized else (pooled[0] * pool[0], pooled[1] * pool[1])
        kind = route.batch_pass(input_shape, weight_shape, sizes, pool, dtype)
        self.work: BatchPass = kind(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        self.pools: bool = pool != (1, 1)
        self.dtype: DType = dtype
        self.memories: Memories = Memories(dtype)
        self.use: ModuleType = self.work.use
        self.output_shape: Shape = *pooled, weight_shape[3]

    # Forward ----------------------------------------------------------------------------------------------------

    def infer(self, x: Array, weight: Array, bias: Array) -> Array:
        """y for x; weight and bias hold a batch norm, too."""
        y, memory = self.forward(x, weight, bias, False)
        self.memories.take_back(memory)
        return y

    def forward(self, x: Array, weight: Array, bias: Array, training: bool = True) -> tuple[Array, Memory]:
        """y for x, and the memory in which training keeps what `backward` needs."""
        y, memory = np.empty((len(x), *self.output_shape), self.dtype), self.memories.lend()
        choice = self.choice(memory, len(x)) if training else None
        self.work.forward(memory, x, weight, training, best=y, activation=(None, self.wide(bias), y), choice=choice)
        return y, memory

    def train_normalized(
        self, x: Array, weight: Array, gamma: Array, beta: Array, epsilon: float
    ) -> tuple[Array, BatchStatistics, tuple[Memory, Array, Normalization]]:
        """y for x, the batch's statistics of the convolution without bias, and the cache of `backward_normalized`."""
        sign = np.where(gamma < 0, -1, 1).astype(self.dtype)
        memory = self.memories.lend()
        z, best = self.normalized_buffers(memory, len(x))
        choice, moments = self.choice(memory, len(x)), dict[int, Moments]()
        self.work.forward(memory, x, weight * sign, True, best=best, z=z, choice=choice, moments=moments)
        norm = Normalization.of(BatchStatistics.combine(moments), abs(gamma), beta, epsilon)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        scale, shift = self.wide(norm.scale), self.wide(norm.shift)

        def second(worker: int, start: int, stop: int) -> None:
            part = slice(start, stop)
            self.use.activate(best[part], scale, shift, self.work.relu, y[part], choice[part], self.pools)

        share(len(x), second, 4 * y.size)
        return y, norm.statistics._replace(mean=sign * norm.statistics.mean), (memory, sign, norm)

    def choice(self, memory: Memory, n: int) -> Array:
        """Where training keeps which place of each window passes a gradient."""
        return memory.kept.take("choice", (n, *self.work.choice_shape(self.output_shape)), self.work.choice_dtype)

    def normalized_buffers(self, memory: Memory, n: int) -> tuple[Array, Array]:
        """z, and the maximum of each of its windows: z itself where there is no pooling."""
        z = memory.kept.take("z", (n, *self.work.sizes, self.work.out))
        return z, memory.kept.take("best", (n, *self.output_shape)) if self.pools else z

    def wide(self, vector: Array) -> Array:
        """A number per channel, repeated for a row of the output."""
        return np.tile(vector, self.output_shape[1])

    # Backward ---------------------------------------------------------------------------------------------------

    def backward(
        self, dy: Array, memory: Memory, weight: Array, dweight: Array, dbias: Array, input_gradient: bool
    ) -> Array | None:
        """dx or None; dweight and dbias are written."""
        choice = self.choice(memory, len(dy))
        dx, dbias[...] = self.work.backward(memory, dy, choice, weight, dweight, input_gradient)
        self.memories.take_back(memory)
        return dx

    def backward_normalized(
        self,
        dy: Array,
        cache: tuple[Memory, Array, Normalization],
        weight: Array,
        gradients: Sequence[Array],
        input_gradient: bool,
    ) -> Array | None:
        """dx or None; gradients, which are dweight, dgamma and dbeta, are written."""
        (memory, sign, norm), (dweight, dgamma, dbeta) = cache, gradients
        z, best = self.normalized_buffers(memory, len(dy))
        choice, sums, mean = (
            self.choice(memory, len(dy)),
            dict[int, tuple[Array, Array]](),
            self.wide(norm.statistics.mean),
        )

        def first(worker: int, start: int, stop: int) -> None:
            scratch, part = memory.scratch(worker), slice(start, stop)
            sums[worker] = self.use.gradient_sums(scratch, dy[part], choice[part], best[part], mean)

        share(len(dy), first, 4 * dy.size)
        along, dbeta[...], slope, constant = norm.gradients(sums)
        dgamma[...] = sign * along
        affine = self.wide(norm.scale), z, np.tile(slope, z.shape[2]), np.tile(constant, z.shape[2])
        dx, _ = self.work.backward(memory, dy, choice, weight * sign, dweight, input_gradient, affine)
        dweight *= sign
        self.memories.take_back(memory)
        return dx


class BatchNormKernel:
    """Batch norm of (n, h, w, C), or of (n, ..., C) seen as pictures one pixel high, shared out among threads."""

    def __init__(self, dtype: DType) -> None:
        self.memories: Memories = Memories(dtype)
        self.use: ModuleType = route.steps()

    def infer(self, x: Array, scale: Array, shift: Array) -> Array:
        """y = scale x + shift."""
        x, y = as_images(x), np.empty_like(x)
        out, scale, shift = as_images(y), np.tile(scale, x.shape[2]), np.tile(shift, x.shape[2])

        def part(scratch: Buffers, block: slice) -> None:
            self.use.activate(x[block], scale, shift, False, out[block])

        self.over_blocks(x, part)
        return y

    def train(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Normalization]:
        """y for x, and how it was made: the batch's statistics in it, and what `backward` needs."""
        images, moments = as_images(x), dict[int, Moments]()

        def part(scratch: Buffers, block: slice) -> None:
            moments[block.start] = self.use.moments(scratch, images[block])

        self.over_blocks(images, part)
        norm = Normalization.of(BatchStatistics.combine(moments), gamma, beta, epsilon)
        return self.infer(x, norm.scale, norm.shift), norm

    def backward(self, dy: Array, x: Array, norm: Normalization, dgamma: Array, dbeta: Array) -> Array:
        """dx; dgamma and dbeta are written."""
        sums, dx = dict[int, tuple[Array, Array]](), np.empty_like(dy)
        dy, x, out = as_images(dy), as_images(x), as_images(dx)
        width = x.shape[2]
        mean, scale = np.tile(norm.statistics.mean, width), np.tile(norm.scale, width)

        def first(scratch: Buffers, block: slice) -> None:
            sums[block.start] = self.use.gradient_sums(scratch, dy[block], None, x[block], mean)

        self.over_blocks(x, first)
        dgamma[...], dbeta[...], slope, constant = norm.gradients(sums)
        slope, constant = np.tile(slope, width), np.tile(constant, width)

        def second(scratch: Buffers, block: slice) -> None:
            affine = scale, x[block], slope, constant
            self.use.spread_affine(scratch, dy[block], None, (1, 1), affine, out[block])

        self.over_blocks(x, second)
        return dx

    def over_blocks(self, images: Array, function: Callable[[Buffers, slice], None]) -> None:
        """Call function(scratch, block) for all blocks, the threads taking a part of the batch each."""
        memory = self.memories.lend()

        def part(worker: int, start: int, stop: int) -> None:
            for block in blocks(start, stop, images[0].nbytes):
                function(memory.scratch(worker), block)

        share(len(images), part, 4 * images.size)
        self.memories.take_back(memory)


def as_images(x: Array) -> Array:
    return x if x.ndim == 4 else x.reshape(len(x), 1, -1, x.shape[-1])
