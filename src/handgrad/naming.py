"""What a user may type: names looked up, objects built from them, arguments checked, and the extra that is missing."""

import contextlib
import difflib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Made = TypeVar("Made", bound=Callable[..., Any])


def nearest(name: object, known: Iterable[object]) -> str:
    """'; did you mean 'adam'?' when a known name resembles this one, else ''."""
    original = {str(k).lower(): k for k in known}
    begun = [k for k in original if str(name) and k.startswith(str(name).lower())]
    close = begun or difflib.get_close_matches(str(name).lower(), original, n=1, cutoff=0.5)
    return f"; did you mean '{original[close[0]]}'?" if close else ""


def look_up(kind: str, name: object, table: Mapping[str, T]) -> T:
    """table[name], or a ValueError that says what kind of thing was unknown and which names exist.

    Upper and lower case, '-' and '_' count as the same, so 'breast_cancer' finds 'breast-cancer'.
    """
    folded = {fold(key): value for key, value in table.items()}
    if isinstance(name, str) and fold(name) in folded:
        return folded[fold(name)]
    raise ValueError(f"unknown {kind} '{name}'{nearest(name, table)} (known: {', '.join(map(str, table))})")


def fold(name: str) -> str:
    """The name without what does not count: case, '-', '_' and spaces."""
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def by_name(separator: str, *things: Made) -> dict[str, Made]:
    """{'warm_up': WarmUp, ...}: classes or functions by their names, in lower case, the separator between words."""
    return {re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|_", separator, thing.__name__).lower(): thing for thing in things}


def constructor_arguments(thing: object) -> dict[str, Any]:
    """The constructor's arguments of an object that keeps each under its own name: {'units': 25, ...}.

    The convention is scikit-learn's: `__init__(self, units)` sets `self.units`. It makes any such object
    printable, comparable, and rebuildable from a configuration file.
    """
    return {name: getattr(thing, name) for name in constructor_names(type(thing))}


def constructor_names(cls: type[Any]) -> list[str]:
    """The names of the arguments that a class is made with."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.name != "self" and p.kind not in variable]


def check_arguments(kind: str, cls: type[Any], arguments: Iterable[str]) -> None:
    """Raise a ValueError naming the first argument that cls's constructor does not take."""
    known = constructor_names(cls)
    for name in arguments:
        if name not in known:
            takes = f"(it takes: {', '.join(known) or 'none'})"
            raise ValueError(f"{kind} {cls.__name__} has no argument '{name}'{nearest(name, known)} {takes}")


def build(kind: str, spec: str | dict[str, Any] | T, table: Mapping[str, type[T]]) -> T:
    """The object a user meant: by name ('adam'), by table ({'name': 'adam', 'learning_rate': 0.1}), or itself.

    kind is the word for messages, table maps names to classes. ValueError for an unknown name, an unknown or a
    missing argument; TypeError for a class where an object is wanted.
    """
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, (type, bool, int, float, list, tuple)) or spec is None:
        got = f"the class {spec.__name__}; write {spec.__name__}(...)" if isinstance(spec, type) else repr(spec)
        raise TypeError(f"{kind} must be a name, a table with a 'name', or an object, got {got}")
    if not isinstance(spec, dict):
        return spec
    if "name" not in spec:
        raise ValueError(f"{kind} {spec} has no 'name' (known: {', '.join(map(str, table))})")
    cls = look_up(kind, spec["name"], table)
    arguments = {key: value for key, value in spec.items() if key != "name"}
    check_arguments(kind, cls, arguments)
    check_complete(kind, cls, arguments)
    return cls(**arguments)


def check_complete(kind: str, cls: type[Any], arguments: Iterable[str]) -> None:
    """Raise a ValueError naming the first argument without a default that is not given."""
    for parameter in inspect.signature(cls).parameters.values():
        variable = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and parameter.name not in arguments and not variable:
            raise ValueError(f"{kind} {cls.__name__} needs the argument '{parameter.name}'")


def check_number(
    owner: str,
    name: str,
    value: Any,
    minimum: float = -math.inf,
    above: float = -math.inf,
    maximum: float = math.inf,
    below: float = math.inf,
) -> float:
    """value as a float, or a ValueError that names its owner when it is no finite number in the range."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and minimum <= number <= maximum and above < number < below):
        limits = {">=": minimum, ">": above, "<=": maximum, "<": below}
        wanted = " and ".join(f"{sign} {limit:g}" for sign, limit in limits.items() if math.isfinite(limit))
        raise ValueError(f"{owner}: {name} must be a finite number {wanted}".rstrip() + f", got {value!r}")
    return number


def check_count(owner: str, name: str, value: Any, minimum: int = 1) -> int:
    """value as an int, or a ValueError that names its owner when it is no whole number >= minimum."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < minimum:
        raise ValueError(f"{owner}: {name} must be a whole number >= {minimum}, got {value!r}")
    return int(value)


@contextlib.contextmanager
def require_extra(extra: str, user: str, package: str = "", instead: str = "") -> Iterator[None]:
    """Within the block a missing package raises one line that says who needs it and which extra brings it.

    package: its name in the package index, where that is not the name it is imported by. instead: another way out.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        missing = problem.name or ""
        if missing.partition(".")[0] == "handgrad":
            raise
        way_out = f"pip install 'handgrad[{extra}]'{instead and f' ({instead})'}"
        raise ImportError(f"{user} needs {package or missing}: {way_out}", name=missing) from None
