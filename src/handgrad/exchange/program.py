"""A network as a list of operations on arrays of known shapes, recorded while its layers compute with a stand-in."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..arrays import Array, ArrayLike, DType, Shape
from ..layers import Layer, Sequential
from . import operations

BATCH = 7919  # the length that code sees a batch have: a prime, so that no example's shape is mistaken for it
SAME = {"true_divide": "divide", "abs": "absolute", "fabs": "absolute"}  # NumPy's further names for a ufunc
AnyValue: TypeAlias = Any  # a `Value` where NumPy's types, which know nothing of it, take it for an array
Item: TypeAlias = "Value | Weight | float"
Known: TypeAlias = Callable[["Operation"], bool]  # whether a format has a word for a whole layer
Rule: TypeAlias = Callable[[Any, AnyValue], AnyValue]
RULES: dict[type[Layer], Rule] = {}


class Weight(NamedTuple):
    """An array that a program brings along: one of the model's under its name there, or made of such."""

    name: str
    array: Array


class Operation(NamedTuple):
    """One step of a program.

    name is one of `operations.OPERATIONS`, or of a layer's class, whose `parts` are its steps; scope is the path of
    the layer in the model. Shapes, axes and the like in the options are those of one example.
    """

    name: str
    inputs: tuple[Value | Weight | float, ...]
    options: Mapping[str, Any]
    output: Value
    scope: str
    parts: tuple[Operation, ...] = ()


class Value(NDArrayOperatorsMixin):
    """Stands for an array (N, ...) while a network computes, and has what is done with it recorded.

    NumPy's functions and operators take it where there is an operation for what they do.

    Attributes
    ----------
    example : tuple of int
        The shape of one example; `shape` has a stand-in for N before it.
    dtype : numpy.dtype
        What the model computes in.
    """

    def __init__(self, recorder: Recorder, example: Shape) -> None:
        self.recorder: Recorder = recorder
        self.example: Shape = tuple(int(size) for size in example)
        self.dtype: DType = recorder.dtype

    @property
    def shape(self) -> Shape:
        return (self.recorder.batch, *self.example)

    @property
    def ndim(self) -> int:
        return 1 + len(self.example)

    @property
    def real(self) -> Value:
        return self

    def __len__(self) -> int:
        return self.recorder.batch

    def __array__(self, *arguments: Any, **options: Any) -> NoReturn:
        self.recorder.refuse("what depends on the numbers of x, or needs them as a plain array,")

    __bool__ = __array__  # one by one, which type checkers understand
    __float__ = __array__
    __int__ = __array__
    __index__ = __array__
    __iter__ = __array__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Value:
        name = SAME.get(ufunc.__name__, ufunc.__name__)
        if name not in (*operations.UFUNCS, *operations.COMPARISONS) or method != "__call__" or options:
            self.recorder.refuse(f"np.{ufunc.__name__}{'' if method == '__call__' else '.' + method}")
        return self.recorder.elementwise(name, inputs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        name: str = function.__name__
        if name in JOINS:
            return JOINS[name](self.recorder, *arguments, **options)
        if not hasattr(Value, name) or arguments[0] is not self:
            self.recorder.refuse(f"np.{name}")
        return getattr(self, name)(*arguments[1:], **options)

    def __getitem__(self, index: Any) -> Value:
        return self.recorder.select(self, index if isinstance(index, tuple) else (index,))

    def reshape(self, *shape: Any) -> Value:
        return self.recorder.reshape(self, tuple(map(operator.index, unpacked(shape))))

    def transpose(self, *axes: Any) -> Value:
        order = [operator.index(axis) % self.ndim for axis in unpacked(axes)]
        if not order or order[0] != 0:
            self.recorder.refuse("an exchange of the axis of the examples")
        return self.recorder.transpose(self, [axis - 1 for axis in order[1:]])

    def swapaxes(self, one: int, other: int) -> Value:
        order = list(range(self.ndim))
        order[one], order[other] = order[other], order[one]
        return self.transpose(order)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Value:
        return self.recorder.reduce("sum", self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Value:
        return self.recorder.reduce("mean", self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Value:
        return self.recorder.reduce("max", self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> AnyValue:
        return -(-self).max(axis, keepdims)

    def var(self, axis: Any = None, keepdims: bool = False) -> AnyValue:
        centered = self - self.mean(axis, keepdims=True)
        return (centered * centered).mean(axis, keepdims)

    def std(self, axis: Any = None, keepdims: bool = False) -> AnyValue:
        return np.sqrt(self.var(axis, keepdims))

    def astype(self, dtype: Any, copy: bool = True) -> Value:
        if np.dtype(dtype).kind != "f":
            self.recorder.refuse(f"a cast to {np.dtype(dtype)}")
        return self

    def copy(self) -> Value:
        return self

    def clip(self, low: Any = None, high: Any = None) -> AnyValue:
        raised = self if low is None else np.maximum(self, low)
        return raised if high is None else np.minimum(raised, high)


def unpacked(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What NumPy's methods take as f(1, 2) and as f((1, 2))."""
    return tuple(arguments[0]) if len(arguments) == 1 and not hasattr(arguments[0], "__index__") else arguments


class Recorder:
    """Writes down what is done with values."""

    def __init__(self, model: Layer) -> None:
        self.dtype: DType = model.dtype
        self.batch: int = BATCH  # the length that code sees
        self.operations: list[Operation] = []
        self.whole: list[Operation] = self.operations
        self.layer: Layer = model
        self.paths: dict[int, str] = dict(paths(model))
        self.weights: dict[Any, Weight] = {}  # by where they lie in memory
        self.kept: list[Array] = []  # so that no other array comes to lie there
        for name, array in (model.parameters | model.state).items():
            if not np.isfinite(array).all():
                what = f"'{name}' of the model holds what is no number (was its training lost?)"
                raise ValueError(f"cannot export: {what}")
            self.weights[place(array)] = Weight(name, array)

    @property
    def scope(self) -> str:
        """The path of the layer that computes."""
        return self.paths.get(id(self.layer), "")

    def refuse(self, what: str) -> NoReturn:
        """Say that there is no operation for what a layer does, and how to give it a rule."""
        cls = type(self.layer).__name__
        product = "x @ layer.parameters['weight']" if "weight" in self.layer.parameters else "x"
        raise ValueError(
            f"{self.layer.label}: {what} has no counterpart in other formats. Give {cls} a rule, in the operations of"
            f" handgrad.exchange.OPERATIONS:  @handgrad.exchange.exports({cls})  def _(layer, x): return"
            f" np.maximum({product}, 0)"
        )

    def record(self, name: str, inputs: Iterable[Any], example: Shape, **options: Any) -> Value:
        """The value that an operation makes, of examples of this shape."""
        output = Value(self, example)
        taken = tuple(item if isinstance(item, Value) else self.constant(item) for item in inputs)
        self.operations.append(Operation(name, taken, options, output, self.scope))
        return output

    def constant(self, given: ArrayLike | Weight, ndim: int | None = None) -> Weight | float:
        """What is no value as a number, or as an array without the axis of the examples."""
        if isinstance(given, (Weight, float)):
            return given
        array = np.asarray(given)
        if array.ndim == 0:
            return float(array.astype(self.dtype))
        if ndim is not None and array.ndim >= ndim:
            if array.ndim > ndim or (len(array) != 1 and not (len(array) == self.batch and (array == array[:1]).all())):
                self.refuse(f"an array of shape {array.shape} for all examples together")
            array = array[0]
            return self.constant(array)
        key = place(array)
        if key not in self.weights:
            stem = f"{self.scope}.constant".lstrip(".")
            count = sum(weight.name.startswith(stem) for weight in self.weights.values())
            self.kept.append(array)
            self.weights[key] = Weight(f"{stem}{count + 1}", np.ascontiguousarray(array, self.dtype))
        return self.weights[key]

    def elementwise(self, name: str, inputs: Sequence[Any]) -> Value:
        """A ufunc of values, numbers and arrays; matmul, too."""
        ranks = {item.ndim for item in inputs if isinstance(item, Value)}
        if len(ranks) > 1:
            self.refuse(f"np.{name} of examples of {' and '.join(str(rank - 1) for rank in sorted(ranks))} axes")
        rank = None if name == "matmul" else max(ranks)
        taken = [item if isinstance(item, Value) else self.constant(item, rank) for item in inputs]
        shapes = [shape_of(item) for item in taken]
        example = product_shape(*shapes) if name == "matmul" else np.broadcast_shapes(*shapes)
        return self.record(name, taken, example)

    def select(self, x: Value, index: tuple[Any, ...]) -> Value:
        """x[index], of whole numbers, slices and None."""
        entries = [*index]
        if Ellipsis in [entry for entry in entries if entry is None or entry is Ellipsis]:
            at = next(i for i, entry in enumerate(entries) if entry is Ellipsis)
            present = sum(entry is not None for entry in entries) - 1
            entries[at : at + 1] = [slice(None)] * (x.ndim - present)
        plain = all(entry is None or isinstance(entry, slice) or hasattr(entry, "__index__") for entry in entries)
        if not plain or not entries or entries[0] not in (slice(None), slice(0, self.batch)):
            self.refuse("x[...] by anything but whole numbers and slices, or of other than all examples,")
        example = np.broadcast_to(np.float32(0), (1, *x.example))[(slice(None), *entries[1:])].shape[1:]
        wanted = [entry for entry in entries[1:] if entry is not None]
        wanted += [slice(None)] * (len(x.example) - len(wanted))
        pairs = zip(wanted, x.example, strict=True)
        slices = [(e if isinstance(e, slice) else slice(e % n, e % n + 1)).indices(n) for e, n in pairs]
        if any(step < 1 for _, _, step in slices):
            self.refuse("a slice with a negative step")
        if slices != [(0, size, 1) for size in x.example]:
            shape = tuple(len(range(*bounds)) for bounds in slices)
            x = self.record("slice", [x], shape, slices=tuple(slices))
        return self.reshape(x, (self.batch, *example))

    def reshape(self, x: Value, shape: Shape) -> Value:
        """x in another shape, whose first axis is that of the examples."""
        first, example, size = shape[0], list(shape[1:]), prod(x.example)
        if -1 in example:
            example[example.index(-1)] = size // max(1, -prod(example))
        if first not in (-1, self.batch) or prod(example) != size:
            self.refuse(f"a change of shape from (N, {x.example}) to {shape} that is none of each example")
        return x if tuple(example) == x.example else self.record("reshape", [x], tuple(example), shape=tuple(example))

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """The axes of each example in another order."""
        if list(axes) == list(range(len(axes))):
            return x
        return self.record("transpose", [x], tuple(x.example[axis] for axis in axes), axes=tuple(axes))

    def reduce(self, name: str, x: Value, axis: Any, keepdims: bool) -> Value:
        """A sum, mean or maximum over axes of each example."""
        axes = [0 if a is None else a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
        if 0 in axes:
            self.refuse(f"a {name} over the examples of a batch")
        kept = [1 if i + 1 in axes else size for i, size in enumerate(x.example)]
        example = kept if keepdims else [size for i, size in enumerate(x.example) if i + 1 not in axes]
        options = {"axes": tuple(sorted(a - 1 for a in axes)), "keepdims": bool(keepdims)}
        return self.record(name, [x], tuple(example), **options)

    def concatenate(self, values: Sequence[Any], axis: int = 0) -> Value:
        """Arrays side by side."""
        rank = next(item.ndim for item in values if isinstance(item, Value))
        if axis % rank == 0:
            self.refuse("np.concatenate of examples")
        taken = [item if isinstance(item, Value) else self.constant(item, rank) for item in values]
        shapes, at = [shape_of(item) for item in taken], axis % rank - 1
        total = sum(shape[at] for shape in shapes)
        return self.record("concatenate", taken, (*shapes[0][:at], total, *shapes[0][at + 1 :]), axis=at)

    def stack(self, values: Sequence[Any], axis: int = 0) -> Value:
        """Arrays side by side along an axis of their own."""
        at = axis % (1 + next(item.ndim for item in values if isinstance(item, Value)))
        apart = [item[(slice(None),) * at + (None,)] for item in values]
        return self.concatenate(apart, at)

    def where(self, condition: Any, one: Any, other: Any) -> Value:
        """One where the condition is not 0, else the other."""
        return self.elementwise("where", (condition, one, other))

    # Layers -----------------------------------------------------------------------------------------------------------

    def within(self, layer: Layer, x: Value) -> Value:
        """y of a layer in inference, which no number of examples may change."""
        count, y = len(self.operations), self.once(layer, x)
        if self.operations is self.whole:
            weights, self.batch, self.operations = dict(self.weights), 1, []
            self.once(layer, x)
            self.compare(self.whole[count:], self.operations, {})
            self.weights, self.batch, self.operations = weights, BATCH, self.whole
        return y

    def compare(self, found: Sequence[Operation], again: Sequence[Operation], same: dict[int, int]) -> None:
        """Refuse a layer whose steps are other ones for another number of examples; same: values again, as found."""
        around = self.layer
        for one, other in zip_longest(found, again):
            self.layer = (one or other).options.get("layer", around)
            if one and other and one.parts and other.parts and one.name == other.name:
                self.compare(one.parts, other.parts, same)
                is_same = same.get(id(other.output)) == id(one.output)
            else:
                is_same = bool(one and other) and alike(one, other, same)
            if not is_same:
                self.refuse("what depends on the number of examples, or is other numbers each time,")
            same[id(other.output)] = id(one.output)
        self.layer = around

    def once(self, layer: Layer, x: Value) -> Value:
        """y of a layer in inference, its steps the parts of one operation under the name of its class."""
        self.paths.setdefault(id(layer), self.scope)  # of one that a rule makes
        outer, around, self.layer = self.operations, self.layer, layer
        self.operations = []
        try:
            y = rule_of(layer)(layer, x)
            if not isinstance(y, Value) or (layer.is_built and y.example != layer.output_shape):
                made = getattr(y, "example", type(y))
                self.refuse(f"a rule that makes {made} of examples, not {layer.output_shape},")
            if y is not x:
                parts, options = tuple(self.operations), {"layer": layer}
                outer.append(Operation(type(layer).__name__, (x,), options, y, self.scope, parts))
            return y
        finally:
            self.operations, self.layer = outer, around


def alike(one: Operation, other: Operation, same: Mapping[int, int]) -> bool:
    """Whether two steps are the same, of the same."""

    def is_same(item: Item, again: Item) -> bool:
        if isinstance(item, Value) or isinstance(again, Value):
            return same.get(id(again), id(again)) == id(item)
        array, other = (np.asarray(each.array if isinstance(each, Weight) else each) for each in (item, again))
        return array is other or np.array_equal(array, other, equal_nan=True)

    is_step = (one.name, len(one.inputs), one.output.example) == (other.name, len(other.inputs), other.output.example)
    return is_step and one.options == other.options and all(map(is_same, one.inputs, other.inputs))


JOINS: dict[str, Callable[..., Value]]
JOINS = {"concatenate": Recorder.concatenate, "stack": Recorder.stack, "where": Recorder.where}


def paths(layer: Layer, path: str = "") -> Iterator[tuple[int, str]]:
    """Yield (id, path in the model) of a layer and of all in it."""
    yield id(layer), path
    for child in layer.children:
        yield from paths(child, f"{path}.{child.name}".lstrip("."))


def place(array: Array) -> Any:
    """Where an array lies in memory, which views of the same numbers share."""
    return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str


def shape_of(item: Value | Weight | float) -> Shape:
    """Of one example, of an array or of a number."""
    return item.example if isinstance(item, Value) else item.array.shape if isinstance(item, Weight) else ()


def product_shape(one: Shape, other: Shape) -> Shape:
    """The shape of a matrix product, each side a matrix, or the first a row."""
    if len(other) < 2 or one[-1:] != other[-2:-1]:
        raise ValueError(f"a matrix product of shapes {one} and {other}, of one example each")
    if len(one) == 1:
        return (*other[:-2], other[-1])
    return (*np.broadcast_shapes(one[:-2], other[:-2]), one[-2], other[-1])


# Rules ----------------------------------------------------------------------------------------------------------------


def exports(cls: type[Layer]) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule by which layers of a class are exported, in every format.

    A rule computes y of a layer in inference from a `Value` x, which stands for a batch: with NumPy's functions,
    Python's operators, and those of `handgrad.exchange.rules`. A layer whose `compute` does no more needs none.

    Parameters
    ----------
    cls : type
        The class. Its subclasses have the same rule, unless they define `compute` or `forward`.

    Returns
    -------
    callable
        The decorator of `rule(layer, x) -> y`.

    Examples
    --------
    >>> import handgrad.exchange
    >>> class Clip(hg.Layer):
    ...     def compute(self, x, training):
    ...         return x.clip(-1, 1), x
    >>> @handgrad.exchange.exports(Clip)
    ... def clip(layer, x):
    ...     return np.maximum(np.minimum(x, 1), -1)
    >>> model = hg.Sequential([Clip()]).build(2)
    >>> handgrad.exchange.record(model).run(np.array([[-3.0, 0.5]], np.float32))["y"]
    array([[-1. ,  0.5]])
    """

    def register(rule: Rule) -> Rule:
        RULES[cls] = rule
        return rule

    return register


def rule_of(layer: Layer) -> Rule:
    """What computes y of a layer: the rule of its class, or its `compute` where that is defined nearer to it."""
    for cls in type(layer).__mro__:
        if cls in RULES:
            return RULES[cls]
        if "compute" in vars(cls) or "forward" in vars(cls):
            return by_computing
    raise AssertionError("Layer itself defines compute")


def by_computing(layer: Layer, x: AnyValue) -> AnyValue:
    """y as the layer's own `compute` has it, or its `forward` where it overrides that."""
    computing = stand_in(layer)
    try:
        if type(layer).forward not in (Layer.forward, Sequential.forward):
            return computing.forward(x)
        return computing.compute(x, False)[0]
    except (TypeError, AttributeError, IndexError) as problem:
        x.recorder.refuse(f"its computation ({problem})")


def stand_in(layer: Layer) -> Layer:
    """A layer with the same attributes, but that the layers in it compute with values."""
    made: Layer = object.__new__(type(layer))
    vars(made).update({name: recorded(value) for name, value in vars(layer).items()})
    return made


def recorded(value: Any) -> Any:
    """An attribute's value, each layer in it by `Inner`."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, Layer) for item in value):
        return type(value)(map(recorded, value))
    return Inner(value) if isinstance(value, Layer) else value


class Inner:
    """A layer in another one, whose `forward` takes a value."""

    def __init__(self, layer: Layer) -> None:
        self.layer: Layer = layer

    def forward(self, x: Value, training: bool = False) -> Value:
        return x.recorder.within(self.layer, x)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


def nothing(operation: Operation) -> bool:
    """No layer is known as a whole."""
    return False


# Programs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """What a network computes, as operations in order, for any format to write down.

    Attributes
    ----------
    x : Value
        The input.
    outputs : dict of str to Value
        By name: 'y', and of a run 'probabilities'.
    operations : list of Operation
        Layers, each with its parts; see `lowered`.
    takes_indices : bool
        Whether x are whole numbers.
    facts : dict
        What to tell beside it, as plain data: 'name', 'class_names', 'feature_names', 'ranges'.
    """

    x: Value
    outputs: Mapping[str, Value]
    operations: Sequence[Operation]
    takes_indices: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def lowered(self, known: Known = nothing) -> list[Operation]:
        """The operations in order that are used, layers that a format does not know as a whole by their parts."""
        used, kept = {id(value) for value in self.outputs.values()}, list[Operation]()
        for operation in reversed(list(opened(self.operations, known))):
            if id(operation.output) in used:
                used |= {id(item) for item in operation.inputs}
                kept.append(operation)
        return kept[::-1]

    def weights(self, known: Known = nothing) -> dict[str, Array]:
        """The arrays by name that those operations take."""
        taken = (item for operation in self.lowered(known) for item in operation.inputs)
        return {item.name: item.array for item in taken if isinstance(item, Weight)}

    def chosen(self) -> dict[int, int]:
        """Of each column of x that holds numbers of rows, as it comes in, how many there are."""
        steps = self.lowered()
        columns = {id(o.output): o.options["slices"] for o in steps if o.name == "slice" and o.inputs[0] is self.x}
        taken = [(columns.get(id(o.inputs[1]), ()), shape_of(o.inputs[0])[0]) for o in steps if o.name == "take"]
        return {slices[0][0]: size for slices, size in taken if len(slices) == 1}

    def about(self) -> list[str]:
        """What it takes and gives, in a line each."""
        told = {"x": self.facts.get("input"), "probabilities": ", ".join(self.facts.get("class_names", ()))}
        return [
            f"{name}: (N, {', '.join(map(str, value.example))}){(told.get(name) and f', {told[name]}') or ''}"
            for name, value in {"x": self.x, **self.outputs}.items()
        ]

    def run(self, x: ArrayLike) -> dict[str, Array]:
        """The outputs for x (N, ...) in float64, computed with NumPy operation by operation."""
        at: dict[int, Any] = {id(self.x): np.asarray(x, None if self.takes_indices else np.float64)}
        for name, inputs, options, output, *_ in self.lowered():
            for item in inputs:
                at.setdefault(id(item), item.array.astype(np.float64) if isinstance(item, Weight) else item)
            at[id(output)] = operations.OPERATIONS[name](*(at[id(item)] for item in inputs), **options)
        return {name: at[id(value)] for name, value in self.outputs.items()}


def opened(operations: Iterable[Operation], known: Known) -> Iterator[Operation]:
    """Operations, those that are layers not known replaced by their parts."""
    for operation in operations:
        if operation.parts and not known(operation):
            yield from opened(operation.parts, known)
        else:
            yield operation


def record(model: Layer) -> Program:
    """What a built model's `predict` computes, as a program.

    Parameters
    ----------
    model : Layer
        Built.

    Returns
    -------
    Program
        With the one output 'y'.

    Raises
    ------
    ValueError
        For a model that is not built, and for a layer that computes by other than NumPy's plain functions and has no
        rule (see `exports`).
    """
    x = start(model)
    return Program(x, {"y": x.recorder.within(model, x)}, x.recorder.operations, model.takes_indices)


def start(model: Layer, example: Shape | None = None) -> Value:
    """What stands for the input of a built model, or of what comes before it, for examples of another shape."""
    if not model.is_built:
        raise ValueError("this model is not built: there is nothing to export yet (call build(input_shape) first)")
    return Value(Recorder(model), model.input_shape if example is None else example)


def example_input(program: Program, rows: int) -> Array:
    """Inputs to compare on, the same in every language: sin 0, sin 1, ..., or numbers from 0."""
    count = rows * prod(program.x.example)
    if not program.takes_indices:
        return np.sin(np.arange(count)).reshape(rows, *program.x.example)
    sizes = [shape_of(o.inputs[0])[0] for o in program.lowered() if o.name == "take" and o.inputs[1] is program.x]
    return (np.arange(count) % min(sizes)).reshape(rows, *program.x.example)
