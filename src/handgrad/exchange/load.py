"""ONNX files as models: operators become layers, in chains, sums and branches; what has no layer is refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import layers as hg
from ..arrays import Array, Shape
from ..chains import Chains
from ..functional.windows import window_geometry
from ..layers.recurrent import Recurrent
from ..naming import check_path
from .onnx_file import GATES, REDUCTIONS, ends_of
from .onnx_graph import Graph, Node, evaluate, refusing

JOINS = {"Add": "add", "Sum": "add", "Mul": "multiply", "Concat": "concat"}
FLOATS, WHOLE = (1, 11), (6, 7)  # TensorProto's numbers of float and double, int32 and int64
POINTS = np.linspace(-8, 8, 161)
ACTIVATIONS = hg.Identity, hg.ReLU, hg.ReLU6, hg.Sigmoid, hg.Tanh, hg.Softplus, hg.SELU, hg.SiLU, hg.Arctan, hg.GELU
NUMBERWISE = {
    *("Abs", "Add", "Atan", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity", "Log"),
    *("LeakyRelu", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt"),
    *("Sub", "Swish", "Tanh", "Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Cast", "CastLike"),
}
Arrays: TypeAlias = dict[str, Array]


class Made(NamedTuple):
    """A layer, and the arrays that it is to have; example is the shape that it wants as it is in the file."""

    layer: hg.Layer
    arrays: Arrays = {}
    example: Shape = ()


class Joined(NamedTuple):
    """A node that joins chains."""

    node: Node
    chains: list[list[Part]]


Part: TypeAlias = "Node | Made | Joined"


def load_onnx(path: str | Path, input_shape: Sequence[int] | None = None) -> hg.Sequential:
    """The network in an ONNX file as a model with gradients, which takes what the file takes: to train on.

    Parameters
    ----------
    path : str or Path
        The file. Nothing in it is run.
    input_shape : sequence of int, optional
        The shape of one example, as the file has it (channels first, where it has them so), if it leaves sizes free.

    Returns
    -------
    Sequential
        Built. Where a file has several outputs, it makes the first one of floats.

    Raises
    ------
    ValueError
        For a damaged file, a newer one than the onnx package knows, weights outside of its folder, and for an operator
        or a graph that no layers of handgrad do: it is named.

    Notes
    -----
    Constants are computed. Layers work with channels last; where the file has them first, a `Permute` stands.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.onnx"
    >>> model = hg.Sequential([hg.Linear(3), hg.ReLU()]).build(4, rng=0)
    >>> receipt = hg.export(model, path)  # doctest: +SKIP
    >>> bool((hg.load_onnx(path).predict(np.eye(4)) == model.predict(np.eye(4))).all())  # doctest: +SKIP
    True
    """
    graph = Graph(check_path("load_onnx", "path", path), None if input_shape is None else tuple(input_shape))
    reader = Reader(graph)
    for name in graph.nodes:  # in order, so that no recursion is as deep as the graph
        if any(value in reader.depth for value in graph.nodes[name].values):
            reader.parting(name)
    way = Way(graph, "plain")
    with refusing(graph.path, FloatingPointError), np.errstate(over="raise", invalid="raise"):
        way.follow(reader.chain(graph.end, graph.start))
    way.turn("plain", graph.shapes[graph.end][1:])
    dtype = np.float64 if graph.types[graph.end] == 11 else np.float32
    model = hg.Sequential(way.layers() or [hg.Identity()]).build(graph.example, rng=0, dtype=dtype)
    if model.output_shape != graph.shapes[graph.end][1:]:
        what = f"{path}: the layers make examples of shape {model.output_shape}"
        raise ValueError(f"{what}, and the file {graph.shapes[graph.end][1:]}")
    for layer, arrays, _ in way.made:
        for name, array in arrays.items():
            (layer.state if name in layer.state else layer.parameters)[name] = array
    return model


class Reader(Chains[str, Part]):
    """The graph's parts, from value to value; a stretch that computes an activation number by number is one layer."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.start)
        self.graph: Graph = graph

    def inputs(self, node: str) -> list[str]:
        return self.graph.nodes[node].values

    def operands(self, node: str) -> list[str]:
        found = self.graph.nodes[node]
        return found.values if found.op in JOINS and len(found.values) > 1 else []

    def unreadable(self, node: str, why: str) -> ValueError:
        return self.graph.nodes[node].unreadable(f"makes what {why}")

    def single(self, node: str, top: str) -> tuple[Part, str]:
        found = self.graph.nodes[node]
        if activation := self.activation(node, top):
            return activation
        if len(found.values) != 1:
            why = "works on several values, and handgrad joins them by a sum, a product or Concat only"
            raise found.unreadable(why)
        found = copy.copy(found)
        found.output = node  # of several the one that is used
        return found, found.values[0]

    def join(self, node: str, top: str) -> tuple[Part, str]:
        return self.activation(node, top) or super().join(node, top)

    def joined(self, node: str, chains: list[list[Part]]) -> Part:
        return Joined(self.graph.nodes[node], chains)

    def activation(self, node: str, top: str) -> tuple[Part, str] | None:
        """The activation or norm that the longest stretch up to a value computes, whatever its spelling."""
        starts, before = list[tuple[str, list[Node]]](), node
        while before != top:
            before = self.parting(before)
            if (between := self.between(before, node)) is None:
                break
            starts.append((before, between))
        for before, between in reversed(starts):
            constants = {i: self.graph.constants[i] for n in between for i in n.inputs if i in self.graph.constants}
            is_numberwise = all(n.op in NUMBERWISE for n in between) and all(c.size == 1 for c in constants.values())
            if found := (self.numberwise if is_numberwise else self.norm)(before, node, between, constants):
                self.seen |= {n.output for n in between} - {node}
                return found, before
        return None

    def between(self, before: str, node: str) -> list[Node] | None:
        """The nodes after one value and up to another, if these work number by number, or take means."""
        found, left = dict[str, Node](), [node]
        while left:
            name = left.pop()
            if name == before or name in found:
                continue
            found[name] = made = self.graph.nodes[name]
            left += made.values
            if made.op not in {*NUMBERWISE, *REDUCTIONS.values()} or len(found) > 24:
                return None
        return [made for name, made in self.graph.nodes.items() if name in found]

    def values(self, before: str, node: str, between: list[Node], given: Array, constants: Arrays) -> Array:
        """What a stretch makes of some numbers; nothing where it cannot be computed."""
        feeds = {before: given.astype(np.float64 if self.graph.types.get(before) == 11 else np.float32), **constants}
        try:
            with np.errstate(all="ignore"):
                return evaluate([made.proto for made in between], feeds, [node], self.graph.model)[node]
        except (TypeError, ValueError, RuntimeError, IndexError):
            return np.zeros(0)

    def numberwise(self, before: str, node: str, between: list[Node], constants: Arrays) -> Made | None:
        """An activation."""
        y = self.values(before, node, between, POINTS, constants).reshape(-1)
        if len(y) != len(POINTS) or y.dtype.kind != "f":
            return None
        slope, limit = float(f"{-y[np.abs(POINTS + 1).argmin()]:.6g}"), float(f"{-y[0] / -np.expm1(POINTS[0]):.6g}")
        numbers = [hg.LeakyReLU(slope), hg.ELU(limit)] if np.isfinite([slope, limit]).all() else []
        known = [*(cls() for cls in ACTIVATIONS), hg.GELU("none"), *numbers]
        return chosen(list(map(Made, known)), POINTS, y)

    def norm(self, before: str, node: str, between: list[Node], constants: Arrays) -> Made | None:
        """A softmax, a layer norm or a root mean square norm, with weights that are among the constants."""
        if not any(made.op in REDUCTIONS.values() for made in between) or before not in self.graph.shapes:
            return None
        features = self.graph.shapes[before][-1]
        x = np.random.default_rng(0).normal(size=(4, *self.graph.shapes[before][1:]))
        y = self.values(before, node, between, x, constants)
        weights = [c.reshape(-1) for c in constants.values() if c.size == features and c.shape[-1:] == (features,)]
        small = [float(c.reshape(-1)[0]) for c in constants.values() if c.size == 1 and 0 < c.reshape(-1)[0] < 0.01]
        known = [
            Made(layer, {"gamma": gamma, **({"beta": beta} if isinstance(layer, hg.LayerNorm) else {})}, x.shape[1:])
            for epsilon in small
            for gamma in [*weights, np.ones(features)]
            for beta in [*weights, np.zeros(features)]
            for layer in (hg.LayerNorm(epsilon), hg.RMSNorm(epsilon))
        ] + [Made(layer, {}, x.shape[1:]) for layer in (hg.Softmax(), hg.LogSoftmax())]
        return chosen(known, x, y)


def chosen(known: Sequence[Made], x: Array, y: Array) -> Made | None:
    """The first layer that makes y of x."""
    for made in known:
        layer = made.layer.build(x.shape[1:] or 1, dtype=np.float64)
        layer.parameters.update(made.arrays)
        expected = layer.forward(x if x.ndim > 1 else x[:, None])
        if y.size == expected.size and np.allclose(y, expected.reshape(y.shape), rtol=1e-5, atol=1e-5):
            return made
    return None


class Way:
    """Layers made of parts in order, from one value to another, and how what comes out of them lies.

    view is 'plain' where a value lies as in the file, 'last' with channels last instead of first, 'time' where the file
    has time before the examples, and 'directions' or 'state' for a recurrent operator's outputs.
    """

    def __init__(self, graph: Graph, view: str) -> None:
        self.graph: Graph = graph
        self.view: str = view
        self.made: list[Made] = []  # with those inside of others
        self.own: list[Made] = []
        self.node: Node

    def layers(self) -> list[hg.Layer]:
        """Those of the way itself."""
        return [made.layer for made in self.own]

    def add(self, layer: hg.Layer, **arrays: Array) -> None:
        """One more layer; changes of shape behind each other are one."""
        shapes = hg.Reshape, hg.Flatten
        if self.own and isinstance(layer, shapes) and isinstance(self.own[-1].layer, shapes):
            self.made.remove(self.own.pop())
        self.own.append(Made(layer, arrays))
        self.made.append(self.own[-1])

    def follow(self, parts: Sequence[Part]) -> Way:
        """Make layers of all parts."""
        for part in parts:
            if isinstance(part, Made) and not isinstance(part.layer, hg.Identity):
                if part.example:
                    self.turn("plain", part.example)
                self.add(part.layer, **part.arrays)
            elif isinstance(part, Joined):
                self.node = part.node
                self.join(part)
            elif isinstance(part, Node):
                self.node = part
                if part.op not in READERS:
                    raise part.unreadable(f"has no layer in handgrad (known: {', '.join(sorted({*READERS, *JOINS}))})")
                READERS[part.op](self, part)
        return self

    def turn(self, view: str, example: Shape) -> None:
        """Have examples of this shape, as the file has it, lie another way."""
        if self.view not in ("plain", "last") and view != self.view:
            raise self.node.unreadable(f"leaves a value with {self.view} first, which no layer here takes")
        rank = len(example)
        if self.view != view and rank > 1:
            first = [rank, *range(1, rank)]  # from channels last
            order = first if view == "plain" else [*range(2, rank + 1), 1]
            shape = example if view == "plain" else (*example[1:], example[0])
            self.add(hg.Reshape(shape) if prod(example[1:]) == 1 else hg.Permute(order))
        self.view = view

    def join(self, part: Joined) -> None:
        """Residual for a sum with what came in, or else Branches; what is joined lies alike."""
        node, join = part.node, JOINS[part.node.op]
        ways = [Way(self.graph, self.view).follow(chain) for chain in part.chains]
        shapes = [self.graph.shapes[value][1:] for value in node.values]
        last = any(way.view == "last" for way in ways)
        for way, shape in zip(ways, shapes, strict=True):
            way.turn("last" if last else way.view, shape)
        self.view = ways[0].view
        rank, are_alike = len(shapes[0]), join == "concat" or len(set(shapes)) == 1
        if node.values != list(filter(None, node.inputs)) or not are_alike:
            raise node.unreadable(f"joins values of the shapes {shapes}, and handgrad joins what has one shape")
        if join == "concat":
            axis = node.get("axis", 1) % (rank + 1)
            if last or (rank > 1 and axis == 1 and axis != rank):
                for way, shape in zip(ways, shapes, strict=True):
                    way.turn("last", shape)
                self.view = "last"
            if axis != (1 if self.view == "last" else rank):
                raise node.unreadable(f"joins along axis {axis}, and handgrad along channels or the last axis")
        self.made += [made for way in ways for made in way.made]
        through = [way for way in ways if way.own]
        if join == "add" and len(ways) == 2 and through:
            around = next(way for way in ways if way is not through[-1])
            layer: hg.Layer = hg.Residual(through[-1].layers(), around.layers() or None)
        else:
            layer = hg.Branches([way.layers() or [hg.Identity()] for way in ways], join)
        self.own.append(Made(layer))

    def channels_last(self, node: Node) -> Shape:
        """The shape of one example of a node's input, which now lies with channels last."""
        example = node.shape(node.values[0])[1:]
        self.turn("last", example)
        return (*example[1:], example[0])

    def plain(self, node: Node) -> Shape:
        """The shape of one example of a node's input, which now lies as in the file."""
        example = node.shape(node.values[0])[1:]
        self.turn("plain", example)
        return example


# Operators ------------------------------------------------------------------------------------------------------------


def nothing(way: Way, node: Node) -> None:
    """What changes nothing at inference."""
    if node.op == "Dropout" and node.constant(2) is not None and node.array(2).any():
        raise node.unreadable("drops numbers at inference, too")


def cast(way: Way, node: Node) -> None:
    """A change of type that changes no number, or that makes the numbers of rows."""
    before, after = way.graph.types.get(node.inputs[0]), node.get("to", 0)
    readers = {made.op for made in way.graph.nodes.values() if node.output in made.inputs}
    are_rows = readers == {"Gather"} and node.output != way.graph.end
    if not (after in FLOATS or (after in WHOLE and (before in WHOLE or are_rows))):
        raise node.unreadable(f"makes {tensor_type(after)} of {tensor_type(before)}, which changes numbers")


def tensor_type(number: int | None) -> str:
    """What ONNX calls a type."""
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(number or 0)).lower()


def linear(way: Way, node: Node) -> None:
    """Gemm, and MatMul with a constant on the right."""
    if node.op == "Gemm":
        node.check(transA=0)
    if node.inputs[0] not in node.values or len(way.plain(node)) > 2 or node.array(1).ndim != 2:
        raise node.unreadable("is no product of rows or sequences with a matrix, x W")
    weight = (node.array(1).T if node.get("transB", 0) else node.array(1)) * node.get("alpha", 1.0)
    arrays = {"weight": weight}
    if len(node.inputs) > 2 and node.inputs[2]:
        arrays["bias"] = np.broadcast_to(node.array(2) * node.get("beta", 1.0), (1, weight.shape[1]))[0]
    way.add(hg.Linear(weight.shape[1], bias="bias" in arrays), **arrays)


def convolution(way: Way, node: Node) -> None:
    """Conv of images or sequences, and ConvTranspose of images."""
    sizes, weight = way.channels_last(node)[:-1], node.array(1)
    rank = weight.ndim - 2
    if rank not in (1, 2):
        raise node.unreadable(f"has {rank} axes of space; handgrad's layers have 1 or 2")
    kernel, stride = weight.shape[2:], node.get("strides", [1] * rank)
    dilation, groups = node.get("dilations", [1] * rank), node.get("group", 1)
    arrays = {} if len(node.inputs) < 3 or not node.inputs[2] else {"bias": node.array(2)}
    options: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "bias": bool(arrays)}
    if node.op == "ConvTranspose":
        node.check(group=1, dilations=[1] * rank, auto_pad="NOTSET", output_shape=None)
        pads = node.get("pads", [0] * 2 * rank)
        if rank != 2 or pads[:2] != pads[2:]:
            raise node.unreadable(f"has pads={pads} and {rank} axes of space, and handgrad's layer equal ones and 2")
        more = {"padding": pads[:2], "output_padding": node.get("output_padding", [0, 0])}
        way.add(hg.ConvTranspose2D(weight.shape[1], **options, **more), weight=weight.transpose(2, 3, 0, 1), **arrays)
        return
    padding = padding_of(node, sizes, kernel, stride, dilation)
    weight = np.moveaxis(weight, (1, 0), (-2, -1))
    options |= {"padding": padding, "dilation": dilation, "groups": groups}
    if rank == 1:
        options = {k: v[0] if isinstance(v, (list, tuple)) else v for k, v in options.items()}
    way.add((hg.Conv1D if rank == 1 else hg.Conv2D)(weight.shape[-1], **options), weight=weight, **arrays)


def padding_of(node: Node, sizes: Shape, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """The padding of windows as handgrad's layers have it: alike at both ends, or 'same'."""
    rank, auto = len(kernel), node.get("auto_pad", "NOTSET")
    pads = list(node.get("pads", [0] * 2 * rank))
    if auto == "VALID":
        return "valid"
    if auto == "NOTSET" and pads[:rank] == pads[rank:]:
        return pads[:rank]
    shape, *rest = ([1] * (2 - rank) + [*numbers] for numbers in (sizes, kernel, stride, dilation))
    same = window_geometry(node.op, (1, *shape, 1), rest[0], rest[1], "same", rest[2])
    ends = ends_of(same.padding[-rank:])
    if auto == "SAME_UPPER" or pads == ends or (auto == "SAME_LOWER" and ends[:rank] == ends[rank:]):
        return "same"
    raise node.unreadable(f"has pads={pads} (auto_pad={auto}): handgrad pads alike at both ends, or as SAME_UPPER does")


def pooling(way: Way, node: Node) -> None:
    """MaxPool and AveragePool of images."""
    *sizes, _ = way.channels_last(node)
    kernel = node.get("kernel_shape", [])
    node.check(dilations=[1] * len(kernel), storage_order=0)
    stride = node.get("strides", [1] * len(kernel))
    if len(kernel) != 2:
        raise node.unreadable(f"has {len(kernel)} axes of space, and handgrad's pooling 2")
    padding = padding_of(node, tuple(sizes), kernel, stride, [1, 1])
    if node.op == "AveragePool" and padding not in ("valid", [0, 0]) and not node.get("count_include_pad", 0):
        raise node.unreadable("leaves padding out of its means, and handgrad counts its zeros")
    layer = (hg.MaxPool2D if node.op == "MaxPool" else hg.AvgPool2D)(tuple(kernel), tuple(stride), padding)
    made, (_, _, *wanted) = layer.build((*sizes, 1)).output_shape[:2], node.shape(node.output)
    if made != tuple(wanted):  # ceil_mode
        raise node.unreadable(f"makes images of size {tuple(wanted)}, where handgrad's pooling makes {made}")
    way.add(layer)


def global_mean(way: Way, node: Node) -> None:
    """The mean over all pixels."""
    if node.op == "ReduceMean":
        axes = node.get("axes", None) if node.constant(1) is None else node.array(1).tolist()
        if axes is None or sorted(axis % 4 for axis in axes) != [2, 3] or len(node.shape(node.values[0])) != 4:
            raise node.unreadable(f"has axes={axes}, and handgrad has the mean over all pixels of images")
    channels = way.channels_last(node)[-1]
    way.add(hg.GlobalAvgPool2D())
    way.view = "plain"
    if len(node.shape(node.output)) > 2:
        way.add(hg.Reshape((channels, 1, 1)))


def batch_norm(way: Way, node: Node) -> None:
    """Channels are the second axis there, and the last here."""
    node.check(training_mode=0, spatial=1)
    if len(node.shape(node.values[0])) > 2:
        way.channels_last(node)
    names = "gamma", "beta", "running_mean", "running_var"
    layer = hg.BatchNorm(epsilon=node.get("epsilon", 1e-5))
    way.add(layer, **{name: node.array(place) for place, name in enumerate(names, start=1)})


def layer_norm(way: Way, node: Node) -> None:
    """LayerNormalization and RMSNormalization, over the last axis, or the last ones as one."""
    shape, weight, epsilon = way.plain(node), node.array(1), node.get("epsilon", 1e-5)
    axis, gamma = node.get("axis", -1) % (len(shape) + 1) - 1, weight.reshape(-1)
    if axis < 0 or weight.shape != shape[axis:]:
        raise node.unreadable(f"has weights of shape {weight.shape} for examples {shape}, from axis {axis + 1} on")
    is_last = axis == len(shape) - 1
    if not is_last:
        way.add(hg.Reshape((*shape[:axis], gamma.size)))
    if node.op == "RMSNormalization":
        way.add(hg.RMSNorm(epsilon), gamma=gamma)
    else:
        beta = np.zeros_like(gamma) if node.constant(2) is None else node.array(2).reshape(-1)
        way.add(hg.LayerNorm(epsilon), gamma=gamma, beta=beta)
    if not is_last:
        way.add(hg.Reshape(shape))


def group_norm(way: Way, node: Node) -> None:
    """GroupNormalization, and InstanceNormalization: each channel by itself."""
    channels = way.channels_last(node)[-1]
    groups = node.get("num_groups", channels)
    gamma, beta = (np.repeat(node.array(i), channels // len(node.array(i))) for i in (1, 2))
    way.add(hg.GroupNorm(groups, node.get("epsilon", 1e-5)), gamma=gamma, beta=beta)


def reshape(way: Way, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: each example in another shape; the axis of directions goes."""
    if way.view in ("directions", "state"):
        before, made = node.shape(node.values[0]), node.shape(node.output)
        if made != ((before[0],) if way.view == "directions" else ()) + (way.graph.batch, before[-1]):
            raise node.unreadable("makes of a recurrent operator's output what no layer does")
        way.view = "time" if way.view == "directions" else "plain"
        return
    example, made, batch = way.plain(node), node.shape(node.output), way.graph.batch
    after = made[1:]
    if made[0] != batch or prod(after) != prod(example):
        raise node.unreadable(f"makes {made} of {batch} examples {example}: not each by itself")
    if after != example:
        way.add(hg.Flatten() if len(after) == 1 else hg.Reshape(after))


def transpose(way: Way, node: Node) -> None:
    """An exchange of axes, which only says how to see what is there where channels or time change their place."""
    rank = len(node.shape(node.values[0]))
    order = list(node.get("perm", range(rank)[::-1]))
    views = {
        ("last", (0, *range(2, rank), 1)): "plain",
        ("plain", (0, rank - 1, *range(1, rank - 1))): "last",
        ("plain", (1, 0, *range(2, rank))): "time",
        ("time", (1, 0, *range(2, rank))): "plain",
    }
    if (way.view, tuple(order)) in views:
        way.view = views[way.view, tuple(order)]
        return
    if way.view == "directions" and order == [0, 2, 1, 3]:
        return
    if way.view == "directions" and order == [2, 0, 1, 3]:
        way.view = "plain"
        way.add(hg.Reshape(node.shape(node.output)[1:]))
        return
    if order[0] != 0:
        raise node.unreadable(f"has perm={order}, which moves the axis of the examples")
    way.plain(node)
    way.add(hg.Permute(order[1:]))


def softmax(way: Way, node: Node) -> None:
    """Along the axis that is the last one here; before opset 13 over all axes from one on, as one."""
    layer = hg.Softmax() if node.op == "Softmax" else hg.LogSoftmax()
    shape = node.shape(node.values[0])
    rank, is_old = len(shape), way.graph.opset < 13
    axis = node.get("axis", 1 if is_old else -1) % rank
    if is_old and 0 < axis < rank - 1:
        way.plain(node)
        for made in (hg.Reshape((*shape[1:axis], prod(shape[axis:]))), layer, hg.Reshape(shape[1:])):
            way.add(made)
        return
    if axis != (1 if way.view == "last" and rank > 2 else rank - 1):
        way.turn("last" if axis == 1 else "plain", shape[1:])
        if axis not in (1, rank - 1):
            raise node.unreadable(f"works along axis {axis}, and handgrad along channels or the last axis")
    way.add(layer)


def take(way: Way, node: Node) -> None:
    """Rows of a constant, or the last step of a sequence."""
    axis = node.get("axis", 0)
    if node.constant(0) is not None and axis == 0 and node.array(0).ndim == 2:
        way.plain(node)
        way.add(hg.Embedding(*node.array(0).shape), weight=node.array(0))
        return
    rank = len(node.shape(node.values[0]))
    steps, index = node.shape(node.values[0])[axis], node.array(1)
    if rank < 3 or axis % rank != (0 if way.view == "time" else 1) or index.size != 1 or index % steps != steps - 1:
        raise node.unreadable("takes other than rows of a constant, and the last step of a sequence")
    if way.view == "last":
        way.plain(node)
    way.view = "plain"
    way.add(hg.Last())
    if index.ndim:
        way.add(hg.Reshape(node.shape(node.output)[1:]))


def last_step(way: Way, node: Node) -> None:
    """A slice of the last step alone."""
    example, made = way.plain(node), node.shape(node.output)[1:]
    starts = {} if node.constant(3) is None else dict(zip(node.array(3).tolist(), node.array(1).tolist(), strict=True))
    if len(example) < 2 or made != (1, *example[1:]) or starts.get(1, 0) % example[0] != example[0] - 1:
        raise node.unreadable(f"takes a part {made} of examples {example}, and handgrad the last step of sequences")
    way.add(hg.Last())
    way.add(hg.Reshape(made))


def recurrent(way: Way, node: Node) -> None:
    """LSTM, GRU and RNN, which want time first."""
    usual = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[node.op]
    activations = [bytes(name).decode() for name in node.get("activations", [])] or usual
    node.check(direction="forward", layout=0, clip=None, input_forget=0)
    if node.op == "GRU" and not node.get("linear_before_reset", 0):
        raise node.unreadable("has linear_before_reset=0, and handgrad's layer 1")
    if activations != usual or way.view != "time":
        raise node.unreadable(f"has activations {activations} and {way.view} data; expected {usual}, and time first")
    states = [node.constant(place) for place in (4, 5, 6, 7) if place < len(node.inputs) and node.inputs[place]]
    if any(state is None or state.any() for state in states):
        raise node.unreadable("starts from a state of its own, or has sequences of several lengths")
    cls: type[Recurrent] = {"RNN": hg.RNN, "LSTM": hg.LSTM, "GRU": hg.GRU}[node.op]
    back = np.argsort(GATES[node.op])

    def ordered(array: Array) -> Array:
        blocks = np.split(array.T, len(back), axis=-1)
        return np.concatenate([blocks[i] for i in back], axis=-1)

    (weight,), (recurrent_weight,), units = node.array(1), node.array(2), node.array(2).shape[-1]
    both = node.array(3)[0] if node.constant(3) is not None else np.zeros(2 * len(weight), weight.dtype)
    bias, other = map(ordered, np.split(both, 2))
    arrays = {"bias": bias, "recurrent_bias": other} if node.op == "GRU" else {"bias": bias + other}
    arrays |= {"weight": ordered(weight), "recurrent_weight": ordered(recurrent_weight)}
    whole = node.output == node.proto.output[0]
    way.add(cls(units, return_sequences=whole), **arrays)
    way.view = "directions" if whole else "state"


def affine(way: Way, node: Node) -> None:
    """x + a, x - a, a - x, a x and x / a: a bias of the layer before it, places in a sequence, or a `Normalize`."""
    node.check(axis=None)  # before opset 7
    if way.graph.types.get(node.output) not in FLOATS:
        raise node.unreadable(f"computes in {tensor_type(way.graph.types.get(node.output))}, and handgrad in floats")
    is_left = node.inputs[0] in node.values
    constant = node.array(1 if is_left else 0)
    example = node.shape(node.values[0])[1:]
    if node.shape(node.output)[1:] != example or (node.op == "Div" and not is_left):
        raise node.unreadable(f"makes {node.shape(node.output)[1:]} of examples {example}: no layer does")
    scale = 1 / constant if node.op == "Div" else constant if node.op == "Mul" else np.ones_like(constant)
    shift = constant if node.op in ("Add", "Sub") else np.zeros_like(constant)
    if node.op == "Sub":
        scale, shift = (scale, -shift) if is_left else (-scale, shift)
    rank = len(example)
    shape = (1,) * (rank + 1 - constant.ndim) + constant.shape
    if shape[0] != 1:
        raise node.unreadable("has a constant that differs from example to example")
    is_channels = rank > 1 and prod(shape) == shape[1] > 1
    if prod(shape) > 1:
        way.turn("last" if is_channels else "plain", example)
    if prod(shape) not in (1, shape[1] if is_channels else shape[-1]):
        if node.op != "Add" or shape[1:] != example or rank != 2:
            why = f"has a constant of shape {constant.shape}: one number, or one a feature, is expected"
            raise node.unreadable(why)
        way.add(hg.PositionalEmbedding(example[0]), weight=constant.reshape(example))
        return
    way_affine(way, node, scale.reshape(-1), shift.reshape(-1), example[0] if way.view == "last" else example[-1])


def way_affine(way: Way, node: Node, scale: Array, shift: Array, features: int) -> None:
    """scale x + shift, for each feature."""
    before, arrays, _ = way.own[-1] if way.own else Made(hg.Identity())
    wide = np.broadcast_to(shift, (features,))
    if isinstance(before, (hg.Linear, hg.Conv2D)) and not before.bias and (scale == 1).all():
        way.made.remove(way.own.pop())
        way.add(type(before)(**{**before.config, "bias": True}), **arrays, bias=wide)
    elif (scale > 0).all():
        mean, std = (-shift / scale).tolist(), (1 / scale).tolist()
        way.add(hg.Normalize(mean, std) if len(mean) > 1 or features == 1 else hg.Normalize(mean[0], std[0]))
    elif way.view == "plain" and len(node.shape(node.values[0])) < 4:
        way.add(hg.Linear(features), weight=np.diag(np.broadcast_to(scale, (features,))), bias=wide)
    else:
        raise node.unreadable("multiplies channels by a number that is not above 0")


def scaler(way: Way, node: Node) -> None:
    """scikit-learn's standardisation."""
    way.plain(node)
    scale = np.array(node.get("scale", [1.0]))
    way_affine(way, node, scale, -np.array(node.get("offset", [0.0])) * scale, node.shape(node.output)[-1])


READERS: Mapping[str, Callable[[Way, Node], None]] = {
    **dict.fromkeys(("Identity", "Dropout", "Sum", "Mean"), nothing),
    "Cast": cast,
    **dict.fromkeys(("Gemm", "MatMul"), linear),
    **dict.fromkeys(("Conv", "ConvTranspose"), convolution),
    **dict.fromkeys(("MaxPool", "AveragePool"), pooling),
    **dict.fromkeys(("GlobalAveragePool", "ReduceMean"), global_mean),
    **{"BatchNormalization": batch_norm, "LayerNormalization": layer_norm, "RMSNormalization": layer_norm},
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization"), group_norm),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    **{"Transpose": transpose, "Softmax": softmax, "LogSoftmax": softmax, "Gather": take, "Slice": last_step},
    **{"Scaler": scaler, "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent},
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), affine),
}
