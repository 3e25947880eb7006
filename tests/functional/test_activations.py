"""Activations where the table of pairs cannot look: at kinks, at saturation, along axes; and their table of facts."""

import inspect

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad.layers.activations import ACTIVATIONS


def test_every_activation_layer_has_its_facts():
    classes = {cls for cls in vars(hg).values() if isinstance(cls, type) and issubclass(cls, hg.Activation)}
    assert set(ACTIVATIONS.values()) == classes - {hg.Activation}


@pytest.mark.parametrize("name", [name for name, facts in F.ACTIVATIONS.items() if facts.slope])
def test_slopes_are_shares_of_the_steepest_derivative(name):
    facts = F.ACTIVATIONS[name]
    options = inspect.signature(facts.forward).parameters.values()
    x = np.linspace(-6, 30, 2161)  # 0 among them
    y, cache = facts.forward(x)
    (derivative,) = facts.backward(np.ones_like(x), cache)
    slope = facts.slope(y, **{p.name: p.default for p in options if p.default is not p.empty})
    np.testing.assert_allclose(slope, derivative / derivative.max(), atol=1e-4)


def test_relu6_keeps_the_smallest_numbers():
    y, cache = F.relu6_forward(np.array([1e-69, 5e-324, 6.0, np.inf]))
    np.testing.assert_array_equal(y, [1e-69, 5e-324, 6.0, 6.0])
    np.testing.assert_array_equal(F.relu6_backward(np.ones(4), cache)[0], [1, 1, 0, 0])


@pytest.mark.parametrize(("name", "at_zero"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)])
def test_derivative_at_the_kink(name, at_zero):
    _, cache = getattr(F, f"{name}_forward")(np.array([0.0, -0.0]))
    (dx,) = getattr(F, f"{name}_backward")(np.ones(2), cache)
    np.testing.assert_array_equal(dx, [at_zero, at_zero])


def test_elu_at_its_kink_has_the_slope_alpha():
    _, cache = F.elu_forward(np.array([0.0]), alpha=0.3)
    np.testing.assert_allclose(F.elu_backward(np.ones(1), cache)[0], [0.3])


@pytest.mark.parametrize("alpha", [2.0, -0.5])
def test_leaky_relu_takes_slopes_above_one_and_below_zero(alpha):
    y, cache = F.leaky_relu_forward(np.array([-3.0, 2.0]), alpha=alpha)
    np.testing.assert_allclose(y, [-3 * alpha, 2])
    np.testing.assert_allclose(F.leaky_relu_backward(np.ones(2), cache)[0], [alpha, 1])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "silu", "gelu"])
def test_nan_passes_through(name):
    y, _ = getattr(F, f"{name}_forward")(np.array([np.nan, 1.0]))
    assert np.isnan(y[0])
    assert np.isfinite(y[1])


def test_relu_of_infinities():
    np.testing.assert_array_equal(F.relu_forward(np.array([-np.inf, np.inf]))[0], [0, np.inf])


def test_sigmoid_keeps_its_digits_far_out():
    y, _ = F.sigmoid_forward(np.array([-100.0, -700.0]))
    np.testing.assert_allclose(y, np.exp([-100.0, -700.0]), rtol=1e-12)


def test_log_softmax_keeps_its_digits_far_out():
    y, _ = F.log_softmax_forward(np.array([[0.0, -1000.0]]))
    np.testing.assert_array_equal(y, [[0, -1000]])


def test_softmax_is_unchanged_by_a_shift_and_sums_to_one():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    y, _ = F.softmax_forward(x)
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    np.testing.assert_allclose(F.softmax_forward(x + 1e3)[0], y, rtol=1e-12)
