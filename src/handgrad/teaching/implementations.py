"""The code that a write-up shows, and what the gradient check says of it."""

import ast
import importlib
import inspect
import math
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from types import ModuleType
from typing import Any

from ..courses import COURSES
from ..courses.copies import is_module, read_course
from ..naming import nearest
from ..text import error_text
from ..user_files import check_one, discover, load
from .document import Block, Code, Heading, Paragraph, Table

HOW_TO_NAME = "(give --code a module such as handgrad.functional.linear, or a FILE.py)"


def implementations(specs: Iterable[str], seed: int = 0) -> Iterator[Block]:
    """Blocks for each 'MODULE', 'FILE.py' or 'MODULE:NAME,NAME': its code, with the checks of the gradients in it.

    The name of a course stands for all that its homework asks for, in the modules of the working folder.
    """
    for spec in chain.from_iterable(homework(spec) if spec in COURSES else [spec] for spec in specs):
        module, names, where = find(spec)
        targets = discover(module)
        given = getattr(module, "check_inputs", {})
        given = given() if callable(given) else given
        for title, things in shown_parts(module, names, where).items():
            yield Heading(f"{where}: {title}", 1)
            yield Code("\n\n".join(source_of(thing, module) for thing in things))
            if target := targets.get(title) or imported_target(title, things[0]):
                yield from gradient_blocks(title, target, given, where, seed)


def homework(course: str) -> list[str]:
    """'MODULE:NAME,NAME' for each module in which the course asks for something: classes whole, functions as pairs."""
    specs = []
    for path, names in ((p, names) for p, names in read_course(course).blank.items() if is_module(course, p)):
        titles = dict.fromkeys(re.sub("_(forward|backward)", "", name.partition(".")[0]) for name in names)
        specs.append(f"{path.removesuffix('.py').replace('/', '.')}:{','.join(titles)}")
    return specs


def imported_target(title: str, thing: Any) -> Any:
    """What to check of a class that the module has from another one; None where that has no gradient."""
    home = inspect.getmodule(thing)
    return discover(home).get(title) if home and inspect.isclass(thing) else None


def find(spec: str) -> tuple[ModuleType, list[str], str]:
    """(module, the names asked for, what to call the module)."""
    where, colon, chosen = spec.rpartition(":")
    names = chosen.split(",")
    if not colon or not all(part.isidentifier() for name in names for part in name.split(".")):
        where, names = spec, []
    if where.endswith(".py"):
        return load(where), names, where
    try:
        with import_from_working_folder():
            return importlib.import_module(where), names, where
    except Exception as problem:  # whatever the module itself raises
        cause = f"{type(problem).__name__}: {problem}"
        raise ValueError(f"the module {where} does not import: {cause} {HOW_TO_NAME}") from None


@contextmanager
def import_from_working_folder() -> Iterator[None]:
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())


def shown_parts(module: ModuleType, names: Sequence[str], where: str) -> dict[str, Sequence[Any]]:
    """{title: functions or classes to show}: a pair's two functions go together. ValueError for an unknown name."""
    pairs = {name: target for name, target in discover(module).items() if isinstance(target, tuple)}
    parts: dict[str, Sequence[Any]] = {}
    for name, thing in vars(module).items():
        is_code = inspect.isfunction(thing) or inspect.isclass(thing)
        if is_code and not name.startswith("_") and thing.__module__ == module.__name__:
            title = next((pair for pair, functions in pairs.items() if thing in functions), name)
            parts.setdefault(title, pairs.get(title, (thing,)))
    if not names and not parts:
        remedy = f"name a module that does, or what to show of this one ({where}:NAME)"
        raise ValueError(f"{where} defines no functions or classes to show; {remedy}")
    known = [*parts, *vars(module)]
    return {name: parts.get(name) or (attribute(module, name, known, where),) for name in names} or parts


def attribute(module: ModuleType, name: str, known: Iterable[str], where: str) -> Any:
    thing: Any = module
    for part in name.split("."):
        if not hasattr(thing, part):
            raise ValueError(f"{where} has no '{name}' to show{nearest(name, [k for k in known if k[0] != '_'])}")
        thing = getattr(thing, part)
    return thing


def source_of(thing: Any, module: ModuleType) -> str:
    """The source of a function or class; ValueError where there is none to be had."""
    try:
        is_loose = sys.modules.get(module.__name__) is not module
        if is_loose and inspect.isclass(thing) and thing.__module__ == module.__name__:
            return class_source(thing.__name__, inspect.getsource(module))
        return textwrap.dedent(inspect.getsource(thing)).rstrip("\n")
    except (OSError, TypeError, StopIteration):
        name = getattr(thing, "__qualname__", thing)
        remedy = "write-ups show functions and classes of Python files"
        raise ValueError(f"cannot read the source of {name}: {remedy}") from None


def class_source(name: str, text: str) -> str:
    """The source of a class within a file's; inspect would not find one of a file that is not in sys.modules."""
    nodes = ast.walk(ast.parse(text))
    node = next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def gradient_blocks(title: str, target: Any, given: Mapping[str, Any], where: str, seed: int) -> Iterator[Block]:
    """What the check of one pair or layer found: a sentence, a table of its gradients, and the verdicts."""
    try:
        report = check_one(title, target, given, where, seed)
    except ValueError as problem:
        yield Paragraph(f"Its gradients were not checked: {problem}.")
        return
    sure = f"(a random upstream gradient, seed {report.seed})"
    if report.ok:
        outcome = f"every gradient is right, the largest relative error being {error_text(report.max_error)} {sure}"
    else:
        outcome = f"not every gradient is right {sure}"
    yield Paragraph(f"Gradient check: {outcome}.")
    rows = []
    for name, check in report.arrays.items():
        shape, error = "×".join(map(str, check.shape)), "" if math.isnan(check.error) else error_text(check.error)
        entries, verdict = f"{check.num_checked:,} of {check.size:,}", "right" if check.ok else "wrong"
        rows.append([name, shape or "one number", error, check.method, entries, verdict])
    if rows:
        yield Table(["gradient by", "shape", ">error", "compared with", ">entries", "verdict"], rows)
    for found in report.verdicts:
        yield Paragraph(f"{found.array + ': ' if found.array else ''}{found.message}")
