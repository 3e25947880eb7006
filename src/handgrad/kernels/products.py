"""Matrix products of image windows, cut into blocks that stay in a core's cache and shared among threads."""

import numpy as np

from .threads import num_threads, share

BLOCK_BYTES = 1 << 19  # of the copied windows: about half of a core's second-level cache


def windows_times(seen, weight):
    """y (N, H', W', out): every window of seen (N, H', W', kh, kw, C) times weight (kh, kw, C, out)."""
    y = np.empty((*seen.shape[:3], weight.shape[3]), np.result_type(seen, weight))
    matrix = weight.reshape(-1, weight.shape[3])

    def part(worker, start, stop):
        for block in blocks(start, stop, image_bytes(seen)):
            np.matmul(columns(seen[block]), matrix, out=y[block].reshape(-1, len(matrix[0])))

    share(len(seen), part)
    return y


def windows_gradient(seen, dy):
    """dweight (kh, kw, C, out) = Σ over all windows of window ⊗ dy (N, H', W', out)."""
    out = dy.shape[3]
    dtype = np.result_type(seen, dy)
    sums = [np.zeros((seen[0, 0, 0].size, out), dtype) for _ in range(num_threads())]

    def part(worker, start, stop):
        for block in blocks(start, stop, image_bytes(seen)):
            sums[worker] += columns(seen[block]).T @ dy[block].reshape(-1, out)

    share(len(seen), part)
    return sum(sums).reshape(*seen.shape[3:], out)


def columns(seen):
    """One row per window: the copy known as im2col."""
    return seen.reshape(-1, seen[0, 0, 0].size)


def blocks(start, stop, bytes_each):
    """Slices of range(start, stop), each of as many images as fit BLOCK_BYTES, but at least one."""
    step = max(BLOCK_BYTES // bytes_each, 1)
    return [slice(i, min(i + step, stop)) for i in range(start, stop, step)]


def image_bytes(seen):
    return seen[0].size * seen.itemsize
