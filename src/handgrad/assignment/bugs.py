"""Find the bug: a pair of ours as a file that needs NumPy alone, right, or with one of the table's mistakes."""

import ast
import inspect
import sys
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, get_args

from ..arrays import Generator
from ..blanks import functions_in
from ..naming import look_up
from ..teaching.mistakes import Mistake, Subject, mistakes, resolve, source_of

MOST_LINES = 60  # of a file in which somebody looks for a mistake
WRONG = "One line of {} is wrong: find it, and mend it. What it is to compute stands in its docstring."
DRAW = '''"""What the pair is checked with. Not handed out."""

import numpy as np


def draw(rng):
    """Arguments by name."""
    normal = lambda *shape: rng.normal(size=shape)
    return dict(zip({names}, ({inputs},)), {options})
'''


class Bug(NamedTuple):
    """A pair to mend: its names, the inputs that its backward answers for, and what its files hold."""

    forward: str
    backward: str
    gradients: list[str]
    right: str
    wrong: str
    draw: str


def bug_of(name: str, rng: Generator) -> Bug:
    """One of the mistakes of a subject, in which the backward's gradients are wrong.

    >>> bug = bug_of("layer norm", np.random.default_rng(0))
    >>> right, wrong = bug.right.splitlines(), bug.wrong.splitlines()
    >>> bug.backward, bug.gradients, sum(a != b for a, b in zip(right[1:], wrong[1:]))
    ('layer_norm_backward', ['x', 'gamma', 'beta'], 1)
    """
    found = look_up("subject of the table of mistakes", name, subjects())
    mistake = found[int(rng.integers(len(found)))]
    subject, (forward, backward) = mistake.subject, map(resolve, mistake.code)
    names = list(inspect.signature(forward).parameters)
    right = standing_alone(source_of(subject.code), subject, "Right.")
    wrong = standing_alone(mistake.source(), subject, WRONG.format(backward.__name__))
    draw = DRAW.format(names=names, inputs=subject.inputs, options=subject.options)
    gradients = names[: len(get_args(inspect.signature(backward).return_annotation))]
    return Bug(forward.__name__, backward.__name__, gradients, right, wrong, draw)


@cache
def subjects() -> dict[str, list[Mistake]]:
    """The pairs that can stand alone, and their mistakes that are another line in the backward."""
    found: dict[str, list[Mistake]] = {}
    for mistake in mistakes().values():
        if len(mistake.code) == 2 and is_one_line(mistake) and "rng" not in mistake.subject.options:
            found.setdefault(mistake.subject.name, []).append(mistake)
    return {name: rows for name, rows in found.items() if stands_alone(rows[0].subject)}


def is_one_line(mistake: Mistake) -> bool:
    """Whether one line of the backward became another."""
    lines = (*mistake.right, *mistake.wrong)
    is_plain = len(lines) == 2 and all(line.strip() and "\n" not in line for line in lines)
    return is_plain and mistake.right[0].strip() in source_of(mistake.code[1:])


# One file -------------------------------------------------------------------------------------------------------------


def stands_alone(subject: Subject) -> bool:
    """Whether its pair needs no more than a few functions and numbers of ours: a file to read, not to search."""
    try:
        return standing_alone(source_of(subject.code), subject, "").count("\n") <= MOST_LINES
    except LookupError:
        return False


def standing_alone(text: str, subject: Subject, what: str) -> str:
    """A subject's source, right or wrong, below all that the right one needs; LookupError if that is too much."""
    needed: dict[str, str] = {}
    text = without_checks(text)
    for source in (without_checks(source_of(subject.code)), text):
        gather(source, known_where(resolve(subject.code[0])), needed)
    kinds = [name for name, line in needed.items() if not line]
    lines = sorted(line for line in needed.values() if line.startswith("import "))
    if kinds:
        needed["kinds"] = f"{' = '.join(kinds)} = object  # kinds of arguments"
    constants = [line for line in needed.values() if line and "\n" not in line and line not in lines]
    functions = [source for source in needed.values() if "\n" in source]
    head = "\n".join([f'"""{what}"""', "", "from __future__ import annotations", "", *lines, "", *constants])
    return "\n\n\n".join([head.rstrip(), *functions, *text.strip().split("\n\n\n")]) + "\n"


def gather(text: str, known: dict[str, Any], needed: dict[str, str]) -> None:
    """Add what a source needs of the names known to its module: a line or a function; '' for the name of a type."""
    nodes = list(ast.walk(ast.parse(text)))
    marks = {inner for node in nodes for mark in annotations(node) for inner in ast.walk(mark)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {node.id for node in names if node not in marks}
    for name in sorted({node.id for node in names} & set(known) - {name for name, line in needed.items() if line}):
        value = known[name]
        if isinstance(value, FunctionType) and not name.startswith("check_"):
            needed[name] = without_checks(inspect.getsource(value)).strip()
            gather(needed[name], known_where(value), needed)
        elif isinstance(value, ModuleType):
            needed[name] = f"import {value.__name__}" + f" as {name}" * (name != value.__name__)
        elif isinstance(value, (int, float)):
            needed[name] = f"{name} = {value!r}"
        elif name not in used:
            needed[name] = ""
        else:
            raise LookupError(name)


def annotations(node: ast.AST) -> list[ast.AST]:
    """What a node says of types."""
    marks = (getattr(node, "annotation", None), getattr(node, "returns", None))
    return [mark for mark in marks if isinstance(mark, ast.AST)]


def known_where(function: Any) -> dict[str, Any]:
    """The names of the module that a function stands in."""
    return vars(sys.modules[function.__module__])


def without_checks(text: str) -> str:
    """The source without statements of its functions that only call a check_ function."""
    lines = text.splitlines(keepends=True)
    for function in functions_in(text).values():
        for node in function.body:
            call = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("check_"):
                lines[node.lineno - 1 : node.end_lineno] = [""] * len(lines[node.lineno - 1 : node.end_lineno])
    return "".join(lines)
