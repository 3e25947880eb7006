"""From handgrad to PyTorch: the modules of a model, one after the other."""

from torch import nn

from ..layers.containers import Sequential, leaves
from . import table
from .arrays import turned
from .modules import Permute


class Writer:
    """Writes the modules of a built model, keeping track of where its batches have their channels.

    Images turn to channels first once, before everything, if a layer wants them so, and back at the end.
    """

    def __init__(self, model, layout):
        self.model, self.rows = model, [(layer, table.row_of(layer)) for layer in leaves(model)]
        self.given_first = self.first = layout == "NCHW" and len(model.input_shape) > 1
        self.position = 0  # of the leaf that comes next

    def module(self):
        """The nn.Sequential of the whole model."""
        container = nn.Sequential()
        shaped = (wants_first(layer, row) for layer, row in self.rows if wants_first(layer, row) is not None)
        self.turn(container, next(shaped, self.first), len(self.model.input_shape))
        self.fill(container, self.model)
        self.turn(container, self.given_first, len(self.model.output_shape))
        return container

    def fill(self, container, model):
        for layer in model.layers:
            if isinstance(layer, Sequential):
                add(container, layer.name, self.fill(nn.Sequential(), layer))
                continue
            row, rank = self.rows[self.position][1], len(layer.input_shape)
            if self.needs_turn(layer, row):
                self.turn(container, not self.first, rank)
            for suffix, module in row.write(layer, self.first and rank > 1).items():
                add(container, layer.name + suffix, module)
            self.position += 1
        return container

    def needs_turn(self, layer, row):
        if len(layer.input_shape) == 1:
            return False
        if row.layer is table.hg.Flatten:
            return self.first and not self.order_is_absorbed()
        wanted = wants_first(layer, row)
        return wanted is not None and wanted != self.first

    def order_is_absorbed(self):
        """True when a Linear follows the Flatten at hand, whose weights can take the order of channels first."""
        for _, row in self.rows[self.position + 1 :]:
            if row.mixes or row.ordered:
                return row.mixes
        return False

    def turn(self, container, to_first, rank):
        if to_first != self.first and rank > 1:
            name = "to_channels_first" if to_first else "to_channels_last"
            count = sum(child.startswith(name) for child in container._modules)
            add(container, f"{name}_{count + 1}" if count else name, Permute(*turned(rank, to_first)))
            self.first = to_first


def wants_first(layer, row):
    """True or False where the layer's module wants channels first or last, None where it takes both."""
    if row.layer is table.hg.Flatten or len(layer.input_shape) == 1:
        return False
    return {"first": True, "last": False}.get(row.channels)


def add(container, name, module):
    try:
        container.add_module(name, module)
    except KeyError:
        raise ValueError(f"layer '{name}' needs another name: PyTorch's modules have something of that name") from None
