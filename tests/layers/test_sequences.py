"""Sequences (N, T, features) through Linear, and a label for each step."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import metrics

X = np.random.default_rng(0).standard_normal((6, 4, 3))
LABELS = np.random.default_rng(1).integers(0, 3, (6, 4))


def test_linear_does_the_same_to_each_step():
    layer = hg.Linear(2).build((4, 3), rng=0, dtype=np.float64)
    rows = hg.Linear(2).build(3, rng=0, dtype=np.float64)
    assert layer.output_shape == (4, 2) and layer.multiply_adds == 4 * 3 * 2
    np.testing.assert_allclose(layer.forward(X)[:, 1], rows.forward(X[:, 1]), rtol=1e-13)
    assert layer.forward(X[:0]).shape == (0, 4, 2)
    report = hg.check_gradients(layer, X)
    assert report.ok, str(report)


def test_linear_refuses_images():
    with pytest.raises(
        ValueError, match=r"rows \(N, features\) or sequences .* got examples of shape \(8, 8, 3\): put a"
    ):
        hg.Linear(2).build((8, 8, 3))


def test_a_loss_of_steps_is_that_of_as_many_rows():
    loss, outputs = hg.CrossEntropy(label_smoothing=0.1), np.random.default_rng(2).standard_normal((6, 4, 3))
    weight = np.arange(6.0)
    of_rows = loss(outputs.reshape(24, 3), LABELS.ravel(), np.repeat(weight, 4))
    assert loss(outputs, LABELS, weight) == pytest.approx(of_rows, rel=1e-14)
    assert metrics.accuracy(outputs, LABELS) == metrics.accuracy(outputs.reshape(24, 3), LABELS.ravel())


@pytest.mark.parametrize("shape", [(6,), (6, 3), (4, 6), (6, 4, 2)])
def test_labels_that_are_not_one_for_each_step_are_refused(shape):
    with pytest.raises(ValueError, match="cross_entropy: "):
        hg.CrossEntropy()(np.zeros((6, 4, 3)), np.zeros(shape, int))


def test_a_causal_model_learns_to_repeat_the_step_before():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, (300, 6)).astype(np.uint8)
    y = np.roll(x, 1, axis=1)
    y[:, 0] = 0
    attend = hg.Residual([hg.LayerNorm(), hg.MultiHeadAttention(2, causal=True)])
    model = hg.Sequential([hg.Embedding(4, 16), hg.PositionalEmbedding(), attend, hg.LayerNorm(), hg.Linear(4)])
    trainer = hg.Trainer(model, optimizer=hg.Adam(0.01), seed=0)
    trainer.fit(x, y, epochs=25)
    assert trainer.evaluate(x, y)["accuracy"] > 0.9
    np.testing.assert_array_equal(model.predict_classes(x[:2]).shape, (2, 6))


def test_checking_the_labels_of_many_steps_takes_little_memory():
    """All outputs at once would be 100,000 x 64 x 1,000 numbers."""
    from handgrad.training.batches import check_data

    model = hg.Sequential([hg.Embedding(3, 2), hg.Linear(1000)]).build(64, rng=0)
    sizes = []

    class Watched(hg.CrossEntropy):
        def compute(self, outputs, targets, sample_weight):
            sizes.append(outputs.size)
            return 0.0, None

    check_data(model, Watched(), np.zeros((100_000, 64), np.uint8), np.zeros((100_000, 64), np.uint8))
    assert max(sizes) <= 2**24
