"""The pairs and layers in somebody's file: found by their names, given example arrays, and checked."""

import contextlib
import difflib
import inspect
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..files import read_arrays
from ..gradient_check import Report, check_gradients
from ..gradient_check.report import section, title_of
from ..gradient_check.verdict import Fault
from ..naming import nearest
from ..user_code.arguments import name_of
from ..user_code.faults import refuse_without_self
from .confinement import confine
from .guesses import fitting
from .loading import import_folders, load, load_machinery
from .runner import Limits, Outcome, can_be_parent, read_source, run, run_each
from .serving import at, line_of, quoted

MOST_LEFT = 300  # functions without a partner, each compared with all others
CHECK = f"{__name__}:check_named"
DERIVATIVES = ("{}_backward", "{}_gradient", "{}_grad", "{}_derivative", "{}_prime", "grad_{}", "d{}", "d_{}")


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
    source = read_source(path).decode("latin-1")
    told = {"path": str(path), "source": source, "options": options, "with_page": with_page}
    given: dict[str, Any] = dict(file=str(path), limits=limits or Limits(), while_waiting=while_waiting)
    all_of_it = {**told, "name": name, "limits": given["limits"]}
    with contextlib.closing(run_each(f"{__name__}:check_all", all_of_it, **given)) as outcomes:
        imported, heard = next(outcomes), Outcome()
        if imported.problem:
            raise ValueError(imported.problem)
        if imported.mistake:
            yield checked(imported, Report(str(path), **shown), heard, with_page)
            return
        for key in chosen(name, imported.data, path):
            started = time.perf_counter()
            ending = next(outcomes, imported).data
            if isinstance(ending, dict) and ending["mistake"] != "process-died":
                num_dropped = imported.num_dropped + ending["num_dropped"]
                outcome = Outcome(
                    **{**ending, "printed": imported.printed + ending["printed"], "num_dropped": num_dropped}
                )
            else:  # no copy was safe, or the file may have changed what copies need
                outcome = run(CHECK, {**told, "name": key}, **given)
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


def check_all(path: str, source: str, name: str | None, limits: Sequence[Any], **told: Any) -> Iterator[Any]:
    """The names of what a file has to check, then what came of each, in a copy of this process, which has imported it.

    It ends with the names where no copy is safe: elsewhere than on Linux, and when the file has started a thread.
    """
    found, _ = loaded(path, source)
    yield list(found)
    for key in chosen(name, found, path) if can_be_parent() else ():
        arguments = dict(path=path, source=source, name=key, **told)
        yield run(CHECK, arguments, path, Limits(*limits), keeps_open=True)._asdict()


def check_named(path: str, source: str, name: str, options: dict[str, Any], with_page: bool) -> dict[str, Any]:
    """Fields of Checked for one thing in a file."""
    found, given = loaded(path, source)
    return fields_of(check_one(name, found[name], given, path, **options), with_page)


@cache
def loaded(path: str, source: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """What a file has to check and with which arrays; it is imported once in this process and its copies."""
    module = load(path, source.encode("latin-1"))
    found = targets_in(module, path)
    given = inputs_of(module, found, path)
    sys.modules[module.__name__] = module
    sys.path += import_folders(Path(path).resolve())  # for imports in functions
    return found, given


def check_handed_in(folder: str, file: str, forward: str, inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """The verdicts on a pair of `folder`/code/`file`, in a process that may read nothing else.

    inputs has the arguments that are no arrays; those that are stand in `folder`/arrays.npz.
    """
    load_machinery()
    arrays, path = read_arrays(Path(folder, "arrays.npz"))[0], Path(folder, "code", file)
    confine([Path(__file__).parents[1], np.__path__[0], f"{np.__path__[0]}.libs"], [folder, Path.cwd().parent])
    module = load(path)
    sys.modules[module.__name__] = module
    found, owner = targets_in(module, path), forward.rpartition(".")[0]
    name = owner or forward.replace("_forward", "").replace("forward_", "")
    given = [arrays.get(key, value) for key, value in inputs.items()]
    report = check_one(name, found[name], {name: [found[name](), *given] if owner else given}, path)
    return [vars(verdict) for verdict in report.verdicts]


def fields_of(report: Report, with_page: bool) -> dict[str, Any]:
    page = {"title": title_of(report), "section": section(report)} if with_page else {}
    return {"ok": report.ok, "report": report.to_dict(), "text": str(report), **page}


# What is in it ---------------------------------------------------------------------------------------------------


def targets_in(module: ModuleType, path: str | Path) -> dict[str, Any]:
    """What `discover` finds, and a line on each whose partner is misspelt; ValueError where that is nothing."""
    found = discover(module)
    found |= misspelt(module, found)
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
    own, found = defined_in(module), dict[str, Any]()
    for name, thing in own.items():
        if inspect.isclass(thing) and hasattr(thing, "forward") and hasattr(thing, "backward"):
            if not inspect.isabstract(thing):
                found[name] = thing
        elif callable(thing) and not inspect.isclass(thing) and (pair := partner(name, own)) is not None:
            found[without_forward(name)] = (thing, own[pair])
    return found


def defined_in(module: ModuleType) -> dict[str, Any]:
    own = vars(module).items()
    return {k: v for k, v in own if getattr(unwrapped(v), "__module__", None) == module.__name__ and k[0] != "_"}


def unwrapped(thing: Any) -> Any:
    """What a functools.partial calls."""
    return unwrapped(thing.func) if isinstance(thing, partial) else thing


def without_forward(name: str) -> str:
    return name.replace("_forward", "").replace("forward_", "")


def partner(name: str, own: Mapping[str, Any]) -> str | None:
    """The name of the backward or derivative that belongs to a function, or None."""
    return next((name for name in partners(name) if name in own), None)


def partners(name: str) -> list[str]:
    """The names that the backward or derivative of a function may have."""
    every = [pattern.format(name) for pattern in DERIVATIVES]
    return [name.replace("forward", "backward")] if "forward" in name else every


def misspelt(module: ModuleType, found: Mapping[str, Any]) -> dict[str, str]:
    """{name: a line} of functions and classes whose backward or forward is there under nearly its name."""
    own, said = defined_in(module), dict[str, str]()
    taken = {name_of(part) for target in found.values() if isinstance(target, tuple) for part in target}
    left = [name for name, thing in own.items() if inspect.isfunction(thing) and thing.__name__ not in taken]
    left = left[:MOST_LEFT]
    for name, thing in own.items():
        if inspect.isclass(thing):
            lacking = [part for part in ("forward", "backward") if not hasattr(thing, part)]
            due, near = lacking * (len(lacking) == 1), [*vars(thing)]
        elif name in left and "backward" in name:
            due, near = [name.replace("backward", "forward")], [n for n in left if "backward" not in n]
        else:
            due, near = partners(name) * (name in left), [n for n in left if n != name and "forward" not in n]
            near = near if "forward" in name else [n for n in near if n.startswith(f"{name}_")]
        for right in due:
            if close := difflib.get_close_matches(right, near, n=1, cutoff=0.85):
                said.setdefault(without_forward(name), f"{name} has no {right}; did you mean that by '{close[0]}'?")
    return said


def check_one(
    name: str, target: Any, given: Mapping[str, Any], path: str | Path, seed: int = 0, **options: Any
) -> Report:
    """The report on one thing in a file, with its entry of check_inputs or guessed arrays."""
    if isinstance(target, str):  # what is wrong with its name
        raise ValueError(f"{path}: {target}")
    try:
        refuse_without_self(target)
    except TypeError as problem:
        raise ValueError(f"{path}: {problem}") from None
    if (key := next((k for k in (name, f"{name}_forward") if k in given), None)) is None:
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
