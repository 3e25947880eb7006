"""The name of a mistake: which small change, where the first wrong values stand, makes the gradients right."""

import ast
import contextlib
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np

from ..arrays import Array
from ..user_code.subjects import Subject
from ..user_code.tracing import Change, Place, Record, Routine, is_numeric
from .edits import INSERTIONS, NAMES, SMALL, terms
from .following import Changes, Followed
from .mistakes import Case, at_a_place
from .sites import Edit, Scope, Values, compiled, is_known
from .sizes import Elsewhere, elsewhere
from .verdict import Verdict

MOST_TRIES = 1000  # of changed backwards, of each kind of change
FEWEST_TRIES = 120
MOST_COPIES = 12  # that a forward should have kept
MOST_NEAR = 2  # statements in which all changes are tried before the others
MOST_SECONDS = 3  # changes to which a second one is looked for
MOST_TRIED_PROBES = 300_000  # values that they may compute: about as many microseconds
MOST_WORK = 1_800_000  # of the changes for one mistake together, that of making one included
MOST_WORK_IN_SECONDS = 500_000  # of those that are tried together with another
BASE_PROBES = 300  # what a run costs besides, in probes
MOST_TARGETS = 6  # values of the forward whose gradient one value of the backward may be meant to be
PREFIXES = re.compile(r"^(self\.)?(dL_d|dL|d_|grad_|delta_|d|g)|(_grad|_bar)$")


@dataclass(frozen=True)
class Finding:
    """Where a mistake is, what cures it in a run, the arrays that this makes right, and what is said of it."""

    place: Place
    changes: Changes
    names: tuple[str, ...]
    mistake: str
    message: str
    variable: str
    edit: Edit | None = None
    besides: tuple[int, ...] = ()  # the lines of other mistakes that must be mended too

    @property
    def verdict(self) -> Verdict:
        names, many = ", ".join(self.names), len(self.names) > 1
        where = f"line {self.place.line} of {self.place.routine.name}"
        message = f"the gradient{'s' * many} by {names} {'are' if many else 'is'} wrong in {where}: {self.message}"
        before, after = self.edit.described() if self.edit else ("", "")
        lines = " and ".join(f"line {line}" for line in self.besides if line != self.place.line)
        also = f"and {lines} put right, " if lines else ""
        evidence = f"with it in place of  {before}  {also}all gradients that it makes are right" if before else ""
        return Verdict(names, self.mistake, message, evidence, self.variable, self.place.line, after)


@dataclass(frozen=True)
class Trial:
    """A change as another expression at a place, and what that is there at one step, upstream after upstream."""

    finding: Finding
    record: Record
    code: CodeType
    values: list[Array]
    faults: list[Exception]  # a changed expression may not fit
    alone: bool  # whether it is the changed expression itself, and none around it

    def compute(self, step: int, names: Mapping[str, Any]) -> None:
        if step == self.record.step:
            try:
                lent = self.finding.edit.site.scope.lent if self.finding.edit else {}
                value = eval(self.code, {**lent, **names})
                self.values.extend([np.array(value)] if is_numeric(value) else [])
            except Exception as fault:
                self.faults.append(fault)


def looking(trials: Sequence[Trial]) -> Change:
    """A change that changes nothing, but has trials computed."""

    def look(step: int, value: Any, frame: FrameType) -> Any:
        names = {**frame.f_globals, **frame.f_locals}
        for trial in trials:
            trial.compute(step, names)
        return value

    return look


def follow_backward(subject: Subject, cases: Mapping[str, Case], right: Sequence[str]) -> list[Verdict]:
    """Verdicts on the wrong arrays (cases by name), with variable, line and, where it is found, the line as due.

    right: the names of the arrays whose gradients are right already; a change may not spoil those.
    """
    with silence():
        try:
            search = Search(Followed(subject, cases, right))
            found = list(search.findings())
        except Exception:  # the code does not run with probes, or not twice
            return []
    return [finding.verdict for finding in found]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No prints and warnings of traced and changed code."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def always(changes: Mapping[int, Change]) -> Changes:
    return lambda i: dict(changes)


class Search:
    """The search for what makes the arrays right that are left, where the mistake is."""

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self.bench = followed.bench
        self.whole_tracer = followed.tracer
        self.accepted: list[Finding] = []
        self.left: set[str] = set(followed.cases)
        self.work: int = MOST_WORK  # that may still be done, in probes
        self.by_chance: list[Finding] = []  # what mends at these sizes alone
        self.look()

    def look(self) -> None:
        """See where to search, and leave the probes there alone, so that many changes can be tried."""
        tracer, self.scopes = self.whole_tracer, scopes_of(self.followed)
        self.wrong: dict[int, Record] = self.followed.first_wrong()
        for record in self.suspects:
            self.wrong.setdefault(record.place.index if record.place else -1, record)
        statements = {scope.statement for scope in self.scopes}
        names = {name for scope in self.scopes for name in (scope.upstream, scope.target.split("[")[0])}
        near = (p.index for p in tracer.places if p.statement in statements or getattr(p.node, "id", "") in names)
        values = (record.place.index for record in self.followed.made_of if record.place)
        changed = (place for finding in self.accepted for place in finding.changes(0))
        forward = self.bench.forward_places
        self.bench.tracer = tracer.at([*near, *values, *changed, *forward])
        self.bench.gradients(0, {})
        self.cost: int = BASE_PROBES + sum(self.bench.tracer.steps.values())
        self.bench.tracer.most_steps = 100 + 10 * max(self.bench.tracer.steps.values(), default=0)
        self.tries: int = min(MOST_TRIES, max(FEWEST_TRIES, MOST_TRIED_PROBES // self.cost))

    def accept(self, findings: Sequence[Finding]) -> None:
        """Go on from these changes: follow the backward anew with them."""
        self.accepted = list(findings)
        self.bench.tracer = self.whole_tracer
        self.followed.follow(self.together(), [name for name in self.followed.cases if name in self.left])
        self.look()

    def findings(self) -> Iterator[Finding]:
        """What is found, one mistake after another, until nothing is left or no more is known."""
        while self.left:
            done, self.work, self.by_chance = len(self.accepted), MOST_WORK, []
            found = self.first() or next(iter(self.by_chance), None)
            if found is None or set(found.names) != self.left:
                self.work = MOST_WORK_IN_SECONDS
                placed = self.best(itertools.islice(self.targets(), self.tries))
                if placed and (found is None or (is_told(placed) and len(placed.names) > len(found.names))):
                    found = placed
            if found is None:
                yield from self.first_wrong()
                return
            new = [replace(finding, names=found.names) for finding in (*self.accepted[done:], found)]
            new = [replace(f, besides=tuple(o.place.line for o in new if o is not f)) for f in new]
            yield from map(self.told, new)
            self.left -= set(found.names)
            if self.left:
                self.accept([*self.accepted[:done], *new])

    def told(self, finding: Finding) -> Finding:
        """By the number of the forward that all its arrays lack; without the line as due, where a bare number in it may
        be something that is another one elsewhere.
        """
        cases = map(self.bench.cases.__getitem__, finding.names)
        if finding.mistake == "unexplained" and (path := self.path(finding.names)):
            return replace(finding, mistake=path[0], message=path[1])
        if finding.mistake == "unexplained" and (bent := self.bent()) and bent.place:
            message = f"{bent.place.text} is no multiple of dy: twice the dy must give twice the gradient"
            return replace(finding, place=bent.place, mistake="not-linear", message=message, edit=None)
        factors = [c.factor(c.expected) if c.analytic[0].shape == c.array.shape else None for c in cases]
        if factors[0] and all(np.allclose(factor or 0, factors[0]) for factor in factors):
            for told in filter(
                None, [self.forward_factor(np.full(1, factors[0]), "this", " and ".join(finding.names))]
            ):
                finding = replace(finding, mistake=told[0], message=told[1])
        number = finding.edit.number if finding.edit else None
        origin = self.origin_of(number) if number else ""
        if not origin:
            return finding
        message = f"{finding.message}, if {number:g} is not {origin}: check arrays and keywords with other numbers too"
        return replace(finding, edit=None, message=message)

    def origin_of(self, number: float) -> str:
        """A keyword of the forward, or a size or its root, that the number or its inverse equals here; '' for none."""
        case = next(iter(self.bench.cases.values()))
        for name, value in case.numbers_given.items():
            if value and number in (value, 1 / value):
                return f"{name} = {value:g}"
        sizes = {size for array in case.arrays.values() for size in array.shape}
        sizes &= self.elsewhere.sizes if self.elsewhere else sizes
        return "the root of a size" if number**2 in sizes else "a size" if number in sizes else ""

    def first(self, depth: int = 0) -> Finding | None:
        """One change that mends: small ones first, then terms that a part lacks, then what brings in other names.

        Each kind first where it makes a true gradient of the value that it changes, then anywhere in the region. A
        change that does the former, but does not mend, may be the first of two.
        """
        best: Finding | None = None
        firsts: list[tuple[int, Finding]] = []
        near, made_of = self.near, [r.place.statement for r in self.suspects if r.place]
        suspects = [s for s in self.scopes if s.statement in made_of and s not in near]
        far = [s for s in self.scopes if s not in near and s not in suspects]
        stages: list[tuple[Iterator[Finding], int, int]] = [
            (iter(()) if depth else self.copies(), MOST_COPIES, MOST_COPIES),
            (self.edits(SMALL, self.scopes), 2 * self.tries, 2 * self.tries),
            (iter(()) if depth else self.stale(), self.tries, self.tries),
            (self.paths(), self.tries, self.tries),
            (self.edits(NAMES, self.scopes), 3 * self.tries, 3 * self.tries),
            (self.edits(INSERTIONS, near), MOST_TRIES, self.tries),
            (self.edits(INSERTIONS, suspects), MOST_TRIES, self.tries),
            (self.edits(INSERTIONS, far), 2 * self.tries, 2 * self.tries),
            (iter(()) if depth else self.repeated(), self.tries, self.tries),
            (iter(()) if depth else self.lent(), self.tries, self.tries),
        ]
        for proposals, count, run in stages:
            tried = list(itertools.islice(proposals, count))
            true, useless = self.true_there(tried)
            tried = [finding for finding in tried if id(finding) not in useless]
            for group in ([finding for _, finding in true], tried[: run // 4 if depth else run]):
                found = self.best(group)
                if found and set(found.names) == self.left:
                    return found
                best = max(filter(None, (best, found)), key=lambda f: len(f.names), default=None)
            firsts += true
        promising = sorted((pair for pair in firsts if pair[0] < 2), key=lambda pair: pair[0])
        by_statement = {finding.place.statement: finding for _, finding in reversed(promising)}
        return best or self.second([*reversed(by_statement.values())], depth)

    def second(self, firsts: Sequence[Finding], depth: int) -> Finding | None:
        """Two mistakes on the way to the same arrays: a change that mends its own value, and one for the rest."""
        before = list(self.accepted)
        for proposal in firsts[:MOST_SECONDS] if depth < 1 else ():
            with contextlib.suppress(Exception):  # changed code may do anything
                self.accept([*before, proposal])
                self.work = MOST_WORK_IN_SECONDS
                found = self.first(depth + 1)
                if found is not None and (found.edit or found.place.statement is not proposal.place.statement):
                    return found
        self.accept(before)
        return None

    @property
    def near(self) -> list[Scope]:
        """Where the first wrong values are computed, and what the first is made of."""
        region = [r for r in self.followed.region if r.place]
        wrong = [r for r in region if self.followed.depends_on_upstream(r)] or region
        first = list(dict.fromkeys(r.place.statement for r in wrong if r.place))[:MOST_NEAR]
        return [scope for scope in self.scopes if scope.statement in first]

    @property
    def suspects(self) -> list[Record]:
        """The variables that the first wrong value is made of, where they got their values."""
        followed = self.followed
        wrong = (r for r in followed.region if followed.depends_on_upstream(r) and followed.goes_wrong(r))
        made_of = [r for first in itertools.islice(wrong, 1) for r in followed.ingredients(first)]
        return [followed.holder(r) for r in made_of if followed.depends_on_upstream(r)]

    def best(self, proposals: Iterable[Finding]) -> Finding | None:
        """The first that makes all that is left right, or the one that makes most of it right."""
        best: Finding | None = None
        taken = {place for finding in self.accepted for place in finding.changes(0)}
        for tried, proposal in enumerate(proposals):
            if self.work < 0 or taken.intersection(proposal.changes(0)):
                continue
            if tried % 16 == 0:
                self.bench.renew()
            self.work -= self.cost
            names = self.bench.mended(self.together(proposal)) & self.left
            if len(names) > (len(best.names) if best else 0):
                found = replace(proposal, names=tuple(n for n in self.bench.cases if n in names))
                if not self.holds_elsewhere(found):
                    continue
                best = found
                if names == self.left:
                    break
        return best

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """The code at other sizes, where it takes them."""
        with contextlib.suppress(Exception):  # somebody's code may do anything
            return elsewhere(self.bench)
        return None

    def holds_elsewhere(self, found: Finding) -> bool:
        """Whether an edit is not seen to be wrong at other sizes; one that is, is kept in case that none holds.

        Its line is not shown then, unless what is right at these sizes is wrong at the others, too.
        """
        if found.edit is None or self.elsewhere is None:
            return True
        if self.elsewhere.right(found.names, self.together(found)(0), self.bench.tracer) is not False:
            return True
        kept = replace(found, edit=None) if self.elsewhere.is_sound else found
        if kept.edit is None and found.mistake.endswith(("-factor", "-slip")):  # by a number that is no cause
            told = f"the gradient through {variable_of(found.place)} is not that of the forward"
            kept = replace(kept, mistake="unexplained", message=told)
        self.by_chance.append(kept)
        return False

    def true_there(self, proposals: Iterable[Finding]) -> tuple[list[tuple[int, Finding]], set[int]]:
        """The changes that make a wrong value a true gradient, by rank, and which need not be tried any more: these,
        and those that do not run. All are computed in one run.
        """
        trials: dict[int, list[Trial]] = {}
        for trial in filter(None, map(self.trial, proposals)):
            trials.setdefault(trial.record.place.index if trial.record.place else -1, []).append(trial)
        looks = {place: looking(those) for place, those in trials.items()}
        with contextlib.suppress(Exception):  # accepted changes may do anything
            for i in range(len(self.bench.upstreams)):
                self.bench.gradients(i, {**self.together()(i), **looks})
        computed = [trial for those in trials.values() for trial in those]
        ranked = [(self.rank(trial), trial.finding) for trial in computed]
        true = sorted((pair for pair in ranked if pair[0] < 3), key=lambda pair: pair[0])
        broken = {id(trial.finding) for trial in computed if trial.faults and trial.alone}
        return true, broken | {id(finding) for _, finding in true}

    def rank(self, trial: "Trial") -> int:
        """0: the gradient by what the variable is called for; 1: by something earlier in the forward than what it was
        made of; 2: another true gradient; 3: none.
        """
        values = trial.values
        if len(values) < len(self.bench.upstreams) or len({value.shape for value in values}) > 1:
            return 3
        meaning = self.followed.meanings.of(np.stack(values))
        if meaning is None:
            return 3
        before = map(self.followed.meaning_of, (trial.record, *self.followed.ingredients(trial.record)))
        if any(m and m.record.index <= meaning.record.index for m in before):
            return 2
        return 0 if is_of(meaning.record, stem(trial.finding.variable)) else 1

    def trial(self, proposal: Finding) -> "Trial | None":
        """A change as another value at the outermost place around it, the first time that is wrong."""
        edit = proposal.edit
        if edit is None or edit.everywhere or not isinstance(edit.new, ast.expr):
            return None
        for node in [n for n in (*edit.site.path, edit.site.node) if n in edit.site.scope.places]:
            place = edit.site.scope.places[node]
            if place in self.wrong:
                with edit.apply(), contextlib.suppress(SyntaxError, ValueError):
                    code = compiled(edit.new if node is edit.site.node else node)
                    return Trial(proposal, self.wrong[place], code, [], [], node is edit.site.node)
        return None

    def together(self, proposal: Finding | None = None) -> Changes:
        """What a proposal changes, on top of what was accepted."""
        findings = (*self.accepted, proposal) if proposal else tuple(self.accepted)
        return lambda i: {place: change for finding in findings for place, change in finding.changes(i).items()}

    def edits(self, stages: Iterable[Callable[[Scope], Iterator[Edit]]], scopes: Sequence[Scope]) -> Iterator[Finding]:
        """Every edit, a kind of it in all statements before the next kind."""
        for stage in stages:
            for scope in scopes if self.work > 0 else ():
                for finding in map_edits(list(stage(scope)), self.followed.tracer.places):
                    self.work -= BASE_PROBES // 2
                    yield finding

    def repeated(self) -> Iterator[Finding]:
        """The same small change in all statements that it fits."""
        kinds: dict[str, dict[ast.AST, Finding]] = {}
        for finding in self.edits(SMALL, self.scopes):
            if finding.edit and finding.edit.kind:
                kinds.setdefault(finding.edit.kind, {}).setdefault(finding.edit.site.scope.statement, finding)
        several = ([*found.values()] for found in kinds.values())
        groups = (g for all_ in several for n in range(2, len(all_) + 1) for g in itertools.combinations(all_, n))
        for first, *others in groups:
            changes = {place: change for f in (first, *others) for place, change in f.changes(0).items()}
            lines = ", ".join(str(f.place.line) for f in others)
            yield replace(first, changes=always(changes), message=f"{first.message}, and so in line {lines}")

    def lent(self) -> Iterator[Finding]:
        """Changes that bring in what the forward computed once or was given, and the backward does not have."""
        records = self.followed.forward.records
        named = {r.name: r.value for r in records if r.name.isidentifier() and not r.step and r.place}
        given = {**named, **next(iter(self.bench.cases.values())).numbers_given}
        for scope in self.near:
            more = {name: value for name, value in given.items() if name not in scope.names}
            names = {**scope.names, **more}
            wide = replace(scope, values=scope.values | more, names=names, lent=more, drawn={})
            for finding in self.edits([*SMALL, *NAMES, *INSERTIONS], [wide]):
                if finding.edit and any(getattr(n, "id", "") in more for n in ast.walk(finding.edit.new)):
                    yield replace(finding, message=f"{finding.message} (the forward must keep it)")

    # By the true gradients ---------------------------------------------------------------------------------------

    def copies(self) -> Iterator[Finding]:
        """A copy of what the forward keeps and then changes in place, so that the backward reads other numbers."""

        def copied(step: int, value: Any, frame: FrameType) -> Any:
            return value.copy()

        for place in self.followed.overwritten:
            message = (
                f"the forward changes {place.text} in place after keeping it here: the backward reads other numbers"
            )
            changes = always({place.index: copied})
            yield Finding(place, changes, (), "wrong-variable", f"{message}; keep a copy", place.text)

    def stale(self) -> Iterator[Finding]:
        """What a variable was before a statement changed it, for all that reads it later, or but gives it a name."""
        for scope in self.scopes:
            statement, name = scope.statement, scope.target
            changes = isinstance(statement, ast.AugAssign) or name in texts_of(statement)
            if not isinstance(statement, (ast.Assign, ast.AugAssign)) or statement.value not in scope.places:
                continue
            later = [p for p in self.bench.tracer.places if p.routine is scope.routine and p.line > scope.line]
            reads = [p for p in later if p.kind == "use" and p.text == name]
            used = [p for p in reads if not is_handed_on(p)]
            for chosen in (used, reads) if changes and "[" not in name else ():
                value = scope.places[statement.value]
                place = replace(self.bench.tracer.places[value], node=ast.copy_location(ast.Name("_"), statement))
                message = f"{name} is changed here, and still needed as it was: change it later, or under another name"
                run = always(held_back(value, [p.index for p in chosen], name))
                yield Finding(place, run, (), "wrong-variable", message, name)

    def paths(self) -> Iterator[Finding]:
        """A part of a gradient that should be the whole: with another term, or with its true value."""
        places = self.followed.tracer.places
        for index, records in self.followed.parts.items():
            place = places[index]
            for scope in self.scopes:
                if scope.statement is place.statement:
                    yield from map_edits(list(terms(scope)), places)
            meanings = {r.step: self.followed.meaning_of(r) for r in records}
            known = {step: meaning.record for step, meaning in meanings.items() if meaning}
            changes = self.replacing([place], known)
            lacking = next((m for m in meanings.values() if m), None)
            if changes is not None and lacking is not None:
                message = self.followed.lacks(lacking)
                yield Finding(place, changes, (), "term-missing", message, variable_of(place))

    def targets(self) -> Iterator[Finding]:
        """Values that should be the true gradient of something: the first that, put right, makes the rest right.

        Those first that are no true gradient; then those that are, of another value than is needed.
        """
        taken = self.followed.taken
        reached = [taken.get(r.index, r) for r in self.followed.made_of if self.followed.depends_on_upstream(r)]
        groups: tuple[dict[int, list[Record]], ...] = ({}, {})
        for record in reached:
            meaning = self.followed.meaning_of(record)
            of_another = meaning is not None and not meaning.is_part
            if record.place and (of_another or self.followed.goes_wrong(record)):
                groups[of_another].setdefault(record.place.index, []).append(record)
        for group in groups:
            for index, records in group.items():
                yield from self.true_values(self.followed.tracer.places[index], records)

    def true_values(self, place: Place, records: Sequence[Record]) -> Iterator[Finding]:
        """A place with the true gradients of the values of the forward that its own may be meant for."""
        name, shape = stem(variable_of(place)), records[0].value.shape
        forward = self.followed.forward_values()
        fitting = [f for f in forward if len(f) >= len(records) and (f[0].value.shape == shape or is_of(f[0], name))]
        fitting.sort(key=lambda f: not is_of(f[0], name))
        proposals = []
        for values in fitting[:MOST_TARGETS]:
            pairs = {r.step: values[len(values) - 1 - r.step] for r in records if r.step < len(values)}
            changes = self.replacing(self.reads_of(place, records), pairs)
            if changes is None:
                continue
            origin = self.origin(records[0]) or place
            told = self.relation(records[0], pairs[records[0].step]) if records[0].step in pairs else None
            words = told or ("unexplained", f"{place.text} should be the gradient by {in_words(values[0])}, and is not")
            proposals.append(Finding(origin, changes, (), *words, variable_of(origin)))
        yield from sorted(proposals, key=lambda finding: finding.mistake == "unexplained")

    def relation(self, record: Record, meant: Record) -> tuple[str, str] | None:
        """(mistake, message) of what a value is to the true gradient that it should be, where that tells."""
        known, text = self.followed.meaning_of(record), record.place.text if record.place else ""
        target = in_words(meant)
        if known is not None and not known.is_part:
            between = known.record.place
            if between is None or meant.index not in self.followed.forward.ancestors(known.record):
                return None
            if isinstance(between.node, ast.Subscript) and known.record.value.size == meant.value.size:
                return None  # the same numbers: what is missing came by another way
            message = f"{text} is the gradient by {in_words(known.record)}; that by {target} takes its derivative too"
            return "derivative-missing", message
        value = self.followed.values[self.followed.recording.resolved(record).index]
        true = self.followed.meanings.gradient(meant)
        if value is None or true is None or value.shape != true.shape:
            return None
        ratio = ratio_of(value, true)
        told = None if ratio is None else self.forward_factor(ratio, text, target)
        if told is None:
            found = at_a_place(next(iter(self.bench.cases.values())).of_value(target, value, true))
            told = (found.mistake, f"of {text}, {found.message}") if found else None
        return told

    def forward_factor(self, ratio: Array, text: str, target: str) -> tuple[str, str] | None:
        """A factor too many or missing that is a value of the forward; of a number nobody knows which of the two."""
        for record in self.followed.forward.records:
            if record.alias or record.place is None or not record.place.routine.shown or np.all(record.value == 1):
                continue
            with contextlib.suppress(ValueError):
                value = np.broadcast_to(record.value, ratio.shape)
                if np.allclose(ratio, value, 1e-6, 0):
                    mistake = "extra-product" if record.value.size > 1 else "factor-missing"
                    return mistake, f"{text} is the gradient by {target} times {in_words(record)} once too often"
                if np.allclose(ratio * value, 1, 1e-6, 0):
                    return "factor-missing", f"{text} is the gradient by {target} without the factor {in_words(record)}"
        return None

    def origin(self, record: Record) -> Place | None:
        """Where a value comes from: of an array that others are written into, the last of them."""
        if record.gathered and record.operands:
            written = self.followed.records[record.operands[-1]].place
            return written or record.place
        return record.place

    def reads_of(self, place: Place, records: Sequence[Record]) -> list[Place]:
        """The place, and of an array that others were written into all places that read it afterwards."""
        if not records[0].gathered:
            return [place]
        aliases = (r for r in self.followed.records if r.alias)
        reads = (r.place for r in aliases if self.followed.recording.resolved(r) is records[0])
        return list(dict.fromkeys([place, *filter(None, reads)]))

    def replacing(self, places: Sequence[Place], records: Mapping[int, Record]) -> Changes | None:
        """The change that puts the true gradients by these records (by step) in places; None where unknown."""
        known = {step: self.followed.meanings.gradient(record) for step, record in records.items()}
        if any(gradient is None for gradient in known.values()):
            return None

        def changes(i: int) -> dict[int, Change]:
            def put(step: int, value: Any, frame: FrameType) -> Any:
                gradient = known.get(step)
                return value if gradient is None else gradient[i]

            return {place.index: put for place in places}

        return changes

    def first_wrong(self) -> Iterator[Finding]:
        """Where the first wrong value stands, when nothing more is known."""
        region = [*self.followed.taken.values(), *self.followed.region]
        wrong = [r for r in region if self.followed.goes_wrong(r)]
        firsts = [r for r in wrong if self.followed.depends_on_upstream(r)] or wrong or region  # zeros to add to: last
        for place in [place for record in firsts if (place := self.origin(record))][:1]:
            names = tuple(name for name in self.bench.cases if name in self.left)
            message = f"the first value that is no true gradient is {place.text}"
            yield self.told(Finding(place, always({}), names, "unexplained", message, variable_of(place)))

    def bent(self) -> Record | None:
        """The first value of the backward that is not linear in dy."""
        tracer, self.bench.tracer = self.bench.tracer, self.whole_tracer
        bent = self.followed.nonlinear(self.together())
        self.bench.tracer = tracer
        return bent

    def path(self, names: Sequence[str]) -> tuple[str, str] | None:
        """(mistake, message) where a gradient is right but for what comes back through one value of the forward."""
        meanings, records = self.followed.meanings, self.followed.forward.records
        for case, record in ((self.bench.cases[r.name], r) for r in records if r.place is None and r.name in names):
            if case.analytic[0].shape != case.array.shape:
                continue
            directions = meanings.directions_of(case.array.shape)
            axes = list(range(1, directions.ndim))
            found = np.stack([np.tensordot(a, directions, (range(case.array.ndim), axes)) for a in case.analytic])
            for value, part, rest in meanings.paths(record):
                left, place = found - rest.reshape(found.shape), value.place
                through = f"{in_words(value)} in line {place.line} of {place.routine.name}" if place else ""
                scale = float(found.ravel() @ rest / (rest @ rest))
                if case.same(scale * rest, found.ravel()):
                    also = "" if abs(scale - 1) < 1e-6 else f", and the rest is {scale:.6g} times what it should be"
                    return "term-missing", f"{case.label} lacks what comes back through {through}{also}"
                if case.same(part * (ratio := float(left.ravel() @ part / (part @ part))), left.ravel()):
                    told = at_a_place(case.of_value(f"{case.name} through {through}", left, part.reshape(left.shape)))
                    return (told.mistake, told.message) if told and ratio != 1 else None
        return None


def is_handed_on(place: Place) -> bool:
    """Whether a variable is but given another name there, or returned."""
    return isinstance(place.statement, ast.Return) or getattr(place.statement, "value", None) is place.node


def is_told(finding: Finding) -> bool:
    return finding.mistake != "unexplained"


def held_back(value: int, reads: Sequence[int], name: str) -> dict[int, Change]:
    """Changes that note what a variable is before a statement with this value changes it, for those who read it."""
    known: list[Any] = []

    def keep(step: int, new: Any, frame: FrameType) -> Any:
        known[:] = [np.array(eval(name, {**frame.f_globals, **frame.f_locals}))]
        return new

    def put(step: int, new: Any, frame: FrameType) -> Any:
        return known[0] if known else new

    return {**dict.fromkeys(reads, put), value: keep}


def map_edits(edits: Sequence[Edit], places: Sequence[Place]) -> Iterator[Finding]:
    """The edits that a traced run can make, as findings."""
    for edit in edits:
        try:
            changes = edit.changes()
        except (SyntaxError, ValueError, TypeError, RecursionError):
            continue
        if changes:
            scope = edit.site.scope
            place = replace(places[next(iter(changes))], node=ast.copy_location(ast.Name("_"), scope.statement))
            within = [n.target.id for n in edit.site.path if isinstance(n, ast.NamedExpr)]
            yield Finding(place, always(changes), (), edit.mistake, edit.message, [scope.target, *within][-1], edit)


def in_words(record: Record) -> str:
    """A value of the forward by its name, or by what computes it."""
    return record.name or (record.place.text if record.place else "")


def ratio_of(value: Array, true: Array) -> Array | None:
    """value / true, where that is the same for every upstream gradient (the first axis); None where it is not."""
    if not np.isfinite(value).all() or (np.abs(true) < 1e-9 * np.abs(true).max(initial=0)).any():
        return None
    ratio: Array = value / true
    return ratio[0] if np.allclose(ratio, ratio[:1], 1e-6, 0) and np.all(ratio[0]) else None


def variable_of(place: Place) -> str:
    """The variable that a place's statement assigns; 'return' where it returns."""
    return place.name or Scope(place.routine, place.statement, {}).target


def is_of(record: Record, name: str) -> bool:
    """Whether a value of the forward has this name, without what says that it is a gradient."""
    return stem(record.name or (record.place.text if record.place else "")) == name


def stem(name: str) -> str:
    """dvar, grad_var and d_var as var."""
    return PREFIXES.sub("", name).lower()


# Where to look ----------------------------------------------------------------------------------------------------


def scopes_of(followed: Followed) -> list[Scope]:
    """The statements that the wrong values come from, in the order in which they ran."""
    wrong = [*(r.place for r in followed.region if r.place), *map(followed.tracer.places.__getitem__, followed.parts)]
    statements = widened(list(dict.fromkeys((place.routine, place.statement) for place in wrong)), followed)
    ran: dict[tuple[Routine, ast.AST], None] = {}
    shown = [place for place in followed.tracer.places if place.routine.shown]
    written = {ast.unparse(node): node for node in dict.fromkeys(place.routine.node for place in shown)}
    standing = {ast.unparse(n): n for node in written.values() for n in ast.walk(node) if is_standing(n)}
    held = snapshots(followed, shown, ran)
    # a function that the forward makes has two places for a node: where it was made, and where the backward calls it
    steps = followed.tracer.steps
    latest = sorted(followed.tracer.places, key=lambda place: (place.index in steps, -place.index))
    places: dict[ast.AST, int] = {place.node: place.index for place in latest if place.kind != "update"}
    found = []
    for routine, statement in [*(s for s in ran if s in statements), *(s for s in statements if s not in ran)]:
        values, containers, names = held.get(routine.node, ({}, {}, {}))
        upstream = next((a.arg for a in routine.node.args.args if a.arg not in ("self", "ctx", "cls")), None)
        parameters = followed.bench.subject.all_names
        expressions = values_of(standing, names)
        found.append(
            Scope(routine, statement, places, once(values), containers, upstream, parameters, expressions, names)
        )
    return found


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


def values_of(standing: Iterable[str], held: Values) -> Values:
    """{expression: value} of those that can be computed from what the names hold."""
    found: Values = {}
    for text in standing:
        with contextlib.suppress(Exception):  # made of other names
            value = eval(text, {"__builtins__": {}, "len": len, "np": np, "numpy": np}, held)
            if is_known(value):
                found[text] = value
    return found


def widened(statements: list[tuple[Routine, ast.AST]], followed: Followed) -> list[tuple[Routine, ast.AST]]:
    """Statements with those that define or change the names in them that are no true gradients, and loops around."""
    fine = {
        (r.place.statement, ast.unparse(r.place.node))
        for r in followed.records
        if r.place and r.place.kind == "use" and followed.recording.resolved(r).index in followed.fine
    }
    todo, seen = list(statements), dict.fromkeys(statements)
    while todo:
        routine, statement = todo.pop(0)
        for other in walk_statements(routine.node):
            if (routine, other) in seen:
                continue
            encloses = isinstance(other, (ast.For, ast.If, ast.While)) and any(n is statement for n in ast.walk(other))
            names = {text for text in texts_of(statement) if (statement, text) not in fine}
            changed = texts_of(statement) if remakes(other) else names
            if encloses or changed & targets_of(other):
                seen[routine, other] = None
                todo.append((routine, other))
    return list(seen)


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
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = list(statement.targets)
        if is_alias(statement):  # two names of one array: it changes by either
            targets.append(statement.value)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign, ast.For)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = statement.value.args[:1]  # np.add.at(x, ...)
    else:
        return set()
    found = set()
    for target in itertools.chain(targets, *(t.elts for t in targets if isinstance(t, (ast.Tuple, ast.List)))):
        while isinstance(target, ast.Subscript):
            found.add(ast.unparse(target))
            target = target.value
        found.add(ast.unparse(target))
    return found


def snapshots(
    followed: Followed, places: Sequence[Place], order: dict[tuple[Routine, ast.AST], None]
) -> dict[ast.AST, tuple[Values, Values, Values]]:
    """{routine: (values, containers, all)} that its names held when its last expressions were computed.

    order gets the statements as they ran.
    """
    held: dict[ast.AST, tuple[Values, Values, Values]] = {}

    def keep(place: Place) -> Change:
        def look(step: int, value: Any, frame: FrameType) -> Any:
            kinds = held.setdefault(place.routine.node, ({}, {}, {}))
            for known, more in zip(kinds, (readable(f := frame.f_locals), containers_in(f), f), strict=True):
                known.update(more)
            order.setdefault((place.routine, place.statement))
            return value

        return look

    followed.bench.gradients(0, {place.index: keep(place) for place in places})
    return held


def readable(values: Mapping[str, Any]) -> Values:
    """{expression: value} of the arrays and numbers that names hold, and what is kept in a dict, tuple or object."""
    found: Values = {}
    for name, value in values.items():
        if name.isidentifier():
            found |= {text: item for text, item in [(name, value), *kept_in(name, value)] if is_known(item)}
    return found


def once(values: Values) -> Values:
    """The values without what a tuple, dict or object keeps of what has a name of its own."""
    named = {id(value) for text, value in values.items() if text.isidentifier()}
    return {text: value for text, value in values.items() if text.isidentifier() or id(value) not in named}


def kept_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(expression, value) of what a name's dict, tuple or object of the user's holds, two levels deep."""
    if isinstance(value, dict):
        below = {f"{name}[{key!r}]": item for key, item in value.items() if isinstance(key, (str, int))}
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
        items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        within = [
            item.values() if isinstance(item, dict) else item for item in items if isinstance(item, (dict, tuple))
        ]
        if any(map(is_known, itertools.chain(items, *within))):
            found[name] = value
        elif name == "self" and hasattr(value, "__dict__"):
            found |= {f"self.{k}": v for k, v in containers_in(vars(value)).items()}
    return found
