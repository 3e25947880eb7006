"""A run is judged by its figures: too little learned, too much by heart, or what carries over."""

import doctest

import pytest

from handgrad.reports import judgement
from handgrad.reports.judgement import judge


def history(loss, accuracy, validation_loss, validation_accuracy):
    return {
        "loss": loss,
        "accuracy": accuracy,
        "validation_loss": validation_loss,
        "validation_accuracy": validation_accuracy,
    }


# The figures that Purdue's three reference runs end with, and clear cases.
CASES = {
    "NumpyANN": (history([2.3, 0.33738], [0.1, 0.8905], [2.3, 0.37030], [0.1, 0.88]), "generalizing"),
    "PyTorchANN": (
        history([1.41, 0.54, 0.0571], [0.5, 0.8, 0.9845], [1.43, 0.526, 0.6506], [0.5, 0.82, 0.835]),
        "overfitting",
    ),
    "hardly better than guessing": (history([2.3, 2.1], [0.1, 0.28], [2.3, 2.1], [0.1, 0.283]), "underfitting"),
    "all right": (history([1, 0.1], [0.5, 0.97], [1, 0.12], [0.5, 0.96]), "generalizing"),
    "by heart": (history([1, 0.01], [0.5, 1.0], [1, 0.9], [0.5, 0.7]), "overfitting"),
}


@pytest.mark.parametrize("name", CASES)
def test_verdicts(name):
    figures, verdict = CASES[name]
    found = judge(figures, num_classes=10)
    assert found.verdict == verdict and found.reasons and str(found).startswith(f"{verdict}: ")


def test_reasons_carry_the_figures():
    (reason,) = judge(CASES["by heart"][0], num_classes=10).reasons
    assert reason == "accuracy is 1 on training rows and 0.7 on validation rows, 0.3 apart (more than 0.05)"
    (reason,) = judge(CASES["hardly better than guessing"][0], num_classes=10).reasons
    assert reason.startswith("accuracy is 0.28 on training rows: 20% of the way from guessing to perfect")


def test_a_validation_loss_that_turns_upwards_is_overfitting_although_accuracies_agree():
    figures = history([1, 0.3, 0.05], [0.5, 0.9, 0.92], [1, 0.4, 0.6], [0.5, 0.9, 0.9])
    (reason,) = judge(figures, num_classes=10).reasons
    assert "rose from 0.4 (epoch 2) to 0.6" in reason and "fell from 0.3 to 0.05" in reason


def test_the_model_that_was_kept_counts_not_the_last_epoch():
    figures = history([1, 0.3, 0.05], [0.5, 0.9, 0.99], [1, 0.4, 0.9], [0.5, 0.89, 0.8])
    kept = {"train": {"loss": 0.3, "accuracy": 0.9}, "validation": {"loss": 0.4, "accuracy": 0.89}}
    assert judge(figures, num_classes=10).verdict == "overfitting"
    assert judge(figures, kept, num_classes=10).verdict == "generalizing"


def test_a_gap_that_few_rows_explain_is_none():
    figures = history([1, 0.1], [0.5, 0.99], [1, 0.15], [0.5, 0.917])
    assert judge(figures, num_classes=3).verdict == "overfitting"
    assert judge(figures, num_classes=3, num_rows=24).verdict == "generalizing"
    assert "than chance explains in 100 rows" in str(judge(figures, num_classes=3, num_rows=100)).replace("\n", " ")


def test_regression_is_judged_by_r2():
    figures = {"loss": [10, 2], "validation_loss": [10, 2.2], "r2": [0, 0.8], "validation_r2": [0, 0.75]}
    assert judge(figures).verdict == "generalizing"
    assert judge({**figures, "r2": [0, 0.2], "validation_r2": [0, 0.2]}).verdict == "underfitting"
    assert "no better than guessing" in str(judge({**figures, "r2": [0, -2], "validation_r2": [0, -2]}))
    chance = history([2.4, 2.3], [0.1, 0.1003], [2.4, 2.3], [0.1, 0.1003])  # a network that has collapsed
    assert "no better than guessing" in str(judge(chance, num_classes=10))
    assert judge({**figures, "validation_r2": [0, 0.5]}).verdict == "overfitting"


def test_with_losses_alone_the_fall_of_the_loss_counts():
    assert judge({"loss": [1, 0.2], "validation_loss": [1, 0.2]}).verdict == "generalizing"
    assert judge({"loss": [1, 0.9], "validation_loss": [1, 0.9]}).verdict == "underfitting"


@pytest.mark.parametrize("figures", [{"loss": [1, 0.2]}, {}, {"loss": [1, float("nan")], "validation_loss": [1, 2]}])
def test_without_validation_there_is_no_judgement(figures):
    with pytest.raises(ValueError, match="needs the loss on training and on validation rows"):
        judge(figures)


def test_the_example():
    assert doctest.testmod(judgement).failed == 0
