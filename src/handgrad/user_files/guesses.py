"""Example arrays for a forward that comes without: guessed from the names of its parameters."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, Generator, Shape
from ..user_code.arguments import POSITIONAL, Function, parameters_of
from ..user_code.faults import CodeFault, NotWritten
from ..user_code.pairs import takes_context
from ..user_code.recognize import recognize

# the thing to check, its arrays, its keywords
Trial: TypeAlias = tuple[Any, list[Any], dict[str, Any]]
# of an input, a matrix or kernel, and a vector; and the size of the input's last axis
Shapes: TypeAlias = tuple[Shape, Shape, Shape, int]

# what a forward raises when the arrays are not what it is made for; the check tells of anything else
MISFITS = (TypeError, ValueError, IndexError, KeyError, AttributeError, AssertionError)
ADVICE = (
    "give it arrays: a dict check_inputs = {{'{name}': (x, ...)}} in the file, or for a class "
    "{{'{name}': ({name}(...), x, ...)}}"
)

TARGETS = {"t", "target", "targets", "label", "labels", "y_true", "y"}
SIZES_IN = (
    "n_in num_in num_inputs in_features input_size input_dim in_dim d_in fan_in inputs in_channels channels "
    "num_features features input_features"
)
OPTIONS: dict[str, Any] = {
    **dict.fromkeys(("rate", "p", "drop"), 0.3),
    **dict.fromkeys(("alpha", "slope", "strength", "reg", "learning_rate", "lr"), 0.1),
    **dict.fromkeys(("stride", "padding", "pad"), 1),
    **dict.fromkeys(("epsilon", "eps"), 1e-5),
    **dict.fromkeys(("training", "train"), True),
    **dict(momentum=0.9, kernel_size=3, pool_size=2, kernel_shape=(3, 3), delta=1.0),
    **dict(mode="train", seed=0, activation="tanh"),
}
# what a dict of settings (conv_param, bn_param) may hold
DICTIONARY = dict(stride=1, pad=1, pool_height=2, pool_width=2, mode="train", p=0.7, seed=1, eps=1e-5, momentum=0.9)
SHAPES: tuple[Shapes, ...] = (
    ((6, 4), (4, 5), (5,), 4),
    ((6, 4), (4, 4), (4,), 4),
    ((4, 6, 6, 3), (3, 3, 3, 5), (5,), 3),
    ((4, 6, 6, 3), (3, 3, 3, 3), (3,), 3),
    ((4, 3, 6, 6), (5, 3, 3, 3), (5,), 3),
    ((6,), (6, 4), (4,), 6),
    ((6, 4), (5, 4), (5,), 4),
    ((4, 3, 6, 6), (3, 3, 3, 3), (3,), 3),
    ((6, 4), (6, 4), (4,), 4),
)


def fitting(name: str, target: Any, path: str | Path, seed: int) -> Trial:
    """(target, arrays, kwargs): the first guess that the forward runs on."""
    problem, misfit = "its constructor refused what was guessed", None
    for thing, arrays, kwargs in trials(target, seed):
        try:
            recognize(thing, arrays, kwargs, None, None, seed).at(np.float64).forward()
        except CodeFault as fault:
            if isinstance(fault, NotWritten) or not isinstance(fault.__cause__, MISFITS):
                return thing, arrays, kwargs
            problem = fault.message
            misfit = misfit or ((thing, arrays, kwargs) if fault.mistake == "backward-raises" else None)
        except (TypeError, ValueError) as refused:
            problem = str(refused)
        else:
            return thing, arrays, kwargs
    if misfit:
        return misfit  # the forward takes them
    raise ValueError(f"{path}: no guessed arrays suit {name} ({problem}); {ADVICE.format(name=name)}")


def trials(target: Any, seed: int) -> Iterator[Trial]:
    """Guesses of what to check: the target, or objects of a class, each with arrays."""
    if isinstance(target, tuple):
        yield from ((target, arrays, kwargs) for arrays, kwargs in guesses(target[0], seed))
    elif isinstance(inspect.getattr_static(target, "forward"), staticmethod):
        for arrays, kwargs in guesses(target.forward, seed):
            yield target, arrays[takes_context(target) :], kwargs
    else:
        for thing, shapes in instances(target, seed):
            for arrays, kwargs in guesses(thing.forward, seed):
                if np.shape(arrays[0]) == shapes[0]:
                    yield thing, arrays, kwargs


# Guesses by name ----------------------------------------------------------------------------------------------


def guesses(forward: Function, seed: int = 0) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Yield (arrays, kwargs): arguments that a forward with these parameter names may accept, likely ones first."""
    parameters = required(forward)
    for shapes in SHAPES:
        for kind in ("labels", "one-hot", "same"):
            rng = np.random.default_rng([seed, 3])
            yield [argument(p, i, shapes, kind, rng) for i, p in enumerate(parameters)], randomness(forward)
            if not any(p in TARGETS and i for i, p in enumerate(parameters)):
                break


def required(function: Function) -> list[str]:
    """Names of the parameters without a default."""
    given = parameters_of(function)
    if given is None or any(p.kind is p.VAR_POSITIONAL for p in given[:1]):
        return ["x"]
    return [p.name for p in given if p.default is p.empty and p.kind in POSITIONAL]


def argument(name: str, position: int, shapes: Shapes, kind: str, rng: Generator) -> Any:
    """One argument by its name and place."""
    data, matrix, vector, _ = shapes
    low = name.lower()
    if low == "rng":
        return np.random.default_rng(0)
    if low in OPTIONS:
        return OPTIONS[low]
    if low.endswith(("param", "params", "config")):
        return dict(DICTIONARY)
    if position and low in TARGETS:
        return targets(kind, data, rng)
    if position and low.startswith(("w", "kernel", "filter", "theta", "u", "v")):
        return rng.normal(size=matrix)
    if position and low.startswith(("b", "g", "scale", "shift")):
        return rng.normal(size=vector)
    x = rng.normal(size=data)
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True) if low.startswith(("p", "y_hat", "yhat")) else x


def targets(kind: str, shape: Shape, rng: Generator) -> Array:
    labels = rng.integers(0, shape[-1], shape[0])
    if kind == "labels":
        return labels
    return np.eye(shape[-1])[labels] if kind == "one-hot" else rng.normal(size=shape)


def randomness(forward: Function) -> dict[str, Any]:
    """rng=... for a forward whose rng is optional but wanted."""
    wanted = any(p.name == "rng" and p.default is None for p in parameters_of(forward) or ())
    return {"rng": np.random.default_rng(0)} if wanted else {}


def instances(cls: type, seed: int = 0) -> Iterator[tuple[Any, Shapes]]:
    """Yield (object, shapes) of a class, its constructor's arguments guessed."""
    names = required(cls)
    for shapes in SHAPES:
        rng = np.random.default_rng([seed, 4])
        values = {name: constructor_value(name, i, shapes, rng) for i, name in enumerate(names)}
        try:
            yield cls(**values), shapes
        except Exception:  # another guess may suit; if none does, the file is asked for an example
            continue


def constructor_value(name: str, position: int, shapes: Shapes, rng: Generator) -> Any:
    low = name.lower()
    if low in OPTIONS:
        return OPTIONS[low]
    if low == "rng":
        return rng
    if low in SIZES_IN.split() or (position == 0 and "in" in low.split("_")):
        return shapes[3]
    if low.startswith(("w", "kernel")):
        return rng.normal(size=shapes[1])
    if low.startswith("b"):
        return rng.normal(size=shapes[2])
    return 5
