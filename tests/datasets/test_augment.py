"""Random flips and crops: what they may do to an image, and that a seed repeats them."""

import numpy as np
import pytest

from handgrad.datasets import augment
from handgrad.datasets.augment import Chain, RandomCrop, RandomFlip


@pytest.fixture(params=[np.uint8, np.float32])
def x(request):
    return (np.random.default_rng(0).random((40, 7, 5, 3)) * 255 + 1).astype(request.param)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("augmentation", [RandomFlip(), RandomCrop(2), Chain([RandomCrop(1), RandomFlip()])])
def test_shape_type_seed_and_purity(x, augmentation):
    before = x.copy()
    first, again, other = (augmentation(x, rng(seed)) for seed in (1, 1, 2))
    assert first.shape == x.shape and first.dtype == x.dtype and first.flags.c_contiguous
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(x, before)


def test_a_flip_mirrors_columns_of_about_half_the_images(x):
    y = RandomFlip()(x, rng())
    mirrored = [np.array_equal(b, a[:, ::-1]) for a, b in zip(x, y, strict=True)]
    kept = [np.array_equal(b, a) for a, b in zip(x, y, strict=True)]
    assert sum(mirrored) + sum(kept) == len(x) and 10 < sum(mirrored) < 30


def test_the_rate_of_flips(x):
    np.testing.assert_array_equal(RandomFlip(1)(x, rng()), x[:, :, ::-1])
    np.testing.assert_array_equal(RandomFlip(0)(x, rng()), x)


def test_a_crop_is_a_window_of_the_padded_image(x):
    places = set()
    for image, cropped in zip(x, RandomCrop(2)(x, rng()), strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        fits = [(i, j) for i in range(5) for j in range(5) if np.array_equal(padded[i : i + 7, j : j + 5], cropped)]
        assert len(fits) == 1
        places.update(fits)
    assert {i for i, _ in places} == {j for _, j in places} == set(range(5))
    np.testing.assert_array_equal(RandomCrop(0)(x, rng()), x)


def test_from_a_configuration():
    chain = augment.get([{"name": "random_crop", "padding": 3}, "random_flip"])
    assert repr(chain.steps) == "[RandomCrop(padding=3), RandomFlip(rate=0.5)]"
    assert augment.get(None) is None and augment.get([]) is None and augment.get(chain) is chain


@pytest.mark.parametrize(
    "given, message",
    [
        ("random_flop", "unknown augmentation 'random_flop'; did you mean 'random_flip'"),
        ({"name": "random_crop", "pading": 2}, "no argument 'pading'; did you mean 'padding'"),
        ({"padding": 2}, "has no 'name'"),
        ({"name": "random_crop", "padding": -1}, "whole number >= 0, got -1"),
        ({"name": "random_crop", "padding": 1.5}, "whole number >= 0, got 1.5"),
        ({"name": "random_flip", "rate": 2}, "rate must be a finite number .*got 2"),
    ],
)
def test_bad_configurations(given, message):
    with pytest.raises(ValueError, match=message):
        augment.get(given)


def test_rows_of_features_are_no_images():
    with pytest.raises(ValueError, match=r"RandomCrop takes images .*got \(8, 64\)"):
        RandomCrop()(np.ones((8, 64)), rng())
