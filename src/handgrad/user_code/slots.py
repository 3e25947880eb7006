"""Where an object keeps its parameters and their gradients.

Dicts or lists (`parameters` and `gradients`, `params` and `grads`), or attributes beside their gradients (`W` and
`dW`, or `W` and `grads["W"]`), each an array, a list of numbers, or a list of such; in a model without any of its own,
those of the layers in its `layers`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array

GROUPS = (("parameters", "gradients"), ("params", "grads"), ("weights", "gradients"))
GRADIENT_NAMES = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "grads_{}", "{}_grads", "dL_d{}", "dLd{}", "nabla_{}",
                  "g{}")  # fmt: skip
GRADIENT_GROUPS = ("gradients", "grads")
SHORT = {"weights": ("W", "w"), "weight": ("W", "w"), "biases": ("b",), "bias": ("b",)}  # as in dW beside weights

# in the place of a gradient's group
UPDATED = "updated"  # there is none, the backward takes the step itself
RETURNED = "returned"  # the backward returns it behind those of the inputs


class Slot(NamedTuple):
    """One parameter: the layer it is in (indices into `layers`), its group (None: an attribute), key and gradient."""

    path: tuple[int, ...]
    group: str | None
    key: Any  # of a dict or list
    gradient_group: str | None


def find_slots(layer: Any, path: tuple[int, ...] = (), prefix: str = "") -> dict[str, Slot]:
    """{name: Slot} of every array or list of floats that has a gradient."""
    found: dict[str, Slot] = {}
    for group, gradients in GROUPS:
        found |= slots_of(layer, path, prefix, group, gradients)
    if not found:
        for name, gradient in with_gradients(layer):
            if is_parameter(attributes(layer)[name]):
                found[prefix + name] = Slot(path, None, name, gradient if gradient in GRADIENT_GROUPS else None)
            else:
                within = f"{prefix}{name}." if hasattr(attributes(layer)[name], "items") else prefix
                found |= slots_of(layer, path, within, name, gradient)
    if not found:
        for i, part in enumerate(parts(layer)):
            found |= find_slots(part, (*path, i), f"{prefix}{label(part, i)}.")
    return found


def slots_of(layer: Any, path: tuple[int, ...], prefix: str, group: str, gradients: str) -> dict[str, Slot]:
    """{name: Slot} of the arrays in a dict or list; none where their gradients are not kept in the same way."""
    held, kept = getattr(layer, group, None), getattr(layer, gradients, None)
    if not (is_collection(held) and is_collection(kept)) or hasattr(held, "items") != hasattr(kept, "items"):
        return {}
    return {
        prefix + (key if isinstance(key, str) else f"{group}[{key}]"): Slot(path, group, key, gradients)
        for key, value in items(held)
        if is_parameter(value)
    }


def with_gradients(layer: Any) -> Iterator[tuple[str, str]]:
    """(name, name of its gradient, or of the dict that has it) of each attribute that has one beside it."""
    held = attributes(layer)
    kept = [group for group in GRADIENT_GROUPS if hasattr(held.get(group), "items")]
    for name in held:
        gradient = gradient_key(held, name, own=False)
        gradient = gradient or next((group for group in kept if gradient_key(held[group], name) is not None), None)
        if gradient is not None:
            yield name, gradient


def updated_slots(before: Any, after: Any) -> dict[str, Slot]:
    """The slots of a layer whose backward takes a learning rate and updates: the attributes that it changed."""
    return {
        name: Slot((), None, name, UPDATED)
        for name, value in attributes(before).items()
        if is_parameter(value)
        and np.shape(attributes(after).get(name, ())) == np.shape(value)
        and not np.array_equal(value, attributes(after)[name])
    }


def parts(layer: Any) -> list[Any]:
    """The layers that a model is made of; [] for a layer."""
    held = getattr(layer, "layers", None)
    held = list(held.values()) if isinstance(held, dict) else held
    return list(held) if isinstance(held, (list, tuple)) and all(hasattr(part, "backward") for part in held) else []


def label(layer: Any, position: int) -> str:
    name = getattr(layer, "name", None)
    return name if isinstance(name, str) else f"layers[{position}]"


def items(held: Any) -> Iterable[tuple[Any, Any]]:
    return held.items() if hasattr(held, "items") else enumerate(held)


def attributes(layer: Any) -> dict[str, Any]:
    """What an object holds by name, in its __slots__ too."""
    slots = [name for cls in type(layer).__mro__ for name in getattr(cls, "__slots__", ())]
    return {name: getattr(layer, name) for name in slots if hasattr(layer, name)} | getattr(layer, "__dict__", {})


def is_collection(held: Any) -> bool:
    return isinstance(held, (list, tuple)) or (hasattr(held, "items") and not isinstance(held, type))


def parameters_in(value: Any) -> Iterator[Any]:
    """The arrays of floats in an attribute, and the floats of lists in it; other floats are settings."""
    if is_trainable(value):
        yield value
    elif type(value) in (list, tuple, dict):
        for _, part in items(value):
            yield from [part] if isinstance(part, float) and type(value) is list else parameters_in(part)


def is_nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(part, list) for part in value)


def moved(value: Any) -> Any:
    """An attribute with all its floats a little off."""
    if is_trainable(value) or isinstance(value, float):
        return 1.01 * value + 0.01
    if type(value) is dict:
        return {key: moved(part) for key, part in value.items()}
    return type(value)(map(moved, value)) if type(value) in (list, tuple) else value


def is_trainable(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def is_parameter(value: Any) -> bool:
    """Whether this is an array of floats, or a list that is as good as one."""
    return is_trainable(value) or (holds_numbers(value) and np.array(value).dtype.kind == "f")


def holds_numbers(value: Any) -> bool:
    """Whether this is a list of numbers, or of such lists in one shape."""
    if not isinstance(value, list) or not value:
        return False
    numbers = all(isinstance(part, (int, float)) and type(part) is not bool for part in value)
    return numbers or (all(map(holds_numbers, value)) and len(set(map(np.shape, value))) == 1)


def gradient_key(held: Any, key: Any, own: bool = True) -> Any:
    """The key under which the gradient of `key` stands, or None."""
    if not isinstance(held, dict) and not hasattr(held, "keys"):
        return key
    shown = [key, *(short for short in SHORT.get(key, ()) if short not in held)]
    names = [pattern.format(name) for name in shown for pattern in GRADIENT_NAMES[0 if own else 1 :]]
    return next((name for name in names if name in held), None)


def holder(layer: Any, path: tuple[int, ...], group: str | None) -> Any:
    """The dict or list that a slot's array stands in; of attributes, a copy."""
    part = part_at(layer, path)
    return attributes(part) if group is None else getattr(part, group)


def part_at(layer: Any, path: tuple[int, ...]) -> Any:
    for i in path:
        layer = parts(layer)[i]
    return layer


def read(layer: Any, slot: Slot) -> Array:
    array: Array = holder(layer, slot.path, slot.group)[slot.key]
    return array


def write(layer: Any, slot: Slot, array: Array) -> None:
    if slot.group is None:
        object.__setattr__(part_at(layer, slot.path), slot.key, array)
    else:
        holder(layer, slot.path, slot.group)[slot.key] = array


def read_gradient(layer: Any, slot: Slot) -> Array | None:
    """The gradient as it stands now, or None."""
    if slot.gradient_group == RETURNED:
        return None
    held = holder(layer, slot.path, slot.gradient_group)
    key = gradient_key(held, slot.key, own=slot.gradient_group is not None)
    return None if key is None or (isinstance(held, (list, tuple)) and key >= len(held)) else held[key]


def exists(layer: Any, slot: Slot) -> bool:
    """Whether the parameter is there already: some layers create theirs in the first forward."""
    try:
        return is_parameter(read(layer, slot))
    except (KeyError, IndexError, AttributeError):
        return False
