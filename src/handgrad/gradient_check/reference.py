"""Is the forward the function that is meant? Its values beside those of a reference: a numeric gradient cannot tell."""

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from .. import functional
from ..arrays import Array, Generator
from ..naming import look_up, nearest, require_extra
from ..user_code.arguments import POSITIONAL, Function, Pair, described, name_of, parameters_of
from ..user_code.faults import CodeFault
from ..user_code.layers import LayerSubject, training_mode
from ..user_code.subjects import Point, Subject
from .conduct import disturb
from .mistakes.case import apart, ratio
from .verdict import Verdict, entry

# a function, a pair, an object with a forward, "torch:gelu", "gelu", or True: the pair of ours that has the same name
Reference: TypeAlias = Function | Pair | str | bool | None

TOLERANCE = 1e-6
PAIRS = {n.removesuffix("_forward"): f for n, f in sorted(vars(functional).items()) if n.endswith("_forward")}


def compare_forward(subject: Subject, reference: Any, rng: Generator) -> tuple[str, Verdict | None]:
    """(the reference's name, the verdict if y is not the reference's on the arrays given or others of their kind)."""
    name, function = find_reference(reference, subject)
    for where, point in places(subject, rng):
        right = reference_values(function, name, point)
        try:
            y = point.forward()
        except CodeFault:
            if where:  # the other arrays may be none that the code takes
                continue
            raise
        if (found := difference(fitted(right, y), y, point.arrays, name, where)) is not None:
            return name, found
    return name, None


def places(subject: Subject, rng: Generator) -> Iterator[tuple[str, Point]]:
    """(words, point): the arrays given; turned round and a little off; those of both signs three times as large."""
    yield "", subject.at(np.float64)
    for factor in (1, 3):
        point = subject.at(np.float64)
        disturb(point, rng)
        for array in point.arrays.values():
            array *= factor if (array > 0).any() and (array < 0).any() else 1
        yield "; it is right on the arrays given, and wrong on others", point


# What the reference is, and its values --------------------------------------------------------------------------


def find_reference(reference: Any, subject: Subject) -> tuple[str, Function]:
    """(name, function) of what the user gave as a reference."""
    if reference is True:
        reference = subject.label.replace("_forward", "").replace("forward_", "")
    if isinstance(reference, str):
        package, _, name = reference.rpartition(":")
        if package:
            return reference, torch_function(look_up("package of references", package, {"torch": "torch"}), name)
        return reference, look_up("reference", name, PAIRS)
    forward = reference[0] if isinstance(reference, (tuple, list)) and reference else reference
    name = name_of(forward)
    if hasattr(forward, "forward") and not isinstance(forward, type):
        return name, forward.forward if inspect.ismethod(forward.forward) else forward
    if not callable(forward):
        expected = "a function, a pair, 'torch:gelu', the name of one of our pairs such as 'gelu', or True"
        raise TypeError(f"check_gradients: reference must be {expected}; got {described(forward)}")
    return name, forward


def torch_function(package: str, name: str) -> Function:
    """torch.nn.functional's function of this name, else torch's, on arrays."""
    with require_extra(package, f"reference='torch:{name}'"):
        import torch
    function = getattr(torch.nn.functional, name, getattr(torch, name, None))
    if not callable(function):
        public = [k for k in vars(torch.nn.functional) if k[0].islower()]
        raise ValueError(f"unknown function of torch.nn.functional '{name}'{nearest(name, public)}")

    def on_arrays(*arrays: Any, **keywords: Any) -> Any:
        tensors = [torch.from_numpy(np.array(a)) if isinstance(a, np.ndarray) else a for a in arrays]
        returned = function(*tensors, **keywords)
        if isinstance(returned, tuple):
            return tuple(value.detach().numpy() for value in returned)
        return returned.detach().numpy()

    return on_arrays


def reference_values(function: Function, name: str, point: Point) -> Any:
    """What the reference returns at a point, given its inputs, the layer's parameters where it takes them, keywords."""
    point.replay.restore()
    if inspect.ismethod(function):
        function = with_parameters(function, point)
    arrays, keywords = copy.deepcopy((point.subject.packed(point.arguments), point.kwargs))
    known = parameters_of(function)
    if known is not None and not any(p.kind is p.VAR_KEYWORD for p in known):
        names = [p.name for p in known]
        keywords = {k: v for k, v in keywords.items() if k in names or k not in training_mode(point.function)}
        if unknown := [keyword for keyword in keywords if keyword not in names]:
            takes = ", ".join(names[len(arrays) :]) or "none"
            raise ValueError(f"the reference {name} takes no keyword '{unknown[0]}' (it takes: {takes})")
    if isinstance(point.subject, LayerSubject) and not inspect.ismethod(function):
        room = [p for p in known or () if p.kind in POSITIONAL and p.default in (p.empty, None)][len(arrays) :]
        arrays += [point.arrays[n].copy() for n in [*point.subject.slots][: len(room)]]
    try:
        return function(*arrays, **keywords)
    except Exception as problem:
        said = f"{type(problem).__name__}: {problem}".split("\n")[0]
        raise ValueError(f"the reference {name} does not run on the arrays of this check: {said}") from problem


def with_parameters(forward: Any, point: Point) -> Function:
    """The forward of a copy of a layer, with the parameters of the layer under test where they have the same shapes."""
    layer = forward.__self__
    if not hasattr(layer, "backward"):
        copied_forward: Function = getattr(copy.deepcopy(layer), forward.__name__)
        return copied_forward
    other = LayerSubject(layer, point.arguments, {}, None, 0)
    copied = other.at(np.float64)
    given = [point.arrays[n] for n in getattr(point.subject, "slots", {})]
    own = [copied.arrays[n] for n in other.slots]
    if [a.shape for a in own] == [a.shape for a in given]:
        for array, value in zip(own, given, strict=True):
            array[...] = value
    return copied.function


def fitted(returned: Any, y: Array) -> Array:
    """What the reference returned without its cache: y, or several outputs in one row as the check has them."""
    if not isinstance(returned, tuple):
        return np.asarray(returned)
    outputs = returned[0] if isinstance(returned[0], tuple) else returned
    first = np.asarray(outputs[0])
    if first.shape == y.shape:
        return first
    row = np.empty(0)
    for output in (o for o in outputs if isinstance(o, np.ndarray)):
        row = np.append(row, output) if row.size < y.size else row
    return row if row.shape == y.shape else first


# Where they differ ----------------------------------------------------------------------------------------------


def difference(
    right: Array, y: Array, inputs: Mapping[str, Array], name: str, where: str, of: str = "y"
) -> Verdict | None:
    """The verdict on values that differ: the largest difference, and its pattern. of: what the values are called."""
    if right.shape != y.shape:
        message = f"{of} has shape {y.shape}, the reference {name} gives {right.shape}{where}"
        return Verdict("y", "wrong-forward", message)
    finite = np.isfinite(right)
    scale = np.abs(right[finite]).max(initial=0.0)
    off = np.where(finite, np.abs(y - np.where(finite, right, 0)), 0)
    off = np.where(np.isfinite(off), off, np.inf)
    wrong = off > TOLERANCE * (np.abs(right) + scale) + 1e-300
    if not (wrong & finite).any():
        return None
    at = np.unravel_index(int(np.argmax(off)), y.shape)
    values = f"{entry(of, at)} is {y[at] + 0:.6g}, the reference {name} gives {right[at] + 0:.6g}"  # 0, and not -0
    pattern = next(patterns(y, right, wrong & finite, inputs), "")
    count = f"{int(wrong.sum())} of {y.size} numbers of {of} differ, this one most"
    return Verdict("y", "wrong-forward", f"{values}{pattern and f': {of} is '}{pattern}{where}", count)


def patterns(y: Array, right: Array, wrong: Array, inputs: Mapping[str, Array]) -> Iterator[str]:
    """What the difference looks like, in words."""
    if not np.isfinite(y).all():
        yield "not finite where it should be"
    c = ratio(y, right)
    if y.size == 1 and not (c and any(abs(n - round(n)) < TOLERANCE * abs(n) for n in (c, 1 / c))):
        return  # any number is some multiple of any other
    if c is not None and abs(c - 1) > TOLERANCE:
        yield "of the other sign" if abs(c + 1) < TOLERANCE else f"{c:.6g} times what it should be, everywhere"
    if np.ptp(y - right) <= TOLERANCE * np.abs(y - right).max():
        yield f"off by {(y - right).flat[0]:+.6g} everywhere"
    if y.ndim == 2 and y.shape[0] == y.shape[1] and np.allclose(y.T, right, TOLERANCE):
        yield "transposed"
    yield from (f"wrong at {place}, right elsewhere" for place in apart(np.nonzero(wrong), np.nonzero(~wrong)))
    with np.errstate(all="ignore"):
        factors = y / right
    for axis in range(y.ndim) if np.isfinite(factors).all() else ():
        if y.shape[axis] > 1 and np.ptp(factors, axis=axis).max() <= TOLERANCE * np.abs(factors).max():
            yield f"off by a factor that is the same all along axis {axis}"
    for array in inputs.values():
        for words, side in (("negative", array < 0), ("positive", array > 0)):
            if array.shape == y.shape and side.any() and not side.all() and np.array_equal(wrong, side):
                yield f"wrong where the input is {words}, right elsewhere"
    if np.abs(y - right).max() < 1e-4 * np.abs(right).max():
        yield "a little off: is a small constant, such as an epsilon, forgotten?"
    if wrong.all():
        yield "wrong everywhere"
