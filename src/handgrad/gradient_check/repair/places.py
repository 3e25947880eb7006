"""Places in a syntax tree, changes of what stands there, and where a factor or a term may be missing."""

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from .source import Routine, Values

Node: TypeAlias = ast.expr | ast.stmt


@dataclass
class Edit:
    """One change: in `holder`, the field (at index, in a list) becomes `new`."""

    holder: ast.AST
    field: str
    index: int | None
    new: Node
    mistake: str
    message: str
    statement: Node

    @contextlib.contextmanager
    def apply(self) -> Iterator[Node]:
        """While it lasts, the tree has the change; gives what stood there."""
        old = self.swap(self.new)
        try:
            yield old
        finally:
            self.swap(old)

    def swap(self, node: Node) -> Node:
        """Put node in the place, and return what stood there."""
        place: Any = vars(self.holder) if self.index is None else getattr(self.holder, self.field)
        key = self.field if self.index is None else self.index
        old: Node = place[key]
        place[key] = node
        return old

    def described(self) -> tuple[str, str, str]:
        """'line 4: before -> after' in the words of the source."""
        line, before = self.statement.lineno, ast.unparse(self.statement)
        if isinstance(self.new, ast.If):
            return f"line {line}", before, f"{before}; {ast.unparse(ast.fix_missing_locations(self.new.body[-1]))}"
        with self.apply() as old:
            whole = self.new if old is self.statement else self.statement
            after = ast.unparse(ast.fix_missing_locations(whole))
        return f"line {line}", before.split("\n")[0], after.split("\n")[0]


@dataclass
class Site:
    """An expression or statement in its place."""

    node: Any  # an ast.expr or ast.stmt: each edit asks for the kind it can change
    holder: Any
    field: str
    index: int | None
    statement: Node

    def edit(self, new: Node, mistake: str, message: str) -> Edit:
        ast.copy_location(new, self.node)
        return Edit(self.holder, self.field, self.index, new, mistake, message, self.statement)


def sites(tree: ast.AST) -> Iterator[Site]:
    """Every expression and statement under tree, in the order of the source."""
    stack: list[tuple[Any, Any]] = [(tree, None)]
    while stack:
        holder, statement = stack.pop()
        below = []
        for field, value in ast.iter_fields(holder):
            if isinstance(holder, ast.While) or (
                field in ("decorator_list", "args") and isinstance(holder, (ast.FunctionDef, ast.Lambda))
            ):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                within = node if isinstance(node, ast.stmt) else statement
                if isinstance(node, (ast.expr, ast.stmt)):
                    yield Site(node, holder, field, index, within or holder)
                if isinstance(node, (ast.expr, ast.stmt, ast.keyword, ast.comprehension)):
                    below.append((node, within))
        stack.extend(reversed(below))


def within_index(site: Site) -> bool:
    return isinstance(site.holder, (ast.Slice, ast.Subscript))


def is_call(node: Any, *names: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and called(node) in names


def called(node: ast.Call) -> str:
    """The name of the function that is called, without where it is from."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def is_index(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def mentions(routine: Routine, values: Values) -> Iterator[tuple[Site, str]]:
    """Where a name or an attribute of self is read whose value is known, and its text."""
    for site in sites(routine.part):
        if isinstance(site.node, (ast.Name, ast.Attribute)) and not isinstance(site.node.ctx, ast.Store):
            text = ast.unparse(site.node)
            if text in values:
                yield site, text


def named(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def kind(value: Any) -> str:
    return "array" if isinstance(value, np.ndarray) and value.ndim else "integer" if is_index(value) else "number"


def openings(routine: Routine, whole: bool, in_products: bool = False) -> Iterator[Site]:
    """Where a factor or a term may be missing: in a value assigned or returned (whole), or in a part of one."""
    for site in sites(routine.part):
        holder, node = site.holder, site.node
        if isinstance(node, ast.stmt) or isinstance(site.statement, ast.For):
            continue
        if isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(node, UNLIKELY):
            continue
        value = isinstance(holder, (ast.Assign, ast.AugAssign, ast.Return)) and site.field == "value"
        if value or (isinstance(holder, (ast.Tuple, ast.List, ast.Dict)) and site.field in ("elts", "values")):
            if whole and fitting(site, None, routine.values):
                yield site
        elif not whole and (is_operand(site, in_products) or is_argument(site)):
            yield site


UNLIKELY = (ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.Slice)


def is_operand(site: Site, in_products: bool) -> bool:
    kinds = (ast.MatMult, ast.Add, ast.Sub, *([ast.Mult] if in_products else []))
    return isinstance(site.holder, ast.BinOp) and isinstance(site.holder.op, kinds)


def is_argument(site: Site) -> bool:
    shaping = ("zeros", "zeros_like", "range", "reshape", "transpose", "len")
    return isinstance(site.holder, ast.Call) and site.field == "args" and called(site.holder) not in shaping


def fitting(site: Site, value: Any, values: Values) -> bool:
    """Whether an array of this value's shape can be a factor or a term of what the statement assigns."""
    targets = getattr(site.statement, "targets", [getattr(site.statement, "target", None)])
    assigned = values.get(ast.unparse(targets[0])) if targets[0] is not None and site.field == "value" else None
    assigned = computed(site.node, values) if assigned is None else assigned
    if assigned is None:
        return True
    if value is None:
        return not is_index(assigned)
    try:
        return np.broadcast_shapes(np.shape(assigned), np.shape(value)) == np.shape(assigned)
    except ValueError:
        return False


def computed(node: ast.expr, values: Values) -> Any:
    """What a plain expression comes to with the names as they were at the end, or None."""
    if any(isinstance(n, (ast.Call, ast.Lambda)) for n in ast.walk(node)):
        return None
    try:
        return eval(ast.unparse(node), {}, {k: v for k, v in values.items() if k.isidentifier()})
    except Exception:  # an attribute of an object, a name that is not an array
        return None
