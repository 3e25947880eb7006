"""Pictures of filters, confusion, wrong examples and sweeps: drawn for every shape of input, refused with a reason."""

import numpy as np
import pytest

from handgrad.reports import pictures


@pytest.fixture
def rng():
    return np.random.default_rng(0)


HOSTILE = ["$x$", "<script>alert(1)</script>", "a_very_long_class_name_indeed"]


def test_filters_of_a_convolution_and_of_a_dense_layer(tmp_path, rng):
    assert pictures.save_filters(rng.normal(size=(3, 3, 3, 7)), tmp_path / "a.png", title="$a").exists()
    assert pictures.save_filters(rng.normal(size=(64, 5)), tmp_path / "b.png", image_shape=(8, 8, 1)).exists()


def test_weights_that_are_no_picture_are_refused(tmp_path, rng):
    with pytest.raises(ValueError, match=r"\(4, 25\) are no pictures.*image_shape=None"):
        pictures.save_filters(rng.normal(size=(4, 25)), tmp_path / "a.png")


def test_a_weight_image_shows_the_sign():
    weight = np.array([[1.0, -2.0], [0.0, 0.0]])[:, :, None, None]
    (image,) = pictures.weight_images(weight)
    assert np.allclose(image[0, 1], pictures.NEGATIVE) and np.allclose(image[1], 1)
    assert image[0, 0, 0] > image[0, 0, 2]  # positive is vermilion: more red than blue


def test_colour_filters_stand_around_grey(rng):
    pictured = pictures.weight_images(rng.normal(size=(3, 3, 3, 4)))
    assert pictured.shape == (4, 3, 3, 3) and pictured.min() >= 0 and pictured.max() <= 1
    assert np.allclose(pictures.weight_images(np.zeros((2, 2, 3, 1))), 0.5)


def test_grid_holds_every_picture():
    tiles = np.arange(5)[:, None, None, None] / 5 * np.ones((5, 20, 30, 3))
    joined = pictures.grid(tiles, gap=1)
    assert joined.shape == (2 * 20 + 1, 3 * 30 + 2, 3)
    assert np.array_equal(joined[21:, 31:61], tiles[4])


def test_small_pictures_are_enlarged_in_a_grid():
    assert pictures.grid(np.zeros((4, 3, 3, 3)), gap=2).shape == (2 * 24 + 2, 2 * 24 + 2, 3)


def test_data_uri_is_the_picture():
    import base64
    import io

    from PIL import Image

    picture = np.zeros((2, 3, 3))
    picture[0, 1] = 1, 0, 0
    prefix, text = pictures.data_uri(picture).split(",")
    assert prefix == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        assert image.size == (3, 2) and image.convert("RGB").getpixel((1, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "shape, drawable",
    [
        ((8, 8), True),
        ((28, 28, 1), True),
        ((32, 32, 3), True),
        ((30, 2), False),
        ((13,), False),
        ((1, 1, 3), False),
        ((8, 8, 5), False),
    ],
)
def test_which_examples_can_be_drawn(shape, drawable):
    assert pictures.is_image(shape) == drawable


@pytest.mark.parametrize("num_classes", [3, 45])
def test_confusion_matrix(tmp_path, rng, num_classes):
    names = HOSTILE if num_classes == 3 else None
    matrix = rng.integers(0, 9, (num_classes, num_classes))
    matrix[0] = 0
    assert pictures.save_confusion_matrix(matrix, tmp_path / "m.png", names, title="test").exists()


def test_confusion_matrix_is_square_and_named(tmp_path):
    with pytest.raises(ValueError, match=r"square.*\(2, 3\)"):
        pictures.save_confusion_matrix(np.zeros((2, 3)), tmp_path / "m.png")
    with pytest.raises(ValueError, match="3 classes needs as many names, got 2"):
        pictures.save_confusion_matrix(np.eye(3), tmp_path / "m.png", ["a", "b"])


def test_shades_tell_right_from_wrong():
    shade = pictures.shades(np.array([[8, 2], [0, 5]]))
    assert shade[0, 0, 2] > shade[0, 0, 0] and shade[0, 1, 0] > shade[0, 1, 2] and np.allclose(shade[1, 0], 1)


@pytest.mark.parametrize("count", [1, 8])
def test_wrong_examples(tmp_path, rng, count):
    shown = rng.integers(0, 255, (count, 8, 8, 1), dtype=np.uint8)
    names = (HOSTILE * 3)[:count]
    path = pictures.save_wrong_examples(shown, names, names, [0.9] * count, tmp_path / "w.png", title="worst")
    assert path.exists()


def test_no_wrong_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no wrong examples"):
        pictures.save_wrong_examples([], [], [], [], tmp_path / "w.png")


def results():
    return [
        {"learning_rate": rate, "hidden": hidden, "seed": seed, "validation_accuracy": 0.5 + seed / 10}
        for rate in (1e-3, 1e-1)
        for hidden in (10, 50)
        for seed in (0, 1)
    ]


def test_sweep_groups_seeds_and_separates_settings(tmp_path):
    lines = pictures.sweep_lines(results(), "learning_rate", "validation_accuracy")
    assert set(lines) == {"hidden 10", "hidden 50"}
    assert lines["hidden 10"] == {1e-3: [0.5, 0.6], 1e-1: [0.5, 0.6]}
    assert pictures.save_sweep(results(), "learning_rate", tmp_path / "s.png", title="$").exists()


def test_sweep_over_words_and_failed_runs(tmp_path):
    named = [{"optimizer": n, "validation_accuracy": a} for n, a in (("$sgd$", 0.9), ("adam", 0.8), ("bad", None))]
    assert pictures.save_sweep(named, "optimizer", tmp_path / "s.png").exists()
    with pytest.raises(ValueError, match="no results to draw: each needs 'rate'"):
        pictures.save_sweep(named, "rate", tmp_path / "s.png")
