"""ONNX files: a program as a graph of ONNX's operators, and what runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..functional.activations import SELU_ALPHA, SELU_SCALE
from ..layers.recurrent import Recurrent
from ..naming import require_extra
from .program import Operation, Program, Value, Weight, shape_of

OPSET, IR_VERSION = 18, 8  # onnxruntime 1.14 (2023) and later read them
LARGEST = 2**31 - 2**20  # bytes of weights: a file holds less than 2 GB
Item: TypeAlias = Value | Weight | float
# our operations, and layers, that are one operator, number by number
ELEMENTWISE = {
    **{"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min"},
    **{"power": "Pow", "negative": "Neg", "absolute": "Abs", "sqrt": "Sqrt", "exp": "Exp", "log": "Log"},
    **{"tanh": "Tanh", "arctan": "Atan", "erf": "Erf"},
}
ACTIVATIONS = {
    **{name: name for name in ("Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax")},
    **{"ReLU": "Relu", "LeakyReLU": "LeakyRelu", "ELU": "Elu", "SELU": "Selu"},
}
COMPARISONS = {"greater": "Greater", "less": "Less", "equal": "Equal"}
REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}
GATES = {"RNN": [0], "LSTM": [0, 2, 1, 3], "GRU": [1, 0, 2]}  # ours in ONNX's order: i o f c, and z r h
EXPORT = "export to .onnx"


def write(program: Program, name: str) -> dict[str, str | bytes]:
    """{'.onnx': the model, checked}."""
    with require_extra("onnx", EXPORT):
        import onnx
    model = Graph(program).model(name)
    onnx.checker.check_model(model, full_check=True)
    return {".onnx": model.SerializeToString()}


def run(path: Path, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of the file for x, by onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {"x": x.astype(np.int64 if program.takes_indices else np.float32)}
    return dict(zip(program.outputs, session.run(list(program.outputs), given), strict=True))


def is_known(operation: Operation) -> bool:
    """Whether ONNX has an operator for a whole layer."""
    if operation.name not in LAYERS or (operation.name == "BatchNorm" and len(operation.output.example) == 2):
        return False
    return type(operation.options["layer"]).__module__.startswith("handgrad.layers.")  # no other class of that name


class Graph:
    """The nodes, and under which names each value is in it: as it is, and with channels first, where convolutions are.

    What works number by number stays with channels first if its inputs are so; a Transpose stands only where the
    layout must change.
    """

    def __init__(self, program: Program) -> None:
        self.program: Program = program
        self.nodes: list[Any] = []
        self.arrays: dict[str, Array] = {}
        self.names: dict[tuple[int, bool], str] = {(id(program.x), False): "x"}
        self.taken: set[str] = {"x", *program.outputs}
        self.scope: str = ""
        self.apart: set[str] = set()

    def emit(self) -> None:
        """Write the nodes, the last ones those of the outputs."""
        from onnx import helper

        lowered = self.program.lowered(is_known)
        # layers that reduce channels, which are their last axis, and so work with all as it is
        self.apart = {o.scope for o in lowered if o.name in REDUCTIONS and 2 in o.options["axes"]}
        for operation in lowered:
            self.scope = operation.scope
            made, first = EMITTERS[operation.name](self, operation)
            self.names[id(operation.output), first] = made
        for output, value in self.program.outputs.items():
            self.nodes.append(helper.make_node("Identity", [self.name(value)], [output], output))

    def model(self, name: str) -> Any:
        """The whole as ONNX's own object."""
        from onnx import TensorProto, helper, numpy_helper

        self.emit()
        if (size := sum(array.nbytes for array in self.arrays.values())) > LARGEST:
            what = f"the weights come to {size / 1e9:.3g} GB"
            raise ValueError(f"{what}, and an ONNX file holds less than 2: export a smaller model, or a .py file")
        kinds = {"x": TensorProto.INT64 if self.program.takes_indices else TensorProto.FLOAT}
        info, values = helper.make_tensor_value_info, {"x": self.program.x, **self.program.outputs}
        ends = [info(n, kinds.get(n, TensorProto.FLOAT), ["N", *value.example]) for n, value in values.items()]
        tensors = [numpy_helper.from_array(array, key) for key, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, name, ends[:1], ends[1:], tensors)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="handgrad", ir_version=IR_VERSION, opset_imports=opsets)
        told = {k: v if isinstance(v, str) else json.dumps(v) for k, v in self.program.facts.items() if v}
        helper.set_model_props(model, told)
        return model

    def node(self, kind: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        """A node; the name of its last output, the others without one."""
        from onnx import helper

        made = self.fresh(f"{self.scope}.{kind}".lstrip("."))
        listed = [""] * (outputs - 1) + [made]
        self.nodes.append(helper.make_node(kind, inputs, listed, made, **attributes))
        return made

    def fresh(self, stem: str) -> str:
        """A name that nothing else has."""
        name = next(n for i in count() if (n := f"{stem}_{i}" if i else stem) not in self.taken)
        self.taken.add(name)
        return name

    def array(self, values: Any, name: str = "constant", dtype: Any = np.float32) -> str:
        """The name of an array, which stands once."""
        array = np.ascontiguousarray(values, dtype)
        for i in count():
            key = f"{name}_{i}" if i else name
            if key not in self.arrays and key not in self.taken:
                self.arrays[key] = array
                self.taken.add(key)
            if key in self.arrays and same(self.arrays[key], array):
                return key
        raise AssertionError

    def whole(self, *numbers: int) -> str:
        """The name of an array of whole numbers."""
        return self.array(numbers, "whole", np.int64)

    def name(self, item: Item, first: bool = False, rank: int = 0) -> str:
        """The name of a value, an array or a number, with channels first or last; rank is that of the values there."""
        if isinstance(item, Weight):
            array = item.array.reshape((1,) * (rank - item.array.ndim) + item.array.shape) if first else item.array
            return self.array(array.transpose(2, 0, 1) if first else array, item.name)
        if isinstance(item, float):
            return self.array(item)
        if (id(item), first) not in self.names:
            order = [0, 3, 1, 2] if first else [0, 2, 3, 1]
            self.names[id(item), first] = self.node("Transpose", [self.name(item, not first)], perm=order)
        return self.names[id(item), first]

    def is_first(self, items: Sequence[Item]) -> bool:
        """Whether a value among these is there with channels first, and none that is not."""
        values = [item for item in items if isinstance(item, Value)]
        return self.scope not in self.apart and all((id(value), True) in self.names for value in values)

    def together(self, kind: str, operation: Operation, **attributes: Any) -> tuple[str, bool]:
        """An operator that works number by number, in the layout that its inputs have."""
        first, rank = self.is_first(operation.inputs), len(operation.output.example)
        return self.node(kind, [self.name(item, first, rank) for item in operation.inputs], **attributes), first


Emitter: TypeAlias = Callable[[Graph, Operation], tuple[str, bool]]


def same(one: Array, other: Array) -> bool:
    """Whether two arrays are the same to the bit."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def elementwise(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """An operator of the same name."""
    return graph.together(ELEMENTWISE[operation.name], operation)


def activation(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """An activation, with the number that it has; softmax along the channels, wherever they are."""
    options = {name: float(value) for name, value in operation.options["layer"].config.items() if name == "alpha"}
    if operation.name == "SELU":
        options = {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}
    if operation.name in ("Softmax", "LogSoftmax"):
        options["axis"] = 1 if graph.is_first(operation.inputs) else -1
    return graph.together(ACTIVATIONS[operation.name], operation, **options)


def comparison(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """1 or 0 for what ONNX has truth values for."""
    made, first = graph.together(COMPARISONS[operation.name], operation)
    return graph.node("Cast", [made], to=FLOAT), first


def where(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """The condition is a truth value there."""
    condition, *others = [graph.name(item) for item in operation.inputs]
    return graph.node("Where", [graph.node("Cast", [condition], to=BOOL), *others]), False


def expm1(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """exp(x) - 1."""
    made, first = graph.together("Exp", operation)
    return graph.node("Sub", [made, graph.array(1.0)]), first


def log1p(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """log(1 + x)."""
    made, first = graph.together("Add", operation._replace(inputs=(*operation.inputs, 1.0)))
    return graph.node("Log", [made]), first


def silu(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """x sigmoid(x)."""
    made, first = graph.together("Sigmoid", operation)
    return graph.node("Mul", [graph.name(operation.inputs[0], first), made]), first


def relu6(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Between 0 and 6."""
    return graph.together("Clip", operation._replace(inputs=(*operation.inputs, 0.0, 6.0)))


def matmul(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """A matrix product."""
    return graph.node("MatMul", [graph.name(item) for item in operation.inputs]), False


def linear(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Gemm for rows, a product and a sum for sequences."""
    arrays = [graph.array(array, name) for name, array in arrays_of(operation).items()]
    given = [graph.name(operation.inputs[0]), *arrays]
    if len(operation.output.example) == 1:
        return graph.node("Gemm", given), False
    made = graph.node("MatMul", given[:2])
    return (graph.node("Add", [made, given[2]]) if given[2:] else made), False


def norm(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """BatchNormalization, for which channels are the second axis, and LayerNormalization, over the last one."""
    first = operation.name == "BatchNorm" and len(operation.output.example) == 3
    arrays = [graph.array(array, name) for name, array in arrays_of(operation).items()]
    given, epsilon = [graph.name(operation.inputs[0], first), *arrays], operation.options["layer"].epsilon
    return graph.node(f"{operation.name}alization", given, epsilon=epsilon), first


def recurrent(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Time comes before the examples there, and the gates in another order."""
    layer: Recurrent = operation.options["layer"]
    weights = arrays_of(operation)
    named = {key.rpartition(".")[2]: key for key in weights}

    def ordered(key: str) -> Array:
        blocks = np.split(weights[named[key]], len(layer.gates), axis=-1)
        return np.concatenate([blocks[i] for i in GATES[operation.name]], axis=-1).T[None]

    bias = ordered("bias")
    other = ordered("recurrent_bias") if "recurrent_bias" in named else np.zeros_like(bias)
    given = [
        graph.node("Transpose", [graph.name(operation.inputs[0])], perm=[1, 0, 2]),
        graph.array(ordered("weight"), named["weight"]),
        graph.array(ordered("recurrent_weight"), named["recurrent_weight"]),
        graph.array(np.concatenate([bias, other], axis=1), named["bias"]),
    ]
    options = {"linear_before_reset": 1} if operation.name == "GRU" else {}
    whole = layer.return_sequences
    made = graph.node(operation.name, given, 1 if whole else 2, hidden_size=layer.units, **options)
    made = graph.node("Squeeze", [made, graph.whole(int(whole))])
    return (graph.node("Transpose", [made], perm=[1, 0, 2]) if whole else made), False


def convolution(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Channels first, and so are those of the weight."""
    x, weight, *bias = operation.inputs
    array, key = weight_of(weight)
    is_transposed = operation.name == "conv_transpose2d"
    given = [graph.name(x, True), graph.array(array.transpose((2, 3, 0, 1) if is_transposed else (3, 2, 0, 1)), key)]
    given += [graph.name(item) for item in bias]
    stride, pads = operation.options["stride"], operation.options["padding"]
    options = {"kernel_shape": array.shape[:2], "strides": stride, "pads": ends_of(pads)}
    if not is_transposed:
        options |= {"dilations": operation.options["dilation"], "group": operation.options["groups"]}
        return graph.node("Conv", given, **options), True
    sizes = zip(operation.options["output_size"], shape_of(x), stride, pads, array.shape, strict=False)
    options["output_padding"] = [out - ((n - 1) * s - sum(p) + k) for out, n, s, p, k in sizes]
    return graph.node("ConvTranspose", given, **options), True


def pooling(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Channels first; zeros of the padding count in a mean."""
    given, pads = operation.options, ends_of(operation.options["padding"])
    options = {"kernel_shape": given["kernel"], "strides": given["stride"], "pads": pads}
    kind, more = ("MaxPool", {}) if operation.name == "max_pool2d" else ("AveragePool", {"count_include_pad": 1})
    return graph.node(kind, [graph.name(operation.inputs[0], True)], **options, **more), True


def ends_of(padding: Sequence[tuple[int, int]]) -> list[int]:
    """All beginnings, then all ends."""
    return [before for before, _ in padding] + [after for _, after in padding]


def reshape(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """0 keeps the number of examples."""
    return graph.node("Reshape", [graph.name(operation.inputs[0]), graph.whole(0, *operation.options["shape"])]), False


def transpose(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """The axis of the examples stays."""
    axes = [0, *(axis + 1 for axis in operation.options["axes"])]
    return graph.node("Transpose", [graph.name(operation.inputs[0])], perm=axes), False


def cut(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Starts, ends, axes and steps are arrays there."""
    starts, stops, steps = zip(*operation.options["slices"], strict=True)
    axes = graph.whole(*range(1, 1 + len(starts)))
    given = [graph.name(operation.inputs[0]), graph.whole(*starts), graph.whole(*stops), axes, graph.whole(*steps)]
    return graph.node("Slice", given), False


def concatenate(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Channels side by side where all have them first; an array is repeated for each example."""
    first, axis = graph.is_first(operation.inputs), operation.options["axis"] + 1
    if first and all(isinstance(item, Value) for item in operation.inputs):
        return graph.node("Concat", [graph.name(item, True) for item in operation.inputs], axis=axis % 3 + 1), True
    value = next(item for item in operation.inputs if isinstance(item, Value))
    names = []
    for item in operation.inputs:
        name = graph.name(item)
        if not isinstance(item, Value):
            length = graph.node("Shape", [graph.name(value)], start=0, end=1)
            shape = graph.node("Concat", [length, graph.whole(*shape_of(item))], axis=0)
            name = graph.node("Expand", [name, shape])
        names.append(name)
    return graph.node("Concat", names, axis=axis), False


def reduction(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """A sum, mean or maximum; of all pixels also with channels first."""
    (x,), axes, keepdims = operation.inputs, operation.options["axes"], operation.options["keepdims"]
    first = graph.is_first([x]) and axes == (0, 1)
    given = [graph.name(x, first), graph.whole(*((2, 3) if first else (axis + 1 for axis in axes)))]
    return graph.node(REDUCTIONS[operation.name], given, keepdims=int(keepdims)), first and keepdims


def take(graph: Graph, operation: Operation) -> tuple[str, bool]:
    """Rows by number."""
    weight, rows = map(graph.name, operation.inputs)
    if operation.inputs[1] is not graph.program.x or not graph.program.takes_indices:
        rows = graph.node("Cast", [rows], to=INT64)
    return graph.node("Gather", [weight, rows], axis=0), False


def arrays_of(operation: Operation) -> dict[str, Array]:
    """The arrays of a layer under the names that they have in the model."""
    layer = operation.options["layer"]
    return {f"{operation.scope}.{name}".lstrip("."): a for name, a in (layer.parameters | layer.state).items()}


def weight_of(item: Item) -> tuple[Array, str]:
    """The array and the name of an input that is an array."""
    if not isinstance(item, Weight):
        raise ValueError("a convolution by what is no array of the model has no counterpart in ONNX")
    return item.array, item.name


FLOAT, INT64, BOOL = 1, 7, 9  # TensorProto's numbers
LAYERS: Mapping[str, Emitter] = {
    **dict.fromkeys(ACTIVATIONS, activation),
    **{"SiLU": silu, "ReLU6": relu6, "Linear": linear, "BatchNorm": norm, "LayerNorm": norm},
    **dict.fromkeys(GATES, recurrent),
}
EMITTERS: Mapping[str, Emitter] = {
    **LAYERS,
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(COMPARISONS, comparison),
    **dict.fromkeys(REDUCTIONS, reduction),
    **dict.fromkeys(("conv2d", "conv_transpose2d"), convolution),
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), pooling),
    **{"where": where, "expm1": expm1, "log1p": log1p, "matmul": matmul, "reshape": reshape, "transpose": transpose},
    **{"slice": cut, "concatenate": concatenate, "take": take},
}
