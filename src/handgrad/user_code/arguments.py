"""What a function takes and gives: the names of its arguments, which of them are arrays, gradients by name."""

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from ..arrays import Array, DTypeLike

# by the name of the array; None where the backward gives none
Gradients: TypeAlias = dict[str, Array | None]

Function: TypeAlias = Callable[..., Any]

Pair: TypeAlias = tuple[Function, Function]  # forward, backward

Settings: TypeAlias = Mapping[str, Any] | None  # keywords of a forward

# names of the arrays to differentiate by, or their positions
Wanted: TypeAlias = str | int | Sequence[str | int] | None

HANDED_BACK = {"cache", "caches", "ctx", "context", "saved", "memory", "state"}  # what backwards call their cache
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def name_of(function: Function) -> str:
    try:
        return str(function.__name__)
    except Exception:  # an object's own way to give attributes may raise anything
        return type(function).__name__


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


def num_required(function: Function) -> int:
    """How many arguments a function cannot do without."""
    return sum(p.default is p.empty for p in parameters_of(function) or ())


def is_float_array(argument: Any) -> bool:
    """Floats with at least one axis; a NumPy array may also have none."""
    if isinstance(argument, (np.ndarray, np.floating)):
        return argument.dtype.kind in "fc"
    try:
        return isinstance(argument, list) and np.asarray(argument).dtype.kind == "f"
    except ValueError:  # rows of different lengths
        return False


def several(returned: Any, arguments: Sequence[Any]) -> Sequence[Any]:
    """The gradients that were returned, one by one; a list of numbers in the shape of the only argument is one."""
    if not isinstance(returned, (tuple, list)):
        return (returned,)
    with contextlib.suppress(ValueError):  # gradients of different shapes
        if isinstance(returned, list) and len(arguments) == 1 and np.shape(returned) == np.shape(arguments[0]):
            return (np.asarray(returned),)
    return returned


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


def copy_argument(argument: Any, dtype: DTypeLike | None = None) -> Any:
    """Float arrays in the dtype of this point, where there is one; everything else as a copy of itself."""
    if dtype is not None and is_float_array(argument):
        return np.array(argument, dtype)
    try:
        return copy.deepcopy(argument)
    except Exception as problem:
        what = f"{described(argument)} cannot be copied, and a check works on copies of what a forward is given"
        raise TypeError(f"check_gradients: {what}: {type(problem).__name__}: {problem}") from None
