"""Embedding and PositionalEmbedding: indices as they come, what is refused, and a model that reads letters."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F

IDS = np.random.default_rng(0).integers(0, 5, (6, 4))


def test_gradients_are_right():
    parts = [hg.Embedding(5, 3), hg.PositionalEmbedding(7), hg.MultiHeadAttention(1), hg.Flatten(), hg.Linear(2)]
    report = hg.check_gradients(hg.Sequential(parts).build(4, rng=0, dtype=np.float64), IDS)
    assert report.ok, str(report)
    assert "embedding1.weight" in report.arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
@pytest.mark.parametrize(
    "wrap", [lambda e: e, lambda e: hg.Sequential([e]), lambda e: hg.Branches([e, hg.Embedding(5, 3)])]
)
def test_whole_numbers_come_as_they_are(dtype, wrap):
    embedding = hg.Embedding(5, 3)
    model = hg.Sequential([wrap(embedding), hg.Flatten()]).build(4, rng=0)
    assert model.takes_indices
    y = model.forward(IDS.astype(dtype))
    np.testing.assert_array_equal(y, model.predict(IDS))
    assert y.dtype == np.float32 and embedding.forward(IDS.astype(dtype)).shape == (6, 4, 3)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            IDS + 1,
            ValueError,
            r"embedding1: embedding: indices must be 0 to 4, for 5 rows of weight, got 5 at \(0, 0\)",
        ),
        (IDS - 1, ValueError, r"got -1 at \(1, 1\)"),
        (IDS / 2, TypeError, "indices must be whole numbers, 0 to 4, got dtype float64: use .astype"),
        (IDS.astype(str), TypeError, "np.unique"),
    ],
)
def test_what_is_no_index_is_refused(x, error, message):
    model = hg.Sequential([hg.Embedding(5, 3), hg.Flatten(), hg.Linear(2)]).build(4, rng=0)
    with pytest.raises(error, match=message):
        model.forward(x)
    with pytest.raises(error):
        hg.Trainer(model).fit(x, np.arange(6) % 2, epochs=1)


def test_rows_that_are_taken_often_collect_as_np_add_at_does():
    rng = np.random.default_rng(0)
    weight, ids = rng.standard_normal((9, 3)), rng.integers(0, 8, (50, 4))
    y, cache = F.embedding_forward(weight, ids)
    dy, expected = rng.standard_normal(y.shape), np.zeros((9, 3))
    np.add.at(expected, ids, dy)
    np.testing.assert_allclose(F.embedding_backward(dy, cache)[0], expected, rtol=1e-12)
    empty, cache = F.embedding_forward(weight, ids[:0])
    assert not F.embedding_backward(empty, cache)[0].any()


def test_a_model_learns_whether_the_first_letter_returns(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 6, (600, 5)).astype(np.uint8)
    y = (x[:, 1:] == x[:, :1]).any(axis=1).astype(int)
    parts = [hg.Embedding(6, 8), hg.PositionalEmbedding(), hg.MultiHeadAttention(2), hg.Flatten(), hg.Linear(16)]
    model = hg.Sequential([*parts, hg.ReLU(), hg.Linear(2)])
    trainer = hg.Trainer(model, optimizer=hg.Adam(0.01), seed=0)
    trainer.fit(x, y, epochs=15)
    assert trainer.evaluate(x, y)["accuracy"] > 0.9
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hg.load_model(tmp_path / "model.npz").predict(x), model.predict(x))


def test_counts():
    model = hg.Sequential([hg.Embedding(10, 4), hg.PositionalEmbedding(), hg.PositionalEmbedding(sinusoidal=True)])
    model.build(7, rng=0)
    assert [row.num_parameters for row in model.summary().rows] == [40, 28, 0]
    assert model.multiply_adds == 0 and model.output_shape == (7, 4)


def test_a_sequence_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="positionalembedding1 has 8 places, and the sequences have 9 steps: give it"):
        hg.Sequential([hg.PositionalEmbedding(8)]).build((9, 4))


@pytest.mark.parametrize(
    "make", [lambda: hg.Embedding(0, 3), lambda: hg.Embedding(5, 1.5), lambda: hg.PositionalEmbedding(0)]
)
def test_sizes_are_whole_numbers(make):
    with pytest.raises(ValueError, match="must be a whole number >= 1"):
        make()


def test_sines_and_cosines_are_constant():
    layer = hg.PositionalEmbedding(sinusoidal=True).build((6, 5), rng=0, dtype=np.float64)
    y = layer.forward(np.zeros((2, 6, 5)))
    np.testing.assert_allclose(y[0, :, 0], np.sin(np.arange(6)), rtol=1e-12)
    np.testing.assert_allclose(y[1, :, 3], np.cos(np.arange(6) * 10000 ** (-2 / 5)), rtol=1e-12)
    assert hg.check_gradients(layer, np.random.default_rng(0).standard_normal((2, 6, 5))).ok


def test_columns_of_categories_become_rows_behind_the_numbers():
    layer = hg.TableEmbedding([3, 0, 2], units=2).build(3, rng=0, dtype=np.float64)
    x = np.array([[2.0, 0.5, 1.0], [0.0, 1.5, 0.0]])
    weight = layer.parameters["weight"]
    np.testing.assert_array_equal(layer.forward(x), [[0.5, *weight[2], *weight[4]], [1.5, *weight[0], *weight[3]]])
    layer.forward(x, training=True)
    dx = layer.backward(np.arange(10.0).reshape(2, 5))
    np.testing.assert_array_equal(dx, [[0, 0, 0], [0, 5, 0]])
    np.testing.assert_array_equal(layer.gradients["weight"], [[6, 7], [0, 0], [1, 2], [8, 9], [3, 4]])


def test_it_is_a_product_with_one_hot_columns():
    layer = hg.TableEmbedding([4], units=3).build(1, rng=0, dtype=np.float64)
    codes = np.array([1, 3, 1, 0])
    np.testing.assert_array_equal(layer.forward(codes[:, None]), np.eye(4)[codes] @ layer.parameters["weight"])


@pytest.mark.parametrize("value", [-1, 3, 0.5])
def test_what_is_no_category_is_refused(value):
    layer = hg.TableEmbedding([0, 3]).build(2, rng=0)
    with pytest.raises(
        ValueError, match=f"column 1 holds {value} in row 1; its categories are whole numbers from 0 to 2"
    ):
        layer.forward(np.array([[5.0, 0.0], [5.0, value]]))


def test_sizes_are_those_of_the_columns():
    with pytest.raises(ValueError, match=r"sizes of 2 columns, and examples have the shape \(3,\)"):
        hg.TableEmbedding([0, 3]).build(3)
    with pytest.raises(ValueError, match=r"sizes must be .* got -1"):
        hg.TableEmbedding([-1])
