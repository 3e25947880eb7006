"""The pooling pairs against PyTorch, complex steps and their own promises."""

import numpy as np
import pytest

from directional import assert_backward_is_exact
from handgrad.functional.pooling import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)

POOLS = {"max": (max_pool2d_forward, max_pool2d_backward), "avg": (avg_pool2d_forward, avg_pool2d_backward)}

# (H, W), kernel, stride, padding
CASES = [
    ((4, 4), 2, None, 0),
    ((5, 7), 2, None, 0),
    ((5, 7), 3, 2, 1),
    ((6, 6), 3, 1, 1),
    ((7, 6), (2, 3), (3, 1), (1, 0)),
    ((5, 5), (1, 2), (2, 1), 0),
    ((4, 4), 1, 2, 0),
    ((9, 8), 4, 3, 2),
    ((1, 1), 1, 1, 0),
    ((5, 5), 5, 1, 2),
]


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), CASES)
def test_pooling_equals_pytorch(kind, size, kernel, stride, padding):
    torch = pytest.importorskip("torch")
    forward, backward = POOLS[kind]
    x = np.random.default_rng(0).normal(size=(2, *size, 3)) - 5  # negative: a zero padding would win
    tensor = torch.tensor(x, requires_grad=True)
    pool = getattr(torch.nn.functional, f"{kind}_pool2d")
    expected = pool(tensor.permute(0, 3, 1, 2), kernel, stride, padding).permute(0, 2, 3, 1)
    y, cache = forward(x, kernel, stride, padding)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-12)
    dy = np.random.default_rng(1).normal(size=y.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(backward(dy, cache)[0], tensor.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [*CASES, ((7, 8), 3, 2, "same"), ((7, 8), 2, 1, "same")]
)
def test_pooling_backward_is_exact(kind, size, kernel, stride, padding):
    x = np.random.default_rng(0).normal(size=(2, *size, 3))
    assert_backward_is_exact(*POOLS[kind], x, kernel_size=kernel, stride=stride, padding=padding)


def test_global_average_is_the_mean_and_shares_equally():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    y, cache = global_avg_pool2d_forward(x)
    np.testing.assert_allclose(y, x.mean(axis=(1, 2)))
    np.testing.assert_allclose(global_avg_pool2d_backward(np.ones_like(y), cache)[0], 1 / 15)
    assert_backward_is_exact(global_avg_pool2d_forward, global_avg_pool2d_backward, x)


def test_of_equal_numbers_the_first_gets_the_whole_gradient():
    _, cache = max_pool2d_forward(np.full((1, 4, 4, 1), 7.0), kernel_size=2)
    (dx,) = max_pool2d_backward(np.ones((1, 2, 2, 1)), cache)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_a_nan_is_not_hidden_by_a_maximum():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    x[0, 0, 0, 0] = np.nan
    x[0, 2, 1, 0] = np.nan
    y, _ = max_pool2d_forward(x)
    np.testing.assert_array_equal(np.isnan(y[0, :, :, 0]), [[True, False], [True, False]])


def test_bytes_are_pooled_as_bytes():
    x = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    y, _ = max_pool2d_forward(x, kernel_size=5, stride=1, padding=2)
    assert y.dtype == np.uint8
    np.testing.assert_array_equal(y[0, 0, :, 0], [12, 13, 14, 14, 14])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"kernel_size": 9}, "the kernel spans 9x9 pixels but the padded image has only 4x4"),
        ({"kernel_size": 0}, "kernel_size must be an int >= 1"),
        ({"stride": 0}, "stride must be an int >= 1"),
        ({"padding": 2}, "padding 2 must be smaller than the kernel 2"),
    ],
)
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_refuses(kind, keywords, message):
    with pytest.raises(ValueError, match=f"{kind}_pool2d: {message}"):
        POOLS[kind][0](np.zeros((1, 4, 4, 1)), **keywords)


def test_global_average_refuses_rows():
    with pytest.raises(ValueError, match=r"images are \(N, H, W, C\)"):
        global_avg_pool2d_forward(np.zeros((2, 3)))


@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (2, 2, 2, 1), (2, 3, 2, 2), (2, 3)])
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_backward_refuses_a_dy_that_would_broadcast(kind, shape):
    forward, backward = POOLS[kind][:2]
    _, cache = forward(np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match=rf"{kind}_pool2d: dy must have the shape of y, \(2, 2, 2, 3\), but has shape"):
        backward(np.zeros(shape), cache)


def test_global_average_backward_refuses_a_dy_that_would_broadcast():
    _, cache = global_avg_pool2d_forward(np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"dy must have the shape of y, \(2, 3\), but has shape \(1, 3\)"):
        global_avg_pool2d_backward(np.zeros((1, 3)), cache)
