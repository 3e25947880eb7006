"""Pictures of curves: a file appears, whole and alone, for every shape of history."""

import numpy as np
import pytest

from handgrad.reports import charts, pictures, view

CLASSIFICATION = {
    "loss": [1.2, 0.6, 0.3, 0.2],
    "accuracy": [0.4, 0.6, 0.8, 0.9],
    "validation_loss": [1.3, 0.7, 0.6, 0.8],
    "validation_accuracy": [0.4, 0.5, 0.7, 0.7],
    "learning_rate": [0.1, 0.1, 0.01, 0.001],
}


def size(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("keep", [4, 1])
def test_classification_has_two_panels(tmp_path, keep):
    history = {name: values[:keep] for name, values in CLASSIFICATION.items()}
    width, height = size(pictures.save_curves(history, tmp_path / "curves.png", title="run $1$ <b>"))
    assert width > 2.5 * height
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]


def test_regression_has_one_panel(tmp_path):
    history = {"loss": [100.0, 1.0, 0.1], "validation_loss": [90.0, 2.0, 0.3], "learning_rate": [0.1, 0.1, 0.1]}
    width, height = size(pictures.save_curves(history, tmp_path / "curves.png"))
    assert width < 2 * height


def test_without_validation_there_is_no_best_epoch(tmp_path):
    assert view.best_epoch({"loss": [2.0, 1.0]}) is None
    assert pictures.save_curves({"loss": [2.0, 1.0]}, tmp_path / "c.png").exists()


def test_best_epoch_is_the_first_lowest_validation_loss():
    assert view.best_epoch(CLASSIFICATION) == 3
    assert view.best_epoch({"validation_loss": [float("nan"), None, 0.5, 0.5]}) == 3


def test_the_epoch_that_was_restored_is_marked_in_place_of_the_best(tmp_path):
    assert view.marked_epoch(CLASSIFICATION) == (3, "best")
    assert view.marked_epoch(CLASSIFICATION, 2) == (2, "restored")
    assert view.marked_epoch(CLASSIFICATION, 99) == (3, "best")
    assert pictures.save_curves(CLASSIFICATION, tmp_path / "c.png", restored=2).exists()


def test_a_diverged_run_is_drawn(tmp_path):
    history = {"loss": [1.0, 50.0, float("inf"), None], "validation_loss": [1.0, float("nan"), None, float("inf")]}
    assert pictures.save_curves(history, tmp_path / "c.png").exists()
    assert pictures.save_curves({"loss": [None, float("nan")]}, tmp_path / "nothing.png").exists()


def test_epochs_without_figures_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no epoch yet"):
        pictures.save_curves({}, tmp_path / "c.png")
    assert not list(tmp_path.iterdir())


def test_unknown_suffix_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"\.png.*not '\.bmpx'"):
        pictures.save_curves(CLASSIFICATION, tmp_path / "c.bmpx")


@pytest.mark.parametrize("rates", [[0.1, 0.1], [0.1, 1e-5], [0.0, 0.0]])
def test_learning_rate(tmp_path, rates):
    assert pictures.save_learning_rate({"learning_rate": rates}, tmp_path / "rate.svg").read_text().startswith("<?xml")


def test_learning_rate_must_be_there(tmp_path):
    with pytest.raises(ValueError, match="no 'learning_rate'"):
        pictures.save_learning_rate({"loss": [1.0]}, tmp_path / "rate.png")


def test_a_name_that_no_font_has_draws_quietly(tmp_path):
    assert pictures.save_curves(CLASSIFICATION, tmp_path / "c.png", title="训练 \U0001f600").exists()


def test_spread_keeps_labels_apart_and_inside():
    placed = charts.spread([0.5, 0.5, 1.4, 0.0], 0.2, 0.0, 1.0)
    assert np.diff(np.sort(placed)).min() >= 0.2 - 1e-12 and placed.min() >= 0 and placed.max() <= 1
    assert placed[3] < placed[0] < placed[2]


def test_pictures_leave_pyplot_alone(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from handgrad.reports import save_curves; assert 'matplotlib' not in sys.modules; "
        f"save_curves({{'loss': [2.0, 1.0]}}, {str(tmp_path / 'c.png')!r}); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
