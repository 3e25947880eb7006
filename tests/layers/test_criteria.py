"""Losses and penalties as objects: the pairs, with their options and one cache."""

import copy

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad.layers.criteria import LOSSES, get_loss, get_penalty

LABELS = np.array([0, 2, 1, 1])
LOGITS = np.random.default_rng(0).standard_normal((4, 3))


def test_a_copy_of_a_loss_has_no_cache():
    loss = hg.Huber()
    loss.forward(np.ones(2), np.zeros(2))
    loss.backward()
    with pytest.raises(ValueError, match="call forward"):
        copy.deepcopy(loss).backward()


def test_cross_entropy_is_the_pair_with_its_options():
    options = {"class_weight": np.array([1.0, 2.0, 3.0]), "label_smoothing": 0.1}
    loss, weight = hg.CrossEntropy(**options), np.array([1.0, 2.0, 0.5, 1.0])
    value, cache = F.cross_entropy_forward(LOGITS, LABELS, sample_weight=weight, **options)
    assert loss.forward(LOGITS, LABELS, weight) == loss(LOGITS, LABELS, weight) == value
    np.testing.assert_array_equal(loss.backward(), F.cross_entropy_backward(1.0, cache)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_object_has_right_gradients(name):
    loss, outputs = get_loss(name), LOGITS
    targets = LABELS if loss.classification else np.random.default_rng(1).standard_normal((4, 3))
    if name == "probability-cross-entropy":
        outputs = F.softmax_forward(LOGITS)[0]
    if name == "binary-cross-entropy":
        targets = (LOGITS[::-1] > 0).astype(float)
    assert hg.check_gradients(loss, outputs, targets).ok


def test_backward_needs_its_forward():
    loss = hg.MeanSquaredError()
    loss(LOGITS, LOGITS)
    with pytest.raises(ValueError, match="no cache"):
        loss.backward()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda: hg.Huber(-1), "Huber: delta must be a finite number > 0, got -1"),
        (
            lambda: hg.CrossEntropy(label_smoothing=2),
            "CrossEntropy: label_smoothing must be a finite number >= 0 and < 1",
        ),
    ],
)
def test_options_out_of_range_are_refused_at_once(loss, message):
    with pytest.raises(ValueError, match=message):
        loss()


def test_losses_by_name():
    assert isinstance(get_loss("cross_entropy"), hg.CrossEntropy)
    assert get_loss({"name": "huber", "delta": 2.0}).delta == 2.0
    with pytest.raises(ValueError, match="did you mean 'huber'"):
        get_loss("hubber")


@pytest.mark.parametrize("penalty, value", [(hg.L2(0.5), 0.25 * 30), (hg.L1(0.5), 0.5 * 10)])
def test_penalties_count_weights_only(penalty, value):
    parameters = {"linear1.weight": np.array([[1.0, -2.0], [3.0, -4.0]]), "linear1.bias": np.array([9.0, 9.0])}
    gradients = {name: np.zeros_like(array) for name, array in parameters.items()}
    assert penalty(parameters) == penalty.add(parameters, gradients) == value
    step = 1e-6
    numeric = (
        penalty({"weight": parameters["linear1.weight"] + step * np.eye(2)})
        - penalty({"weight": parameters["linear1.weight"] - step * np.eye(2)})
    ) / (2 * step)
    np.testing.assert_allclose(np.trace(gradients["linear1.weight"]), numeric, rtol=1e-6)
    assert not gradients["linear1.bias"].any()


def test_penalties_by_name():
    assert isinstance(get_penalty({"name": "l2", "strength": 0.1}), hg.L2) and get_penalty(None) is None
    with pytest.raises(ValueError, match="strength"):
        hg.L1(-1)
