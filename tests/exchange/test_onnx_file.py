"""ONNX files: checked by onnx, run by onnxruntime, equal to `predict`."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.exchange import onnx_file, record
from handgrad.models import MODELS, create
from random_models import composites, models

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
SHAPES = {"lenet": (28, 28, 1), "fashion-cnn": (28, 28, 1), "cifar-cnn": (32, 32, 3), "resnet-cifar": (32, 32, 3)}


def written(model):
    return onnx_file.write(record(model), "net")[".onnx"]


def outputs(content, x):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x.astype(np.int64 if x.dtype.kind == "i" else np.float32)})[0]


def operators(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@given(st.one_of(models(), composites()))
@examples(40)
def test_onnxruntime_computes_what_the_model_predicts(model):
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape))
    expected = model.predict(x)
    found = outputs(written(model), x)
    assert np.abs(found - expected).max(initial=0) <= 1e-5 * np.abs(expected).max(initial=1)


@pytest.mark.parametrize("name", MODELS)
def test_every_named_network(name, tmp_path):
    model = create(name).build(SHAPES.get(name, (20,)), rng=0)
    assert hg.export(model, tmp_path / "net.onnx", verify=True).ok


@pytest.mark.parametrize("layers, shape", [
    ([hg.Embedding(9, 4), hg.LSTM(3)], 5),
    ([hg.Embedding(9, 4), hg.GRU(3, return_sequences=True), hg.SELU(), hg.RNN(2)], 5),
    ([hg.AdaptiveAvgPool2D((3, 2)), hg.ReLU(), hg.GlobalAvgPool2D()], (7, 5, 2)),
    ([hg.Identity()], 3),
    ([hg.MultiHeadAttention(2, causal=True), hg.Last(), hg.GELU("none")], (3, 4)),
    ([hg.ConvTranspose2D(3, (3, 2), stride=3, padding=1, output_padding=2), hg.SiLU(), hg.ReLU6()], (4, 3, 2)),
])  # fmt: skip
def test_layers_that_random_models_leave_out(layers, shape, tmp_path):
    assert hg.export(hg.Sequential(layers).build(shape, rng=0), tmp_path / "net.onnx", verify=True).ok


def test_any_number_of_examples_is_taken():
    model = create("lenet").build((28, 28, 1), rng=0)
    content = written(model)
    for n in (1, 5):
        assert outputs(content, np.zeros((n, 28, 28, 1))).shape == (n, 10)


def test_images_change_their_layout_once_each_way():
    assert operators(written(create("cifar-cnn").build((32, 32, 3), rng=0))).count("Transpose") == 2


def test_layers_that_onnx_knows_are_one_operator_each():
    layers = [
        hg.LSTM(3, return_sequences=True),
        hg.LayerNorm(),
        hg.Flatten(),
        hg.Linear(2),
        hg.BatchNorm(),
        hg.Softmax(),
    ]
    found = operators(written(hg.Sequential(layers).build((4, 2), rng=0)))
    assert {"LSTM", "LayerNormalization", "Gemm", "BatchNormalization", "Softmax"} <= set(found) and len(found) == 10


def test_weights_keep_their_names_and_nothing_is_newer_than_stated():
    model = hg.Sequential([hg.Linear(4), hg.Residual([hg.Linear(4)]), hg.BatchNorm()]).build(3, rng=0)
    made = onnx.load_from_string(written(model))
    assert {tensor.name for tensor in made.graph.initializer} == {*model.parameters, *model.state}
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", onnx_file.OPSET)]


def test_a_run_says_which_classes_and_columns_there_are():
    program = record(hg.Sequential([hg.Linear(2)]).build(2, rng=0))
    facts = {"name": "pets", "class_names": ("cat", 'd"og'), "columns": [{"name": "x"}]}
    made = onnx.load_from_string(
        onnx_file.write(program.__class__(**{**vars(program), "facts": facts}), "pets")[".onnx"]
    )
    told = {entry.key: entry.value for entry in made.metadata_props}
    assert told["name"] == "pets" and json.loads(told["class_names"]) == ["cat", 'd"og']


@given(st.text(min_size=1, max_size=9).filter(lambda name: "." not in name))
@examples(40)
def test_any_name_of_a_layer_will_do(name):
    model = hg.Sequential([hg.Linear(2, name=name), hg.BatchNorm(name="x"), hg.ReLU(name="y")]).build(2, rng=0)
    np.testing.assert_allclose(outputs(written(model), np.eye(2)), model.predict(np.eye(2)), atol=1e-6)


def test_a_layer_of_ones_own_is_no_other_of_the_same_name():
    class ReLU(hg.Layer):
        def compute(self, x, training):
            return np.maximum(x, 1), None

    model = hg.Sequential([ReLU()]).build(2)
    assert outputs(written(model), np.zeros((1, 2))).tolist() == [[1, 1]]


def test_what_a_file_cannot_hold_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_file, "LARGEST", 100)
    with pytest.raises(ValueError, match=r"weights come to .* GB, and an ONNX file holds less than 2"):
        written(hg.Sequential([hg.Linear(10)]).build(10))
