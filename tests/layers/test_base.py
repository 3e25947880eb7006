"""What every layer promises: shapes checked, caches used once, parameters kept in place."""

import copy
import pickle

import numpy as np
import pytest

import handgrad as hg
from handgrad.layers.description import from_spec


class Scale(hg.Layer):
    """The README's layer of one's own: y = factor x."""

    def create_parameters(self, input_shape, rng):
        return {"factor": np.ones(input_shape)}

    def compute(self, x, training):
        return x * self.parameters["factor"], x

    def differentiate(self, dy, cache):
        return dy * self.parameters["factor"], {"factor": (dy * cache).sum(axis=0)}


def rows(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_layer_of_ones_own_is_right_and_trains():
    layer = Scale().build((4,), rng=0, dtype=np.float64)
    assert layer.output_shape == (4,)
    assert hg.check_gradients(layer, rows(5, 4, dtype=np.float64)).ok
    model = hg.Sequential([Scale(), hg.Linear(3)])
    history = hg.Trainer(model, seed=0).fit(rows(30, 4), np.arange(30) % 3, epochs=2)
    assert np.isfinite(history["loss"]).all()
    assert list(model.parameters) == ["scale1.factor", "linear1.weight", "linear1.bias"]


@pytest.mark.parametrize(
    "gradients, message",
    [
        ({}, r"scale: differentiate must return a gradient for each parameter \(factor\), got none"),
        ({"factr": np.ones(4)}, r"\(factor\), got factr"),
        ({"factor": np.ones((5, 4))}, r"scale: the gradient of 'factor' .* \(4,\), got \(5, 4\)"),
        ({"factor": 1.0}, r"'factor' .* \(4,\), got \(\)"),
    ],
)
def test_gradients_that_do_not_fit_the_parameters_are_refused(gradients, message):
    layer = Scale(name="scale").build((4,), rng=0)
    layer.differentiate = lambda dy, cache: (dy, gradients)
    layer.forward(rows(5, 4), training=True)
    with pytest.raises(ValueError, match=message):
        layer.backward(rows(5, 4))


def test_a_layer_that_returns_no_pair_is_told_so():
    layer = Scale().build((4,), rng=0)
    layer.differentiate = lambda dy, cache: dy
    layer.forward(rows(5, 4), training=True)
    with pytest.raises(TypeError, match=r"Scale: differentiate must return dx, gradients"):
        layer.backward(rows(5, 4))
    layer.compute = lambda x, training: x
    with pytest.raises(TypeError, match="Scale: compute must return y, cache, got ndarray"):
        layer.build((4,), rng=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_layer_is_the_pair(dtype):
    layer = hg.Linear(3).build((4,), rng=0, dtype=dtype)
    x, dy = rows(5, 4, dtype=dtype), rows(5, 3, dtype=dtype)
    y = layer.forward(x, training=True)
    dx = layer.backward(dy)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_array_equal(y, x @ layer.parameters["weight"] + layer.parameters["bias"])
    np.testing.assert_array_equal(dx, dy @ layer.parameters["weight"].T)
    np.testing.assert_array_equal(layer.gradients["weight"], x.T @ dy)
    np.testing.assert_array_equal(layer.gradients["bias"], dy.sum(axis=0))


def test_linear_without_a_bias():
    layer = hg.Linear(3, bias=False).build((4,), rng=0)
    x, dy = rows(5, 4), rows(5, 3)
    np.testing.assert_array_equal(layer.forward(x, training=True), x @ layer.parameters["weight"])
    np.testing.assert_array_equal(layer.backward(dy), dy @ layer.parameters["weight"].T)
    assert list(layer.parameters) == list(layer.gradients) == ["weight"]
    assert layer.num_parameters == 12
    assert hg.check_gradients(hg.Linear(3, bias=False), np.random.default_rng(0).normal(size=(5, 4))).ok


def test_input_gradient_can_be_skipped():
    layer = hg.Linear(3).build((4,), rng=0)
    layer.forward(rows(5, 4), training=True)
    assert layer.backward(rows(5, 3), input_gradient=False) is None
    assert layer.gradients["weight"].any()


def test_x_is_cast_to_the_layers_dtype_and_pixels_scaled():
    layer = hg.Identity().build((2,), dtype=np.float32)
    assert layer.forward([[1, 2]]).dtype == np.float32
    np.testing.assert_allclose(layer.forward(np.array([[0, 255]], np.uint8)), [[0, 1]])
    with pytest.raises(TypeError, match="x is a masked array"):
        layer.forward(np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]]))
    with pytest.raises(TypeError, match="x is a masked array"):
        hg.Sequential([layer]).build(2).predict(np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]]))
    with pytest.raises(TypeError, match="array of numbers"):
        layer.forward(np.array([["a", "b"]]))


def test_backward_without_forward_or_twice_is_refused():
    layer = hg.Linear(3, name="head").build((4,), rng=0)
    with pytest.raises(ValueError, match=r"head\.backward.*forward\(x, training=True\)"):
        layer.backward(rows(5, 3))
    layer.forward(rows(5, 4), training=True)
    layer.backward(rows(5, 3))
    with pytest.raises(ValueError, match="no cache"):
        layer.backward(rows(5, 3))


def test_inference_keeps_no_cache():
    layer = hg.ReLU().build((4,))
    layer.forward(rows(5, 4))
    with pytest.raises(ValueError, match="no cache"):
        layer.backward(rows(5, 4))


def test_dy_of_another_shape_is_refused():
    layer = hg.Linear(3).build((4,), rng=0)
    layer.forward(rows(5, 4), training=True)
    with pytest.raises(ValueError, match=r"dy of shape \(5, 3\), got \(6, 3\)"):
        layer.backward(rows(6, 3))


def test_wrong_feature_count_names_the_layer_and_both_shapes():
    with pytest.raises(ValueError, match=r"head expected x of shape \(N, 4\), got \(5, 3\)"):
        hg.Linear(3, name="head").build((4,), rng=0).forward(rows(5, 3))


def test_unbuilt_layer_says_how_to_build():
    with pytest.raises(ValueError, match="build"):
        hg.Linear(3).forward(rows(5, 4))


def test_assigning_a_parameter_copies_into_the_array_after_a_shape_check():
    layer = hg.Linear(3).build((4,), rng=0)
    array = layer.parameters["weight"]
    layer.parameters["weight"] = np.ones((4, 3))
    assert layer.parameters["weight"] is array and (array == 1).all() and array.dtype == np.float32
    with pytest.raises(ValueError, match=r"shape \(4, 3\), got an array of shape \(3,\)"):
        layer.parameters["weight"] = np.ones(3)
    with pytest.raises(ValueError, match="no parameter 'wieght'"):
        layer.parameters["wieght"] = np.ones((4, 3))


def test_linear_wants_rows_and_whole_units():
    with pytest.raises(ValueError, match=r"Flatten"):
        hg.Linear(3).build((4, 4), rng=0)
    for units in (0, -1, 2.5, "3"):
        with pytest.raises(ValueError, match="units"):
            hg.Linear(units)
    with pytest.raises(ValueError, match="did you mean 'he_normal'"):
        hg.Linear(3, initializer="he_norma")


def test_same_seed_same_bits_other_seed_other_bits():
    a, b, c = (hg.Linear(3).build((4,), rng=seed).parameters["weight"] for seed in (1, 1, 2))
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_independent(clone):
    layer = hg.Linear(3).build((4,), rng=0)
    other = clone(layer)
    other.parameters["weight"] = np.zeros((4, 3))
    assert layer.parameters["weight"].any()
    np.testing.assert_array_equal(other.forward(rows(5, 4)), np.zeros((5, 3)))


def test_config_rebuilds_the_layer():
    for layer in (hg.Linear(7, initializer="he_normal"), hg.LeakyReLU(alpha=0.2, name="leak"), hg.Flatten()):
        twin = hg.Layer.registry[type(layer).__name__](**layer.config)
        assert twin.config == layer.config and repr(twin) == repr(layer)


@pytest.mark.parametrize("name", ["Activation", "Pool2D", "Recurrent"])
def test_bases_of_other_layers_have_no_place_in_a_configuration(name):
    with pytest.raises(ValueError, match=f"unknown layer '{name}'") as caught:
        from_spec({"layer": name})
    known = str(caught.value).partition("(known: ")[2]
    assert "ReLU, " in known and f"{name}," not in known.split()


def test_activation_parameters_reach_the_pair():
    x = np.array([[-2.0, 3.0]])
    for layer in (hg.LeakyReLU(alpha=0.5), hg.ELU(alpha=0.5)):
        y = layer.build((2,), dtype=np.float64).forward(x)
        assert y[0, 1] == 3 and -1 <= y[0, 0] < -0.4


@pytest.mark.parametrize("layer", hg.layers.Activation.__subclasses__())
def test_every_activation_layer_has_right_gradients(layer):
    built = layer().build((4,), dtype=np.float64)
    assert hg.check_gradients(built, rows(5, 4, dtype=np.float64)).ok
