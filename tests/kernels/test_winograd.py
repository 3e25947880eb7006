"""Winograd's convolutions are those of the layers, to what float32 leaves of them."""

import os
import subprocess
import sys
from functools import reduce

import numpy as np
import pytest

import handgrad as hg
from handgrad.kernels import blas, route

pytest.importorskip("numba")

if not isinstance(blas.find(), blas.OpenBlas):
    pytest.skip("the compiled pass calls OpenBLAS", allow_module_level=True)

from handgrad.kernels.winograd import AT, BT, G, WinogradPass

FLOAT32 = np.dtype(np.float32)


def apart(a, b):
    """The norm of the difference, as a part of b's."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def two_of(layers, input_shape):
    """A float32 model that convolves by Winograd, and what its layers say one by one in float64."""
    model = hg.Sequential(layers).build(input_shape, rng=0)
    return model, model.astype(np.float64).layers


@pytest.mark.parametrize("shape", [(16, 16, 32), (7, 9, 20), (6, 5, 16), (30, 33, 17), (3, 3, 64), (4, 4, 32)])
@pytest.mark.parametrize(("filters", "padding"), [(64, 1), (19, 0), (48, 2)])
@pytest.mark.parametrize("normalized", [False, True])
def test_forward_and_backward(shape, filters, padding, normalized, monkeypatch):
    monkeypatch.setattr("handgrad.kernels.winograd.MUCH_LESS", 100)
    convolution = hg.Conv2D(filters, 3, padding=padding, bias=not normalized)
    model, layers = two_of([convolution, hg.BatchNorm()] if normalized else [convolution], shape)
    assert isinstance(model._chain.steps[0].kernel.work, WinogradPass)
    rng = np.random.default_rng(0)
    for n in (5, 3, 7):  # in memory that is used again
        x = rng.normal(size=(n, *shape)).astype(np.float32)
        y, expected = model.forward(x, training=True), x.astype(float)
        dy = rng.normal(size=y.shape).astype(np.float32)
        for layer in layers:
            expected = layer.forward(expected, training=True)
        dx, expected_dx = model.backward(dy), dy.astype(float)
        for layer in reversed(layers):
            expected_dx = layer.backward(expected_dx)
        assert apart(y, expected) < 2e-5 and apart(dx, expected_dx) < 2e-5
        for mine, theirs in zip(model.layers, layers, strict=True):
            for name, gradient in mine.gradients.items():
                assert apart(gradient, theirs.gradients[name]) < 2e-5, name


@pytest.mark.parametrize("size", [8, 9, 11])
def test_inference_with_pooling(size):
    model, layers = two_of([hg.Conv2D(24, 3, padding=1), hg.ReLU(), hg.MaxPool2D()], (size, size, 16))
    x = np.random.default_rng(0).normal(size=(300, size, size, 16)).astype(np.float32)
    y = x.astype(float)
    for layer in layers:
        y = layer.forward(y)
    assert apart(model.forward(x), y) < 2e-5


@pytest.mark.parametrize("side", [2, 4])
def test_the_matrices_are_an_algorithm_for_correlation(side):
    d, g = np.random.default_rng(0).normal(size=(2, side + 2))
    y = reduce(np.matmul, AT[side]) @ ((G[side] @ g[:3]) * (reduce(np.matmul, BT[side]) @ d))
    np.testing.assert_allclose(y, np.correlate(d, g[:3]), rtol=1e-12)


def test_the_same_images_give_the_same_bits_in_any_batch():
    model, _ = two_of([hg.Conv2D(32, 3, padding=1), hg.ReLU()], (10, 10, 16))
    x = np.random.default_rng(0).normal(size=(40, 10, 10, 16)).astype(np.float32)
    np.testing.assert_array_equal(model.forward(x)[7:9], model.forward(x[7:9]))


def test_a_nan_stays_visible_and_leaves_other_images_alone():
    model, _ = two_of([hg.Conv2D(16, 3, padding=1), hg.ReLU(), hg.MaxPool2D()], (8, 8, 16))
    x = np.zeros((3, 8, 8, 16), np.float32)
    x[1, 3, 3, 5] = np.nan
    assert [bool(np.isnan(y).any()) for y in model.forward(x)] == [False, True, False]


@pytest.mark.parametrize(
    ("weight_shape", "sizes", "dtype"),
    [
        ((3, 3, 32, 32), (16, 16), np.float64),
        ((5, 5, 32, 32), (16, 16), np.float32),
        ((3, 3, 3, 32), (32, 32), np.float32),
        ((3, 3, 32, 4), (32, 32), np.float32),
        ((3, 3, 32, 32), (1, 1), np.float32),
    ],
)
def test_where_it_would_not_pay_or_not_be_exact_sums_of_products_stay(weight_shape, sizes, dtype):
    assert route.batch_pass((*sizes, weight_shape[2]), weight_shape, sizes, (1, 1), np.dtype(dtype)) is not WinogradPass


@pytest.mark.parametrize("wish", ["numpy", "compiled"])
def test_it_can_be_left_out(wish, monkeypatch):
    size = (16, 16, 32), (3, 3, 32, 32), (16, 16), (1, 1), FLOAT32
    assert route.batch_pass(*size) is WinogradPass
    with route.sums_of_products():
        assert route.batch_pass(*size) is not WinogradPass
    monkeypatch.setenv("HANDGRAD_KERNELS", wish)
    assert route.batch_pass(*size) is not WinogradPass
    assert route.name() == wish


OTHER_PROCESSOR = """
import numpy as np
from handgrad.kernels import route, vectors
rng = np.random.default_rng(0)
a, b = rng.normal(size=(16, 9)).astype("f4"), rng.normal(size=(9, 48)).astype("f4")
out = np.zeros((16, 48), "f4")
left, right = (a.ravel(), 0, 9, 1, 0), (b.ravel(), 0, 48, 1, 0)
vectors.multiply((16, 48, 1, 9), left, right, (out.reshape(-1), 0, 48, 1, 0), False)
np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-5)
print(vectors.ROWS, vectors.PARTS, route.name())
"""


@pytest.mark.parametrize(
    ("features", "expected"),
    [("+avx512f,+avx2,+fma", "8 2 winograd"), ("+avx2,+fma", "4 1 winograd"), ("+sse2", "4 1 compiled")],
)
def test_on_other_processors(features, expected, tmp_path):
    if "avx512f" not in blas.CPU_INFO.read_text():
        pytest.skip("this processor cannot run all of it")
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    run = [sys.executable, "-c", OTHER_PROCESSOR]
    assert subprocess.run(run, check=True, env=environment, capture_output=True, text=True).stdout.strip() == expected


@pytest.mark.parametrize("shape", [(12, 12, 16), (28, 28, 16)])
def test_what_sees_a_black_background_alone_is_exactly_0(shape):
    """Else a ReLU behind a bias of 0 would hand dy on where its derivative is 0."""
    winograd = hg.Sequential([hg.Conv2D(32, 3, padding="same"), hg.ReLU()]).build(shape, rng=0)
    sums = winograd.astype(np.float64)
    rng = np.random.default_rng(0)
    x = np.zeros((4, *shape), np.float32)
    x[:, 2:5, 1:4] = rng.random((4, 3, 3, shape[2]))
    dy = rng.standard_normal((4, *shape[:2], 32)).astype(np.float32)
    results = []
    for model in (winograd, sums):
        y = model.forward(x, training=True)
        results.append((y, model.backward(dy), *model.gradients.values()))
    for ours, theirs in zip(*results, strict=True):
        assert apart(ours, theirs) < 2e-5
    np.testing.assert_array_equal(results[0][0] != 0, results[1][0] != 0)
