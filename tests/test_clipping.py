"""Clipping of gradients: limits kept, directions kept, and what the optimizers make of it."""

import numpy as np
import pytest

from handgrad.optimizers import SGD, ClipGlobalNorm, ClipParameterNorm, ClipValue


def gradients(dtype=np.float64):
    return [np.array([3.0, 0.0], dtype), np.array([[4.0]], dtype)]


def test_global_norm_scales_all_gradients_alike():
    clipped = gradients()
    ClipGlobalNorm(1.0)(clipped)
    np.testing.assert_allclose(clipped[0], [0.6, 0.0])
    np.testing.assert_allclose(clipped[1], [[0.8]])


def test_parameter_norm_scales_each_gradient_by_itself():
    clipped = gradients()
    ClipParameterNorm(3.5)(clipped)
    np.testing.assert_array_equal(clipped[0], [3.0, 0.0])
    np.testing.assert_allclose(clipped[1], [[3.5]])


def test_value_limits_each_element():
    clipped = [np.array([-3.0, 0.5, 7.0])]
    ClipValue(1.0)(clipped)
    np.testing.assert_array_equal(clipped[0], [-1.0, 0.5, 1.0])


@pytest.mark.parametrize("clip", [ClipGlobalNorm(5.0), ClipParameterNorm(5.0), ClipValue(5.0)], ids=repr)
def test_gradients_within_the_limit_stay(clip):
    clipped = gradients(np.float32)
    clip(clipped)
    for g, same in zip(clipped, gradients(np.float32), strict=True):
        np.testing.assert_array_equal(g, same)
        assert g.dtype == np.float32


def test_norm_of_float32_gradients_whose_squares_overflow():
    clipped = [np.array([3e30, 4e30], np.float32)]
    ClipGlobalNorm(1.0)(clipped)
    np.testing.assert_allclose(clipped[0], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_stay_to_be_seen(bad):
    clipped = [np.array([1.0, bad])]
    ClipGlobalNorm(1.0)(clipped)
    np.testing.assert_array_equal(clipped[0], [1.0, bad])


def test_only_the_parameter_norm_needs_separate_arrays():
    assert ClipParameterNorm(1.0).per_parameter
    assert not ClipGlobalNorm(1.0).per_parameter and not ClipValue(1.0).per_parameter


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        (ClipGlobalNorm(0.5), "clip_grad_norm_"),
        (ClipValue(0.5), "clip_grad_value_"),
    ],
)
def test_clipping_is_pytorchs(clip, name):
    torch = pytest.importorskip("torch")
    ours, theirs = gradients(), [torch.zeros(g.shape, dtype=torch.float64) for g in gradients()]
    for tensor, g in zip(theirs, gradients(), strict=True):
        tensor.grad = torch.tensor(g)
    getattr(torch.nn.utils, name)(theirs, 0.5)
    clip(ours)
    for g, tensor in zip(ours, theirs, strict=True):  # PyTorch divides by the norm + 1e-6, we by the norm
        np.testing.assert_allclose(g, tensor.grad.numpy(), rtol=1e-6)


def test_an_optimizer_clips_before_it_adds_weight_decay():
    p = np.array([10.0])
    SGD(0.1, weight_decay=0.5, clipping=ClipValue(1.0)).update([p], [np.array([100.0])])
    np.testing.assert_allclose(p, 10.0 - 0.1 * (1.0 + 0.5 * 10.0))
