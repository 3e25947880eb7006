"""The work on blocks of images compiled by Numba, products included: the interpreter's lock is taken once a part.

The functions of `plain` stand here again as loops, one pass over memory each, for no pooling and for windows of 2x2;
then the two parts of a `Sweep`, and what calls all these from Python. Loops run along rows of w C numbers and few
arrays meet in one, so that the compiler can vectorise them. A choice is one byte for each number of a pooled block: the
place of its window that passes a gradient, or BLOCKED. An array of length 0 stands for none.
"""

import sys

import numba.experimental.function_type  # noqa: F401 - lets a function pointer be an argument
import numpy as np
from numba import njit, types

from . import blas
from .sweep import Sweep

NO_CHOICE = np.empty((0, 1), np.uint8)
BLOCKED = np.uint8(255)
ROW_MAJOR, AS_IT_IS, TRANSPOSED = np.int32(101), np.int32(111), np.int32(112)  # of the CBLAS interface
compiled = njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")


class Gemm(types.WrapperAddressProtocol):
    """BLAS's product of matrices, callable in compiled functions: out = a b + beta out."""

    def __init__(self, address, integer, dtype):
        self.address, self.integer, self.real = address, getattr(types, integer), getattr(types, dtype.name)

    def __wrapper_address__(self):
        return self.address

    def signature(self):
        choice, size, matrix = types.int32, self.integer, types.voidptr
        return types.void(
            choice, choice, choice, size, size, size, self.real, matrix, size, matrix, size, self.real, matrix, size
        )


@compiled
def multiply(gemm, a, b, out, beta):
    """out = a b + beta out."""
    one = a.dtype.type(1)
    gemm(
        ROW_MAJOR,
        AS_IT_IS,
        AS_IT_IS,
        len(a),
        b.shape[1],
        len(b),
        one,
        a.ctypes,
        len(b),
        b.ctypes,
        b.shape[1],
        a.dtype.type(beta),
        out.ctypes,
        b.shape[1],
    )


@compiled
def multiply_transposed(gemm, a, b, out, beta):
    """out = aᵀ b + beta out."""
    one = a.dtype.type(1)
    gemm(
        ROW_MAJOR,
        TRANSPOSED,
        AS_IT_IS,
        a.shape[1],
        b.shape[1],
        len(a),
        one,
        a.ctypes,
        a.shape[1],
        b.ctypes,
        b.shape[1],
        a.dtype.type(beta),
        out.ctypes,
        b.shape[1],
    )


@compiled
def place(x, bordered, top, left):
    """Lay images into larger ones."""
    n, height, width, channels = x.shape
    flat, into = x.reshape(n, height, width * channels), bordered.reshape(n, bordered.shape[1], -1)
    for b in range(n):
        for p in range(height):
            source, target = flat[b, p], into[b, p + top, left * channels :]
            for k in range(len(source)):
                target[k] = source[k]


@compiled
def copy_windows(padded, kh, kw, height, width, columns):
    """One row of columns per window; a kernel row's kw C numbers lie side by side in the image."""
    n, rows, row_width, channels = padded.shape
    run = np.uint64(kw * channels)  # unsigned: indices need no check for counting from the end
    source, target = padded.reshape(-1), columns.reshape(-1)
    to = np.uint64(0)
    for b in range(n):
        for p in range(height):
            for q in range(width):
                for i in range(kh):
                    start = np.uint64(((b * rows + p + i) * row_width + q) * channels)
                    for k in range(run):
                        target[to + np.uint64(k)] = source[start + np.uint64(k)]
                    to += run


@compiled
def moments_of(x, mean, squares):
    """Mean and Σ (x - mean)² per channel of rows x (r, w C)."""
    channels = len(mean)
    total, repeated = np.zeros(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    for r in range(len(x)):
        for k in range(x.shape[1]):
            total[k] += x[r, k]
    mean[:] = 0
    for k in range(x.shape[1]):
        mean[k % channels] += total[k]
    mean /= x.dtype.type(x.size // channels)
    for k in range(x.shape[1]):
        repeated[k], total[k] = mean[k % channels], 0
    for r in range(len(x)):
        for k in range(x.shape[1]):
            d = x[r, k] - repeated[k]
            total[k] += d * d
    squares[:] = 0
    for k in range(x.shape[1]):
        squares[k % channels] += total[k]


@compiled
def largest_of(z, best, choice):
    """The maximum of each window of 2x2, and the first place that has it. A NaN wins, so that it stays visible."""
    n, height, width, channels = best.shape
    for b in range(n):
        for p in range(height):
            for q in range(width):
                for c in range(channels):
                    top, place = z[b, 2 * p, 2 * q, c], np.uint8(0)
                    other = z[b, 2 * p, 2 * q + 1, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(1) if wins else place
                    other = z[b, 2 * p + 1, 2 * q, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(2) if wins else place
                    other = z[b, 2 * p + 1, 2 * q + 1, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(3) if wins else place
                    best[b, p, q, c], choice[b, p, q, c] = top, place


@compiled
def activate_rows(x, scale, shift, relu, y, choice, pooled):
    """y = scale x + shift, then ReLU; choice is narrowed to where ReLU lets through, or begun where nothing pooled."""
    zero = x.dtype.type(0)
    for r in range(len(x)):
        for k in range(x.shape[1]):
            y[r, k] = x[r, k] * scale[k] + shift[k]
        if len(choice):
            if not pooled:
                choice[r] = 0
            if relu:
                for k in range(x.shape[1]):
                    choice[r, k] = choice[r, k] if y[r, k] > zero else BLOCKED
        if relu:
            for k in range(x.shape[1]):
                y[r, k] = zero if y[r, k] <= zero else y[r, k]


@compiled
def add_gradient_sums(dy, choice, x, mean, total, along):
    """Add Σ g to total and Σ g (x - mean) to along, where g is what passes of dy; x without rows: total alone."""
    zero, g = dy.dtype.type(0), np.empty(dy.shape[1], dy.dtype)
    for r in range(len(dy)):
        for k in range(dy.shape[1]):
            g[k] = dy[r, k]
        if len(choice):
            for k in range(dy.shape[1]):
                g[k] = zero if choice[r, k] == BLOCKED else g[k]
        for k in range(dy.shape[1]):
            total[k] += g[k]
        if len(x):
            for k in range(dy.shape[1]):
                along[k] += g[k] * (x[r, k] - mean[k])


@compiled
def spread_rows(dy, choice, step, scale, z, slope, constant, dz):
    """dz = slope z + constant (z without examples: 0), plus scale dy at the place of its window it passes to."""
    n, height, width, channels = dy.shape
    zero, g = dz.dtype.type(0), np.empty(width * channels, dz.dtype)
    dy_rows, dz_rows = dy.reshape(n, height, -1), dz.reshape(n, dz.shape[1], -1)
    z_rows, choice_rows = z.reshape(len(z), dz.shape[1], -1), choice.reshape(len(choice), height, -1)
    for b in range(n):
        for r in range(dz.shape[1]):
            if len(z):
                for k in range(dz_rows.shape[2]):
                    dz_rows[b, r, k] = z_rows[b, r, k] * slope[k] + constant[k]
            else:
                dz_rows[b, r] = zero
            p = r // step
            for j in range(step if p < height else 0):
                here = np.uint8((r - p * step) * step + j)
                for k in range(len(g)):
                    g[k] = dy_rows[b, p, k] * scale[k]
                if len(choice):
                    for k in range(len(g)):
                        g[k] = g[k] if choice_rows[b, p, k] == here else zero
                for q in range(width):
                    for c in range(channels):
                        dz[b, r, q * step + j, c] += g[q * channels + c]


@compiled
def forward_part(
    gemm,
    start,
    stop,
    step,
    x,
    padded,
    top,
    left,
    kh,
    kw,
    columns,
    matrix,
    z,
    mean,
    squares,
    pooled,
    best,
    choice,
    relu,
    scale,
    shift,
    y,
):
    """What `Sweep.forward_part` does. padded, z and best hold all examples, or those of one block."""
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        images = padded[first:last] if len(padded) == len(x) else padded[:n]
        result = z[first:last] if len(z) == len(x) else z[:n]
        place(x[first:last], images, top, left)
        copy_windows(images, kh, kw, z.shape[1], z.shape[2], columns)
        pixels = n * z.shape[1] * z.shape[2]
        multiply(gemm, columns[:pixels], matrix, result.reshape(pixels, -1), 0)
        if len(mean):
            index = (first - start) // step
            moments_of(result.reshape(n * z.shape[1], -1), mean[index], squares[index])
        chosen = choice[first:last]
        if pooled:
            result = best[first:last]
            largest_of(z[first:last] if len(z) == len(x) else z[:n], result, chosen)
        if len(y):
            rows = n * y.shape[1]
            activate_rows(
                result.reshape(rows, -1),
                scale,
                shift,
                relu,
                y[first:last].reshape(rows, -1),
                chosen.reshape(rows, -1),
                pooled,
            )


@compiled
def backward_part(
    gemm,
    start,
    stop,
    step,
    dy,
    choice,
    side,
    scale,
    z,
    slope,
    constant,
    dz,
    passed,
    padded,
    kh,
    kw,
    columns,
    dweight,
    bordered,
    top,
    left,
    dz_columns,
    flipped,
    dx,
):
    """What `Sweep.backward_part` does."""
    nothing = np.empty((0, dy.shape[2] * dy.shape[3]), dy.dtype)
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        g, chosen, result = dy[first:last], choice[first:last], dz[:n]
        if len(passed):
            rows = n * dy.shape[1]
            add_gradient_sums(g.reshape(rows, -1), chosen.reshape(rows, -1), nothing, passed, passed, passed)
        spread_rows(g, chosen, side, scale, z[first:last], slope, constant, result)
        copy_windows(padded[first:last], kh, kw, dz.shape[1], dz.shape[2], columns)
        pixels = n * dz.shape[1] * dz.shape[2]
        multiply_transposed(gemm, columns[:pixels], result.reshape(pixels, -1), dweight, 1)
        if len(dx):
            place(result, bordered[:n], top, left)
            copy_windows(bordered[:n], kh, kw, dx.shape[1], dx.shape[2], dz_columns)
            pixels = n * dx.shape[1] * dx.shape[2]
            multiply(gemm, dz_columns[:pixels], flipped, dx[first:last].reshape(pixels, -1), 0)


# As `plain` has them, for what is done outside a sweep ---------------------------------------------------------------


def moments(scratch, x):
    """Count, mean and Σ (x - mean)² per channel."""
    mean, squares = np.empty((2, x.shape[3]), x.dtype)
    moments_of(rows(x), mean, squares)
    return x.size // x.shape[3], mean, squares


def activate(x, scale, shift, relu, y, choice=None, pooled=False):
    """y = scale x + shift, then ReLU; choice is narrowed to where ReLU lets through, or begun where nothing pooled."""
    activate_rows(rows(x), scale, shift, relu, rows(y), NO_CHOICE if choice is None else rows(choice), pooled)


def gradient_sums(scratch, dy, choice, x, mean):
    """Σ g and Σ g (x - mean) per channel, where g is what passes of dy; choice None: all of it."""
    total, along = np.zeros((2, len(mean)), dy.dtype)
    add_gradient_sums(rows(dy), NO_CHOICE if choice is None else rows(choice), rows(x), mean, total, along)
    return total.reshape(-1, dy.shape[3]).sum(axis=0), along.reshape(-1, dy.shape[3]).sum(axis=0)


def spread_affine(scratch, dy, choice, pool, scale, z, slope, constant, dz):
    """dz = slope z + constant, plus scale dy at the place it passes to; choice None: everywhere."""
    chosen = np.empty((0, *dy.shape[1:]), np.uint8) if choice is None else choice
    spread_rows(dy, chosen, pool[0], scale, z, slope, constant, dz)


def rows(x):
    return x.reshape(-1, x.shape[2] * x.shape[3])


# The sweep ------------------------------------------------------------------------------------------------------------


class CompiledSweep(Sweep):
    """A Sweep whose parts run in Numba, one call each."""

    use = sys.modules[__name__]
    choice_dtype = np.uint8
    block_bytes = 1 << 18  # less than in NumPy: blocks cost no calls here, and all that one needs stays close

    def __init__(self, input_shape, weight_shape, padding, sizes, pool, relu, dtype):
        super().__init__(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        self.gemm = Gemm(*blas.find().gemm(dtype), dtype)
        self.no_numbers, self.no_z = np.empty(0, dtype), np.empty((0, *sizes, self.out), dtype)
        self.no_dx, self.no_bordered = np.empty((0, *input_shape), dtype), np.empty((0, *self.dz_padded), dtype)

    def choice_shape(self, shape):
        return shape

    def forward_part(self, scratch, job, start, stop):
        step = self.step(start, stop)
        output_shape = job.best.shape[1:]
        padded = scratch.take("padded", (step, *self.padded)) if job.padded is None else job.padded
        z = scratch.take("z", (step, *self.sizes, self.out)) if job.z is None else job.z
        columns = scratch.take("columns", (step * self.sizes[0] * self.sizes[1], len(job.matrix)))
        choice = job.choice
        if choice is None:
            choice = scratch.take("choice", (len(job.x), *output_shape), np.uint8)
        if job.moments is None:
            starts, shift, y = (), job.shift, job.y
            scale = np.ones_like(shift) if job.scale is None else job.scale
        else:
            starts, shift, scale = range(start, stop, step), self.no_numbers, self.no_numbers
            y = np.empty((0, *output_shape), self.dtype)
        mean, squares = np.empty((2, len(starts), self.out), self.dtype)
        forward_part(
            self.gemm,
            start,
            stop,
            step,
            job.x,
            padded,
            *self.corner,
            *self.kernel,
            columns,
            job.matrix,
            z,
            mean,
            squares,
            self.pools,
            job.best,
            choice,
            self.relu,
            scale,
            shift,
            y,
        )
        for i, first in enumerate(starts):
            count = min(step, stop - first) * self.sizes[0] * self.sizes[1]
            job.moments[first] = count, mean[i], squares[i]

    def backward_part(self, scratch, job, start, stop):
        step = self.step(start, stop)
        dweight = self.take_dweight(scratch, job, start)
        dz = scratch.take("dz", (step, *self.sizes, self.out))
        columns = scratch.take("columns", (step * self.sizes[0] * self.sizes[1], len(dweight)))
        dx, bordered, dz_columns = self.no_dx, self.no_bordered, columns
        if job.dx is not None:
            dx, bordered = job.dx, scratch.take("bordered", (step, *self.dz_padded))
            dz_columns = scratch.take("dz columns", (step * dx.shape[1] * dx.shape[2], len(job.flipped)))
        affine, passed = job.affine, self.no_numbers
        if affine is None:
            passed = job.passed[start] = np.zeros(job.dy.shape[2] * self.out, self.dtype)
            affine = np.ones_like(passed), self.no_z, self.no_numbers, self.no_numbers
        backward_part(
            self.gemm,
            start,
            stop,
            step,
            job.dy,
            job.choice,
            self.pool[0],
            *affine,
            dz,
            passed,
            job.padded,
            *self.kernel,
            columns,
            dweight,
            bordered,
            *self.dz_corner,
            dz_columns,
            job.flipped,
            dx,
        )
        if job.affine is None:
            job.passed[start] = passed.reshape(-1, self.out).sum(axis=0)

    def step(self, start, stop):
        """How many images make a block of range(start, stop)."""
        return max(min(self.block_bytes // self.image_bytes, stop - start), 1)
