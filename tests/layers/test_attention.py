"""MultiHeadAttention: right gradients, counts, and a model that must look elsewhere to know."""

import numpy as np
import pytest

import handgrad as hg


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_right(causal):
    layer = hg.MultiHeadAttention(2, causal).build((4, 6), rng=0, dtype=np.float64)
    report = hg.check_gradients(layer, np.random.default_rng(0).standard_normal((3, 4, 6)))
    assert report.ok, str(report)


def test_inference_computes_what_training_does():
    layer = hg.MultiHeadAttention(2, causal=True).build((5, 4), rng=0)
    x = np.random.default_rng(0).standard_normal((3, 5, 4))
    np.testing.assert_allclose(layer.forward(x), layer.forward(x, training=True), rtol=1e-5)
    assert layer.forward(x[:0]).shape == (0, 5, 4)


def test_counts():
    model = hg.Sequential([hg.MultiHeadAttention(2)]).build((7, 4), rng=0)
    assert model.num_parameters == 4 * (4 * 4 + 4)
    assert model.multiply_adds == 7 * 4 * 16 + 2 * 7 * 7 * 4  # the four maps; scores and means, over all heads


def test_each_part_of_the_weight_is_drawn_by_itself():
    weight = hg.MultiHeadAttention(4).build((3, 64), rng=0).parameters["weight"]
    limit = np.sqrt(6 / (64 + 64))
    assert 0.99 * limit < abs(weight).max() <= limit


def test_a_model_learns_to_look_at_the_marked_step(tmp_path):
    """The class stands at one marked step, and only attention brings it to the first."""
    rng = np.random.default_rng(1)
    x, marked = rng.standard_normal((512, 5, 4)), rng.integers(0, 5, 512)
    x[..., 0], x[np.arange(512), marked, 0] = 0, 3
    y = (x[np.arange(512), marked, 1] > 0).astype(int)
    model = hg.Sequential([hg.MultiHeadAttention(2), hg.Flatten(), hg.Linear(2)])
    trainer = hg.Trainer(model, optimizer=hg.Adam(0.01), seed=0)
    trainer.fit(x, y, epochs=20)
    assert trainer.evaluate(x, y)["accuracy"] > 0.93
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hg.load_model(tmp_path / "model.npz").predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4,), r"multiheadattention1 works on sequences \(N, T, features\), got examples of shape \(4,\)"),
        ((5, 6), "its heads, and 4 does not divide 6"),
    ],
)
def test_examples_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        hg.Sequential([hg.MultiHeadAttention(4)]).build(shape)
