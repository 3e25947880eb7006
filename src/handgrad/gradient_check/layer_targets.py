"""Objects with a forward and a backward as targets: layers and models, handgrad's and anybody's, and losses.

Nothing is imported from `handgrad.layers`: an object is known by what it has. Parameters stand in dicts
(`parameters` and `gradients`, or `params` and `grads`), or are attributes beside their gradients (`W` and `dW`).
"""

import copy
import inspect

import numpy as np

from .randomness import Replay
from .targets import argument_names, as_output, blame, by_name, choose, copy_argument
from .verdict import CodeFault

PARAMETER_GROUPS = (("parameters", "gradients"), ("params", "grads"), ("weights", "gradients"))
GRADIENT_NAMES = ("d{}", "d_{}", "grad_{}", "{}_grad", "dL_d{}", "dLd{}")


class LayerTarget:
    """An object whose forward keeps what its backward needs; works on copies, never on the object itself."""

    has_upstream = True

    def __init__(self, layer, arrays, kwargs, wrt, seed):
        self.label = type(getattr(layer, "model", layer)).__name__
        self.arguments, self.num_forwards = list(arrays), 0
        self.forward_name = "forward" if hasattr(layer, "forward") else "__call__"
        forward = getattr(layer, self.forward_name)
        self.all_names = argument_names(forward, len(arrays))
        self.kwargs = {**training_mode(forward), **(kwargs or {})}
        self.style = backward_style(layer.backward, forward)
        self.has_upstream = self.style in ("dy", "dy, x", "x, dy")
        self.original = built(copy.deepcopy(layer), self.arguments, seed)
        point = LayerPoint(self, np.float64, slots={})
        dy = np.ones_like(point.forward())
        returned = point.call_backward(dy)
        self.original = point.layer_before
        self.slots = find_slots(point.layer)
        own = [n for n in self.all_names if wrt is None or n not in self.slots]
        self.input_names = self.choose_inputs(wrt, own, returned, np.ndim(dy) == 0)
        self.names = self.input_names + [n for n in self.slots if wrt is None or n in names_of(wrt)]

    def choose_inputs(self, wrt, own, returned, is_loss):
        """The inputs to differentiate by; a loss has gradients for its outputs only."""
        if wrt is not None:
            return [n for n in choose(None, self.all_names, self.arguments) if n in names_of(wrt)]
        floats = choose(None, self.all_names, self.arguments) if any_floats(self.arguments) else []
        answers = returned if isinstance(returned, (tuple, list)) else (returned,)
        return floats[:1] if is_loss and len(answers) < len(floats) else floats

    def at(self, dtype):
        return LayerPoint(self, dtype, self.slots)


class LayerPoint:
    def __init__(self, target, dtype, slots):
        self.target, self.slots = target, slots
        self.layer = in_dtype(target.original, dtype, slots)
        names = getattr(target, "names", [])
        self.arguments = [copy_argument(a, dtype if n in names else np.float64)
                          for n, a in zip(target.all_names, target.arguments, strict=True)]
        self.kwargs = copy.deepcopy(target.kwargs)
        self.replay = Replay(self.layer, self.arguments, self.kwargs)
        inputs = dict(zip(target.all_names, self.arguments, strict=True))
        self.arrays = {n: inputs[n] for n in names if n in inputs}
        self.arrays |= {n: container(self.layer, *slots[n][0])[slots[n][0][1]] for n in names if n in slots}

    def forward(self):
        self.target.num_forwards += 1
        self.replay.restore()
        with blame("forward"):
            y = getattr(self.layer, self.target.forward_name)(*self.arguments, **self.kwargs)
        if not self.slots:
            self.layer_before = copy.deepcopy(self.layer)
        return as_output(y)

    def call_backward(self, dy):
        style = self.target.style
        arguments = {"dy": (dy,), "": (), "same": self.arguments, "dy, x": (dy, *self.arguments),
                     "x, dy": (*self.arguments, dy)}[style]
        with blame("backward"):
            return self.layer.backward(*arguments)

    def backward(self, dy):
        """The gradients by name: what the backward returned for the inputs, what the layer holds for its parameters."""
        returned = self.call_backward(dy)
        found = by_name(returned, self.target.input_names, np.ndim(dy) == 0) if self.target.input_names else {}
        for name in self.target.names:
            if name in self.slots:
                found[name] = copy.copy(read_gradient(self.layer, self.slots[name][1]))  # layers reuse these arrays
        return found


def names_of(wrt):
    return [wrt] if isinstance(wrt, str) else list(wrt)


def any_floats(arguments):
    return any(isinstance(a, np.ndarray) and a.dtype.kind in "fc" for a in arguments)


def training_mode(forward):
    """training=True for a forward that asks."""
    try:
        return {"training": True} if "training" in inspect.signature(forward).parameters else {}
    except (TypeError, ValueError):
        return {}


def backward_style(backward, forward):
    """How to call this backward: with dy, with nothing (losses), with the forward's arguments, or with both."""
    try:
        required = [p for p in inspect.signature(backward).parameters.values()
                    if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        taken = [p.name for p in inspect.signature(forward).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        return "dy"
    names = [p.name for p in required]
    if not names:
        return ""
    if names == taken[:len(names)] and len(names) > 1:
        return "same"
    if len(names) == 1:
        return "dy"
    return "dy, x" if names[0].lower().startswith(("d", "grad", "up")) else "x, dy"


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
    for parameter, _ in slots.values():
        group = container(layer, *parameter)
        if group[parameter[1]].dtype != dtype:
            group[parameter[1]] = group[parameter[1]].astype(dtype)
    return layer


def container(layer, group, key):
    """The dict a parameter stands in: one of the layer's, or the layer's own attributes."""
    layer = layer.model if isinstance(layer, WithLoss) else layer
    return vars(layer) if group is None else getattr(layer, group)


def find_slots(layer):
    """{name: ((group, key) of the parameter, (group, key) of its gradient)}; group None means an attribute."""
    layer = layer.model if isinstance(layer, WithLoss) else layer
    for group, gradients in PARAMETER_GROUPS:
        held = getattr(layer, group, None)
        if hasattr(held, "keys") and getattr(layer, gradients, None) is not None:
            return {str(k): ((group, k), (gradients, k)) for k in held if is_trainable(held[k])}
    attributes = vars(layer) if hasattr(layer, "__dict__") else {}
    return {name: ((None, name), (None, gradient.format(name))) for name, value in attributes.items()
            for gradient in GRADIENT_NAMES if is_trainable(value) and gradient.format(name) in attributes}


def is_trainable(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def read_gradient(layer, slot):
    group, key = slot
    held = container(layer, group, key)
    if key in held:
        return held[key]
    for pattern in GRADIENT_NAMES:
        if pattern.format(key) in held:
            return held[pattern.format(key)]
    return None


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
        raise TypeError("loss must be a loss object such as CrossEntropy() or a pair (forward, backward), "
                        f"got {type(loss).__name__}")
    if not hasattr(model, "forward") or isinstance(model, type):
        raise CodeFault("wrong-output", "loss= goes with a model that has a forward and a backward")
    return WithLoss(model, loss)
