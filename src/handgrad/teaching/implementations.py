"""The code that a write-up shows, and what the gradient check says of it."""

import ast
import importlib
import inspect
import os
import sys
import textwrap
from contextlib import contextmanager

from ..gradient_check.user_files import check_one, discover, load
from ..naming import nearest
from .document import Code, Heading, Paragraph, Table


def implementations(specs, seed=0):
    """Blocks for each 'MODULE', 'FILE.py' or 'MODULE:NAME,NAME': its code, with the checks of the gradients in it."""
    for spec in specs:
        module, names, where = find(spec)
        parts = shown_parts(module, names, where)
        targets = discover(module)
        given = getattr(module, "check_inputs", {})
        given = given() if callable(given) else given
        for title, things in parts.items():
            yield Heading(f"{where}: {title}", 1)
            yield Code("\n\n".join(source_of(thing, module) for thing in things))
            target = targets.get(title) or imported_target(title, things[0])
            if target:
                yield from gradient_blocks(title, target, given, where, seed)


def imported_target(title, thing):
    """What to check of a class that the module has from another one; None where that has no gradient."""
    home = inspect.getmodule(thing)
    return discover(home).get(title) if home and inspect.isclass(thing) else None


def find(spec):
    """(module, the names asked for, what to call the module)."""
    where, colon, names = spec.rpartition(":")
    if not colon or not all(part.isidentifier() for name in names.split(",") for part in name.split(".")):
        where, names = spec, ""
    if where.endswith(".py"):
        return load(where), list(filter(None, names.split(","))), where
    try:
        with working_folder_importable():
            return importlib.import_module(where), list(filter(None, names.split(","))), where
    except Exception as problem:  # whatever the module itself raises
        raise ValueError(
            f"the module {where} does not import: {type(problem).__name__}: {problem} "
            "(give --code a module such as handgrad.functional.linear, or a FILE.py)"
        ) from None


@contextmanager
def working_folder_importable():
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())


def shown_parts(module, names, where):
    """{title: functions or classes to show}: a pair's two functions go together. ValueError for an unknown name."""
    own = {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    }
    pairs = {name: target for name, target in discover(module).items() if isinstance(target, tuple)}
    paired = {function for pair in pairs.values() for function in pair}
    parts = {}
    for name, thing in own.items():
        pair = next((key for key, target in pairs.items() if thing in target), None)
        parts.setdefault(pair or name, pairs[pair] if thing in paired else (thing,))
    if not names:
        if not parts:
            raise ValueError(
                f"{where} defines no functions or classes to show; name a module that does, or what "
                f"to show of this one ({where}:NAME)"
            )
        return parts
    return {name: parts.get(name) or (attribute(module, name, [*parts, *vars(module)], where),) for name in names}


def attribute(module, name, known, where):
    thing = module
    for part in name.split("."):
        if not hasattr(thing, part):
            raise ValueError(f"{where} has no '{name}' to show{nearest(name, [k for k in known if k[0] != '_'])}")
        thing = getattr(thing, part)
    return thing


def source_of(thing, module):
    """The source of a function or class; ValueError where there is none to be had."""
    try:
        if not (
            inspect.isclass(thing)
            and sys.modules.get(thing.__module__) is not module
            and thing.__module__ == module.__name__
        ):
            return textwrap.dedent(inspect.getsource(thing)).rstrip("\n")
        text = inspect.getsource(module)  # a class of a file that is not in sys.modules: inspect would not find it
        node = next(
            node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef) and node.name == thing.__name__
        )
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    except (OSError, TypeError, StopIteration):
        raise ValueError(
            f"the source of {getattr(thing, '__qualname__', thing)} is not to be had; "
            "write-ups show functions and classes that stand in a Python file"
        ) from None


def gradient_blocks(title, target, given, where, seed):
    """What the check of one pair or layer found: a sentence, a table of its gradients, and the verdicts."""
    try:
        report = check_one(title, target, given, where, seed)
    except ValueError as problem:
        yield Paragraph(f"Its gradients were not checked: {problem}.")
        return
    yield Paragraph(summary(report))
    rows = [
        [
            name,
            "x".join(map(str, check.shape)) or "one number",
            f"{check.error:.1e}" if check.error == check.error else "",
            check.method,
            f"{check.num_checked:,} of {check.size:,}",
            "right" if check.ok else "wrong",
        ]
        for name, check in report.arrays.items()
    ]
    if rows:
        yield Table(["gradient by", "shape", ">error", "compared with", ">entries", "verdict"], rows)
    for verdict in report.verdicts:
        yield Paragraph(f"{verdict.array + ': ' if verdict.array else ''}{verdict.message}")


def summary(report):
    if report.ok:
        return (
            f"Gradient check: every gradient is right, the largest relative error being {report.max_error:.1e} "
            f"(a random upstream gradient, seed {report.seed})."
        )
    return f"Gradient check: not every gradient is right (a random upstream gradient, seed {report.seed})."
