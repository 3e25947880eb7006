"""From PyTorch to handgrad: any module as a chain of modules, and the chain as layers, each paired with its module."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx, nn

from ..arrays import Array, Shape
from ..layers import Activation, Layer, Sequential
from ..layers.base import leaves, shape_of_one
from .modules import Permute, channel_axes
from .table import PADDINGS, ROWS, Layout, Order, Row, brief, is_known, row_for

Children: TypeAlias = "list[tuple[str, nn.Module]]"

# A module as a chain of modules --------------------------------------------------------------------------------------


def permute(*axes: Any) -> Permute:
    """The module of x.permute(0, 2, 1), or of x.permute((0, 2, 1))."""
    return Permute(*(axes[0] if isinstance(axes[0], (tuple, list)) else axes))


# 'relu' -> nn.ReLU: PyTorch's functions of activations have the names of our pairs
ACTIVATIONS = {
    row.layer.pair[0].__name__.removesuffix("_forward"): row.classes[0]
    for row in ROWS
    if issubclass(row.layer, Activation)
}
# what a forward may call -> the module that does the same with the call's further arguments
FUNCTIONS: Mapping[str, Any] = {
    **ACTIVATIONS,
    "dropout": nn.Dropout,
    "max_pool2d": nn.MaxPool2d,
    "avg_pool2d": nn.AvgPool2d,
    "flatten": nn.Flatten,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "permute": permute,
}
SIZE = "num_features"  # what an nn.Flatten is given to remember it by
RESHAPES = ("view", "reshape")
IRRELEVANT = ("input", "training", "inplace", "_stacklevel")


def as_sequential(module: nn.Module) -> nn.Sequential:
    """The nn.Sequential that a module comes to: inside are such Sequentials and modules of PyTorch's own.

    Raises ValueError for a forward that is no chain, and for hooks, which may change what comes out.
    """
    check_hooks(module)
    if type(module).forward is nn.Sequential.forward:
        children = children_of(module)
    else:
        children = [("0", module)] if is_leaf(module) else list(trace(module).items())
    made = nn.Sequential()
    for name, child in children:
        made._modules[name] = child if is_leaf(child) else as_sequential(child)
    return made


def is_leaf(module: nn.Module) -> bool:
    """True for a module that is not looked into: one of the table, or another class of PyTorch's, to be refused."""
    cls = type(module)
    is_theirs = cls.__module__.startswith("torch.nn.") and cls.forward is not nn.Sequential.forward
    return is_theirs or is_known(module)


def check_hooks(module: nn.Module) -> None:
    """Refuse a module whose hooks may change what it does."""
    if module._forward_hooks or module._forward_pre_hooks:
        way_out = "(torch.nn.utils.remove_weight_norm, remove_spectral_norm or the hook's own remove)"
        raise ValueError(f"{brief(module)} has forward hooks, which handgrad cannot see into: remove them {way_out}")


def unreadable(module: nn.Module, why: str) -> ValueError:
    """The error for a module that cannot be read."""
    return ValueError(f"{type(module).__name__} cannot be read: {why}")


class Tracer(fx.Tracer):
    """Looks into modules of other people's classes."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Whether tracing stops at this module."""
        return is_leaf(module)


def trace(module: nn.Module) -> dict[str, nn.Module]:
    """{name: module} of what a module's forward does in order, at inference; ValueError where it is no chain."""
    modes = {child: child.training for child in module.modules()}
    try:
        graph = Tracer().trace(module.eval())
    except Exception as problem:  # tracing runs the caller's code: anything can come out of it
        why = f"its forward is no plain chain of modules ({str(problem).splitlines()[0]})"
        raise unreadable(module, why) from None
    finally:
        for child, mode in modes.items():
            child.training = mode
    steps: dict[str, nn.Module] = {}
    value: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "placeholder" and value is None:
            value = node
        elif node.op == "output" and node.args[0] is value:
            return steps
        elif not is_size(node):
            label = node.target.replace(".", "_") if node.op == "call_module" else node.name
            while label in steps:
                label += "_again"
            steps[label], value = step(module, node, value), node
    raise unreadable(module, "its forward does not return what its last module made")


def is_size(node: fx.Node) -> bool:
    """True for x.size(0) and x.shape[0], which only help to name a shape."""
    if node.op == "call_method":
        return node.target == "size"
    return node.op == "call_function" and function_name(node) in ("size", "getattr", "getitem")


def function_name(node: fx.Node) -> str:
    """The name of the function, method or module that a node calls."""
    return node.target if isinstance(node.target, str) else node.target.__name__


def step(module: nn.Module, node: fx.Node, value: fx.Node | None) -> nn.Module:
    """The module of one step of a forward, whose last value is given; ValueError where it works on anything else."""
    inputs = [n for n in node.all_input_nodes if not is_size(n)]
    function = function_name(node)
    if inputs != [value] or node.op not in ("call_module", "call_function", "call_method"):
        why = f"'{node.name}' in its forward does not work on the output of the step before it alone"
        raise unreadable(module, f"{why}, and handgrad has chains only")
    if node.op == "call_module":
        child = module.get_submodule(function)
        if is_leaf(child) and not is_known(child):
            row_for(function, child)  # which refuses it
        return child
    if function in RESHAPES:
        return reshape(module, node)
    if function not in FUNCTIONS:
        known = ", ".join((*FUNCTIONS, *RESHAPES))
        raise unreadable(module, f"handgrad has no layer for '{function}' in its forward (known: {known})")
    if node.kwargs.get("training"):
        why = f"'{function}' in its forward works as in training at inference too; pass training=self.training"
        raise unreadable(module, why)
    options = {key: value for key, value in node.kwargs.items() if key not in IRRELEVANT and value is not None}
    try:
        made: nn.Module = FUNCTIONS[function](*node.args[1:], **options)
    except TypeError as problem:
        why = f"'{function}' in its forward has an option that handgrad's layer has not ({problem})"
        raise unreadable(module, why) from None
    return made


def reshape(module: nn.Module, node: fx.Node) -> nn.Flatten:
    """nn.Flatten for x.view(len, -1) and x.view(-1, 64), which knows the number of features where it is said."""
    sizes: Any = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    if len(sizes) != 2 or (isinstance(sizes[0], int) and sizes[0] != -1) or not isinstance(sizes[1], int):
        why = f"'{node.name}' in its forward is no flattening of each example to a row, .view(-1, 64) say"
        raise unreadable(module, why)
    flatten = nn.Flatten()
    if sizes[1] != -1:
        vars(flatten)[SIZE] = sizes[1]
    return flatten


# The chain as layers -------------------------------------------------------------------------------------------------


class View(NamedTuple):
    """How a batch lies in PyTorch between two layers: channels first or not, or flattened in an order of its own."""

    first: bool = False
    order: Order = None

    def there(self, batch: Array) -> Array:
        """Our batch (N, ...) as it lies there."""
        if self.order is not None:
            return batch[:, self.order]
        return np.moveaxis(batch, -1, 1) if self.first and batch.ndim > 2 else batch

    def back(self, batch: Array) -> Array:
        """Their batch as it lies here."""
        if self.order is not None:
            return batch[:, np.argsort(self.order)]
        return np.moveaxis(batch, 1, -1) if self.first and batch.ndim > 2 else batch

    def flattened(self, shape: Shape) -> "View":
        """The view of rows that were images of this shape."""
        if not self.first or len(shape) < 2:
            return self
        places = np.arange(prod(shape))
        order = np.moveaxis(places.reshape(shape), -1, 0).ravel()
        return View() if (order == places).all() else View(order=order)


@dataclass
class Pairing:
    """One layer in both: the module with the arrays, the module whose output is the layer's, the views around it."""

    row: Row
    layer: Layer
    module: nn.Module
    last: nn.Module
    before: View
    after: View

    def tensors(self, layer: Layer) -> Iterator[tuple[str, str, Array, Tensor, Layout]]:
        """Yield (group, our name, our array, their tensor, how it lies) for parameters and state of our layer."""
        for name, (theirs, layout) in self.row.arrays.items():
            for group, arrays in (("parameters", layer.parameters), ("state", layer.state)):
                if name in arrays:
                    yield group, name, arrays[name], attrgetter(theirs)(self.module), layout


class Reader:
    """Reads a module as layers for examples of one shape (ours: channels last).

    module: as an nn.Sequential. pairings: one per layer. start, end: the views of what the module takes and gives.
    """

    def __init__(self, module: nn.Module, input_shape: Shape | None) -> None:
        self.module: nn.Sequential = as_sequential(module)
        self.pairings: list[Pairing] = []
        self.shape: Shape = infer_shape(self.module) if input_shape is None else shape_of_one(input_shape)
        self.input_shape: Shape = self.shape
        self.start: View = View(first=starts_first(self.module, len(self.shape)))
        self.view: View = self.start
        self.owners: dict[int, str] = {}  # path of the module that each parameter belongs to, by the parameter's id
        self.layers: list[Layer] = self.sequence(self.module, "")
        self.end: View = self.view
        if self.end.order is not None:
            what = "the module ends with features flattened from (C, H, W), which handgrad has in the order (H, W, C)"
            raise ValueError(f"{what}: put a torch_twin.modules.Permute(0, 2, 3, 1) before the Flatten")

    def sequence(self, module: nn.Module, prefix: str) -> list[Layer]:
        """The layers of an nn.Sequential, nested ones as models of their own."""
        layers: list[Layer] = []
        children = children_of(module)
        while children:
            name, child = children.pop(0)
            path = prefix + name
            if isinstance(child, Permute):
                self.turn(path, child)
            elif isinstance(child, nn.Sequential):
                layers.append(Sequential(self.sequence(child, f"{path}."), name=given_name(name)))
            else:
                padding = child if type(child) in PADDINGS else None
                if padding is not None:
                    check_padded(path, padding, children[0][1] if children else None)
                    name, child = children.pop(0)
                layers.append(self.leaf(prefix + name, name, child, padding, children))
        return layers

    def leaf(self, path: str, name: str, module: nn.Module, padding: nn.Module | None, following: Children) -> Layer:
        """The layer that a module is, paired with it; a ValueError says what differs."""
        row = row_for(path, module)
        check_hooks(module)
        check_axes(path, module, row, self.view, self.shape)
        check_size(path, module, row, self.shape)
        if row.ordered and self.view.order is not None:
            what = f"{path} ({brief(module)}) has constants for features flattened from (C, H, W)"
            raise ValueError(f"{what}: handgrad has those in the order (H, W, C)")
        layer = row.read(path, module, self.shape, padding)
        layer.name, last = given_name(name), module
        if row.then is not None:
            last = self.companion(path, module, row.then, following)
        self.own(path, module)
        before, shape = self.view, self.shape
        self.shape = output_shape(path, module, layer, shape)
        if row.mixes:
            self.view = View()
        elif isinstance(module, nn.Flatten):
            self.view = self.view.flattened(shape)
        self.pairings.append(Pairing(row, layer, module, last, before, self.view))
        return layer

    def companion(self, path: str, module: nn.Module, then: type[nn.Module], following: Children) -> nn.Module:
        """The module that must follow this one, and does."""
        _, last = following.pop(0) if following else (None, None)
        if not isinstance(last, then):
            needed = f"the {then.__name__}() after it; here follows {last}"
            raise ValueError(f"{path} ({module}) is read together with {needed}")
        row_for(path, last).read(path, last, self.shape)
        return last

    def own(self, path: str, module: nn.Module) -> None:
        """Refuse parameters that another module has as well: handgrad would train them apart."""
        for parameter in module.parameters():
            owner = self.owners.setdefault(id(parameter), path)
            if owner != path:
                what = f"{path} ({brief(module)}) shares parameters with {owner}"
                raise ValueError(f"{what}: each of handgrad's layers has its own")

    def turn(self, path: str, permute: Permute) -> None:
        """Follow a Permute that moves the channels; refuse any other."""
        to_first = not self.view.first
        if permute.axes != channel_axes(len(self.shape), to_first):
            what = f"{path} ({permute}) is neither channels last to first nor first to last"
            raise ValueError(f"{what} for examples of shape {self.shape}")
        self.view = View(first=to_first)

    def model(self) -> Sequential:
        """The layers as a built model with the module's numbers, in the module's dtype."""
        model = Sequential(self.layers).build(self.input_shape, rng=0, dtype=dtype_of(self.module))
        copy_to_layers(leaves(model), self.pairings)
        return model


def pair(model: Sequential, module: nn.Module) -> Reader:
    """The Reader of a module, its layers paired with the model's; ValueError where they are not the same network."""
    reader, ours = Reader(module, model.input_shape), leaves(model)
    for layer, pairing in zip(ours, reader.pairings, strict=False):
        theirs, mine = pairing.layer.config, layer.config
        if type(layer) is not type(pairing.layer) or not same_arithmetic(mine, theirs):
            there = f"{pairing.layer!r} in the module ({pairing.module})"
            raise ValueError(f"{layer.label} is {layer!r} in the model, and {there}: they are not the same network")
    if len(ours) != len(reader.pairings):
        raise ValueError(f"the model has {len(ours)} layers, the module {len(reader.pairings)}: not the same network")
    return reader


def same_arithmetic(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """True when two configurations compute the same; a name, an initializer and a way to say padding don't count."""
    free = ("name", "initializer", "recurrent_initializer", "length", "padding", "stride", "kernel_size", "dilation")
    return all(mine[key] == theirs[key] for key in mine if key not in free)


def copy_to_modules(layers: Iterable[Layer], pairings: Iterable[Pairing]) -> None:
    """Put our numbers into the modules."""
    with torch.no_grad():
        for layer, pairing in zip(layers, pairings, strict=True):
            for _, name, array, tensor, layout in pairing.tensors(layer):
                theirs = torch.from_numpy(np.ascontiguousarray(layout.there(array, pairing.before.order)))
                check_shape(layer, name, tensor.shape, theirs.shape)
                tensor.copy_(theirs)


def copy_to_layers(layers: Iterable[Layer], pairings: Iterable[Pairing]) -> None:
    """Put the modules' numbers into our arrays."""
    for layer, pairing in zip(layers, pairings, strict=True):
        for _, name, array, tensor, layout in pairing.tensors(layer):
            ours = layout.back(tensor.detach().cpu().numpy(), pairing.before.order)
            check_shape(layer, name, ours.shape, array.shape)
            array[...] = ours


def check_shape(layer: Layer, name: str, found: Shape, expected: Shape) -> None:
    """Refuse an array whose shape is not that of its counterpart."""
    if tuple(found) != tuple(expected):
        what = f"{layer.label}: '{name}' would have shape {tuple(found)}, expected {tuple(expected)}"
        raise ValueError(f"{what}; does the module fit this input_shape (H, W, C)?")


def output_shape(path: str, module: nn.Module, layer: Layer, shape: Shape) -> Shape:
    """The shape of the layer's output, by building a copy of it; the ValueError names the module."""
    try:
        return type(layer)(**layer.config).build(shape, rng=0).output_shape
    except ValueError as problem:
        examples = f"examples (channels last) of shape {shape}"
        raise ValueError(f"{path} ({module}) does not fit {examples}: {problem}") from None


def given_name(name: str) -> str | None:
    """The name of a child module as ours, unless it is just its number."""
    return None if name.isdigit() else name


def dtype_of(module: nn.Module) -> np.dtype[Any]:
    """The NumPy dtype of the module's parameters, float32 if it has none."""
    parameter = next(module.parameters(), torch.zeros(0))
    if parameter.is_meta:
        raise ValueError("the module is on the 'meta' device, where there are no numbers: use .to_empty(device='cpu')")
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"handgrad computes in float32 or float64, the module in {parameter.dtype}: use .float()")
    return np.dtype(str(parameter.dtype).removeprefix("torch."))


def children_of(module: nn.Module) -> Children:
    """[(name, module)], one that stands twice both times, which `named_children` would not give."""
    return [(name, child) for name, child in module._modules.items() if child is not None]


def flat(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield (path, module) of an nn.Sequential's modules in order, nested ones opened."""
    for name, child in children_of(module):
        if isinstance(child, nn.Sequential):
            yield from flat(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def infer_shape(module: nn.Module) -> Shape:
    """The examples' shape, where the first module with sizes works on rows; else a ValueError."""
    for path, child in flat(module):
        row = row_for(path, child) if not isinstance(child, (Permute, *PADDINGS)) else None
        size = size_of(child, row) if row else None
        if row and isinstance(size, int) and (row.channels is None or isinstance(child, nn.BatchNorm1d)):
            return (size,)
        if row is None or row.channels:
            break
    way_out = "(28, 28, 1), say (height, width, channels, also where the module takes channels first)"
    raise ValueError(f"the module does not tell the shape of its examples: pass input_shape={way_out}")


def starts_first(module: nn.Module, rank: int) -> bool:
    """True when the module takes channels first: the first child that cares says so."""
    is_turned = False
    for path, child in flat(module) if rank > 1 else ():
        if isinstance(child, Permute) and rank > 2:
            return child.axes == channel_axes(rank, False)
        if isinstance(child, Permute):  # of (N, T, C), the same one leads there and back
            is_turned = not is_turned
        elif isinstance(child, (nn.Flatten, nn.Linear)):
            return is_turned
        elif type(child) in PADDINGS:
            return True
        else:
            channels = row_for(path, child).channels_of(child)
            if channels:
                return (channels == "first") != is_turned
    return False


def check_padded(path: str, padding: nn.Module, module: nn.Module | None) -> None:
    """Refuse padding that no convolution or pooling takes up."""
    if not any(type(module) in row.classes and row.pads is not None for row in ROWS):
        able = ", ".join(row.layer.__name__ for row in ROWS if row.pads is not None)
        what = f"{path} ({padding}) pads images for what comes next, and handgrad pads within {able} only"
        raise ValueError(f"{what}; here follows {module and brief(module)}")


def check_size(path: str, module: nn.Module, row: Row, shape: Shape) -> None:
    """Refuse a module made for examples of another size."""
    found = prod(shape) if isinstance(module, nn.Flatten) else shape[-1]
    if size_of(module, row) not in (None, found):
        here = f"here come examples of shape {shape}, channels last: it should be {found}"
        what = f"{path} ({brief(module)}) has {row.size or SIZE}={getattr(module, row.size or SIZE)}"
        raise ValueError(f"{what}, and {here}")


def size_of(module: nn.Module, row: Row) -> Any:
    """The number of features that a module says it is for, if it does; an nn.Flatten only by what `reshape` noted."""
    size = getattr(module, row.size or SIZE, None)
    return size[0] if isinstance(size, tuple) and len(size) == 1 else size


def check_axes(path: str, module: nn.Module, row: Row, view: View, shape: Shape) -> None:
    """Refuse a module whose axes are not where the batch has them."""
    channels = row.channels_of(module)
    if len(shape) > 1 and channels and (channels == "first") != view.first:
        here = "first" if view.first else "last"
        what = f"{path} ({module}) works on channels {channels}, and here they are {here}"
        raise ValueError(f"{what}: put a Permute before it")
