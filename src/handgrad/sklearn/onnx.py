"""NetClassifier and NetRegressor as ONNX, alone and in a pipeline: what skl2onnx asks of them.

skl2onnx looks for `onnx_parser`, `onnx_converter` and `onnx_shape_calculator` on an estimator, so that neither package
needs to be imported before the other. The probabilities are an array (N, classes), as with its option zipmap=False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..exchange.onnx_file import OPSET, Graph
from ..exchange.program import Program, start
from ..layers import Sigmoid, Softmax
from .objectives import ClassObjective

if TYPE_CHECKING:
    from .estimators import NetEstimator

FLOAT, INT64, STRING = 1, 7, 8  # TensorProto's numbers


def register(cls: type[Any]) -> None:
    """Tell skl2onnx which options the class knows."""
    from skl2onnx import _parse, _supported_operators, update_registered_converter

    def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        return _parse._parse_sklearn_simple_model(scope, model, inputs, custom_parsers)

    if cls not in _supported_operators.sklearn_operator_name_map:
        options = {
            "zipmap": [True, False],
            "nocl": [True, False],
            "output_class_labels": [False],
            "raw_scores": [False],
        }
        update_registered_converter(cls, f"Handgrad{cls.__name__}", set_types, convert, True, parse, options)


def set_types(operator: Any) -> None:
    """Labels of the classes' own type, and an array of probabilities; or an array of numbers."""
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    net, outputs = operator.raw_operator, operator.outputs
    rows, columns = operator.inputs[0].get_first_dimension(), answers_of(net).outputs["answers"].example[0]
    if len(outputs) > 1:
        classes = net._classes
        kind = {"U": StringTensorType, "O": StringTensorType, "f": FloatTensorType}
        is_multilabel = classes.kind == "multilabel"
        label = kind.get(classes.names.dtype.kind, Int64TensorType)
        outputs[0].type = label([rows, columns] if is_multilabel else [rows])
    outputs[-1].type = FloatTensorType([rows, columns])


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of the network, and of a classifier's labels."""
    if (opset := container.target_opset_any_domain("")) < OPSET:
        raise ValueError(f"handgrad's estimators need target_opset={OPSET} or more, got {opset}")
    net, outputs = operator.raw_operator, list[str](output.full_name for output in operator.outputs)
    (given,) = [variable.full_name for variable in operator.inputs] if len(operator.inputs) == 1 else [""]
    if not given:
        raise ValueError(f"{type(net).__name__} takes one input of all features, got {len(operator.inputs)}")
    graph = Graph(answers_of(net))
    graph.emit()
    names: dict[str, str] = {"answers": outputs[-1]}

    def name(tensor: str) -> str:
        if tensor and tensor not in names:
            names[tensor] = scope.get_unique_variable_name(f"handgrad_{tensor}")
        return names.get(tensor) or ""

    add(container, scope, "Cast", [given], [name("x")], to=FLOAT)
    for key, array in graph.arrays.items():
        kind = FLOAT if array.dtype == np.float32 else INT64
        container.add_initializer(name(key), kind, array.shape, array.reshape(-1).tolist())
    for node in graph.nodes:
        add_node(container, scope, node, name)
    if len(outputs) > 1:
        label(net, container, scope, outputs)


def add_node(container: Any, scope: Any, node: Any, name: Any) -> None:
    """A node under the names that the scope gives."""
    from onnx import helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    add(container, scope, node.op_type, list(map(name, node.input)), list(map(name, node.output)), **attributes)


def add(container: Any, scope: Any, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
    """A node of ONNX's own operators."""
    unique = scope.get_unique_operator_name(f"handgrad_{kind}")
    container.add_node(kind, inputs, outputs, op_version=OPSET, name=unique, **attributes)


def label(net: NetEstimator, container: Any, scope: Any, outputs: list[str]) -> None:
    """The class of the largest answer by its name, or each label whose probability is above one half."""
    objective = net._fitted.objective
    assert isinstance(objective, ClassObjective)
    names: Array = objective.classes.names
    chosen = scope.get_unique_variable_name("handgrad_chosen")
    if objective.classes.kind == "multilabel":
        half = scope.get_unique_variable_name("handgrad_half")
        container.add_initializer(half, FLOAT, [], [0.5 if objective.is_probabilistic else 0.0])
        add(container, scope, "Greater", [outputs[-1], half], [chosen])
        add(container, scope, "Cast", [chosen], [outputs[0]], to=INT64)
        return
    kind = {"U": STRING, "O": STRING, "f": FLOAT}.get(names.dtype.kind, INT64)
    values = [str(n).encode() if kind == STRING else n.item() for n in names]
    classes = scope.get_unique_variable_name("handgrad_classes")
    container.add_initializer(classes, kind, [len(names)], values)
    add(container, scope, "ArgMax", [outputs[-1]], [chosen], axis=1, keepdims=0)
    add(container, scope, "Gather", [classes, chosen], [outputs[0]], axis=0)


def answers_of(net: NetEstimator) -> Program:
    """What a trained estimator answers: probabilities, rates or values; of two classes by one output those of both."""
    fit = net._fitted
    model, objective = fit.model_, fit.objective
    x: Any = start(model, (net.n_features_in_,))
    y: Any = x.recorder.within(model, x.reshape(-1, *model.input_shape))
    if objective.activation == "exp":
        y = np.exp(y)
    elif objective.is_probabilistic and not objective.has_softmax:
        y = y.recorder.within(Sigmoid() if objective.activation == "logistic" else Softmax(), y)
    if isinstance(objective, ClassObjective) and objective.classes.kind == "binary" and y.example == (1,):
        other = 1 - y if objective.is_probabilistic else -y
        y = np.concatenate([other, y], axis=1) if len(objective.classes.names) > 1 else y / y
    return Program(x, {"answers": y}, x.recorder.operations)
