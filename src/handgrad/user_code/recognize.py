"""What kind of thing was given to check: a pair, a layer, a function and its gradient, a closure, a class."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arguments import (
    HANDED_BACK,
    Function,
    Pair,
    Settings,
    Wanted,
    copy_argument,
    described,
    is_float_array,
    name_of,
    num_required,
    parameters_of,
)
from .faults import refuse_unwritten, refuse_without_self
from .layers import LayerSubject, built, copied, with_loss
from .nested import unpacked
from .pairs import PairSubject, closure_pair, from_arrays, function_class, function_pair, named_like
from .subjects import Subject

PASSES_ON = True  # to the functions that it was given


def recognize(target: Any, arrays: Sequence[Any], kwargs: Settings, wrt: Wanted, loss: Any, seed: int) -> Subject:
    """The target for whatever was given; TypeError for something that cannot be checked."""
    refuse_misuse(target, arrays, kwargs)
    refuse_without_self(target)
    refuse_unwritten(target, loss)
    for position, array in enumerate(arrays):
        if isinstance(array, np.ndarray) and array.size == 0:
            what = f"array {position} has shape {array.shape}, without any numbers"
            raise ValueError(f"{what}: nothing can be checked on it; give at least one example (two for batch norm)")
    if isinstance(target, type):
        pair, label = function_class(target), target.__name__
        return of_nested(pair, arrays, kwargs, wrt, label) or PairSubject(pair, arrays, kwargs, wrt, label)
    if isinstance(target, (tuple, list)) and is_layers_own(target):
        target = target[0].__self__
    if isinstance(target, (tuple, list)):
        return pair_or_function((target[0], target[1]), arrays, kwargs, wrt)
    if loss is not None:
        target = with_loss(target, loss)
    if hasattr(target, "backward"):
        return LayerSubject(target, arrays, kwargs, wrt, seed)
    if callable(target):
        pair, label = closure_pair(target), name_of(target)
        nested = of_nested(pair, arrays, kwargs, wrt, label)
        closure = nested or PairSubject(pair, arrays, kwargs, wrt, label)
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


UPSTREAM = {"dy", "dout", "d_out", "doutput", "dz", "dl", "dloss", "grad_output", "upstream", "upstream_grad"}


def pair_or_function(given: Pair, arrays: Sequence[Any], kwargs: Settings, wrt: Wanted) -> PairSubject:
    """A pair when the first function returns two things, as it must; else a function and its gradient."""
    forward, backward = given
    alone = from_arrays(forward, backward) if takes_arrays(backward, len(arrays)) else given
    for each in (given, alone):
        if nested := of_nested(each, arrays, kwargs, wrt, name_of(forward)):
            return nested.settle()
    pair = PairSubject(given, arrays, kwargs, wrt)
    arguments = [copy_argument(a, np.float64) for a in arrays]
    try:
        output = forward(*arguments, **pair.at(np.float64).kwargs)
    except (Exception, SystemExit):  # the check proper calls it again and reports what it raised
        return pair
    named = names_a_pair(forward, backward)
    if not named and not isinstance(output, tuple) and takes_arrays(backward, len(arrays)):
        return PairSubject(from_arrays(forward, backward), arrays, kwargs, wrt, name_of(forward)).settle()
    if isinstance(output, tuple) or named:
        return pair.settle()
    pair = PairSubject(function_pair(forward, backward), arrays, kwargs, wrt, name_of(forward))
    pair.has_upstream = False
    return pair.settle()


def of_nested(pair: Pair, arrays: Sequence[Any], kwargs: Settings, wrt: Wanted, label: str) -> PairSubject | None:
    """A pair that gives gradients by the arrays in a dict or list; None for any other."""
    found = unpacked(pair, arrays, kwargs or {})
    if found is None:
        return None
    wanted = found.answered if wrt is None else wrt
    subject = PairSubject(found.pair, found.arrays, kwargs, wanted, label, found.names)
    subject.packed = found.packed
    return subject


def takes_arrays(backward: Function, count: int) -> bool:
    """Whether a backward takes dy and then the forward's arrays, as relu_backward(dy, x) does."""
    return num_required(backward) == count + 1


def forward_alone(target: Any, arrays: Sequence[Any], seed: int) -> Function:
    """The forward of a pair or of a layer, or the function itself, as one that returns (y, None)."""
    if isinstance(target, (tuple, list)) and target:
        target = target[0]
    if hasattr(target, "forward") and not isinstance(target, type):
        target = target.forward
    if inspect.ismethod(target):
        target = getattr(built(copied(target.__self__), arrays, seed), target.__name__)
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
