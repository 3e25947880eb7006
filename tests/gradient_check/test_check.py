"""check_gradients says right of what is right, for every kind of target, and wrong of what is wrong."""

import numpy as np
import pytest

from handgrad import functional as F
from handgrad.gradient_check import check_gradients

RNG = np.random.default_rng(7)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def test_a_right_pair_is_right_by_complex_step():
    report = check_gradients((F.linear_forward, F.linear_backward), X, W, B)
    assert report.ok, report
    assert list(report.arrays) == ["x", "weight", "bias"]
    assert report.max_error < 1e-14
    assert {check.method for check in report.arrays.values()} == {"complex step"}


def test_one_wrong_gradient_is_named():
    def wrong(dy, cache):
        dx, dweight, dbias = F.linear_backward(dy, cache)
        return dx, dweight, dbias * 1.001

    report = check_gradients((F.linear_forward, wrong), X, W, B)
    assert [verdict.array for verdict in report.verdicts] == ["bias"]
    assert "bias" in str(report)


def test_the_upstream_does_not_repeat_data_drawn_from_the_same_seed():
    x = np.random.default_rng(0).normal(size=(5, 4))
    report = check_gradients((F.tanh_forward, lambda dy, y: (x * (1 - y**2),)), x, seed=0)
    assert not report.ok


def test_dropout_with_a_generator_is_replayed():
    rng = np.random.default_rng(0)
    report = check_gradients((F.dropout_forward, F.dropout_backward), X, kwargs={"rng": rng})
    assert report.ok, report
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("arrays, problem", [((), "example arrays"), ((np.arange(3),), "array of floats")])
def test_misuse_raises(arrays, problem):
    with pytest.raises(TypeError, match=problem):
        check_gradients((F.relu_forward, F.relu_backward), *arrays)
