"""Convolution without copies of windows is that of the layers."""

import numpy as np
import pytest

import handgrad as hg
from handgrad.kernels import blas

pytest.importorskip("numba")

if not isinstance(blas.find(), blas.OpenBlas):
    pytest.skip("the compiled pass calls OpenBLAS", allow_module_level=True)

from handgrad.kernels.direct import DirectPass


@pytest.mark.parametrize(
    ("shape", "filters"), [((28, 28, 1), 6), ((9, 11, 6), 16), ((32, 8, 3), 33), ((5, 10, 2), 4), ((7, 16, 5), 3)]
)
@pytest.mark.parametrize(("kernel", "padding"), [(5, 2), ((2, 3), 1), (1, 0)])
@pytest.mark.parametrize("pool", [(1, 1), (2, 2)])
def test_forward_and_backward(shape, filters, kernel, padding, pool):
    model = hg.Sequential([hg.Conv2D(filters, kernel, padding=padding), hg.MaxPool2D(pool)]).build(shape, rng=0)
    work, layers = model._chain.steps[0].kernel.work, model.astype(np.float64).layers
    assert isinstance(work, DirectPass) == (work.sizes[1] >= 8)
    rng = np.random.default_rng(0)
    for n in (5, 2, 9):  # in memory that is used again
        x = rng.normal(size=(n, *shape)).astype(np.float32)
        y = model.forward(x, training=True)
        dy = rng.normal(size=y.shape).astype(np.float32)
        dx, expected, expected_dx = model.backward(dy), x.astype(float), dy.astype(float)
        for layer in layers:
            expected = layer.forward(expected, training=True)
        for layer in reversed(layers):
            expected_dx = layer.backward(expected_dx)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(dx, expected_dx, rtol=1e-4, atol=1e-5)
        for name, gradient in model.layers[0].gradients.items():
            np.testing.assert_allclose(gradient, layers[0].gradients[name], rtol=1e-3, atol=1e-3)
