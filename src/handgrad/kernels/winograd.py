"""Convolution by Winograd's F(4x4, 3x3): 36 products give 16 results of a 3x3 kernel, where 144 were needed.

Small images go by F(2x2, 3x3) where that has fewer products: 16 for 4 results, at the points 0, 1, -1 and ∞.

A correlation of 6 numbers with 3 has 4 results. As products of polynomials these are Aᵀ [(G g) ⊙ (Bᵀ d)], since a
polynomial of degree 5 is known by its values at six points, here 0, 1, -1, 2, -2 and ∞ (Lavin & Gray 2015, "Fast
Algorithms for Convolutional Neural Networks"). In two dimensions, for each tile d of 6x6 pixels and its 4x4 results y,

    v = Bᵀ d B,   u = G g Gᵀ,   m = Σ over channels of v ⊙ u,   y = Aᵀ m A

The sum over channels makes a product of matrices of each of the 36 places: (tiles, C) times (C, out). All of it is
linear in d and in g, so that the backward is the adjoint, with dm computed once for both gradients:

    dm = A dy Aᵀ,   dg = Gᵀ (Σ over tiles of v ⊙ dm) G,   dd = B (Σ over filters of dm ⊙ u) Bᵀ

where overlapping tiles add their dd up. Products of larger numbers are subtracted from each other on the way: in
float32 results differ from exact ones by some 1e-6 to 5e-6 of their norm, ten times as much as sums of products do.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..arrays import Array, Shape
from .compiled import After, Before, CompiledPass, Part, compiled, finish, make_dz
from .passes import Backward, Forward, Pads
from .products import Buffers, DType, Memory, Pair
from .vectors import FAST, LANES, ROWS, Place, copy_part, multiply, transform, up

# By the side of a tile of results: G, and the factors of Bᵀ and of Aᵀ. Points 1 and -1, and 2 and -2, share the even
# and the odd powers: of four by four these come first, then their sums and differences.
SUMS = np.eye(6)
SUMS[1:3, 1:3] = SUMS[3:5, 3:5] = [[1, 1], [1, -1]]
G = {
    2: np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    4: np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
}
BT = {
    2: [np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])],
    4: [SUMS, np.array([[4, 0, -5, 0, 1, 0],
                        [0, 0, -4, 0, 1, 0],
                        [0, -4, 0, 1, 0, 0],
                        [0, 0, -1, 0, 1, 0],
                        [0, -2, 0, 2, 0, 0],
                        [0, 4, 0, -5, 0, 1]])],
}  # fmt: skip
AT = {
    2: [np.array([[1, 1, 1, 0], [0, 1, -1, 1]])],
    4: [np.array([[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 2, 0], [0, 1, 0, 4, 0, 0], [0, 0, 1, 0, 8, 1]]), SUMS],
}
MUCH_LESS = 0.7  # of the multiplications: what the transforms are worth
TILES = 48  # at a time: their v and m, and the u of their place, stay in cache
V_OF_X, Y_OF_M, M_OF_Y, X_OF_V = range(4)


def adjoint(factors: Sequence[Array]) -> list[Array]:
    """The factors of the transposed matrix."""
    return [factor.T for factor in reversed(factors)]


v_of_x_by_4, y_of_m_by_4 = transform(BT[4]), transform(AT[4])
m_of_y_by_4, x_of_v_by_4 = transform(adjoint(AT[4])), transform(adjoint(BT[4]), add=True)
v_of_x_by_2, y_of_m_by_2 = transform(BT[2]), transform(AT[2])
m_of_y_by_2, x_of_v_by_2 = transform(adjoint(AT[2])), transform(adjoint(BT[2]), add=True)
u_of_g_by_4, g_of_u_by_4 = transform([G[4]]), transform([G[4].T])
u_of_g_by_2, g_of_u_by_2 = transform([G[2]]), transform([G[2].T])


@compiled
def transform_tiles(kind: int, side: int, images: Array, first: int, count: int, planes: Array) -> None:
    """From tiles of images, of so many results or with a border of 2, to rows of planes, or back: see the kinds."""
    _, height, width, channels = images.shape
    pixels, values = images.reshape(-1), planes.reshape(-1)
    row, plane, down, right = width * channels, planes.shape[1] * planes.shape[2], height // side, width // side
    if kind in (V_OF_X, X_OF_V):
        down, right = (height - 2) // side, (width - 2) // side
    line = (side + 2) * plane
    for t in range(count):
        b, p = divmod((first + t) // right, down)
        corner = ((b * height + side * p) * width + side * ((first + t) % right)) * channels
        to = t * planes.shape[2]
        for c in range(0, channels, LANES):
            if side == 4:
                if kind == V_OF_X:
                    v_of_x_by_4(pixels, corner + c, row, channels, values, to + c, line, plane)
                elif kind == Y_OF_M:
                    y_of_m_by_4(values, to + c, line, plane, pixels, corner + c, row, channels)
                elif kind == M_OF_Y:
                    m_of_y_by_4(pixels, corner + c, row, channels, values, to + c, line, plane)
                else:
                    x_of_v_by_4(values, to + c, line, plane, pixels, corner + c, row, channels)
            elif kind == V_OF_X:
                v_of_x_by_2(pixels, corner + c, row, channels, values, to + c, line, plane)
            elif kind == Y_OF_M:
                y_of_m_by_2(values, to + c, line, plane, pixels, corner + c, row, channels)
            elif kind == M_OF_Y:
                m_of_y_by_2(pixels, corner + c, row, channels, values, to + c, line, plane)
            else:
                x_of_v_by_2(values, to + c, line, plane, pixels, corner + c, row, channels)


@compiled
def transform_weights(side: int, weights: Array, u: Array, back: bool) -> None:
    """u = G g Gᵀ of the weights g (3, 3, rows, whole vectors), or back by the adjoint."""
    _, _, rows, columns = weights.shape
    g, values, down, plane = weights.reshape(-1), u.reshape(-1), 3 * rows * columns, u.shape[1] * u.shape[2]
    for r in range(rows):
        for c in range(0, columns, LANES):
            at, to = r * columns + c, r * u.shape[2] + c
            if side == 4 and back:
                g_of_u_by_4(values, to, 6 * plane, plane, g, at, down, rows * columns)
            elif side == 4:
                u_of_g_by_4(g, at, down, rows * columns, values, to, 6 * plane, plane)
            elif back:
                g_of_u_by_2(values, to, 4 * plane, plane, g, at, down, rows * columns)
            else:
                u_of_g_by_2(g, at, down, rows * columns, values, to, 4 * plane, plane)


@compiled
def plane(planes: Array, k: int, transposed: bool = False) -> Place:
    """The matrix of place k, as products take it."""
    width = planes.shape[2]
    flat, start = planes.reshape(-1), k * planes.shape[1] * width
    return (flat, start, 1, width, 0) if transposed else (flat, start, width, 1, 0)


@compiled
def clear_unseen(frame: Array, images: Array) -> None:
    """Make results 0 whose window sees nothing but zeros, as on a black background.

    What is summed in a tile leaves some 1e-9 there, and a ReLU would hand dy on where the derivative is 0.
    """
    rows, columns = frame.shape[1], frame.shape[2]
    seen = np.empty((rows, columns), np.bool_)
    for i in range(len(images)):
        for p in range(rows):
            for q in range(columns):
                seen[p, q] = False
                for c in range(frame.shape[3]):
                    if frame[i, p, q, c] != 0:
                        seen[p, q] = True
                        break
        for p in range(images.shape[1]):
            for q in range(images.shape[2]):
                found = seen[p, q] or seen[p, q + 1] or seen[p, q + 2]
                found = found or seen[p + 1, q] or seen[p + 1, q + 1] or seen[p + 1, q + 2]
                found = found or seen[p + 2, q] or seen[p + 2, q + 1] or seen[p + 2, q + 2]
                if not found:
                    images[i, p, q] = 0


@compiled
def forward_part(
    part: Part,
    x: Array,
    corner: Pair,
    frame: Array,
    planes: tuple[Array, Array, Array],
    whole: Array,
    z: Array,
    after: After,
) -> None:
    """What `CompiledPass.forward_part` does. z is of all examples, or of one block; whole (n, h, w, out) is
    memory for z in whole tiles with the channels of u, or without examples where z is that."""
    start, stop, step = part
    v, u, m = planes
    side = 4 if len(v) == 36 else 2
    tiles = ((frame.shape[1] - 2) // side) * ((frame.shape[2] - 2) // side)
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n = last - first
        result = z[first:last] if len(z) == len(x) else z[:n]
        images = whole[:n] if len(whole) else result
        copy_part(x[first:last], (0, 0), frame[:n], corner)
        for begin in range(0, n * tiles, TILES):
            count = min(TILES, n * tiles - begin)
            transform_tiles(V_OF_X, side, frame, begin, count, v)
            for k in range(len(v)):
                multiply((count, images.shape[3], 1, v.shape[2]), plane(v, k), plane(u, k), plane(m, k), False)
            transform_tiles(Y_OF_M, side, images, begin, count, m)
        clear_unseen(frame[:n], images)
        if len(whole):
            copy_part(images, (0, 0), result, (0, 0))
        finish(first, last, (first - start) // step, result, after)


@compiled
def backward_part(
    part: Part,
    x: Array,
    before: Before,
    whole: Array,
    planes: tuple[Array, Array, Array, Array, Array],
    corner: Pair,
    frames: tuple[Array, Array],
    dx: Array,
) -> None:
    """What `CompiledPass.backward_part` does; whole as in `forward_part`, here for dz. v is made again, which is faster
    than to keep so much."""
    start, stop, step = part
    v, du, dm, u, dv = planes
    seen, frame = frames
    side = 4 if len(v) == 36 else 2
    tiles = ((frame.shape[1] - 2) // side) * ((frame.shape[2] - 2) // side)
    for first in range(start, stop, step):
        last = min(first + step, stop)
        n, dz = last - first, make_dz(first, last, before)
        if len(whole):
            copy_part(dz, (0, 0), whole[:n], (0, 0))
            dz = whole[:n]
        channels, out = v.shape[2], dz.shape[3]
        copy_part(x[first:last], (0, 0), seen[:n], corner)
        frame[:n] = 0
        for begin in range(0, n * tiles, TILES):
            count = min(TILES, n * tiles - begin)
            transform_tiles(V_OF_X, side, seen, begin, count, v)
            transform_tiles(M_OF_Y, side, dz, begin, count, dm)
            for k in range(len(v)):
                multiply((channels, out, 1, count), plane(v, k, True), plane(dm, k), plane(du, k), True)
                if len(dx):
                    multiply((count, channels, 1, out), plane(dm, k), plane(u, k), plane(dv, k), False)
            if len(dx):
                transform_tiles(X_OF_V, side, frame, begin, count, dv)
        if len(dx):
            dx[first:last] = 0
            copy_part(frame[:n], corner, dx[first:last], (0, 0))


def num_products(sizes: Pair, side: int) -> int:
    """Of numbers, for one channel and filter of an image's result."""
    return (side + 2) ** 2 * prod(-(-size // side) for size in sizes)


class WinogradPass(CompiledPass):
    """A CompiledPass of 3x3 kernels in float32. Channels are padded with zeros to whole vectors."""

    def __init__(
        self, input_shape: Shape, weight_shape: Shape, padding: Pads, sizes: Pair, pool: Pair, relu: bool, dtype: DType
    ) -> None:
        super().__init__(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        self.side: int = min((2, 4), key=lambda side: num_products(sizes, side))
        self.grid: Shape = tuple(-(-size // self.side) for size in sizes)
        self.tiles: int = prod(self.grid)  # of an image
        self.channels, self.filters = (up(number, LANES) for number in weight_shape[2:])
        # rows more than channels, since planes a power of two apart would meet in the same few places of the cache
        self.products_shape: Shape = (self.side + 2) ** 2, self.channels + 1, self.filters
        self.multiply_adds: int = self.tiles * prod(self.products_shape)

    @classmethod
    def pays(cls, weight_shape: Shape, sizes: Pair, dtype: DType) -> bool:
        """Whether there is so much less to multiply that the transforms are paid for."""
        kh, kw, channels, out = weight_shape
        if (kh, kw) != (3, 3) or dtype != np.float32 or not FAST:
            return False
        least = min(num_products(sizes, side) for side in (2, 4)) * up(channels, LANES) * up(out, LANES)
        return least < MUCH_LESS * 9 * prod(sizes) * channels * out

    def keep(self, memory: Memory, x: Array) -> Array:
        return x

    def take_planes(self, scratch: Buffers, key: str, width: int) -> Array:
        """Memory for a matrix at each of the places: room for whole tiles of products, and an odd number of rows."""
        return scratch.take(key, (self.products_shape[0], TILES + ROWS | 1, width))

    def take_images(self, scratch: Buffers, key: str, n: int, border: int, width: int) -> Array:
        """Memory for n images of whole tiles."""
        return scratch.take(key, (n, *(self.side * count + border for count in self.grid), width))

    def take_whole(self, scratch: Buffers, key: str, n: int) -> Array:
        """Memory for the convolution's result in whole tiles and vectors; for no image where it is that anyway."""
        whole = (*(self.side * count for count in self.grid), self.filters) == (*self.sizes, self.out)
        return self.take_images(scratch, key, 0 if whole else n, 0, self.filters)

    def forward_weight(self, memory: Memory, weight: Array) -> Array:
        return self.take_u(memory, "u", weight)

    def backward_weight(self, memory: Memory, weight: Array) -> Array:
        return self.take_u(memory, "u of dz", weight.swapaxes(2, 3))

    def take_u(self, memory: Memory, key: str, weight: Array) -> Array:
        """u = G g Gᵀ of each channel and filter, with an odd number of vectors in a row."""
        _, _, rows, columns = weight.shape
        g = memory.kept.take(f"g of {key}", (3, 3, rows, up(columns, LANES)))
        g[..., :columns] = weight
        shape = self.products_shape[0], up(rows, LANES) + 1, (up(columns, LANES) // LANES | 1) * LANES
        u = memory.kept.take(key, shape)
        transform_weights(self.side, g, u, False)
        return u

    def weight_gradient(self, products: Array) -> Array:
        return products[:, :, : self.weight_shape[2], : self.out]

    def forward_part(self, scratch: Buffers, job: Forward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        frame = self.take_images(scratch, "frame", part[2], 2, self.channels)
        v, m = self.take_planes(scratch, "v", self.channels), self.take_planes(scratch, "m", job.weight.shape[2])
        z, after = self.after(scratch, job, part)
        forward_part(
            part, job.x, self.corner, frame, (v, job.weight, m), self.take_whole(scratch, "whole", part[2]), z, after
        )
        self.note_moments(job, part, after[0])

    def backward_part(self, scratch: Buffers, job: Backward, start: int, stop: int) -> None:
        part = start, stop, self.step(start, stop)
        v, dv = self.take_planes(scratch, "v", self.channels), self.take_planes(scratch, "dv", job.weight.shape[2])
        dm = self.take_planes(scratch, "m", (self.filters // LANES | 1) * LANES)
        du, before = self.take_dweight(scratch, job, start), self.before(scratch, job, part)
        whole, dx = self.take_whole(scratch, "whole dz", part[2]), np.empty((0, *self.input_shape), self.dtype)
        dx = dx if job.dx is None else job.dx
        frames = [self.take_images(scratch, key, part[2], 2, self.channels) for key in ("frame", "dx frame")]
        planes = v, du, dm, job.weight, dv
        backward_part(part, job.kept, before, whole, planes, self.corner, (frames[0], frames[1]), dx)
        job.dweight[start] = scratch.take("dg", (3, 3, self.channels, self.filters))
        transform_weights(self.side, job.dweight[start], du, True)
        self.note_passed(job, start, before[5])

    def step(self, start: int, stop: int) -> int:
        return max(min(TILES // self.tiles, stop - start), 1)
