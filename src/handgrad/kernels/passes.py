"""Convolution with stride 1, forward and backward, a few images at a time so that all steps find them in cache."""

from collections.abc import Callable, Mapping
from functools import reduce
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from ..arrays import Array, DTypeLike, Shape
from . import plain
from .plain import Affine, Moments
from .products import BLOCK_BYTES, Buffers, DType, Memory, Pair, blocks
from .threads import share

Pads: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right))


class Forward(NamedTuple):
    """A forward pass: z = x convolved with weight, best = the maximum of each pooling window, y = what follows.

    Either the moments of z are collected, or activation is (scale, shift, y) and y = ReLU(scale best + shift) is made
    at once (scale None: 1). kept, which the backward finds again, and z are None where only a block's worth of them is
    needed; choice is None in inference. The weight is as the pass multiplies by it.
    """

    x: Array
    weight: Array
    best: Array
    kept: Array | None = None
    z: Array | None = None
    choice: Array | None = None
    moments: dict[int, Moments] | None = None
    activation: tuple[Array | None, Array, Array] | None = None


class Backward(NamedTuple):
    """A backward pass over the batch: dz from dy by choice, then dweight and dx.

    affine is None where dz is dy spread alone; then passed collects Σ of what passes of dy. dx is None
    where nobody needs it. The weight is as the pass multiplies dz by it; dweight has each part's sum, in the same form.
    """

    dy: Array
    choice: Array
    kept: Array
    weight: Array
    affine: Affine | None
    passed: dict[int, Array]
    dweight: dict[int, Array]
    dx: Array | None


Job = TypeVar("Job", Forward, Backward)


class BatchPass:
    """Convolves batches of one image shape, in the memory that it is given.

    input_shape (H, W, C), weight_shape (kh, kw, C, out), padding ((top, bottom), (left, right)), smaller than the
    kernel; sizes (h, w) of the output, which may leave out rows at the bottom and columns at the right; pool (ph, pw)
    windows side by side, (1, 1) for none.
    """

    use: ModuleType = plain  # the functions on blocks that understand its choices
    choice_dtype: DTypeLike = bool
    block_bytes = BLOCK_BYTES

    def __init__(
        self, input_shape: Shape, weight_shape: Shape, padding: Pads, sizes: Pair, pool: Pair, relu: bool, dtype: DType
    ) -> None:
        (top, bottom), (left, right) = padding
        height, width, channels = input_shape
        kh, kw, _, out = weight_shape
        self.input_shape: Shape = input_shape
        self.weight_shape: Shape = weight_shape
        self.sizes: Pair = sizes
        self.kernel: Pair = kh, kw
        self.out: int = out
        self.pool: Pair = pool
        self.pools: bool = pool != (1, 1)
        self.relu: bool = relu
        self.dtype: DType = dtype
        self.corner: Pair = top, left
        self.padded: Shape = height + top + bottom, width + left + right, channels
        # dx is the convolution of dz, laid among zeros, with the flipped kernel
        self.dz_corner: Pair = kh - 1 - top, kw - 1 - left
        self.dz_padded: Shape = height + kh - 1, width + kw - 1, out
        self.products_shape: Shape = kh * kw * channels, out  # of dweight as the pass makes it
        self.image_bytes: int = sizes[0] * sizes[1] * kh * kw * channels * dtype.itemsize
        self.multiply_adds: int = sizes[0] * sizes[1] * kh * kw * channels * out

    def choice_shape(self, shape: Shape) -> Shape:
        """The shape of a choice for pooled examples of this shape: see `plain`."""
        places = self.pool[0] * self.pool[1]
        return (places + 1 if self.pools else 1, *shape)

    def forward(self, memory: Memory, x: Array, weight: Array, keep: bool, **options: Any) -> None:
        """One forward pass over x, with the options of a `Forward`; keep=True keeps x for `backward`."""
        x = np.ascontiguousarray(x)
        kept = memory.seen = self.keep(memory, x) if keep else None
        job = Forward(x, self.forward_weight(memory, weight), kept=kept, **options)
        self.share(memory, self.forward_part, job, len(x) * self.multiply_adds)

    def backward(
        self,
        memory: Memory,
        dy: Array,
        choice: Array,
        weight: Array,
        dweight: Array,
        input_gradient: bool,
        affine: Affine | None = None,
    ) -> tuple[Array | None, Array | None]:
        """dx or None, and Σ of what passes of dy where affine is None; dweight is written."""
        n = len(dy)
        dx = np.empty((n, *self.input_shape), self.dtype) if input_gradient else None
        kept, memory.seen = memory.seen, None
        assert kept is not None, "`forward` has kept it"
        job = Backward(dy, choice, kept, self.backward_weight(memory, weight), affine, {}, {}, dx)
        self.share(memory, self.backward_part, job, 2 * n * self.multiply_adds)
        dweight[...] = self.weight_gradient(total(job.dweight))
        return dx, total(job.passed) if affine is None else None

    # What a pass multiplies by, and what it keeps ------------------------------------------------------------------

    def keep(self, memory: Memory, x: Array) -> Array:
        """What the backward finds again: memory in which the forward leaves padded images, or x itself."""
        return memory.kept.take("padded", (len(x), *self.padded))

    def forward_weight(self, memory: Memory, weight: Array) -> Array:
        """The weight as a matrix that windows of x are multiplied by."""
        return np.ascontiguousarray(weight).reshape(-1, self.out)

    def backward_weight(self, memory: Memory, weight: Array) -> Array:
        """The weight as a matrix that windows of dz are multiplied by: the kernel is flipped."""
        return np.ascontiguousarray(weight[::-1, ::-1].transpose(0, 1, 3, 2)).reshape(-1, self.input_shape[2])

    def weight_gradient(self, products: Array) -> Array:
        """dweight from the sum of the parts' products, which have the form of `forward_weight`."""
        return products.reshape(self.weight_shape)

    def share(self, memory: Memory, part: Callable[[Buffers, Job, int, int], None], job: Job, work: int) -> None:
        """Have the threads do their parts of a job, each with scratch of its own."""
        share(len(job[0]), lambda worker, start, stop: part(memory.scratch(worker), job, start, stop), work)

    def take_dweight(self, scratch: Buffers, job: Backward, start: int) -> Array:
        """This part's share of dweight, zeros at first."""
        job.dweight[start] = scratch.take("dweight", self.products_shape)
        job.dweight[start][...] = 0
        return job.dweight[start]

    def forward_part(self, scratch: Buffers, job: Forward, start: int, stop: int) -> None:
        for block in blocks(start, stop, self.image_bytes, self.block_bytes):
            images = job.x[block]
            n = len(images)
            padded = scratch.take("padded", (n, *self.padded)) if job.kept is None else job.kept[block]
            lay(images, padded, self.corner)
            z = scratch.take("z", (n, *self.sizes, self.out)) if job.z is None else job.z[block]
            np.matmul(copy_windows(scratch, padded, self.kernel, self.sizes), job.weight, out=z.reshape(-1, self.out))
            if job.moments is not None:
                job.moments[block.start] = plain.moments(scratch, z)
            best, choice = job.best[block], None if job.choice is None else job.choice[block]
            if self.pools:
                plain.largest(scratch, z, self.pool, best, choice)
            if job.activation is not None:
                scale, shift, y = job.activation
                plain.activate(best if self.pools else z, scale, shift, self.relu, y[block], choice, self.pools)

    def backward_part(self, scratch: Buffers, job: Backward, start: int, stop: int) -> None:
        dweight = self.take_dweight(scratch, job, start)
        product = scratch.take("product", dweight.shape)
        for block in blocks(start, stop, self.image_bytes, self.block_bytes):
            dz = self.make_dz(scratch, job, block)
            columns = copy_windows(scratch, job.kept[block], self.kernel, self.sizes)
            dweight += np.matmul(columns.T, dz.reshape(-1, self.out), out=product)
            if job.dx is not None:
                bordered = scratch.take("bordered", (len(dz), *self.dz_padded))
                lay(dz, bordered, self.dz_corner)
                columns = copy_windows(scratch, bordered, self.kernel, self.input_shape[:2], "dz columns")
                np.matmul(columns, job.weight, out=job.dx[block].reshape(-1, self.input_shape[2]))

    def make_dz(self, scratch: Buffers, job: Backward, block: slice) -> Array:
        dy, choice = job.dy[block], job.choice[block]
        dz = scratch.take("dz", (len(dy), *self.sizes, self.out))
        if job.affine is None:
            job.passed[block.start] = plain.passed_sum(scratch, dy, choice)
            plain.spread(dy, choice, self.pool, dz)
        else:
            scale, z, slope, constant = job.affine
            plain.spread_affine(scratch, dy, choice, self.pool, (scale, z[block], slope, constant), dz)
        return dz


def total(parts: Mapping[int, Array]) -> Array:
    """The sum of the values in the order of their keys: always the same bits."""
    return reduce(np.add, (parts[key] for key in sorted(parts)))


def lay(images: Array, bordered: Array, corner: Pair) -> None:
    """Write images into larger ones, whose borders stay."""
    (top, left), (_, height, width, _) = corner, images.shape
    bordered[:, top : top + height, left : left + width] = images


def copy_windows(scratch: Buffers, padded: Array, kernel: Pair, sizes: Shape, key: str = "columns") -> Array:
    """One row per window of padded (n, H, W, C), in scratch memory: (n h w, kh kw C).

    A kernel row's kw C numbers lie side by side in the image, so they are copied as one run; with one channel such a
    run is too short to pay, and the pixels under each entry of the kernel are copied at once.
    """
    (n, _, _, channels), (kh, kw), (height, width) = padded.shape, kernel, sizes
    columns = scratch.take(key, (n * height * width, kh * kw * channels))
    if channels == 1:
        by_entry = columns.reshape(n, height, width, kh, kw)
        for i, j in np.ndindex(kh, kw):
            by_entry[..., i, j] = padded[:, i : i + height, j : j + width, 0]
        return columns
    to_image, to_row, to_pixel, to_channel = padded.strides
    shape, strides = (n, height, width, kh, kw * channels), (to_image, to_row, to_pixel, to_row, to_channel)
    runs = np.ndarray(shape, padded.dtype, padded, 0, strides)  # as_strided, without its 10 microseconds
    np.copyto(columns.reshape(shape), runs)
    return columns
