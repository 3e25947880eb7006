"""Objects with a forward and a backward as targets: layers and models, handgrad's and anybody's, and losses.

Nothing is imported from `handgrad.layers`: an object is known by what it has.
"""

import copy
import inspect
from contextlib import contextmanager

import numpy as np

from .randomness import Replay
from .slots import UPDATED, exists, find_slots, parts, read, read_gradient, updated_slots, write
from .targets import (
    argument_names,
    arrays_of,
    as_output,
    blame,
    by_name,
    choose,
    copy_argument,
    is_float_array,
    loss_argument,
)

LEARNING_RATES = {"learning_rate", "lr", "eta", "rate", "alpha", "step_size"}


class LayerTarget:
    """An object whose forward keeps what its backward needs; works on copies, never on the object itself."""

    keeps_cache = True  # between forward and backward, in the object
    guarded = one_function = False

    def __init__(self, layer, arrays, kwargs, wrt, seed):
        self.label = type(getattr(layer, "model", layer)).__name__
        self.arguments, self.num_forwards, self.seed = list(arrays), 0, seed
        self.forward_name = "forward" if hasattr(layer, "forward") else "__call__"
        forward = getattr(layer, self.forward_name)
        self.all_names = argument_names(forward, len(arrays))
        self.kwargs = {**training_mode(forward), **(kwargs or {})}
        self.defaults = public_numbers(layer)
        self.style = backward_style(layer.backward, forward)
        self.has_upstream = "dy" in self.style
        self.original = built(copy.deepcopy(layer), self.arguments, seed)
        self.names, self.input_names, self.slots = (), (), {}
        self.explore(wrt)

    def explore(self, wrt):
        """Run once forward and backward, to see which arrays there are gradients for."""
        point = self.at(np.float64)
        y = point.forward()
        after_forward = copy.deepcopy(point.layer)
        before = copy.deepcopy(inner(point.layer))
        with overheard(point.layer):
            returned = point.call_backward(np.ones_like(y))
        slots = updated_slots(before, point.layer) if self.style == "dy, rate" else find_slots(inner(point.layer))
        if not all(exists(inner(self.original), slot) for slot in slots.values()):
            self.original = after_forward
        floats = [n for n, a in zip(self.all_names, self.arguments, strict=True) if is_float_array(a)]
        answers = returned if isinstance(returned, (tuple, list)) else (returned,)
        self.input_names = [loss_argument(floats)] if y.ndim == 0 and len(answers) < len(floats) else floats
        if wrt is not None:
            self.choose(wrt, floats, slots)
        else:
            self.slots = slots
        self.names = [*self.input_names, *self.slots]
        if not self.names:
            raise TypeError(
                f"{self.label} has no array of floats to differentiate by: neither an input nor a parameter"
            )

    def choose(self, wrt, floats, slots):
        known = [*floats, *slots]
        wanted = choose(wrt, known, known)
        self.input_names = [n for n in floats if n in wanted]
        self.slots = {n: slot for n, slot in slots.items() if n in wanted}

    @property
    def has_parts(self):
        """Whether it is a model, whose layers can be checked one by one."""
        return bool(parts(inner(self.original)))

    @property
    def uses_random(self):
        return bool(self.at(np.float64).replay.states)

    def at(self, dtype):
        return LayerPoint(self, dtype)


class LayerPoint:
    """A copy of the layer with arrays of its own."""

    def __init__(self, target, dtype):
        self.target = target
        self.layer = in_dtype(target.original, dtype, target.slots)
        self.arguments = [
            copy_argument(a, dtype if n in target.input_names else np.float64)
            for n, a in zip(target.all_names, target.arguments, strict=True)
        ]
        self.kwargs = copy.deepcopy(target.kwargs)
        self.replay = Replay(self.layer, self.arguments, self.kwargs)
        inputs = dict(zip(target.all_names, self.arguments, strict=True))
        self.arrays = {n: inputs[n] for n in target.input_names}
        self.arrays |= {n: read(inner(self.layer), slot) for n, slot in target.slots.items()}

    def forward(self):
        self.target.num_forwards += 1
        self.replay.restore()
        with blame("forward"):
            arguments = copy.deepcopy(self.arguments) if self.target.guarded else self.arguments
            y = getattr(self.layer, self.target.forward_name)(*arguments, **self.kwargs)
        return as_output(y)

    def call_backward(self, dy):
        arguments = {
            "dy": (dy,),
            "": (),
            "same": self.arguments,
            "dy, x": (dy, *self.arguments),
            "x, dy": (*self.arguments, dy),
            "dy, rate": (dy, 1.0),
        }[self.target.style]
        with blame("backward"):
            return self.layer.backward(*arguments)

    def backward(self, dy):
        """The gradients by name: what the backward returned for the inputs, what the layer holds for its parameters."""
        clear = getattr(inner(self.layer), "zero_grad", None)
        if callable(clear):
            clear()
        before = {n: read(self.layer, s).copy() for n, s in self.target.slots.items() if s.gradient_group == UPDATED}
        with overheard(self.layer) as refused:
            returned = self.call_backward(dy)
        names = self.target.input_names
        found = by_name(returned, names, np.ndim(dy) == 0) if names else {}
        for name, slot in self.target.slots.items():
            if name in before:  # the step of a learning rate of 1, undone
                found[name] = before[name] - read(self.layer, slot)
                self.arrays[name][...] = before[name]
                write(self.layer, slot, self.arrays[name])
            else:
                found[name] = refused.get(name, read_gradient(inner(self.layer), slot))
        return arrays_of(found)

    def restore(self, target):
        """Put every array back to where the target starts."""
        for name, array in target.at(np.float64).arrays.items():
            self.arrays[name][...] = array


@contextmanager
def overheard(layer):
    """While it lasts, a layer with `differentiate` gets zeros for parameter gradients that it would refuse.

    Gives {name: gradient} of those in the wrong shape: what is wrong with them is for the checker to say.
    """
    refused, gradients = {}, getattr(layer, "gradients", None)
    if not hasattr(layer, "differentiate") or hasattr(layer, "layers") or not isinstance(gradients, dict):
        yield refused
        return
    differentiate, shapes = layer.differentiate, {k: np.shape(v) for k, v in gradients.items()}

    def listen(*arguments, **keywords):
        returned = differentiate(*arguments, **keywords)
        if not (
            isinstance(returned, tuple)
            and len(returned) == 2
            and isinstance(returned[1], dict)
            and set(returned[1]) <= set(shapes)
        ):
            return returned
        fitting = {k: g for k, g in returned[1].items() if np.shape(g) == shapes[k]}
        refused.update((k, g) for k, g in returned[1].items() if k not in fitting)
        return returned[0], {**{k: np.zeros(shape) for k, shape in shapes.items()}, **fitting}

    layer.differentiate = listen
    try:
        yield refused
    finally:
        del layer.differentiate


def inner(layer):
    """What holds the parameters: the layer, or the model under a loss."""
    return layer.model if isinstance(layer, WithLoss) else layer


def public_numbers(layer):
    numbers = {k: v for k, v in getattr(layer, "__dict__", {}).items() if isinstance(v, (int, float))}
    return {k: v for k, v in numbers.items() if not k.startswith("_") and not isinstance(v, bool)}


def training_mode(forward):
    """training=True for a forward that asks."""
    try:
        return {"training": True} if "training" in inspect.signature(forward).parameters else {}
    except (TypeError, ValueError):
        return {}


def backward_style(backward, forward):
    """How to call this backward: with dy, with nothing (losses), with the forward's arguments, or with both."""
    try:
        required = [
            p.name
            for p in inspect.signature(backward).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        taken = [p.name for p in inspect.signature(forward).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        return "dy"
    if not required:
        return ""
    if len(required) == 2 and required[1].lower() in LEARNING_RATES:
        return "dy, rate"
    if len(required) == 1:
        return "dy"
    if required == taken[: len(required)]:
        return "same"
    return "dy, x" if required[0].lower().startswith(("d", "grad", "up")) else "x, dy"


def built(layer, arguments, seed):
    """The layer with its parameters created: handgrad's layers are built for the shape of x, in float64."""
    if hasattr(layer, "build") and not getattr(layer, "is_built", bool(getattr(layer, "parameters", None))):
        layer.build(np.shape(arguments[0])[1:], rng=np.random.default_rng(seed), dtype=np.float64)
    return layer


def in_dtype(layer, dtype, slots):
    """A copy of the layer computing in dtype."""
    if isinstance(layer, WithLoss):
        return WithLoss(in_dtype(layer.model, dtype, slots), copy.deepcopy(layer.loss))
    if hasattr(layer, "astype"):
        return layer.astype(dtype)
    layer = copy.deepcopy(layer)
    for slot in slots.values():
        if read(layer, slot).dtype != dtype:
            write(layer, slot, read(layer, slot).astype(dtype))
    return layer


class WithLoss:
    """A model and a loss as one layer whose output is the loss."""

    def __init__(self, model, loss):
        self.model, self.loss = model, loss

    @property
    def is_built(self):
        return getattr(self.model, "is_built", True)

    def build(self, input_shape, rng, dtype):
        self.model.build(input_shape, rng=rng, dtype=dtype)

    def forward(self, x, targets):
        outputs = self.model.forward(x, **training_mode(self.model.forward))
        if isinstance(self.loss, tuple):
            value, self.cache = self.loss[0](outputs, targets)
            return value
        return self.loss.forward(outputs, targets)

    def backward(self):
        doutputs = self.loss[1](1.0, self.cache) if isinstance(self.loss, tuple) else self.loss.backward()
        return self.model.backward(doutputs[0] if isinstance(doutputs, tuple) else doutputs)


def with_loss(model, loss):
    """A model with a loss object or a loss pair on top, as a target's layer."""
    if not (isinstance(loss, tuple) and len(loss) == 2) and not hasattr(loss, "backward"):
        raise TypeError(
            "loss must be a loss object such as CrossEntropy() or a pair (forward, backward), got "
            f"{type(loss).__name__}"
        )
    if not (hasattr(model, "forward") and hasattr(model, "backward")) or isinstance(model, type):
        raise TypeError(f"loss= goes with a model that has a forward and a backward, got {type(model).__name__}")
    return WithLoss(model, loss)
