"""Whatever was written by hand, as one thing to check: arrays to move, a forward, a backward.

A subject makes points. A point owns float64 (or complex) copies of every array, which the checker moves in place; its
forward and backward call the user's code and replay its random generators, so that the same point gives the same y.
Nothing is imported from `handgrad.layers`: an object is known by what it has.
"""

import contextlib
import copy
import functools
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..arrays import Array, Cache, DTypeLike, Generator, Shape
from .arguments import (
    Function,
    Gradients,
    argument_names,
    copy_argument,
    described,
    is_float_array,
    name_of,
    refuse_call,
    several,
)
from .faults import CodeFault, NotWritten, line_of, report_faults, unwritten_helper

NUM_UPSTREAMS = 3


class Subject(ABC):
    """Code to check. `names` are the arrays to differentiate by, `input_names` those of them that the forward takes."""

    keeps_cache = False  # True: between forward and backward, in an object; else the cache is handed over
    has_upstream = True  # False: the code gives the gradient for dy = 1
    guarded = False  # True: the forward gets copies, because it changes its arrays
    wears_cache = True  # False: two backwards with the same cache have given the same
    one_function = False  # True: the loss and its gradients come from the same function
    original: Any = None  # the layer or model, where it is one
    has_parts = False  # True: a model, whose layers can be checked one by one
    is_ours: bool  # whether all of the code is handgrad's, so that a mistake may stand in ours

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
        self.packed: Callable[[Sequence[Any]], list[Any]] = list  # the arguments as the code takes them: in dicts, say

    @abstractmethod
    def at(self, dtype: DTypeLike) -> "Point":
        """A point with arrays of its own."""

    def without_gradient(self) -> dict[str, str]:
        """{name: why} of the arrays that it keeps, and that y depends on, without a gradient to check."""
        return {}

    def options(self) -> list[str]:
        """The arguments that hold arrays without being any, and without a gradient."""
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
    shapes: Sequence[Shape] = ()  # of several outputs, which a check has in one row

    def __init__(self, subject: Subject, dtype: DTypeLike, *more: Any) -> None:
        self.subject = subject
        self.arguments: list[Any] = [
            copy_argument(a, dtype if n in subject.input_names else np.float64)
            for n, a in zip(subject.all_names, subject.arguments, strict=True)
        ]
        self.kwargs: dict[str, Any] = {name: copy_argument(value) for name, value in subject.kwargs.items()}
        self.replay: Replay = Replay(*more, self.arguments, self.kwargs)
        inputs = dict(zip(subject.all_names, self.arguments, strict=True))
        self.arrays = {n: inputs[n] for n in subject.input_names}

    def forward(self) -> Array:
        self.subject.num_forwards += 1
        self.replay.restore()
        with report_faults("forward", self.function):
            arguments = copy.deepcopy(self.arguments) if self.subject.guarded else self.arguments
            returned = self.subject.follow(self.function)(*arguments, **self.kwargs)
        return self.as_output(returned).copy()  # it may be written into by the next forward

    @property
    @abstractmethod
    def function(self) -> Function:
        """The forward that is called."""

    @abstractmethod
    def backward(self, dy: Array) -> Gradients:
        """The gradients by name, as the code gives them."""

    def as_output(self, y: Any) -> Array:
        """y as an array of floats, or a fault that says what came instead."""
        if y is None:
            raise self.nothing_returned()
        if isinstance(y, tuple):
            if len(y) < 2 or not self.takes_each(len(y)) or not all(map(is_output, y)):
                raise CodeFault("wrong-output", self.of_several(y))
            self.shapes = [np.shape(part) for part in y]
            return np.concatenate([as_floats(part).ravel() for part in y])
        return as_floats(y)

    def takes_each(self, count: int) -> bool:
        """Whether the backward takes a gradient for each of several outputs."""
        return False

    def of_several(self, y: tuple[Any, ...]) -> str:
        """What is wrong with a tuple in the place of y."""
        what = f"a layer's forward returns y alone, and this one returned a tuple of {len(y)}"
        advice = "keep the cache in self, or give the methods as a pair, (layer.forward, layer.backward)"
        return f"{what}: {advice}; of several outputs, let the backward take a gradient each, backward(dy1, dy2)"

    def by_output(self, dy: Array) -> list[Array]:
        """dy, or of several outputs the gradient by each."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = zip(np.split(dy, ends), self.shapes, strict=True) if self.shapes else ()
        return [part.reshape(shape) for part, shape in parts] or [dy]

    def nothing_returned(self) -> CodeFault:
        """The fault of a forward that gives None: something is still to be written, or its return is missing."""
        name = name_of(self.function)
        if helper := unwritten_helper(self.function):
            return NotWritten([helper], f"{name} needs it")
        what = f"{name} gives None for y: is its return missing, or still to be written?"
        return CodeFault("wrong-output", what, line=line_of(self.function))

    def restore(self) -> None:
        """Put every array back to where the subject starts."""
        for name, array in self.subject.at(np.float64).arrays.items():
            self.arrays[name][...] = array


def is_output(part: Any) -> bool:
    return isinstance(part, (float, np.inexact)) or (isinstance(part, np.ndarray) and part.dtype.kind in "fc")


def as_floats(y: Any) -> Array:
    """An output as an array of floats, or a fault that says what came instead."""
    try:
        array: Array = np.asarray(y)
    except ValueError:  # rows of different lengths
        raise CodeFault("wrong-output", f"the forward's y must be an array of floats, but is {described(y)}") from None
    if array.dtype.kind in "iub":
        raise CodeFault(
            "integer-output",
            f"the forward returned {array.dtype} numbers for float input; return floats "
            "(is there a // or an integer array in it?)",
        )
    if array.dtype.kind not in "fc":
        raise CodeFault("wrong-output", f"the forward's y must be an array of floats, but is {array.dtype}")
    return array


def arrays_of(gradients: Mapping[str, Any], backward: Function) -> Gradients:
    """Copies as arrays: code may hand out the same array again and again. What is no array of numbers is a fault."""
    return {name: None if g is None else as_gradient(name, g, backward) for name, g in gradients.items()}


def as_gradient(name: str, gradient: Any, backward: Function) -> Array:
    """A gradient as an array of numbers; else a fault of the backward."""
    with contextlib.suppress(ValueError, TypeError):  # rows of different lengths
        array = np.array(gradient)
        if array.dtype.kind in "biufc":
            return array.astype(np.float64) if array.dtype.kind == "b" else array
    what = f"the gradient by {name} must be an array of numbers, but is {described(gradient)}"
    raise CodeFault("wrong-output", what, f"it is {gradient!r:.60}", line_of(backward))


def by_name(returned: Any, subject: Subject, names: Sequence[str], allow_extra: bool = False) -> dict[str, Any]:
    """What a backward returned, keyed by the arrays' names; the wrong number of gradients is a fault."""
    if isinstance(returned, dict):
        spelt = {n: [k for k in (n, "d" + n, "d_" + n, "grad_" + n) if k in returned] for n in names}
        return {n: returned[keys[0]] if keys else None for n, keys in spelt.items()}
    answers = several(returned, subject.arguments)
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


def whole_numbers(subject: Subject) -> str:
    """'; weight is int64 (4, 3), taken for labels...' of such arrays; '' where there are none."""
    held = zip(subject.all_names, subject.arguments, strict=True)
    whole = [f"{n} is {described(a)}" for n, a in held if isinstance(a, np.ndarray) and a.dtype.kind in "iu"]
    return f" ({', '.join(whole)}, taken for labels: make it floats if it has a gradient)" if whole else ""


def as_it_is(function: Function) -> Function:
    return function


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
