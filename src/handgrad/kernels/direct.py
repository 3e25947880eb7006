"""Convolution as a product whose left matrix is the padded image itself: windows need no copy.

A window's kw C numbers of one image row lie side by side, and the next window's begin C numbers on. So a row of windows
is a matrix with rows C apart, one run for each row of the kernel, along which `vectors.multiply` can walk. The gradient
of the weight is a product of the transposed one, whose runs are the rows of the image. Sums are those of CompiledPass.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..arrays import Array, Shape
from .compiled import After, Before, CompiledPass, Part, compiled, finish, make_dz, place
from .passes import Backward, Forward, Pads
from .products import Buffers, DType, Memory, Pair
from .vectors import FAST, LANES, ROWS, copy_part, multiply, multiply_tiles, up

ToDx: TypeAlias = tuple[Pair, Pair, Array, Array, Array]  # dz's place in its border, the kernel, both memories, and dx


@compiled
def convolve(images: Array, kernel: Pair, weight: Array, out: Array) -> None:
    """out (n, h, w, O) from padded images, O whole vectors and w at least ROWS; weight (kh kw C, _)."""
    n, height, width, channels = images.shape
    _, rows, columns, filters = out.shape
    x, w, y, to_row = images.reshape(-1), weight.reshape(-1), out.reshape(-1), width * channels
    right, sizes = (w, 0, weight.shape[1], 1, 0), (filters, kernel[0], kernel[1] * channels)
    for b in range(n):
        for p in range(rows):
            left = x, (b * height + p) * to_row, channels, 1, to_row
            result = y, (b * rows + p) * columns * filters, filters, 1, 0
            for q in range(0, columns, ROWS):  # the last ones begin early, rather than end late
                multiply_tiles(min(q, columns - ROWS), ROWS, sizes, left, right, result, False)


@compiled
def add_weight_gradient(images: Array, dz: Array, dweight: Array) -> None:
    """dweight (kh, kw C and more, O) += windowsᵀ dz; there must be some more memory behind the images."""
    n, height, width, channels = images.shape
    _, rows, columns, filters = dz.shape
    x, dy, dw, to_row = images.reshape(-1), dz.reshape(-1), dweight.reshape(-1), width * channels
    kh, run, _ = dweight.shape
    for b in range(n):
        for i in range(kh):
            left = x, (b * height + i) * to_row, 1, channels, to_row
            right = dy, b * rows * columns * filters, filters, 1, 0
            multiply((run, filters, rows, columns), left, right, (dw, i * run * filters, filters, 1, 0), True)


@compiled
def forward_part(
    part: Part, x: Array, corner: Pair, padded: Array, kernel: Pair, weight: Array, whole: Array, z: Array, after: After
) -> None:
    """What `CompiledPass.forward_part` does. whole is memory for a block of z in whole vectors, or has no examples."""
    start, stop, step = part
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        images = padded[first:last] if len(padded) >= len(x) else padded[:n]
        result = z[first:last] if len(z) == len(x) else z[:n]
        place(x[first:last], images, corner)
        convolve(images, kernel, weight, whole[:n] if len(whole) else result)
        if len(whole):
            copy_part(whole[:n], (0, 0), result, (0, 0))
        finish(first, last, (first - start) // step, result, after)


@compiled
def backward_part(
    part: Part, before: Before, whole: Array, padded: Array, dweight: Array, flipped: Array, to_dx: ToDx
) -> None:
    """What `CompiledPass.backward_part` does; whole and whole_dx as in `forward_part`, for dz and dx."""
    corner, kernel, bordered, whole_dx, dx = to_dx
    start, stop, step = part
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n, dz = last - first, make_dz(first, last, before)
        if len(whole):
            copy_part(dz, (0, 0), whole[:n], (0, 0))
            dz = whole[:n]
        add_weight_gradient(padded[first:last], dz, dweight)
        if len(dx):
            copy_part(dz, (0, 0), bordered[:n], corner)
            result = whole_dx[:n] if len(whole_dx) else dx[first:last]
            convolve(bordered[:n], kernel, flipped, result)
            if len(whole_dx):
                copy_part(result, (0, 0), dx[first:last], (0, 0))


class DirectPass(CompiledPass):
    """A CompiledPass in float32 that copies no windows."""

    def __init__(
        self, input_shape: Shape, weight_shape: Shape, padding: Pads, sizes: Pair, pool: Pair, relu: bool, dtype: DType
    ) -> None:
        super().__init__(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        kh, kw, channels, out = weight_shape
        self.filters: int = up(out, LANES)
        self.channels: int = up(channels, LANES)
        self.dz_padded: Shape = (*self.dz_padded[:2], self.filters)
        self.products_shape: Shape = kh, up(kw * channels, ROWS), self.filters

    @classmethod
    def pays(cls, input_shape: Shape, sizes: Pair, out: int, dtype: DType) -> bool:
        """Whether rows are long enough, and vectors filled well enough."""
        return dtype == np.float32 and FAST and min(sizes[1], input_shape[1]) >= ROWS and 3 * out >= up(out, LANES)

    def keep(self, memory: Memory, x: Array) -> Array:
        return memory.kept.take("padded", (len(x) + 1, *self.padded))[
            : len(x)
        ]  # tiles of dweight read beyond the last image

    def forward_weight(self, memory: Memory, weight: Array) -> Array:
        return self.in_vectors(weight.reshape(-1, self.out))

    def backward_weight(self, memory: Memory, weight: Array) -> Array:
        flipped = np.zeros((*weight.shape[:2], self.filters, self.input_shape[2]), np.float32)
        flipped[:, :, : self.out] = weight[::-1, ::-1].swapaxes(2, 3)
        return self.in_vectors(flipped.reshape(-1, self.input_shape[2]))

    def in_vectors(self, matrix: Array) -> Array:
        """The matrix with columns of zeros, so that a row is an odd number of vectors: see `WinogradPass`."""
        wide = np.zeros((len(matrix), (up(matrix.shape[1], LANES) // LANES | 1) * LANES), np.float32)
        wide[:, : matrix.shape[1]] = matrix
        return wide

    def weight_gradient(self, products: Array) -> Array:
        _, kw, channels, out = self.weight_shape
        return products[:, : kw * channels, :out].reshape(self.weight_shape)

    def whole(self, scratch: Buffers, key: str, shape: Shape, channels: int) -> Array:
        """Memory for images of this shape in whole vectors; for none where they are whole."""
        return scratch.take(key, (0 if channels == shape[3] else shape[0], *shape[1:3], channels))

    def forward_part(self, scratch: Buffers, job: Forward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        padded = scratch.take("padded", (part[2], *self.padded)) if job.kept is None else job.kept
        z, after = self.after(scratch, job, part)
        whole = self.whole(scratch, "whole", (part[2], *self.sizes, self.out), self.filters)
        forward_part(part, job.x, self.corner, padded, self.kernel, job.weight, whole, z, after)
        self.note_moments(job, part, after[0])

    def backward_part(self, scratch: Buffers, job: Backward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        dweight, before = self.take_dweight(scratch, job, start), self.before(scratch, job, part)
        whole = self.whole(scratch, "whole dz", (part[2], *self.sizes, self.out), self.filters)
        bordered = scratch.take("bordered", (part[2], *self.dz_padded))
        dx = np.empty((0, *self.input_shape), np.float32) if job.dx is None else job.dx
        whole_dx = self.whole(scratch, "whole dx", (part[2], *self.input_shape), self.channels)
        to_dx = self.dz_corner, self.kernel, bordered, whole_dx, dx
        backward_part(part, before, whole, job.kept, dweight, job.weight, to_dx)
        self.note_passed(job, start, before[5])
