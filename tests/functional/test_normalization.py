"""Batch and layer norm against PyTorch, complex steps and their own promises."""

import numpy as np
import pytest

from directional import assert_backward_is_exact
from handgrad.functional.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)

SHAPES = [(5, 3), (2, 3), (4, 3, 5, 3), (1, 2, 2, 3)]


def arrays(shape, feature_shape=None, seed=0):
    rng = np.random.default_rng(seed)
    features = feature_shape or shape[-1:]
    return rng.normal(2, 3, size=shape), rng.normal(size=features), rng.normal(size=features)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_equals_pytorch(shape, training):
    torch = pytest.importorskip("torch")
    x, gamma, beta = arrays(shape)
    running = {"running_mean": np.array([0.1, 0.2, 0.3]), "running_var": np.array([1.0, 2.0, 3.0])}
    expected_running = [torch.tensor(a) for a in running.values()]
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    expected = torch.nn.functional.batch_norm(
        torch.movedim(tensors[0], -1, 1), *expected_running, *tensors[1:], training=training, momentum=0.2, eps=1e-4
    )
    y, cache = batch_norm_forward(x, gamma, beta, **running, training=training, momentum=0.2, epsilon=1e-4)
    expected = torch.movedim(expected, 1, -1)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-11)
    for ours, theirs in zip(running.values(), expected_running, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)
    dy = np.random.default_rng(1).normal(size=shape)
    expected.backward(torch.tensor(dy))
    for ours, tensor in zip(batch_norm_backward(dy, cache), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_backward_is_exact(shape):
    assert_backward_is_exact(batch_norm_forward, batch_norm_backward, *arrays(shape))
    inference = {"running_mean": np.zeros(3), "running_var": np.ones(3), "training": False}
    assert_backward_is_exact(batch_norm_forward, batch_norm_backward, *arrays(shape), **inference)


def test_running_averages_stay_when_not_training():
    running = {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    batch_norm_forward(*arrays((5, 3)), **running, training=False)
    np.testing.assert_array_equal(running["running_mean"], np.zeros(3))
    np.testing.assert_array_equal(running["running_var"], np.ones(3))


@pytest.mark.parametrize(("shape", "features"), [((4, 3), (3,)), ((2, 3, 4, 5), (5,)), ((2, 3, 4, 5), (3, 4, 5))])
def test_layer_norm_equals_pytorch(shape, features):
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays(shape, features)]
    y, cache = layer_norm_forward(*arrays(shape, features), epsilon=1e-4)
    expected = torch.nn.functional.layer_norm(tensors[0], features, *tensors[1:], eps=1e-4)
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-11)
    dy = np.random.default_rng(1).normal(size=shape)
    expected.backward(torch.tensor(dy))
    for ours, tensor in zip(layer_norm_backward(dy, cache), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-10)
    assert_backward_is_exact(layer_norm_forward, layer_norm_backward, *arrays(shape, features))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3), r"x \(1, 3\) has fewer than two numbers per feature"),
        ((5, 4), r"gamma and beta must have the shape of the last axes of x \(5, 4\), but came as \(3,\) and \(3,\)"),
        ((2, 3, 8, 8), r"looks like \(N, C, H, W\): transpose"),
    ],
)
def test_batch_norm_refuses(shape, message):
    with pytest.raises(ValueError, match=f"batch_norm: .*{message}"):
        batch_norm_forward(np.zeros(shape), np.ones(3), np.zeros(3))


def test_batch_norm_at_inference_needs_the_averages():
    with pytest.raises(ValueError, match="training=False needs running_mean= and running_var="):
        batch_norm_forward(*arrays((4, 3)), training=False)


@pytest.mark.parametrize("features", [(4,), (), (5, 3), (1,)])
def test_layer_norm_refuses_what_would_broadcast(features):
    with pytest.raises(ValueError, match="layer_norm: gamma and beta must have the shape"):
        layer_norm_forward(np.zeros((5, 3)), np.ones(features), np.zeros(features))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"running_mean": np.zeros(1)}, r"running_mean must be .* of gamma's shape \(3,\), .* shape \(1,\)"),
        ({"running_var": np.ones(3, int)}, "running_var must be an array of floats .* came as int64"),
        ({"momentum": 2}, "momentum must be a finite number >= 0 and <= 1, got 2"),
        ({"momentum": None}, "momentum must be a finite number .* got None"),
        ({"epsilon": -1}, "epsilon must be a finite number >= 0, got -1"),
    ],
)
def test_batch_norm_refuses_settings(keywords, message):
    with pytest.raises(ValueError, match=f"batch_norm: {message}"):
        batch_norm_forward(*arrays((4, 3)), **keywords)


@pytest.mark.parametrize("epsilon", [-1, None, float("nan")])
def test_layer_norm_refuses_an_epsilon_below_zero(epsilon):
    with pytest.raises(ValueError, match=f"layer_norm: epsilon must be a finite number >= 0, got {epsilon}"):
        layer_norm_forward(*arrays((4, 3)), epsilon=epsilon)
