"""What a user may type: names looked up, objects built from them, arguments checked, and the extra that is missing."""

from __future__ import annotations

import contextlib
import copy
import difflib
import dis
import functools
import importlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:  # what only type checkers ask
    dataclass_transform = lambda **_: lambda decorator: decorator  # noqa: E731

P = ParamSpec("P")
T = TypeVar("T")
Made = TypeVar("Made", bound=Callable[..., Any])

signature: Callable[[Any], inspect.Signature] = functools.lru_cache(256)(inspect.signature)  # which is slow
OTHER_LIBRARIES = Path(__file__).with_name("other_libraries.txt")  # our names, and what other libraries call the same


def nearest(name: object, known: Iterable[object]) -> str:
    """'; did you mean 'adam'?' when another library's name or the spelling leads to a known one, else ''."""
    known = list(known)
    if advice := from_elsewhere(name, known):
        return advice
    original = {str(k).lower(): k for k in known}
    begun = sorted((k for k in original if str(name) and k.startswith(str(name).lower())), key=len)
    close = begun or difflib.get_close_matches(str(name).lower(), original, n=1, cutoff=0.55)
    return f"; did you mean '{original[close[0]]}'?" if close else ""


def from_elsewhere(name: object, known: Iterable[object]) -> str:
    """What `nearest` says of a name that another library has for one of those known, else ''."""
    if not (meant := translations().get(fold(str(name)))):
        return ""
    by_fold = {fold(str(k)): k for k in known}
    ours = next((ours for ours in meant if " " in ours or fold(ours) in by_fold), "")
    return f"; {ours}" if " " in ours else f"; did you mean '{by_fold[fold(ours)]}'?" if ours else ""


@functools.cache
def translations() -> dict[str, list[str]]:
    """What a name of another library may mean here: {'lr': ['learning_rate_init', 'learning_rate', ...]}."""
    found: dict[str, list[str]] = {}
    for line in OTHER_LIBRARIES.read_text(encoding="utf-8").splitlines():
        ours, arrow, theirs = line.partition(" <- ")
        for name in theirs.split() if arrow else ():
            found.setdefault(fold(name), []).append(ours)
    return found


def look_up(kind: str, name: object, table: Mapping[str, T]) -> T:
    """table[name], or a ValueError that says what kind of thing was unknown and which names exist.

    Upper and lower case, '-' and '_' count as the same, so 'breast_cancer' finds 'breast-cancer'.
    """
    if isinstance(name, str) and name in table:
        return table[name]
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
    parameters = signature(cls.__init__).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.name != "self" and p.kind not in variable]


def check_arguments(kind: str, cls: type[Any], arguments: Iterable[str]) -> None:
    """Raise a ValueError naming the first argument that cls's constructor does not take."""
    known = constructor_names(cls)
    for name in arguments:
        if name not in known:
            raise ValueError(no_argument(f"{kind} {cls.__name__}", name, known))


def no_argument(owner: str, name: str, known: Iterable[str]) -> str:
    """The message for an argument that its owner does not take, with the right name and all that there are."""
    known = list(known)
    return f"{owner} has no argument '{name}'{nearest(name, known)} (it takes: {', '.join(known) or 'none'})"


# Right names told in Python, too --------------------------------------------------------------------------------------


def advised(function: Callable[P, T]) -> Callable[P, T]:
    """The function, which answers an argument that it does not know with the right one.

    Its signature stays, and a call that is right costs a tenth of a microsecond more.
    """

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except TypeError as problem:
            known = [name for name in inspect.signature(function).parameters if name != "self"]
            unknown = next((name for name in named if name not in known), None)
            is_within = problem.__traceback__ is None or problem.__traceback__.tb_next is not None
            if unknown is None or is_within:
                raise
            owner = type(arguments[0]).__name__ if function.__name__ == "__init__" else function.__name__
            raise TypeError(no_argument(owner, unknown, known)) from None

    return call


def advised_class(cls: type[T]) -> type[T]:
    """The class, whose constructor answers as `advised` functions do."""
    type.__setattr__(cls, "__init__", advised(inspect.getattr_static(cls, "__init__")))
    return cls


@dataclass_transform(field_specifiers=(field,))
def advised_dataclass(**options: bool) -> Callable[[type[T]], type[T]]:
    """`dataclasses.dataclass` of an `advised_class`."""
    return lambda cls: advised_class(dataclass(**options)(cls))


class Advised:
    """Base of classes whose constructors answer an argument that they do not know with the right one."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "__init__" in vars(cls):
            advised_class(cls)


class Elsewhere:
    """An attribute that other libraries have: asked for, it is the AttributeError that Python would raise, and advice.

    It is there for the few names that everybody tries: `__getattr__` would slow down all others.
    """

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __get__(self, thing: object, owner: type[Any]) -> NoReturn:
        known = [*filter(lambda known: not isinstance(inspect.getattr_static(owner, known), Elsewhere), dir(owner))]
        known += vars(thing) if thing is not None else constructor_names(owner)
        raise AttributeError(f"'{owner.__name__}' has no attribute '{self.name}'{nearest(self.name, known)}")


class Misnamed(Elsewhere):
    """The same for an attribute that people assign, which would change nothing."""

    def __set__(self, thing: object, value: object) -> NoReturn:
        self.__get__(thing, type(thing))


def without(*names: str, assigned: Iterable[str] = ()) -> Callable[[type[T]], type[T]]:
    """A decorator: the class has not these attributes of other libraries, and says what it has.

    Those in `assigned` cannot be assigned either; the others may be a subclass's own.
    """

    def decorate(cls: type[T]) -> type[T]:
        for name in names:
            type.__setattr__(cls, name, Elsewhere(name))
        for name in assigned:
            type.__setattr__(cls, name, Misnamed(name))
        return cls

    return decorate


class Configured(Advised):
    """Base of what keeps each argument under its own name: shown, read and changed by them as in scikit-learn."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments by name, those of a part as 'part__name' where deep."""
        own = constructor_arguments(self)
        parts = {name: part.get_params() for name, part in own.items() if deep and isinstance(part, Configured)}
        return own | {f"{name}__{inner}": value for name, part in parts.items() for inner, value in part.items()}

    def set_params(self, **arguments: Any) -> Self:
        """Change arguments by name, 'part__name' for one of a part's; all are checked before any is changed."""
        own = constructor_arguments(self)
        for path, value in arguments.items():
            name, _, inner = path.partition("__")
            if name not in own or (inner and not isinstance(own[name], Configured)):
                raise ValueError(no_argument(type(self).__name__, path, self.get_params()))
            own[name] = copy.deepcopy(own[name]).set_params(**{inner: value}) if inner else value
        vars(self).update(vars(type(self)(**own)))
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in constructor_arguments(self).items())})"


def advise_on_names(*modules: ModuleType, later: Mapping[str, str] = MappingProxyType({})) -> None:
    """Let the modules answer a name that they have not with the right one.

    later: {name: module} of what the first module takes from others only when it is asked for.
    """
    for module in modules:
        vars(module)["__getattr__"] = functools.partial(refuse_name, module)
    vars(modules[0])["__getattr__"] = functools.partial(take_later, modules[0], later)


def take_later(module: ModuleType, later: Mapping[str, str], name: str) -> Any:
    """What a module has only once it is asked for: a name out of another module, or that module."""
    if name not in later:
        refuse_name(module, name, later, depth=2)
    found = importlib.import_module(later[name])
    vars(module)[name] = getattr(found, name, found)
    return vars(module)[name]


def refuse_name(module: ModuleType, name: str, later: Iterable[str] = (), depth: int = 1) -> NoReturn:
    """Raise the AttributeError that Python would, and tell the right name; depth: how many frames away it was asked."""
    known = [known for known in [*vars(module), *later] if not known.startswith("_")]
    advice = "" if name.startswith("_") else nearest(name, known)
    said = f"module '{module.__name__}' has no attribute '{name}'{advice}"
    raise ImportError(said) if advice and is_imported_from(sys._getframe(depth)) else AttributeError(said)


def is_imported_from(frame: FrameType) -> bool:
    """Whether the frame is at a `from ... import`, which puts words of its own in the place of an AttributeError's."""
    return frame.f_lasti >= 0 and dis.opname[frame.f_code.co_code[frame.f_lasti]] == "IMPORT_FROM"


def build(kind: str, spec: str | dict[str, Any] | T, table: Mapping[str, type[T]], base: type[Any] = object) -> T:
    """The object a user meant: by name ('adam'), by table ({'name': 'adam', 'learning_rate': 0.1}), or itself.

    kind is the word for messages, table maps names to classes, base is what an object is one of. ValueError for an
    unknown name, an unknown or a missing argument; TypeError for a class where an object is wanted, or another object.
    """
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, (type, bool, int, float, list, tuple)) or spec is None:
        got = f"the class {spec.__name__}; write {spec.__name__}(...)" if isinstance(spec, type) else repr(spec)
        raise TypeError(f"{kind} must be a name, a table with a 'name', or an object, got {got}")
    if not isinstance(spec, dict):
        check_object(kind, spec, base)
        return spec
    if "name" not in spec:
        raise ValueError(f"{kind} {spec} has no 'name' (known: {', '.join(map(str, table))})")
    cls = look_up(kind, spec["name"], table)
    arguments = {key: value for key, value in spec.items() if key != "name"}
    check_arguments(kind, cls, arguments)
    check_complete(kind, cls, arguments)
    return cls(**arguments)


def check_object(kind: str, given: object, base: type[Any]) -> None:
    """Raise a TypeError for an object that is none of the base."""
    if not isinstance(given, base):
        raise TypeError(f"{kind} must be a name, a table or a {base.__name__}, got {type(given).__name__}")


def check_complete(kind: str, cls: type[Any], arguments: Iterable[str]) -> None:
    """Raise a ValueError naming the first argument without a default that is not given."""
    for parameter in signature(cls).parameters.values():
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
    except (TypeError, ValueError, OverflowError):
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


def check_switch(owner: str, name: str, value: Any) -> bool:
    """value as a bool, or a ValueError that names its owner when it is neither True nor False."""
    if getattr(value, "ndim", 0) or value not in (True, False):
        raise ValueError(f"{owner}: {name} must be True or False, got {value!r}")
    return bool(value)


def check_text(owner: str, name: str, value: Any) -> str:
    """value, or a TypeError that names its owner when it is no text."""
    if not isinstance(value, str):
        raise TypeError(f"{owner}: {name} must be a text, got {value!r}")
    return value


def check_path(owner: str, name: str, value: Any) -> Path:
    """value as a Path, or a TypeError that names its owner when it names no file."""
    if not isinstance(value, (str, Path)):
        raise TypeError(f"{owner}: {name} must be the path of a file, got {value!r}")
    return Path(value)


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
