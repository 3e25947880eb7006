"""Convolution with stride 1, forward and backward, a few images at a time so that all steps find them in cache."""

import numpy as np

from .buffers import Buffers
from .products import blocks
from .threads import share


class Sweep:
    """Convolves batches of one image shape, keeping all memory from step to step.

    input_shape (H, W, C), weight_shape (kh, kw, C, out), padding ((top, bottom), (left, right)), no larger than
    the kernel; sizes (h, w) of the output, which may leave out rows at the bottom and columns at the right.
    """

    def __init__(self, input_shape, weight_shape, padding, sizes, dtype):
        (top, bottom), (left, right) = padding
        height, width, channels = input_shape
        kh, kw, _, self.out = weight_shape
        self.input_shape, self.weight_shape, self.sizes, self.dtype = input_shape, weight_shape, sizes, dtype
        self.padded = height + top + bottom, width + left + right, channels
        self.inside = slice(top, top + height), slice(left, left + width)
        # dx is the convolution of dz, laid among zeros, with the flipped kernel
        self.dz_padded = height + kh - 1, width + kw - 1, self.out
        self.dz_inside = slice(kh - 1 - top, kh - 1 - top + sizes[0]), slice(kw - 1 - left, kw - 1 - left + sizes[1])
        self.image_bytes = sizes[0] * sizes[1] * kh * kw * channels * dtype.itemsize
        self.multiply_adds = sizes[0] * sizes[1] * kh * kw * channels * self.out
        self.kept, self.scratch = Buffers(dtype), {}

    def convolve(self, x, weight, finish, keep=False, z=None):
        """z = x convolved with weight, block by block; finish(scratch, block, z) is called while z is in cache.

        keep=True keeps the padded x for `propagate`; z, if given, receives the whole batch's result.
        """
        matrix = np.ascontiguousarray(weight).reshape(-1, self.out)
        kept = self.kept.take("padded", (len(x), *self.padded)) if keep else None

        def part(worker, start, stop):
            scratch = self.scratch_of(worker)
            for block in blocks(start, stop, self.image_bytes):
                images = x[block]
                padded = scratch.take("padded", (len(images), *self.padded)) if kept is None else kept[block]
                padded[:, self.inside[0], self.inside[1]] = images
                result = scratch.take("z", (len(images), *self.sizes, self.out)) if z is None else z[block]
                columns = copy_windows(scratch, padded, self.weight_shape[:2], self.sizes)
                np.matmul(columns, matrix, out=result.reshape(-1, self.out))
                finish(scratch, block, result)

        share(len(x), part, len(x) * self.multiply_adds)

    def propagate(self, n, weight, make_dz, dweight, input_gradient):
        """dx or None; dweight is written. make_dz(scratch, block) gives dz for each block of the n examples."""
        padded = self.kept.take("padded", (n, *self.padded))
        dx = np.empty((n, *self.input_shape), self.dtype) if input_gradient else None
        flipped = np.ascontiguousarray(weight[::-1, ::-1].transpose(0, 1, 3, 2)).reshape(-1, self.input_shape[2])
        sums = {}

        def part(worker, start, stop):
            scratch = self.scratch_of(worker)
            total = sums[worker] = scratch.take("dweight", (flipped.size // self.out, self.out))
            total[...] = 0
            for block in blocks(start, stop, self.image_bytes):
                dz = make_dz(scratch, block)
                columns = copy_windows(scratch, padded[block], self.weight_shape[:2], self.sizes)
                share_of_block = scratch.take("product", total.shape)
                np.matmul(columns.T, dz.reshape(-1, self.out), out=share_of_block)
                total += share_of_block
                if input_gradient:
                    self.send_down(scratch, dz, flipped, dx[block])

        share(n, part, 2 * n * self.multiply_adds)
        dweight[...] = sum(sums[worker] for worker in sorted(sums)).reshape(self.weight_shape)
        return dx

    def send_down(self, scratch, dz, flipped, dx):
        """dx of one block, from its dz."""
        bordered = scratch.take("bordered", (len(dz), *self.dz_padded))
        bordered[:, self.dz_inside[0], self.dz_inside[1]] = dz
        columns = copy_windows(scratch, bordered, self.weight_shape[:2], self.input_shape[:2], "dz columns")
        np.matmul(columns, flipped, out=dx.reshape(-1, self.input_shape[2]))

    def scratch_of(self, worker):
        return self.scratch.setdefault(worker, Buffers(self.dtype))


def copy_windows(scratch, padded, kernel, sizes, key="columns"):
    """One row per window of padded (n, H, W, C), in scratch memory: (n h w, kh kw C).

    A kernel row's kw C numbers lie side by side in the image, so they are copied as one run.
    """
    (n, _, _, channels), (kh, kw), (height, width) = padded.shape, kernel, sizes
    to_image, to_row, to_pixel, to_channel = padded.strides
    shape, strides = (n, height, width, kh, kw * channels), (to_image, to_row, to_pixel, to_row, to_channel)
    runs = np.ndarray(shape, padded.dtype, padded, 0, strides)  # as_strided, without its 10 microseconds
    columns = scratch.take(key, (n * height * width, kh * kw * channels))
    np.copyto(columns.reshape(runs.shape), runs)
    return columns
