"""Where an object keeps its parameters and their gradients.

Dicts or lists (`parameters` and `gradients`, `params` and `grads`), or attributes beside their gradients (`W` and
`dW`); in a model without any of its own, those of the layers in its `layers`.
"""

from dataclasses import dataclass

import numpy as np

GROUPS = (("parameters", "gradients"), ("params", "grads"), ("weights", "gradients"))
GRADIENT_NAMES = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "dL_d{}", "dLd{}")

UPDATED = "updated"  # in the place of a gradient's group: there is none, the backward takes the step itself


@dataclass(frozen=True)
class Slot:
    """One parameter: the layer it is in (indices into `layers`), its group (None: an attribute), key and gradient."""

    path: tuple
    group: str | None
    key: object
    gradient_group: str | None


def find_slots(layer, path=(), prefix=""):
    """{name: Slot} of every array of floats that has a gradient."""
    found = {}
    for group, gradients in GROUPS:
        held, kept = getattr(layer, group, None), getattr(layer, gradients, None)
        if held and kept is not None and isinstance(held, (list, tuple)) == isinstance(kept, (list, tuple)):
            found |= {
                name_of(prefix, group, k): Slot(path, group, k, gradients)
                for k, value in items(held)
                if is_trainable(value)
            }
    if not found:
        found = {
            prefix + name: Slot(path, None, name, None)
            for name, value in attributes(layer).items()
            if is_trainable(value) and gradient_key(attributes(layer), name, own=False) is not None
        }
    if not found:
        for i, inner in enumerate(parts(layer)):
            found |= find_slots(inner, (*path, i), f"{prefix}{label(inner, i)}.")
    return found


def updated_slots(before, after):
    """The slots of a layer whose backward takes a learning rate and updates: the attributes that it changed."""
    return {
        name: Slot((), None, name, UPDATED)
        for name, value in attributes(before).items()
        if is_trainable(value)
        and np.shape(attributes(after).get(name)) == value.shape
        and not np.array_equal(value, attributes(after)[name])
    }


def parts(layer):
    """The layers that a model is made of; [] for a layer."""
    inner = getattr(layer, "layers", None)
    inner = list(inner.values()) if isinstance(inner, dict) else inner
    return inner if isinstance(inner, (list, tuple)) and all(hasattr(part, "backward") for part in inner) else []


def label(layer, position):
    name = getattr(layer, "name", None)
    return name if isinstance(name, str) else f"layers[{position}]"


def name_of(prefix, group, key):
    return prefix + (key if isinstance(key, str) else f"{group}[{key}]")


def items(held):
    return held.items() if hasattr(held, "items") else enumerate(held)


def attributes(layer):
    return getattr(layer, "__dict__", {})


def is_trainable(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def gradient_key(held, key, own=True):
    """The key under which the gradient of `key` stands, or None."""
    if not isinstance(held, dict) and not hasattr(held, "keys"):
        return key
    names = [pattern.format(key) for pattern in GRADIENT_NAMES[0 if own else 1 :]]
    return next((name for name in names if name in held), None)


def holder(layer, path, group):
    """The dict or list that a slot's array stands in."""
    for i in path:
        layer = parts(layer)[i]
    return attributes(layer) if group is None else getattr(layer, group)


def read(layer, slot):
    return holder(layer, slot.path, slot.group)[slot.key]


def write(layer, slot, array):
    holder(layer, slot.path, slot.group)[slot.key] = array


def read_gradient(layer, slot):
    """The gradient as it stands now, or None."""
    held = holder(layer, slot.path, slot.gradient_group)
    key = gradient_key(held, slot.key, own=slot.group is not None)
    return None if key is None else held[key]


def exists(layer, slot):
    """Whether the parameter is there already: some layers create theirs in the first forward."""
    try:
        return is_trainable(read(layer, slot))
    except (KeyError, IndexError, AttributeError):
        return False
