"""The sweep with its two parts compiled."""

import numpy as np

from . import blas, compiled, compiled_steps
from .sweep import Sweep


class CompiledSweep(Sweep):
    """A Sweep whose parts run in Numba, one call each."""

    use = compiled_steps
    choice_dtype = np.uint8
    block_bytes = 1 << 18  # less than in NumPy: blocks cost no calls here, and all that one needs stays close

    def __init__(self, input_shape, weight_shape, padding, sizes, pool, relu, dtype):
        super().__init__(input_shape, weight_shape, padding, sizes, pool, relu, dtype)
        self.gemm = compiled.Gemm(*blas.find().gemm(dtype), dtype)
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
        compiled.forward_part(
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
        compiled.backward_part(
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
