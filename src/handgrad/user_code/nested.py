"""Arrays in dicts and lists that a function takes, as arrays of their own: forward(x, params), forward(x, [(W, b)])."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .arguments import Pair, argument_names, is_float_array
from .slots import gradient_key

PASSES_ON = True  # to the functions that it was given

# keys of dicts and indices of lists, from an argument down to an array
Path: TypeAlias = tuple[Any, ...]

# an array: the position of its argument, and the way to it there
Place: TypeAlias = tuple[int, Path]

DEEPEST = 8  # a dict in a dict, and so on; one may hold itself


@dataclass(frozen=True)
class Unpacked:
    """A pair that takes one array after another, those arrays, their names, and the names that it answers for.

    packed: what makes the arguments as the code takes them of such arrays.
    """

    pair: Pair
    packed: Callable[[Sequence[Any]], list[Any]]
    arrays: list[Any]
    names: list[str]
    answered: list[str]


def unpacked(pair: Pair, arguments: Sequence[Any], kwargs: Mapping[str, Any]) -> Unpacked | None:
    """A pair with the arrays in dicts and lists as arguments of their own; None where its backward gives no gradients
    by them.

    A loss, which is one number, need not give any by its data, which stand outside of dicts and lists.
    """
    if not any(map(is_container, arguments)):
        return None
    texts = argument_names(pair[0], len(arguments))
    try:
        y, *_, cache = pair[0](*copy.deepcopy(list(arguments)), **copy.deepcopy(dict(kwargs)))
        answers = answers_by(pair[1](np.ones(np.shape(y)), cache), arguments, texts)
    except (Exception, SystemExit):  # the check proper runs into it again, and reports it
        return None
    if not any(path for _, path in answers):
        return None
    places = [(i, path) for i, argument in enumerate(arguments) for path in paths(argument)]
    names = {place: texts[place[0]] + "".join(f"[{key!r}]" for key in place[1]) for place in places}
    due = [(i, path) for i, path in places if not path and is_float_array(arguments[i]) and np.ndim(y)]

    def packed(arrays: Sequence[Any]) -> list[Any]:
        given = dict(zip(places, arrays, strict=True))
        return [filled(argument, (i, ()), given) for i, argument in enumerate(arguments)]

    def forward(*arrays: Any, **keywords: Any) -> Any:
        return pair[0](*packed(arrays), **keywords)

    def backward(dy: Any, cache: Any) -> tuple[Any, ...]:
        given = answers_by(pair[1](dy, cache), arguments, texts)
        return tuple(given.get(place) for place in places)

    flat = [at(arguments[i], path) for i, path in places]
    answered = [names[place] for place in places if place in answers or place in due]
    return Unpacked((forward, backward), packed, flat, list(names.values()), answered)


def is_container(argument: Any) -> bool:
    """Whether it is a dict, list or tuple with arrays of floats in it."""
    return not is_float_array(argument) and any(paths(argument))


def paths(argument: Any, depth: int = DEEPEST) -> Iterator[Path]:
    """The way to each array of floats in a dict or list, or to the argument itself."""
    within = entries(argument) if depth and not is_float_array(argument) else ()
    below = ((key, value, path) for key, value in within for path in paths(value, depth - 1))
    found = [(key, *path) for key, value, path in below if is_float_array(at(value, path))]
    yield from found or [()]


def entries(argument: Any) -> Iterator[tuple[Any, Any]]:
    """What a dict, list or tuple holds, by key or index; nothing of anything else."""
    if isinstance(argument, (dict, list, tuple)):
        yield from argument.items() if isinstance(argument, dict) else enumerate(argument)


def at(argument: Any, path: Path) -> Any:
    """What stands in a dict or list at the end of a path."""
    for key in path:
        argument = argument[key]
    return argument


def filled(argument: Any, place: Place, given: Mapping[Place, Any]) -> Any:
    """An argument with other arrays in it."""
    if place in given:
        return given[place]
    within = {key: filled(value, (place[0], (*place[1], key)), given) for key, value in entries(argument)}
    if isinstance(argument, dict):
        return within
    if hasattr(argument, "_fields"):  # a named tuple
        return type(argument)(*within.values())
    return type(argument)(within.values()) if isinstance(argument, (list, tuple)) else argument


def answers_by(returned: Any, arguments: Sequence[Any], names: Sequence[str]) -> dict[Place, Any]:
    """What a backward returned, by the array that it is the gradient by: one for each argument, one for each array, or
    all in a dict by name. Of these the first in which the shapes are right; or else one in which dicts answer dicts.
    """
    floats = [i for i, argument in enumerate(arguments) if is_float_array(argument) or is_container(argument)]
    held = [i for i in floats if is_container(arguments[i])]
    found = [by_keys(returned, arguments, names, floats)] if isinstance(returned, dict) else []
    apart: list[dict[Place, Any]] = []
    for answers in ([list(returned)] if isinstance(returned, (tuple, list)) else []) + [[returned]]:
        for positions in (list(range(len(arguments))), floats, held):
            places = [(i, path) for i in positions for path in paths(arguments[i])]
            if len(positions) == len(answers):
                each = [by_path(arguments[i], answer, i) for i, answer in zip(positions, answers, strict=True)]
                found.append({place: gradient for part in each for place, gradient in part.items()})
            if len(places) == len(answers):
                apart.append(dict(zip(places, answers, strict=True)))
    chosen = (f for f in found + apart if f and all(np.shape(at(arguments[i], p)) == np.shape(f[i, p]) for i, p in f))
    return next(chosen, next(filter(None, found), {}))


def by_keys(
    returned: dict[Any, Any], arguments: Sequence[Any], names: Sequence[str], floats: Sequence[int]
) -> dict[Place, Any]:
    """A dict with the gradients of all arguments by their names, and of what is in dicts by the keys there."""
    found: dict[Place, Any] = {}
    for i in floats:
        key = key_in(returned, names[i])
        if key is not None or is_container(arguments[i]):
            found |= by_path(arguments[i], returned if key is None else returned[key], i)
    return found


def by_path(argument: Any, answer: Any, position: int) -> dict[Place, Any]:
    """The gradients by the arrays in an argument; none where nothing is answered."""
    is_answer = isinstance(answer, (dict, list, tuple)) if is_container(argument) else answer is not None
    is_due = is_answer and (is_container(argument) or is_float_array(argument))
    return {(position, path): gradient for path, gradient in beside(argument, answer)} if is_due else {}


def beside(argument: Any, answer: Any) -> Iterator[tuple[Path, Any]]:
    """The way to each array in an argument, and what the answer has there: by the same keys, or in the same order."""
    if not is_container(argument):
        yield (), answer
        return
    held = [(key, value) for key, value in entries(argument) if is_float_array(value) or is_container(value)]
    in_order = answer if isinstance(answer, (list, tuple)) and len(answer) == len(held) else dict(entries(answer))
    for position, (key, value) in enumerate(held):
        chosen = key_in(in_order, key) if isinstance(in_order, dict) else position
        given = None if chosen is None else in_order[chosen]
        for path, gradient in beside(value, given):
            yield (key, *path), gradient


def key_in(gradients: dict[Any, Any], name: Any) -> Any:
    """The key of the gradient by this name: dW before W, which may be the array itself; None for none."""
    key = gradient_key(gradients, name, own=False) if isinstance(name, str) else None
    return key if key is not None else name if name in gradients else None
