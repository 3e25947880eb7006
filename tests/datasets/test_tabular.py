"""The five tables that come along: their values, splits, statistics and fingerprints."""

import numpy as np
import pytest

from handgrad.datasets import Standardization, load_dataset
from handgrad.datasets.catalog import DATASETS, Table
from handgrad.datasets.dataset import draw_rows, num_rows, three_way

SHAPES = {
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast-cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "diabetes": (442, 10, 0),
}


@pytest.fixture(params=SHAPES)
def name(request):
    return request.param


def all_rows(data):
    return [np.concatenate(arrays) for arrays in zip(data.train, data.validation, data.test, strict=True)]


def test_sizes_types_and_provenance(name):
    rows, features, classes = SHAPES[name]
    data = load_dataset(name)
    x, y = all_rows(data)
    assert x.shape == (rows, features) and x.dtype == np.float32 and x.flags.c_contiguous
    assert y.shape == (rows,) and y.dtype == (np.int64 if classes else np.float32)
    assert len(data.class_names) == classes and len(data.feature_names) == features
    assert data.task == ("classification" if classes else "regression")
    assert data.name == name and data.source and data.licence and data.target_name
    assert len(data.test.y) == round(0.2 * rows)
    assert len(data.validation.y) == round(0.2 * (rows - len(data.test.y)))
    assert name in repr(data)


@pytest.mark.parametrize(
    "table, loader",
    [("iris", "load_iris"), ("wine", "load_wine"), ("breast-cancer", "load_breast_cancer"), ("digits", "load_digits")],
)
def test_values_are_those_of_scikit_learn(table, loader):
    reference = getattr(pytest.importorskip("sklearn.datasets"), loader)()
    x, y = all_rows(load_dataset(table, standardize=False, dtype="float64"))
    labels = 1 - reference.target if table == "breast-cancer" else reference.target  # malignant is class 1 here
    assert sorted(map(tuple, np.c_[x, y])) == sorted(map(tuple, np.c_[reference.data, labels]))


def test_diabetes_is_that_of_scikit_learn():
    reference = pytest.importorskip("sklearn.datasets").load_diabetes(scaled=False)
    x, y = all_rows(load_dataset("diabetes", standardize=False, dtype="float64"))
    ours, theirs = (
        np.array(sorted(map(tuple, np.c_[table]))) for table in ((x, y), (reference.data, reference.target))
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-15)  # older versions of scikit-learn lose the last bit


def test_every_split_has_each_class_in_its_share():
    data = load_dataset("iris")
    assert [np.bincount(split.y).tolist() for split in (data.train, data.validation, data.test)] == [
        [32] * 3,
        [8] * 3,
        [10] * 3,
    ]


def test_the_seed_decides_the_splits():
    first, again, other = (load_dataset("wine", seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert first.fingerprint == again.fingerprint == other.fingerprint
    assert first.fingerprint != load_dataset("iris").fingerprint


def test_statistics_come_from_the_training_rows_alone():
    raw, data = (load_dataset("wine", standardize=on, dtype="float64") for on in (False, True))
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1)
    np.testing.assert_allclose(data.standardization.mean, raw.train.x.mean(axis=0))
    np.testing.assert_array_equal(data.test.x, data.standardization.apply(raw.test.x))
    assert raw.standardization is None


def test_statistics_survive_a_file():
    data = load_dataset("iris")
    again = Standardization(**data.standardization.as_dict())
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_array_equal(again.apply(x), data.standardization.apply(x))
    assert again.apply(x.astype(np.float32)).dtype == np.float32


def test_digits_are_scaled_to_one_unless_asked_otherwise():
    assert load_dataset("digits").train.x.max() == 1 and load_dataset("digits").train.x.min() == 0
    assert load_dataset("digits", standardize=False).train.x.max() == 16
    assert abs(load_dataset("digits", standardize=True).train.x.mean()) < 1e-6


def test_a_constant_column_is_centred_and_not_blown_up():
    x = np.full((7, 1), 0.1) * [1, 3, 1e6]
    np.testing.assert_allclose(Standardization.fit(x).apply(x), 0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8", "int64", "bool"])
def test_numbers_of_any_kind_are_standardised(dtype):
    x = np.array([[0, 1], [1, 0], [1, 0], [1, 1]], dtype)
    np.testing.assert_allclose(Standardization.fit(x).apply(x).std(axis=0), 1, rtol=1e-6)


def test_standardization_refuses_another_width():
    with pytest.raises(ValueError, match=r"x is \(2, 3\); expected \(N, 4\)"):
        load_dataset("iris").standardization.apply(np.ones((2, 3)))


def test_a_split_may_be_left_out_or_counted():
    data = load_dataset("iris", validation=0, test=15)
    assert data.validation is None and len(data.test.y) == 15 and len(data.train.y) == 135
    assert "validation" not in repr(data)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"test": 1.5}, "test=1.5 of 150 rows"),
        ({"test": -0.1}, "test is -0.1"),
        ({"test": "half"}, "test is 'half'"),
        ({"validation": 150}, "validation is 150"),
        ({"validation": True}, "validation is True"),
        ({"test": 0.999}, "leaves no rows"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number >= 0, got 0.5"),
        ({"dtype": "int8"}, "dtype is int8"),
        ({"target": "x"}, "target already"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_dataset("iris", **arguments)


def test_names_are_forgiving_and_unknown_ones_get_the_nearest():
    assert load_dataset("Breast_Cancer").name == "breast-cancer"
    with pytest.raises(ValueError, match="unknown data set 'irs'; did you mean 'iris'"):
        load_dataset("irs")


def test_the_tables_are_small():
    assert sum(about.size for about in DATASETS.values() if isinstance(about, Table)) < 210_000


@pytest.mark.parametrize("seed", range(5))
def test_drawn_rows_are_stratified_and_disjoint(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat([0, 1, 2, 3], [40, 25, 1, 9])[rng.permutation(75)]
    chosen, others = draw_rows(groups, 15, rng)
    assert sorted([*chosen, *others]) == list(range(75))
    counts = np.bincount(groups[chosen], minlength=4)
    assert (np.abs(counts - np.array([40, 25, 1, 9]) / 5) <= 1).all() and counts[2] == 0
    train, validation, test = three_way(groups, 0.2, 0.2, seed)
    assert sorted([*train, *validation, *test]) == list(range(75))


def test_a_small_share_is_one_row():
    assert num_rows(0.01, 10, "test") == 1 and num_rows(0, 10, "test") == 0
