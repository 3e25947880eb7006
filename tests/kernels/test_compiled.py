"""The compiled functions give what the plain ones give, and can be left out."""

import os
import subprocess
import sys

import numpy as np
import pytest

from handgrad.kernels import plain, route
from handgrad.kernels.buffers import Buffers

pytest.importorskip("numba")

from handgrad.kernels import compiled

pytestmark = pytest.mark.parametrize("dtype", [np.float32, np.float64])
POOLS = pytest.mark.parametrize("pool", [(1, 1), (2, 2)])


def close(a, b, dtype):
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def draw(*shape, dtype):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


def test_moments(dtype):
    x = draw(3, 5, 4, 7, dtype=dtype) + 100
    for ours, theirs in zip(compiled.moments(None, x), plain.moments(Buffers(x.dtype), x), strict=True):
        close(ours, theirs, dtype)


def choose(functions, z, pool, relu):
    """Pooling, an affine step and ReLU: y, and the choice that the backward needs."""
    height, width = z.shape[1] // pool[0], z.shape[2] // pool[1]
    shape = (height, width, z.shape[3])
    best, y = np.empty((2, len(z), *shape), z.dtype)
    choice = np.empty((len(z), *functions.choice_shape(shape, pool)), functions.CHOICE_DTYPE)
    if pool == (1, 1):
        best[...] = z
    else:
        functions.largest(Buffers(z.dtype), z, pool, best, choice)
    scale, shift = draw(2, width * z.shape[3], dtype=z.dtype)
    functions.activate(best, scale, shift, relu, y, choice, pool != (1, 1))
    return best, y, choice


@POOLS
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("odd", [0, 1])
def test_choice_sums_and_spreading(dtype, pool, relu, odd):
    z = draw(3, 4 + odd, 6 + odd, 5, dtype=dtype).round(1)  # rounded: ties
    results = []
    for functions in (plain, compiled):
        scratch = Buffers(z.dtype)
        best, y, choice = choose(functions, z, pool, relu)
        dy = draw(*y.shape, dtype=dtype)
        mean, scale = draw(2, y.shape[2] * 5, dtype=dtype)
        slope, constant = draw(2, z.shape[2] * 5, dtype=dtype)
        dz, bare = np.empty_like(z), np.empty((3, y.shape[1] * pool[0], y.shape[2] * pool[1], 5), dtype)
        functions.spread_affine(scratch, dy, choice, pool, scale, z, slope, constant, dz)
        functions.spread(dy, choice, pool, bare)
        sums = functions.gradient_sums(scratch, dy, choice, best, mean)
        results.append([best, y, dz, bare, *sums, functions.passed_sum(scratch, dy, choice)])
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs, dtype)


def test_everything_passes_without_a_choice(dtype):
    dy, x = draw(2, 3, 4, 4, 5, dtype=dtype)
    mean, scale, slope, constant = draw(4, 4 * 5, dtype=dtype)
    results = []
    for functions in (plain, compiled):
        scratch, dz = Buffers(x.dtype), np.empty_like(x)
        functions.spread_affine(scratch, dy, None, (1, 1), scale, x, slope, constant, dz)
        results.append([dz, *functions.gradient_sums(scratch, dy, None, x, mean)])
    for ours, theirs in zip(*results, strict=True):
        close(ours, theirs, dtype)


def test_a_nan_stays_visible(dtype):
    for functions in (plain, compiled):
        z = np.ones((1, 2, 2, 1), dtype)
        z[0, 1, 0] = np.nan
        assert np.isnan(choose(functions, z, (2, 2), relu=True)[1]).all()


def test_compiled_functions_can_be_left_out(dtype, monkeypatch):
    assert route.functions((2, 2)) is compiled
    assert route.functions((3, 3)) is plain
    monkeypatch.setenv("HANDGRAD_KERNELS", "numpy")
    assert route.functions((2, 2)) is plain
    monkeypatch.setenv("HANDGRAD_KERNELS", "fast")
    with pytest.raises(ValueError, match="HANDGRAD_KERNELS is auto or numpy, not 'fast'"):
        route.functions()


def test_importing_handgrad_imports_no_numba(dtype):
    code = "import sys, handgrad; assert 'numba' not in sys.modules and 'threadpoolctl' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
