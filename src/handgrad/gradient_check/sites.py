"""Places in a statement, changes of what stands there, and where a factor or a term may be missing."""

import ast
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from ..user_code.tracing import Change, Routine

Node: TypeAlias = ast.expr | ast.stmt
# {expression: value} of the arrays and numbers that names hold
Values: TypeAlias = dict[str, Any]
COMPREHENSIONS = (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)


@dataclass
class Scope:
    """A statement of the code under test, and what the names that it may use held when it ran."""

    routine: Routine
    statement: ast.AST
    places: Mapping[ast.AST, int]  # of the expressions in it
    values: Values = field(default_factory=dict)
    containers: Values = field(default_factory=dict)  # of arrays: lists, tuples, dicts
    upstream: str | None = None  # the name of dy
    parameters: Sequence[str] = ()
    expressions: Values = field(default_factory=dict)  # what stands in the code, made of names that are known here
    names: Values = field(default_factory=dict)  # what its names held, whatever that is
    drawn: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)  # what a rule's letters may stand for
    lent: Values = field(default_factory=dict)  # what the forward has, and this function has not

    @property
    def line(self) -> int:
        return int(vars(self.statement).get("lineno", 0))

    @property
    def target(self) -> str:
        """What the statement assigns to; 'return' where it returns."""
        if isinstance(self.statement, (ast.AugAssign, ast.AnnAssign)):
            return ast.unparse(self.statement.target)
        if isinstance(self.statement, ast.Assign):
            return ast.unparse(self.statement.targets[0])
        return "return" if isinstance(self.statement, (ast.Return, ast.Lambda)) else ""


@dataclass
class Edit:
    """One change: in `site`, what stands there becomes `new`; a run computes that in its place."""

    site: "Site"
    new: Node
    mistake: str
    message: str
    everywhere: str = ""  # a name: new stands in its place wherever the function reads it
    number: float | None = None  # the bare number that it brings in as a factor
    kind: str = ""  # its rule, and what that brings in: the same in other statements

    @contextlib.contextmanager
    def apply(self) -> Iterator[Node]:
        """While it lasts, the tree has the change; gives what stood there."""
        old = self.site.swap(self.new)
        try:
            yield old
        finally:
            self.site.swap(old)

    def described(self) -> tuple[str, str]:
        """The statement before and after, in the words of the source."""
        statement = self.site.scope.statement
        before = ast.unparse(statement)
        if self.everywhere:
            side = "above" if self.everywhere == self.site.scope.upstream else "below"
            return self.everywhere, f"{self.everywhere} = {ast.unparse(self.new)}  # a line more, {side} this one"
        with self.apply() as old:
            whole = self.new if old is statement else statement
            after = ast.unparse(ast.fix_missing_locations(whole))
        return before.split("\n")[0].rstrip(":"), after.split("\n")[0]

    def changes(self) -> dict[int, Change]:
        """The change as what a traced run does otherwise; empty where it cannot be one."""
        return {place: self.computing(expression) for place, expression in self.expressions()}

    def computing(self, expression: ast.expr) -> Change:
        """A change that computes an expression where it stands, from what the names hold there and then."""
        code: list[CodeType] = []  # made when it is first needed: most changes are never run

        def compute(step: int, value: Any, frame: FrameType) -> Any:
            if not code:
                with self.apply():  # it may be of the tree that is changed
                    code.append(compiled(expression))
            return eval(code[0], {**frame.f_globals, **self.site.scope.lent, **frame.f_locals, "_add_up": added_up})

        return compute

    def expressions(self) -> Iterator[tuple[int, ast.expr]]:
        """(place, what is computed there instead)."""
        places, node, new = self.site.scope.places, self.site.node, self.new
        if self.everywhere and isinstance(new, ast.expr):
            reads = (n for n in ast.walk(self.site.scope.routine.node) if isinstance(n, ast.Name) and n in places)
            yield from ((places[n], new) for n in reads if n.id == self.everywhere)
            return
        path = [*self.site.path, node]
        inside = next((i for i, n in enumerate(path) if isinstance(n, COMPREHENSIONS)), len(path))
        turned = isinstance(node, ast.Assign) and isinstance(new, ast.Assign) and new.value is node.value
        if isinstance(node, ast.stmt) and (turned or type(node) is not type(new)):
            yield from assigned(node, new, places)
        elif inside < len(path) or not (found := differences(node, new, places)):
            around = [n for n in path[:inside] if n in places]
            if around and isinstance(new, ast.expr):
                with self.apply():
                    whole: Any = new if around[-1] is node else around[-1]
                    yield places[around[-1]], whole
        else:
            yield from found


def added_up(index: Any, values: Any) -> Any:
    """What each of several equal indices must bring, so that x[index] += values adds all of them."""
    index, values = np.asarray(index), np.asarray(values)
    same = (index.reshape(-1, 1) == index.reshape(-1)).astype(float)
    return (same @ values.reshape(index.size, -1)).reshape(values.shape)


def differences(old: ast.AST, new: ast.AST, places: Mapping[ast.AST, int]) -> list[tuple[int, Any]]:
    """(place, new expression) where two trees differ; [] where that is not at places only."""
    if ast.dump(old) == ast.dump(new):
        return []
    names = any(isinstance(n, ast.NamedExpr) for n in ast.walk(old))  # := must give its name in the code itself
    if old in places and not names and not isinstance(getattr(old, "ctx", None), ast.Store):
        return [(places[old], new)]
    if type(old) is not type(new):
        return []
    below = list(zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=False))
    changed = [(a, b) for a, b in below if ast.dump(a) != ast.dump(b)]
    found = [differences(a, b, places) for a, b in changed]
    return [pair for part in found for pair in part] if found and all(found) else []


def assigned(node: ast.stmt, new: Node, places: Mapping[ast.AST, int]) -> Iterator[tuple[int, ast.expr]]:
    """A changed assignment as another value for it."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)) or node.value not in places:
        return
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if isinstance(new, ast.Call):  # np.add.at(x, i, value), which the last of several equal i must bring
        yield places[node.value], named(f"_add_up({ast.unparse(new.args[1])}, {ast.unparse(new.args[2])})")
        return
    held, value = ast.parse(ast.unparse(target), mode="eval").body, node.value
    if isinstance(node, ast.Assign) and isinstance(new, ast.Assign):  # names exchanged on the left
        value = ast.parse(f"({ast.unparse(node.value)})[::-1]", mode="eval").body
    elif isinstance(node, ast.Assign):
        value = ast.BinOp(held, new.op, value) if isinstance(new, ast.AugAssign) else held
    elif isinstance(new, ast.Pass):
        value = ast.BinOp(ast.Constant(0), ast.Mult(), value)
        if isinstance(node.op, (ast.Mult, ast.Div)):
            value = ast.BinOp(value, ast.Add(), ast.Constant(1))
    elif isinstance(node.op, ast.Add):
        value = ast.BinOp(value, ast.Sub(), held)
    else:
        return
    yield places[node.value], value


def compiled(expression: ast.expr) -> CodeType:
    return compile(ast.fix_missing_locations(ast.Expression(expression)), "<a change>", "eval")


@dataclass
class Site:
    """An expression or statement in its place."""

    node: Any  # an ast.expr or ast.stmt: each edit asks for the kind it can change
    holder: Any
    field: str
    index: int | None
    scope: Scope
    path: tuple[ast.AST, ...] = ()  # the nodes around it, outermost first

    @property
    def is_whole(self) -> bool:
        """Whether it is a value that is assigned or returned."""
        around = self.path[-2] if isinstance(self.holder, ast.Tuple) and len(self.path) > 1 else self.holder
        whole = isinstance(around, (ast.Assign, ast.AugAssign, ast.Return)) and self.field in ("value", "elts")
        return whole or (isinstance(around, ast.Lambda) and self.field in ("body", "elts"))

    def edit(self, new: Node | str, mistake: str, message: str) -> Edit:
        node = named(new) if isinstance(new, str) else new
        return Edit(self, ast.copy_location(node, self.node), mistake, message)

    def swap(self, node: Node) -> Node:
        """Put node in the place, and return what stood there."""
        place: Any = vars(self.holder) if self.index is None else getattr(self.holder, self.field)
        key = self.field if self.index is None else self.index
        old: Node = place[key]
        place[key] = node
        return old


def sites(scope: Scope) -> Iterator[Site]:
    """The statement and every expression in it, in the order of the source; of a loop or condition, its head."""
    root = scope.statement
    if isinstance(root, ast.stmt):
        yield Site(root, ast.Module([root], []), "body", 0, scope)
    stack: list[tuple[Any, tuple[ast.AST, ...]]] = [(root, ())]
    while stack:
        holder, path = stack.pop()
        below = []
        for name, value in ast.iter_fields(holder):
            if name in ("decorator_list", "args") and isinstance(holder, (ast.FunctionDef, ast.Lambda)):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(node, ast.expr):
                    yield Site(node, holder, name, index, scope, (*path, holder))
                if isinstance(node, (ast.expr, ast.keyword, ast.comprehension, ast.withitem)):
                    below.append((node, (*path, holder)))
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


def is_known(value: Any) -> bool:
    """Whether a value is an array or a number."""
    return (isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    )


def mentions(scope: Scope, values: Values) -> Iterator[tuple[Site, str]]:
    """Where a name, an attribute or an item is read whose value is known, and its text."""
    for site in sites(scope):
        if isinstance(site.node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(site.node.ctx, ast.Load):
            text = ast.unparse(site.node)
            if text in values:
                yield site, text


def named(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def kind(value: Any) -> str:
    if isinstance(value, (list, tuple, dict)):
        return "container"
    return "array" if isinstance(value, np.ndarray) and value.ndim else "integer" if is_index(value) else "number"


def openings(scope: Scope, whole: bool, in_products: bool = False) -> Iterator[Site]:
    """Where a factor or a term may be missing: in a value assigned or returned (whole), or in a part of one."""
    if isinstance(scope.statement, ast.For):
        return
    for site in sites(scope):
        holder, node = site.holder, site.node
        if isinstance(node, ast.stmt) or isinstance(getattr(node, "ctx", None), ast.Store):
            continue
        if getattr(node, "attr", "") == "shape":  # twice a shape is one of twice as many axes, and fills the memory
            continue
        if isinstance(node, UNLIKELY) or (isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)):
            continue
        if isinstance(holder, ast.Assign) and isinstance(holder.targets[0], (ast.Tuple, ast.List)):
            continue  # what is taken apart there is no array, but several
        value = isinstance(holder, (ast.Assign, ast.AugAssign, ast.Return, ast.NamedExpr)) and site.field == "value"
        value = value or (isinstance(holder, ast.Lambda) and site.field == "body")
        if value or (isinstance(holder, (ast.Tuple, ast.List, ast.Dict)) and site.field in ("elts", "values")):
            if whole and fitting(site, None, scope.values):
                yield site
        elif not whole and (is_operand(site, in_products) or is_argument(site)):
            yield site


UNLIKELY = (ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.Slice)


def is_operand(site: Site, in_products: bool) -> bool:
    kinds = (ast.MatMult, ast.Add, ast.Sub, *([ast.Mult] if in_products else []))
    if isinstance(site.holder, ast.Subscript) and site.field == "value":
        return isinstance(site.node, ast.Name)
    return isinstance(site.holder, ast.BinOp) and isinstance(site.holder.op, kinds)


def is_argument(site: Site) -> bool:
    shaping = ("zeros", "zeros_like", "empty", "ones", "full", "range", "reshape", "transpose", "len")
    return isinstance(site.holder, ast.Call) and site.field == "args" and called(site.holder) not in shaping


def is_summed(site: Site) -> bool:
    """Whether it is what a sum or a mean runs over."""
    function = isinstance(site.holder, ast.Call) and site.field == "args" and site.index == 0
    summing = called(site.holder) if function else getattr(site.holder, "attr", "")
    return summing in ("sum", "mean") and isinstance(site.node, (ast.Name, ast.BinOp, ast.Subscript))


def fitting(site: Site, value: Any, values: Values) -> bool:
    """Whether an array of this value's shape can be a factor or a term of what the statement assigns."""
    whole = site.field == "value" and isinstance(site.holder, ast.stmt)
    assigned = values.get(site.scope.target) if whole else None
    assigned = computed(site.node, site.scope) if assigned is None else assigned
    if assigned is None:
        return True
    if value is None or (np.ndim(assigned) == 0 and site.field == "args"):
        return True
    if is_index(assigned) and not is_index(value):
        return False
    try:
        return np.broadcast_shapes(np.shape(assigned), np.shape(value)) == np.shape(assigned)
    except ValueError:
        return False


def computed(node: ast.expr, scope: Scope) -> Any:
    """What a plain expression comes to with the names as they were, or None."""
    if any(isinstance(n, (ast.Call, ast.Lambda, ast.NamedExpr)) for n in ast.walk(node)):
        return None
    with contextlib.suppress(Exception):  # a name that is not an array
        value = eval(ast.unparse(node), {}, scope.names)
        return value if is_known(value) else None
