"""From PyTorch to handgrad: a module's layers, each paired with the modules it was read from."""

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import nn

from ..layers.base import shape_of_one
from ..layers.containers import Sequential, leaves
from . import table
from .arrays import View, turned
from .chain import as_sequential, check_hooks
from .modules import Permute
from .table import PADDINGS, brief

SIZES = ("in_features", "in_channels", "num_features", "input_size", "normalized_shape")


@dataclass
class Pairing:
    """One layer in both: the module with the arrays, the module whose output is the layer's, the views around it."""

    row: table.Row
    layer: object
    module: nn.Module
    last: nn.Module
    before: View
    after: View

    def tensors(self, layer):
        """Yield (group, our name, our array, their tensor, how it lies) for parameters and state of our layer."""
        for name, (theirs, lay) in self.row.arrays.items():
            group = "parameters" if name in layer.parameters else "state"
            if name in layer.parameters or name in layer.state:
                yield group, name, getattr(layer, group)[name], getattr(self.module, theirs), lay


class Reader:
    """Reads a module as layers for examples of one shape (ours: channels last).

    module: as an nn.Sequential. pairings: one per layer. start, end: the views of what the module takes and gives.
    """

    def __init__(self, module, input_shape):
        self.module, self.pairings = as_sequential(module), []
        self.shape = infer_shape(self.module) if input_shape is None else shape_of_one(input_shape)
        self.input_shape = self.shape
        self.start = self.view = View(first=starts_first(self.module, len(self.shape)))
        self.owners = {}  # path of the module that each parameter belongs to, by the parameter's id
        self.layers = self.sequence(self.module, "")
        self.end = self.view
        if self.end.order is not None:
            raise ValueError(
                "the module ends with features flattened from (C, H, W), which handgrad has in the order "
                "(H, W, C): put a torch_twin.modules.Permute(0, 2, 3, 1) before the Flatten"
            )

    def sequence(self, module, prefix):
        """The layers of an nn.Sequential, nested ones as models of their own."""
        layers, children = [], list(module._modules.items())
        while children:
            name, child = children.pop(0)
            path = prefix + name
            if isinstance(child, Permute):
                self.turn(path, child)
            elif isinstance(child, nn.Sequential):
                layers.append(Sequential(self.sequence(child, f"{path}."), name=given_name(name)))
            else:
                padding = None
                if type(child) in PADDINGS:
                    padding, (name, child) = child, children.pop(0) if children else (name, None)
                    check_padded(path, padding, child)
                layers.append(self.leaf(prefix + name, name, child, padding, children))
        return layers

    def leaf(self, path, name, module, padding, following):
        row = table.row_for(path, module)
        check_hooks(module)
        check_axes(path, module, row, self.view, self.shape)
        check_size(path, module, self.shape)
        if row.ordered and self.view.order is not None:
            raise ValueError(
                f"{path} ({brief(module)}) has constants for features flattened from (C, H, W): "
                "handgrad has those in the order (H, W, C)"
            )
        layer = row.read(path, module, self.shape, padding)
        layer.name, last = given_name(name), module
        if row.then is not None:
            last = self.companion(path, module, row, following)
        self.own(path, module)
        before, shape = self.view, self.shape
        self.shape = output_shape(path, module, layer, shape)
        if row.mixes:
            self.view = View()
        elif isinstance(module, nn.Flatten):
            self.view = self.view.flattened(shape)
        self.pairings.append(Pairing(row, layer, module, last, before, self.view))
        return layer

    def companion(self, path, module, row, following):
        """The module that must follow this one, and does."""
        _, last = following.pop(0) if following else (None, None)
        if not isinstance(last, row.then):
            raise ValueError(
                f"{path} ({module}) is read together with the {row.then.__name__}() after it; here follows {last}"
            )
        table.row_for(path, last).read(path, last, self.shape)
        return last

    def own(self, path, module):
        """Refuse parameters that another module has as well: handgrad would train them apart."""
        for parameter in module.parameters():
            owner = self.owners.setdefault(id(parameter), path)
            if owner != path:
                raise ValueError(
                    f"{path} ({brief(module)}) shares parameters with {owner}: each of handgrad's layers has its own"
                )

    def turn(self, path, permute):
        to_first = not self.view.first
        if permute.axes != turned(len(self.shape), to_first):
            raise ValueError(
                f"{path} ({permute}) is neither channels last to first nor first to last for examples "
                f"of shape {self.shape}"
            )
        self.view = View(first=to_first)

    def model(self):
        """The layers as a built model with the module's numbers, in the module's dtype."""
        model = Sequential(self.layers).build(self.input_shape, rng=0, dtype=dtype_of(self.module))
        copy_to_layers(leaves(model), self.pairings)
        return model


def pair(model, module):
    """The Reader of a module, its layers paired with the model's; ValueError where they are not the same network."""
    reader, ours = Reader(module, model.input_shape), leaves(model)
    for layer, pairing in zip(ours, reader.pairings, strict=False):
        theirs, mine = pairing.layer.config, layer.config
        if type(layer) is not type(pairing.layer) or not same_arithmetic(mine, theirs):
            raise ValueError(
                f"{layer.label} is {layer!r} in the model, and {pairing.layer!r} in the module "
                f"({pairing.module}): they are not the same network"
            )
    if len(ours) != len(reader.pairings):
        raise ValueError(f"the model has {len(ours)} layers, the module {len(reader.pairings)}: not the same network")
    return reader


def same_arithmetic(mine, theirs):
    """True when two configurations compute the same; a name, an initializer and a way to say padding don't count."""
    free = ("name", "initializer", "recurrent_initializer", "padding", "stride", "kernel_size", "dilation")
    return all(mine[key] == theirs[key] for key in mine if key not in free)


def named_leaves(model, prefix=""):
    """Yield ('sequential1.linear1', layer) for each layer that is no model, as its parameters are called."""
    for layer in model.layers:
        if isinstance(layer, Sequential):
            yield from named_leaves(layer, f"{prefix}{layer.name}.")
        else:
            yield prefix + layer.name, layer


def copy_to_modules(layers, pairings):
    """Put our numbers into the modules."""
    with torch.no_grad():
        for layer, pairing in zip(layers, pairings, strict=True):
            for _, name, array, tensor, lay in pairing.tensors(layer):
                theirs = torch.from_numpy(np.ascontiguousarray(lay.there(array, pairing.before.order)))
                check_shape(layer, name, tensor.shape, theirs.shape)
                tensor.copy_(theirs)


def copy_to_layers(layers, pairings):
    """Put the modules' numbers into our arrays."""
    for layer, pairing in zip(layers, pairings, strict=True):
        for _, name, array, tensor, lay in pairing.tensors(layer):
            ours = lay.back(tensor.detach().cpu().numpy(), pairing.before.order)
            check_shape(layer, name, ours.shape, array.shape)
            array[...] = ours


def check_shape(layer, name, found, expected):
    if tuple(found) != tuple(expected):
        raise ValueError(
            f"{layer.label}: '{name}' would have shape {tuple(found)}, expected {tuple(expected)}; "
            "does the module fit this input_shape (H, W, C)?"
        )


def output_shape(path, module, layer, shape):
    """The shape of the layer's output, by building a copy of it; the ValueError names the module."""
    try:
        return type(layer)(**layer.config).build(shape, rng=0).output_shape
    except ValueError as problem:
        raise ValueError(
            f"{path} ({module}) does not fit examples (channels last) of shape {shape}: {problem}"
        ) from None


def given_name(name):
    """The name of a child module as ours, unless it is just its number."""
    return None if name.isdigit() else name


def dtype_of(module):
    """The NumPy dtype of the module's parameters, float32 if it has none."""
    parameter = next(module.parameters(), torch.zeros(0))
    if parameter.is_meta:
        raise ValueError("the module is on the 'meta' device, where there are no numbers: use .to_empty(device='cpu')")
    if parameter.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"handgrad computes in float32 or float64, the module in {parameter.dtype}: use .float()")
    return np.dtype(str(parameter.dtype).removeprefix("torch."))


def flat(module, prefix=""):
    """Yield (path, module) of an nn.Sequential's modules in order, nested ones opened."""
    for name, child in module._modules.items():
        if isinstance(child, nn.Sequential):
            yield from flat(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child


def infer_shape(module):
    """The examples' shape, where the first module with sizes works on rows; else a ValueError."""
    for path, child in flat(module):
        size = next((getattr(child, key) for key in ("in_features", "num_features") if hasattr(child, key)), None)
        if size is not None and not isinstance(child, (nn.BatchNorm2d, nn.BatchNorm3d)):
            return (size,)
        if isinstance(child, nn.LayerNorm):
            return (child.normalized_shape[-1],)
        row = table.row_for(path, child) if not isinstance(child, (Permute, *PADDINGS)) else None
        if row is None or row.channels:
            break
    raise ValueError(
        "the module does not tell the shape of its examples: pass input_shape=(28, 28, 1), say "
        "(height, width, channels, also where the module takes channels first)"
    )


def starts_first(module, rank):
    """True when the module takes channels first: the first child that cares says so."""
    is_turned = False
    for path, child in flat(module) if rank > 1 else ():
        if isinstance(child, Permute) and rank > 2:
            return child.axes == turned(rank, False)
        if isinstance(child, Permute):  # of (N, T, C), the same one leads there and back
            is_turned = not is_turned
        elif isinstance(child, (nn.Flatten, nn.Linear)):
            return is_turned
        elif type(child) in PADDINGS:
            return True
        else:
            row = table.row_for(path, child)
            told = row.channels or row.axes(child)
            if told:
                return (told == "first") != is_turned
    return False


def check_padded(path, padding, module):
    """Refuse padding that no convolution or pooling takes up."""
    if not any(type(module) in row.classes and row.pads is not None for row in table.ROWS):
        raise ValueError(
            f"{path} ({padding}) pads images for what comes next, and handgrad pads within Conv2D, "
            f"MaxPool2D and AvgPool2D only; here follows {module and brief(module)}"
        )


def check_size(path, module, shape):
    """Refuse a module made for examples of another size."""
    found = prod(shape) if isinstance(module, nn.Flatten) else shape[-1]
    for name in SIZES:
        size = getattr(module, name, found)
        if size not in (found, (found,)):
            raise ValueError(
                f"{path} ({brief(module)}) has {name}={size}, and here come examples of shape {shape}, "
                f"channels last: it should be {found}"
            )


def check_axes(path, module, row, view, shape):
    """Refuse a module whose axes are not where the batch has them."""
    told = row.channels or row.axes(module)
    if len(shape) > 1 and told and (told == "first") != view.first:
        raise ValueError(
            f"{path} ({module}) works on channels {told}, and here they are "
            f"{'first' if view.first else 'last'}: put a Permute before it"
        )
