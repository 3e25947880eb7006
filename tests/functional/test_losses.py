"""Losses: what they refuse, and figures that can be worked out by hand."""

import math

import numpy as np
import pytest

from handgrad import functional as F

LOGITS = np.zeros((4, 3))
LABELS = np.array([0, 1, 2, 0])
ELEMENTWISE = ["mean_squared_error", "mean_absolute_error", "huber", "binary_cross_entropy"]
LABELLED = ["cross_entropy", "probability_cross_entropy", "hinge"]


def forward(name):
    return getattr(F, f"{name}_forward")


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.array([0, 1, 3, 0]), ValueError, "labels must be 0 to 2 for 3 outputs, got 3 in row 2"),
        (np.array([0, -1, 2, 0]), ValueError, "labels must be 0 to 2 for 3 outputs, got -1 in row 1"),
        (np.array([0.0, 1.0, 2.0, 0.0]), TypeError, "labels must be integers, got float64"),
        (np.array([True, False, True, True]), TypeError, "labels must be integers, got bool"),
        (np.array(["a", "b", "c", "a"]), TypeError, "labels must be integers, got <U1"),
        (np.array([0, 1]), ValueError, r"outputs \(4, 3\) need labels \(4,\).*, got targets \(2,\)"),
        (np.array([[0], [1], [2], [0]]), ValueError, r"outputs \(4, 3\) need labels \(4,\).*, got targets \(4, 1\)"),
        (np.array(1), ValueError, r"got targets \(\)"),
    ],
)
def test_wrong_labels_are_refused(name, labels, error, message):
    with pytest.raises(error, match=f"^{name}: .*{message}") as caught:
        forward(name)(LOGITS, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LABELLED)
def test_outputs_must_be_rows_of_classes(name):
    with pytest.raises(ValueError, match=r"\(examples, classes\) with at least one example, got \(3,\)"):
        forward(name)(np.zeros(3), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"at least one example, got \(0, 3\)"):
        forward(name)(np.zeros((0, 3)), np.zeros(0, int))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(
    ("outputs", "targets"),
    [((4, 3), (4,)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((4,), (4, 1)), ((1, 1), (4,)), ((4, 1), ())],
)
def test_shapes_that_would_broadcast_are_refused(name, outputs, targets):
    with pytest.raises(ValueError, match=rf"^{name}: targets .* do not fit outputs .*: the shapes must be equal"):
        forward(name)(np.zeros(outputs), np.zeros(targets))


@pytest.mark.parametrize("name", ["cross_entropy", "probability_cross_entropy"])
@pytest.mark.parametrize("row", [[-0.5, 1.5, 0], [3, 3, 1], [0, 0, 0], [np.nan, 1, 0], [np.inf, 1, 0], [1, 1, 0]])
def test_targets_that_are_no_probabilities_are_refused(name, row):
    targets = [[0.2, 0.3, 0.5], [1, 0, 0], row, [0.33, 0.33, 0.33]]
    what = f"^{name}: targets of the outputs' shape are probabilities, .* in row 2: divide each row by its sum"
    with pytest.raises(ValueError, match=what):
        forward(name)(np.full((4, 3), 1 / 3), targets)
    assert forward(name)(np.full((3, 3), 1 / 3), np.delete(targets, 2, 0))[0] > 0  # rounded ones are taken


MASKED = np.ma.masked_array(np.full((4, 3), 0.5), mask=np.eye(4, 3))


@pytest.mark.parametrize("name", ELEMENTWISE + LABELLED)
def test_what_is_no_array_of_numbers_is_refused(name):
    labelled = name in LABELLED
    outputs = np.full((4, 3), 1 / 3)
    targets = LABELS if labelled else outputs
    for wrong in (MASKED[:, 0] if labelled else MASKED, MASKED.astype(int)):
        with pytest.raises(TypeError, match=f"^{name}: targets is a masked array, .* fill them"):
            forward(name)(outputs, wrong)
    with pytest.raises(TypeError, match=f"^{name}: outputs is a masked array"):
        forward(name)(MASKED, targets)
    with pytest.raises(TypeError, match=f"^{name}: sample_weight is a masked array"):
        forward(name)(outputs, targets, sample_weight=MASKED[:, 0])
    with pytest.raises(TypeError, match=f"^{name}: outputs must be an array of numbers, got dtype object"):
        forward(name)(outputs.astype(object), targets)
    with pytest.raises(ValueError, match=f"^{name}: targets is no array: the rows of a list"):
        forward(name)(outputs, [[1, 0, 0], [1], [0, 1, 0], [1, 0, 0]])
    with pytest.raises(ValueError, match="sample_weight must be finite, got inf"):
        forward(name)(outputs, targets, sample_weight=[1, np.inf, 1, 1])


@pytest.mark.parametrize("name", [*ELEMENTWISE, "cross_entropy", "probability_cross_entropy"])
@pytest.mark.parametrize("dtype", [complex, object, str, "datetime64[D]"])
def test_targets_of_other_kinds_are_refused(name, dtype):
    with pytest.raises(TypeError, match=f"^{name}: targets must be an array of numbers, got dtype "):
        forward(name)(np.full((4, 3), 1 / 3), np.zeros((4, 3), int).astype(dtype))


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "huber"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_targets_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"^{name}: targets must be finite, got {value} at \(1, 0\)"):
        forward(name)(np.zeros((2, 1)), [0, value])
    assert not math.isfinite(forward(name)(np.full((2, 1), value), np.zeros(2))[0])  # the outputs' own are shown


def test_lists_and_whole_numbers_are_taken_for_outputs():
    assert F.mean_squared_error_forward([1, 2], [0, 0])[0] == 2.5


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_empty_batch_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name}: outputs \(0, 3\) hold no example"):
        forward(name)(np.zeros((0, 3)), np.zeros((0, 3)))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_targets_n_fit_outputs_n_by_1(name):
    outputs, targets = np.random.default_rng(0).random((4, 1)), np.array([0, 1, 1, 0])
    loss, cache = forward(name)(outputs, targets)
    assert loss == forward(name)(outputs, targets[:, None])[0]
    assert getattr(F, f"{name}_backward")(1.0, cache)[0].shape == (4, 1)


@pytest.mark.parametrize("name", ELEMENTWISE + LABELLED)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight must be \(4,\), got \(3,\)"),
        (np.ones((4, 1)), r"sample_weight must be \(4,\), got \(4, 1\)"),
        (np.array([1.0, -2.0, 1.0, 1.0]), "sample_weight must not be negative, got -2.0"),
        (np.array([1.0, np.nan, 1.0, 1.0]), "sample_weight must not be negative, got nan"),
        (np.zeros(4), "the weights of this batch sum to 0.0"),
    ],
)
def test_wrong_sample_weights_are_refused(name, weights, message):
    targets = LABELS if name in LABELLED else np.zeros((4, 3))
    with pytest.raises(ValueError, match=f"^{name}: {message}"):
        forward(name)(LOGITS, targets, sample_weight=weights)


@pytest.mark.parametrize("name", ELEMENTWISE + LABELLED)
def test_a_sample_weight_counts_like_repeated_rows(name):
    rng = np.random.default_rng(0)
    outputs = rng.dirichlet(np.ones(3), 4)
    targets = LABELS if name in LABELLED else rng.random((4, 3))
    weights = np.array([1, 0, 3, 2])
    repeated, _ = forward(name)(np.repeat(outputs, weights, axis=0), np.repeat(targets, weights, axis=0))
    assert forward(name)(outputs, targets, sample_weight=weights)[0] == pytest.approx(repeated, rel=1e-14)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match=r"class_weight must be \(3,\), got \(4,\)"):
        F.cross_entropy_forward(LOGITS, LABELS, class_weight=np.ones(4))
    with pytest.raises(ValueError, match=r"class_weight must not be negative, got -1\.0"):
        F.cross_entropy_forward(LOGITS, LABELS, class_weight=[1, -1, 1])
    with pytest.raises(ValueError, match=r"label_smoothing must be a finite number >= 0 and < 1, got 1.0"):
        F.cross_entropy_forward(LOGITS, LABELS, label_smoothing=1.0)
    with pytest.raises(ValueError, match="delta must be a finite number > 0, got 0"):
        F.huber_forward(np.zeros(2), np.zeros(2), delta=0)
    with pytest.raises(ValueError, match="targets must lie between 0 and 1, got 0 to 2"):
        F.binary_cross_entropy_forward(np.zeros(2), np.array([0, 2]))


def test_logits_are_refused_where_probabilities_are_expected():
    with pytest.raises(ValueError, match=r"must not be negative, got -1\.5: for logits use cross_entropy"):
        F.probability_cross_entropy_forward(np.array([[2.5, -1.5]]), np.array([0]))
    with pytest.raises(ValueError, match=r"must not be above 1, got 2\.5: for logits use cross_entropy"):
        F.probability_cross_entropy_forward(np.array([[2.5, 1.5]]), np.array([0]))


def test_equal_logits_cost_log_of_the_number_of_classes():
    assert F.cross_entropy_forward(LOGITS, LABELS)[0] == pytest.approx(math.log(3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_labels_of_any_integer_type(dtype):
    loss, cache = F.cross_entropy_forward(LOGITS, LABELS.astype(dtype))
    assert loss == pytest.approx(math.log(3))
    np.testing.assert_allclose(F.cross_entropy_backward(1.0, cache)[0], (1 / 3 - np.eye(3)[LABELS]) / 4)


def test_labels_may_be_a_list():
    assert F.cross_entropy_forward(LOGITS, [0, 1, 2, 0])[0] == F.cross_entropy_forward(LOGITS, LABELS)[0]


def test_one_hot_targets_cost_what_labels_cost():
    logits = np.random.default_rng(0).standard_normal((4, 3))
    for targets in (np.eye(3)[LABELS], np.eye(3, dtype=int)[LABELS]):
        loss, cache = F.cross_entropy_forward(logits, targets)
        expected, expected_cache = F.cross_entropy_forward(logits, LABELS)
        assert loss == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(
            F.cross_entropy_backward(1.0, cache)[0], F.cross_entropy_backward(1.0, expected_cache)[0], atol=1e-16
        )


def test_probability_cross_entropy_after_softmax_is_cross_entropy():
    """Erratum 1 of the courses: the two backwards must meet once, in -q/p through the Jacobian or fused, never both."""
    logits = np.random.default_rng(0).standard_normal((4, 3))
    probabilities, softmax_cache = F.softmax_forward(logits)
    loss, cache = F.probability_cross_entropy_forward(probabilities, LABELS)
    (dlogits,) = F.softmax_backward(F.probability_cross_entropy_backward(1.0, cache)[0], softmax_cache)
    fused_loss, fused_cache = F.cross_entropy_forward(logits, LABELS)
    assert loss == pytest.approx(fused_loss, rel=1e-14)
    np.testing.assert_allclose(dlogits, F.cross_entropy_backward(1.0, fused_cache)[0], atol=1e-16)


def test_probability_cross_entropy_is_finite_where_the_model_is_sure_and_wrong():
    loss, cache = F.probability_cross_entropy_forward(np.array([[1.0, 0.0]]), np.array([1]))
    (dprobabilities,) = F.probability_cross_entropy_backward(1.0, cache)
    assert math.isfinite(loss)
    assert dprobabilities[0, 0] == 0
    assert np.isfinite(dprobabilities[0, 1])


def test_hinge_by_hand():
    scores = np.array([[3.0, 2.5, 1.0], [0.0, 0.0, 0.0]])
    loss, cache = F.hinge_forward(scores, np.array([0, 2]))
    assert loss == (0.5 + 2) / 2
    np.testing.assert_array_equal(F.hinge_backward(1.0, cache)[0], np.array([[-1, 1, 0], [1, 1, -2]]) / 2)


def test_regression_losses_by_hand():
    outputs, targets = np.array([[1.0, 5.0]]), np.array([[1.5, 2.0]])
    assert F.mean_squared_error_forward(outputs, targets)[0] == (0.25 + 9) / 2
    assert F.mean_absolute_error_forward(outputs, targets)[0] == (0.5 + 3) / 2
    assert F.huber_forward(outputs, targets)[0] == (0.125 + 2.5) / 2
    _, cache = F.mean_absolute_error_forward(outputs, outputs)
    np.testing.assert_array_equal(F.mean_absolute_error_backward(1.0, cache)[0], [[0, 0]])


def test_penalties_by_hand():
    weight = np.array([[3.0, 0.0], [-4.0, 0.0]])
    penalty, cache = F.l2_penalty_forward(weight, strength=0.1)
    assert penalty == pytest.approx(0.5 * 0.1 * 25)
    np.testing.assert_allclose(F.l2_penalty_backward(1.0, cache)[0], 0.1 * weight)
    penalty, cache = F.l1_penalty_forward(weight, strength=0.1)
    assert penalty == pytest.approx(0.1 * 7)
    np.testing.assert_allclose(F.l1_penalty_backward(2.0, cache)[0], [[0.2, 0], [-0.2, 0]])
