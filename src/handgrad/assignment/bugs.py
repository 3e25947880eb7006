"""Find the bug: a pair of ours as a file that needs NumPy alone, right, or with one of the table's mistakes."""

import ast
import inspect
import sys
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, get_args

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


def bug_of(name: str) -> Bug:
    """A mistake of the table, in which the backward's gradients are wrong.

    >>> bug = bug_of("layer_norm.layer_gamma_ignored")
    >>> right, wrong = bug.right.splitlines(), bug.wrong.splitlines()
    >>> bug.backward, bug.gradients, sum(a != b for a, b in zip(right[1:], wrong[1:]))
    ('layer_norm_backward', ['x', 'gamma', 'beta'], 1)
    """
    known = {it.name: it for rows in subjects().values() for it in rows}
    mistake = look_up("mistake that can stand alone", name, known)
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
    """Whether one line of the backward became another, and a gradient wrong by it: one too many costs no points."""
    if mistake.slug == "extra-gradient":
        return False
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
    gather(plain(source_of(subject.code)), resolve(subject.code[0]), needed)
    lines = sorted(needed.values(), key=lambda part: ("\n" in part, not part.startswith("import")))
    whole = "\n\n".join([f'"""{what}"""', *lines, ast.unparse(plain(text))])
    return whole.replace("\n\ndef ", "\n\n\ndef ") + "\n"


def plain(text: str) -> ast.Module:
    """The source without types, and without checks of what functions are given."""
    tree = ast.parse(text)
    for node in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        node.returns, node.body = None, [untyped(inner) for inner in node.body if not is_check(inner)]
        for argument in node.args.args:
            argument.annotation = None
    return tree


def untyped(node: ast.stmt) -> ast.stmt:
    """`y = x` for `y: Array = x`."""
    if isinstance(node, ast.AnnAssign) and node.value:
        return ast.Assign([node.target], node.value, lineno=node.lineno)
    return node


def is_check(node: ast.stmt) -> bool:
    """Whether a statement only calls a check_ function."""
    call = node.value if isinstance(node, (ast.Expr, ast.Assign)) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id.startswith("check_")


def gather(tree: ast.AST, function: Any, needed: dict[str, str]) -> None:
    """Add what a source needs of the names that a function's module knows: imports, numbers and functions."""
    known = vars(sys.modules[function.__module__])
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in sorted(names & set(known) - set(needed)):
        value = known[name]
        if isinstance(value, ModuleType):
            needed[name] = f"import {value.__name__}" + f" as {name}" * (name != value.__name__)
        elif isinstance(value, (int, float)):
            needed[name] = f"{name} = {value!r}"
        elif isinstance(value, FunctionType) and not name.startswith("check_"):
            source = plain(inspect.getsource(value))
            needed[name] = ast.unparse(source)
            gather(source, value, needed)
        elif name != function.__name__:
            raise LookupError(name)
