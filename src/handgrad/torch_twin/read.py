"""From PyTorch to handgrad: any module as a chain of modules, and the chain as layers, each paired with its module."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .. import layers as hg
from ..arrays import Array, Shape
from ..layers import Layer, Sequential
from ..layers.base import leaves, shape_of_one
from ..layers.composites import spreads
from .graph import SIZE, Children, as_sequential, check_hooks, children_of, flat
from .modules import Branches, Permute, Residual, Spread, channel_axes
from .table import PADDINGS, ROWS, Layout, Order, Row, brief, row_for

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
    """One layer in both: the module with the arrays, those that take its x and make its y, the views around it."""

    row: Row
    layer: Layer
    module: nn.Module
    first: nn.Module
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
                if children_of(child):
                    layers.append(Sequential(self.sequence(child, f"{path}."), name=given_name(name)))
            elif isinstance(child, Spread):
                layers.append(self.spread(child))
            elif isinstance(child, Residual):
                layers.append(self.residual(child, f"{path}.", given_name(name)))
            elif isinstance(child, Branches):
                layers.append(self.branches(child, f"{path}.", given_name(name)))
            else:
                padding = child if type(child) in PADDINGS else None
                if padding is not None:
                    check_padded(path, padding, children[0][1] if children else None)
                    name, child = children.pop(0)
                layers.append(self.leaf(prefix + name, name, child, padding, children))
        return layers

    def spread(self, module: Spread) -> Layer:
        """Rows as images of one pixel."""
        layer, before = hg.Reshape((1, 1, *self.shape)), self.view
        self.shape, self.view = (1, 1, *self.shape), View(first=True)
        self.pairings.append(Pairing(row_for("spread", module), layer, module, module, module, before, self.view))
        return layer

    def residual(self, module: Residual, prefix: str, name: str | None) -> hg.Residual:
        """A sum with a shortcut, whose two ways begin alike, and are to end alike."""
        start, body = (self.view, self.shape), nn.Sequential()
        body._modules.update({key: child for key, child in children_of(module) if key != "shortcut"})
        layers, end = self.sequence(body, prefix), (self.view, self.shape)
        self.view, self.shape = start
        around = self.one(module._modules.get("shortcut"), f"{prefix}shortcut")
        self.meet(prefix, [end, (self.view, self.shape)])
        return hg.Residual(layers, around, name)

    def branches(self, module: Branches, prefix: str, name: str | None) -> hg.Branches:
        """Modules side by side."""
        start = self.view, self.shape
        layers: list[Layer] = []
        ends: list[tuple[View, Shape]] = []
        for key, child in children_of(module):
            self.view, self.shape = start
            layers.append(self.one(child, f"{prefix}{key}") or hg.Identity())
            ends.append((self.view, self.shape))
        if module.join == "multiply":
            sizes = zip(*(shape for _, shape in ends if len(shape) == len(ends[0][1])), strict=True)
            self.shape = tuple(map(max, sizes))
            ends = [(view, self.shape if spreads(shape, self.shape) else shape) for view, shape in ends]
        if module.join != "concat":
            self.meet(prefix, ends)
            return hg.Branches(layers, module.join, name)
        rank = len(self.shape)
        if module.dim not in ((1, -rank) if self.view.first or rank == 1 else (rank, -1)):
            where = "channels, which come first here" if self.view.first else "last axis, as handgrad does"
            raise ValueError(f"{prefix[:-1]} joins along dim={module.dim}: expected that of the {where}")
        alike = [same_view(view, ends[0][0]) and shape[:-1] == self.shape[:-1] for view, shape in ends]
        if ends[0][0].order is not None or not all(alike):
            raise ValueError(f"{prefix[:-1]}: what is put side by side must lie alike, with one shape but for channels")
        self.shape = (*self.shape[:-1], sum(shape[-1] for _, shape in ends))
        return hg.Branches(layers, "concat", name)

    def one(self, module: nn.Module | None, path: str) -> Layer | None:
        """One of several ways as a layer; None for a module that does nothing."""
        if module is None:
            return None
        if isinstance(module, nn.Sequential):
            layers = self.sequence(module, f"{path}.")
            if len(layers) == 1 and len(children_of(module)) > 1:  # one layer, and what turns its batches
                layers[0].name = None
                return layers[0]
            return Sequential(layers) if layers else None
        chain = nn.Sequential()
        chain._modules[path.rpartition(".")[2]] = module
        made = self.sequence(chain, path.removesuffix(path.rpartition(".")[2]))
        return made[0] if len(made) == 1 else Sequential(made)

    def meet(self, prefix: str, ends: list[tuple[View, Shape]]) -> None:
        """Refuse to add what lies otherwise, or has another shape (PyTorch would broadcast it)."""
        if any(shape != ends[0][1] or not same_view(view, ends[0][0]) for view, shape in ends):
            shapes = ", ".join(str(shape) for _, shape in ends)
            raise ValueError(f"{prefix[:-1]} joins values of the shapes {shapes} (channels last), which must lie alike")

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
        self.pairings.append(Pairing(row, layer, module, padding or module, last, before, self.view))
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
            if (owner := self.owners.setdefault(id(parameter), path)) != path:
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


def same_view(one: View, other: View) -> bool:
    """Whether two batches lie alike."""
    if one.order is None or other.order is None:
        return one.order is other.order and one.first == other.first
    return bool((one.order == other.order).all())


def pair(model: Sequential, module: nn.Module) -> Reader:
    """The Reader of a module, its layers paired with the model's; ValueError where they are not the same network."""
    reader, ours = Reader(module, model.input_shape), leaves(model)
    for layer, pairing in zip(ours, reader.pairings, strict=False):
        theirs = pairing.layer
        if type(layer) is not type(theirs) or arithmetic(layer) != arithmetic(theirs, layer.input_shape):
            there = f"{theirs!r} in the module ({pairing.module})"
            raise ValueError(f"{layer.label} is {layer!r} in the model, and {there}: they are not the same network")
    if len(ours) != len(reader.pairings):
        raise ValueError(f"the model has {len(ours)} layers, the module {len(reader.pairings)}: not the same network")
    return reader


# what a layer computes does not depend on, and what can be said in several ways
FREE = ("name", "initializer", "recurrent_initializer", "length")
WINDOWS = ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size")


def arithmetic(layer: Layer, input_shape: Shape | None = None) -> dict[str, Any]:
    """What a layer computes for such examples, its own if not given, as plain data that says it in one way."""
    said = {name: value for name, value in layer.config.items() if name not in FREE}
    sizes = {name: said.pop(name) for name in WINDOWS if name in said}
    if isinstance(layer, (hg.Conv2D, hg.MaxPool2D, hg.AvgPool2D)):
        return {**said, "windows": layer.geometry(input_shape or layer.input_shape)}
    return {**said, **{name: np.broadcast_to(size, 2).tolist() for name, size in sizes.items()}}


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
            numbers = tensor.detach().cpu()
            numbers = numbers.float() if numbers.dtype == torch.bfloat16 else numbers
            ours = layout.back(numbers.numpy(), pairing.before.order)
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
    """The NumPy dtype of the module's parameters, float32 if it has none and for bfloat16, whose numbers it has."""
    parameter = next(module.parameters(), torch.zeros(0))
    if parameter.is_meta:
        raise ValueError("the module is on the 'meta' device, where there are no numbers: use .to_empty(device='cpu')")
    if parameter.dtype == torch.bfloat16:
        return np.dtype(np.float32)
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"handgrad computes in float32 or float64, the module in {parameter.dtype}: use .float()")
    return np.dtype(str(parameter.dtype).removeprefix("torch."))


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
            if channels := row_for(path, child).channels_of(child):
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
