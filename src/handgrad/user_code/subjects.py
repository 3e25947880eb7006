"""Whatever was written by hand, as one thing to check: arrays to move, a forward, a backward.

A subject makes points. A point owns float64 (or complex) copies of every array, which the checker moves in place; its
forward and backward call the user's code and replay its random generators, so that the same point gives the same y.
Nothing is imported from `handgrad.layers`: an object is known by what it has.
"""

import contextlib
import copy
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np

from ..arrays import Array, Cache, DTypeLike, Generator, Shape
from .faults import CodeFault, NotWritten, report_faults, unwritten_helper
from .slots import (
    UPDATED,
    Slot,
    attributes,
    exists,
    find_slots,
    is_trainable,
    parts,
    read,
    read_gradient,
    updated_slots,
    write,
)
from .tracing import module_of

# by the name of the array; None where the backward gives none
Gradients: TypeAlias = dict[str, Array | None]
Function: TypeAlias = Callable[..., Any]
Pair: TypeAlias = tuple[Function, Function]  # forward, backward
Settings: TypeAlias = Mapping[str, Any] | None  # keywords of a forward
# names of the arrays to differentiate by, or their positions
Wanted: TypeAlias = str | int | Sequence[str | int] | None


class LossObject(Protocol):
    """A loss of anybody's with the two methods that a check calls."""

    def forward(self, outputs: Any, targets: Any, /) -> Any: ...

    def backward(self) -> Any: ...


LossOrPair: TypeAlias = LossObject | Pair | None  # what stands on a model, if anything does

PASSES_ON = True  # to the model, the loss and the layer that it was given
NUM_UPSTREAMS = 3
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
LEARNING_RATES = {"learning_rate", "lr", "eta", "rate", "alpha", "step_size"}


class Subject(ABC):
    """Code to check. `names` are the arrays to differentiate by, `input_names` those of them that the forward takes."""

    keeps_cache = False  # True: between forward and backward, in an object; else the cache is handed over
    has_upstream = True  # False: the code gives the gradient for dy = 1
    guarded = False  # True: the forward gets copies, because it changes its arrays
    one_function = False  # True: the loss and its gradients come from the same function
    original: Any = None  # the layer or model, where it is one

    def __init__(self, label: str, forward: Function, arrays: Iterable[Any], kwargs: Mapping[str, Any]) -> None:
        self.label: str = label
        self.arguments: list[Any] = list(arrays)
        self.kwargs: dict[str, Any] = dict(kwargs)
        refuse_call(forward, self.arguments, self.kwargs)
        self.all_names: list[str] = argument_names(forward, len(self.arguments))
        self.names: list[str] = []
        self.input_names: list[str] = []
        self.defaults: dict[str, Any] = {}
        self.num_forwards = 0
        self.follow: Callable[[Function], Function] = as_it_is  # what a traced subject calls instead

    @abstractmethod
    def at(self, dtype: DTypeLike) -> "Point":
        """A point with arrays of its own."""

    @property
    def has_parts(self) -> bool:
        """Whether it is a model, whose layers can be checked one by one."""
        return bool(parts(inner(self.original)))

    @property
    @abstractmethod
    def is_ours(self) -> bool:
        """Whether all of the code is handgrad's, so that a mistake may stand in ours."""

    def without_gradient(self) -> list[str]:
        """The arrays that it keeps, and that y depends on, without a gradient."""
        return []

    @property
    def uses_random(self) -> bool:
        return bool(self.at(np.float64).replay.states)

    def gradients(self, dy: Array, point: "Point | None" = None) -> Gradients:
        """The gradients of one forward and one backward at a point of their own."""
        point = point or self.at(np.float64)
        point.forward()
        return point.backward(dy.copy())

    def gradient(self, name: str, dy: Array, point: "Point | None" = None) -> Array:
        """One of them; an empty array where the backward gives none."""
        found = self.gradients(dy, point)[name]
        return np.empty(0) if found is None else found

    def draw_upstreams(self, y: Array, rng: Generator) -> list[Array]:
        """Random upstream gradients; the number 1 where the code takes none."""
        if not self.has_upstream:
            return [np.ones_like(y, dtype=np.float64)]
        return [rng.normal(size=y.shape) if y.ndim else np.asarray(rng.uniform(0.5, 2.0)) for _ in range(NUM_UPSTREAMS)]


class Point(ABC):
    """Where a subject's code is called: `arrays` are those to differentiate by, to be moved in place."""

    arrays: dict[str, Array]
    cache: Cache = None
    layer: Any = None  # the copy of the layer, where the subject is one

    def __init__(self, subject: Subject, dtype: DTypeLike, *more: Any) -> None:
        self.subject = subject
        self.arguments: list[Any] = [
            copy_argument(a, dtype if n in subject.input_names else np.float64)
            for n, a in zip(subject.all_names, subject.arguments, strict=True)
        ]
        self.kwargs: dict[str, Any] = copy.deepcopy(subject.kwargs)
        self.replay: Replay = Replay(*more, self.arguments, self.kwargs)
        inputs = dict(zip(subject.all_names, self.arguments, strict=True))
        self.arrays = {n: inputs[n] for n in subject.input_names}

    def forward(self) -> Array:
        self.subject.num_forwards += 1
        self.replay.restore()
        with report_faults("forward", self.function):
            arguments = copy.deepcopy(self.arguments) if self.subject.guarded else self.arguments
            returned = self.call_forward(arguments)
        return self.as_output(returned)

    @property
    @abstractmethod
    def function(self) -> Function:
        """The forward that is called."""

    @abstractmethod
    def call_forward(self, arguments: list[Any]) -> Any: ...

    @abstractmethod
    def backward(self, dy: Array) -> Gradients:
        """The gradients by name, as the code gives them."""

    def as_output(self, y: Any) -> Array:
        """y as an array of floats, or a fault that says what came instead."""
        if y is None:
            raise self.nothing_returned()
        if isinstance(y, tuple):
            what = f"a layer's forward returns y alone, and this one returned a tuple of {len(y)}"
            advice = "keep the cache in self, or give the methods as a pair, (layer.forward, layer.backward)"
            raise CodeFault("wrong-output", f"{what}: {advice}")
        array: Array = y if isinstance(y, np.ndarray) else np.asarray(y)
        if array.dtype.kind in "iub":
            raise CodeFault(
                "integer-output",
                f"the forward returned {array.dtype} numbers for float input; return floats "
                "(is there a // or an integer array in it?)",
            )
        if array.dtype.kind not in "fc":
            raise CodeFault("wrong-output", f"the forward's y must be an array of floats, but is {array.dtype}")
        return array

    def nothing_returned(self) -> CodeFault:
        """The fault of a forward that gives None: something is still to be written, or its return is missing."""
        name = name_of(self.function)
        if helper := unwritten_helper(self.function):
            return NotWritten([helper], f"{name} needs it")
        return CodeFault("wrong-output", f"{name} gives None for y: is its return missing, or still to be written?")

    def restore(self) -> None:
        """Put every array back to where the subject starts."""
        for name, array in self.subject.at(np.float64).arrays.items():
            self.arrays[name][...] = array


# Pairs of functions ---------------------------------------------------------------------------------------------


class PairSubject(Subject):
    """A forward that returns (y, cache), and a backward that takes (dy, cache)."""

    def __init__(self, pair: Pair, arrays: Iterable[Any], kwargs: Settings, wrt: Wanted, label: str = "") -> None:
        super().__init__(label or name_of(pair[0]), pair[0], arrays, kwargs or {})
        self.forward: Function = pair[0]
        self.backward: Function = pair[1]
        self.wrt_given: bool = wrt is not None
        self.names: list[str] = choose(wrt, self.all_names, self.arguments)
        self.input_names: list[str] = self.names
        given = [p for p in parameters_of(self.forward) or () if p.default is not p.empty]
        self.defaults: dict[str, Any] = {p.name: p.default for p in given}

    @property
    def is_ours(self) -> bool:
        return all(module_of(function).startswith("handgrad.") for function in (self.forward, self.backward))

    def at(self, dtype: DTypeLike) -> "PairPoint":
        return PairPoint(self, dtype)

    def settle(self) -> "PairSubject":
        """A loss (one number) is differentiated by its first array, unless its backward answers for all of them."""
        try:
            point = self.at(np.float64)
            if self.wrt_given or np.ndim(point.forward()):
                return self
            answers = self.backward(1.0, point.cache)
        except (Exception, SystemExit):  # the check proper runs into it again, and reports it
            return self
        answers = answers if isinstance(answers, (tuple, list, dict)) else (answers,)
        if len(answers) < len(self.names) or any(a is None for a in answers):
            self.names = self.input_names = [loss_argument(self.names)]
        return self


class PairPoint(Point):
    subject: PairSubject

    def call_forward(self, arguments: list[Any]) -> Any:
        return self.subject.follow(self.function)(*arguments, **self.kwargs)

    @property
    def function(self) -> Function:
        return self.subject.forward

    def as_output(self, y: Any) -> Array:
        if y is None:
            raise self.nothing_returned()
        if not isinstance(y, tuple) or len(y) != 2:
            got = f"{len(y)} values" if isinstance(y, tuple) else f"one {type(y).__name__}"
            raise CodeFault("wrong-output", f"the forward must return (y, cache), but returned {got}")
        y, cache = y
        self.cache: Cache = cache
        return super().as_output(y)

    def backward(self, dy: Array) -> Gradients:
        with report_faults("backward", self.subject.backward):
            returned = self.subject.follow(self.subject.backward)(dy, self.cache)
        return arrays_of(by_name(returned, self.subject, self.subject.names, np.ndim(dy) == 0))


# Layers and models ----------------------------------------------------------------------------------------------


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
        self.explore(wrt)

    def explore(self, wrt: Wanted) -> None:
        """Run once forward and backward, to see which arrays there are gradients for."""
        point = self.at(np.float64)
        y = point.forward()
        after_forward = copy.deepcopy(point.layer)
        before = copy.deepcopy(inner(point.layer))
        with overhear_gradients(point.layer):
            returned = point.call_backward(np.ones_like(y))
        slots = updated_slots(before, point.layer) if self.style == "dy, rate" else find_slots(inner(point.layer))
        if not all(exists(inner(self.original), slot) for slot in slots.values()):
            self.original = after_forward
        floats = [n for n, a in zip(self.all_names, self.arguments, strict=True) if is_float_array(a)]
        answers = returned if isinstance(returned, (tuple, list)) else (returned,)
        self.input_names: list[str] = [loss_argument(floats)] if y.ndim == 0 and len(answers) < len(floats) else floats
        self.every_slot = slots
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

    @property
    def is_ours(self) -> bool:
        return type(inner(self.original)).__module__.startswith("handgrad.")

    def at(self, dtype: DTypeLike) -> "LayerPoint":
        return LayerPoint(self, dtype)

    def without_gradient(self) -> list[str]:
        """The attributes that y depends on as on parameters, but that have no gradient: nobody checks those."""
        layer = inner(self.original)
        with_gradient = {id(read(layer, slot)) for slot in self.every_slot.values()}
        others = [n for n, a in attributes(layer).items() if is_trainable(a) and id(a) not in with_gradient]
        return [name for name in others if self.moves(name)]

    def moves(self, name: str) -> bool:
        """Whether y changes with the numbers of an attribute."""
        point = self.at(np.float64)
        y, held = point.forward().copy(), attributes(inner(point.layer))
        held[name] = 1.01 * held[name] + 0.01
        try:
            return not np.array_equal(point.forward(), y, equal_nan=True)
        except CodeFault:  # other numbers may be none that the code takes
            return False


class LayerPoint(Point):
    """A copy of the layer with arrays of its own."""

    subject: LayerSubject

    def __init__(self, subject: LayerSubject, dtype: DTypeLike) -> None:
        self.layer: Any = in_dtype(subject.original, dtype, subject.slots)
        super().__init__(subject, dtype, self.layer)
        self.arrays.update({n: read(inner(self.layer), slot) for n, slot in subject.slots.items()})

    def call_forward(self, arguments: list[Any]) -> Any:
        return self.subject.follow(self.function)(*arguments, **self.kwargs)

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
        with report_faults("backward", self.layer.backward):
            return self.subject.follow(self.layer.backward)(*styles[self.subject.style])

    def backward(self, dy: Array) -> Gradients:
        """The gradients by name: what the backward returned for the inputs, what the layer holds for its parameters."""
        clear = getattr(inner(self.layer), "zero_grad", None)
        if callable(clear):
            clear()
        slots, names = self.subject.slots, self.subject.input_names
        before = {n: read(self.layer, s).copy() for n, s in slots.items() if s.gradient_group == UPDATED}
        with overhear_gradients(self.layer) as refused:
            returned = self.call_backward(dy)
        found = by_name(returned, self.subject, names, np.ndim(dy) == 0) if names else {}
        for name, slot in slots.items():
            if name in before:  # the step of a learning rate of 1, undone
                found[name] = before[name] - read(self.layer, slot)
                self.arrays[name][...] = before[name]
                write(self.layer, slot, self.arrays[name])
            else:
                found[name] = refused.get(name, read_gradient(inner(self.layer), slot))
        return arrays_of(found)


@contextmanager
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
    """A copy of the layer; TypeError in one line where it holds what cannot be copied."""
    try:
        return copy.deepcopy(layer)
    except Exception as problem:
        what = f"{type(layer).__name__} cannot be copied, and a check works on copies"
        raise TypeError(f"{what}: {type(problem).__name__}: {problem}") from problem


def in_dtype(layer: Any, dtype: DTypeLike, slots: Mapping[str, Slot]) -> Any:
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


# Arguments and gradients ----------------------------------------------------------------------------------------


def as_it_is(function: Function) -> Function:
    return function


def name_of(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def parameters_of(function: Function) -> list[inspect.Parameter] | None:
    """A function's parameters; None where it does not tell, as some compiled ones."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def argument_names(forward: Function, count: int) -> list[str]:
    """The names of the forward's first arguments, as its signature gives them."""
    names = [p.name for p in parameters_of(forward) or () if p.kind in POSITIONAL][:count]
    return names + [f"array{i}" for i in range(len(names), count)]


def choose(wrt: Wanted, names: list[str], arguments: Sequence[Any]) -> list[str]:
    """The names of the arrays to differentiate by: those of wrt (names or positions), or all that hold floats."""
    if wrt is None:
        chosen = [n for n, a in zip(names, arguments, strict=True) if is_float_array(a)]
        if not chosen and arguments:
            kinds = ", ".join(f"{n}: {described(a)}" for n, a in zip(names, arguments, strict=True))
            what = f"check_gradients needs at least one array of floats, got {kinds}"
            taken = "integers are taken for labels, numbers and lists of arrays for options: write np.array(x, float)"
            raise TypeError(f"{what} ({taken})")
        return chosen
    given = list(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, str) else [wrt]
    wanted = [names[w] if is_position(w) and -len(names) <= w < len(names) else w for w in given]
    if not wanted:
        raise ValueError(f"wrt is empty: name at least one of the arrays {', '.join(names)}, or leave it out")
    held = dict(zip(names, arguments, strict=True))
    for name in wanted:
        if name not in names:
            raise ValueError(f"wrt names {name!r}, but the arrays are: {', '.join(names)}")
        if isinstance(held[name], np.ndarray) and not is_float_array(held[name]):
            raise ValueError(f"wrt names {name!r}, which is {described(held[name])}: there is no gradient by it")
    return [n for n in names if n in wanted]


def is_position(wanted: Any) -> TypeGuard[int]:
    return isinstance(wanted, int) and not isinstance(wanted, bool)


def loss_argument(names: Sequence[str]) -> str:
    """The one of a loss's arrays that it is differentiated by: the outputs, by name, or else the first."""
    words = ("hat", "pred", "out", "logit", "score", "prob")
    return next((name for name in names if any(word in name.lower() for word in words)), names[0])


def is_float_array(argument: Any) -> bool:
    """Floats with at least one axis; a NumPy array may also have none."""
    if isinstance(argument, (np.ndarray, np.floating)):
        return argument.dtype.kind in "fc"
    try:
        return isinstance(argument, list) and np.asarray(argument).dtype.kind == "f"
    except ValueError:  # rows of different lengths
        return False


def described(argument: Any) -> str:
    """What kind of thing an argument is: 'float64 (5, 4)', 'a list of 2', 'str'."""
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype} {argument.shape}"
    kind = type(argument).__name__
    return f"a {kind} of {len(argument)}" if isinstance(argument, (list, tuple)) else kind


def refuse_call(forward: Function, arguments: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """TypeError where a forward cannot be called with as many arguments or these keywords."""
    with contextlib.suppress(ValueError):  # some compiled functions do not tell their parameters
        signature = inspect.signature(forward)
        try:
            signature.bind(*arguments, **kwargs)
        except TypeError as problem:
            given = ", ".join([*map(described, arguments), *(f"{k}={described(v)}" for k, v in kwargs.items())])
            in_list = len(arguments) == 1 and isinstance(arguments[0], (list, tuple))
            advice = "; give arrays one by one, not in a list" if in_list else ""
            what = f"{name_of(forward)}({', '.join(signature.parameters)}) cannot be called with ({given})"
            raise TypeError(f"check_gradients: {what}: {problem}{advice}") from None


def whole_numbers(subject: Subject) -> str:
    """'; weight is int64 (4, 3), taken for labels...' of such arrays; '' where there are none."""
    held = zip(subject.all_names, subject.arguments, strict=True)
    whole = [f"{n} is {described(a)}" for n, a in held if isinstance(a, np.ndarray) and a.dtype.kind in "iu"]
    return f" ({', '.join(whole)}, taken for labels: make it floats if it has a gradient)" if whole else ""


def copy_argument(argument: Any, dtype: DTypeLike) -> Any:
    """Float arrays in the dtype of this point; everything else as a copy of itself."""
    return np.array(argument, dtype) if is_float_array(argument) else copy.deepcopy(argument)


def arrays_of(gradients: Mapping[str, Any]) -> Gradients:
    """Copies as arrays: code may hand out the same array again and again."""
    return {name: None if g is None else np.array(g) for name, g in gradients.items()}


def by_name(returned: Any, subject: Subject, names: Sequence[str], allow_extra: bool = False) -> dict[str, Any]:
    """What a backward returned, keyed by the arrays' names; the wrong number of gradients is a fault."""
    if isinstance(returned, dict):
        spelt = {n: [k for k in (n, "d" + n, "d_" + n, "grad_" + n) if k in returned] for n in names}
        return {n: returned[keys[0]] if keys else None for n, keys in spelt.items()}
    answers = returned if isinstance(returned, (tuple, list)) else (returned,)
    floats = [n for n, a in zip(subject.all_names, subject.arguments, strict=True) if is_float_array(a)]
    # in place of those asked for, all arrays of floats or all arguments may be answered for
    keys = next((every for every in (names, floats, subject.all_names) if len(every) == len(answers)), names)
    found = dict(zip(keys, answers, strict=False))
    unasked = [*answers[len(keys) :], *(g for n, g in found.items() if n not in floats and n not in names)]
    few = len(answers) < len(names)
    if few or (not allow_extra and any(g is not None for g in unasked)):
        raise CodeFault(
            "missing-gradient" if few else "extra-gradient",
            f"the backward returned {len(answers)} gradient{'s' * (len(answers) != 1)}; "
            f"due is one for each of {', '.join(names)}, in this order{'' if few else whole_numbers(subject)}",
        )
    return {name: found[name] for name in names}


# Randomness -----------------------------------------------------------------------------------------------------


class Replay:
    """Every np.random.Generator (or RandomState) reachable from these things, and its state now."""

    def __init__(self, *things: Any) -> None:
        found: dict[int, tuple[Callable[[Any], None], Any]] = {}
        for thing in things:
            search(thing, found, depth=8, seen=set())
        self.states: list[tuple[Callable[[Any], None], Any]] = list(found.values())

    def restore(self) -> None:
        for put_back, state in self.states:
            put_back(state)


def search(thing: Any, found: dict[int, tuple[Callable[[Any], None], Any]], depth: int, seen: set[int]) -> None:
    """Note in found, by identity, how to put back each generator, and its state."""
    if depth == 0 or id(thing) in seen or thing is None:
        return
    if isinstance(thing, np.random.Generator):
        bits = thing.bit_generator
        found[id(bits)] = (functools.partial(setattr, bits, "state"), bits.state)
    elif isinstance(thing, np.random.RandomState):
        found[id(thing)] = (thing.set_state, thing.get_state())
    elif isinstance(thing, (dict, list, tuple)):
        seen.add(id(thing))
        for item in thing.values() if isinstance(thing, dict) else thing:
            search(item, found, depth - 1, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, (type, ModuleType)) and not inspect.isroutine(thing):
        seen.add(id(thing))
        search(vars(thing), found, depth - 1, seen)
