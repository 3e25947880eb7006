"""Where to look for a mistake: the statements that wrong values come from, and what their names held when they ran."""

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from ..user_code.tracing import Change, Place, Routine
from .following import Followed
from .sites import Scope, Values, computed, is_known


def scopes_of(followed: Followed, doubt: bool = False) -> list[Scope]:
    """The statements that the wrong values come from, in the order in which they ran.

    doubt: those too of which true gradients come, as what is one may be that of something else.
    """
    unread = (i for r in followed.outputs.values() if r.place is None for i in r.operands)  # but written into
    wrong = [r.place for r in (*followed.region, *map(followed.records.__getitem__, unread)) if r.place]
    wrong += map(followed.tracer.places.__getitem__, followed.parts)
    statements = widened(list(dict.fromkeys((place.routine, place.statement) for place in wrong)), followed, doubt)
    shown = [place for place in followed.tracer.places if place.routine.shown]
    written = {ast.unparse(node): node for node in dict.fromkeys(place.routine.node for place in shown)}
    standing = {ast.unparse(n): n for node in written.values() for n in ast.walk(node) if is_standing(n)}
    held, ran = snapshots(followed, shown)
    # a function that the forward makes has two places for a node: where it was made, and where the backward calls it
    steps = followed.tracer.steps
    latest = sorted(followed.tracer.places, key=lambda place: (place.index in steps, -place.index))
    places: dict[ast.AST, int] = {place.node: place.index for place in latest if place.kind != "update"}
    case, found = next(iter(followed.cases.values())), []
    given = {**case.inputs, **case.keywords}.values()
    lengths = frozenset(len(value) for value in given if isinstance(value, (list, tuple)) or np.ndim(value))
    for routine, statement in [*(s for s in ran if s in statements), *(s for s in statements if s not in ran)]:
        names = held.get(routine.node, {})
        upstream = next((a.arg for a in routine.node.args.args if a.arg not in ("self", "ctx", "cls")), None)
        known = {text: value for text in standing if (value := computed(text, names)) is not None}
        scope = Scope(routine, statement, places, upstream=upstream, parameters=[*case.inputs], lengths=lengths)
        found.append(holding(replace(scope, expressions=known), names))
    return found


def holding(scope: Scope, names: Values) -> Scope:
    """A statement with what its names held at some time."""
    return replace(scope, values=readable(names), containers=containers_in(names), names=names, drawn={})


PLAIN = (
    *(ast.BinOp, ast.UnaryOp, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Call, ast.Slice, ast.Tuple),
    *(ast.operator, ast.unaryop, ast.expr_context),
)


def is_standing(node: ast.AST) -> bool:
    """Whether an expression of the code can be computed elsewhere without harm: arithmetic, sizes and roots."""
    below = list(ast.walk(node))
    calls = [n for n in below if isinstance(n, ast.Call)]
    plain = all(isinstance(n, PLAIN) for n in below) and all(ast.unparse(n.func) in HARMLESS for n in calls)
    decimal = isinstance(node, ast.Constant) and isinstance(node.value, float)
    cut = isinstance(node, ast.Subscript) and any(isinstance(n, ast.Slice) for n in below)
    return decimal or (plain and (cut or isinstance(node, (ast.BinOp, ast.Call))) and len(below) <= MOST_NODES)


HARMLESS = ("len", "np.sqrt", "numpy.sqrt", "np.abs")
MOST_NODES = 16
MOST_ITEMS = 12  # of a tuple, whose items are told by their numbers


def widened(
    statements: list[tuple[Routine, ast.AST]], followed: Followed, doubt: bool
) -> list[tuple[Routine, ast.AST]]:
    """Statements with those that define or change the names in them, and loops around.

    Names of true gradients are left out, but for those in these very statements where they are in doubt.
    """
    first = set(statements) if doubt else set()
    uses = [r for r in followed.records if r.place and r.place.kind == "use"]
    fine = {r.place for r in uses if followed.recording.resolved(r).index in followed.fine}
    fine_names = {(place.statement, ast.unparse(place.node)) for place in fine if place}
    todo, seen = list(statements), dict.fromkeys(statements)
    while todo:
        routine, statement = todo.pop(0)
        for other in walk_statements(routine.node):
            if (routine, other) in seen:
                continue
            encloses = isinstance(other, (ast.For, ast.If, ast.While)) and any(n is statement for n in ast.walk(other))
            doubted = (routine, statement) in first
            names = {text for text in texts_of(statement) if doubted or (statement, text) not in fine_names}
            changed = texts_of(statement) if remakes(other) else names
            if encloses or changed & targets_of(other) or guards(other, statement):
                seen[routine, other] = None
                todo.append((routine, other))
    return list(seen)


def guards(condition: ast.stmt, loop: ast.AST) -> bool:
    """Whether a condition has a loop go on to the next step, or end."""
    jumps = isinstance(condition, ast.If) and isinstance(condition.body[-1], (ast.Continue, ast.Break))
    return jumps and isinstance(loop, (ast.For, ast.While)) and condition in loop.body


def remakes(statement: ast.stmt) -> bool:
    """Whether a variable is made anew of itself, as by a mask (one that lets all through leaves a true gradient), or
    is another one by a second name, which is a true gradient too, but may be that of something else.
    """
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, ast.Mult)
    if not isinstance(statement, ast.Assign):
        return False
    target = statement.targets[0]
    masked = isinstance(target, ast.Subscript) and isinstance(statement.value, ast.Constant)
    return masked or is_alias(statement) or ast.unparse(target) in texts_of(statement.value)


def is_alias(statement: ast.Assign) -> bool:
    """Whether it gives a variable or an attribute a second name, and no more."""
    return isinstance(statement.value, (ast.Name, ast.Attribute)) and not isinstance(statement.targets[0], ast.Tuple)


def walk_statements(node: ast.AST) -> Iterator[ast.stmt]:
    return (n for n in ast.walk(node) if isinstance(n, ast.stmt) and n is not node)


def texts_of(statement: ast.AST) -> set[str]:
    """The names, attributes and items that a statement reads; of a loop or condition, its head."""
    heads = [getattr(statement, name) for name in ("iter", "test") if hasattr(statement, name)] or [statement]
    nodes = (n for head in heads for n in ast.walk(head))
    return {ast.unparse(n) for n in nodes if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript))}


def targets_of(statement: ast.stmt) -> set[str]:
    """The names, attributes and items that a statement assigns to or changes."""
    targets = [*getattr(statement, "targets", ()), *([statement.target] if hasattr(statement, "target") else [])]
    if isinstance(statement, ast.Assign) and is_alias(statement):  # two names of one array: it changes by either
        targets.append(statement.value)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets += statement.value.args[:1]  # np.add.at(x, ...)
    found = set()
    for target in itertools.chain(targets, *(t.elts for t in targets if isinstance(t, (ast.Tuple, ast.List)))):
        while isinstance(target, ast.Subscript):
            found.add(ast.unparse(target))
            target = target.value
        found.add(ast.unparse(target))
    return found


def snapshots(
    followed: Followed, places: Sequence[Place]
) -> tuple[dict[ast.AST, Values], dict[tuple[Routine, ast.AST], None]]:
    """({routine: what its names held when its last expressions were computed}, the statements as they ran)."""
    held: dict[ast.AST, Values] = {}
    ran: dict[tuple[Routine, ast.AST], None] = {}

    def keep(place: Place) -> Change:
        def look(step: int, value: Any, frame: FrameType) -> Any:
            held.setdefault(place.routine.node, {}).update(frame.f_locals)
            ran.setdefault((place.routine, place.statement))
            return value

        return look

    followed.bench.gradients(0, {place.index: keep(place) for place in places})
    return held, ran


def readable(values: Mapping[str, Any]) -> Values:
    """{expression: value} of the arrays and numbers that names hold, and of what is kept in a dict, tuple or object
    and has no name of its own, or a shorter one.
    """
    found: Values = {}
    for name, value in values.items():
        if name.isidentifier():
            found |= {text: item for text, item in [(name, value), *kept_in(name, value)] if is_known(item)}
    shortest: dict[int, str] = {}
    for text in sorted(found, key=lambda text: (not text.isidentifier(), len(text))):
        shortest.setdefault(id(found[text]), text)
    return {text: v for text, v in found.items() if text.isidentifier() or shortest[id(v)] == text}


def kept_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(expression, value) of what a name's dict, tuple or object of the user's holds, two levels deep."""
    if isinstance(value, dict):
        below = {f"{name}[{key!r}]": item for key, item in value.items() if isinstance(key, (str, int))}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        below = {f"{name}.{field}": item for field, item in zip(value._fields, value, strict=True)}
    elif isinstance(value, tuple) and len(value) <= MOST_ITEMS:
        below = {f"{name}[{i}]": item for i, item in enumerate(value)}
    elif hasattr(value, "__dict__") and not isinstance(value, (type, ModuleType)) and not callable(value):
        below = {f"{name}.{key}": item for key, item in vars(value).items()}
    else:
        return
    yield from below.items()
    for text, item in below.items() if name.isidentifier() else ():
        yield from kept_in(text, item)


def containers_in(values: Mapping[str, Any]) -> Values:
    """{name: value} of the lists, tuples and dicts of arrays that names hold, and the attributes of an object."""
    found: Values = {}
    for name, value in values.items():
        items = [*items_of(value)]
        if any(map(is_known, itertools.chain(items, *map(items_of, items)))):
            found[name] = value
        elif name == "self" and hasattr(value, "__dict__"):
            found |= {f"self.{k}": v for k, v in containers_in(vars(value)).items()}
    return found


def items_of(value: Any) -> Iterable[Any]:
    """What a dict, list or tuple holds."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
