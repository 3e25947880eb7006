"""Products of matrices in parts that stay in cache and go to threads, and memory that is used again.

Here is the affine map for all that computes it beside `handgrad.functional.linear`, and a convolution's two products.
"""

from collections import deque
from math import prod
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, DTypeLike, Shape
from .threads import len_affinity, num_threads, share

DType: TypeAlias = np.dtype[Any]
Pair: TypeAlias = tuple[int, int]  # (vertical, horizontal)
TIMES_AS_FAST = 1  # as `share` takes products to be
BLOCK_BYTES = 1 << 21  # of copied windows at a time: few calls, and still in cache


class Buffers:
    """Arrays by key. The same key gives the same memory again, as long as it is large enough for the shape.

    Fresh arrays of many megabytes cost more in page faults than the arithmetic on them. Memory starts as zeros and
    keeps what is written: for a key whose shape changes only along its first axis, a border that nobody writes stays
    zero.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype, self._flat = dtype, dict[str, Array]()

    def take(self, key: str, shape: Shape, dtype: DTypeLike | None = None) -> Array:
        size = prod(shape)
        flat = self._flat.get(key)
        if flat is None or flat.size < size:
            flat = self._flat[key] = np.zeros(size, dtype or self._dtype)
        return flat[:size].reshape(shape)


def keep_freed_memory() -> None:
    """Have malloc keep up to 64 MiB that were freed: fetched anew they cost a tenth of a step in page faults.

    That of glibc keeps twice the largest array of at most 32 MiB that was freed so far (mallopt(3), M_MMAP_THRESHOLD);
    one that nobody wrote to takes no memory. Another malloc learns nothing from it.
    """
    np.empty((1 << 25) - (1 << 16), np.uint8)


class Memory:
    """What one pass over a batch works in: what its backward finds again, and the scratch of each worker."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.kept: Buffers = Buffers(dtype)
        self.seen: Array | None = None  # what the convolution was of, in training
        self._dtype, self._scratch = dtype, dict[int, Buffers]()

    def scratch(self, worker: int) -> Buffers:
        """What nobody but this worker writes to."""
        return self._scratch.setdefault(worker, Buffers(self._dtype))


class Memories:
    """Memory lent to one pass at a time, and used again: a caller in another thread meanwhile has one of its own.

    As many as there are processors are kept; what is not given back, by a pass that failed say, is nobody's any more.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype, self._idle = dtype, deque[Memory](maxlen=len_affinity())

    def lend(self) -> Memory:
        try:
            return self._idle.pop()  # in one step, whatever other threads do
        except IndexError:
            return Memory(self._dtype)

    def take_back(self, memory: Memory) -> None:
        self._idle.append(memory)


# The affine map ---------------------------------------------------------------------------------------------------


def affine(x: Any, weight: Array, bias: Array, out: Array) -> None:
    """out = x weight + bias, where x is an array or a csr matrix."""
    if isinstance(x, np.ndarray):
        np.matmul(x, weight, out=out)
    else:
        out[...] = x @ weight
    out += bias


def affine_weight_gradient(x: Any, dy: Array, out: Array) -> None:
    """out = xᵀ dy, where x is an array or a csr matrix."""
    if isinstance(x, np.ndarray):
        np.matmul(x.T, dy, out=out)
    else:
        out[...] = x.T @ dy


def affine_input_gradient(dy: Array, weight: Array, out: Array) -> None:
    """out = dy weightᵀ."""
    np.matmul(dy, weight.T, out=out)


def affine_part(x: Array, weight: Array, bias: Array, y: Array, start: int, stop: int) -> None:
    """y = x weight + bias for the outputs from start to stop."""
    affine(x, weight[:, start:stop], bias[start:stop], y[:, start:stop])


def gradients_part(x: Array, weight: Array, dy: Array, dweight: Array, dx: Array, start: int, stop: int) -> None:
    """dweight = xᵀ dy and, where dx has rows, dx = dy weightᵀ for the inputs from start to stop."""
    affine_weight_gradient(x[:, start:stop], dy, dweight[start:stop])
    if len(dx):
        affine_input_gradient(dy, weight[start:stop], dx[:, start:stop])


def shared_affine(use: ModuleType, x: Array, weight: Array, bias: Array) -> Array:
    """y = x weight + bias by the `affine_part` of this module, each thread a range of the outputs."""
    y = np.empty((len(x), weight.shape[1]), np.result_type(x, weight))
    work = len(x) * weight.size // use.TIMES_AS_FAST
    share(weight.shape[1], lambda worker, *part: use.affine_part(x, weight, bias, y, *part), work)
    return y


def shared_affine_gradients(
    use: ModuleType, x: Array, weight: Array, dy: Array, dweight: Array, dbias: Array, input_gradient: bool
) -> Array | None:
    """dx or None by this module's `gradients_part`, each thread a range of the inputs; dweight, dbias are written."""
    dx, work = np.empty_like(x if input_gradient else x[:0]), 2 * len(x) * weight.size // use.TIMES_AS_FAST
    share(weight.shape[0], lambda worker, *part: use.gradients_part(x, weight, dy, dweight, dx, *part), work)
    np.sum(dy, axis=0, out=dbias)
    return dx if input_gradient else None


# The products of a convolution ------------------------------------------------------------------------------------


def windows_times(seen: Array, weight: Array) -> Array:
    """y (N, H', W', out) = windows (N, H', W', kh, kw, C) times weight (kh, kw, C, out), summed over kh, kw and C.

    np.tensordot(seen, weight, axes=3): each window laid out as a row, the weight as a matrix (im2col).
    """
    matrix = weight.reshape(-1, weight.shape[3])
    y = np.empty((*seen.shape[:3], weight.shape[3]), np.result_type(seen, weight))

    def part(worker: int, start: int, stop: int) -> None:
        for block in blocks(start, stop, prod(seen.shape[1:]) * seen.itemsize):
            np.matmul(seen[block].reshape(-1, len(matrix)), matrix, out=y[block].reshape(-1, matrix.shape[1]))

    share(len(seen), part, y.size * len(matrix))
    return y


def windows_gradient(seen: Array, dy: Array) -> Array:
    """dweight (kh, kw, C, out) = windows (N, H', W', kh, kw, C) times dy (N, H', W', out), summed over N, H' and W'.

    np.tensordot(seen, dy, axes=((0, 1, 2), (0, 1, 2))).
    """
    size, out = prod(seen.shape[3:]), dy.shape[3]
    sums = [np.zeros((size, out), np.result_type(seen, dy)) for _ in range(num_threads())]

    def part(worker: int, start: int, stop: int) -> None:
        for block in blocks(start, stop, prod(seen.shape[1:]) * seen.itemsize):
            sums[worker] += seen[block].reshape(-1, size).T @ dy[block].reshape(-1, out)

    share(len(seen), part, dy.size * size)
    return sum(sums[1:], sums[0]).reshape(*seen.shape[3:], out)


def blocks(start: int, stop: int, bytes_each: int, block_bytes: int | None = None) -> list[slice]:
    """Slices of range(start, stop), each of as many images as fit block_bytes, but at least one."""
    step = max((block_bytes or BLOCK_BYTES) // bytes_each, 1)
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]
