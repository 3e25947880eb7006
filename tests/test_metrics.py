"""Metrics by hand, against scikit-learn, and on shapes that do not fit."""

import warnings

import numpy as np
import pytest

from handgrad.metrics import (
    accuracy,
    confusion_matrix,
    mean_squared_error,
    precision_recall_f1,
    r2_score,
    top_k_accuracy,
)

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
TARGETS = np.array([1, 0, 0, 1])


@pytest.fixture(params=range(3))
def labelled(request):
    rng = np.random.default_rng(request.param)
    return rng.normal(size=(50, 5)), rng.integers(0, 5, 50)


def test_accuracy_by_hand():
    assert accuracy(SCORES, TARGETS) == 0.5
    assert accuracy(SCORES.argmax(axis=1), TARGETS) == 0.5
    assert accuracy(SCORES, np.eye(3)[TARGETS]) == 0.5
    assert accuracy(np.array([[-1.0], [2.0]]), np.array([[0], [0]])) == 0.5
    assert isinstance(accuracy(SCORES.astype(np.float32), TARGETS), float)


def test_top_k_by_hand():
    assert [top_k_accuracy(SCORES, TARGETS, k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]


def test_confusion_matrix_by_hand():
    np.testing.assert_array_equal(confusion_matrix(SCORES, TARGETS), [[1, 0, 1], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(confusion_matrix(np.array([0, 1]), np.array([0, 0]), num_classes=2), [[1, 1], [0, 0]])


def test_zero_where_nothing_was_predicted_or_present():
    precision, recall, f1 = precision_recall_f1(np.array([0, 1, 1]), np.array([0, 0, 0]), num_classes=3)
    np.testing.assert_allclose(precision, [1, 0, 0])
    np.testing.assert_allclose(recall, [1 / 3, 0, 0])
    np.testing.assert_allclose(f1, [0.5, 0, 0])


@pytest.mark.parametrize("average", [None, "macro", "micro"])
def test_precision_recall_f1_is_scikit_learns(labelled, average):
    reference = pytest.importorskip("sklearn.metrics")
    scores, targets = labelled
    targets = targets.clip(0, 3)  # class 4 is predicted and never present
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference.precision_recall_fscore_support(
            targets, scores.argmax(axis=1), average=average, labels=range(5), zero_division=0
        )
    for ours, theirs in zip(precision_recall_f1(scores, targets, average), expected[:3], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_others_are_scikit_learns(labelled):
    reference = pytest.importorskip("sklearn.metrics")
    scores, targets = labelled
    predictions = scores.argmax(axis=1)
    assert accuracy(scores, targets) == pytest.approx(reference.accuracy_score(targets, predictions))
    assert top_k_accuracy(scores, targets, 2) == pytest.approx(
        reference.top_k_accuracy_score(targets, scores, k=2, labels=range(5))
    )
    np.testing.assert_array_equal(
        confusion_matrix(scores, targets), reference.confusion_matrix(targets, predictions, labels=range(5))
    )
    truth = scores + np.random.default_rng(9).normal(size=scores.shape)
    assert mean_squared_error(scores, truth) == pytest.approx(reference.mean_squared_error(truth, scores))
    assert r2_score(scores, truth) == pytest.approx(reference.r2_score(truth, scores))
    assert r2_score(scores[:, 0], truth[:, :1]) == pytest.approx(reference.r2_score(truth[:, 0], scores[:, 0]))


def test_r2_of_constant_targets():
    assert r2_score(np.ones(3), np.ones(3)) == 1.0
    assert r2_score(np.zeros(3), np.ones(3)) == 0.0


def test_r2_counts_a_row_of_weight_2_twice():
    assert r2_score([1, 2, 5], [1, 3, 4], [1, 2, 1]) == pytest.approx(r2_score([1, 2, 2, 5], [1, 3, 3, 4]))


@pytest.mark.parametrize(
    ("call", "fragment"),
    [
        (lambda: accuracy(SCORES, TARGETS[:3]), "got 4 and 3"),
        (lambda: accuracy(SCORES, TARGETS[:1]), "got 4 and 1"),
        (lambda: accuracy(np.empty((0, 3)), np.empty(0, int)), "at least one; got 0 and 0"),
        (lambda: accuracy(SCORES[None], TARGETS), "rows (N, C), got float64 of shape (1, 4, 3)"),
        (lambda: accuracy(np.array([0.2, 0.8]), np.array([0, 1])), "outputs must be whole labels"),
        (lambda: accuracy(SCORES, TARGETS - 1), "targets must be labels >= 0, got -1"),
        (lambda: top_k_accuracy(SCORES, TARGETS, 4), "got shape (4, 3) and k=4"),
        (lambda: top_k_accuracy(SCORES, TARGETS + 2, 2), "labels below 3"),
        (lambda: confusion_matrix(SCORES, TARGETS, num_classes=1), "below num_classes=1, got 2"),
        (lambda: precision_recall_f1(SCORES, TARGETS, "weighted"), "got 'weighted'"),
        (lambda: mean_squared_error(np.ones((3, 2)), np.ones(3)), "got (3, 2) and (3,)"),
        (lambda: mean_squared_error(np.ones((3, 1)), np.ones((1, 3))), "got (3, 1) and (1, 3)"),
        (lambda: r2_score(np.ones(0), np.ones(0)), "at least one row"),
    ],
)
def test_shapes_and_values_that_do_not_fit_are_refused(call, fragment):
    with pytest.raises(ValueError) as raised:
        call()
    assert fragment in str(raised.value)
