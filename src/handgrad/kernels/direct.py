"""Convolution as a product whose left matrix is the padded image itself: windows need no copy.

A window's kw C numbers of one image row lie side by side, and the next window's begin C numbers on. So a row of windows
is a matrix with rows C apart, one run for each row of the kernel, along which `vectors.multiply` can walk. The gradient
of the weight is a product of the transposed one, whose runs are the rows of the image. Where filters are few, pixels
that lie side by side share a vector: they are the filters of a wider window, whose weights begin a pixel later for each
and are 0 elsewhere. Sums are those of CompiledPass.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..arrays import Array, Shape
from .compiled import After, Before, CompiledPass, Part, compiled, finish, make_dz, place
from .passes import Backward, Forward, Pads
from .products import Buffers, DType, Memory, Pair
from .vectors import FAST, LANES, ROWS, copy_part, multiply, multiply_tiles, up

Window: TypeAlias = tuple[int, int, int]  # height, width, and how many pixels on the next one begins
ToDx: TypeAlias = tuple[Pair, Window, Array, Array, Array]  # dz's place in its border, the window, both memories, dx


@compiled
def convolve(images: Array, window: Window, weight: Array, out: Array) -> None:
    """out (n, h, windows in a row, whole vectors) from padded images; weight (numbers in a window, _)."""
    n, height, width, channels = images.shape
    _, rows, columns, filters = out.shape
    x, w, y, to_row = images.reshape(-1), weight.reshape(-1), out.reshape(-1), width * channels
    right, sizes = (w, 0, weight.shape[1], 1, 0), (filters, window[0], window[1] * channels)
    apart = window[2] * channels
    for b in range(n):
        for p in range(rows):
            left = x, (b * height + p) * to_row, apart, 1, to_row
            result = y, (b * rows + p) * columns * filters, filters, 1, 0
            for q in range(0, columns, ROWS):  # the last ones begin early, rather than end late
                multiply_tiles(max(min(q, columns - ROWS), 0), min(columns, ROWS), sizes, left, right, result, False)


@compiled
def add_weight_gradient(images: Array, window: Window, dz: Array, dweight: Array) -> None:
    """dweight (kh, kw C and more, O) += windowsᵀ dz; there must be some more memory behind the images."""
    n, height, width, channels = images.shape
    _, rows, columns, filters = dz.shape
    x, dy, dw, to_row = images.reshape(-1), dz.reshape(-1), dweight.reshape(-1), width * channels
    (kh, run, _), apart, numbers = dweight.shape, window[2] * channels, window[1] * channels
    if numbers % ROWS < kh:  # as many tiles as numbers are left, for all of kh, are fewer than one each
        run = numbers - numbers % ROWS
    for b in range(n):
        right, first = (dy, b * rows * columns * filters, filters, 1, 0), b * height * to_row
        for i in range(kh):
            result = dw, i * dweight.shape[1] * filters, filters, 1, 0
            multiply((run, filters, rows, columns), (x, first + i * to_row, 1, apart, to_row), right, result, True)
        for k in range(run, numbers):
            result = dw, k * filters, dweight.shape[1] * filters, 1, 0
            multiply((kh, filters, rows, columns), (x, first + k, to_row, apart, to_row), right, result, True)


@compiled
def in_windows(images: Array, window: Window) -> Array:
    """The pixels that a window makes as its filters: (n, h, w, O) as (n, h, windows in a row, pixels O)."""
    n, height, width, channels = images.shape
    return images.reshape(n, height, width // window[2], window[2] * channels)


@compiled
def forward_part(
    part: Part,
    x: Array,
    corner: Pair,
    padded: Array,
    window: Window,
    weight: Array,
    whole: Array,
    z: Array,
    after: After,
) -> None:
    """What `CompiledPass.forward_part` does. whole is memory for a block of z in whole vectors, or has no examples."""
    start, stop, step = part
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        images = padded[first:last] if len(padded) >= len(x) else padded[:n]
        result = z[first:last] if len(z) == len(x) else z[:n]
        place(x[first:last], images, corner)
        convolve(images, window, weight, whole[:n] if len(whole) else in_windows(result, window))
        if len(whole):
            copy_part(whole[:n], (0, 0), in_windows(result, window), (0, 0))
        finish(first, last, (first - start) // step, result, after)


@compiled
def backward_part(
    part: Part, before: Before, whole: Array, padded: Array, window: Window, dweight: Array, flipped: Array, to_dx: ToDx
) -> None:
    """What `CompiledPass.backward_part` does; whole and whole_dx as in `forward_part`, for dz and dx."""
    corner, dz_window, bordered, whole_dx, dx = to_dx
    start, stop, step = part
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n, dz = last - first, make_dz(first, last, before)
        if len(whole):
            copy_part(in_windows(dz, window), (0, 0), whole[:n], (0, 0))
        add_weight_gradient(padded[first:last], window, whole[:n] if len(whole) else in_windows(dz, window), dweight)
        if len(dx):
            copy_part(dz, (0, 0), bordered[:n], corner)
            result = in_windows(dx[first:last], dz_window)
            convolve(bordered[:n], dz_window, flipped, whole_dx[:n] if len(whole_dx) else result)
            if len(whole_dx):
                copy_part(whole_dx[:n], (0, 0), result, (0, 0))


def best_window(kernel: Pair, filters: int, width: int) -> Window:
    """The window whose pixels share a vector with the least work for rows of so many pixels."""

    def work(pixels: int) -> int:
        return up(width // pixels, ROWS) * up(pixels * filters, LANES) * (kernel[1] + pixels - 1)

    pixels = min((p for p in range(LANES, 0, -1) if width % p == 0 and (p == 1 or p * filters <= LANES)), key=work)
    return kernel[0], kernel[1] + pixels - 1, pixels


def widened(weight: Array, window: Window) -> Array:
    """The weight (kh, kw, C, O) as a matrix for all pixels of a window, (numbers in a window, pixels O).

    Columns of zeros follow, so that a row is an odd number of vectors: see `WinogradPass`.
    """
    kh, kw, channels, filters = weight.shape
    columns = window[2] * filters
    matrix = np.zeros((kh, window[1], channels, (up(columns, LANES) // LANES | 1) * LANES), np.float32)
    for pixel in range(window[2]):
        matrix[:, pixel : pixel + kw, :, pixel * filters : (pixel + 1) * filters] = weight
    return matrix.reshape(-1, matrix.shape[3])


class DirectPass(CompiledPass):
    """A CompiledPass in float32 that copies no windows."""

    def __init__(
        self, input_shape: Shape, weight_shape: Shape, padding: Pads, sizes: Pair, pool: Pair, relu: bool, dtype: DType
    ) -> None:
        super().__init__(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        self.window: Window = best_window(self.kernel, self.out, sizes[1])
        self.dz_window: Window = best_window(self.kernel, input_shape[2], input_shape[1])
        run = up(self.window[1] * input_shape[2], ROWS)
        self.products_shape: Shape = self.kernel[0], run, up(self.window[2] * self.out, LANES)

    @classmethod
    def pays(cls, weight_shape: Shape, sizes: Pair, dtype: DType) -> bool:
        """Whether rows are long enough, and vectors filled well enough."""
        kh, kw, _, out = weight_shape
        filters = best_window((kh, kw), out, sizes[1])[2] * out
        return dtype == np.float32 and FAST and sizes[1] >= ROWS and 3 * filters >= up(filters, LANES)

    def keep(self, memory: Memory, x: Array) -> Array:
        # tiles of dweight read beyond the last image
        return memory.kept.take("padded", (len(x) + 1, *self.padded))[: len(x)]

    def forward_weight(self, memory: Memory, weight: Array) -> Array:
        return widened(weight, self.window)

    def backward_weight(self, memory: Memory, weight: Array) -> Array:
        return widened(weight[::-1, ::-1].swapaxes(2, 3), self.dz_window)

    def weight_gradient(self, products: Array) -> Array:
        (kh, kw, channels, out), (_, width, pixels) = self.weight_shape, self.window
        parts = products[:, : width * channels, : pixels * out].reshape(kh, width, channels, pixels, out)
        return sum((parts[:, p : p + kw, :, p] for p in range(1, pixels)), parts[:, :kw, :, 0])

    def whole(self, scratch: Buffers, key: str, shape: Shape, window: Window) -> Array:
        """Memory for such images, each window's filters in whole vectors; for none where they are whole."""
        n, height, width, channels = shape
        filters = window[2] * channels
        return scratch.take(key, (n if filters % LANES else 0, height, width // window[2], up(filters, LANES)))

    def forward_part(self, scratch: Buffers, job: Forward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        padded = scratch.take("padded", (part[2], *self.padded)) if job.kept is None else job.kept
        z, after = self.after(scratch, job, part)
        whole = self.whole(scratch, "whole", (part[2], *self.sizes, self.out), self.window)
        forward_part(part, job.x, self.corner, padded, self.window, job.weight, whole, z, after)
        self.note_moments(job, part, after[0])

    def backward_part(self, scratch: Buffers, job: Backward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        dweight, before = self.take_dweight(scratch, job, start), self.before(scratch, job, part)
        whole = self.whole(scratch, "whole dz", (part[2], *self.sizes, self.out), self.window)
        bordered = scratch.take("bordered", (part[2], *self.dz_padded))
        dx = np.empty((0, *self.input_shape), np.float32) if job.dx is None else job.dx
        whole_dx = self.whole(scratch, "whole dx", (part[2], *self.input_shape), self.dz_window)
        to_dx = self.dz_corner, self.dz_window, bordered, whole_dx, dx
        backward_part(part, before, whole, job.kept, self.window, dweight, job.weight, to_dx)
        self.note_passed(job, start, before[5])
