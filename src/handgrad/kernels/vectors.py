"""Two pieces of machine code on vectors of 16 floats: a square of vectors transformed, and a tile of a product.

Numba's loops vectorise neither: in loops a tile of 32 channels took 820 ns to transform, here 110, and the product here
reaches 225 GFLOP/s on a core with AVX-512, where OpenBLAS, which takes that processor for an older one, has 95. LLVM is
told what is done to vectors of 16 floats, whatever the processor has: it makes one register of AVX-512 of each, two of
AVX2, four of NEON or SSE, and joins a product and a sum where there is an instruction for both ('contract'). Arrays are
flat, and all places and strides count numbers; products are of float64, too, whose vectors have 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as numba_cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ..arrays import Array
from .compiled import TRANSPOSED, bare, compiled, part
from .products import Pair

# A flat array, where a matrix begins there, the way from row to row, from column to column, and from run to run: the
# sum of a product goes along runs, and what they are multiplied by lies behind one another.
Place: TypeAlias = tuple[Array, int, int, int, int]
cgutils: Any = numba_cgutils  # which has no types
TIMES_AS_FAST = 4  # as those of `products`, or nearly
CACHE = 2**18  # bytes of a matrix that stays there while another passes
STRIP = 64  # rows and columns of dx at a time
BYTES, LANES = 64, 16  # of a vector; as many float32
FEATURES: str = cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor that Numba compiles for
WIDE = "+avx512f" in FEATURES
FAST = any(feature in FEATURES for feature in ("+avx2", "+neon"))  # else Numba's loops, and BLAS, are as good
# The sums of a tile of a product take 16 of 32 registers with AVX-512, 8 of 16 with AVX2, 16 of 32 in NEON
ROWS, PARTS = (8, 2) if WIDE else (4, 1)
FLOAT, INDEX, SHORT = ir.FloatType(), ir.IntType(64), ir.IntType(32)
JOIN = ("contract",)


def every_lane(builder: Any, number: Any, lanes: int = LANES) -> Any:
    """The number in each lane of a vector."""
    kind = ir.VectorType(number.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(SHORT, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(SHORT, lanes), [0] * lanes))


class Floats:
    """The numbers of a flat array from some place on, in code that is being built."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, start: Any) -> None:
        self.builder: Any = builder
        data = cgutils.create_struct_proxy(kind)(context, builder, array).data
        self.start: Any = builder.gep(data, [start])
        self.size: int = kind.dtype.bitwidth // 8  # bytes of a number
        self.lanes: int = BYTES // self.size
        self.vector: Any = ir.VectorType(context.get_data_type(kind.dtype), self.lanes)
        self.zeros: Any = ir.Constant(self.vector, [0.0] * self.lanes)

    def at(self, *steps: tuple[Any, Any]) -> Any:
        """The address that is so many strides away: pairs of a count and a stride."""
        address = self.start
        for count, stride in steps:
            count = ir.Constant(INDEX, count) if isinstance(count, int) else count
            stride = ir.Constant(INDEX, stride) if isinstance(stride, int) else stride
            address = self.builder.gep(address, [self.builder.mul(count, stride)])
        return address

    def load(self, *steps: tuple[Any, Any], mask: Any = None) -> Any:
        """The vector there, or those of its numbers that the mask has, beside zeros."""
        address = self.builder.bitcast(self.at(*steps), self.vector.as_pointer())
        if mask is not None:
            return self.masked("load", self.vector, address, ir.Constant(SHORT, self.size), mask, self.zeros)
        vector = self.builder.load(address)
        vector.align = self.size
        return vector

    def store(self, vector: Any, *steps: tuple[Any, Any], mask: Any = None) -> None:
        address = self.builder.bitcast(self.at(*steps), self.vector.as_pointer())
        if mask is not None:
            self.masked("store", ir.VoidType(), vector, address, ir.Constant(SHORT, self.size), mask)
        else:
            self.builder.store(vector, address).align = self.size

    def masked(self, what: str, kind: Any, *values: Any) -> Any:
        """LLVM's load or store of some lanes, which leaves the memory of the others alone."""
        form = ir.FunctionType(kind, [value.type for value in values])
        name = f"llvm.masked.{what}.v{self.lanes}f{8 * self.size}.p0"  # LLVM adds what an older one calls the pointer
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, form, name), values)


# Transforms -----------------------------------------------------------------------------------------------------------


def combine(builder: Any, matrix: Array, vectors: Sequence[Any]) -> list[Any]:
    """Matrix times a column of vectors; zeros cost nothing, and ones no product."""
    results = []
    for row in matrix:
        total = None
        for factor, vector in zip(row.tolist(), vectors, strict=True):
            if factor and abs(factor) != 1:
                vector = builder.fmul(every_lane(builder, ir.Constant(FLOAT, abs(factor))), vector, flags=JOIN)
            if factor and total is None:
                total = vector if factor > 0 else builder.fneg(vector)
            elif factor:
                total = (builder.fadd if factor > 0 else builder.fsub)(total, vector, flags=JOIN)
        results.append(total)
    return results


def transform(factors: Sequence[Array], add: bool = False) -> Any:
    """A function for compiled code: target = M source Mᵀ, where M is the product of the factors; or += .

    Source and target are squares of vectors. The function takes of either the array, where it begins, and the strides
    from row to row and from column to column.
    """
    size = factors[-1].shape[1]

    def build(
        typing: Any, source: Any, at: Any, down: Any, right: Any, target: Any, to: Any, rows: Any, cols: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            taken, given = (Floats(context, builder, signature.args[i], *values[i : i + 2]) for i in (0, 4))
            grid = [[taken.load((i, values[2]), (j, values[3])) for i in range(size)] for j in range(size)]
            for _ in range(2):  # along the columns, and of the result along the rows
                for factor in reversed(factors):
                    grid = [combine(builder, factor, line) for line in grid]
                grid = [list(line) for line in zip(*grid, strict=True)]
            for j, line in enumerate(grid):
                for i, vector in enumerate(line):
                    place = (i, values[6]), (j, values[7])
                    given.store(builder.fadd(given.load(*place), vector) if add else vector, *place)
            return context.get_dummy_value()

        count = types.intp
        return types.void(source, count, count, count, target, count, count, count), generate

    return intrinsic(build)


def turn(typing: Any, source: Any, at: Any, down: Any, target: Any, to: Any, under: Any) -> Any:
    """target = sourceᵀ, a square of vectors: places are exchanged in pairs that are 1, 2, 4 and 8 apart."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        taken, given = (Floats(context, builder, signature.args[i], *values[i : i + 2]) for i in (0, 3))
        size = taken.lanes
        vectors = [taken.load((i, values[2])) for i in range(size)]
        for apart in (1, 2, 4, 8)[: size.bit_length() - 1]:
            low = [i + size - apart if i & apart else i for i in range(size)]
            for i in range(size):
                if not i & apart:
                    pair = vectors[i], vectors[i + apart]
                    for to, lanes in ((i, low), (i + apart, [lane + apart for lane in low])):
                        chosen = ir.Constant(ir.VectorType(SHORT, size), lanes)
                        vectors[to] = builder.shuffle_vector(*pair, chosen)
        for i, vector in enumerate(vectors):
            given.store(vector, (i, values[5]))
        return context.get_dummy_value()

    count = types.intp
    return types.void(source, count, count, target, count, count), generate


turn_square: Any = intrinsic(turn)


# Products -------------------------------------------------------------------------------------------------------------


def tile(parts: int) -> Any:
    """A function for compiled code: a tile of ROWS rows and `parts` vectors of out = a b, or += .

    Rows after the row `last` are that one again, and the last vector has so many lanes: at the edges of matrices. From
    the row `safe` of b on the others are not even read, which takes longer.
    """

    def build(
        typing: Any, a: Any, b: Any, out: Any, runs: Any, run: Any, add: Any, last: Any, lanes: Any, safe: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            def floats(i: int) -> tuple[Floats, Any, Any, Any]:
                array, start, *strides = (builder.extract_value(values[i], j) for j in range(5))
                return Floats(context, builder, signature.args[i][0], array, start), *strides

            (left, left_down, left_right, left_on), (right, right_down, *_), (result, down, *_) = map(floats, range(3))
            width = left.lanes
            cells = [(r, p) for r in range(ROWS) for p in range(parts)]
            rows = [ir.Constant(INDEX, r) for r in range(ROWS)]
            rows = [builder.select(builder.icmp_signed("<", row, values[6]), row, values[6]) for row in rows]
            places = ir.Constant(ir.VectorType(INDEX, width), list(range(width)))
            mask = builder.icmp_signed("<", places, every_lane(builder, values[7], width))
            masks = [None] * (parts - 1) + [mask]
            sums = {cell: cgutils.alloca_once(builder, left.vector) for cell in cells}
            for cell in cells:
                builder.store(left.zeros, sums[cell])
            with builder.if_then(values[5]):
                for r, p in cells:
                    builder.store(result.load((rows[r], down), (p, width), mask=masks[p]), sums[r, p])

            def add_row(i: Any, k: Any, masks: Sequence[Any]) -> None:
                row = builder.add(builder.mul(i, values[4]), k)
                vectors = [right.load((row, right_down), (p, width), mask=masks[p]) for p in range(parts)]
                for r in range(ROWS):
                    place = (i, left_on), (rows[r], left_down), (k, left_right)
                    number = every_lane(builder, builder.load(left.at(*place)), width)
                    for p, vector in enumerate(vectors):
                        more = builder.fmul(number, vector, flags=JOIN)
                        builder.store(builder.fadd(builder.load(sums[r, p]), more, flags=JOIN), sums[r, p])

            with cgutils.for_range(builder, values[3]) as runs_done:
                with cgutils.for_range(builder, values[8]) as done:
                    add_row(runs_done.index, done.index, [None] * parts)
                with cgutils.for_range(builder, values[4], values[8]) as done:
                    add_row(runs_done.index, done.index, masks)
            for r, p in cells:
                result.store(builder.load(sums[r, p]), (rows[r], down), (p, width), mask=masks[p])
            return context.get_dummy_value()

        count = types.intp
        return types.void(a, b, out, count, count, types.boolean, count, count, count), generate

    return intrinsic(build)


whole_tile, narrow_tile = tile(PARTS), tile(1)


@bare
def multiply(sizes: tuple[int, int, int, int], a: Place, b: Place, out: Place, add: bool) -> None:
    """out (rows, columns) = a b, or += : sizes are (rows, columns, runs, length of a run)."""
    rows, columns, runs, run = sizes
    for r in range(0, rows, ROWS):
        multiply_tiles(r, min(ROWS, rows - r), (columns, runs, run), a, b, out, add)


@bare
def multiply_tiles(r: int, count: int, sizes: tuple[int, int, int], a: Place, b: Place, out: Place, add: bool) -> None:
    """So many rows of a product, ROWS at most, from row r on."""
    columns, runs, run = sizes
    (x, x_start, x_down, x_right, x_on), (y, y_start, y_down, y_right, y_on), (z, z_start, z_down, _, _) = a, b, out
    width = BYTES // z.itemsize
    left, start = (x, x_start + r * x_down, x_down, x_right, x_on), z_start + r * z_down
    for c in range(0, columns, PARTS * width):
        right, result, lanes = (y, y_start + c, y_down, y_right, y_on), (z, start + c, z_down, 1, 0), columns - c
        behind = len(y) - y_start - c - PARTS * width  # of the first row's vectors
        safe = 0 if runs > 1 or behind < 0 else min(behind // y_down + 1, run)
        if count == ROWS and lanes >= PARTS * width:  # with sizes that are known, so that nothing is masked
            whole_tile(left, right, result, runs, run, add, ROWS - 1, width, run)
        elif lanes <= width:
            narrow_tile(left, right, result, runs, run, add, count - 1, lanes, safe)
        else:
            last = min(lanes - (PARTS - 1) * width, width)
            whole_tile(left, right, result, runs, run, add, count - 1, last, safe)


@bare
def product(memory: Array, how: Pair, sizes: tuple[int, int, int], a: Array, b: Array, out: Array, beta: int) -> None:
    """out (rows, columns) = a b + beta out, summed over inner; how says which of a and b are transposed, as for BLAS.

    beta is 0 or 1. Memory has room for b. Of a b too large for the cache a panel of columns is copied there at a time:
    else all of it would pass by each few rows of a, in lines that fall on each other in the cache.
    """
    (rows, columns, inner), panel = sizes, PARTS * BYTES // out.itemsize
    x, y, z = part(a, 0, (a.size,)), part(b, 0, (b.size,)), part(out, 0, (out.size,))
    left = (x, 0, 1, rows, 0) if how[0] == TRANSPOSED else (x, 0, inner, 1, 0)
    is_large = b.size * b.itemsize > CACHE and rows > ROWS and inner > STRIP
    width = panel if is_large else columns
    for first in range(0, columns, width):
        count, right = min(width, columns - first), (y, first, columns, 1, 0)
        if how[1] == TRANSPOSED:
            transpose(count, inner, part(y, first * inner, (count * inner,)), memory, 0, count)
            right = memory, 0, count, 1, 0
        elif is_large and count == panel:
            for k in range(inner):
                line, copy = part(y, k * columns + first, (panel,)), part(memory, k * panel, (panel,))
                for c in range(PARTS * BYTES // out.itemsize):
                    copy[c] = line[c]
            right = memory, 0, panel, 1, 0
        multiply((rows, count, 1, inner), left, right, (z, first, columns, 1, 0), beta != 0)


@bare
def transpose(rows: int, columns: int, x: Array, y: Array, to: int, under: int) -> None:
    """The transposed x (rows, columns) in y from its number `to` on, where rows are `under` numbers apart."""
    size = BYTES // x.itemsize  # of a line of the cache
    whole_rows, whole_columns = rows - rows % size, columns - columns % size
    for r in range(0, whole_rows, size):
        for k in range(0, whole_columns, size):
            turn_square(x, r * columns + k, columns, y, to + k * under + r, under)
    for k in range(columns):
        for r in range(whole_rows if k < whole_columns else 0, rows):
            y[to + k * under + r] = x[r * columns + k]


@compiled
def affine_part(x: Array, weight: Array, bias: Array, y: Array, start: int, stop: int) -> None:
    """What `products.affine_part` does."""
    (n, inputs), units = x.shape, weight.shape[1]
    for r in range(n):
        y[r, start:stop] = bias[start:stop]
    left, right = (x.reshape(-1), 0, inputs, 1, 0), (weight.reshape(-1), start, units, 1, 0)
    multiply((n, stop - start, 1, inputs), left, right, (y.reshape(-1), start, units, 1, 0), True)


@compiled
def gradients_part(x: Array, weight: Array, dy: Array, dweight: Array, dx: Array, start: int, stop: int) -> None:
    """What `products.gradients_part` does; dx is made transposed, since dy is faster transposed than the weight."""
    (n, inputs), units = x.shape, weight.shape[1]
    left, right = (x.reshape(-1), start, 1, inputs, 0), (dy.reshape(-1), 0, units, 1, 0)
    multiply((stop - start, units, 1, n), left, right, (dweight.reshape(-1), start * units, units, 1, 0), False)
    turned, across, dx_line = np.empty(STRIP * units, dy.dtype), np.empty(STRIP * STRIP, dy.dtype), dx.reshape(-1)
    for example in range(0, len(dx), STRIP):
        rows = min(STRIP, n - example)
        transpose(rows, units, dy[example : example + rows].reshape(-1), turned, 0, rows)
        for first in range(start, stop, STRIP):
            count = min(STRIP, stop - first)
            left, right = (weight.reshape(-1), first * units, units, 1, 0), (turned, 0, rows, 1, 0)
            multiply((count, rows, 1, units), left, right, (across, 0, rows, 1, 0), False)
            transpose(count, rows, across, dx_line, example * inputs + first, inputs)


# Images with whole vectors --------------------------------------------------------------------------------------------


def up(number: int, multiple: int) -> int:
    """The number rounded up."""
    return -(-number // multiple) * multiple


@compiled
def copy_part(source: Array, corner: Pair, target: Array, to: Pair) -> None:
    """What both have of images from these corners on: the smaller of heights, of widths, of channels."""
    n, height, width, channels = source.shape
    height = min(height - corner[0], target.shape[1] - to[0])
    width = min(width - corner[1], target.shape[2] - to[1])
    together = width if channels == target.shape[3] else 1  # pixels that lie side by side in both
    run, x, y = np.uint64(together * min(channels, target.shape[3])), source.reshape(-1), target.reshape(-1)
    for b in range(n):
        for p in range(height):
            for q in range(0, width, together):
                # unsigned: indices need no check for counting from the end
                start = np.uint64(((b * source.shape[1] + p + corner[0]) * source.shape[2] + q + corner[1]) * channels)
                place = np.uint64(((b * target.shape[1] + p + to[0]) * target.shape[2] + q + to[1]) * target.shape[3])
                for k in range(run):
                    y[place + np.uint64(k)] = x[start + np.uint64(k)]
