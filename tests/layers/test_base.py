"""What every layer promises: shapes checked, caches used once, parameters kept in place."""

import copy
import pickle

import numpy as np
import pytest

import handgrad as hg
from handgrad.layers import base
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
        hg.Linear(3).build((4, 4, 1), rng=0)
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


# Layers of layers ----------------------------------------------------------------------------------------------------


class Holder(hg.Layer):
    """y = what the first of the layers that it holds makes of x, and the next of that."""

    def __init__(self, held, name=None):
        super().__init__(name)
        self.held = held

    def compute(self, x, training):
        for layer in base.layers_in(self.held):
            x = layer.forward(x, training)
        return x, None

    def differentiate(self, dy, cache):
        for layer in reversed(list(base.layers_in(self.held))):
            dy = layer.backward(dy)
        return dy, {}


HELD = {
    "attribute": (lambda: hg.Linear(3), ["held.weight", "held.bias"]),
    "list": (lambda: [hg.Linear(3), hg.ReLU()], ["held1.weight", "held1.bias"]),
    "tuple in a table": (lambda: {"layers": (hg.Linear(3, name="own"),)}, ["own.weight", "own.bias"]),
    "model": (lambda: hg.Sequential([hg.Sequential([hg.Linear(3)])]), ["held.sequential1.linear1.weight"]),
    "layer with state": (lambda: hg.BatchNorm(), ["held.gamma", "held.beta"]),
    "nothing to train": (lambda: hg.Tanh(), []),
}


@pytest.mark.parametrize(("held", "names"), HELD.values(), ids=HELD.keys())
def test_the_layers_in_a_layer_are_found_built_named_checked_and_trained(held, names):
    model = hg.Sequential([Holder(held()), hg.Linear(2)]).build(4, rng=0, dtype=float)
    assert [f"holder1.{name}" for name in names] == list(model.parameters)[: len(names)]
    assert all(np.may_share_memory(array, model.parameter_vector) for array in model.parameters.values())
    assert hg.check_gradients(model, rows(6, 4, dtype=float)).ok
    before = {name: array.copy() for name, array in model.parameters.items()}
    history = hg.Trainer(model, "mean-squared-error", hg.SGD(0.1)).fit(np.eye(4), np.eye(4)[:, :2], epochs=5)
    assert history["loss"][-1] < history["loss"][0]
    moved = [name for name, array in model.parameters.items() if not np.array_equal(array, before[name])]
    assert moved == list(model.parameters)


class Gated(hg.Layer):
    """y = scale value(x) gate(x), with parameters of its own and layers in it."""

    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units
        self.value = hg.Linear(units)
        self.gate = hg.Sequential([hg.Linear(units), hg.BatchNorm(), hg.Sigmoid()])

    def create_parameters(self, input_shape, rng):
        return {"scale": np.full(self.units, 2.0)}

    def compute(self, x, training):
        value, gate = self.value.forward(x, training), self.gate.forward(x, training)
        return self.parameters["scale"] * value * gate, (value, gate)

    def differentiate(self, dy, cache):
        value, gate = cache
        scaled = dy * self.parameters["scale"]
        dx = self.value.backward(scaled * gate) + self.gate.backward(scaled * value)
        return dx, {"scale": (dy * value * gate).sum(axis=0)}


def gated(dtype=float):
    return hg.Sequential([Gated(5), hg.Linear(3)]).build(4, rng=0, dtype=dtype)


def test_a_layer_may_have_parameters_beside_the_layers_in_it():
    model = gated()
    names = ["scale", "value.weight", "value.bias", "gate.linear1.weight", "gate.linear1.bias"]
    names += ["gate.batchnorm1.gamma", "gate.batchnorm1.beta"]
    assert list(model.parameters)[:7] == [f"gated1.{name}" for name in names]
    assert list(model.state) == ["gated1.gate.batchnorm1.running_mean", "gated1.gate.batchnorm1.running_var"]
    assert hg.check_gradients(model, rows(6, 4, dtype=float)).ok
    assert model.num_parameters == model.parameter_vector.size == model.summary().num_parameters
    assert model.multiply_adds == 2 * 4 * 5 + 5 * 3


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.astype(float)])
def test_copies_of_layers_of_layers_have_arrays_of_their_own(again):
    model, x = gated(), rows(6, 4, dtype=float)
    other = again(model)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    other.parameter_vector[:] = 0
    assert not other.predict(x).any() and model.predict(x).any()
    assert other.astype(np.float32).predict(x).dtype == np.float32


def test_layers_of_layers_are_saved_and_resumed_to_the_bit(tmp_path):
    x, y = rows(12, 4), np.arange(12) % 3
    first, second = (hg.Trainer(gated(np.float32), seed=1) for _ in range(2))
    first.fit(x, y, epochs=4, batch_size=5)
    second.fit(x, y, epochs=2, batch_size=5)
    second.save(tmp_path / "state.npz")
    resumed = hg.Trainer.load(tmp_path / "state.npz")
    resumed.fit(x, y, epochs=2, batch_size=5)
    np.testing.assert_array_equal(resumed.model.parameter_vector, first.model.parameter_vector)
    resumed.model.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(hg.load_model(tmp_path / "model.npz").predict(x), first.model.predict(x))


def test_a_layer_in_it_that_nobody_calls_is_refused():
    class Forgetful(hg.Identity):
        def __init__(self):
            super().__init__()
            self.inner = hg.Linear(3)

    with pytest.raises(ValueError, match="forgetful1 holds 'inner', a Linear that no example has reached"):
        hg.Sequential([Forgetful()]).build(4)

    class Halfway(Gated):
        def differentiate(self, dy, cache):
            return self.value.backward(dy), {"scale": np.zeros(self.units)}

    layer = Halfway(2).build(3, rng=0)
    dy = layer.forward(rows(4, 3), training=True)
    with pytest.raises(ValueError, match=r"differentiate has not called gate\.backward"):
        layer.backward(dy)


def test_layers_that_change_or_stand_twice_are_refused():
    model = gated()
    model.layers[0].value = hg.Linear(5)
    with pytest.raises(ValueError, match="gated1 is no longer what was built"):
        model.predict(rows(2, 4))
    model = gated()
    model.layers[0].gate.build(4)
    with pytest.raises(ValueError, match="a layer has been built again, in another model"):
        model.predict(rows(2, 4))
    shared = hg.Linear(4)
    for twice in (lambda: [shared, shared], lambda: [hg.Sequential([shared]), hg.Sequential([shared])]):
        with pytest.raises(ValueError, match="the same layer object stands twice"):
            Holder(twice()).build(4)
    with pytest.raises(TypeError, match="keep them in a list"):
        Holder({hg.Linear(4)}).build(4)

    class Dotted(hg.Identity):
        def create_parameters(self, input_shape, rng):
            return {"a.b": np.zeros(2)}

    with pytest.raises(ValueError, match="stands for layers"):
        Dotted().build(4)


def test_a_layer_of_layers_is_a_subclass_of_sequential():
    class Residual(hg.Sequential):
        def forward(self, x, training=False):
            return x + super().forward(x, training)

        def backward(self, dy, input_gradient=True):
            return dy + super().backward(dy)

    model = hg.Sequential([Residual([hg.Linear(4), hg.Tanh()]), hg.Linear(3)]).build(4, rng=0, dtype=float)
    assert hg.check_gradients(model, np.eye(4)).ok
    assert "residual1.linear1.weight" in model.parameters

    class Projected(Residual):
        def __init__(self, layers, name=None):
            super().__init__(layers, name)
            self.projection = hg.Linear(3)

    with pytest.raises(ValueError, match="holds 'projection', a Linear that no example has reached"):
        Projected([hg.Linear(4)]).build(4)


class DoubledChain(hg.Sequential):
    """y = 2 f(x)."""

    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, dy, input_gradient=True):
        return super().backward(2 * dy, input_gradient)


class DoubledLinear(DoubledChain):
    """One that is made of no layers."""

    def __init__(self, units, name=None):
        super().__init__([hg.Linear(units)], name)
        self.units = units


@pytest.mark.parametrize(
    "model", [DoubledChain([hg.Linear(3)]), DoubledLinear(3)], ids=lambda model: type(model).__name__
)
def test_a_file_of_a_subclass_is_read_as_one(model, tmp_path):
    x = np.eye(4)
    hg.Trainer(model).fit(x, np.array([0, 1, 2, 0]), epochs=1)
    model.save(tmp_path / "model.npz")
    hg.Trainer(model).save(tmp_path / "state.npz")
    for again in (hg.load_model(tmp_path / "model.npz"), hg.Trainer.load(tmp_path / "state.npz").model):
        assert type(again) is type(model)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_a_subclass_whose_name_stands_for_another_is_not_saved(tmp_path):
    first, second = (type("Stacked", (hg.Sequential,), {})([hg.Linear(2)]).build(3, rng=0) for _ in range(2))
    second.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="'Stacked' stands for another layer class"):
        first.save(tmp_path / "model.npz")


class Created(hg.Layer):
    """Creates what it is given."""

    def __init__(self, created):
        super().__init__()
        self.created = created

    def create_parameters(self, input_shape, rng):
        return self.created


def assign(value):
    hg.Linear(3).build(4).parameters["weight"] = value


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hg.Linear(3).build(4, dtype="foo"), "dtype must be one of floats, .* got 'foo'"),
        (lambda: hg.Linear(3).build(4, dtype=int), "dtype must be one of floats"),
        (lambda: hg.Linear(3).build(4).astype(object), "dtype must be one of floats"),
        (lambda: hg.Linear(3).build(4, rng="q"), "rng must be a whole number of 0 or more, .* got 'q'"),
        (lambda: hg.Sequential([hg.Linear(3)]).build(4, rng=-1), "rng must be a whole number of 0 or more"),
        (lambda: hg.Linear(3, name=3), "Linear: name must be a text, got 3"),
        (lambda: hg.Linear(3, bias="no"), "Linear: bias must be True or False, got 'no'"),
        (lambda: hg.Conv2D(3, 3, bias=None), "Conv2D: bias must be True or False, got None"),
        (lambda: hg.Conv2D(3, 3, groups=0), "Conv2D: groups must be a whole number >= 1, got 0"),
        (lambda: hg.Conv2D(3, 3, initializer="foo"), "unknown initializer 'foo'"),
        (lambda: hg.LSTM(3, return_sequences="a"), "LSTM: return_sequences must be True or False, got 'a'"),
        (lambda: hg.Normalize("a", 1), "Normalize: mean must be an array of numbers"),
        (lambda: hg.Normalize(0, [1, np.nan]), "Normalize: std must be finite"),
        (lambda: hg.Linear(10**12).build(10**6), "Linear is too large for this machine: Unable to allocate"),
        (lambda: hg.Sequential([hg.Linear(10**20)]).build(4), "^linear1 is too large for any machine"),
        (lambda: hg.Linear(3, initializer=lambda shape, rng: np.zeros((4, 1))).build(4), r"got one of shape \(4, 1\)"),
        (
            lambda: hg.LSTM(3, initializer=lambda shape, rng: "a").build((4, 4)),
            "initializer returns must be an array of",
        ),
        (lambda: assign(np.ones((4, 3)) * 1j), "complex128: pass its"),
        (lambda: assign(np.ma.masked_array(np.ones((4, 3)), mask=True)), "parameter 'weight' is a masked array"),
        (lambda: Created(None).build(4), "Created: create_parameters must return a dict of arrays, got NoneType"),
        (lambda: Created({"a": ["1"]}).build(4), "Created: 'a' must be an array of numbers, got dtype <U1"),
        (lambda: hg.Sequential(None), "Sequential takes one list of layers: .* got None"),
        (lambda: hg.Sequential("Linear"), "Sequential takes one list of layers: .* got 'Linear'"),
        (lambda: hg.Sequential([[hg.ReLU()]]), r"Sequential takes layers, such as Linear\(25\), got list \[ReLU"),
        (lambda: hg.Sequential([hg.ReLU()]).build(4).predict(np.ones((1, 4)), 0), "batch_size must be a whole"),
        (lambda: hg.Sequential([hg.ReLU()]).build(4).predict(np.ones((1, 4)) * 1j), "complex128: pass its .real part"),
        (lambda: hg.Trainer(hg.Sequential([hg.Linear(2)])).fit(np.ones((2, 4)) * 1j, [0, 1]), "complex128: pass its"),
    ],
)
def test_odd_arguments_get_one_line(make, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_what_could_not_be_built_is_not_built():
    layer, model = hg.Linear(3), hg.Sequential([hg.Linear(3), hg.Conv2D(3, 3)])
    for whole, shape in ((layer, (4, 4, 1)), (model, (4,))):
        with pytest.raises(ValueError):
            whole.build(shape)
        assert not whole.is_built
        with pytest.raises(ValueError, match="is not built"):
            whole.forward(np.ones((1, *shape)))
