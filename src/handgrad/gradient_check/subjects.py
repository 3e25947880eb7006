"""Whatever was written by hand, as one thing to check: arrays to move, a forward, a backward.

A subject makes points. A point owns float64 (or complex) copies of every array, which the checker moves in place; its
forward and backward call the user's code and replay its random generators, so that the same point gives the same y.
Nothing is imported from `handgrad.layers`: an object is known by what it has.
"""

import copy
import inspect
import re
from contextlib import contextmanager
from types import ModuleType

import numpy as np

from .slots import UPDATED, exists, find_slots, parts, read, read_gradient, updated_slots, write
from .verdict import CodeFault


class PairTarget:
    """A forward that returns (y, cache), and a backward that takes (dy, cache)."""

    keeps_cache = False  # the cache is handed over, not kept between the calls
    has_parts = False
    guarded = False  # True: the forward gets copies, because it changes its arrays
    one_function = False  # True: the loss and its gradients come from the same function

    def __init__(self, forward, backward, arrays, kwargs, wrt, label=None, has_upstream=True):
        self.forward, self.backward, self.kwargs = forward, backward, dict(kwargs or {})
        self.label = label or getattr(forward, "__name__", type(forward).__name__)
        self.arguments, self.has_upstream = list(arrays), has_upstream
        self.all_names = argument_names(forward, len(arrays))
        self.wrt_given = wrt is not None
        self.names = choose(wrt, self.all_names, self.arguments)
        self.num_forwards, self.defaults = 0, keyword_defaults(forward)

    @property
    def uses_random(self):
        return bool(self.at(np.float64).replay.states)

    def at(self, dtype):
        return PairPoint(self, dtype)

    def settle(self):
        """A loss (one number) is differentiated by its first array, unless its backward answers for all of them."""
        try:
            point = self.at(np.float64)
            if self.wrt_given or np.ndim(point.forward()):
                return self
            answers = self.backward(1.0, point.cache)
        except Exception:  # the check proper runs into it again, and reports it
            return self
        answers = answers if isinstance(answers, (tuple, list, dict)) else (answers,)
        if len(answers) < len(self.names) or any(a is None for a in answers):
            self.names = [loss_argument(self.names)]
        return self


class PairPoint:
    def __init__(self, target, dtype):
        self.target = target
        self.arguments = [
            copy_argument(a, dtype if n in target.names else np.float64)
            for n, a in zip(target.all_names, target.arguments, strict=True)
        ]
        self.kwargs = copy.deepcopy(target.kwargs)
        self.replay = Replay(self.arguments, self.kwargs)
        self.arrays = {n: a for n, a in zip(target.all_names, self.arguments, strict=True) if n in target.names}
        self.cache = None

    def forward(self):
        self.target.num_forwards += 1
        self.replay.restore()
        with blame("forward"):
            arguments = copy.deepcopy(self.arguments) if self.target.guarded else self.arguments
            returned = self.target.forward(*arguments, **self.kwargs)
        if not isinstance(returned, tuple) or len(returned) != 2:
            got = f"{len(returned)} values" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
            raise CodeFault("wrong-output", f"the forward must return (y, cache), but returned {got}")
        self.cache = returned[1]
        return as_output(returned[0])

    def backward(self, dy):
        """The gradients by name, as the backward returned them."""
        with blame("backward"):
            returned = self.target.backward(dy, self.cache)
        return arrays_of(by_name(returned, self.target.names, np.ndim(dy) == 0))


class blame:
    """An exception of the code under test becomes a fault that quotes it in one line."""

    def __init__(self, part):
        self.part = part

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        if problem is not None and isinstance(problem, Exception) and not isinstance(problem, CodeFault):
            while trace.tb_next:
                trace = trace.tb_next
            said = str(problem).split("\n")[0]
            if mirrored(said):
                said += ": one is the other's transpose"
            raise CodeFault(
                "transposed" if mirrored(said) else f"{self.part}-raises",
                f"the {self.part} raised {kind.__name__}: {said} (line {trace.tb_lineno} of "
                f"{trace.tb_frame.f_code.co_name})",
            ) from problem


def mirrored(said):
    """Whether an exception complains of two shapes such as (3,5) and (5,3)."""
    shapes = [tuple(map(int, pair)) for pair in re.findall(r"\((\d+), ?(\d+)\)", said)]
    return len(shapes) == 2 and shapes[0] == shapes[1][::-1] and shapes[0] != shapes[1]


def argument_names(forward, count):
    """The names of the forward's first arguments, as its signature gives them."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    return names + [f"array{i}" for i in range(len(names), count)]


def keyword_defaults(forward):
    """The forward's keywords and their defaults."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def choose(wrt, names, arguments):
    """The names of the arrays to differentiate by: those of wrt (names or positions), or all that hold floats."""
    if wrt is None:
        chosen = [n for n, a in zip(names, arguments, strict=True) if is_float_array(a)]
        if not chosen and arguments:
            kinds = ", ".join(f"{n}: {describe(a)}" for n, a in zip(names, arguments, strict=True))
            raise TypeError(
                f"check_gradients needs at least one array of floats to differentiate by, got {kinds}"
                " (integers are taken for labels: make inputs floats)"
            )
        return chosen
    wanted = [wrt] if isinstance(wrt, (str, int)) else list(wrt)
    wanted = [names[w] if isinstance(w, int) and w < len(names) else w for w in wanted]
    for name in wanted:
        if name not in names:
            raise ValueError(f"wrt names '{name}', but the arrays are: {', '.join(names)}")
    return [n for n in names if n in wanted]


def loss_argument(names):
    """Of a loss's arrays the one it is differentiated by: the outputs, by name, or else the first."""
    words = ("hat", "pred", "out", "logit", "score", "prob")
    return next((name for name in names if any(word in name.lower() for word in words)), names[0])


def is_float_array(argument):
    """Floats with at least one axis; a NumPy array may also have none."""
    if isinstance(argument, (np.ndarray, np.floating)):
        return argument.dtype.kind in "fc"
    return isinstance(argument, list) and np.asarray(argument).dtype.kind == "f"


def describe(argument):
    return f"{argument.dtype} {argument.shape}" if isinstance(argument, np.ndarray) else type(argument).__name__


def copy_argument(argument, dtype):
    """Float arrays in the dtype of this point; everything else as a copy of itself."""
    if is_float_array(argument):
        return np.array(argument, dtype)
    return copy.deepcopy(argument)


def as_output(y):
    """y as an array of floats, or a fault that says what came instead."""
    y = y if isinstance(y, np.ndarray) else np.asarray(y)
    if y.dtype.kind in "iub":
        raise CodeFault(
            "integer-output",
            f"the forward returned {y.dtype} numbers for float input; return floats (is there a // or an integer "
            "array in it?)",
        )
    if y.dtype.kind not in "fc":
        raise CodeFault("wrong-output", f"the forward's y must be an array of floats, but is {y.dtype}")
    return y


def arrays_of(gradients):
    """Copies as arrays: code may hand out the same array again and again."""
    return {name: None if g is None else np.array(g) for name, g in gradients.items()}


def by_name(returned, names, allow_extra=False):
    """What a backward returned, keyed by the arrays' names; the wrong number of gradients is a fault."""
    if isinstance(returned, dict):
        keys = {n: [k for k in (n, "d" + n, "d_" + n, "grad_" + n) if k in returned] for n in names}
        return {n: returned[found[0]] if found else None for n, found in keys.items()}
    answers = returned if isinstance(returned, (tuple, list)) else (returned,)
    if len(answers) < len(names) or (
        len(answers) > len(names) and not allow_extra and any(a is not None for a in answers[len(names) :])
    ):
        kind = "missing-gradient" if len(answers) < len(names) else "extra-gradient"
        raise CodeFault(
            kind,
            f"the backward returned {len(answers)} gradient{'s' * (len(answers) != 1)}, but there are {len(names)} "
            f"arrays: {', '.join(names)} (one gradient each, in this order)",
        )
    return dict(zip(names, answers, strict=False))


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


class Replay:
    """Every np.random.Generator (or RandomState) reachable from these things, and its state now."""

    def __init__(self, *things):
        found = {}
        for thing in things:
            search(thing, found, depth=8, seen=set())
        self.states = [(setter, state) for setter, state in found.values()]

    def restore(self):
        for setter, state in self.states:
            setter(state)


def search(thing, found, depth, seen):
    if depth == 0 or id(thing) in seen or thing is None:
        return
    if isinstance(thing, np.random.Generator):
        bits = thing.bit_generator
        found[id(bits)] = (lambda state, bits=bits: setattr(bits, "state", state), bits.state)
    elif isinstance(thing, np.random.RandomState):
        found[id(thing)] = (thing.set_state, thing.get_state())
    elif isinstance(thing, (dict, list, tuple)):
        seen.add(id(thing))
        for item in thing.values() if isinstance(thing, dict) else thing:
            search(item, found, depth - 1, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, (type, ModuleType)) and not inspect.isroutine(thing):
        seen.add(id(thing))
        search(vars(thing), found, depth - 1, seen)
