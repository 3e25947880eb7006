"""ONNX files that are damaged, hostile, too new, or hold what no layer does: one line each, and nothing is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

FLOAT = TensorProto.FLOAT


def file(tmp_path, *nodes, constants=(), shape=("N", 4), outputs=("y",), opset=18, check=False):
    """A file of these nodes, from x to y."""
    ends = [helper.make_tensor_value_info(name, FLOAT, ["any"]) for name in outputs]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(constants).items()]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", FLOAT, shape)], ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    return tmp_path / "net.onnx"


def node(kind, inputs, outputs="y", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name=f"the_{kind}", **attributes)


def refused(path, what, **options):
    with pytest.raises((ValueError, FileNotFoundError), match=what) as problem:
        hg.load_onnx(path, **options)
    assert "\n" not in str(problem.value)


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "none.onnx", "there is no file")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x12\xff\xff", bytes(range(256)) * 9])
def test_a_file_that_is_none(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    refused(tmp_path / "net.onnx", "damaged, or no ONNX file")


def test_numbers_that_overflow(tmp_path):
    constants = {"w": np.full((4, 4), 9, np.float32)}
    refused(file(tmp_path, node("Gemm", "x w", alpha=3e38), constants=constants), "damaged.*overflow")


def test_texts(tmp_path):
    path = file(tmp_path, node("Cast", "x", to=FLOAT))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    path.write_bytes(model.SerializeToString())
    refused(path, "takes texts, and handgrad's models take numbers")


@given(st.data())
@examples(60)
def test_damage_anywhere_is_a_plain_error(data):
    with np.testing.tempdir() as folder:
        hg.export(hg.Sequential([hg.Linear(2), hg.Tanh()]).build(3, rng=0), f"{folder}/net.onnx")
        with open(f"{folder}/net.onnx", "rb+") as opened:
            content = bytearray(opened.read())
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
            opened.seek(0)
            opened.write(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
            opened.truncate()
        try:
            hg.load_onnx(f"{folder}/net.onnx")
        except ValueError as problem:
            assert "\n" not in str(problem)


def test_a_newer_opset_says_what_to_do(tmp_path):
    path = file(tmp_path, node("Relu", "x"), opset=999)
    refused(path, r"opset 999, and the onnx package here knows \d+: pip install --upgrade onnx")


def test_a_circle(tmp_path):
    refused(file(tmp_path, node("Add", "x b", "a"), node("Relu", "a", "b"), outputs=("b",)), "damaged")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "link.bin", "missing.bin"])
def test_weights_come_from_no_other_folder(tmp_path, location):
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (folder := tmp_path / "models").mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = file(folder, node("MatMul", "x w"), constants={"w": np.zeros((4, 4), np.float32)})
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    refused(path, "not beside it" if location == "missing.bin" else "outside of its folder: refused")


def test_weights_beside_the_file_are_read(tmp_path):
    path = file(tmp_path, node("MatMul", "x w"), constants={"w": np.arange(1200, dtype=np.float32).reshape(4, 300)})
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert hg.load_onnx(path).predict(np.eye(4))[1, 0] == 300


def test_huge_shapes_take_no_memory(tmp_path):
    size = np.array([2**20, 2**20], np.int64)
    refused(file(tmp_path, node("ConstantOfShape", "s", "w"), node("MatMul", "x w"), constants={"s": size}), "size")
    path = file(tmp_path, node("MatMul", "x w"), constants={"w": np.zeros((4, 4), np.float32)})
    model = onnx.load(path)
    model.graph.initializer[0].dims[:] = [2**40, 4]
    path.write_bytes(model.SerializeToString())
    refused(path, "damaged")


@pytest.mark.parametrize("nodes, what", [
    ([node("Sin", "x")], r"Sin \('the_Sin'\) has no layer"),
    ([node("MatMul", "x t")], r"MatMul \('the_MatMul'\) does not fit its inputs"),
    ([node("Relu", "x", "a"), node("Softmax", "a", "b"), node("Sub", "a b")], r"Sub \('the_Sub'\) works on several"),
    ([node("Softmax", "x", "a"), node("Add", "a c", "b"), node("Add", "a b", "d"), node("Sub", "d a")], "several"),
    ([node("TopK", "x k", "y i")], "TopK"),
    ([node("Concat", "x x", axis=0)], "joins along axis 0"),
    ([node("Softmax", "x", axis=0)], "Softmax"),
    ([node("Transpose", "x", perm=[1, 0])], "time first, which no layer"),
    ([node("Mul", "x t")], "Mul"),
    ([node("Bogus", "x")], "damaged"),
])  # fmt: skip
def test_what_no_layer_does_is_named(tmp_path, nodes, what):
    constants = {"k": np.array([2], np.int64), "t": np.ones((3, 4), np.float32), "c": np.ones((1, 4), np.float32)}
    refused(file(tmp_path, *nodes, constants=constants), what)


def test_a_graph_of_its_own_is_named(tmp_path):
    one = helper.make_graph([node("Relu", "x", "r")], "one", [], [helper.make_tensor_value_info("r", FLOAT, ["any"])])
    chosen = helper.make_node("If", ["c"], ["y"], name="the_If", then_branch=one, else_branch=one)
    refused(file(tmp_path, chosen, constants={"c": np.array(True)}), r"If \('the_If'\) holds a graph of its own")


def test_free_sizes_are_said(tmp_path):
    w = np.zeros((2, 3, 1, 1), np.float32)
    path = file(tmp_path, node("Conv", "x w"), constants={"w": w}, shape=("N", 3, "height", "width"))
    refused(path, "leaves sizes of its input free.*'height'.*input_shape=")
    assert hg.load_onnx(path, input_shape=(3, 5, 4)).output_shape == (2, 5, 4)
    refused(path, "4 axes|3 axes", input_shape=(3, 5))


def test_several_inputs_are_named(tmp_path):
    path = file(tmp_path, node("Add", "x z"))
    model = onnx.load(path)
    model.graph.input.add().CopyFrom(helper.make_tensor_value_info("z", FLOAT, ["N", 4]))
    path.write_bytes(model.SerializeToString())
    refused(path, r"has 2 inputs \(x, z\)")


def test_names_cannot_steer_the_terminal(tmp_path):
    bad = helper.make_node("Sin", ["x"], ["y"], name="\x1b[2Jgone\n")
    with pytest.raises(ValueError) as problem:
        hg.load_onnx(file(tmp_path, bad))
    assert "\x1b" not in str(problem.value) and "\n" not in str(problem.value)


def test_a_softmax_of_before_opset_13_takes_all_axes_from_one_on(tmp_path):
    pytest.importorskip("onnxruntime")
    from onnxruntime import InferenceSession

    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    for axis in (1, 2):
        made = node("Softmax", "x", axis=axis)
        path = file(tmp_path, made, shape=("N", 4, 5), opset=11)
        (expected,) = InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
        np.testing.assert_allclose(hg.load_onnx(path).predict(x), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["INT64", "UINT8", "FLOAT16", "BOOL"])
def test_a_cast_that_changes_numbers_is_refused(tmp_path, kind):
    back = node("Cast", "a", to=FLOAT)
    refused(file(tmp_path, node("Cast", "x", "a", to=getattr(TensorProto, kind)), back), f"Cast.*makes {kind.lower()} ")


def test_a_cast_to_the_numbers_of_rows_is_read(tmp_path):
    nodes = node("Cast", "x", "a", to=TensorProto.INT64), node("Gather", "table a")
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    model = hg.load_onnx(file(tmp_path, *nodes, constants={"table": table}))
    np.testing.assert_array_equal(model.predict([[0, 2, 1, 1]])[0], table[[0, 2, 1, 1]])


def test_an_output_of_no_shape_is_read(tmp_path):
    path = file(tmp_path, node("Relu", "x"))
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(hg.load_onnx(path).predict([[-1, 2, 3, -4]]), [[0, 2, 3, 0]])


def test_a_folder_is_called_one(tmp_path):
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        hg.load_onnx(tmp_path / "net.onnx")


def test_what_scikit_learns_converter_writes_is_read_past_its_maps(tmp_path):
    convert = pytest.importorskip("skl2onnx").to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    x, y = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32), np.arange(30) % 3
    mlp = MLPClassifier((5,), max_iter=3)
    with pytest.warns(UserWarning):
        mlp.fit(x, y)
    (tmp_path / "net.onnx").write_bytes(convert(mlp, x[:1]).SerializeToString())
    np.testing.assert_allclose(hg.load_onnx(tmp_path / "net.onnx").predict(x), mlp.predict_proba(x), atol=1e-5)
    (tmp_path / "net.onnx").write_bytes(convert(LogisticRegression().fit(x, y), x[:1]).SerializeToString())
    refused(tmp_path / "net.onnx", "LinearClassifier.*has no layer in handgrad")
