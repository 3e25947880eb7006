"""What kind of thing was given to check: a pair, a layer, a function and its gradient, a closure, a class."""

import contextlib
import copy
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..arrays import Array, Shape
from .faults import CodeFault, refuse_unwritten
from .subjects import (
    Function,
    LayerSubject,
    Pair,
    PairSubject,
    Settings,
    Subject,
    Wanted,
    built,
    described,
    is_float_array,
    name_of,
    parameters_of,
    with_loss,
)
from .tracing import module_of

PASSES_ON = True  # to the functions that it was given


def recognize(target: Any, arrays: Sequence[Any], kwargs: Settings, wrt: Wanted, loss: Any, seed: int) -> Subject:
    """The target for whatever was given; TypeError for something that cannot be checked."""
    refuse_misuse(target, arrays, kwargs)
    refuse_unwritten(target, loss)
    for position, array in enumerate(arrays):
        if isinstance(array, np.ndarray) and array.size == 0:
            what = f"array {position} has shape {array.shape}, without any numbers"
            raise ValueError(f"{what}: nothing can be checked on it; give at least one example (two for batch norm)")
    if isinstance(target, type):
        return PairSubject(function_class(target), arrays, kwargs, wrt, label=target.__name__)
    if isinstance(target, (tuple, list)) and is_layers_own(target):
        target = target[0].__self__
    if isinstance(target, (tuple, list)):
        return pair_or_function((target[0], target[1]), arrays, kwargs, wrt)
    if loss is not None:
        target = with_loss(target, loss)
    if hasattr(target, "backward"):
        return LayerSubject(target, arrays, kwargs, wrt, seed)
    if callable(target):
        closure = PairSubject(closure_pair(target), arrays, kwargs, wrt, name_of(target))
        closure.one_function, closure.has_upstream = True, False
        return closure.settle()
    if hasattr(target, "forward"):
        raise TypeError(f"{type(target).__name__} has a forward, but no backward to check")
    expected = "a pair (forward, backward), a layer, a model or a closure"
    raise TypeError(f"check_gradients takes {expected}, got {type(target).__name__}")


def refuse_misuse(target: Any, arrays: Sequence[Any], kwargs: Any) -> None:
    """TypeError, saying what was taken for what, for arguments that cannot be meant."""
    usage = "check_gradients((forward, backward), x, ...)"
    if kwargs is not None and not isinstance(kwargs, Mapping):
        expected = "a dict of keywords of the forward, {'name': value}"
        got = f"got {described(kwargs)}; arrays stand behind the target, one by one: {usage}"
        raise TypeError(f"check_gradients: kwargs must be {expected}, {got}")
    if not arrays:
        raise TypeError(f"check_gradients needs example arrays: {usage}")
    if callable(target) and callable(arrays[0]):
        names = f"{name_of(target)} and {name_of(arrays[0])}"
        layer = getattr(target, "__self__", None)
        due = f"give the layer itself, check_gradients({type(layer).__name__.lower()}, x)"
        due = f"put the pair in brackets, {usage}" if not hasattr(layer, "backward") else due
        raise TypeError(f"{names} stand side by side, so that the second was taken for an array: {due}")
    for array in arrays:
        if isinstance(array, np.ndarray) and np.iscomplexobj(array):
            raise TypeError(f"check_gradients takes arrays of real numbers, got {described(array)}")
    if isinstance(target, (tuple, list)):
        refuse_other_pairs(target)


def is_layers_own(pair: Sequence[Any]) -> bool:
    """Whether a pair is the methods forward and backward of one object, which keeps the cache itself."""
    owners = [getattr(method, "__self__", None) for method in pair]
    if owners[0] is None or owners[0] is not owners[1] or list(map(name_of, pair)) != ["forward", "backward"]:
        return False
    return not any(p.name.lower() in HANDED_BACK for p in parameters_of(pair[1]) or ())


def refuse_other_pairs(target: Sequence[Any]) -> None:
    """TypeError for what is no (forward, backward): other things, other counts, the other way round."""
    if len(target) != 2 or not all(map(callable, target)):
        got = ", ".join(name_of(part) if callable(part) else described(part) for part in target)
        uncalled = "; give the functions, not what they return" if any(not callable(part) for part in target) else ""
        raise TypeError(f"a pair is (forward, backward), two functions; got ({got}){uncalled}")
    first, second = target
    if names_a_pair(second, first) or (takes_upstream(first) and not takes_upstream(second)):
        given = f"({name_of(first)}, {name_of(second)})"
        raise TypeError(f"a pair is (forward, backward), in this order; {given} has the backward first: exchange them")


def takes_upstream(function: Function) -> bool:
    """Whether a function's first parameter is called as upstream gradients are."""
    return next((p.name.lower() in UPSTREAM for p in parameters_of(function) or ()), False)


HANDED_BACK = {"cache", "caches", "ctx", "context", "saved", "memory", "state"}  # what backwards call their cache
UPSTREAM = {"dy", "dout", "d_out", "doutput", "dz", "dl", "dloss", "grad_output", "upstream", "upstream_grad"}


def pair_or_function(given: Pair, arrays: Sequence[Any], kwargs: Settings, wrt: Wanted) -> PairSubject:
    """A pair when the first function returns two things, as it must; else a function and its gradient."""
    (forward, backward), pair = given, PairSubject(given, arrays, kwargs, wrt)
    arguments = [np.array(a) if isinstance(a, np.ndarray) else a for a in arrays]
    try:
        output = forward(*arguments, **pair.at(np.float64).kwargs)
    except (Exception, SystemExit):  # the check proper calls it again and reports what it raised
        return pair
    if takes_each(backward, output):
        return PairSubject(joined(forward, backward), arrays, kwargs, wrt, name_of(forward))
    named = names_a_pair(forward, backward)
    if not named and not isinstance(output, tuple) and takes_arrays(backward, len(arrays)):
        return PairSubject(from_arrays(forward, backward), arrays, kwargs, wrt, name_of(forward)).settle()
    if isinstance(output, tuple) or named:
        return pair.settle()
    pair = PairSubject(function_pair(forward, backward), arrays, kwargs, wrt, name_of(forward))
    pair.has_upstream = False
    return pair.settle()


def takes_arrays(backward: Function, count: int) -> bool:
    """Whether a backward takes dy and then the forward's arrays, as relu_backward(dy, x) does."""
    return num_required(backward) == count + 1


def num_required(function: Function) -> int:
    """How many arguments a function cannot do without."""
    return sum(p.default is p.empty for p in parameters_of(function) or ())


def from_arrays(forward: Function, backward: Function) -> Pair:
    """A forward that returns y alone, and a backward(dy, *arrays), as a pair."""

    def paired(*arrays: Any, **keywords: Any) -> Any:
        return forward(*arrays, **keywords), arrays

    return named_like(paired, forward), lambda dy, arrays: backward(dy, *arrays)


def takes_each(backward: Function, output: Any) -> bool:
    """Whether the forward gave several y and a cache, and the backward takes as many dy and the cache."""
    if not isinstance(output, tuple) or len(output) < 3 or not all(map(is_float_array, output[:-1])):
        return False
    return num_required(backward) == len(output)


def joined(forward: Function, backward: Function) -> Pair:
    """A forward of several y, as a step of an LSTM, and its backward as a pair: the y's in one row."""

    def joined_forward(*arrays: Any, **keywords: Any) -> Any:
        *outputs, cache = forward(*arrays, **keywords)
        return np.concatenate([y.ravel() for y in outputs]), ([y.shape for y in outputs], cache)

    def joined_backward(dy: Array, kept: Any) -> Any:
        shapes, cache = kept
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        return backward(*(part.reshape(shape) for part, shape in zip(np.split(dy, ends), shapes, strict=True)), cache)

    return named_like(joined_forward, forward), joined_backward


def forward_alone(target: Any, arrays: Sequence[Any], seed: int) -> Function:
    """The forward of a pair or of a layer, or the function itself, as one that returns (y, None)."""
    if isinstance(target, (tuple, list)) and target:
        target = target[0]
    if hasattr(target, "forward") and not isinstance(target, type):
        target = target.forward
    if inspect.ismethod(target):
        target = getattr(built(copy.deepcopy(target.__self__), arrays, seed), target.__name__)
    if not callable(target):
        raise TypeError(
            f"intermediates takes a forward, a pair or a layer, got {type(target).__name__}: {target!r:.60}"
        )

    def alone(*arrays: Any, **keywords: Any) -> Any:
        returned = target(*arrays, **keywords)
        if not isinstance(returned, tuple):
            return returned, None
        several = len(returned) > 2 and all(map(is_float_array, returned[:-1]))
        return np.concatenate([y.ravel() for y in returned[:-1]]) if several else returned[0], None

    return named_like(alone, target)


def names_a_pair(forward: Function, backward: Function) -> bool:
    return "forward" in getattr(forward, "__name__", "") and "backward" in getattr(backward, "__name__", "")


def function_pair(function: Function, gradient: Function) -> Pair:
    """f(x) and its gradient as a pair: the gradient of a number, element-wise derivatives, or a Jacobian."""

    def forward(*arrays: Any, **keywords: Any) -> Any:
        return function(*arrays, **keywords), (arrays, keywords)

    def backward(dy: Array, cache: Any) -> Any:
        arrays, keywords = cache
        found = gradient(*arrays, **keywords)
        found = found if isinstance(found, (tuple, list)) else (found,)
        return tuple(chain(dy, g, np.shape(x)) for g, x in zip(found, arrays, strict=False))

    return named_like(forward, function), backward


def chain(dy: Array, derivative: Any, shape: Shape) -> Any:
    """dy times a derivative by an array of this shape: per number, per entry, or as a Jacobian (outputs, *shape)."""
    if derivative is None or np.ndim(dy) == 0:
        return None if derivative is None else dy * np.asarray(derivative)
    derivative = np.asarray(derivative)
    if derivative.shape == dy.shape + tuple(shape) and derivative.ndim > dy.ndim:
        return np.tensordot(dy, derivative, axes=dy.ndim)
    return dy * derivative


def closure_pair(closure: Function) -> Pair:
    """closure(*arrays) -> (loss, gradients), as optimizers call it, as a pair."""

    def forward(*arrays: Any, **keywords: Any) -> Any:
        returned = closure(*arrays, **keywords)
        several = isinstance(returned, tuple) and len(returned) > 1
        if not several or np.ndim(returned[0]):
            got = f"({', '.join(map(described, returned))})" if several else described(returned)
            what = f"{name_of(closure)}, given alone, was taken for a function that returns (loss, gradients), the loss"
            due = "give a forward together with its backward, or a function with its gradient, as a pair"
            raise CodeFault("wrong-output", f"{what} one number, but it returned {got}: {due}")
        return (returned[0], returned[1:]) if len(returned) > 2 else returned

    def backward(dloss: Any, gradients: Any) -> Any:
        if isinstance(gradients, dict):
            return {k: dloss * np.asarray(g) for k, g in gradients.items()}
        gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        return tuple(None if g is None else dloss * np.asarray(g) for g in gradients)

    return named_like(forward, closure), backward


class Context:
    """What a static forward may keep for its backward: any attribute, and save_for_backward."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = (True,) * 64

    def save_for_backward(self, *arrays: Any) -> None:
        self.saved_tensors = arrays

    def ignore(self, *arrays: Any) -> None:
        """Marks that mean something to torch alone."""

    mark_dirty = mark_non_differentiable = set_materialize_grads = ignore


def function_class(cls: type) -> Pair:
    """A class with static forward(ctx, ...) and backward(ctx, dy), as torch.autograd.Function has them, as a pair."""
    if not (hasattr(cls, "forward") and hasattr(cls, "backward")):
        raise TypeError(f"{cls.__name__} has no forward and backward")
    if not isinstance(inspect.getattr_static(cls, "forward"), staticmethod):
        raise TypeError(f"{cls.__name__} is a class: check an object of it, {cls.__name__}(...)")

    enter, leave = translations(cls)

    def forward(*arrays: Any, **keywords: Any) -> Any:
        context = Context()
        return leave(cls.forward(context, *map(enter, arrays), **keywords)), context

    def backward(dy: Array, context: Context) -> Any:
        returned = cls.backward(context, enter(np.asarray(dy)))
        return tuple(map(leave, returned)) if isinstance(returned, tuple) else leave(returned)

    names = list(inspect.signature(cls.forward).parameters.values())[1:]
    vars(forward)["__signature__"] = inspect.Signature(names)
    return forward, backward


def translations(cls: type) -> tuple[Function, Function]:
    """Functions from arrays to what the class computes with, and back: tensors for a true torch.autograd.Function."""
    if not any(base.__module__.startswith("torch.autograd") for base in cls.__mro__):
        return (lambda array: array), (lambda array: array)
    torch = sys.modules["torch"]  # loaded, or there were no such class
    return (
        (lambda array: torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array),
        (lambda tensor: tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor),
    )


def named_like(forward: Function, function: Function) -> Function:
    """forward, with the parameter names that function's signature shows, as if from the same module."""
    with contextlib.suppress(TypeError, ValueError):
        vars(forward)["__signature__"] = inspect.signature(function)
    forward.__name__, forward.__module__ = name_of(function), module_of(function)
    return forward
