"""The two products of a convolution, as np.tensordot would do them, in blocks that stay in cache and in threads."""

from math import prod

import numpy as np

from .threads import num_threads, share

BLOCK_BYTES = 1 << 21  # of copied windows at a time: few calls, and still in cache


def windows_times(seen, weight):
    """y (N, H', W', out) = windows (N, H', W', kh, kw, C) times weight (kh, kw, C, out), summed over kh, kw and C.

    np.tensordot(seen, weight, axes=3): each window laid out as a row, the weight as a matrix (im2col).
    """
    matrix = weight.reshape(-1, weight.shape[3])
    y = np.empty((*seen.shape[:3], weight.shape[3]), np.result_type(seen, weight))

    def part(worker, start, stop):
        for block in blocks(start, stop, prod(seen.shape[1:]) * seen.itemsize):
            np.matmul(seen[block].reshape(-1, len(matrix)), matrix, out=y[block].reshape(-1, matrix.shape[1]))

    share(len(seen), part, y.size * len(matrix))
    return y


def windows_gradient(seen, dy):
    """dweight (kh, kw, C, out) = windows (N, H', W', kh, kw, C) times dy (N, H', W', out), summed over N, H' and W'.

    np.tensordot(seen, dy, axes=((0, 1, 2), (0, 1, 2))).
    """
    size, out = prod(seen.shape[3:]), dy.shape[3]
    sums = [np.zeros((size, out), np.result_type(seen, dy)) for _ in range(num_threads())]

    def part(worker, start, stop):
        for block in blocks(start, stop, prod(seen.shape[1:]) * seen.itemsize):
            sums[worker] += seen[block].reshape(-1, size).T @ dy[block].reshape(-1, out)

    share(len(seen), part, dy.size * size)
    return sum(sums).reshape(*seen.shape[3:], out)


def blocks(start, stop, bytes_each, block_bytes=None):
    """Slices of range(start, stop), each of as many images as fit block_bytes, but at least one."""
    step = max((block_bytes or BLOCK_BYTES) // bytes_each, 1)
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]
