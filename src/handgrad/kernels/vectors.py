"""Two pieces of machine code on vectors of 16 floats: a square of vectors transformed, and a product of matrices.

Numba's loops vectorise neither: in loops a tile of 32 channels took 820 ns to transform, here 110, and the product here
reaches 225 GFLOP/s on a core with AVX-512, where OpenBLAS, which takes that processor for an older one, has 95. LLVM is
told what is done to vectors of 16 floats, whatever the processor has: it makes one register of AVX-512 of each, two of
AVX2, four of NEON or SSE, and joins a product and a sum where there is an instruction for both ('contract'). Arrays are
float32 and flat; all places and strides count floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils as numba_cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ..arrays import Array
from .compiled import compiled
from .products import Pair

# A flat array, where a matrix begins there, the way from row to row, from column to column, and from run to run: the
# sum of a product goes along runs, and what they are multiplied by lies behind one another.
Place: TypeAlias = tuple[Array, int, int, int, int]
cgutils: Any = numba_cgutils  # which has no types
LANES = 16
FEATURES: str = cpu_target.target_context.codegen().magic_tuple()[2]  # of the processor that Numba compiles for
WIDE = "+avx512f" in FEATURES
FAST = any(feature in FEATURES for feature in ("+avx2", "+neon"))  # else Numba's loops, and BLAS, are as good
# The sums of a tile of a product take 16 of 32 registers with AVX-512, 8 of 16 with AVX2, 16 of 32 in NEON
ROWS, PARTS = (8, 2) if WIDE else (4, 1)
FLOAT, INDEX, VECTOR = ir.FloatType(), ir.IntType(64), ir.VectorType(ir.FloatType(), LANES)
JOIN = ("contract",)


def every_lane(builder: Any, number: Any) -> Any:
    """The number in each lane of a vector."""
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


class Floats:
    """The numbers of a flat array from some place on, in code that is being built."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, start: Any) -> None:
        self.builder: Any = builder
        data = cgutils.create_struct_proxy(kind)(context, builder, array).data
        self.start: Any = builder.gep(data, [start])

    def at(self, *steps: tuple[Any, Any]) -> Any:
        """The address that is so many strides away: pairs of a count and a stride."""
        address = self.start
        for count, stride in steps:
            count = ir.Constant(INDEX, count) if isinstance(count, int) else count
            stride = ir.Constant(INDEX, stride) if isinstance(stride, int) else stride
            address = self.builder.gep(address, [self.builder.mul(count, stride)])
        return address

    def load(self, *steps: tuple[Any, Any]) -> Any:
        """The vector there."""
        vector = self.builder.load(self.builder.bitcast(self.at(*steps), VECTOR.as_pointer()))
        vector.align = 4
        return vector

    def store(self, vector: Any, *steps: tuple[Any, Any]) -> None:
        self.builder.store(vector, self.builder.bitcast(self.at(*steps), VECTOR.as_pointer())).align = 4


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


# Products -------------------------------------------------------------------------------------------------------------


def tile(parts: int) -> Any:
    """A function for compiled code: a tile of ROWS rows and `parts` vectors of out = a b, or += ."""

    def build(typing: Any, a: Any, b: Any, out: Any, runs: Any, run: Any, add: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            def floats(i: int) -> tuple[Floats, Any, Any, Any]:
                array, start, *strides = (builder.extract_value(values[i], j) for j in range(5))
                return Floats(context, builder, signature.args[i][0], array, start), *strides

            (left, left_down, left_right, left_on), (right, right_down, *_), (result, down, *_) = map(floats, range(3))
            cells = [(r, p) for r in range(ROWS) for p in range(parts)]
            sums = {cell: cgutils.alloca_once(builder, VECTOR) for cell in cells}
            for cell in cells:
                builder.store(ir.Constant(VECTOR, [0.0] * LANES), sums[cell])
            with builder.if_then(values[5]):
                for r, p in cells:
                    builder.store(result.load((r, down), (p, LANES)), sums[r, p])
            with cgutils.for_range(builder, values[3]) as runs_done, cgutils.for_range(builder, values[4]) as done:
                i, k = runs_done.index, done.index
                row = builder.add(builder.mul(i, values[4]), k)
                vectors = [right.load((row, right_down), (p, LANES)) for p in range(parts)]
                for r in range(ROWS):
                    number = every_lane(builder, builder.load(left.at((i, left_on), (r, left_down), (k, left_right))))
                    for p, vector in enumerate(vectors):
                        more = builder.fmul(number, vector, flags=JOIN)
                        builder.store(builder.fadd(builder.load(sums[r, p]), more, flags=JOIN), sums[r, p])
            for r, p in cells:
                result.store(builder.load(sums[r, p]), (r, down), (p, LANES))
            return context.get_dummy_value()

        return types.void(a, b, out, types.intp, types.intp, types.boolean), generate

    return intrinsic(build)


whole_tile, narrow_tile = tile(PARTS), tile(1)


@compiled
def multiply(sizes: tuple[int, int, int, int], a: Place, b: Place, out: Place, add: bool) -> None:
    """out (rows, columns) = a b, or += : sizes are (rows, columns, runs, length of a run).

    Columns are a multiple of LANES. Rows are rounded up to one of ROWS: a and out must have memory for these, too.
    """
    rows, columns, runs, run = sizes
    for r in range(0, rows, ROWS):
        multiply_tiles(r, (columns, runs, run), a, b, out, add)


@compiled
def multiply_tiles(r: int, sizes: tuple[int, int, int], a: Place, b: Place, out: Place, add: bool) -> None:
    """ROWS rows of a product, from row r on."""
    columns, runs, run = sizes
    (x, x_start, x_down, x_right, x_on), (y, y_start, y_down, y_right, y_on), (z, z_start, z_down, _, _) = a, b, out
    left, start = (x, x_start + r * x_down, x_down, x_right, x_on), z_start + r * z_down
    for c in range(0, columns, PARTS * LANES):
        right, result = (y, y_start + c, y_down, y_right, y_on), (z, start + c, z_down, 1, 0)
        if c + PARTS * LANES <= columns:
            whole_tile(left, right, result, runs, run, add)
        else:
            narrow_tile(left, right, result, runs, run, add)


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
    run, x, y = together * min(channels, target.shape[3]), source.reshape(-1), target.reshape(-1)
    for b in range(n):
        for p in range(height):
            for q in range(0, width, together):
                start = ((b * source.shape[1] + p + corner[0]) * source.shape[2] + q + corner[1]) * channels
                place = ((b * target.shape[1] + p + to[0]) * target.shape[2] + q + to[1]) * target.shape[3]
                for k in range(run):
                    y[place + k] = x[start + k]
