"""A model described: as a table to print, as plain data, and as a file from which it can be rebuilt."""

import json
from pathlib import Path

import numpy as np

from .. import files
from ..naming import check_arguments, look_up
from ..text import aligned, figures_from
from .base import Layer, leaves, walk


class Summary:
    """Rows (name, layer, output shape, parameters, multiply-adds, activation bytes), per example; print it."""

    columns = ("name", "layer", "output shape", "parameters", "multiply-adds", "activations")

    def __init__(self, model):
        if not model.is_built:
            raise ValueError("this model is not built: call build(input_shape, rng=0) before summary()")
        self.input_shape, self.dtype = model.input_shape, model.dtype
        self.rows = [row(layer, name, model.dtype.itemsize) for name, layer in walk(model)]
        self.num_parameters = sum(r[3] for r in self.rows)
        self.multiply_adds = sum(r[4] for r in self.rows)
        self.activation_bytes = sum(r[5] for r in self.rows)

    def __str__(self):
        total = ("total", "", "", self.num_parameters, self.multiply_adds, self.activation_bytes)
        lines = aligned(figures_from(3, self.columns), [texts(r) for r in [*self.rows, total]])
        rule = "-" * max(map(len, lines))
        head = f"input {shape_text(self.input_shape)}, {self.dtype}; counts and memory are per example"
        return "\n".join([head, lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__


def row(layer, name, itemsize):
    size = itemsize
    for n in layer.output_shape:
        size *= n
    return name, type(layer).__name__, layer.output_shape, layer.num_parameters, layer.multiply_adds, size


def texts(r):
    name, kind, shape, parameters, multiply_adds, size = r
    return name, kind, shape_text(shape) if shape else "", f"{parameters:,}", f"{multiply_adds:,}", bytes_text(size)


def shape_text(shape):
    return f"(N, {', '.join(map(str, shape))})"


def bytes_text(size):
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"


def save_model(model, path):
    """Write architecture, parameters and state to path (.npz, or .safetensors with the extra), atomically."""
    if not model.is_built:
        raise ValueError("this model is not built: there are no parameters to save yet")
    files.write_arrays(path, arrays_of(model), {"handgrad": "model", "architecture": json.dumps(describe(model))})


def load_model(path):
    """The model that `save` wrote. Nothing in the file is run; damage and foreign files raise a ValueError."""
    arrays, metadata = files.read_arrays(path)
    if metadata.get("handgrad") != "model":
        raise ValueError(f"{Path(path)} holds no handgrad model (write one with model.save(path))")
    model = from_description(json.loads(metadata["architecture"]))
    load_arrays(model, arrays, path)
    return model


def describe(model):
    """A built model without its arrays: plain data that `from_description` turns into a model of the same shapes."""
    for layer in leaves(model):
        if Layer.registry.get(type(layer).__name__) is not type(layer):
            raise ValueError(
                f"the name '{type(layer).__name__}' stands for another layer class: give the class of {layer.label} "
                "a name of its own, so that a file can name it"
            )
    return {"config": model.config, "input_shape": list(model.input_shape), "dtype": model.dtype.name}


def from_description(description):
    """A model built as described, its parameters freshly drawn."""
    model = from_spec({"layer": "Sequential", **description["config"]})
    return model.build(tuple(description["input_shape"]), rng=0, dtype=np.dtype(description["dtype"]))


def arrays_of(model):
    """The arrays that a file of the model holds: its parameters, and its state as 'state.' and the name."""
    return {**model.parameters, **{f"state.{name}": array for name, array in model.state.items()}}


def load_arrays(model, arrays, source="these arrays"):
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


def from_spec(spec):
    """A layer from plain data: {"layer": "Linear", "units": 25}."""
    arguments = {k: v for k, v in spec.items() if k != "layer"}
    if "layer" not in spec:
        raise ValueError(f'a layer is described as {{layer = "Linear", units = 25}}; got {spec}')
    cls = look_up("layer", spec["layer"], Layer.registry)
    check_arguments("layer", cls, arguments)
    return cls(**arguments)
