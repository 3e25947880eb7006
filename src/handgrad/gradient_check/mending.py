"""The name of a mistake: which small change, where the first wrong values stand, makes the gradients right."""

import ast
import contextlib
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import FrameType
from typing import Any

import numpy as np

from ..arrays import Array
from ..user_code.layers import LEARNING_RATES
from ..user_code.subjects import Subject
from ..user_code.tracing import Change, Place, Record, is_numeric
from .chain_rule import ChainRule, Unwritten
from .differences import factor_due, mistake_in
from .edits import FACTORS, INSERTIONS, NAMES, SMALL, terms
from .findings import Finding, always, in_words, map_edits, variable_of
from .following import TOLERANCE, Changes, Followed, directed
from .mistakes import Case, at_a_place
from .scopes import holding, scopes_of, walk_statements
from .sites import Edit, Scope, is_call, sites
from .sizes import Elsewhere, elsewhere
from .statements import copies, moved, stale
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
MOST_LETTERS = 160  # of a line that the chain rule writes, to be shown
MOST_TARGETS = 6  # values of the forward whose gradient one value of the backward may be meant to be
MERE_NAMES = ("wrong-derivative", "formula-slip", "wrong-variable")  # which say less than what a value is to another
PREFIXES = re.compile(r"^(self\.)?(dL_d|dL|d_|grad_|delta_|d|g)|(_grad|_bar)$")


@dataclass(frozen=True)
class Trial:
    """A change as another expression at a place, and what that is there at one step, upstream after upstream."""

    finding: Finding
    record: Record
    compute: Change
    alone: bool  # whether it is the changed expression itself, and none around it
    values: list[Array] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)  # a changed expression may not fit


def looking(trials: Sequence[Trial]) -> Change:
    """A change that changes nothing, but has trials computed."""

    def look(step: int, value: Any, frame: FrameType) -> Any:
        for trial in (trial for trial in trials if trial.record.step == step):
            try:
                new = trial.compute(step, value, frame)
                trial.values.extend([np.array(new)] if is_numeric(new) else [])
            except Exception as fault:
                trial.faults.append(fault)
        return value

    return look


def follow_backward(subject: Subject, cases: Mapping[str, Case], right: Sequence[str]) -> list[Verdict]:
    """Verdicts on the wrong arrays (cases by name), with variable, line and, where it is found, the line as due.

    right: the names of the arrays whose gradients are right already; a change may not spoil those.
    """
    with silence() if not os.environ.get("LOUD") else contextlib.nullcontext():
        try:
            search = Search(Followed(subject, cases, right))
            found = list(search.findings())
        except Exception:  # somebody's code may do anything: what the numbers say stands without its place
            if os.environ.get("LOUD"):
                raise
            return []
    return [finding.verdict for finding in found]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No prints and warnings of traced and changed code."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Search:
    """The search for what makes the arrays right that are left, where the mistake is."""

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self.bench = followed.bench
        self.accepted: list[Finding] = []
        self.left: set[str] = set(followed.cases)
        self.work: int = MOST_WORK  # that may still be done, in probes
        self.by_chance: list[Finding] = []  # what mends at these sizes alone
        self.refuted: list[Edit] = []  # by what happens at other sizes
        self.look()

    def look(self) -> None:
        """See where to search, and leave the probes there alone, so that many changes can be tried."""
        tracer, self.scopes = self.followed.tracer, scopes_of(self.followed)
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
        self.bench.tracer.most_numbers = 10_000 + 100 * max((r.value.size for r in self.followed.records), default=0)
        self.tries: int = min(MOST_TRIES, max(FEWEST_TRIES, MOST_TRIED_PROBES // self.cost))

    def accept(self, findings: Sequence[Finding]) -> None:
        """Go on from these changes: follow the backward anew with them."""
        self.accepted = list(findings)
        self.bench.tracer = self.followed.tracer
        self.followed.follow(self.together(), [name for name in self.followed.cases if name in self.left])
        self.look()

    def findings(self) -> Iterator[Finding]:
        """What is found, one mistake after another, until nothing is left or no more is known."""
        while self.left:
            done, self.by_chance = len(self.accepted), []
            self.work = MOST_WORK // 2 if done else MOST_WORK  # what is left by the first mistake is found in less
            found = self.first() or next(iter(self.by_chance), None)
            if found is None or set(found.names) != self.left:
                self.work = MOST_WORK_IN_SECONDS
                placed = self.best(itertools.islice(self.targets(), self.tries))
                if placed and (is_told(placed) or not self.followed.nonlinear(self.together(), placed.names)):
                    path = None if is_told(placed) else self.path(placed.names)
                    placed = self.derived(placed.called(path), path is not None) or placed.called(path)
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
        finding = without_effect(finding)
        if finding.mistake == "cache-modified" and not self.bench.subject.wears_cache:  # it is no cache
            return replace(finding, mistake="wrong-variable")
        if finding.mistake == "unexplained":
            if path := self.path(finding.names):
                return finding.called(path)
            bent = self.followed.nonlinear(self.together(), finding.names)
            if bent and bent.place:
                message = f"{bent.place.text} is no multiple of dy: twice the dy must give twice the gradient"
                return replace(finding, place=bent.place, mistake="not-linear", message=message, edit=None)
        factors = [c.factor(c.expected) if c.analytic[0].shape == c.array.shape else None for c in cases]
        is_other = finding.edit is not None and finding.mistake == "wrong-variable"
        if factors[0] and not is_other and all(np.allclose(factor or 0, factors[0]) for factor in factors):
            finding = finding.called(self.forward_factor(np.full(1, factors[0]), "this", " and ".join(finding.names)))
        origin = self.origin_of_two() if finding.edit and finding.edit.is_two else ""
        if not origin:
            return finding
        message = f"{finding.message}, if 2 is not {origin}: check arrays and keywords with other numbers too"
        return replace(finding, edit=None, message=message)

    def origin_of_two(self) -> str:
        """What of the forward is 2 or 1/2 here, and may be another number elsewhere; '' for nothing."""
        case = next(iter(self.bench.cases.values()))
        sizes = {size for array in case.arrays.values() for size in array.shape}
        sizes &= self.elsewhere.same_sizes if self.elsewhere else sizes
        named = [f"{name} = {value:g}" for name, value in case.numbers_given.items() if value in (2, 0.5)]
        return [*named, *["the root of a size"] * (4 in sizes), *["a size"] * (2 in sizes), ""][0]

    def first(self, depth: int = 0) -> Finding | None:
        """One change that mends: small ones first, then terms that a part lacks, then what brings in other names.

        Each kind first where it makes a true gradient of the value that it changes, then anywhere in the region. A
        change that does the former, but does not mend, may be the first of two.
        """
        best: Finding | None = None
        firsts: list[tuple[int, Finding]] = []
        if not depth and (found := self.as_called()):
            return found
        near, made_of = self.near, [r.place.statement for r in self.suspects if r.place]
        suspects = [s for s in self.scopes if s.statement in made_of and s not in near]
        far = [s for s in self.scopes if s not in near and s not in suspects]
        tries, scopes, places = self.tries, self.scopes, self.bench.tracer.places
        # what is proposed, how many are made and how many of these run at most, and whether for a second mistake, too
        stages: list[tuple[Iterator[Finding], int, int, bool]] = [
            (copies(self.followed), MOST_COPIES, MOST_COPIES, False),
            (self.edits(SMALL, scopes), 2 * tries, 2 * tries, True),
            (stale(scopes, places), tries, tries, False),
            (self.paths(), tries, tries, True),
            (self.edits(NAMES, scopes), 3 * tries, 3 * tries, True),
            (moved(scopes, places), tries, tries, False),
            (self.edits(INSERTIONS, near), MOST_TRIES, tries, True),
            (self.edits(INSERTIONS, suspects), MOST_TRIES, tries, True),
            (self.edits(INSERTIONS, far), 2 * tries, 2 * tries, True),
            (self.in_doubt(), tries, tries, False),
            (self.repeated(), tries, tries, False),
            (self.lent(), tries, tries, False),
        ]
        for proposals, count, run, is_for_a_second in stages:
            if depth and not is_for_a_second:
                continue
            tried = list(itertools.islice(proposals, count))
            true, useless = self.true_there(tried)
            tried = [finding for finding in tried if id(finding) not in useless]
            for group in ([finding for _, finding in true], tried[: run // 4 if depth else run]):
                found = self.best(group)
                if found and set(found.names) == self.left:
                    return found
                best = max(filter(None, (best, found)), key=lambda f: len(f.names), default=None)
            firsts += true
        sound = (pair for pair in firsts if all(pair[1].edit is not edit for edit in self.refuted))
        promising = sorted((pair for pair in sound if pair[0] < 2), key=lambda pair: pair[0])
        by_statement = {finding.place.statement: finding for _, finding in reversed(promising)}
        return best or self.second([*reversed(by_statement.values())], depth)

    def as_called(self) -> Finding | None:
        """What makes the first wrong value the gradient that its variable is called for, so that nothing that stands
        further down is mended in its place; or a factor of what it is made of, where that is not what it is called.
        """
        named = [s for s in self.near[:1] if self.is_called(s.target)]
        handed = {r.place.statement for r in self.suspects if r.place and self.is_handed_on(r)}
        given = [s for s in self.scopes if s.statement in handed]
        for kinds, scopes, most in (((*SMALL, *NAMES), named, 0), (FACTORS, given, 1)):
            tried = list(itertools.islice(self.edits(kinds, scopes), self.tries))
            found = self.best(finding for rank, finding in self.true_there(tried)[0] if rank <= most)
            if found and set(found.names) == self.left:
                return found
        return None

    def is_called(self, variable: str) -> bool:
        """Whether a variable has the name of a gradient by a value of the forward."""
        return any(is_of(values[0], stem(variable)) for values in self.followed.forward_values())

    def is_handed_on(self, record: Record) -> bool:
        """Whether a variable has the gradient by another value than its name says, or but another variable's."""
        meaning, statement = self.followed.meaning_of(record), record.place.statement if record.place else None
        is_alias = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name)
        is_other = meaning is not None and not meaning.is_part and not is_of(meaning.record, stem(record.name))
        return is_alias or (is_other and self.is_called(record.name))

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
        if found.edit is None or self.elsewhere is None or found.edit.lends:
            return True
        if self.elsewhere.right(found.names, self.together(found)(0), self.bench.tracer) is not False:
            return True
        kept = replace(found, edit=None) if self.elsewhere.is_sound else found
        if kept.edit is None and found.mistake.endswith(("-factor", "-slip")):  # by a number that is no cause
            told = f"the gradient through {variable_of(found.place)} is not that of the forward"
            kept = replace(kept, mistake="unexplained", message=told)
        self.by_chance.append(kept)
        self.refuted.append(found.edit)
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
        if edit is None or not isinstance(edit.new, ast.expr):
            return None
        for node in [n for n in (*edit.site.path, edit.site.node) if n in edit.site.scope.places]:
            place = edit.site.scope.places[node]
            if place in self.wrong:
                is_alone = node is edit.site.node
                return Trial(proposal, self.wrong[place], edit.computing(edit.within(node)), is_alone)
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

    def in_doubt(self) -> Iterator[Finding]:
        """Edits where true gradients are made, as these may be those of something else than what is due."""
        known = {scope.statement for scope in self.scopes}
        others = [scope for scope in scopes_of(self.followed, doubt=True) if scope.statement not in known]
        yield from self.edits((*SMALL, *NAMES), others)

    def repeated(self) -> Iterator[Finding]:
        """The same small change in all statements that it fits, and in each two that follow each other."""
        kinds: dict[str, dict[ast.AST, Finding]] = {}
        for finding in self.edits(SMALL, self.scopes):
            if finding.edit and finding.edit.kind:
                kinds.setdefault(finding.edit.kind, {}).setdefault(finding.edit.site.scope.statement, finding)
        several = [tuple(found.values()) for found in kinds.values() if len(found) > 1]
        groups = ((all_, *(itertools.pairwise(all_) if len(all_) > 2 else ())) for all_ in several)
        for first, *others in itertools.chain.from_iterable(groups):
            changes = {place: change for f in (first, *others) for place, change in f.changes(0).items()}
            lines = ", ".join(str(f.place.line) for f in others)
            yield replace(first, changes=always(changes), message=f"{first.message}, and so in line {lines}")

    def lent(self) -> Iterator[Finding]:
        """Changes that bring in what the forward computed once or was given, and the backward does not have."""
        records = self.followed.forward.records
        named = {r.name: r.value for r in records if r.name.isidentifier() and not r.step and r.place}
        given = {**named, **next(iter(self.bench.cases.values())).numbers_given}
        masks = [s for s in self.scopes if isinstance(s.statement, ast.Assign) and has_condition(s.statement.value)]
        for scope in [*self.near, *(s for s in masks if all(s is not near for near in self.near))]:
            more = {name: value for name, value in given.items() if name not in scope.names}
            names = {**scope.names, **more}
            wide = replace(scope, values=scope.values | more, names=names, lent=more, drawn={})
            for finding in self.edits([*SMALL, *NAMES, *INSERTIONS], [wide]):
                if finding.edit and any(getattr(n, "id", "") in more for n in ast.walk(finding.edit.new)):
                    yield replace(finding, message=f"{finding.message} (the forward must keep it)")

    # By the true gradients ---------------------------------------------------------------------------------------

    def paths(self) -> Iterator[Finding]:
        """A part of a gradient that should be the whole: with another term, or with its true value."""
        places = self.followed.tracer.places
        for index, records in self.followed.parts.items():
            place = places[index]
            for scope in self.scopes:
                if scope.statement is place.statement:
                    yield from map_edits(list(terms(scope)), places)
            known = {r.step: meaning for r in records if (meaning := self.followed.meaning_of(r))}
            changes = self.replacing([place], {step: meaning.record for step, meaning in known.items()})
            if changes is not None:
                message = self.followed.lacks(next(iter(known.values())))
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
                steps = [r for r in reached if r.place and r.place.index == index]
                later = [r for r in steps if r.step > records[0].step and not self.followed.is_right(r)]
                yield from self.true_values(self.followed.tracer.places[index], [records[0], *later])

    def true_values(self, place: Place, records: Sequence[Record]) -> Iterator[Finding]:
        """A place with the true gradients of the values of the forward that its own may be meant for."""
        name, shape = stem(variable_of(place)), records[0].value.shape
        forward = self.followed.forward_values()
        enough = [f for f in forward if len(f) >= len(records) - (len(f) > 1)]
        fitting = [f for f in enough if f[0].value.shape == shape or is_of(f[0], name)]
        fitting.sort(key=lambda f: (not is_of(f[0], name), not stem(f[0].name).startswith(name)))
        proposals = []
        for values in itertools.chain.from_iterable(in_loops(f, records) for f in fitting[:MOST_TARGETS]):
            pairs = {r.step: values[r.step] for r in records if r.step < len(values)}
            changes = self.replacing(self.reads_of(place, records), pairs) if pairs else None
            if changes is None:
                continue
            first = next(record for record in records if record.step in pairs)
            told = self.relation(first, pairs[first.step]) if first is records[0] else None
            words = told or ("unexplained", f"{place.text} should be the gradient by {in_words(values[0])}, and is not")
            origin, meant = self.origin(records[0]) or place, (first, pairs[first.step])
            proposals.append(Finding(origin, changes, (), *words, variable_of(origin), meant=meant))
        yield from sorted(proposals, key=lambda finding: finding.mistake == "unexplained")

    def relation(self, record: Record, meant: Record) -> tuple[str, str] | None:
        """(mistake, message) of what a value is to the true gradient that it should be, where that tells."""
        known, text = self.followed.meaning_of(record), record.place.text if record.place else ""
        value = self.followed.values[self.followed.recording.resolved(record).index]
        target = in_words(meant)
        if known is not None and not known.is_part:
            between = known.record.place
            if between is None or meant.index not in self.followed.forward.ancestors(known.record):
                return None
            if isinstance(between.node, ast.Subscript) and known.record.value.size == meant.value.size:
                return None  # the same numbers: what is missing came by another way
            if part := self.followed.meanings.part(value, meant):
                return "term-missing", self.followed.lacks(part)
            message = f"{text} is the gradient by {in_words(known.record)}; that by {target} takes its derivative too"
            return "derivative-missing", message
        true = self.followed.meanings.gradient(meant)
        if value is None or true is None or value.shape != true.shape:
            return None
        ratio = ratio_of(value, true)
        if record.place and isinstance(record.place.node, ast.Subscript) and len(record.operands) == 1:
            base = self.followed.records[record.operands[0]].value
            cut = true[0].size < base.size
            if cut and np.isclose(true[0].ravel()[:, None], base.ravel(), 1e-9, 0).any(axis=1).all():
                return "wrong-index", f"{text} are other entries than those of the gradient by {target}"
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
        written = self.followed.records[record.operands[-1]].place if record.gathered and record.operands else None
        return written or record.place

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
                return value if gradient is None else gradient[i].copy()  # it may be changed in place

            return {place.index: put for place in places}

        return changes

    def first_wrong(self) -> Iterator[Finding]:
        """Where the first wrong value stands, when nothing more is known."""
        names = tuple(name for name in self.bench.cases if name in self.left)
        owner_of = self.followed.multiple_of(names)
        for record in self.followed.region:
            owner = owner_of(self.followed.values[record.index])
            place = record.place
            if owner and place and adds_up(place.statement) and not is_of(owner, stem(variable_of(place))):
                self.followed.fine.add(record.index)
        region = [*self.followed.taken.values(), *self.followed.region]
        wrong = [r for r in region if self.followed.goes_wrong(r)]
        firsts = [r for r in wrong if self.followed.depends_on_upstream(r)] or wrong or region  # zeros to add to: last
        for record, place in [(record, place) for record in firsts if (place := self.origin(record))][:1]:
            place = self.call_of(record, place) or place
            mistake, message = "unexplained", f"the first value that is no true gradient is {place.text}"
            if other := self.other_sum(record, owner_of):
                mistake, message = "wrong-axis", f"{place.text} {other}"
            yield self.told(Finding(place, always({}), names, mistake, message, variable_of(place)))

    def call_of(self, record: Record, place: Place) -> Place | None:
        """Where a function was called for a value that is wrong, though what it makes elsewhere is right."""
        same = [r for r in self.followed.records if r.place is record.place]
        given = [r.place for r in self.followed.records if r.alias and self.followed.recording.resolved(r) is record]
        shown = [p for p in given if p and p.routine.shown and p.statement is not place.statement]
        calls = [p for p in shown if isinstance(p.node, ast.Call)]
        return calls[0] if calls and any(self.followed.is_right(r) for r in same) else None

    def other_sum(self, record: Record, owner_of: Callable[[Array], Record | None]) -> str:
        """What a sum is that should run over other axes, so that it is a multiple of a true gradient; '' for none."""
        whole = self.followed.contracted(record)
        if whole is None:
            return ""
        found, axes = np.squeeze(record.value).shape, range(1, whole.ndim)
        for over in itertools.combinations(axes, whole.ndim - 1 - len(found)):
            total = whole.sum(axis=over, keepdims=True)
            alike = np.abs((directed(whole) * directed(total)).sum(axis=0)) > 1 - TOLERANCE
            if not alike.all() and (owner := owner_of(total)):  # it adds up more than one multiple of it
                due = np.squeeze(total[0]).shape
                return (
                    f"adds up {whole.shape[1:]} along the wrong axis, to {found}: "
                    f"what comes back to {in_words(owner)} is of the sums along the other, {due}"
                )
        return ""

    def derived(self, finding: Finding, is_named: bool) -> Finding | None:
        """A gradient that is not as it should be, with what the chain rule makes of the forward in its place."""
        place, known = finding.place, [scope for scope in self.scopes if scope.routine is finding.place.routine]
        if not known or finding.meant is None:
            return None
        record = finding.meant[0]
        scope = self.as_of(record, replace(known[0], statement=place.statement))
        for by_value in (True, False):
            rule = ChainRule(self.followed, scope, record, by_value)
            with contextlib.suppress(Unwritten):
                found = self.best(self.lines_due(finding, is_named, rule, scope))
                if found and found.edit and set(found.names) >= set(finding.names):
                    return found if len(ast.unparse(found.edit.new)) <= MOST_LETTERS else replace(found, edit=None)
        return None

    def lines_due(self, finding: Finding, is_named: bool, rule: ChainRule, scope: Scope) -> Iterator[Finding]:
        """Statements with what the chain rule makes in the place of a gradient, named by the difference."""
        old, due = finding.place.node, rule.due(finding.meant[1]) if finding.meant else []
        lent = replace(scope, lent=rule.lent)
        told = f"{finding.message}: the chain rule takes it through {rule.way}"
        for new in due:
            mistake = finding.mistake if is_named else mistake_in(old, new)
            if is_told(finding) and mistake in MERE_NAMES:
                mistake = finding.mistake
            message = finding.message if mistake == finding.mistake else told
            if lent_names := sorted({n.id for n in ast.walk(new) if isinstance(n, ast.Name)} & rule.lent.keys()):
                message += f" (the forward must keep {' and '.join(lent_names)})"
            if factor := factor_due(old, new):
                yield from self.factors_due(*factor, finding, lent)
            for found in self.putting(new, old, lent, mistake, message):
                yield replace(found, variable=finding.variable)

    def factors_due(self, name: str, due: ast.expr, finding: Finding, scope: Scope) -> Iterator[Finding]:
        """What a factor should be, in the statement that assigns it."""
        for statement in walk_statements(scope.routine.node):
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
                there, message = replace(scope, statement=statement), f"{finding.message}, by its factor {name}"
                yield from self.putting(due, statement.value, there, mistake_in(statement.value, due), message)

    def putting(self, new: ast.expr, old: ast.AST, scope: Scope, mistake: str, message: str) -> Iterator[Finding]:
        """The edit that puts an expression in the place of one of a statement."""
        edits = [site.edit(new, mistake, message) for site in sites(scope) if site.node is old]
        return map_edits(edits, self.followed.tracer.places)

    def as_of(self, record: Record, scope: Scope) -> Scope:
        """A statement with what its names held when a record was computed."""
        held: dict[str, Any] = {}

        def look(step: int, value: Any, frame: FrameType) -> Any:
            held.update(frame.f_locals if step == record.step else {})
            return value

        self.bench.gradients(0, {**self.together()(0), **({record.place.index: look} if record.place else {})})
        return holding(scope, held)

    def path(self, names: Sequence[str]) -> tuple[str, str] | None:
        """(mistake, message) where a gradient is right but for what comes back through one value of the forward."""
        meanings, records = self.followed.meanings, self.followed.forward.records
        for case, record in ((self.bench.cases[r.name], r) for r in records if r.place is None and r.name in names):
            if case.analytic[0].shape != case.array.shape:
                continue
            found = meanings.along_directions(np.stack(case.analytic), case.array.shape)
            for value, part, rest in meanings.paths(record):
                left, place = found - rest.reshape(found.shape), value.place
                through = f"{in_words(value)} in line {place.line} of {place.routine.name}" if place else ""
                scale = float(found.ravel() @ rest / (rest @ rest)) if case.array.size > 1 else 1.0
                if case.same(scale * rest, found.ravel()):
                    also = "" if abs(scale - 1) < 1e-6 else f", and the rest is {scale:.6g} times what it should be"
                    return "term-missing", f"{case.label} lacks what comes back through {through}{also}"
                if case.same(part * (ratio := float(left.ravel() @ part / (part @ part))), left.ravel()):
                    told = at_a_place(case.of_value(f"{case.name} through {through}", left, part.reshape(left.shape)))
                    return (told.mistake, told.message) if told and ratio != 1 else None
        return None


def without_effect(finding: Finding) -> Finding:
    """A change that leaves x = x of a statement, as one that takes it away, or says that it comes too early."""
    edit = finding.edit
    if edit and edit.site.scope.target in LEARNING_RATES:
        message = f"what is updated by {edit.site.scope.target} is still needed as it was: update it after the backward"
        return replace(finding, edit=None, mistake="wrong-variable", message=message)
    name, _, value = edit.described()[1].partition(" = ") if edit else ("", "", None)
    if edit is None or name != value:
        return finding
    if name in edit.site.scope.parameters:
        message = f"{name} is changed here, and still needed as it was: change it later, or under another name"
        return replace(finding, edit=None, mistake="wrong-variable", message=message)
    mistake, message = finding.mistake, finding.message
    if mistake in ("extra-product", "term-too-many"):
        mistake, message = "statement-too-many", "this does not belong here"
    line_less = next(sites(edit.site.scope)).edit(ast.Pass(), mistake, message)
    return replace(finding, edit=line_less, mistake=mistake, message=message)


def has_condition(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Compare) for n in ast.walk(node))


def adds_up(statement: ast.AST) -> bool:
    """Whether a statement has a sum, a mean or an einsum in it, or adds to a variable."""
    added = isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name)
    return added or any(is_call(node, "sum", "mean", "einsum") for node in ast.walk(statement))


def is_told(finding: Finding) -> bool:
    return finding.mistake != "unexplained"


def ratio_of(value: Array, true: Array) -> Array | None:
    """value / true, where that is the same for every upstream gradient (the first axis); None where it is not."""
    if not np.isfinite(value).all() or (np.abs(true) < 1e-9 * np.abs(true).max(initial=0)).any():
        return None
    ratio: Array = value / true
    return ratio[0] if np.allclose(ratio, ratio[:1], 1e-6, 0) and np.all(ratio[0]) else None


def in_loops(values: Sequence[Record], records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """The values of a loop of the forward as one of the backward may come to them: the last first, or in order."""
    yield values[::-1]
    if len(values) > 1:
        yield values
    if len(records) > 1:
        yield values[-2::-1]  # what went into a layer is what the one before it gave


def is_of(record: Record, name: str) -> bool:
    """Whether a value of the forward has this name, without what says that it is a gradient."""
    return stem(record.name or (record.place.text if record.place else "")) == name


def stem(name: str) -> str:
    """dvar, grad_var and d_var as var."""
    return PREFIXES.sub("", name).lower()
