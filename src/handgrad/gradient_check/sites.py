"""Places in a statement, changes of what stands there, and where a factor or a term may be missing."""

import ast
import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from ..user_code.tracing import WRITERS, Change, Routine

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
    lengths: frozenset[int] = frozenset()  # of the first axes of what the forward is given
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
    is_two: bool = False  # whether it brings in a bare 2 as a factor
    added: str = ""  # a line that says it all, above the statement
    kind: str = ""  # its rule, and what that brings in: the same in other statements

    def within(self, tree: ast.AST) -> Any:
        """A copy of a tree around the site, with the change."""
        return rebuilt(tree, lambda node: self.new if node is self.site.node else None)

    @property
    def lends(self) -> bool:
        """Whether it brings in a number of the forward's, which is another one where that has other options."""
        lent = {name for name, value in self.site.scope.lent.items() if np.ndim(value) == 0}
        return any(isinstance(n, ast.Name) and n.id in lent for n in ast.walk(self.new))

    def described(self) -> tuple[str, str]:
        """The statement before and after, in the words of the source."""
        statement = self.site.scope.statement
        before, after = ast.unparse(statement), ast.unparse(ast.fix_missing_locations(self.within(statement)))
        return before.split("\n")[0].rstrip(":"), self.added or after.split("\n")[0]

    def changes(self) -> dict[int, Change]:
        """The change as what a traced run does otherwise; empty where it cannot be one."""
        return {place: self.computing(expression) for place, expression in self.expressions()}

    def computing(self, expression: ast.expr) -> Change:
        """A change that computes an expression where it stands, from what the names hold there and then."""
        code: list[CodeType] = []  # made when it is first needed: most changes are never run

        def compute(step: int, value: Any, frame: FrameType) -> Any:
            if not code:
                whole = ast.fix_missing_locations(ast.Expression(expression))
                code.append(compile(whole, "<a change>", "eval"))
            return eval(code[0], {**frame.f_globals, **self.site.scope.lent, **frame.f_locals, "_add_up": added_up})

        return compute

    def expressions(self) -> Iterator[tuple[int, ast.expr]]:
        """(place, what is computed there instead)."""
        places, node, new = self.site.scope.places, self.site.node, self.new
        path = [*self.site.path, node]
        inside = next((i for i, n in enumerate(path) if isinstance(n, COMPREHENSIONS)), len(path))
        turned = isinstance(node, ast.Assign) and isinstance(new, ast.Assign) and new.value is node.value
        if isinstance(node, ast.stmt) and (turned or type(node) is not type(new)):
            yield from assigned(node, new, places)
        elif inside < len(path) or not (found := differences(node, new, places)):
            around = [n for n in path[:inside] if n in places]
            if around and isinstance(new, ast.expr):
                yield places[around[-1]], self.within(around[-1])
        else:
            yield from found


def added_up(index: Any, values: Any) -> Any:
    """What each of several equal indices must bring, so that x[index] += values adds all of them."""
    parts = np.broadcast_arrays(*(index if isinstance(index, tuple) else (index,)))
    shape, values = parts[0].shape, np.asarray(values)
    values = np.broadcast_to(values, (*shape, *values.shape[len(shape) :]))
    same = np.all([part.reshape(-1, 1) == part.reshape(-1) for part in parts], axis=0).astype(float)
    return (same @ values.reshape(parts[0].size, -1)).reshape(values.shape)


def differences(old: ast.AST, new: ast.AST, places: Mapping[ast.AST, int]) -> list[tuple[int, Any]]:
    """(place, new expression) where two trees differ; [] where that is not at places only."""
    names = any(isinstance(n, ast.NamedExpr) for n in ast.walk(old))  # := must give its name in the code itself
    if old in places and not names and not isinstance(getattr(old, "ctx", None), ast.Store):
        return [(places[old], new)]
    if type(old) is not type(new):
        return []
    below = list(zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=False))
    changed = [(a, b) for a, b in below if ast.dump(a) != ast.dump(b)]
    found = [differences(a, b, places) for a, b in changed]
    return [pair for part in found for pair in part] if found and all(found) else []


def assigned(node: Any, new: Any, places: Mapping[ast.AST, int]) -> Iterator[tuple[int, ast.expr]]:
    """A changed assignment as another value for it."""
    if not isinstance(node, (ast.Assign, ast.AugAssign)) or node.value not in places:
        return
    held = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    value = f"({ast.unparse(node.value)})"
    if isinstance(new, ast.Call):  # np.add.at(x, i, value), which the last of several equal i must bring
        value = f"_add_up({ast.unparse(new.args[1])}, {ast.unparse(new.args[2])})"
    elif isinstance(node, ast.Assign) and isinstance(new, ast.Assign):  # names exchanged on the left
        value += "[::-1]"
    elif isinstance(new, ast.AugAssign):
        value = ast.unparse(ast.BinOp(named(held), new.op, node.value))
    elif isinstance(node, ast.Assign):
        value = held
    elif isinstance(new, ast.Pass):
        value = f"0 * {value} + {int(isinstance(node.op, (ast.Mult, ast.Div)))}"
    else:  # what was added is the whole
        value += f" - {held}"
    yield places[node.value], named(value)


def rebuilt(tree: Any, change: Callable[[ast.AST], ast.AST | None]) -> Any:
    """A copy of a tree in which what `change` gives for a node stands in its place, where it gives something."""
    if isinstance(tree, list):
        return [rebuilt(part, change) for part in tree]
    if not isinstance(tree, ast.AST):
        return tree
    parts = ast.iter_fields(tree)
    return change(tree) or type(tree)(**{name: rebuilt(part, change) for name, part in parts})


@dataclass
class Site:
    """An expression or statement in its place."""

    node: Any  # an ast.expr or ast.stmt: each edit asks for the kind it can change
    field: str  # of what holds it
    scope: Scope
    path: tuple[ast.AST, ...] = ()  # the nodes around it, outermost first

    @property
    def holder(self) -> Any:
        """The node that it is a part of; None of a statement."""
        return self.path[-1] if self.path else None

    def edit(self, new: Node | str, mistake: str, message: str) -> Edit:
        return Edit(self, named(new) if isinstance(new, str) else new, mistake, message)


def sites(scope: Scope) -> Iterator[Site]:
    """The statement and every expression in it, in the order of the source; of a loop or condition, its head."""
    root = scope.statement
    if isinstance(root, ast.stmt):
        yield Site(root, "body", scope)
    yield from sites_below(root, (), scope)


def sites_below(holder: ast.AST, path: tuple[ast.AST, ...], scope: Scope) -> Iterator[Site]:
    """Every expression within a node: those that stand in it side by side, then what is within each."""
    path, below = (*path, holder), list[ast.AST]()
    for name, value in ast.iter_fields(holder):
        if name in ("decorator_list", "args") and isinstance(holder, (ast.FunctionDef, ast.Lambda)):
            continue
        written = name == "args" and is_call(holder, *WRITERS)  # np.add.at(x, ...) changes x: another stays what it is
        parts = value[1:] if written else value if isinstance(value, list) else [value]
        nodes = [node for node in parts if isinstance(node, INNER)]
        yield from (Site(node, name, scope, path) for node in nodes if isinstance(node, ast.expr))
        below += nodes
    for node in below:
        yield from sites_below(node, path, scope)


INNER = (ast.expr, ast.keyword, ast.comprehension, ast.withitem)


def within_index(site: Site) -> bool:
    return isinstance(site.holder, (ast.Slice, ast.Subscript))


def is_call(node: Any, *names: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and called(node) in names


def is_stored(node: ast.AST) -> bool:
    """Whether it is assigned to or deleted."""
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def is_read(node: ast.AST) -> bool:
    """Whether it reads a name, an attribute or an item."""
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)


def number_of(node: ast.AST) -> int | float | None:
    """The number that stands there, with its sign; None where none does."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = number_of(node.operand)
        return None if number is None else -number
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def called(node: ast.Call) -> str:
    """The name of the function that is called, without where it is from."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def is_index(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def is_known(value: Any) -> bool:
    """Whether a value is an array or a number."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    return isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)


def mentions(scope: Scope, values: Values) -> Iterator[tuple[Site, str]]:
    """Where a name, an attribute or an item is read whose value is known, and its text."""
    for site in filter(lambda site: is_read(site.node), sites(scope)):
        if (text := ast.unparse(site.node)) in values:
            yield site, text


def named(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def kind(value: Any) -> str:
    if isinstance(value, (list, tuple, dict)):
        return "container"
    return "array" if isinstance(value, np.ndarray) and value.ndim else "integer" if is_index(value) else "number"


def fitting(site: Site, value: Any) -> bool:
    """Whether an array of this value's shape can be a factor or a term of what the statement assigns."""
    whole = site.field == "value" and isinstance(site.holder, ast.stmt)
    assigned = site.scope.values.get(site.scope.target) if whole else None
    plain = not any(isinstance(n, (ast.Call, ast.Lambda, ast.NamedExpr)) for n in ast.walk(site.node))
    assigned = computed(ast.unparse(site.node), site.scope.names) if assigned is None and plain else assigned
    if assigned is None or value is None or (np.ndim(assigned) == 0 and site.field == "args"):
        return True
    with contextlib.suppress(ValueError):
        same = np.broadcast_shapes(np.shape(assigned), np.shape(value)) == np.shape(assigned)
        return same and (is_index(value) or not is_index(assigned))
    return False


def computed(text: str, names: Values) -> Any:
    """The array or number that an expression comes to with these names, NumPy and len; None where it comes to none."""
    with contextlib.suppress(Exception):  # made of other names
        value = eval(text, {"__builtins__": {}, "len": len, "np": np, "numpy": np}, names)
        return value if is_known(value) else None


# Where rules are tried ------------------------------------------------------------------------------------------------


def is_open(site: Site) -> bool:
    """Whether a factor or a term may be missing there."""
    node, holder = site.node, site.holder
    several = isinstance(holder, ast.Assign) and isinstance(holder.targets[0], (ast.Tuple, ast.List))  # taken apart
    is_shape = getattr(node, "attr", "") == "shape"  # twice a shape is one of twice as many axes, and fills the memory
    signed = isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)
    plain = isinstance(node, ast.expr) and not isinstance(node, UNLIKELY) and not signed and not is_shape
    return plain and not is_stored(node) and not several and not isinstance(site.scope.statement, ast.For)


UNLIKELY = (ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.Slice)


def is_whole(site: Site) -> bool:
    """Whether it is a value that is assigned, returned or given a name, where a factor or a term may be missing."""
    return (type(site.holder), site.field) in WHOLE and is_open(site)


WHOLE = {
    *((kind, "value") for kind in (ast.Assign, ast.AugAssign, ast.Return, ast.NamedExpr)),
    *((ast.Lambda, "body"), (ast.Tuple, "elts"), (ast.List, "elts"), (ast.Dict, "values")),
}


def is_part(site: Site) -> bool:
    """Whether it is a part of such a value: an operand or an argument."""
    return is_open(site) and (is_operand(site) or is_argument(site))


def is_operand(site: Site, kinds: tuple[type, ...] = (ast.MatMult, ast.Add, ast.Sub)) -> bool:
    if isinstance(site.holder, ast.Subscript) and site.field == "value":
        return isinstance(site.node, ast.Name)
    return isinstance(site.holder, ast.BinOp) and isinstance(site.holder.op, kinds)


def is_argument(site: Site) -> bool:
    shaping = ("zeros", "zeros_like", "empty", "ones", "full", "range", "reshape", "transpose", "len")
    return isinstance(site.holder, ast.Call) and site.field == "args" and called(site.holder) not in shaping


def is_summed(site: Site) -> bool:
    """Whether it is what a sum or a mean runs over."""
    function = isinstance(site.holder, ast.Call) and site.node in site.holder.args[:1]
    summing = called(site.holder) if function else getattr(site.holder, "attr", "")
    return summing in ("sum", "mean") and isinstance(site.node, (ast.Name, ast.BinOp, ast.Subscript))


def is_of_index(site: Site) -> bool:
    """Whether it is an index or a part of one, or of what a loop runs over."""
    path = (*site.path, site.node)
    within = any(isinstance(a, ast.Subscript) and b is a.slice for a, b in itertools.pairwise(path))
    return within or any(is_call(node, "range") for node in path[:-1])


def is_value(site: Site) -> bool:
    """Whether an expression is computed with, and is no index."""
    index = isinstance(site.holder, ast.Slice) or (isinstance(site.holder, ast.Subscript) and site.field == "slice")
    return isinstance(site.node, ast.expr) and not is_stored(site.node) and not index


def is_length(site: Site) -> bool:
    """Whether it is the index of a shape."""
    return isinstance(site.holder, ast.Subscript) and getattr(site.holder.value, "attr", "") == "shape"


def is_number(site: Site) -> bool:
    """Whether it is a number that something is computed with."""
    signed = isinstance(site.holder, ast.UnaryOp) and number_of(site.holder) is not None
    setting = signed or isinstance(site.holder, (ast.keyword, ast.Tuple, ast.List)) or is_call(site.holder, *SETTINGS)
    return not (is_of_index(site) or setting or is_call(site.holder, *REDUCTIONS))


SETTINGS = ("transpose", "reshape", "swapaxes", "moveaxis", "tril", "triu", "zeros", "ones")
REDUCTIONS = ("sum", "mean", "max", "flip", "concatenate", "argmax", "repeat", "cumsum", "split", "stack", "squeeze")


def is_carried(site: Site) -> bool:
    """Whether it is an assignment in a loop to a variable that the loop gives another value as well."""
    targets = site.node.targets if isinstance(site.node, ast.Assign) else []
    if not targets or not isinstance(targets[0], ast.Name):
        return False
    loops = [n for n in ast.walk(site.scope.routine.node) if isinstance(n, ast.For) and site.node in n.body]
    stored = (n.id for loop in loops[:1] for n in ast.walk(loop) if isinstance(n, ast.Name) and is_stored(n))
    return [*stored].count(targets[0].id) > 1


def is_alias(site: Site) -> bool:
    """Whether it is an array's name that gets a second one."""
    return isinstance(site.holder, ast.Assign) and is_read(site.node)


def is_out(site: Site) -> bool:
    """Whether it is an array that a function writes its result into."""
    return isinstance(site.holder, ast.keyword) and site.holder.arg == "out" and is_read(site.node)


def is_factor(site: Site) -> bool:
    """Whether it is an operand of a product of matrices, or what a function of the user's is given."""
    node, holder = site.node, site.holder
    product = isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.MatMult)
    product |= isinstance(holder, ast.Attribute) and holder.attr == "dot"
    if isinstance(holder, ast.Call) and site.field == "args":
        own = isinstance(holder.func, ast.Name) and isinstance(node, (ast.BinOp, ast.Name))
        product |= own or is_call(holder, "dot", "matmul", "outer")
    return product


def is_of_axis(site: Site) -> bool:
    """Whether it is an operand in an index, or an element of one."""
    variable = isinstance(site.node, (ast.Name, ast.BinOp)) and isinstance(site.holder, (ast.Subscript, ast.Tuple))
    return is_of_index(site) and (variable or isinstance(site.node, ast.Constant))


COMPUTED = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name)
CONDITIONS = (ast.Compare, ast.UnaryOp, ast.Call, ast.Name, ast.Attribute)
# where the rules of a heading are tried; where it names none, in whole values
PLACES: dict[str, Callable[[Site], bool]] = {
    **dict.fromkeys(("statement", "last"), lambda site: isinstance(site.node, ast.stmt)),
    "carried": is_carried,
    "alias": is_alias,
    "iterated": lambda site: isinstance(site.holder, ast.For) and site.field == "iter",
    "out": is_out,
    "reshaped": lambda site: getattr(site.holder, "attr", "") == "reshape",
    "value": lambda site: is_value(site) and not is_of_index(site),
    "condition": lambda site: isinstance(site.node, CONDITIONS),
    "factor": lambda site: is_value(site) and is_factor(site),
    "index": lambda site: is_of_index(site) and not is_length(site),
    "length": is_length,
    "number": is_number,
    "place": is_of_axis,
    "operand": lambda site: isinstance(site.holder, (ast.BinOp, ast.Return)) and is_value(site),
    "summed": is_summed,
    "softmax": is_value,
    "anywhere": lambda site: is_value(site) and not isinstance(site.holder, ast.Compare),
    "whole value": lambda site: is_whole(site) and isinstance(site.node, COMPUTED),
    "derivative": lambda site: is_whole(site) or is_part(site),
    "part factor": is_part,
    "part": lambda site: is_part(site) or (is_open(site) and is_operand(site, (ast.Mult,))),
}
