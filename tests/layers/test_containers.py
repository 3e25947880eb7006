"""Sequential: order, names, one flat vector, predictions, copies and files."""

import copy
import pickle

import numpy as np
import pytest

import handgrad as hg


def rows(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def network(dtype=np.float64, **options):
    layers = [hg.Linear(5), hg.Tanh(), hg.Linear(3)]
    return hg.Sequential(layers, **options).build((4,), rng=0, dtype=dtype)


def nested():
    inner = hg.Sequential([hg.Linear(5), hg.ReLU()])
    return hg.Sequential([inner, hg.Linear(6), hg.Sequential([hg.Linear(3)])]).build((4,), rng=0, dtype=np.float64)


def test_forward_and_backward_run_through_the_layers_in_order():
    model, x, dy = network(), rows(6, 4), rows(6, 3)
    y = x
    for layer in model.layers:
        y = layer.forward(y, training=True)
    dx = dy
    for layer in reversed(model.layers):
        dx = layer.backward(dx)
    by_hand = {name: gradient.copy() for name, gradient in model.gradients.items()}
    np.testing.assert_array_equal(model.forward(x, training=True), y)
    np.testing.assert_array_equal(model.backward(dy), dx)
    for name, gradient in model.gradients.items():
        np.testing.assert_array_equal(gradient, by_hand[name])


@pytest.mark.parametrize("make", [network, nested])
def test_gradients_are_right(make):
    assert hg.check_gradients(make(), rows(6, 4)).ok


def test_parameters_have_names_in_order_and_live_in_one_vector():
    model = nested()
    names = [
        "sequential1.linear1.weight",
        "sequential1.linear1.bias",
        "linear1.weight",
        "linear1.bias",
        "sequential2.linear1.weight",
        "sequential2.linear1.bias",
    ]
    assert list(model.parameters) == list(model.gradients) == names
    model.parameter_vector[:] = np.arange(model.parameter_vector.size)
    flat = np.concatenate([array.ravel() for array in model.parameters.values()])
    np.testing.assert_array_equal(flat, np.arange(flat.size))
    assert model.layers[0].layers[0].parameters["weight"][0, 1] == 1
    model.parameters["linear1.bias"] = np.full(6, 9.0)
    assert (model.layers[1].parameters["bias"] == 9).all()


def test_own_names_are_kept_and_must_be_unique():
    model = hg.Sequential([hg.Linear(5, name="hidden"), hg.ReLU(), hg.Linear(3)])
    assert [layer.name for layer in model] == ["hidden", "relu1", "linear1"]
    with pytest.raises(ValueError, match="unique"):
        hg.Sequential([hg.Linear(5, name="a"), hg.ReLU(name="a")])


def test_skipping_the_input_gradient_changes_no_other_gradient():
    model = hg.Sequential([hg.Flatten(), hg.Tanh(), hg.Linear(3)]).build((2, 2), rng=0, dtype=np.float64)
    x, dy = rows(6, 2, 2), rows(6, 3)
    model.forward(x, training=True)
    model.backward(dy)
    whole = model.gradient_vector.copy()
    model.forward(x, training=True)
    assert model.backward(dy, input_gradient=False) is None
    np.testing.assert_array_equal(model.gradient_vector, whole)
    with pytest.raises(ValueError, match="no cache"):
        model.layers[0].backward(rows(6, 4))


def test_the_same_layer_twice_and_things_that_are_no_layers_are_refused():
    layer = hg.Linear(3)
    with pytest.raises(ValueError, match="twice"):
        hg.Sequential([layer, hg.ReLU(), layer])
    with pytest.raises(ValueError, match="twice"):
        hg.Sequential([hg.Sequential([layer]), layer])
    with pytest.raises(TypeError, match=r"write Linear\(\)"):
        hg.Sequential([hg.Linear])
    with pytest.raises(TypeError, match="got str"):
        hg.Sequential(["Linear"])
    with pytest.raises(ValueError, match="at least one"):
        hg.Sequential([])


def test_a_layer_that_does_not_fit_is_named_at_build():
    with pytest.raises(ValueError, match=r"linear1 .*\(N, 4, 4, 1\)"):
        hg.Sequential([hg.Linear(3)]).build((4, 4, 1), rng=0)


def test_predict_works_in_batches_and_keeps_no_cache():
    model, x = network(), rows(10, 4)
    np.testing.assert_allclose(model.predict(x, batch_size=3), model.forward(x), rtol=1e-14)
    with pytest.raises(ValueError, match="no cache"):
        model.backward(rows(10, 3))
    assert model.predict(x[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="nan at row 1"):
        model.predict(np.array([[1, 2, 3, 4], [1, np.nan, 3, 4]]))


def test_probabilities_and_classes():
    model, x = network(), rows(10, 4)
    p = model.predict_probabilities(x)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict_classes(x), model.predict(x).argmax(axis=1))
    binary = hg.Sequential([hg.Linear(1)]).build((4,), rng=0)
    np.testing.assert_array_equal(binary.predict_classes(x), (binary.predict(x)[:, 0] > 0))
    with_softmax = hg.Sequential([hg.Linear(3), hg.Softmax()]).build((4,), rng=0)
    np.testing.assert_array_equal(with_softmax.predict_probabilities(x), with_softmax.predict(x))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_a_vector_of_their_own(clone):
    model = network()
    other = clone(model)
    other.parameter_vector[:] = 0
    assert not other.predict(rows(6, 4)).any() and model.predict(rows(6, 4)).any()


def test_astype_gives_a_copy_in_another_dtype():
    model = network()
    single = model.astype(np.float32)
    assert single.predict(rows(6, 4)).dtype == np.float32 and model.predict(rows(6, 4)).dtype == np.float64
    np.testing.assert_allclose(single.predict(rows(6, 4)), model.predict(rows(6, 4)), rtol=1e-5, atol=1e-6)
    assert single.forward(rows(6, 4) + 1e-3j).dtype.kind == "c"


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_save_and_load(tmp_path, suffix):
    model = nested()
    model.save(tmp_path / f"model{suffix}")
    twin = hg.load_model(tmp_path / f"model{suffix}")
    np.testing.assert_array_equal(twin.predict(rows(6, 4)), model.predict(rows(6, 4)))
    assert list(twin.parameters) == list(model.parameters) and twin.dtype == model.dtype
    assert [path.name for path in tmp_path.iterdir()] == [f"model{suffix}"]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_damaged_and_foreign_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    network().save(path)
    whole = path.read_bytes()
    for damage in (whole[:50], b"", b"\x80\x04K\x01.", whole[:-20]):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match="damaged"):
            hg.load_model(path)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match="no handgrad model"):
        hg.load_model(tmp_path / "other.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="damaged or no"):
        hg.load_model(tmp_path / "objects.npz")
    with pytest.raises(FileNotFoundError, match="no file"):
        hg.load_model(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
        network().save(tmp_path / "model.pkl")
    with pytest.raises(OSError, match="cannot write"):
        network().save(tmp_path / "no" / "folder.npz")


def test_a_class_with_a_taken_name_works_but_cannot_be_named_in_a_file(tmp_path):
    class Tanh(hg.Tanh):
        pass

    model = hg.Sequential([Tanh(), hg.Linear(3)]).build((4,), rng=0)
    assert model.predict(rows(2, 4)).shape == (2, 3)
    assert type(hg.Sequential([{"layer": "Tanh"}])[0]) is hg.Tanh
    with pytest.raises(ValueError, match="'Tanh' stands for another"):
        model.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_summary_counts():
    summary = network(np.float32).summary()
    assert summary.num_parameters == 4 * 5 + 5 + 5 * 3 + 3 and summary.multiply_adds == 35
    text = str(summary)
    assert "linear2" in text and "(N, 3)" in text and "43" in text
    with pytest.raises(ValueError, match="not built"):
        hg.Sequential([hg.Linear(3)]).summary()


def test_specs_name_what_is_wrong():
    model = hg.Sequential([{"layer": "Linear", "units": 3}, {"layer": "ReLU"}])
    assert isinstance(model[0], hg.Linear)
    with pytest.raises(ValueError, match="did you mean 'Linear'"):
        hg.Sequential([{"layer": "Linaer", "units": 3}])
    with pytest.raises(ValueError, match="no argument 'unit'; did you mean 'units'"):
        hg.Sequential([{"layer": "Linear", "unit": 3}])
    with pytest.raises(ValueError, match="described as"):
        hg.Sequential([{"units": 3}])


@pytest.mark.parametrize("make", [network, nested])
def test_a_model_whose_layers_went_to_another_one_is_refused(make):
    model, x = make(), rows(2, 4)
    other = hg.Sequential([*model.layers[:1], hg.Linear(2)]).build((4,), rng=1, dtype=np.float64)
    with pytest.raises(ValueError, match="a layer has been built again, in another model"):
        model.predict(x)
    assert other.predict(x).shape == (2, 2)
    assert model.build((4,), rng=0).predict(x).shape == (2, 3)
    with pytest.raises(ValueError, match="build it again, or give each model layers of its own"):
        other.predict(x)


def test_a_model_whose_layers_changed_is_refused():
    model, x = network(), rows(2, 4)
    model.layers[0].build(4)
    with pytest.raises(ValueError, match="a layer has been built again"):
        model.forward(x)
    for change in (lambda layers: layers.append(hg.ReLU()), lambda layers: layers.pop()):
        model = network()
        change(model.layers)
        with pytest.raises(ValueError, match="its list of layers has changed"):
            model.predict(x)
    for copied in (copy.deepcopy(network()), pickle.loads(pickle.dumps(network())), network().astype(np.float32)):
        assert copied.predict(x).shape == (2, 3)


def test_fit_does_not_build_layers_that_are_built_anew():
    trained = network()
    before = trained.parameter_vector.copy()
    model = hg.Sequential([trained, hg.Linear(2)])
    with pytest.raises(
        ValueError, match=r"its layer linear1 is, whose parameters would be drawn anew: call model\.build"
    ):
        hg.Trainer(model, "mean-squared-error").fit(rows(2, 4), np.zeros((2, 2)))
    np.testing.assert_array_equal(trained.parameter_vector, before)
