"""The search for the single change that makes wrong gradients right."""

import ast
import contextlib
import copy
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ...arrays import Array
from ..mistakes import Case
from ..subjects import Point, Subject
from ..verdict import Verdict
from .edits import small_edits
from .insertions import INSERTIONS
from .places import Edit, kind
from .source import Restored, Routine, Values, captured_arrays, routines

Cure: TypeAlias = tuple[set[str], Routine, Edit]  # the arrays that an edit of a routine mends

SECONDS = 5.0  # of one core


def mend(subject: Subject, cases: Mapping[str, Case], right: Sequence[str]) -> dict[str, Verdict]:
    """{array: Verdict} for the wrong arrays (cases by name) that one changed line makes right.

    right: the names of the arrays whose gradients are right already; a change may not spoil those, nor y. Where a
    change leaves some arrays wrong, a second one is looked for on top of it: two mistakes in one backward are common.
    """
    first = next(iter(cases.values()))
    point, upstream = subject.at(np.float64), first.numbers.upstreams[0]
    try:
        found = routines(point.forward, lambda: point.backward(upstream.copy()), subject.one_function)
    except Exception:  # then nothing can be tried either
        return {}
    restore = Restored(captured_arrays(f for routine in found for f in routine.functions))
    with silence():
        cures = search(found, subject, Bench(subject, cases, right, restore))
        verdicts = chosen(cures, cases)
        left = {name: case for name, case in cases.items() if name not in verdicts}
        if verdicts and left:
            _, routine, edit = max(cures, key=lambda cure: len(cure[0]))
            with edit.apply(), routine.replace_code(routine.compiled()):
                more = search(found, subject, Bench(subject, left, right, restore))
                verdicts |= chosen(more, left)
    return verdicts


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No prints and warnings of changed code."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def search(found: Sequence[Routine], subject: Subject, bench: "Bench") -> list[Cure]:
    """[(names mended, routine, edit)] of the edits that mend something, until one mends all or time is up."""
    deadline = time.thread_time() + SECONDS
    cures: list[Cure] = []
    for routine, edit in edits_of(found, subject):
        if time.thread_time() > deadline:
            break
        mended = bench.mended(routine, edit)
        if mended:
            cures.append((mended, routine, edit))
            if len(mended) == len(bench.cases):
                break
    return cures


def chosen(cures: Sequence[Cure], cases: Mapping[str, Case]) -> dict[str, Verdict]:
    """The cures that mend most, an earlier one before a later one."""
    verdicts: dict[str, Verdict] = {}
    for mended, routine, edit in sorted(cures, key=lambda cure: -len(cure[0])):
        new = mended - set(verdicts)
        if new:
            verdicts |= explained(routine, edit, [name for name in cases if name in new])
    return verdicts


def edits_of(found: Sequence[Routine], subject: Subject) -> Iterator[tuple[Routine, Edit]]:
    """Every edit of every routine, the small ones of all of them first."""
    for routine in found:
        names = [a.arg for a in routine.part.args.args if a.arg not in ("self", "ctx", "cls")]
        routine.upstream = names[0] if names and not subject.one_function else None
        routine.remade = subject.one_function or routine.part is not routine.node
        routine.parameters = subject.all_names
        routine.fixed = statements_of_loss(routine.part, routine.values) if subject.one_function else set()
    for stage in (small_edits, *INSERTIONS):
        for routine in found:
            for edit in list(stage(routine)):
                if edit.statement not in routine.fixed:
                    yield routine, edit


def statements_of_loss(part: ast.AST, values: Values) -> set[ast.AST]:
    """The assignments that the loss depends on, in a function that returns (loss, gradients)."""
    returned = [n.value.elts for n in ast.walk(part) if isinstance(n, ast.Return) and isinstance(n.value, ast.Tuple)]
    names = [element for elements in returned for element in elements if isinstance(element, ast.Name)]
    losses = [name for name in names if kind(values.get(name.id, np.zeros(1))) == "number"]
    if not losses:
        return set()
    wanted, grown = names_in(losses[0]), True
    fixed: set[ast.AST] = set()
    while grown:
        grown = False
        for statement in ast.walk(part):
            if isinstance(statement, (ast.Assign, ast.AugAssign)) and statement not in fixed:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                if any(isinstance(t, ast.Name) and t.id in wanted for t in targets):
                    fixed.add(statement)
                    wanted |= names_in(statement.value)
                    grown = True
    return fixed


def names_in(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


class Bench:
    """Tries changed code: forward and backward once, and compares with the numeric gradients."""

    def __init__(self, subject: Subject, cases: Mapping[str, Case], right: Sequence[str], restore: Restored) -> None:
        self.subject: Subject = subject
        self.cases: Mapping[str, Case] = cases
        self.restore: Restored = restore
        first = next(iter(cases.values()))
        self.upstreams: Sequence[Array] = first.numbers.upstreams
        self.y: Array = first.y
        self.ready: Point | None = None
        self.right: dict[str, Array | None] = {name: first.gradients[0][name] for name in right}

    def mended(self, routine: Routine, edit: Edit) -> set[str]:
        """The names of the wrong arrays that this edit makes right for every upstream, none spoiled."""
        try:
            with edit.apply():
                code = routine.compiled()
            with routine.replace_code(code):
                mended = set(self.cases)
                for i in range(len(self.upstreams)):
                    mended = mended and self.compare(i, mended, routine.remade or self.subject.keeps_cache)
        except Exception:  # changed code may do anything
            return set()
        finally:
            self.restore()
        return mended

    def compare(self, i: int, wanted: set[str], remade: bool) -> set[str]:
        point = self.after_forward(remade)
        if point is None:
            return set()
        gradients = point.backward(self.upstreams[i].copy())
        if i == 0 and not all(close(gradients[name], value) for name, value in self.right.items()):
            return set()
        return {name for name in wanted if self.fits(name, gradients[name], i)}

    def after_forward(self, remade: bool) -> Point | None:
        """A point whose forward has run: anew where the forward may be another now, else with a copy of its cache."""
        if remade or self.ready is None:
            point = self.subject.at(np.float64)
            if not np.array_equal(point.forward(), self.y) and self.subject.one_function:
                return None
        else:
            point = copy.copy(self.ready)
        if not remade:
            self.ready = self.ready or copy.copy(point)
            point.cache = copy.deepcopy(self.ready.cache)
        return point

    def fits(self, name: str, gradient: Array | None, i: int) -> bool:
        case = self.cases[name]
        if gradient is None or np.shape(gradient) != case.array.shape:
            return False
        return case.same(np.asarray(gradient).ravel()[case.entries], case.expected[i])


def close(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=1e-12)


def explained(routine: Routine, edit: Edit, names: Sequence[str]) -> dict[str, Verdict]:
    """{name: Verdict} of one edit."""
    line, before, after = edit.described()
    many = len(names) > 1
    wrong = f"the gradient{'s' * many} by {', '.join(names)} {'are' if many else 'is'} wrong"
    message = f"{wrong} in {line} of {routine.name}: {edit.message}"
    evidence = f"right with  {after}  in place of  {before}"
    return {name: Verdict(name, edit.mistake, message, evidence) for name in names}
