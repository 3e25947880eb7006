"""A model described: as a table to print, as plain data, and as a file from which it can be rebuilt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .. import files
from ..arrays import Array, DType, Shape
from ..naming import check_arguments, check_complete, look_up
from ..text import aligned, figures_from
from .base import Layer, family, own, walk


class SummaryRow(NamedTuple):
    """What one layer makes of one example, and what that costs."""

    name: str
    layer: str
    output_shape: Shape
    num_parameters: int
    multiply_adds: int
    activation_bytes: int

    @classmethod
    def of(cls, name: str, layer: Layer) -> SummaryRow:
        shape, size = layer.output_shape, layer.dtype.itemsize * prod(layer.output_shape)
        num_parameters = sum(array.size for array in own(layer.parameters).values())
        multiply_adds = 0 if layer.children else layer.multiply_adds  # those in it have rows of their own
        return cls(name, type(layer).__name__, shape, num_parameters, multiply_adds, size)

    def texts(self) -> tuple[str, ...]:
        shape = shape_text(self.output_shape) if self.output_shape else ""
        counts = f"{self.num_parameters:,}", f"{self.multiply_adds:,}", bytes_text(self.activation_bytes)
        return self.name, self.layer, shape, *counts


class Summary:
    """What each layer of a model makes and costs, per example, and the sums; print it.

    Attributes
    ----------
    rows : list of SummaryRow
        name, layer, output_shape, num_parameters, multiply_adds and activation_bytes of each layer.
    num_parameters, multiply_adds, activation_bytes : int
        The sums over all layers.

    Examples
    --------
    >>> summary = hg.Sequential([hg.Linear(25), hg.ReLU(), hg.Linear(3)]).build(4).summary()
    >>> summary.num_parameters, summary.rows[0].output_shape
    (203, (25,))
    """

    columns: ClassVar[tuple[str, ...]] = ("name", "layer", "output shape", "parameters", "multiply-adds", "activations")

    def __init__(self, model: Layer) -> None:
        if not model.is_built:
            raise ValueError("this model is not built: call build(input_shape, rng=0) before summary()")
        self.input_shape: Shape = model.input_shape
        self.dtype: DType = model.dtype
        self.rows: list[SummaryRow] = [SummaryRow.of(name, layer) for name, layer in walk(model)]
        self.num_parameters: int = sum(row.num_parameters for row in self.rows)
        self.multiply_adds: int = sum(row.multiply_adds for row in self.rows)
        self.activation_bytes: int = sum(row.activation_bytes for row in self.rows)

    def texts(self) -> tuple[str, list[tuple[str, ...]]]:
        """What stands above the table, and its rows, the sums last."""
        total = SummaryRow("total", "", (), self.num_parameters, self.multiply_adds, self.activation_bytes)
        head = f"input {shape_text(self.input_shape)}, {self.dtype}; counts and memory are per example"
        return head, [row.texts() for row in [*self.rows, total]]

    def __str__(self) -> str:
        head, rows = self.texts()
        lines = aligned(figures_from(3, self.columns), rows)
        rule = "-" * max(map(len, lines))
        return "\n".join([head, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def shape_text(shape: Shape) -> str:
    return f"(N, {', '.join(map(str, shape))})"


def bytes_text(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


# The form of what `describe` returns, see `files.check_form`
DESCRIPTION = {"class?": str, "config": {"layers?": [dict]}, "input_shape": [range(2**31)], "dtype": str}


def save_model(model: Layer, path: str | Path) -> None:
    """Write architecture, parameters and state to path (.npz, or .safetensors with the extra), atomically."""
    if not model.is_built:
        raise ValueError("this model is not built: there are no parameters to save yet")
    files.write_arrays(path, arrays_of(model), {"handgrad": "model", "architecture": json.dumps(describe(model))})


def read_model(path: str | Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The description and the arrays of a model, of a file that `save_model` wrote."""
    arrays, metadata = files.read_arrays(path)
    if metadata.get("handgrad") != "model":
        raise ValueError(f"{Path(path)} holds no handgrad model (write one with model.save(path))")
    description = files.from_json(metadata.get("architecture", ""), path)
    files.check_form(description, DESCRIPTION, path)
    return description, arrays


def describe(model: Layer) -> dict[str, Any]:
    """A built model without its arrays: plain data that `from_description` turns into a model of the same shapes."""
    for layer in family(model):
        if Layer.registry.get(type(layer).__name__) is not type(layer):
            what = f"the name '{type(layer).__name__}' stands for another layer class"
            raise ValueError(f"{what}: give the class of {layer.label} a name of its own, so that a file can name it")
    named = {} if type(model).__name__ == "Sequential" else {"class": type(model).__name__}
    return {**named, "config": model.config, "input_shape": list(model.input_shape), "dtype": model.dtype.name}


def arrays_of(model: Layer) -> dict[str, Array]:
    """The arrays that a file of the model holds: its parameters, and its state as 'state.' and the name."""
    return {**model.parameters, **{f"state.{name}": array for name, array in model.state.items()}}


def load_arrays(model: Layer, arrays: Mapping[str, Array], source: object = "these arrays") -> None:
    """Copy parameters and 'state.' arrays into the model; a missing, unknown or misshapen one is a ValueError."""
    wanted = arrays_of(model)
    if set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted))
        raise ValueError(f"{source} does not fit the model: '{odd[0]}' is in only one of the two")
    for name, array in wanted.items():
        if arrays[name].shape != array.shape:
            raise ValueError(f"{source}: '{name}' has shape {arrays[name].shape}, the model wants {array.shape}")
    for name, array in wanted.items():
        array[...] = arrays[name]


def from_spec(spec: Mapping[str, Any]) -> Layer:
    """A layer from plain data: {"layer": "Linear", "units": 25}."""
    arguments = {k: v for k, v in spec.items() if k != "layer"}
    if "layer" not in spec:
        raise ValueError(f'a layer is described as {{layer = "Linear", units = 25}}; got {spec}')
    cls = look_up("layer", spec["layer"], Layer.registry)
    check_arguments("layer", cls, arguments)
    check_complete("layer", cls, arguments)
    layer: Layer = cls(**arguments)
    return layer
