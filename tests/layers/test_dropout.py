"""Dropout as a layer: only in training, reproducible by seed."""

import numpy as np
import pytest

import handgrad as hg


def test_inference_changes_nothing_and_training_drops():
    model = hg.Sequential([hg.Dropout(0.25)]).build((1000,), rng=0)
    x = np.ones((10, 1000), np.float32)
    np.testing.assert_array_equal(model.forward(x), x)
    y = model.forward(x, training=True)
    assert set(np.unique(y)) == {0, np.float32(4 / 3)}
    np.testing.assert_array_equal(model.backward(np.ones_like(y)), y)


def test_one_seed_drops_the_same_in_the_same_order():
    first, second = (hg.Sequential([hg.Dropout()]).build((50,), rng=3) for _ in range(2))
    x = np.ones((4, 50), np.float32)
    a, b = (first.forward(x, training=True) for _ in range(2))
    np.testing.assert_array_equal(a, second.forward(x, training=True))
    np.testing.assert_array_equal(b, second.forward(x, training=True))
    assert (a != b).any()


def test_gradients():
    assert hg.check_gradients(hg.Dropout(0.4).build((6,), rng=0, dtype=np.float64), np.ones((3, 6))).ok


@pytest.mark.parametrize("rate", [1, -0.5, 2])
def test_a_rate_outside_zero_to_one_is_refused_at_once(rate):
    with pytest.raises(ValueError, match=rf"must be a finite number >= 0 and < 1, got {rate}"):
        hg.Dropout(rate)
