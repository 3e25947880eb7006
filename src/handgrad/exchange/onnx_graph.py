"""ONNX files read with care: what is damaged or hostile is refused, and what is constant is computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, Shape
from ..naming import require_extra
from ..text import message_line
from .program import BATCH

MOST = 2**26  # numbers that a computation between constants may make
GROWING = ("ConstantOfShape", "Expand", "Range", "Tile", "Pad", "OneHot", "EyeLike", "Resize", "RandomNormal")
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


@dataclass(eq=False)
class Node:
    """An operator at work. Its constant inputs are known, and of each value its shape."""

    proto: Any
    graph: Graph

    def __post_init__(self) -> None:
        from onnx import helper

        self.op: str = self.proto.op_type
        self.inputs: list[str] = list(self.proto.input)
        self.output: str = self.proto.output[0]
        self.attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in self.proto.attribute}
        self.values: list[str] = [name for name in self.inputs if name and name not in self.graph.constants]

    def get(self, name: str, default: Any) -> Any:
        """An attribute."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def constant(self, place: int) -> Array | None:
        """An input that is there and constant, or None."""
        return self.graph.constants.get(self.inputs[place]) if place < len(self.inputs) else None

    def array(self, place: int) -> Array:
        """An input that must be a constant."""
        if (found := self.constant(place)) is None:
            raise self.unreadable(f"has no constant as input {place + 1}, as the weights of a layer are")
        return found

    def shape(self, name: str) -> Shape:
        """Of a value, the axis of the examples first."""
        if name not in self.graph.shapes:
            raise self.unreadable(f"works on a value whose shape is not known ('{message_line(name)}')")
        return self.graph.shapes[name]

    def check(self, **wanted: Any) -> None:
        """Refuse attributes that no layer has."""
        for name, value in wanted.items():
            if (found := self.get(name, value)) != value:
                raise self.unreadable(f"has {name}={found}, and handgrad's layer has {value}")

    def unreadable(self, why: str) -> ValueError:
        """The error for a node that cannot be read."""
        return ValueError(f"{self.graph.path}: {self.op} ('{message_line(self.proto.name or self.output)}') {why}")


class Graph:
    """The nodes of a file by what they make, its constants, and the shapes of its values.

    Parameters
    ----------
    path : Path
        The file.
    input_shape : tuple of int, optional
        The shape of one example, where the file leaves sizes free.
    """

    def __init__(self, path: Path, input_shape: Shape | None = None) -> None:
        from onnx import numpy_helper

        self.path: Path = path
        self.model: Any = read(path)
        graph = self.model.graph
        self.opset: int = max((o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx")), default=1)
        with refusing(path, ValueError):  # sizes that are not those of the numbers
            self.constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.nodes: dict[str, Node] = {}
        self.shapes: dict[str, Shape] = {}
        self.types: dict[str, int] = {}
        self.start, self.example, self.batch = self.read_input(graph, input_shape)
        for proto in graph.node:
            self.take(proto)
        self.end: str = self.read_output(graph)

    def read_input(self, graph: Any, input_shape: Shape | None) -> tuple[str, Shape, int]:
        """The name of the one input, the shape of one example, and how many it takes, or `BATCH`."""
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            names = ", ".join(message_line(value.name) for value in inputs)
            raise ValueError(f"{self.path} has {len(inputs)} inputs ({names}), and handgrad's models have one")
        kind = inputs[0].type.tensor_type
        if kind.elem_type == 8:  # TensorProto.STRING
            raise ValueError(f"{self.path} takes texts, and handgrad's models take numbers")
        dims = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        if input_shape is not None and len(dims) != 1 + len(input_shape):
            raise ValueError(f"{self.path} takes examples of {len(dims) - 1} axes, and input_shape is {input_shape}")
        example = tuple(dims[1:]) if input_shape is None else tuple(input_shape)
        if not example or min(example) < 1:
            what = f"{self.path} leaves sizes of its input free: {[d.dim_param or d.dim_value for d in kind.shape.dim]}"
            raise ValueError(f"{what}; say them, those of one example: load_onnx(path, input_shape=(3, 32, 32))")
        name, batch = inputs[0].name, dims[0] or BATCH
        self.shapes[name], self.types[name] = (batch, *example), kind.elem_type
        return name, example, batch

    def read_output(self, graph: Any) -> str:
        """The first output of floats; what ONNX makes maps of, as scikit-learn's converters do, before that."""
        maps = {name: node.inputs[0] for name, node in self.nodes.items() if node.op == "ZipMap"}
        names: list[str] = [maps.get(value.name, value.name) for value in graph.output]
        if found := [name for name in names if self.types.get(name) in (1, 11)]:
            return found[0]
        for node in self.nodes.values():
            if node.proto.domain == "ai.onnx.ml" and node.op not in ("Scaler", "ZipMap"):
                raise node.unreadable("has no layer in handgrad")
        raise ValueError(f"{self.path} has no output of floats that comes of its input")

    def take(self, proto: Any) -> None:
        """Compute what a node makes of constants, or keep it, its shapes known."""
        node = Node(proto, self)
        if proto.domain not in DOMAINS:
            raise node.unreadable(f"is of the domain '{message_line(proto.domain)}', which is not ONNX's own")
        if any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute):
            raise node.unreadable("holds a graph of its own, and handgrad's models have no branches that are chosen")
        self.infer(node)
        if node.op == "Shape" and node.values and node.values[0] in self.shapes:
            shape = self.shapes[node.values[0]]
            self.constants[node.output] = np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)
        elif not node.values:
            self.compute(node)
        else:
            self.nodes.update(dict.fromkeys(filter(None, proto.output), node))

    def compute(self, node: Node) -> None:
        """The outputs of a node whose inputs are all constants."""
        if node.op in GROWING and prod(self.shapes.get(node.output, (MOST + 1,))) > MOST:
            raise node.unreadable("makes an array of unknown or unreasonable size")
        feeds = {name: self.constants[name] for name in node.inputs if name}
        try:
            self.constants |= evaluate([node.proto], feeds, list(filter(None, node.proto.output)), self.model)
        except (TypeError, ValueError, RuntimeError, IndexError) as problem:
            raise node.unreadable(f"cannot be computed: {message_line(problem)}") from None

    def infer(self, node: Node) -> None:
        """The shapes and types of what a node makes, by ONNX's own rules."""
        from onnx import TensorProto, helper, numpy_helper, shape_inference

        if node.op == "ZipMap":  # makes maps, which no layer takes; see `read_output`
            return
        known, given, info = list[Any](), list[Any](), helper.make_tensor_value_info
        for name in filter(None, dict.fromkeys(node.inputs)):
            if name in self.constants:
                array = self.constants[name]
                given.append(info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape))
                known += [numpy_helper.from_array(array, name)] if array.size <= 1024 else []
            elif name in self.types:
                given.append(info(name, self.types[name], self.shapes.get(name)))
        ends = [info(name, TensorProto.UNDEFINED, None) for name in node.proto.output if name]
        graph = helper.make_graph([node.proto], "one", given, ends, known)
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        try:
            inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        except Exception as problem:  # of several classes of onnx's own
            raise node.unreadable(f"does not fit its inputs: {message_line(problem)}") from None
        for value in inferred.output:
            kind = value.type.tensor_type
            self.types[value.name] = kind.elem_type
            if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
                self.shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)
        if node.op == "Scaler":  # of which ONNX's rules say nothing
            self.shapes[node.output], self.types[node.output] = node.shape(node.inputs[0]), TensorProto.FLOAT


def evaluate(protos: list[Any], feeds: Mapping[str, Array], outputs: list[str], model: Any) -> dict[str, Array]:
    """What a few nodes make of arrays, by onnx's reference implementation."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    info, kind = helper.make_tensor_value_info, helper.np_dtype_to_tensor_dtype
    begins = [info(name, kind(array.dtype), array.shape) for name, array in feeds.items()]
    graph = helper.make_graph(protos, "part", begins, [info(name, 0, None) for name in outputs])
    made = ReferenceEvaluator(helper.make_model(graph, opset_imports=model.opset_import)).run(None, dict(feeds))
    return dict(zip(outputs, map(np.asarray, made), strict=True))


def read(path: Path) -> Any:
    """The checked contents of a file; a ValueError for one that is damaged, too new, or points outside its folder."""
    with require_extra("onnx", "load_onnx"):
        import onnx
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; load_onnx reads a file")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with refusing(path, Exception):  # of several classes of protobuf's
        model = onnx.load_model(str(path), load_external_data=False)
    newest = onnx.defs.onnx_opset_version()
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version > newest:
            what = f"{path} is written for opset {entry.version}, and the onnx package here knows {newest}"
            raise ValueError(f"{what}: pip install --upgrade onnx, or export it for an older one")
    check_external(path, model)
    with refusing(path, Exception):
        onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        for value in model.graph.output:
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.shape.SetInParent()  # what the checker wants, and many files leave out
        onnx.checker.check_model(model)
    return model


@contextlib.contextmanager
def refusing(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Within the block errors of these kinds say that the file is damaged."""
    try:
        yield
    except kinds as problem:
        raise ValueError(f"{path} is damaged, or no ONNX file: {message_line(problem)}") from None


def check_external(path: Path, model: Any) -> None:
    """Refuse weights in files outside of the model's folder, and such as are not there."""
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    for tensor in filter(uses_external_data, _get_all_tensors(model)):
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        file, folder = (path.parent / location).resolve(), path.parent.resolve()
        if not location or folder not in file.parents or (path.parent / location).is_symlink():
            raise ValueError(f"{path} wants weights from '{message_line(location)}', outside of its folder: refused")
        if not file.is_file():
            raise ValueError(f"{path} has its weights in {file.name}, which is not beside it")
