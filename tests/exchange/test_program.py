"""A network as a program: recorded from what its layers compute, run by NumPy, equal to `predict`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.exchange import exports, record
from random_models import composites, models


def predictions(model, rows=3):
    x = np.random.default_rng(0).standard_normal((rows, *model.input_shape))
    return record(model).run(x)["y"], model.predict(x)


@given(st.one_of(models(), composites()))
@examples(60)
def test_a_program_computes_what_the_model_predicts(model):
    found, expected = predictions(model)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers, shape", [
    ([hg.Embedding(9, 4), hg.LSTM(3)], 5),
    ([hg.AdaptiveAvgPool2D((3, 2)), hg.GlobalAvgPool2D()], (7, 5, 2)),
    ([hg.RNN(4), hg.Reshape((2, 2)), hg.Permute((2, 1)), hg.Last()], (3, 2)),
])  # fmt: skip
def test_layers_that_random_models_leave_out(layers, shape):
    model = hg.Sequential(layers).build(shape, rng=0)
    x = np.random.default_rng(0).integers(0, 9, (3, *model.input_shape))
    np.testing.assert_allclose(record(model).run(x)["y"], model.predict(x), atol=1e-6)


def test_weights_keep_the_names_they_have_in_the_model():
    model = hg.Sequential([hg.Linear(4), hg.Residual([hg.Linear(4), hg.ELU()]), hg.BatchNorm()]).build(3, rng=0)
    assert list(record(model).weights())[:4] == list(model.parameters)[:4]


def test_a_layer_is_known_by_its_class_or_by_its_parts():
    model = hg.Sequential([hg.Linear(4), hg.Softmax()]).build(3, rng=0)
    assert [operation.name for operation in record(model).lowered(lambda operation: operation.name == "Softmax")] == [
        "matmul",
        "add",
        "Softmax",
    ]
    parts = ["max", "subtract", "exp", "sum", "divide"]
    assert [operation.name for operation in record(model).lowered()] == ["matmul", "add", *parts]


class GatedBySigmoid(hg.Layer):
    def __init__(self, units, name=None):
        super().__init__(name)
        self.units = units
        self.value, self.gates = hg.Linear(units), [hg.Sequential([hg.Linear(units), hg.Sigmoid()])]

    def compute(self, x, training):
        value, gate = self.value.forward(x, training), self.gates[0].forward(x, training)
        return np.where(gate > 0.5, value * gate, x.std(axis=-1, keepdims=True)), None


def test_a_users_layer_of_layers_is_recorded_as_it_computes():
    found, expected = predictions(hg.Sequential([GatedBySigmoid(3), hg.ReLU()]).build(3, rng=0), 20)
    np.testing.assert_allclose(found, expected, atol=1e-6)


class Sorted(hg.Layer):
    def compute(self, x, training):
        return np.sort(x, axis=-1), None


class Centered(hg.Layer):
    def compute(self, x, training):
        return x - x.mean(axis=0), None


class Cautious(hg.Layer):
    def compute(self, x, training):
        return (x if (x > 0).all() else -x), None


class Merging(hg.Layer):
    def compute(self, x, training):
        return x.reshape(-1, 1), None

    def infer_output_shape(self, input_shape):
        return input_shape


class Counting(hg.Layer):
    def compute(self, x, training):
        return x * len(x), None


class Averaging(hg.Layer):
    def compute(self, x, training):
        return x.sum(axis=-1, keepdims=True) / x.shape[0] + x, None


class Drawing(hg.Layer):
    def compute(self, x, training):
        return x + np.random.default_rng().normal(size=2), None


@pytest.mark.parametrize("layer, what", [
    (Counting(), "the number of examples"),
    (Averaging(), "the number of examples"),
    (Drawing(), "other numbers each time"),
    (Sorted(), "np.sort"),
    (Centered(), "a mean over the examples"),
    (Cautious(), "attribute 'all'"),
    (Merging(), "a change of shape"),
])  # fmt: skip
def test_what_has_no_counterpart_is_refused_with_the_way_out(layer, what):
    model = hg.Sequential([hg.Linear(2), layer]).build(2, rng=0)
    with pytest.raises(ValueError, match=f"^{layer.name}: .*{what}.*exports\\({type(layer).__name__}\\)"):
        record(model)


def test_a_rule_is_all_that_it_needs():
    class Clip(hg.Layer):
        def compute(self, x, training):
            return x.clip(-0.5, 0.5), None

    model = hg.Sequential([hg.Linear(2), Clip()]).build(2, rng=0)
    exports(Clip)(lambda layer, x: np.maximum(np.minimum(x, 0.5), -0.5))
    found, expected = predictions(model)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_subclass_that_computes_otherwise_is_recorded_as_it_does():
    class Doubled(hg.Linear):
        def compute(self, x, training):
            return 2 * (x @ self.parameters["weight"]), None

    found, expected = predictions(hg.Sequential([Doubled(2)]).build(2, rng=0))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match=r"not built.*build\(input_shape\)"):
        record(hg.Sequential([hg.Linear(2)]))


def test_a_model_that_holds_no_numbers_is_refused():
    model = hg.Sequential([hg.Linear(2)]).build(2, rng=0)
    model.parameters["linear1.weight"][0] = np.nan
    with pytest.raises(ValueError, match=r"'linear1\.weight' of the model holds what is no number"):
        record(model)


def test_columns_of_categories_become_rows():
    model = hg.Sequential([hg.TableEmbedding([3, 0, 5], 4), hg.Linear(2)]).build(3, rng=0)
    x = np.array([[2, 0.5, 4], [0, -1, 1]])
    np.testing.assert_allclose(record(model).run(x)["y"], model.predict(x), atol=1e-6)
