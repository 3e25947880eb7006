"""Arrays in dicts and lists that a function takes, as arrays of their own: forward(x, params), forward(x, [(W, b)])."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .arguments import Pair, argument_names, is_float_array
from .slots import gradient_key

PASSES_ON = True  # to the functions that it was given

# keys of dicts and indices of lists, from an argument down to an array
Path: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Unpacked:
    """A pair that takes one array after another, those arrays, their names, and the names that it answers for."""

    pair: Pair
    arrays: list[Any]
    names: list[str]
    answered: list[str]


def unpacked(pair: Pair, arguments: Sequence[Any], kwargs: Mapping[str, Any]) -> Unpacked | None:
    """A pair with the arrays in dicts and lists as arguments of their own; None where its backward gives no gradients
    by them.
    """
    if not any(map(is_container, arguments)):
        return None
    try:
        y, *_, cache = pair[0](*copy.deepcopy(list(arguments)), **copy.deepcopy(dict(kwargs)))
        answers = answers_by(pair[1](np.ones(np.shape(y)), cache), arguments)
    except (Exception, SystemExit):  # the check proper runs into it again, and reports it
        return None
    if not any(is_container(arguments[i]) and isinstance(given, (dict, list, tuple)) for i, given in answers.items()):
        return None
    places = [(i, path) for i, argument in enumerate(arguments) for path in paths(argument)]
    texts = argument_names(pair[0], len(arguments))
    names = [texts[i] + "".join(f"[{key!r}]" for key in path) for i, path in places]

    def forward(*arrays: Any, **keywords: Any) -> Any:
        given = dict(zip(places, arrays, strict=True))
        return pair[0](*(filled(argument, (i,), given) for i, argument in enumerate(arguments)), **keywords)

    def backward(dy: Any, cache: Any) -> tuple[Any, ...]:
        given = answers_by(pair[1](dy, cache), arguments)
        return tuple(part(given.get(i), path) for i, path in places)

    flat = [part(arguments[i], path) for i, path in places]
    return Unpacked(
        (forward, backward), flat, names, [n for n, (i, _) in zip(names, places, strict=True) if i in answers]
    )


def is_container(argument: Any) -> bool:
    """Whether it is a dict, list or tuple with arrays of floats in it."""
    return not is_float_array(argument) and any(
        is_float_array(part(argument, path)) for path in paths(argument) if path
    )


def paths(argument: Any) -> Iterator[Path]:
    """The way to each array of floats in a dict or list, or to the argument itself."""
    is_open = isinstance(argument, (dict, list, tuple)) and not is_float_array(argument)
    items = (argument.items() if isinstance(argument, dict) else enumerate(argument)) if is_open else ()
    found = [(key, *path) for key, value in items for path in paths(value) if is_float_array(part(value, path))]
    yield from found or [()]


def part(argument: Any, path: Path) -> Any:
    """What stands in a dict or list at the end of a path; None where nothing does."""
    for key in path:
        key = gradient_key(argument, key) if isinstance(argument, dict) else key
        is_there = isinstance(argument, dict) or (isinstance(argument, (list, tuple)) and key < len(argument))
        argument = argument[key] if key is not None and is_there else None
    return argument


def filled(argument: Any, path: Path, given: Mapping[tuple[int, Path], Any]) -> Any:
    """An argument with other arrays in it."""
    place = path[0], path[1:]
    if place in given:
        return given[place]
    if isinstance(argument, dict):
        return {key: filled(value, (*path, key), given) for key, value in argument.items()}
    if isinstance(argument, (list, tuple)):
        return type(argument)([filled(value, (*path, i), given) for i, value in enumerate(argument)])
    return argument


def answers_by(returned: Any, arguments: Sequence[Any]) -> dict[int, Any]:
    """What a backward returned, by the position of the argument: of all, of those with floats, or of a container."""
    floats = [i for i, argument in enumerate(arguments) if is_float_array(argument) or is_container(argument)]
    held = [i for i in floats if is_container(arguments[i])]
    answers = list(returned) if isinstance(returned, tuple) and len(floats) > 1 else [returned]
    for positions in (range(len(arguments)), floats, held):
        if len(positions) == len(answers):
            return {i: answer for i, answer in zip(positions, answers, strict=True) if answer is not None}
    return {}
