"""Exports as ES modules, run by node: equal to the model, gradients too, whatever layers and classes are called."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.exchange import Program, javascript_file, record
from random_models import composites, models

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


def node(folder, text, script):
    """What a script prints that sees a module as `net`."""
    (folder / "net.mjs").write_text(text)
    script = f"const net = await import({json.dumps((folder / 'net.mjs').as_uri())}); {script}"
    found = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, timeout=300)
    return json.loads(found.stdout) if found.returncode == 0 else found.stderr


def predictions(folder, model, x):
    """The module's and the model's."""
    script = f"console.log(JSON.stringify({json.dumps(x.reshape(len(x), -1).tolist())}.map(net.predict)))"
    found = np.array(node(folder, javascript_file.write(record(model), "net")[".js"], script), float)
    return found.reshape(len(x), *model.output_shape), model.predict(x)


@given(st.one_of(models(), composites()))
@examples(12)
def test_fuzzed_models_as_modules_compute_what_the_model_predicts(tmp_path_factory, model):
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape))
    found, expected = predictions(tmp_path_factory.mktemp("js"), model, x)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


EXAMPLES = [
    ([hg.Conv2D(4, 3, padding=1, stride=2), hg.BatchNorm(), hg.MaxPool2D(2), hg.GELU(), hg.Flatten()], (7, 6, 2)),
    ([hg.Conv2D(4, 2, groups=2, dilation=2, padding="same"), hg.AvgPool2D(2, padding=1), hg.Softplus()], (5, 5, 2)),
    ([hg.ConvTranspose2D(3, 3, stride=2, padding=1), hg.GroupNorm(3), hg.Arctan()], (3, 4, 2)),
    ([hg.MultiHeadAttention(2, causal=True), hg.Residual([hg.LayerNorm(), hg.Linear(4)]), hg.LogSoftmax()], (3, 4)),
    ([hg.LSTM(3, return_sequences=True), hg.Conv1D(2, 2), hg.GRU(3), hg.ELU(), hg.SiLU()], (5, 2)),
    ([hg.Branches([[hg.Linear(3)], [hg.Linear(3), hg.Sigmoid()]], "multiply"), hg.RMSNorm(), hg.Softmax()], 4),
    ([hg.GlobalAvgPool2D(), hg.Linear(3), hg.LeakyReLU(), hg.ReLU6(), hg.SELU()], (4, 4, 3)),
]


@pytest.mark.parametrize("layers, shape", EXAMPLES)
def test_gradients_are_those_of_differences(tmp_path, layers, shape):
    model = hg.Sequential(layers).build(shape, rng=0, dtype=np.float64)
    x = np.random.default_rng(1).standard_normal(model.input_shape)
    number = int(np.prod(model.output_shape)) // 2
    steps = 1e-6 * np.eye(x.size).reshape(-1, *x.shape)
    above, below = (model.predict(x + sign * steps).reshape(x.size, -1)[:, number] for sign in (1, -1))
    module = javascript_file.module(record(model), gradients=True) + "\nexport { gradient };"
    found = node(tmp_path, module, f"console.log(JSON.stringify(net.gradient({x.ravel().tolist()}, {number})))")
    np.testing.assert_allclose(found, (above - below) / 2e-6, atol=1e-7)


def test_a_part_of_the_input_can_be_the_output(tmp_path):
    for layers in ([hg.Identity()], [hg.Last()], [hg.Reshape((2, 6))]):
        model = hg.Sequential(layers).build((3, 4), rng=0, dtype=np.float64)
        found, expected = predictions(tmp_path, model, np.arange(24.0).reshape(2, 3, 4))
        np.testing.assert_array_equal(found, expected)


def test_a_number_of_a_row_that_there_is_not_gives_no_number(tmp_path):
    model = hg.Sequential([hg.Embedding(5, 2), hg.Flatten(), hg.Linear(2)]).build(3, rng=0)
    found, expected = predictions(tmp_path, model, np.array([[0, 4, 1]]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    text = javascript_file.write(record(model), "net")[".js"]
    assert node(tmp_path, text, "console.log(JSON.stringify(net.predict([0, 5, 1])))") == [None, None]  # NaN


def named(layer, class_name, column):
    """A module of these names."""
    model = hg.Sequential([hg.Linear(2, name=layer), hg.Linear(2)]).build(2, rng=0)
    program = record(model)
    columns = [{"name": column, "texts": [layer]}, {"name": "b", "low": 0.0, "high": 1.0, "mean": 0.5}]
    facts = {"name": layer, "class_names": [class_name, "b"], "columns": columns}
    outputs = {**program.outputs, "probabilities": program.outputs["y"]}
    return javascript_file.write(Program(program.x, outputs, program.operations, facts=facts), layer)[".js"]


ANY_NAME = st.text(min_size=1, max_size=20).filter(lambda name: "." not in name)
TOKENS = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n\u2028\u2029]*|\w+|[^\w\s]', re.DOTALL | re.ASCII)


def shape_of_code(text):
    """What is left of a file without comments, and with all strings and all words the same."""
    tokens = (token for token in TOKENS.findall(text) if token[:2] not in ("/*", "//"))
    return [re.sub(r"^\w+$", "w", token, flags=re.ASCII) if token[0] != '"' else '"' for token in tokens]


@given(ANY_NAME, ANY_NAME, ANY_NAME)
@example("tanh(", "x", "y")
@examples(200)
def test_no_name_becomes_code(layer, class_name, column):
    assert shape_of_code(named(layer, class_name, column)) == shape_of_code(named("a", "a", "a"))


ATTACK = "</script><!--*/\u2028\n`${x = 1}`\"'; x = 1 //"


@pytest.mark.parametrize("name", [ATTACK, "await", "predict", "memory", "at", "é", "__proto__", "\ud800"])
def test_names_are_kept_and_do_nothing(tmp_path, name):
    script = "console.log(JSON.stringify([net.predictClass([1, 2]), net.columns[0].name, globalThis.x === undefined]))"
    found = node(tmp_path, named(name, name, name), f"net.classNames[1] = {json.dumps(name)}; {script}")
    assert found == [name, name, True]


@pytest.mark.parametrize("row, what", [
    ("[1]", "flat array of 2 numbers, got 1"),
    ("undefined", "flat array of 2 numbers, got nothing"),
    ("[[1, 2], [3, 4]]", "number 0 of a row is no number: 1,2"),
    ("[0, 'red']", "number 1 of a row is no number: red"),
])  # fmt: skip
def test_what_is_no_row_is_refused(tmp_path, row, what):
    assert what in node(tmp_path, named("a", "a", "a"), f"net.predict({row})")


def test_texts_and_what_is_missing_are_taken_as_they_are(tmp_path):
    script = "console.log(JSON.stringify([['red', 1], [0, 1], ['blue', 1], [0, null]].map(net.predict)))"
    text, number, unknown, missing = node(tmp_path, named("red", "a", "a"), script)
    assert text == number != unknown and missing == [None, None]


def test_no_class_is_named_where_a_number_is_missing(tmp_path):
    assert "no class is the most probable" in node(tmp_path, named("a", "a", "a"), "net.predictClass([0, null])")


def test_outputs_of_each_step_have_no_class_names_of_the_whole():
    program = record(hg.Sequential([hg.Linear(2)]).build((3, 4), rng=0))
    facts = {"class_names": ("a", "b")}
    outputs = {**program.outputs, "probabilities": program.outputs["y"]}
    files = javascript_file.write(Program(program.x, outputs, program.operations, facts=facts), "net")
    assert not any("classNames" in text or "predictClass" in text for text in files.values())


def test_too_many_weights_for_source_code_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("handgrad.exchange.plan.LIMIT", 100)
    with pytest.raises(ValueError, match=r"too many for source code.*onnx"):
        hg.export(hg.Sequential([hg.Linear(9)]).build(9, rng=0), tmp_path / "net.js")
    assert list(tmp_path.iterdir()) == []
