"""ONNX's own tests of its operators, as far as handgrad has layers for them, through the importer."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import handgrad as hg

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402


def node_cases():
    """Models and arrays that the package makes: of a node each, some of these as the nodes that it stands for."""
    from onnx.backend.test.case.node import collect_testcases

    for case in collect_testcases(None):
        if case.model and case.data_sets:
            yield case.name, case.model, *case.data_sets[0]


def converted_cases():
    """Models that PyTorch's first exporter wrote, with arrays in files."""
    for kind in ("pytorch-converted", "pytorch-operator"):
        for path in sorted(Path(onnx.__file__).parent.glob(f"backend/test/data/{kind}/*/model.onnx")):
            arrays = [
                [numpy_helper.to_array(onnx.load_tensor(file)) for file in sorted(path.parent.glob(f"*_0/{end}_*.pb"))]
                for end in ("input", "output")
            ]
            yield path.parent.name, onnx.load(path), *arrays


def read_case(model, inputs, path):
    """The model of a case, whose further inputs become weights; and x, an array without examples as one example."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.ir_version = max(model.ir_version, 8)
    x, dims = inputs[0], model.graph.input[0].type.tensor_type.shape.dim
    for value, array in zip(model.graph.input[1:], inputs[1:], strict=False):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [*model.graph.input[1:]]:
        if value.name in weights:
            model.graph.input.remove(value)
    if x.ndim == 1 and len(dims) == 1 and len(inputs) == 1:
        sizes = 1, len(x)
        del dims[:]
        for size in sizes:
            dims.add().dim_value = size
        model.graph.output[0].type.tensor_type.shape.CopyFrom(model.graph.input[0].type.tensor_type.shape)
        x = x[None]
    path.write_bytes(model.SerializeToString())
    return hg.load_onnx(path), x


@pytest.mark.filterwarnings("ignore")
def test_what_is_read_is_right_and_the_rest_is_refused(tmp_path):
    found = Counter()
    for cases in (node_cases, converted_cases):
        for name, model, inputs, outputs in cases():
            if not inputs or not isinstance(inputs[0], np.ndarray) or inputs[0].ndim < 1:
                continue
            try:
                made, x = read_case(model, inputs, tmp_path / "net.onnx")
            except (ValueError, NotImplementedError):  # the second one of onnx, for sequences and maps
                found["refused"] += 1
                continue
            y = made.predict(x)
            expected = next((o for o in outputs if np.size(o) == y.size), None)
            assert expected is not None, name
            np.testing.assert_allclose(y.reshape(expected.shape), expected, rtol=1e-3, atol=1e-5, err_msg=name)
            found["right"] += 1
    assert found["right"] >= 200, found
