"""Layers and models: objects whose forward keeps what their backward needs, with a loss on top or without."""

import contextlib
import copy
import io
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..arrays import Array, Cache, DTypeLike, Generator, Shape
from .arguments import (
    HANDED_BACK,
    POSITIONAL,
    Function,
    Gradients,
    Pair,
    Settings,
    Wanted,
    choose,
    is_float_array,
    loss_argument,
    parameters_of,
)
from .faults import CodeFault, report_faults
from .slots import (
    RETURNED,
    UPDATED,
    Slot,
    attributes,
    exists,
    find_slots,
    gradient_key,
    is_collection,
    is_nested,
    is_trainable,
    items,
    moved,
    parameters_in,
    parts,
    read,
    read_gradient,
    updated_slots,
    with_gradients,
    write,
)
from .subjects import Point, Subject, arrays_of, by_name

PASSES_ON = True  # to the model, the loss and the layer that it was given

LEARNING_RATES = {"learning_rate", "lr", "eta", "rate", "alpha", "step_size"}


class LossObject(Protocol):
    """A loss of anybody's with the two methods that a check calls."""

    def forward(self, outputs: Any, targets: Any, /) -> Any: ...

    def backward(self) -> Any: ...


LossOrPair: TypeAlias = LossObject | Pair | None  # what stands on a model, if anything does


class LayerSubject(Subject):
    """An object whose forward keeps what its backward needs; works on copies, never on the object itself."""

    keeps_cache = True

    def __init__(self, layer: Any, arrays: Iterable[Any], kwargs: Settings, wrt: Wanted, seed: int) -> None:
        self.forward_name = "forward" if hasattr(layer, "forward") else "__call__"
        forward = getattr(layer, self.forward_name)
        settings = {**training_mode(forward), **(kwargs or {})}
        super().__init__(type(getattr(layer, "model", layer)).__name__, forward, arrays, settings)
        self.defaults: dict[str, Any] = public_numbers(layer)
        self.style: str = backward_style(layer.backward, forward)
        self.has_upstream: bool = "dy" in self.style
        self.original: Any = built(copied(layer), self.arguments, seed)
        self.slots: dict[str, Slot] = {}
        self.every_slot: dict[str, Slot] = {}  # those not asked for included
        self.with_gradients: dict[str, str] = {}  # names of attributes and of the gradients beside them
        self.is_ours = type(inner(self.original)).__module__.startswith("handgrad.")
        self.has_parts = bool(parts(inner(self.original)))
        self.explore(wrt)

    def explore(self, wrt: Wanted) -> None:
        """Run once forward and backward, to see which arrays there are gradients for."""
        point = self.at(np.float64)
        y = point.forward()
        after_forward = copied(point.layer)
        before = copied(inner(point.layer))
        with overhear_gradients(point.layer):
            returned = point.call_backward(np.ones_like(y))
        slots = updated_slots(before, point.layer) if self.style == "dy, rate" else find_slots(inner(point.layer))
        if not all(exists(inner(self.original), slot) for slot in slots.values()):
            self.original = after_forward
        slots = self.with_arrays(self.without_results(slots), y)
        floats = [n for n, a in zip(self.all_names, self.arguments, strict=True) if is_float_array(a)]
        answers = returned if isinstance(returned, (tuple, list)) else (returned,)
        slots = slots or self.returned_slots(answers[len(floats) :])
        self.input_names: list[str] = [loss_argument(floats)] if y.ndim == 0 and len(answers) < len(floats) else floats
        self.every_slot = slots
        self.with_gradients = dict(with_gradients(inner(point.layer)))
        if wrt is not None:
            known = [*floats, *slots]
            wanted = choose(wrt, known, known)
            self.input_names = [n for n in floats if n in wanted]
            slots = {n: slot for n, slot in slots.items() if n in wanted}
        self.slots = slots
        self.names: list[str] = [*self.input_names, *slots]
        if not self.names:
            what = f"{self.label} has no array of floats to differentiate by"
            raise TypeError(f"{what}: neither an input nor a parameter")

    def returned_slots(self, gradients: Sequence[Any]) -> dict[str, Slot]:
        """The parameters whose gradients a backward returns behind those of the inputs."""
        held, slots = attributes(inner(self.original)), dict[str, Slot]()
        for name in self.without_gradient() if gradients else ():
            if is_trainable(held[name]):
                slots[name] = Slot((), None, name, RETURNED)
            for key, value in items(held[name]) if is_collection(held[name]) else ():
                if is_trainable(value):
                    slots[key if isinstance(key, str) else f"{name}[{key}]"] = Slot((), name, key, RETURNED)
        found = list(by_parameter(gradients, slots))
        if not found and 0 < len(gradients) < len(slots):  # of some alone, which their shapes tell
            shapes = {name: read(inner(self.original), slot).shape for name, slot in slots.items()}
            left = iter(shapes)
            matching = [next((name for name in left if shapes[name] == np.shape(g)), None) for g in gradients]
            found = [name for name in matching if name is not None] if None not in matching else []
        return {name: slots[name] for name in found}

    def without_results(self, slots: dict[str, Slot]) -> dict[str, Slot]:
        """The slots without what a forward computes anew whatever it was: self.z beside self.dz is no parameter."""
        kept, first = dict(slots), self.at(np.float64)
        first.forward()
        for name, slot in slots.items():
            point = self.at(np.float64)
            layer = inner(point.layer)
            with contextlib.suppress(Exception):  # other numbers may be none that the code takes
                array: Any = read(layer, slot)
                if isinstance(array, np.ndarray):
                    array[...] = moved(array)  # a property may make the dict of parameters anew each time
                else:
                    write(layer, slot, moved(array))
                was_moved = not same_numbers(read(layer, slot), read(inner(first.layer), slot))
                point.forward()
                if was_moved and same_numbers(read(layer, slot), read(inner(first.layer), slot)):
                    del kept[name]
        return kept

    def with_arrays(self, slots: dict[str, Slot], y: Array) -> dict[str, Slot]:
        """The slots, lists of numbers made arrays; without those lists where the code computes y from lists alone."""
        lists = {n: slot for n, slot in slots.items() if isinstance(read(inner(self.original), slot), list)}
        if not lists:
            return slots
        before = copied(self.original)
        with contextlib.suppress(CodeFault, TypeError):  # TypeError: of a tuple, which takes nothing new
            for slot in lists.values():
                write(inner(self.original), slot, np.array(read(inner(self.original), slot)))
            if np.array_equal(self.at(np.float64).forward(), y, equal_nan=True):
                return slots
        self.original = before
        return {n: slot for n, slot in slots.items() if n not in lists}

    def at(self, dtype: DTypeLike) -> "LayerPoint":
        return LayerPoint(self, dtype)

    def without_gradient(self) -> dict[str, str]:
        """The attributes that y depends on as on parameters, but that have no gradient: nobody checks those."""
        layer, found = inner(self.original), dict[str, str]()
        with_gradient = {id(read(layer, slot)) for slot in self.every_slot.values()}
        for name, value in attributes(layer).items():
            others = [part for part in parameters_in(value) if id(part) not in with_gradient]
            plain = all(isinstance(part, float) for part in others)
            is_setting = plain and name not in self.with_gradients and not is_nested(value)
            is_statistic = any(word in name.lower() for word in ("running", "moving"))  # averages, which nobody trains
            if others and not is_setting and not is_statistic and self.moves(name):
                none = f"has no gradient (none called d{name}, grad_{name}, ...)"
                found[name] = "is a list of numbers (make it a NumPy array)" if plain else none
        return found

    def moves(self, name: str) -> bool:
        """Whether y changes with the numbers of an attribute."""
        point = self.at(np.float64)
        y, layer = point.forward().copy(), inner(point.layer)
        object.__setattr__(layer, name, moved(getattr(layer, name)))
        try:
            return not np.array_equal(point.forward(), y, equal_nan=True)
        except CodeFault:  # other numbers may be none that the code takes
            return False


def by_parameter(gradients: Sequence[Any], slots: Mapping[str, Slot]) -> dict[str, Any]:
    """What a backward returns behind the gradients of its inputs, by parameter: one by one, in a list, or in a dict."""
    if len(gradients) == 1 and isinstance(gradients[0], dict):
        given = gradients[0]
        keys = {name: gradient_key(given, slot.key) for name, slot in slots.items()}
        return {name: None if key is None else given[key] for name, key in keys.items()} if any(keys.values()) else {}
    if len(gradients) == 1 and isinstance(gradients[0], (list, tuple)):
        gradients = gradients[0]
    return dict(zip(slots, gradients, strict=True)) if len(gradients) == len(slots) else {}


def same_numbers(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and bool(np.array_equal(a, b, equal_nan=True))


class LayerPoint(Point):
    """A copy of the layer with arrays of its own."""

    subject: LayerSubject

    def __init__(self, subject: LayerSubject, dtype: DTypeLike) -> None:
        self.layer: Any = in_dtype(subject.original, dtype, subject.slots)
        super().__init__(subject, dtype, self.layer)
        self.arrays.update({n: read(inner(self.layer), slot) for n, slot in subject.slots.items()})

    @property
    def function(self) -> Function:
        forward: Function = getattr(self.layer, self.subject.forward_name)
        return forward

    def call_backward(self, dy: Array) -> Any:
        styles: dict[str, Sequence[Any]] = {
            "dy": (dy,),
            "": (),
            "same": self.arguments,
            "dy, x": (dy, *self.arguments),
            "x, dy": (*self.arguments, dy),
            "dy, rate": (dy, 1.0),
        }
        given = self.by_output(dy) if self.shapes else styles[self.subject.style]
        with report_faults("backward", self.layer.backward):
            return self.subject.follow(self.layer.backward)(*given)

    def takes_each(self, count: int) -> bool:
        """Whether the backward takes as many gradients, and none of its arguments is one of the forward's."""
        required = {p.name for p in parameters_of(self.layer.backward) or () if p.default is p.empty}
        taken = {p.name for p in parameters_of(self.function) or ()}
        return len(required) == count and required.isdisjoint(taken | HANDED_BACK)

    def backward(self, dy: Array) -> Gradients:
        """The gradients by name: what the backward returned for the inputs, what the layer holds for its parameters."""
        clear = getattr(inner(self.layer), "zero_grad", None)
        if callable(clear):
            clear()
        slots, names = self.subject.slots, self.subject.input_names
        before = {n: read(self.layer, s).copy() for n, s in slots.items() if s.gradient_group == UPDATED}
        with overhear_gradients(self.layer) as refused:
            returned = self.call_backward(dy)
        extra = {n: slot for n, slot in self.subject.every_slot.items() if slot.gradient_group == RETURNED}
        if extra and isinstance(returned, (tuple, list)):
            together = isinstance(returned[-1], (dict, list, tuple))
            first = len(returned) - (1 if together else len(extra))
            refused |= by_parameter(returned[first:], extra)
            returned = returned[:first]
        found = by_name(returned, self.subject, names, np.ndim(dy) == 0) if names else {}
        for name, slot in slots.items():
            if name in before:  # the step of a learning rate of 1, undone
                found[name] = before[name] - read(self.layer, slot)
                self.arrays[name][...] = before[name]
                write(self.layer, slot, self.arrays[name])
            else:
                found[name] = refused[name] if name in refused else read_gradient(inner(self.layer), slot)
        return arrays_of(found, self.layer.backward)


@contextlib.contextmanager
def overhear_gradients(layer: Any) -> Iterator[dict[str, Any]]:
    """While it lasts, a layer with `differentiate` gets zeros for parameter gradients that it would refuse.

    Gives {name: gradient} of those in the wrong shape: what is wrong with them is for the checker to say.
    """
    refused: dict[str, Any] = {}
    gradients = getattr(layer, "gradients", None)
    if not hasattr(layer, "differentiate") or hasattr(layer, "layers") or not isinstance(gradients, dict):
        yield refused
        return
    differentiate, shapes = layer.differentiate, {k: np.shape(v) for k, v in gradients.items()}

    def listen(*arguments: Any, **keywords: Any) -> Any:
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


def public_numbers(layer: Any) -> dict[str, float]:
    numbers = {k: v for k, v in getattr(layer, "__dict__", {}).items() if isinstance(v, (int, float))}
    return {k: v for k, v in numbers.items() if not k.startswith("_") and not isinstance(v, bool)}


def training_mode(forward: Function) -> dict[str, Any]:
    """training=True for a forward that asks."""
    return {"training": True} if any(p.name == "training" for p in parameters_of(forward) or ()) else {}


def backward_style(backward: Function, forward: Function) -> str:
    """How to call this backward: with dy, with nothing (losses), with the forward's arguments, or with both."""
    given, passed = parameters_of(backward), parameters_of(forward)
    if given is None or passed is None:
        return "dy"
    required = [p.name for p in given if p.default is p.empty and p.kind in POSITIONAL]
    taken = [p.name for p in passed if p.default is p.empty]
    if not required:
        return ""
    if len(required) == 2 and required[1].lower() in LEARNING_RATES:
        return "dy, rate"
    if len(required) == 1:
        return "dy"
    if required == taken[: len(required)]:
        return "same"
    return "dy, x" if required[0].lower().startswith(("d", "grad", "up")) else "x, dy"


def built(layer: Any, arguments: Sequence[Any], seed: int) -> Any:
    """The layer with its parameters created: handgrad's layers are built for the shape of x, in float64."""
    if hasattr(layer, "build") and not getattr(layer, "is_built", bool(getattr(layer, "parameters", None))):
        layer.build(np.shape(arguments[0])[1:], rng=np.random.default_rng(seed), dtype=np.float64)
    return layer


def copied(layer: Any) -> Any:
    """A copy of the layer, which shares what holds no numbers and cannot be copied, as locks; TypeError in one line
    where there is other such.
    """
    try:
        return copy.deepcopy(layer)
    except Exception as problem:
        shared = {id(held): held for held in attributes(layer).values() if isinstance(held, SHARED)}
        with contextlib.suppress(Exception):
            return copy.deepcopy(layer, shared)
        what = f"{type(layer).__name__} cannot be copied, and a check works on copies"
        raise TypeError(f"{what}: {type(problem).__name__}: {problem}") from problem


SHARED = (type(threading.Lock()), type(threading.RLock()), threading.Condition, io.IOBase)


def in_dtype(layer: Any, dtype: DTypeLike, slots: Mapping[str, Slot]) -> Any:
    """A copy of the layer computing in dtype."""
    if isinstance(layer, WithLoss):
        return WithLoss(in_dtype(layer.model, dtype, slots), copy.deepcopy(layer.loss))
    if hasattr(layer, "astype"):
        return layer.astype(dtype)
    layer = copied(layer)
    for slot in slots.values():
        if read(layer, slot).dtype != dtype:
            write(layer, slot, read(layer, slot).astype(dtype))
    return layer


@dataclass(eq=False)
class WithLoss:
    """A model and a loss as one layer whose output is the loss; the loss is an object, or a pair of functions."""

    model: Any
    loss: Any  # an object or a pair; checks of layers replace its forward by one that notes
    cache: Cache = None

    @property
    def is_built(self) -> bool:
        return bool(getattr(self.model, "is_built", True))

    def build(self, input_shape: Shape, rng: Generator, dtype: DTypeLike) -> None:
        self.model.build(input_shape, rng=rng, dtype=dtype)

    def forward(self, x: Array, targets: Array) -> Any:
        outputs = self.model.forward(x, **training_mode(self.model.forward))
        if isinstance(self.loss, tuple):
            value, self.cache = self.loss[0](outputs, targets)
            return value
        return self.loss.forward(outputs, targets)

    def backward(self) -> Any:
        doutputs = self.loss[1](1.0, self.cache) if isinstance(self.loss, tuple) else self.loss.backward()
        return self.model.backward(doutputs[0] if isinstance(doutputs, tuple) else doutputs)


def with_loss(model: Any, loss: LossObject | Pair) -> WithLoss:
    """A model with a loss object or a loss pair on top, as a subject's layer."""
    if not (isinstance(loss, tuple) and len(loss) == 2) and not hasattr(loss, "backward"):
        expected = "a loss object such as CrossEntropy() or a pair (forward, backward)"
        raise TypeError(f"loss must be {expected}, got {type(loss).__name__}")
    if not (hasattr(model, "forward") and hasattr(model, "backward")) or isinstance(model, type):
        raise TypeError(f"loss= goes with a model that has a forward and a backward, got {type(model).__name__}")
    return WithLoss(model, loss)


def inner(layer: Any) -> Any:
    """What holds the parameters: the layer, or the model under a loss."""
    return layer.model if isinstance(layer, WithLoss) else layer
