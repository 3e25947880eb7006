"""Faults of the code under test: exceptions, told with their author's line, and functions not written yet."""

import ast
import inspect
import linecache
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..text import complaint
from .slots import parts
from .tracing import definition_of, is_ours, is_users

LAYER_METHODS = "compute", "differentiate"  # which our Layer's forward and backward call


class CodeFault(Exception):
    """A fault of the code itself.

    Attributes
    ----------
    mistake : str
        Its name, a word of the vocabulary of mistakes.
    message : str
        What is wrong, in a sentence.
    evidence : str
        Why we think so.
    line : int or None
        The number of its line in the file, where that is known.
    """

    def __init__(self, mistake: str, message: str, evidence: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.mistake: str = mistake
        self.message: str = message
        self.evidence: str = evidence
        self.line: int | None = line


class Stop(NamedTuple):
    """Where code stopped: the frame, and its line."""

    frame: FrameType
    line: int

    @property
    def name(self) -> str:
        """The function's name, a method's with its class."""
        owner, name = self.frame.f_locals.get("self"), self.frame.f_code.co_name
        return name if owner is None else f"{type(owner).__name__}.{name}"

    @property
    def shapes(self) -> str:
        """The line in the words of the source, and the shapes of the arrays that it names."""
        text = linecache.getline(self.frame.f_code.co_filename, self.line).strip()
        held = {name: self.frame.f_locals.get(name) for name in re.findall(r"\w+", text)}
        shapes = ", ".join(f"{name} is {value.shape}" for name, value in held.items() if isinstance(value, np.ndarray))
        return f"{text}  where {shapes}" if text and shapes else text


@contextmanager
def report_faults(part: str, function: Any) -> Iterator[None]:
    """While it lasts, an exception of the code under test, in a call of function, becomes a fault told in one line."""
    try:
        yield
    except CodeFault:
        raise
    except (Exception, SystemExit) as problem:
        raise fault_of(problem, part, function) from problem


def fault_of(problem: BaseException, part: str, function: Any) -> CodeFault:
    """What an exception means: a function not written, a matrix not transposed, or what it says."""
    stops = [Stop(frame, line) for frame, line in traceback.walk_tb(problem.__traceback__)]
    own = [stop for stop in stops if is_users(stop.frame.f_code)]
    stop = next((s for s in reversed(own) if s.frame.f_code.co_filename == own[0].frame.f_code.co_filename), None)
    line, said = stop.line if stop else line_of(function), complaint(problem).split("\n")[0]
    if isinstance(problem, NotImplementedError):
        return NotWritten([stops[-1].name], said, line)
    if "None" in said and (helper := unwritten_helper(function)):
        return NotWritten([helper], f"the {part} needs it in line {line}", line)
    if mirrored(said):
        said += ": one is the other's transpose"
    mistake = "transposed" if mirrored(said) else f"{part}-raises"
    where = f" (line {line} of {stop.name})" if stop else ""
    message = f"the {part} raised {type(problem).__name__}{said and ': '}{said}{where}"
    return CodeFault(mistake, message, stop.shapes if stop else "", line)


def mirrored(said: str) -> bool:
    """Whether an exception complains of two shapes such as (3,5) and (5,3)."""
    shapes = [tuple(map(int, pair)) for pair in re.findall(r"\((\d+), ?(\d+)\)", said)]
    return len(shapes) == 2 and shapes[0] == shapes[1][::-1] and shapes[0] != shapes[1]


# Functions that are still to be written -------------------------------------------------------------------------


class NotWritten(CodeFault):
    """The fault of functions without a body."""

    def __init__(self, names: Sequence[str], said: str = "", line: int | None = None) -> None:
        message = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not written yet{said and f': {said}'}"
        super().__init__("not-written", message, line=line)


def refuse_unwritten(*targets: Any) -> None:
    """Raise the fault where functions of what is to be checked, or of its layers, are still to be written."""
    blank = {name: f for target in targets for name, f in functions_of(target) if is_users(f.__code__) and is_blank(f)}
    if blank:
        raise NotWritten([*blank], line=min(f.__code__.co_firstlineno for f in blank.values()))


def refuse_without_self(target: Any) -> None:
    """TypeError where the forward or backward of a class, or of an object, is written as if it were a function."""
    owner = target if isinstance(target, type) else type(target)
    for name in ("forward", "backward"):
        method = inspect.getattr_static(owner, name, None)
        if isinstance(method, FunctionType) and is_users(method.__code__) and lacks_self(method):
            names = ", ".join(inspect.signature(method).parameters)
            due = f"write def {name}({', '.join(filter(None, ('self', names)))})"
            line = f"line {method.__code__.co_firstlineno}"
            raise TypeError(f"{owner.__name__}.{name}({names}) lacks self, {line}: {due}")


def lacks_self(method: FunctionType) -> bool:
    """Whether a method's first parameter is not the object: by its name, or since its attributes are never used."""
    given = [p.name for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    if not given:
        return not method.__code__.co_flags & inspect.CO_VARARGS
    needs = 2 if method.__name__ == "forward" else 1
    looks = given[0].lower().startswith(("d", "grad", "upstream")) if needs == 1 else len(given) < needs
    open_ended = method.__code__.co_flags & inspect.CO_VARARGS
    return given[0] != "self" and looks and not open_ended


def functions_of(target: Any) -> Iterator[tuple[str, FunctionType]]:
    """(name, function) of the plain functions that a check of the target calls."""
    if isinstance(target, (tuple, list)):
        for part in target:
            yield from functions_of(part)
    elif function := plain(target):
        yield function.__name__, function
    else:
        owner = target if isinstance(target, type) else type(target)
        forward = plain(getattr(target, "forward", None))
        written_by_us = forward is not None and is_ours(forward.__code__)
        called = ("forward", "backward", *LAYER_METHODS) if written_by_us else ("forward", "backward")
        for name in called if forward else ("__call__", "backward"):
            if method := plain(getattr(target, name, None)):
                yield f"{owner.__name__}.{name}", method
        for part in parts(target):
            yield from functions_of(part)


def plain(function: Any) -> FunctionType | None:
    """The Python function that is called, without its object and decorators; None where there is none."""
    function = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    return function if isinstance(function, FunctionType) else None


def line_of(function: Any) -> int | None:
    """The line in which somebody's function begins; None for what is no function of theirs."""
    code = getattr(plain(function), "__code__", None)
    return code.co_firstlineno if code and is_users(code) else None


def unwritten_helper(function: Any) -> str:
    """The name of the first function without a body among those that a function calls, and that they call; or ''."""
    waiting, seen = [(plain(function), getattr(function, "__self__", None))], set()
    while waiting:
        caller, owner = waiting.pop(0)
        if caller is None or caller.__code__ in seen:
            continue
        seen.add(caller.__code__)
        if is_users(caller.__code__) and is_blank(caller):
            return caller.__name__ if owner is None else f"{type(owner).__name__}.{caller.__name__}"
        known = {**caller.__globals__, **inspect.getclosurevars(caller).nonlocals}
        names = (*caller.__code__.co_names, *caller.__code__.co_freevars)
        waiting += [(plain(known.get(name)), None) for name in names]
        waiting += [(plain(getattr(type(owner), name, None)), owner) for name in names if owner is not None]
    return ""


def is_blank(function: FunctionType) -> bool:
    """Whether a function computes nothing and gives None: a body of pass, ..., NotImplementedError, names for None."""
    node = definition_of(function)
    if not isinstance(node, ast.FunctionDef) or not all(map(computes_nothing, node.body)):
        return False
    if any(isinstance(statement, ast.Raise) for statement in node.body):
        return True
    nothing = {"None", *(name for statement in node.body for name in set_to_none(statement))}
    returned = next((s.value for s in node.body if isinstance(s, ast.Return) and s.value), None)
    if not isinstance(returned, ast.Tuple):
        return returned is None or ast.unparse(returned) in nothing
    first, *_ = given = [ast.unparse(element) for element in returned.elts]
    return set(given) <= nothing or (first in nothing and first != "None")


def computes_nothing(statement: ast.stmt) -> bool:
    """Whether a statement only names things, or raises NotImplementedError."""
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.unparse(statement)
    if isinstance(statement, (ast.Assign, ast.Return)) and statement.value is not None:
        plain_nodes = (ast.Name, ast.Attribute, ast.Constant, ast.Tuple, ast.expr_context)
        return all(isinstance(node, plain_nodes) for node in ast.walk(statement.value))
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, (ast.Pass, ast.Return))


def set_to_none(statement: ast.stmt) -> Iterator[str]:
    """The names that an assignment sets to None."""
    if isinstance(statement, ast.Assign):
        value = statement.value
        for target in statement.targets:
            pairs: Iterable[tuple[ast.expr, ast.expr]] = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=False)
            yield from (ast.unparse(t) for t, v in pairs if isinstance(v, ast.Constant) and v.value is None)
