"""A gradient as the chain rule makes it of the forward, in the words of the backward."""

import ast
import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, Shape
from ..user_code.tracing import Record
from .differences import is_new_axis
from .edits import filled, indices_of, lines_of, matches, parsed
from .following import Followed, near
from .sites import Scope, is_call, is_known, named

MOST_STEPS_BACK = 12  # of the forward between a value and one whose gradient the backward has
MOST_NODES = 160  # of what is written: more is no line


class Unwritten(Exception):
    """The gradient is no expression of what is at hand."""


class Derivative(NamedTuple):
    """An operation, the gradient by its operand a, and how they are known and meant: the heading of the table."""

    operation: Any
    gradient: Any
    heading: str

    def is_of(self, operand: Array, result: Array) -> bool:
        """Whether it is meant for values of these numbers of axes; those known by value are asked for elsewhere."""
        return self.heading != "by value" and AXES.get(self.heading, (operand.ndim, result.ndim)) == (
            operand.ndim,
            result.ndim,
        )


AXES = {  # of an operand and of the whole
    "of a matrix, to a matrix": (2, 2),
    "of a matrix, to a vector": (2, 1),
    "of a vector, to a vector": (1, 1),
    "of a vector, to a number": (1, 0),
}
OPERATORS: dict[str, type[ast.operator]] = {
    **{"add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "divide": ast.Div, "power": ast.Pow},
    **{"dot": ast.MatMult, "matmul": ast.MatMult},
}
METHODS = ("sum", "mean", "var", "max", "min", "cumsum", "repeat", "reshape", "transpose", "swapaxes", "squeeze")


def read_table(path: Path) -> Iterator[Derivative]:
    """The lines of a table of derivatives."""
    for heading, line in lines_of(path):
        operation, gradient = line.split(" => ")
        yield Derivative(parsed(operation, False), parsed(gradient, False), heading)


def in_one_way(node: Any) -> Any:
    """An operation as the table writes it, made of the same parts: np.sum(a, 1) and a.sum(1) as a.sum(axis=1)."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return node
    function, args, keywords = node.func.attr, [*node.args], node.keywords
    if not is_numpy(node.func.value):
        args.insert(0, node.func.value)
    if function in OPERATORS and len(args) == 2 and not keywords:
        return ast.BinOp(args[0], OPERATORS[function](), args[1])
    if function not in METHODS or not args:
        return node
    array, *rest = args
    before_axis = 1 if function == "repeat" else 0
    if function not in ("reshape", "transpose", "swapaxes") and len(rest) == before_axis + 1:
        keywords = [ast.keyword("axis", rest.pop()), *keywords]
    return ast.Call(ast.Attribute(array, function, ast.Load()), rest, keywords)


def is_numpy(node: ast.expr) -> bool:
    """Whether it is NumPy, by its usual names."""
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


class ChainRule:
    """Writes the gradients by values of the forward as a statement of the backward could.

    before: the record of the backward that is to be replaced; what stands earlier may be used. by_value: whether what
    is a softmax, say, by its numbers counts as one operation.
    """

    def __init__(self, followed: Followed, scope: Scope, before: Record, by_value: bool) -> None:
        self.forward = followed.forward
        self.followed = followed
        self.scope = scope
        self.before = before
        self.by_value = by_value
        self.lent: dict[str, Any] = {}  # of the forward, which the backward does not have
        self.lines: dict[str, None] = {}  # of the forward that it goes through

    def due(self, record: Record) -> list[ast.expr]:
        """The gradient by a value, the shortest way first; raises Unwritten where it is no line's length."""
        total = self.sum_of_uses(record, 0)
        if total is None or sum(isinstance(n, ast.expr) for n in ast.walk(total)) > MOST_NODES:
            raise Unwritten
        return [Shorter().visit(copy.deepcopy(total)), total]

    @property
    def way(self) -> str:
        """What of the forward it goes through, in words."""
        first, *more = self.lines
        return f"{first}, and {len(more)} operations before it" if len(more) > 1 else " and ".join([first, *more])

    def gradient(self, record: Record, depth: int) -> ast.expr | None:
        """The gradient by a value as the backward has it, else by its uses; None where nothing comes back."""
        first = self.forward.resolved(record)
        name = self.name_of_gradient(first)
        if depth > MOST_STEPS_BACK:
            raise Unwritten
        return named(name) if name else self.sum_of_uses(first, depth)

    def sum_of_uses(self, record: Record, depth: int) -> ast.expr | None:
        """What comes back through all uses of a value; None where nothing does."""
        first = self.forward.resolved(record)
        users, inside, terms = self.users.get(first.index, []), set[int](), []
        if applied := self.function_of(first) if self.by_value else None:
            known, user = applied
            inside = self.forward.ancestors(user) | {self.forward.resolved(user).index}
            terms.append(self.of_table(known, {"a": first}, user, first, depth + 1))
        terms += [self.through(user, operand, depth + 1) for user, operand in users if user.index not in inside]
        nonzero = [term for term in terms if term is not None]
        return functools.reduce(added, nonzero) if nonzero else None

    @cached_property
    def users(self) -> dict[int, list[tuple[Record, Record]]]:
        """By value of the forward: (what is computed from it or holds it, the operand that it is there)."""
        found: dict[int, list[tuple[Record, Record]]] = {}
        for user in self.forward.records:
            for operand in map(self.forward.records.__getitem__, user.operands):
                if user.place and not user.alias:
                    found.setdefault(self.forward.resolved(operand).index, []).append((user, operand))
        return found

    def function_of(self, record: Record) -> tuple[Derivative, Record] | None:
        """(a line of the table, the function's value) where a function as it is known by value is applied."""
        for user in self.forward.records[record.index + 1 :]:
            called = user.alias and user.place is not None and isinstance(user.place.node, ast.Call)
            if user.value.shape != record.value.shape or not (user.name or called):
                continue
            if record.index in self.forward.ancestors(user) and self.forward.resolved(user) is not record:
                for known in TABLE:
                    if known.heading == "by value" and is_function(known.operation, record.value, user.value):
                        return known, user
        return None

    def through(self, user: Record, operand: Record, depth: int) -> ast.expr | None:
        """What comes back to an operand through what was computed from it."""
        place = operand.place
        if place is None or user.place is None:
            raise Unwritten
        if user.gathered:
            target = getattr(place.statement, "targets", [getattr(place.statement, "target", None)])[0]
            if not isinstance(target, ast.Subscript) or place.node is not vars(place.statement)["value"]:
                raise Unwritten
            whole = self.gradient(user, depth)
            return whole and ast.Subscript(whole, copy.deepcopy(target.slice), ast.Load())
        node = in_one_way(self.operation(user))
        if is_call(node, "einsum"):
            return self.through_einsum(node, user, place.node, depth)
        if isinstance(node, ast.Subscript) and node.value is place.node and is_new_axis(node.slice):
            above = self.gradient(user, depth)
            return above and ast.Subscript(above, without_new(node.slice), ast.Load())
        for known in TABLE:
            found: dict[str, Any] = {}
            fits = known.is_of(operand.value, user.value) and matches(known.operation, node, self.scope, found)
            if fits and found["a"] is place.node:
                return self.of_table(known, found, user, operand, depth)
        raise Unwritten

    def of_table(
        self, known: Derivative, found: Mapping[str, Any], user: Record, operand: Record, depth: int
    ) -> ast.expr | None:
        """The gradient of a line of the table, for what its letters stand for."""
        above = self.gradient(user, depth)
        if above is None:
            return None
        self.pass_by(user)
        used = {n.id for n in ast.walk(known.gradient) if isinstance(n, ast.Name)}
        words = {letter: self.written(part, user) for letter, part in found.items() if letter in (*used, "r", "k")}
        words |= {"g": above, **({"z": self.value(user)} if "z" in used else {})}
        words |= {"s": self.of_shape(operand)} if "s" in used else {}
        due: ast.expr = filled(known.gradient, words)
        by_entry = known.heading == "entry by entry"
        return summed(due, user.value.shape, operand.value.shape) if by_entry else due

    def pass_by(self, user: Record) -> None:
        """Note an operation of the forward that the gradient goes through."""
        if user.place is not None:
            self.lines.setdefault(f"{user.place.text} in line {user.place.line}")

    def through_einsum(self, node: ast.Call, user: Record, operand: ast.expr, depth: int) -> ast.expr | None:
        """Of einsum the product of the gradient with the other operands, summed to the axes of this one."""
        inputs, _, output = str(getattr(node.args[0], "value", "")).replace(" ", "").partition("->")
        axes, which = inputs.split(","), node.args.index(operand) - 1
        others = [i for i in range(len(axes)) if i != which]
        if not output or not set(axes[which]) <= {*output, *"".join(axes[i] for i in others)}:
            raise Unwritten
        above = self.gradient(user, depth)
        if above is None:
            return None
        self.pass_by(user)
        spec = f"{','.join([output, *(axes[i] for i in others)])}->{axes[which]}"
        factors = [above, *(self.written(node.args[i + 1], user) for i in others)]
        return ast.Call(node.func, [ast.Constant(spec), *factors], [])

    def operation(self, user: Record) -> Any:
        """What was computed; of x += e, x + e."""
        place = user.place
        if place is None or place.kind != "update":
            return place and place.node
        statement: Any = place.statement
        read = self.followed.tracer.places[place.children[0]].node
        return ast.BinOp(read, statement.op, statement.value)

    # Words of the backward ---------------------------------------------------------------------------------------

    @cached_property
    def gradients(self) -> list[tuple[str, Array]]:
        """(what the backward calls it, for each upstream its value) of what stands there before the statement."""
        followed, node = self.followed, self.scope.routine.node
        found = [(self.scope.upstream, np.stack(followed.bench.upstreams))] if self.scope.upstream else []
        for record in reversed(followed.records[: self.before.index]):
            values = followed.values[followed.recording.resolved(record).index]
            place = record.place
            if values is None or place is None or place.routine.node is not node:
                continue
            if text := record.name or (place.text if record.alias and place.kind == "use" else ""):
                found.append((text, values))
        return found

    def name_of_gradient(self, record: Record) -> str:
        """What the backward calls the gradient by a value; '' where it has none."""
        meanings, shape = self.followed.meanings, record.value.shape
        rows = zip(meanings.known.get(shape, []), meanings.tables.get(shape, []), strict=False)
        row = next((row for meaning, row in rows if meaning.record is record and not meaning.is_part), None)
        for text, values in self.gradients:
            along = meanings.along_directions(values, shape).ravel() if values.shape[1:] == shape else None
            if row is not None and along is not None and near(along, row):
                return text
        return ""

    def value(self, record: Record) -> ast.expr:
        """A value of the forward: by its name in the backward, as the forward computes it, or lent from there."""
        first = self.forward.resolved(record)
        own = {record.name, first.name, record.place.text if record.place else ""}
        same = [text for text, value in self.names if is_same(value, first.value)]
        if same:
            return named(min(same, key=lambda text: (text not in own, len(text))))
        try:
            if first.place is None or first.gathered or not first.operands:
                raise Unwritten
            found: ast.expr = self.written(self.operation(first), first)
            return found
        except Unwritten:
            name = record.name or first.name or (record.place.text if record.place else "")
            if not name.isidentifier() or name in self.scope.names or first.step:
                raise
            self.lent[name] = first.value
            return named(name)

    def of_shape(self, record: Record) -> ast.expr:
        """Something of a value's shape: itself, if it has a name."""
        shape = record.value.shape
        fitting = [text for text, value in self.scope.values.items() if np.shape(value) == shape]
        return named(record.name if record.name in fitting else fitting[0]) if fitting else self.value(record)

    @cached_property
    def names(self) -> list[tuple[str, Any]]:
        """(text, value) of what the backward has; of a list's items by the count of a loop, where it is that."""
        held = [*self.scope.values.items()]
        counts: dict[int, str] = {}
        for text in indices_of(self.scope):
            counter, *rest = text.split()
            counts[self.scope.values[counter] + int("".join(rest) or 0)] = text
        for name, items in self.scope.containers.items():
            for i, item in enumerate(items) if isinstance(items, (list, tuple)) else ():
                held += [(f"{name}[{counts.get(i, i)}]", item)] if is_known(item) else []
        return held

    def written(self, node: Any, user: Record) -> Any:
        """A part of a statement of the forward in the words of the backward."""
        if isinstance(node, list):
            return [self.written(part, user) for part in node]
        if isinstance(node, Record):
            return self.value(node)
        if not isinstance(node, ast.AST):
            return node
        if record := next((r for r in self.computed.get(node, ()) if r.index < user.index), None):
            return self.value(record)
        if isinstance(node, ast.Name) and node.id not in self.scope.names and user.place:
            return self.defined(node, user)
        return type(node)(**{name: self.written(part, user) for name, part in ast.iter_fields(node)})

    @cached_property
    def computed(self) -> dict[ast.AST, list[Record]]:
        """What a part of the forward's source came to, the last time first."""
        found: dict[ast.AST, list[Record]] = {}
        for record in reversed(self.forward.records):
            if record.place:
                found.setdefault(record.place.node, []).append(record)
        return found

    def defined(self, name: ast.Name, user: Record) -> Any:
        """A mask, count or choice of the forward, by the statement that defines it."""
        statements = ast.walk(user.place.routine.node) if user.place else ()
        for statement in (s for s in statements if isinstance(s, ast.Assign)):
            target = statement.targets[0]
            if isinstance(target, ast.Name) and target.id == name.id:
                return self.written(statement.value, user)
            if isinstance(target, ast.Tuple):
                for i, part in enumerate(target.elts):
                    if getattr(part, "id", "") == name.id:
                        return ast.Subscript(self.written(statement.value, user), ast.Constant(i), ast.Load())
        given = next(iter(self.followed.cases.values())).numbers_given
        if name.id in given:
            self.lent[name.id] = given[name.id]
        return name


def without_new(index: ast.expr) -> ast.expr:
    """An index that takes away the axes that another adds."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    is_new = [ast.unparse(part) in ("None", "np.newaxis") for part in parts]
    elements = [ast.Constant(0) if new else part for part, new in zip(parts, is_new, strict=True)]
    return ast.Tuple(elements, ast.Load()) if len(elements) > 1 else elements[0]


class Shorter(ast.NodeTransformer):
    """Takes factors out that are 1, as where broadcasting does without them, and what is transposed twice."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        twice = node.attr == "T" and isinstance(node.value, ast.Attribute) and node.value.attr == "T"
        return vars(node.value)["value"] if twice else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return node.left if isinstance(node.op, ast.Mult) and is_call(node.right, "ones_like") else node


def is_function(operation: Any, a: Array, z: Array) -> bool:
    """Whether z is what an operation makes of a."""
    with contextlib.suppress(Exception), np.errstate(all="ignore"):  # it may not fit the shape
        return bool(np.allclose(eval(ast.unparse(operation), {"np": np, "a": a}), z))
    return False


def is_same(a: Any, b: Array) -> bool:
    return np.shape(a) == b.shape and np.array_equal(a, b)


def added(a: ast.expr, b: ast.expr) -> ast.expr:
    """a + b, and a - b for a + -b."""
    negative = isinstance(b, ast.UnaryOp) and isinstance(b.op, ast.USub)
    return ast.BinOp(a, ast.Sub(), vars(b)["operand"]) if negative else ast.BinOp(a, ast.Add(), b)


def summed(node: ast.expr, shape: Shape, due: Shape) -> ast.expr:
    """An expression summed over the axes along which an operand of the shape that is due was broadcast."""
    more = len(shape) - len(due)
    kept = tuple(i for i, n in enumerate(shape) if i >= more and due[i - more] == 1 and n != 1)
    if kept:
        node = summing(node, f"axis={kept if len(kept) > 1 else kept[0]}, keepdims=True")
    if more:
        node = summing(node, "" if not due else f"axis={tuple(range(more)) if more > 1 else 0}")
    return node


def summing(node: ast.expr, how: str) -> ast.expr:
    """node.sum(...)"""
    return named(f"({ast.unparse(node)}).sum({how})")


TABLE = list(read_table(Path(__file__).with_name("chain_rule.txt")))
