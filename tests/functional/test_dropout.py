"""The dropout pair: what it keeps, what it drops, and when it does nothing."""

import re

import numpy as np
import pytest

from directional import assert_backward_is_exact
from handgrad.functional.dropout import dropout_backward, dropout_forward


def test_dropped_entries_are_zero_and_the_rest_is_scaled_up():
    x = np.ones((1000, 10))
    y, _ = dropout_forward(x, rate=0.2, rng=0)
    assert set(np.unique(y)) == {0.0, 1.25}
    assert 0.18 < (y == 0).mean() < 0.22


def test_gradients_pass_where_numbers_passed():
    assert_backward_is_exact(dropout_forward, dropout_backward, np.random.default_rng(0).normal(size=(4, 5)), rng=3)


def test_one_seed_drops_the_same_entries_in_every_dtype():
    double, _ = dropout_forward(np.ones((50, 50)), rng=1)
    single, _ = dropout_forward(np.ones((50, 50), dtype=np.float32), rng=1)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double)


def test_a_generator_moves_on_from_call_to_call():
    rng = np.random.default_rng(0)
    first, second = (dropout_forward(np.ones(100), rng=rng)[0] for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize("keywords", [{"training": False}, {"rate": 0}])
def test_dropout_that_drops_nothing_needs_no_generator(keywords):
    x = np.random.default_rng(0).normal(size=(4, 5))
    y, cache = dropout_forward(x, **keywords)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(dropout_backward(x, cache)[0], x)


@pytest.mark.parametrize("rate", [1, -0.1, 1.5, float("nan"), None, "half", True, np.ones(2)])
def test_dropout_refuses_a_rate_outside_zero_to_one(rate):
    with pytest.raises(
        ValueError, match=rf"rate, .* must be a finite number >= 0 and < 1, got {re.escape(repr(rate))}"
    ):
        dropout_forward(np.ones(3), rate=rate, rng=0)


def test_dropout_in_training_needs_a_generator():
    with pytest.raises(ValueError, match="training needs rng="):
        dropout_forward(np.ones(3))
