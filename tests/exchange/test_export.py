"""Exports: files that compute what the model predicts, whatever its layers are called, each with its receipt."""

import ast
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.exchange import Program, python_file, record
from handgrad.exchange.export import TARGETS
from random_models import composites, models

SMALL = [hg.Linear(4), hg.ReLU(), hg.Linear(3), hg.Softmax()]


def small(dtype=np.float32):
    return hg.Sequential([hg.Linear(4), hg.ReLU(), hg.BatchNorm(), hg.Linear(3)]).build(5, rng=0, dtype=dtype)


def loaded(text):
    """What running a Python file's text defines."""
    defined = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), defined)
    return defined


@given(st.one_of(models(), composites()))
@examples(40)
def test_a_python_file_computes_what_the_model_predicts(model):
    net = loaded(python_file.write(record(model), "net")[".py"])
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape))
    np.testing.assert_allclose(net["predict"](x), model.predict(x), rtol=1e-9, atol=1e-9)
    assert net["self_test"]() < 1e-9


@pytest.mark.parametrize("suffix", TARGETS)
def test_the_receipt_tells_how_far_model_and_file_are_apart(tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    if not TARGETS[suffix].is_here():
        pytest.skip(f"there is no {TARGETS[suffix].tool}")
    receipt = hg.export(small(), tmp_path / f"net{suffix}", verify=True)
    assert receipt.ok and {row.by for row in receipt.differences} == {"program", TARGETS[suffix].tool}
    assert (tmp_path / f"net{suffix}.receipt.txt").read_text() == f"{receipt}\n"


def test_a_python_file_tests_itself_without_handgrad(tmp_path):
    hg.export(small(), tmp_path / "net.py")
    told = subprocess.run([sys.executable, "-I", tmp_path / "net.py"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("largest difference to handgrad: ")
    text = (tmp_path / "net.py").read_text()
    (tmp_path / "net.py").write_text(text.replace("np.maximum", "np.minimum", 1))
    assert subprocess.run([sys.executable, "-I", tmp_path / "net.py"], capture_output=True).returncode == 1


ANY_NAME = st.text(min_size=1, max_size=20).filter(lambda name: "." not in name)


@given(ANY_NAME, ANY_NAME, ANY_NAME)
@example('"""\nimport os', "*/", "</script>")
@example("é\u2028\r\x0c\x00", "x", "np")
@examples(100)
def test_no_name_becomes_code(layer, class_name, column):
    model = hg.Sequential([hg.Linear(2, name=layer), hg.Linear(2)]).build(2, rng=0)
    plain = record(hg.Sequential([hg.Linear(2, name="a"), hg.Linear(2)]).build(2, rng=0))
    program = record(model)
    facts = {"name": layer, "class_names": [class_name, "b"], "columns": [{"name": column, "texts": (layer,)}]}
    named = Program(
        program.x, {**program.outputs, "probabilities": program.outputs["y"]}, program.operations, facts=facts
    )
    text = python_file.write(named, layer)[".py"]
    calm = {"name": "a", "class_names": ["a", "b"], "columns": [{"name": "a", "texts": ("a",)}]}
    same = Program(plain.x, {**plain.outputs, "probabilities": plain.outputs["y"]}, plain.operations, facts=calm)
    assert shape_of_code(text) == shape_of_code(python_file.write(same, "a")[".py"])
    assert loaded(text)["predict_classes"](np.ones((1, 2)))[0] in (class_name, "b")


def shape_of_code(text):
    """The kinds of what a file's code consists of, without names and constants."""
    return [type(node).__name__ for node in ast.walk(ast.parse(text))]


def test_large_weights_are_bytes_and_small_ones_numbers():
    text = python_file.write(record(hg.Sequential([hg.Linear(3), hg.Linear(90)]).build(3, rng=0)), "net")[".py"]
    assert "linear1_weight = np.array([[" in text and "linear2_weight = array(\n" in text


@pytest.mark.parametrize("name, what", [
    ("net", r"must end in one of .*\.py"),
    ("net.pyt", r"did you mean '\.py'"),
    ("missing/net.py", "there is no folder"),
    ("folder.py", "it is a folder"),
    ("NET.C", r"did you mean '\.c'"),
    ("math.c", r"math\.h would hide the standard one"),
    ("numpy.py", r"numpy\.py would hide"),
])  # fmt: skip
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, name, what):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ValueError, match=what):
        hg.export(small(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.py"]


@pytest.mark.parametrize("name, beside", [("net.c", "net.h"), ("net.js", "net.d.ts"), ("net.py", "net.py.receipt.txt")])
def test_nothing_is_written_where_a_file_beside_it_cannot_be(tmp_path, name, beside):
    (tmp_path / beside).mkdir()
    with pytest.raises(ValueError, match=f"{beside}: it is a folder"):
        hg.export(small(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [beside]


@pytest.mark.parametrize("name, beside", [("net.c", "net.h"), ("net.js", "net.d.ts")])
def test_a_file_beside_it_that_is_anothers_stays(tmp_path, name, beside):
    (tmp_path / beside).write_text("mine")
    with pytest.raises(ValueError, match="beside it is another's"):
        hg.export(small(), tmp_path / name)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / beside).unlink()
    assert hg.export(small(), tmp_path / name).ok and hg.export(small(), tmp_path / name).ok


@pytest.mark.parametrize("suffix", TARGETS)
def test_a_table_with_texts_is_written_in_every_format(tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    model = hg.Sequential([hg.TableEmbedding([3, 0, 5], 4), hg.Linear(2)]).build(3, rng=0)
    assert hg.export(model, tmp_path / f"net{suffix}", verify=TARGETS[suffix].is_here()).ok


def test_numbers_beyond_float32_are_refused_where_they_are_lost(tmp_path):
    model = small(np.float64)
    model.parameters["linear1.weight"][0] = 1e60
    with pytest.raises(ValueError, match=r"too large for float32; \.py keeps them"):
        hg.export(model, tmp_path / "net.c")
    assert list(tmp_path.iterdir()) == []


class Louder(hg.Sequential):
    def predict(self, x, batch_size=256):
        return 5 * super().predict(x, batch_size)


def test_a_prediction_of_its_own_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Louder has a predict of its own"):
        hg.export(Louder([hg.Linear(2)]).build(2, rng=0), tmp_path / "net.py")


def test_a_file_that_differs_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(Program, "run", lambda self, x: {"y": np.zeros((len(x), 3))})
    with pytest.warns(UserWarning, match="differs from handgrad: do not use it"):
        assert not hg.export(small(), tmp_path / "net.py").ok


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"got Linear \(hg\.Sequential"):
        hg.export(hg.Linear(2).build(2, rng=0), tmp_path / "net.py")
    with pytest.raises(TypeError, match=r"takes a model.*got str.*run\.model\(\)"):
        hg.export("runs/iris", tmp_path / "net.py")


def test_whole_numbers_that_no_row_has_are_refused_by_the_file():
    model = hg.Sequential([hg.Embedding(5, 2), hg.Flatten(), hg.Linear(2)]).build(3, rng=0)
    net = loaded(python_file.write(record(model), "net")[".py"])
    np.testing.assert_allclose(net["predict"]([[0, 4, 1]]), model.predict(np.array([[0, 4, 1]])), atol=1e-6)
    with pytest.raises(ValueError, match="whole numbers from 0 to 4, got 0 to 5"):
        net["predict"]([[0, 5, 1]])
