"""The pairs and layers in somebody's file: found by their names, given example arrays, and checked."""

import contextlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Generator, Shape
from ..naming import nearest
from ..runner import Limits, Outcome, at, line_of, quoted, read_source, run
from .check import check_gradients
from .faults import NotWritten
from .recognize import recognize
from .report import Report, section, title_of
from .subjects import POSITIONAL, Function, parameters_of
from .verdict import CodeFault, Fault

# the thing to check, its arrays, its keywords
Trial: TypeAlias = tuple[Any, list[Any], dict[str, Any]]
# of an input, a matrix or kernel, and a vector; and the size of the input's last axis
Shapes: TypeAlias = tuple[Shape, Shape, Shape, int]

DERIVATIVES = ("{}_backward", "{}_gradient", "{}_grad", "{}_derivative", "{}_prime", "grad_{}", "d{}", "d_{}")
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
)


class Checked(NamedTuple):
    """What came of one pair or layer of somebody's file.

    Attributes
    ----------
    name : str
        Its name.
    ok : bool
        Whether every gradient is right.
    report : dict
        `Report.to_dict()`; empty where it could not be checked.
    text : str
        The report as lines.
    title, section : str
        Its part of a page, where one was asked for.
    problem : str
        The line that says why it could not be checked; '' where it was.
    printed : str
        What it printed.
    """

    name: str
    ok: bool = False
    report: Mapping[str, Any] = {}
    text: str = ""
    title: str = ""
    section: str = ""
    problem: str = ""
    printed: str = ""


def check_file(path: str | Path, name: str | None = None, seed: int = 0) -> list[tuple[str, Report]]:
    """[(name, Report)] of every pair, layer and function with a gradient in a Python file, or of the one named.

    Found are x_forward with x_backward, f with f_grad (f_backward, f_gradient, f_prime, grad_f...), and classes
    with a forward and a backward. Example arrays come from the file's `check_inputs` = {name: arguments}, and are
    guessed from parameter names where there is no entry. Raises ValueError when the file does not import, defines
    nothing to check, or no guess fits. The file runs in this process; `check_apart` is safe from what it does.
    """
    module = load(path)
    found = targets_in(module, path)
    given = inputs_of(module, found, path)
    return [(key, check_one(key, found[key], given, path, seed)) for key in chosen(name, found, path)]


def check_apart(
    path: str | Path,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    while_waiting: Callable[[], object] = bool,
    with_page: bool = False,
) -> Iterator[Checked]:
    """What `check_file` finds, each checked in a process of its own: endless loops and crashes are verdicts.

    Parameters
    ----------
    path, name
        As in `check_file`.
    options : dict, optional
        Of `check_gradients`: seed, hints, and a reference by its name.
    limits : Limits, optional
        What the import, and then each check, may take.
    while_waiting : callable
        See `runner.run`.
    with_page : bool
        Whether parts of a page are wanted too.

    Yields
    ------
    Checked
        As soon as it is done. Of a file that ends its import, or never does, one under the file's name.

    Raises
    ------
    ValueError
        When the file cannot be read, its import raises, or it has nothing to check.
    """
    load_machinery()
    options = dict(options or {})
    shown = {field: options[field] for field in ("seed", "hints") if field in options}
    told = {"path": str(path), "source": read_source(path).decode("latin-1")}
    run_task = partial(run, file=str(path), limits=limits, while_waiting=while_waiting)
    imported, heard = run_task(f"{__name__}:names_in", told), Outcome()
    if imported.problem:
        raise ValueError(imported.problem)
    if imported.mistake:
        yield checked(imported, Report(str(path), **shown), heard, with_page)
        return
    for key in chosen(name, imported.data, path):
        started = time.perf_counter()
        arguments = {**told, "name": key, "options": options, "with_page": with_page}
        outcome = run_task(f"{__name__}:check_named", arguments)
        yield checked(outcome, Report(key, seconds=time.perf_counter() - started, **shown), heard, with_page)
        heard = imported


def checked(outcome: Outcome, ending: Report, heard: Outcome, with_page: bool) -> Checked:
    """What came of one check, without the prints heard before; what ended its process is a verdict of its report."""
    printed, dropped = outcome.printed.removeprefix(heard.printed), outcome.num_dropped - heard.num_dropped
    if dropped > 0:
        printed += f"\n… and {dropped:,} bytes more"
    if outcome.mistake:
        ending.add(Fault("", outcome.mistake, outcome.message, line=outcome.line))
        outcome = outcome._replace(data=fields_of(ending, with_page))
    return Checked(ending.target, **outcome.data or {}, problem=outcome.problem, printed=printed.rstrip("\n"))


# In the child: what `check_apart` asks for -----------------------------------------------------------------------


def names_in(path: str, source: str) -> list[str]:
    """The names of what a file has to check, once it says rightly with which arrays."""
    module = load(path, source.encode("latin-1"))
    found = targets_in(module, path)
    inputs_of(module, found, path)
    return list(found)


def check_named(path: str, source: str, name: str, options: dict[str, Any], with_page: bool) -> dict[str, Any]:
    """Fields of Checked for one thing in a file."""
    module = load(path, source.encode("latin-1"))
    sys.modules[module.__name__] = module
    sys.path += import_folders(Path(path).resolve())  # for imports in functions
    found = targets_in(module, path)
    report = check_one(name, found[name], inputs_of(module, found, path), path, **options)
    return fields_of(report, with_page)


def fields_of(report: Report, with_page: bool) -> dict[str, Any]:
    page = {"title": title_of(report), "section": section(report)} if with_page else {}
    return {"ok": report.ok, "report": report.to_dict(), "text": str(report), **page}


# The file as a module --------------------------------------------------------------------------------------------


def load_machinery() -> None:
    """Load what checks need, once for all copies, before a folder comes first on the path where a random.py may be."""
    np.random.default_rng(0)
    importlib.import_module(".run", __package__)
    inspect.getmodule(load.__code__)  # it looks at every module's file, but once


def load(path: str | Path, source: bytes | None = None) -> ModuleType:
    """The file as a module, from what it holds or from the source given. Its own error becomes one line."""
    load_machinery()
    source = read_source(path) if source is None else source
    module = empty_module(Path(path))
    name, folders = module.__name__, import_folders(Path(path).resolve())
    sys.path[:0] = folders
    sys.modules[name] = module  # where dataclasses look
    try:
        text = decoded(source, path)
        lines = [line + "\n" for line in text.split("\n")]
        linecache.cache[str(path)] = (len(source), None, lines, str(path))  # whatever becomes of the file
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as problem:
        what = f"{quoted(problem)}{at(line_of(problem, str(path)))}"
        raise ValueError(f"{path} does not import: {what}{way_out(problem)}") from None
    finally:
        sys.modules.pop(name, None)
        for folder in folders:
            with contextlib.suppress(ValueError):  # the file may have changed the path
                sys.path.remove(folder)
    return module


def decoded(source: bytes, path: str | Path) -> str:
    """The source as text, in the encoding that it says."""
    try:
        return importlib.util.decode_source(source)
    except UnicodeDecodeError as problem:
        line = source.count(b"\n", 0, problem.start) + 1
        raise SyntaxError(f"line {line} is no text in {problem.encoding.upper()}: save the file as such") from None


def way_out(problem: BaseException) -> str:
    """What to do about an error of the import; '' where it says so itself."""
    if isinstance(problem, (EOFError, SystemExit)):
        return "; what should not run here goes below  if __name__ == '__main__':"
    return "; give its folder an empty __init__.py" if "relative import" in str(problem) else ""


def empty_module(path: Path) -> ModuleType:
    """A module for a file, of the package that it is part of; never under a name that another module may want."""
    home = import_folders(path.resolve())[-1]
    package, _, name = ".".join(path.resolve().relative_to(home).with_suffix("").parts).rpartition(".")
    full = f"{package}.{name}" if package else name
    while full in sys.modules or full in sys.stdlib_module_names:
        full += "_"
    module = ModuleType(full)
    module.__file__, module.__package__ = str(path), package
    return module


def import_folders(path: Path) -> list[str]:
    """Where a file's imports may stand: its folder, and the one that holds the package it is part of."""
    home = next(folder for folder in path.parents if not (folder / "__init__.py").exists())
    return list(dict.fromkeys([str(path.parent), str(home)]))


# What is in it ---------------------------------------------------------------------------------------------------


def targets_in(module: ModuleType, path: str | Path) -> dict[str, Any]:
    """What `discover` finds, or a ValueError where that is nothing."""
    found = discover(module)
    if not found:
        what = f"{path} has nothing to check"
        raise ValueError(f"{what}: no x_forward with x_backward, class with forward and backward, f with f_grad")
    return found


def chosen(name: str | None, found: Iterable[str], path: str | Path) -> list[str]:
    """The one named, or all names."""
    names = list(found)
    if name is not None and name not in names:
        raise ValueError(f"{path} has no '{name}' to check{nearest(name, names)} (there are: {', '.join(names)})")
    return names if name is None else [name]


def inputs_of(module: ModuleType, found: Iterable[str], path: str | Path) -> Mapping[str, Any]:
    """The file's check_inputs, of things that it has."""
    given = getattr(module, "check_inputs", {})
    try:
        given = given() if callable(given) else given
    except Exception as problem:
        where = at(line_of(problem, str(path)))
        raise ValueError(f"{path}: check_inputs() raised {quoted(problem)}{where}") from None
    if not isinstance(given, Mapping):
        raise ValueError(f"{path}: check_inputs must be a dict of names and arguments, got {type(given).__name__}")
    known = {*found, *(f"{name}_forward" for name in found)}
    for name in given:
        if name not in known:
            raise ValueError(f"{path}: check_inputs is for '{name}', which it has no check of{nearest(name, found)}")
    return given


def discover(module: ModuleType) -> dict[str, Any]:
    """{name: target} of what the module itself defines, in its order."""
    own = {k: v for k, v in vars(module).items() if getattr(v, "__module__", None) == module.__name__ and k[0] != "_"}
    found: dict[str, Any] = {}
    for name, thing in own.items():
        if inspect.isclass(thing) and hasattr(thing, "forward") and hasattr(thing, "backward"):
            if not inspect.isabstract(thing):
                found[name] = thing
        elif inspect.isfunction(thing):
            pair = partner(name, own)
            if pair is not None:
                found[name.replace("_forward", "").replace("forward_", "")] = (thing, own[pair])
    return found


def partner(name: str, own: Mapping[str, Any]) -> str | None:
    """The name of the backward or derivative that belongs to a function, or None."""
    names = [pattern.format(name) for pattern in DERIVATIVES]
    names = [name.replace("forward", "backward")] if "forward" in name else names
    return next((name for name in names if name in own), None)


def check_one(
    name: str, target: Any, given: Mapping[str, Any], path: str | Path, seed: int = 0, **options: Any
) -> Report:
    """The report on one thing in a file, with its entry of check_inputs or guessed arrays."""
    key = next((k for k in (name, f"{name}_forward") if k in given), None)
    if key is None:
        target, arrays, kwargs = fitting(name, target, path, seed)
    else:
        arrays, kwargs = [*given[key]] if isinstance(given[key], (tuple, list)) else [given[key]], {}
        if isinstance(target, type) and arrays and isinstance(arrays[0], target):
            target, *arrays = arrays
    try:
        report = check_gradients(target, *arrays, kwargs=kwargs, seed=seed, **options)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{path}: {name} cannot be checked: {problem}") from None
    report.target = name
    return report


def fitting(name: str, target: Any, path: str | Path, seed: int) -> Trial:
    """(target, arrays, kwargs): the first guess that the forward runs on."""
    problem = "its constructor refused what was guessed"
    for thing, arrays, kwargs in trials(target, seed):
        try:
            recognize(thing, arrays, kwargs, None, None, seed).at(np.float64).forward()
        except CodeFault as fault:
            if isinstance(fault, NotWritten) or not isinstance(fault.__cause__, MISFITS):
                return thing, arrays, kwargs
            problem = fault.verdict.message
        except (TypeError, ValueError) as refused:
            problem = str(refused)
        else:
            return thing, arrays, kwargs
    raise ValueError(f"{path}: no guessed arrays suit {name} ({problem}); {ADVICE.format(name=name)}")


def trials(target: Any, seed: int) -> Iterator[Trial]:
    """Guesses of what to check: the target, or objects of a class, each with arrays."""
    if isinstance(target, tuple):
        yield from ((target, arrays, kwargs) for arrays, kwargs in guesses(target[0], seed))
    elif isinstance(inspect.getattr_static(target, "forward"), staticmethod):
        for arrays, kwargs in guesses(target.forward, seed):
            yield target, arrays[1:], kwargs
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
    return ["x"] if given is None else [p.name for p in given if p.default is p.empty and p.kind in POSITIONAL]


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
