"""The code under test as syntax trees: which functions a backward runs, and how to run it with one of them changed."""

import ast
import contextlib
import copy
import functools
import gc
import inspect
import os
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType, FunctionType
from typing import Any, TypeAlias

import numpy as np

from ...arrays import Array

Definition: TypeAlias = ast.FunctionDef | ast.Lambda
# {expression: value} of the arrays and numbers that names hold
Values: TypeAlias = dict[str, Any]
# {code: what its names held when called, and at the end}
Kept: TypeAlias = dict[CodeType, list[dict[str, Any]]]

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.dirname(HERE)
MARK = 10**6  # a line number that no file has


@dataclass
class Routine:
    """A function of the user's: its tree, the part of it to change, what its names held at the end and when called."""

    functions: list[FunctionType]
    node: Definition
    part: Definition
    values: Values
    given: Values
    upstream: str | None = None  # the name of dy
    remade: bool = False  # whether the forward may be another once this is changed
    parameters: Sequence[str] = ()
    fixed: Collection[ast.AST] = ()  # statements not to change

    @property
    def name(self) -> str:
        return "the lambda" if isinstance(self.node, ast.Lambda) else self.node.name

    @contextlib.contextmanager
    def replace_code(self, code: CodeType) -> Iterator[None]:
        """While it lasts, the function runs this code."""
        before = self.functions[0].__code__
        try:
            for function in self.functions:
                function.__code__ = code
            yield
        finally:
            for function in self.functions:
                function.__code__ = before

    def compiled(self) -> CodeType:
        """The tree as it stands now, as code that can take the function's place."""
        code = self.functions[0].__code__
        return compiled(self.keeping(code.co_freevars), code)

    def keeping(self, free: Sequence[str]) -> Definition:
        """The definition, undecorated; an idle mention of its free names keeps them, should a change drop the last."""
        names = ast.Tuple([ast.Name(name, ast.Load()) for name in free], ast.Load())
        new = copy.copy(self.node)
        if isinstance(new, ast.Lambda):
            new.body = ast.IfExp(ast.Constant(True), new.body, names)
        else:
            new.body = [*new.body, ast.If(ast.Constant(False), [ast.Expr(names)], [])]
        return new


def compiled(node: Definition, original: CodeType) -> CodeType:
    """The code of a definition that stands where the original does: undecorated, with the same free names."""
    node = copy.copy(node)
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    module = ast.parse(f"def outer({', '.join(original.co_freevars)}): pass")
    vars(module.body[0])["body"] = [ast.Expr(node) if isinstance(node, ast.Lambda) else node]
    code = compile(ast.fix_missing_locations(module), original.co_filename, "exec")
    return code_within(code_within(code, "outer"), original.co_name)


def fingerprint(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, wherever it stands."""
    constants = tuple(fingerprint(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, constants


def code_within(code: CodeType, name: str) -> CodeType:
    return next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)


def routines(forward: Callable[[], object], backward: Callable[[], object], closure: bool) -> list[Routine]:
    """The routines whose change can mend the gradient: those that only the backward runs.

    A closure computes loss and gradient in one, so there it is those of its forward. A function that the forward
    makes anew at each call is reached through the one that makes it.
    """
    kept: Kept = {}
    with watch(kept):
        forward()
    first = dict(kept)
    with watch(kept):
        backward()
    codes = list(first) if closure else [code for code in kept if code not in first]
    found = []
    for code in codes:
        makers = [] if closure else [maker for maker in first if any(c is code for c in codes_in(maker))]
        routine = routine_of(makers[-1] if makers else code, kept[code], code)
        if routine is not None:
            found.append(routine)
    return found


@contextlib.contextmanager
def watch(kept: Kept) -> Iterator[None]:
    """Note every Python function of the user's that runs: {code: what its names held when called and at the end}."""

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event in ("call", "return") and is_users(code) and len(kept.get(code, ())) < 2:
            kept.setdefault(code, []).append(dict(frame.f_locals))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def is_users(code: CodeType) -> bool:
    name = code.co_filename
    installed = os.sep + "numpy" + os.sep in name or os.sep + "lib" + os.sep + "python" in name
    is_part = code.co_name in ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>")
    return not (installed or is_part or name.startswith(OURS + os.sep))


def routine_of(code: CodeType, values: list[dict[str, Any]], inner: CodeType) -> Routine | None:
    """The routine of a code object, or None where its function or its source cannot be had."""
    functions = [f for f in gc.get_referrers(code) if isinstance(f, FunctionType) and f.__code__ is code]
    if not functions:
        return None
    try:
        lines, _ = inspect.findsource(code)
    except (OSError, TypeError):
        return None
    tree = parsed("".join(lines))
    node = None if tree is None else find_node(tree, code)
    if tree is None or node is None:
        return None
    part = node if inner is code else find_node(tree, inner, node) or node
    return Routine(functions, node, part, readable(values[-1], inner), readable(values[0], inner))


@functools.lru_cache(8)
def parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def find_node(tree: ast.Module, code: CodeType, within: ast.AST | None = None) -> Definition | None:
    """The definition in the tree of a file, or within a part of it, that this code was compiled from, or None.

    Several lambdas may stand in one line, and a file may have changed since it was loaded: what is taken compiles to
    this very code.
    """
    for node in list(ast.walk(within or tree)):
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            continue
        if name_of(node) == code.co_name and code.co_firstlineno in lines_of(node):
            with mark(node):
                module = compile(tree, code.co_filename, "exec", dont_inherit=True)
            if any(fingerprint(c) == fingerprint(code) for c in codes_in(module) if c.co_firstlineno == MARK):
                return node
    return None


@contextlib.contextmanager
def mark(node: Definition) -> Iterator[None]:
    """While it lasts, the definition seems to stand in a line of its own, by which its code is known."""
    saved = dict(vars(node))
    node.lineno = node.end_lineno = MARK
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    try:
        yield
    finally:
        vars(node).update(saved)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def name_of(node: Definition) -> str:
    return "<lambda>" if isinstance(node, ast.Lambda) else node.name


def lines_of(node: Definition) -> list[int]:
    """Where Python may say that a definition begins: at its name, or at its first decorator."""
    return [node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]


def readable(values: Mapping[str, Any], code: CodeType) -> Values:
    """{expression: value} of the arrays and numbers that a function's names hold, and its object's attributes."""
    found = {}
    for name, value in values.items():
        if is_number(value):
            found[name] = value
        elif name in code.co_varnames[:1] and hasattr(value, "__dict__"):
            found |= {f"{name}.{k}": v for k, v in vars(value).items() if is_number(v)}
    return found


def is_number(value: Any) -> bool:
    return (isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    )


def captured_arrays(functions: Iterable[FunctionType]) -> list[Array]:
    """Every array that these functions can reach through their closures, the globals they name and what hangs there."""
    found: list[Array] = []
    seen: set[int] = set()
    for function in functions:
        look(function, found, seen, 6)
    return found


def look(value: Any, found: list[Array], seen: set[int], depth: int) -> None:
    if id(value) in seen or not depth:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        found.append(value)
        return
    for inner in held(value):
        look(inner, found, seen, depth - 1)


def held(value: Any) -> list[Any]:
    """What a value holds: a function its closure and the globals it names, a container its items, an object its own."""
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        return [*cells, *(value.__globals__[n] for n in value.__code__.co_names if n in value.__globals__)]
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, (type, types.ModuleType)) or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).values())


class Restored:
    """Puts arrays back to what they held, as often as it is called: changed code may write anywhere."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self.arrays: list[tuple[Array, Array]] = [(a, a.copy()) for a in arrays if a.flags.writeable]

    def __call__(self) -> None:
        for array, kept in self.arrays:
            np.copyto(array, kept)
