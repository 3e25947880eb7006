"""Changes of whole statements: what is kept, changed too early, added at the wrong place, or to one entry alone."""

import ast
import itertools
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

import numpy as np

from ..user_code.tracing import Change, Place
from .edits import arrays_of, substituted
from .findings import Finding, always, whole
from .following import Followed
from .scopes import texts_of
from .sites import Scope, computed, is_index, is_read


def copies(followed: Followed) -> Iterator[Finding]:
    """A copy of what the forward keeps and then changes in place, so that the backward reads other numbers."""
    for place in followed.overwritten:
        message = f"the forward changes {place.text} in place after keeping it here, and the backward reads that"
        copied = always({place.index: lambda step, value, frame: value.copy()})
        yield Finding(place, copied, (), "wrong-variable", f"{message}: keep a copy", place.text)


def stale(scopes: Sequence[Scope], places: Sequence[Place]) -> Iterator[Finding]:
    """What a variable was before a statement changed it, for all that reads it later, or but gives it a name."""
    for scope in scopes:
        statement, name = scope.statement, scope.target
        changes = isinstance(statement, ast.AugAssign) or name in texts_of(statement)
        if not isinstance(statement, (ast.Assign, ast.AugAssign)) or statement.value not in scope.places:
            continue
        if adds_to(statement, name) and in_a_loop(statement, scope.routine.node):
            continue  # without its last share a sum is another one, and none that was needed as it was
        later = [p for p in places if p.routine is scope.routine and p.line > scope.line]
        reads = [p for p in later if p.kind == "use" and p.text == name]
        used = [p for p in reads if not is_handed_on(p)]
        for chosen in (used, reads) if changes and "[" not in name else ():
            value = scope.places[statement.value]
            place = whole(places[value], statement)
            message = f"{name} is changed here, and still needed as it was: change it later, or under another name"
            run = always(held_back(value, [p.index for p in chosen], name))
            yield Finding(place, run, (), "wrong-variable", message, name)


def moved(scopes: Sequence[Scope], places: Sequence[Place]) -> Iterator[Finding]:
    """What is added under another condition, at another end of a loop, or to one entry alone."""
    yield from itertools.chain(*(change(scopes, places) for change in (nested, carried, counterparts)))


def nested(scopes: Sequence[Scope], places: Sequence[Place]) -> Iterator[Finding]:
    """What is added once behind a loop, and belongs into a condition of it: as often as that holds."""
    added = [s for s in scopes if isinstance(s.statement, ast.AugAssign) and s.statement.value in s.places]
    watched = [scope.statement for scope in scopes]
    for loop, behind in loops_before([s.statement for s in added], [s.routine.node for s in added]):
        together = [scope for scope in added if scope.statement in behind]
        conditions = [n for n in ast.walk(loop) if isinstance(n, ast.If)]
        for inner, some in itertools.product(conditions, (together, *([scope] for scope in together[:-1]))):
            first = next((statement for statement in inner.body if statement in watched), inner.body[0])
            counted = [p.index for p in places if p.statement is first][-1:]
            values = [scope.places[vars(scope.statement)["value"]] for scope in some]
            at = whole(places[values[0]], some[0].statement)
            which = f"this{' and the lines behind it belong' if values[1:] else ' belongs'}"
            message = f"{which} into the if in line {inner.lineno}: it is due each time that this holds"
            for place in counted:
                yield Finding(at, always(counting(place, values)), (), "wrong-mask", message, some[0].target)


def carried(scopes: Sequence[Scope], places: Sequence[Place]) -> Iterator[Finding]:
    """What a loop carries from step to step, times what is due at the end of each, or used up there."""
    for scope in scopes:
        statement, name = scope.statement, scope.target
        value = scope.places.get(vars(statement).get("value", statement))
        if value is None or not adds_to(statement, name):
            continue
        loops = [n.body for n in ast.walk(scope.routine.node) if isinstance(n, ast.For) and statement in n.body]
        others = [vars(s).get("value", s) for body in loops for s in body if s is not statement]
        ends = [scope.places[node] for node in others if node in scope.places]
        arrays = arrays_of(scope)
        alike = [t for t in arrays if name in arrays and arrays[t].shape == arrays[name].shape and t != name]
        for factor in (*alike, "0") if ends and name in arrays else ():
            told = "used up" if factor == "0" else f"due times {factor}"
            message = f"what {name} holds is {told} at the end of the loop: {name} *= {factor} is missing there"
            at = whole(places[value], statement)
            mistake = "added-twice" if factor == "0" else "factor-missing"
            yield Finding(at, always(carrying(value, ends[-1], name, factor)), (), mistake, message, name)


def counterparts(scopes: Sequence[Scope], places: Sequence[Place]) -> Iterator[Finding]:
    """What is added to one entry, and due to another as well: a difference has two sides."""
    for scope in scopes:
        statement = scope.statement
        if not isinstance(statement, ast.AugAssign) or not isinstance(statement.target, ast.Subscript):
            continue
        read = dict.fromkeys(ast.unparse(n) for n in ast.walk(scope.routine.node) if is_read(n))
        others = [text for text in read if is_index(computed(text, scope.names))]
        positions = [n for n in ast.walk(statement.target.slice) if ast.unparse(n) in others]
        value = scope.places.get(statement.value)
        for position, other, sign in itertools.product(positions, others, ("-", "+")):
            line = beside(statement, position, other, sign)
            if value is not None and line and other != ast.unparse(position):
                at = whole(places[value], statement)
                message = f"another entry gets a share, too: {line} is missing beside this line"
                yield Finding(at, always({value: doing(line)}), (), "term-missing", message, scope.target)


def is_handed_on(place: Place) -> bool:
    """Whether a variable is but given another name there, or returned."""
    return isinstance(place.statement, ast.Return) or getattr(place.statement, "value", None) is place.node


def held_back(value: int, reads: Sequence[int], name: str) -> dict[int, Change]:
    """Changes that note what a variable is before a statement with this value changes it, for those who read it."""
    known: list[Any] = []

    def keep(step: int, new: Any, frame: FrameType) -> Any:
        known[:] = [np.array(eval(name, {**frame.f_globals, **frame.f_locals}))]
        return new

    return {**dict.fromkeys(reads, lambda step, new, frame: known[0] if known else new), value: keep}


def loops_before(
    statements: Sequence[ast.AST], routines: Iterable[ast.AST]
) -> Iterator[tuple[ast.stmt, list[ast.stmt]]]:
    """(loop or condition, those of the statements behind it) in the body of each loop around them."""
    for body in (n.body for r in dict.fromkeys(routines) for n in ast.walk(r) if isinstance(n, ast.For)):
        for i, inner in enumerate(body):
            if isinstance(inner, (ast.For, ast.If)) and (behind := [s for s in body[i:] if s in statements]):
                yield inner, behind


def beside(statement: ast.AugAssign, position: ast.AST, other: str, sign: str) -> str:
    """The line that adds the same to another entry, or takes it away there."""
    target = ast.unparse(substituted(statement.target, {ast.unparse(position): other}))
    return f"{target} {sign}= {ast.unparse(statement.value)}"


def doing(line: str) -> Change:
    """A change that changes nothing, but has another line run before."""
    code = compile(line, "<a line more>", "exec")

    def run(step: int, value: Any, frame: FrameType) -> Any:
        exec(code, {**frame.f_globals, **frame.f_locals})
        return value

    return run


def in_a_loop(statement: ast.AST, routine: ast.AST) -> bool:
    loops = (n for n in ast.walk(routine) if isinstance(n, (ast.For, ast.While)))
    return any(part is statement for loop in loops for part in ast.walk(loop))


def adds_to(statement: ast.AST, name: str) -> bool:
    """Whether it adds to what a variable holds: x += a, or x = x + a."""
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, ast.Add)
    value = statement.value if isinstance(statement, ast.Assign) else None
    added = [value.left, value.right] if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add) else []
    return name in map(ast.unparse, added)


def carrying(value: int, end: int, name: str, factor: str) -> dict[int, Change]:
    """Changes that multiply what a variable holds from the step before by what a factor was at its end."""
    known: list[Any] = []

    def keep(step: int, new: Any, frame: FrameType) -> Any:
        known[:] = [np.array(eval(factor, {**frame.f_globals, **frame.f_locals}))]
        return new

    def multiply(step: int, new: Any, frame: FrameType) -> Any:
        return new + (known[0] - 1) * frame.f_locals[name] if step and known else new

    return {value: multiply, end: keep}


def counting(counted: int, values: Sequence[int]) -> dict[int, Change]:
    """Changes that multiply values by how often another place was computed since the first of them last was."""
    times = [0, 0]

    def count(step: int, new: Any, frame: FrameType) -> Any:
        times[0] += 1
        return new

    def multiply(step: int, new: Any, frame: FrameType) -> Any:
        return new * times[1]

    def start(step: int, new: Any, frame: FrameType) -> Any:
        times[:] = 0, times[0]
        return new * times[1]

    return {**dict.fromkeys(values, multiply), counted: count, values[0]: start}
