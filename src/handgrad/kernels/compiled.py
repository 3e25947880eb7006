"""The work on blocks of images compiled by Numba, products included: the interpreter's lock is taken once a part.

The functions of `plain` stand here again as loops, one pass over memory each, for no pooling and for windows of 2x2;
then the two parts of a `BatchPass`, and what calls all these from Python. Loops run along rows of w C numbers and few
arrays meet in one, so that the compiler can vectorise them. A choice is one byte for each number of a pooled block: the
place of its window that passes a gradient, or BLOCKED. An array of length 0 stands for none.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import cache, cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numba.np import arrayobj

from ..arrays import Array, DTypeLike, Shape
from . import blas
from .passes import Backward, BatchPass, Forward, Job
from .plain import Affine, Moments
from .products import Buffers, DType, Memory, Pair

Function = TypeVar("Function", bound=Callable[..., Any])
Part: TypeAlias = tuple[int, int, int]  # the examples from start to stop, step of them at a time
Gemm: TypeAlias = tuple[int, Array]  # see `gemm_of`
Windows: TypeAlias = tuple[Array, Pair, Array]  # padded images, the kernel's sizes, memory for the columns
# What follows a convolution: (2, blocks, C) for each block's mean and Σ (x - mean)²; the maxima, the choice, whether
# there are windows, whether a ReLU; scale, shift and y. Without blocks, or without examples in y, nobody asks for it.
After: TypeAlias = tuple[Array, Array, Array, bool, bool, tuple[Array, Array, Array]]
# What makes dz: dy, the choice, the side of the windows, `Affine`, memory for a block of dz, and for Σ of what passes
Before: TypeAlias = tuple[Array, Array, int, Affine, Array, Array]
NO_CHOICE = np.empty((0, 1), np.uint8)
BLOCKED = np.uint8(255)
SAID: set[str] = set()  # what has been announced
KNOWN: set[tuple[type, str]] = set()  # kinds of passes that have run, and whose code is there
ROW_MAJOR, AS_IT_IS, TRANSPOSED = np.int32(101), np.int32(111), np.int32(112)  # of the CBLAS interface


def compiled(function: Function, **options: bool) -> Function:
    """The function compiled by Numba when it is first called, and kept on disk if there is room."""
    compiler: Any = njit
    made: Function = compiler(function, nogil=True, cache=True, fastmath={"contract"}, error_model="numpy", **options)
    kept: Any = getattr(made, "_cache", None)
    if kept:
        kept.save_overload = partial(where_possible, kept.save_overload)
        kept._cache_file._source_stamp = source_stamp()
    return made


@cache
def source_stamp() -> tuple[object, ...]:
    """What all that is compiled here was made from. Numba itself looks at the file of a function alone, and not at the
    functions that it calls, nor at NumPy."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return np.__version__, *((file.name, file.stat().st_mtime, file.stat().st_size) for file in files)


def where_possible(save: Callable[..., object], *overload: object) -> None:
    """Save what runs without it as well: on a full disk it is compiled again next time."""
    with suppress(OSError):
        save(*overload)


def bare(function: Function) -> Function:
    """The same, for one that makes no array: none of it counts references, which takes a quarter of a small step."""
    return compiled(function, _nrt=False)


class Announcement(event.Listener):
    """Says once that something is being compiled, which takes its time."""

    def __init__(self, what: str) -> None:
        self.what: str = what

    def on_start(self, event: Any) -> None:
        if self.what not in SAID:
            what = f"compiling {self.what} for this machine, once: some 20 seconds ..."
            print(f"handgrad: {what}", file=sys.stderr, flush=True)
        SAID.add(self.what)

    def on_end(self, event: Any) -> None:
        """Numba asks for it."""


def announced(what: str) -> AbstractContextManager[Any]:
    """A context that says on stderr what is being compiled within, if it is not found on the disk."""
    listening: AbstractContextManager[Any] = event.install_listener("numba:compile", Announcement(what))
    return listening


def call(typing: Any, address: Any, arguments: Any) -> Any:
    """Call the C function at an address with a tuple of numbers; it returns nothing."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = [context.get_value_type(kind) for kind in arguments]
        pointer = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(pointer, [builder.extract_value(values[1], i) for i in range(len(kinds))])
        return context.get_dummy_value()

    return types.void(address, arguments), generate


call_at: Any = intrinsic(call)
UNTYPED: tuple[Any, Any] = cgutils, arrayobj  # parts of Numba that have no types


def view(typing: Any, array: Any, start: Any, shape: Any) -> Any:
    """An array of this shape that lies in another one from its number `start` on.

    It counts no references and checks nothing, which takes as long as a small product; the other must outlive it.
    """
    kind, pointers, arrays = types.Array(array.dtype, len(shape), "C"), UNTYPED[0], UNTYPED[1]

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole, made = arrays.make_array(array)(context, builder, values[0]), arrays.make_array(kind)
        size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(array.dtype)))
        sizes, strides = pointers.unpack_tuple(builder, values[2]), [size]
        for count in reversed(sizes[1:]):
            strides.insert(0, builder.mul(count, strides[0]))
        place = {"data": builder.gep(whole.data, [values[1]]), "shape": sizes, "strides": strides}
        matrix = made(context, builder)
        arrays.populate_array(matrix, itemsize=size, meminfo=None, **place)
        return matrix._getvalue()

    return kind(array, types.intp, shape), generate


part: Any = intrinsic(view)


def gemm_of(dtype: DType) -> Gemm:
    """BLAS's product of matrices for compiled functions: its address, and an array of the type of its sizes."""
    library = blas.find()
    assert isinstance(library, blas.OpenBlas), "`route` takes these functions where NumPy has OpenBLAS"
    address, integer = library.gemm(dtype)
    return address, np.empty(0, integer)


@compiled
def multiply(gemm: Gemm, a: Array, b: Array, out: Array, beta: int, transposed: bool) -> None:
    """out = a b + beta out, or aᵀ b + beta out."""
    rows, inner = (a.shape[1], a.shape[0]) if transposed else (a.shape[0], a.shape[1])
    product(gemm, (TRANSPOSED if transposed else AS_IT_IS, AS_IT_IS), (rows, b.shape[1], inner), a, b, out, beta)


@bare
def product(gemm: Gemm, how: tuple[Any, Any], sizes: Part, a: Array, b: Array, out: Array, beta: int) -> None:
    """out (rows, columns) = a b + beta out, summed over inner; how says which of a and b are transposed."""
    (address, kind), real = gemm, a.dtype.type
    size = kind.dtype.type
    rows, columns, inner = size(sizes[0]), size(sizes[1]), size(sizes[2])
    left = real(1), a.ctypes.data, size(a.shape[1])
    right = b.ctypes.data, size(b.shape[1]), real(beta), out.ctypes.data, columns
    call_at(address, (ROW_MAJOR, how[0], how[1], rows, columns, inner, *left, *right))


@compiled
def place(x: Array, bordered: Array, corner: Pair) -> None:
    """Lay images into larger ones."""
    (top, left), (n, height, width, channels) = corner, x.shape
    flat, into = x.reshape(n, height, width * channels), bordered.reshape(n, bordered.shape[1], -1)
    for b in range(n):
        for p in range(height):
            source, target = flat[b, p], into[b, p + top, left * channels :]
            for k in range(len(source)):
                target[k] = source[k]


@compiled
def copy_windows(windows: Windows, height: int, width: int) -> None:
    """One row of columns per window; a kernel row's kw C numbers lie side by side in the image."""
    padded, (kh, kw), columns = windows
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
def moments_of(x: Array, mean: Array, squares: Array) -> None:
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
def largest_of(z: Array, best: Array, choice: Array) -> None:
    """The maximum of each window of 2x2, and the first place that has it. A NaN wins, so that it stays visible."""
    n, height, width, channels = best.shape
    for b in range(n):
        for p in range(height):
            for q in range(width):
                for c in range(channels):
                    top, place = z[b, 2 * p, 2 * q, c], np.uint8(0)
                    for k in range(1, 4):
                        other = z[b, 2 * p + k // 2, 2 * q + k % 2, c]
                        wins = (other > top) | (other != other)
                        top, place = other if wins else top, np.uint8(k) if wins else place
                    best[b, p, q, c], choice[b, p, q, c] = top, place


@compiled
def activate_rows(x: Array, scale: Array, shift: Array, relu: bool, y: Array, choice: Array, pooled: bool) -> None:
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
def add_gradient_sums(dy: Array, choice: Array, x: Array, mean: Array, total: Array, along: Array) -> None:
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
def spread_rows(dy: Array, choice: Array, step: int, affine: Affine, dz: Array) -> None:
    """dz = slope z + constant (z without examples: 0), plus scale dy at the place of its window it passes to."""
    (scale, z, slope, constant), (n, height, width, channels) = affine, dy.shape
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
def finish(first: int, last: int, index: int, z: Array, after: After) -> None:
    """What follows the convolution z of the examples from first to last, the part's block of this index."""
    moments, best, choice, pooled, relu, (scale, shift, y) = after
    result, chosen = z, choice[first:last]
    if moments.shape[1]:
        moments_of(z.reshape(len(z) * z.shape[1], -1), moments[0, index], moments[1, index])
    if pooled:
        result = best[first:last]
        largest_of(z, result, chosen)
    if len(y):
        rows = len(z) * y.shape[1]
        flat, out = result.reshape(rows, -1), y[first:last].reshape(rows, -1)
        activate_rows(flat, scale, shift, relu, out, chosen.reshape(rows, -1), pooled)


@compiled
def make_dz(first: int, last: int, before: Before) -> Array:
    """dz of the examples from first to last; Σ of what passes of their dy is added to `passed`, if there is room."""
    dy, choice, side, (scale, z, slope, constant), dz, passed = before
    nothing = np.empty((0, dy.shape[2] * dy.shape[3]), dy.dtype)
    g, chosen, result = dy[first:last], choice[first:last], dz[: last - first]
    if len(passed):
        rows = len(g) * dy.shape[1]
        add_gradient_sums(g.reshape(rows, -1), chosen.reshape(rows, -1), nothing, passed, passed, passed)
    spread_rows(g, chosen, side, (scale, z[first:last], slope, constant), result)
    return result


@compiled
def forward_part(
    gemm: Gemm, part: Part, x: Array, corner: Pair, windows: Windows, matrix: Array, z: Array, after: After
) -> None:
    """What `BatchPass.forward_part` does. The padded images and z are of all examples, or of one block."""
    start, stop, step = part
    padded, kernel, columns = windows
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        images = padded[first:last] if len(padded) == len(x) else padded[:n]
        result = z[first:last] if len(z) == len(x) else z[:n]
        place(x[first:last], images, corner)
        copy_windows((images, kernel, columns), z.shape[1], z.shape[2])
        pixels = n * z.shape[1] * z.shape[2]
        multiply(gemm, columns[:pixels], matrix, result.reshape(pixels, -1), 0, False)
        finish(first, last, (first - start) // step, result, after)


@compiled
def backward_part(
    gemm: Gemm,
    part: Part,
    before: Before,
    windows: Windows,
    dweight: Array,
    corner: Pair,
    dz_windows: Windows,
    flipped: Array,
    dx: Array,
) -> None:
    """What `BatchPass.backward_part` does, for pooling windows of one side."""
    start, stop, step = part
    padded, kernel, columns = windows
    bordered, _, dz_columns = dz_windows
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n, dz = last - first, make_dz(first, last, before)
        copy_windows((padded[first:last], kernel, columns), dz.shape[1], dz.shape[2])
        pixels = n * dz.shape[1] * dz.shape[2]
        multiply(gemm, columns[:pixels], dz.reshape(pixels, -1), dweight, 1, True)
        if len(dx):
            place(dz, bordered[:n], corner)
            copy_windows((bordered[:n], kernel, dz_columns), dx.shape[1], dx.shape[2])
            pixels = n * dx.shape[1] * dx.shape[2]
            multiply(gemm, dz_columns[:pixels], flipped, dx[first:last].reshape(pixels, -1), 0, False)


# As `plain` has them, for what is done outside a pass ------------------------------------------------------


def moments(scratch: Buffers, x: Array) -> Moments:
    """Count, mean and Σ (x - mean)² per channel."""
    mean, squares = np.empty((2, x.shape[3]), x.dtype)
    moments_of(rows(x), mean, squares)
    return x.size // x.shape[3], mean, squares


def activate(
    x: Array, scale: Array, shift: Array, relu: bool, y: Array, choice: Array | None = None, pooled: bool = False
) -> None:
    """y = scale x + shift, then ReLU; choice is narrowed to where ReLU lets through, or begun where nothing pooled."""
    activate_rows(rows(x), scale, shift, relu, rows(y), NO_CHOICE if choice is None else rows(choice), pooled)


def gradient_sums(scratch: Buffers, dy: Array, choice: Array | None, x: Array, mean: Array) -> tuple[Array, Array]:
    """Σ g and Σ g (x - mean) per channel, where g is what passes of dy; choice None: all of it."""
    total, along = np.zeros((2, len(mean)), dy.dtype)
    add_gradient_sums(rows(dy), NO_CHOICE if choice is None else rows(choice), rows(x), mean, total, along)
    return total.reshape(-1, dy.shape[3]).sum(axis=0), along.reshape(-1, dy.shape[3]).sum(axis=0)


def spread_affine(scratch: Buffers, dy: Array, choice: Array | None, pool: Pair, affine: Affine, dz: Array) -> None:
    """dz = slope z + constant, plus scale dy at the place it passes to; choice None: everywhere."""
    chosen = np.empty((0, *dy.shape[1:]), np.uint8) if choice is None else choice
    spread_rows(dy, chosen, pool[0], affine, dz)


def rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[2] * x.shape[3])


# The pass -------------------------------------------------------------------------------------------------------------


class CompiledPass(BatchPass):
    """A BatchPass whose parts run in Numba, one call each."""

    use: ModuleType = sys.modules[__name__]
    choice_dtype: DTypeLike = np.uint8
    block_bytes = 1 << 18  # less than in NumPy: blocks cost no calls here, and all that one needs stays close

    @cached_property
    def gemm(self) -> Gemm:
        return gemm_of(self.dtype)

    def choice_shape(self, shape: Shape) -> Shape:
        return shape

    def share(self, memory: Memory, part: Callable[[Buffers, Job, int, int], None], job: Job, work: int) -> None:
        if (type(self), part.__name__) in KNOWN:
            super().share(memory, part, job, work)
            return
        with announced("convolutions"):
            super().share(memory, part, job, work)
        KNOWN.add((type(self), part.__name__))

    def forward_part(self, scratch: Buffers, job: Forward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        padded = scratch.take("padded", (part[2], *self.padded)) if job.kept is None else job.kept
        windows = padded, self.kernel, self.columns(scratch, "columns", part[2], self.sizes, job.weight)
        z, after = self.after(scratch, job, part)
        forward_part(self.gemm, part, job.x, self.corner, windows, job.weight, z, after)
        self.note_moments(job, part, after[0])

    def backward_part(self, scratch: Buffers, job: Backward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        dweight, before = self.take_dweight(scratch, job, start), self.before(scratch, job, part)
        windows = job.kept, self.kernel, self.columns(scratch, "columns", part[2], self.sizes, dweight)
        dx, dz_windows = np.empty((0, *self.input_shape), self.dtype), (before[4][:0], self.kernel, windows[2])
        if job.dx is not None:
            dx, bordered = job.dx, scratch.take("bordered", (part[2], *self.dz_padded))
            columns = self.columns(scratch, "dz columns", part[2], dx.shape[1:3], job.weight)
            dz_windows = bordered, self.kernel, columns
        backward_part(self.gemm, part, before, windows, dweight, self.dz_corner, dz_windows, job.weight, dx)
        self.note_passed(job, start, before[5])

    def after(self, scratch: Buffers, job: Forward, part: Part) -> tuple[Array, After]:
        """Memory for z, of all examples or of one block, and what follows it."""
        moments = np.empty((2, 0 if job.moments is None else len(range(*part)), self.out), self.dtype)
        z = scratch.take("z", (part[2], *self.sizes, self.out)) if job.z is None else job.z
        choice = scratch.take("choice", job.best.shape, np.uint8) if job.choice is None else job.choice
        scale, shift, y = job.activation or (None, np.empty(0, self.dtype), job.best[:0])
        activation = np.ones_like(shift) if scale is None else scale, shift, y
        return z, (moments, job.best, choice, self.pools, self.relu, activation)

    def note_moments(self, job: Forward, part: Part, moments: Array) -> None:
        """Give the job the moments of the part's blocks, where it collects them."""
        if job.moments is not None:
            for i, first in enumerate(range(*part)):
                count = min(part[2], part[1] - first) * self.sizes[0] * self.sizes[1]
                job.moments[first] = count, moments[0, i], moments[1, i]

    def before(self, scratch: Buffers, job: Backward, part: Part) -> Before:
        """What makes dz."""
        dz = scratch.take("dz", (part[2], *self.sizes, self.out))
        affine, passed = job.affine, np.empty(0, self.dtype)
        if affine is None:
            passed = np.zeros(job.dy.shape[2] * self.out, self.dtype)
            affine = np.ones_like(passed), dz[:0], passed[:0], passed[:0]
        return job.dy, job.choice, self.pool[0], affine, dz, passed

    def note_passed(self, job: Backward, start: int, passed: Array) -> None:
        """Give the job the part's Σ of what passes of dy, where it collects it."""
        if job.affine is None:
            job.passed[start] = passed.reshape(-1, self.out).sum(axis=0)

    def step(self, start: int, stop: int) -> int:
        """How many images make a block of range(start, stop)."""
        return max(min(self.block_bytes // self.image_bytes, stop - start), 1)

    def columns(self, scratch: Buffers, key: str, step: int, sizes: Shape, matrix: Array) -> Array:
        """Memory for the windows of a block of step images as rows."""
        return scratch.take(key, (step * sizes[0] * sizes[1], len(matrix)))
