"""The normalising layers: what they make of a batch, what they keep, and messages that name them."""

import numpy as np
import pytest

import handgrad as hg


def draw(*shape):
    return np.random.default_rng(0).normal(3, 2, size=shape)


@pytest.mark.parametrize("layer", [hg.BatchNorm(), hg.LayerNorm(), hg.Normalize([1.0, 2.0, 3.0], 0.5)])
@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 2, 3)])
def test_gradients(layer, shape):
    layer.build(shape[1:], dtype=np.float64)
    assert layer.output_shape == shape[1:]
    assert hg.check_gradients(layer, draw(*shape)).ok


@pytest.mark.parametrize("shape", [(50, 3), (8, 5, 4, 3)])
def test_batch_norm_takes_each_feature_to_mean_0_and_variance_1(shape):
    layer = hg.BatchNorm().build(shape[1:], dtype=np.float64)
    y = layer.forward(draw(*shape), training=True).reshape(-1, 3)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=0), 1, atol=1e-4)


def test_running_averages_approach_the_data_and_serve_inference():
    layer = hg.BatchNorm(momentum=0.5).build((3,), dtype=np.float64)
    x = draw(1000, 3)
    for _ in range(30):
        layer.forward(x, training=True)
    np.testing.assert_allclose(layer.state["running_mean"], x.mean(axis=0))
    np.testing.assert_allclose(layer.state["running_var"], x.var(axis=0, ddof=1))
    np.testing.assert_allclose(layer.forward(x[:1]), layer.forward(x)[:1])


def test_running_averages_are_saved_with_the_model(tmp_path):
    model = hg.Sequential([hg.BatchNorm()]).build((3,), rng=0)
    model.forward(draw(10, 3), training=True)
    model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hg.load_model(tmp_path / "model.npz").forward(draw(4, 3)), model.forward(draw(4, 3)))


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3)])
def test_one_example_in_training_is_refused(shape):
    model = hg.Sequential([hg.BatchNorm(name="bn")]).build(shape, rng=0)
    with pytest.raises(ValueError, match=r"bn cannot train on one example, .*use batches of two or more"):
        model.forward(draw(1, *shape), training=True)
    assert np.isfinite(model.forward(draw(1, *shape))).all()


def test_layer_norm_needs_no_batch():
    layer = hg.LayerNorm().build((3,), dtype=np.float64)
    x = draw(5, 3)
    np.testing.assert_allclose(layer.forward(x, training=True)[2:3], layer.forward(x[2:3]))


def test_normalize_takes_pixels_to_minus_one_to_one():
    model = hg.Sequential([hg.Normalize(0.5, 0.5)]).build((2, 2, 1))
    pixels = np.array([0, 255, 255, 0], np.uint8).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(model.forward(pixels).ravel(), [-1, 1, 1, -1], atol=1e-6)
    assert model.forward(pixels).dtype == np.float32


def test_normalize_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"std, which must be above 0; got \[1.0, 0.0\]"):
        hg.Normalize(0.0, [1.0, 0.0])
    with pytest.raises(ValueError, match=r"mean and std must be numbers or have 3 entries, .* got \(2,\) and \(\)"):
        hg.Normalize([1.0, 2.0], 1.0).build((4, 4, 3))


def test_building_divides_by_nothing():
    """Layers are tried on zeros only where a shape cannot be had otherwise: here that would divide by 0."""
    assert hg.LayerNorm(epsilon=0).build(2).output_shape == (2,)
