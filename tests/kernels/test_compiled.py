"""The compiled functions give what the plain ones give, and can be left out."""

import os
import subprocess
import sys

import numpy as np
import pytest

from handgrad.kernels import blas, plain, route
from handgrad.kernels.passes import BatchPass
from handgrad.kernels.plain import BatchStatistics
from handgrad.kernels.products import Buffers, Memory

pytest.importorskip("numba")

if not isinstance(blas.find(), blas.OpenBlas):
    pytest.skip("the compiled pass calls OpenBLAS", allow_module_level=True)

from handgrad.kernels import compiled
from handgrad.kernels.compiled import CompiledPass

pytestmark = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def close(a, b, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def draw(*shape, dtype):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def test_moments(dtype):
    x = draw(3, 5, 4, 7, dtype=dtype) + 100
    for ours, theirs in zip(compiled.moments(None, x), plain.moments(Buffers(x.dtype), x), strict=True):
        close(ours, theirs, dtype)


def both_ways(kind, shape, weight_shape, padding, pool, relu, normalized, dtype):
    """All that one forward and one backward pass produce, over a few images full of ties."""
    sizes = [shape[i] + 2 * padding - weight_shape[i] + 1 for i in (0, 1)]
    pooled = sizes[0] // pool[0], sizes[1] // pool[1]
    if not normalized:
        sizes = pooled[0] * pool[0], pooled[1] * pool[1]
    work = kind(shape, weight_shape, ((padding, padding),) * 2, tuple(sizes), pool, relu, np.dtype(dtype))
    work.block_bytes, memory = 2 * work.image_bytes, Memory(dtype)
    x, weight = draw(5, *shape, dtype=dtype).round(), draw(*weight_shape, dtype=dtype).round()
    z, best, y = (np.empty((5, *size, weight_shape[3]), dtype) for size in (sizes, pooled, pooled))
    scale, shift, mean = draw(3, pooled[1] * weight_shape[3], dtype=dtype)
    choice, moments = np.empty((5, *work.choice_shape(y.shape[1:])), work.choice_dtype), {}
    if normalized:
        best = best if work.pools else z
        work.forward(memory, x, weight, True, best=best, z=z, choice=choice, moments=moments)
        work.use.activate(best, scale, shift, relu, y, choice, work.pools)
        affine = scale, z, *draw(2, sizes[1] * weight_shape[3], dtype=dtype)
    else:
        work.forward(memory, x, weight, True, best=y, activation=(scale, shift, y), choice=choice)
        affine = None
    dy, dweight = draw(*y.shape, dtype=dtype), np.empty(weight_shape, dtype)
    dx, passed = work.backward(memory, dy, choice, weight, dweight, True, affine)
    results = [y, dweight, dx]
    if normalized:
        return [
            *results,
            z,
            *BatchStatistics.combine(moments)[1:],
            *work.use.gradient_sums(Buffers(dy.dtype), dy, choice, best, mean),
        ]
    return [*results, passed]


@pytest.mark.parametrize("pool", [(1, 1), (2, 2)])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize(("size", "kernel", "padding"), [((6, 8), (3, 3), 1), ((7, 5), (2, 3), 0)])
def test_passes(dtype, pool, relu, normalized, size, kernel, padding):
    arguments = (*size, 2), (*kernel, 2, 3), padding, pool, relu, normalized, dtype
    for ours, theirs in zip(*(both_ways(kind, *arguments) for kind in (CompiledPass, BatchPass)), strict=True):
        close(ours, theirs, dtype)


def test_everything_passes_without_a_choice(dtype):
    dy, x = draw(2, 3, 4, 4, 5, dtype=dtype)
    mean, scale, slope, constant = draw(4, 4 * 5, dtype=dtype)
    results = []
    for functions in (plain, compiled):
        scratch, dz = Buffers(x.dtype), np.empty_like(x)
        functions.spread_affine(scratch, dy, None, (1, 1), (scale, x, slope, constant), dz)
        results.append([dz, *functions.gradient_sums(scratch, dy, None, x, mean)])
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs, dtype)


def test_a_nan_stays_visible(dtype):
    for kind in (BatchPass, CompiledPass):
        work = kind((2, 2, 1), (1, 1, 1, 1), ((0, 0), (0, 0)), (2, 2), (2, 2), True, np.dtype(dtype))
        x, one, y = np.ones((1, 2, 2, 1), dtype), np.ones((1, 1, 1, 1), dtype), np.empty((1, 1, 1, 1), dtype)
        x[0, 1, 0] = np.nan
        work.forward(Memory(x.dtype), x, one, False, best=y, activation=(one.ravel(), one.ravel(), y))
        assert np.isnan(y).all()


def test_compiled_functions_can_be_left_out(dtype, monkeypatch):

    def batch_pass(*pool):
        return route.batch_pass((12, 12, 1), (5, 5, 1, 1), (8, 8), pool, np.dtype(dtype))

    assert batch_pass(2, 2) is CompiledPass
    assert batch_pass(3, 3) is BatchPass
    monkeypatch.setenv("HANDGRAD_KERNELS", "numpy")
    assert batch_pass(2, 2) is BatchPass
    assert route.steps() is plain
    monkeypatch.setenv("HANDGRAD_KERNELS", "")
    assert batch_pass(2, 2) is CompiledPass
    monkeypatch.setenv("HANDGRAD_KERNELS", "fast")
    with pytest.raises(ValueError, match="HANDGRAD_KERNELS must be auto, numpy, compiled or winograd, not 'fast'"):
        route.steps()


def test_importing_handgrad_imports_no_numba(dtype):
    code = "import sys, handgrad; assert 'numba' not in sys.modules and 'threadpoolctl' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
