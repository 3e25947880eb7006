"""Follows a backward value by value: which are true gradients of something, and where the first wrong one stands."""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Shape
from ..derivatives.sensitivity import TracedForward, fitted
from ..user_code.arguments import Function, Gradients
from ..user_code.subjects import Point, Subject
from ..user_code.tracing import Change, Place, Record, Recording, Tracer
from .mistakes import Case
from .sites import is_call

NUM_DIRECTIONS = 2
MOST_PROBES = 400_000  # values seen by probes while true gradients are taken: about as many microseconds
FEWEST_RUNS = 40
MOST_USES = 6  # of one value, whose gradients are added up in every choice of them
MOST_PATHS = 100  # values of the forward through which a part of a gradient may come back
MOST_ENTRIES = 300  # of a value whose whole gradient is taken
TOLERANCE = 1e-6

# i -> by place, what a run for the i-th upstream puts there
Changes: TypeAlias = Callable[[int], dict[int, Change]]


class Meaning(NamedTuple):
    """What a value of the backward is: the gradient of <dy, y> by a value of the forward, through these uses of it."""

    record: Record
    uses: tuple[Record, ...] = ()  # none: all

    @property
    def is_part(self) -> bool:
        """Whether a gradient through other uses is missing from it."""
        return bool(self.uses)


class Meanings:
    """The true gradients of everything that a forward computes, along a few directions, to know values by."""

    def __init__(self, forward: TracedForward, rng: np.random.Generator) -> None:
        self.forward = forward
        self.rng = rng
        self.directions: dict[Shape, Array] = {}
        self.rows: dict[Shape, list[Array]] = {}
        self.known: dict[Shape, list[Meaning]] = {}
        self.uses: dict[int, list[Record]] = {}  # through which something comes back, of what is used in several places
        self.gradients: dict[int, Array | None] = {}
        cost = max(1, sum(forward.tracer.steps.values()))
        self.most_runs: int = max(FEWEST_RUNS, MOST_PROBES // cost)
        steps = Counter(record.place.index for record in forward.records if record.place)
        moving = self.moved_by_arrays()
        firsts = [r for r in forward.records if r.index in moving and not r.alias]
        firsts = [r for r in firsts if r.place is None or (r.place.routine.shown and not is_turned(r.place))]
        for record in sorted(firsts, key=lambda r: steps[r.place.index] if r.place else 0):
            self.learn(record)
        self.tables: dict[Shape, Array] = {shape: np.stack(rows) for shape, rows in self.rows.items()}

    def moved_by_arrays(self) -> set[int]:
        """The records that depend on the arrays: a gradient by a target or a constant would only confuse."""
        moving: set[int] = set()
        for record in self.forward.records:
            if record.place is None or moving.intersection(record.operands):
                moving.add(record.index)
        return moving

    def learn(self, record: Record) -> None:
        """Take the gradients by a value and through its uses: each choice of a few, of many all in a row."""
        uses = self.forward.uses(record)
        several = [(use, self.along(use)) for use in uses] if len(uses) > 1 or record.gathered else []
        whole = sum_of([row for _, row in several]) if record.gathered else self.along(record)
        if whole is not None:
            self.add(Meaning(record), whole)
        known = [(use, row) for use, row in several if row is not None and np.any(row)]
        self.uses[record.index] = [use for use, _ in known]
        for chosen in choices(len(known)):
            part = sum_of([known[i][1] for i in chosen])
            if part is not None and (whole is None or not near(part, whole)):
                self.add(Meaning(record, tuple(known[i][0] for i in chosen)), part)

    def gradient(self, record: Record) -> Array | None:
        """The whole gradient by a record, one upstream after another."""
        if record.index not in self.gradients:
            affordable = record.value.size <= MOST_ENTRIES
            self.gradients[record.index] = self.forward.gradient(record) if affordable else None
        return self.gradients[record.index]

    def add(self, meaning: Meaning, row: Array) -> None:
        if np.any(row):
            shape = meaning.record.value.shape
            self.rows.setdefault(shape, []).append(row)
            self.known.setdefault(shape, []).append(meaning)

    def along(self, record: Record, held: Place | None = None) -> Array | None:
        """The gradient by a record along the directions of its shape, for each upstream; None where it has none.

        held: a place through which nothing comes back.
        """
        if self.forward.num_runs > self.most_runs:
            return None
        found = [self.forward.slopes(record, d, held) for d in self.directions_of(record.value.shape)]
        known = [f for f in found if f is not None and np.isfinite(f).all()]
        return np.stack(known, axis=-1).ravel() if len(known) == len(found) else None

    def directions_of(self, shape: Shape) -> Array:
        if shape not in self.directions:
            self.directions[shape] = self.rng.normal(size=(NUM_DIRECTIONS, *shape))
        return self.directions[shape]

    def along_directions(self, values: Array, shape: Shape) -> Array:
        """Values of a shape, one upstream after another, along its directions."""
        axes = list(range(1, values.ndim))
        return np.tensordot(values, self.directions_of(shape), (axes, axes))

    def paths(self, record: Record) -> Iterator[tuple[Record, Array, Array]]:
        """(value, what comes back through it, the rest) of the values of the forward that a part of the gradient by a
        record comes back through: variables first, the last ones first.
        """
        self.most_runs = self.forward.num_runs + min(self.most_runs, MOST_PATHS * 2 * NUM_DIRECTIONS)
        whole = self.along(record)
        passed = {r.place: r for r in self.forward.records if r.place and r.place.kind != "index" and not r.gathered}
        for value in sorted(passed.values(), key=lambda r: (not r.name or r.alias, -r.index)):
            rest = self.along(record, value.place)
            if whole is not None and rest is not None and np.any(rest) and not near(whole, rest):
                yield value, whole - rest, rest

    def of(self, values: Array) -> Meaning | None:
        """What values (one per upstream) mean, up to shape; None where they are no gradient that is known."""
        return min(self.all_of(values), key=lambda meaning: meaning.is_part, default=None)

    def part(self, values: Array | None, record: Record) -> Meaning | None:
        """The part of the gradient by a record that values are; None where they are none."""
        found = [] if values is None else self.all_of(values)
        return next((meaning for meaning in found if meaning.is_part and meaning.record is record), None)

    def all_of(self, values: Array) -> list[Meaning]:
        """All gradients that values (one per upstream) are, up to shape."""
        if not np.any(values) or not np.isfinite(values).all():
            return []
        found: list[Meaning] = []
        own = tuple(n for n in values.shape[1:] if n != 1)
        of_shape = [shape for shape in self.tables if tuple(n for n in shape if n != 1) == own]
        for shape, table in self.tables.items():  # rearranged only where the forward has nothing in this order
            if np.prod(shape) < np.prod(own):  # a sum may hide what is wrong
                continue
            if of_shape and shape not in of_shape and np.prod(shape) == np.prod(own):
                continue
            for fitting in fitted(values, shape):
                row = self.along_directions(fitting, shape).ravel()
                off = np.linalg.norm(table - row, axis=1)
                size = np.linalg.norm(table, axis=1) + np.linalg.norm(row)
                found += [self.known[shape][i] for i in np.flatnonzero(off <= TOLERANCE * size)]
        return found


def is_turned(place: Place) -> bool:
    """Whether a value is -x or 1 - x in passing: the gradient by it is that by x with the wrong sign."""
    node = place.node
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    minus |= isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant)
    return minus and not place.name


def choices(count: int) -> Iterator[Sequence[int]]:
    """Some of so many uses, as a loop may have added up so far."""
    for most in range(1, count):
        if count <= MOST_USES:
            yield from itertools.combinations(range(count), most)
        else:
            yield from (range(first, first + most) for first in range(count - most + 1))


def near(a: Array, b: Array) -> bool:
    return bool(np.linalg.norm(a - b) <= TOLERANCE * (np.linalg.norm(a) + np.linalg.norm(b)))


def sum_of(parts: Sequence[Array | None]) -> Array | None:
    """The sum, or None where one is not known."""
    known = [part for part in parts if part is not None]
    return np.sum(known, axis=0) if known and len(known) == len(parts) else None


class Bench:
    """Runs the backward with something changed in it, and compares what it returns with the numeric gradients."""

    def __init__(self, subject: Subject, tracer: Tracer, cases: Mapping[str, Case], right: Sequence[str]) -> None:
        first = next(iter(cases.values()))
        self.subject: Subject = copy.copy(subject)
        self.subject.follow = self.follow
        self.tracer = tracer
        self.cases = cases
        self.upstreams: Sequence[Array] = first.numbers.upstreams
        self.right: dict[str, Array | None] = {name: first.gradients[0][name] for name in right}
        self.base: Array = first.numbers.base
        self.forward_places: set[int] = set()
        self.follows_forward: bool = subject.one_function  # needed where that makes what the backward calls
        self.in_forward: bool = False
        self.ready: Point | None = None

    def follow(self, function: Function) -> Function:
        followed: Function = self.tracer.follow(function, entered=True)
        return function if self.in_forward and not self.follows_forward else followed

    def gradients(
        self, i: int, changes: Mapping[int, Change], recording: Recording | None = None, scale: float = 1
    ) -> Gradients:
        """What the changed backward returns for one upstream, or for a multiple of it."""
        whole = self.subject.one_function
        of_forward = not whole and not self.forward_places.isdisjoint(changes)
        point = self.after_forward(changes if whole or of_forward else {}, recording if whole else None, of_forward)
        if not whole:
            self.tracer.start(dict(changes), recording)
        return point.backward(scale * self.upstreams[i])

    def after_forward(self, changes: Mapping[int, Change], recording: Recording | None, is_changed: bool) -> Point:
        """A point whose forward has run: anew where an object keeps what it left, else with a copy of its cache.

        is_changed: whether the changes are the forward's own, which must leave its y what it was.
        """
        anew = self.subject.keeps_cache or self.subject.one_function or self.follows_forward or is_changed
        worn = is_changed or (self.subject.wears_cache and self.subject.keeps_cache)
        point = (None if worn else self.ready) or self.subject.at(np.float64)
        if anew or self.ready is None:
            self.in_forward = not is_changed
            self.tracer.start(dict(changes), recording)
            y = point.forward()
            self.in_forward = False
            if is_changed and not np.array_equal(y, self.base):
                raise ValueError("the change is one of y")
        self.ready = self.ready or (None if is_changed else copy.copy(point))
        if not anew and self.subject.wears_cache:
            point = copy.copy(self.ready or point)
            point.cache = copy.deepcopy(point.cache)
        return point

    def renew(self) -> None:
        """Start from a fresh point, where changed code has written into the arrays."""
        if self.ready is not None:
            fresh = self.subject.at(np.float64).arrays
            if not all(np.array_equal(array, fresh[name]) for name, array in self.ready.arrays.items()):
                self.ready = None

    def mended(self, changes: Changes) -> set[str]:
        """The names of the wrong arrays that a change makes right for every upstream; none where it spoils others."""
        names = set(self.cases)
        try:
            for i in range(len(self.upstreams)):
                found = self.gradients(i, changes(i))
                if not all(close(found[name], value) for name, value in self.right.items() if i == 0):
                    return set()
                names = {name for name in names if self.fits(name, found[name], i)}
                if not names:
                    break
        except Exception:  # changed code may do anything
            self.ready = None
            return set()
        return names

    def fits(self, name: str, gradient: Array | None, i: int) -> bool:
        case = self.cases[name]
        if gradient is None or np.shape(gradient) != case.array.shape:
            return False
        return case.same(np.asarray(gradient).ravel()[case.entries], case.expected[i])


def close(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=1e-12)


class Followed:
    """A backward with what each of its values is."""

    def __init__(self, subject: Subject, cases: Mapping[str, Case], right: Sequence[str]) -> None:
        first = next(iter(cases.values()))
        self.cases = cases
        self.tracer: Tracer = Tracer(subject.is_ours)
        self.forward: TracedForward = TracedForward(first.numbers, self.tracer)
        self.meanings: Meanings = Meanings(self.forward, np.random.default_rng(first.numbers.rng.integers(2**32)))
        self.bench: Bench = Bench(subject, self.tracer, cases, right)
        self.overwritten: list[Place] = self.find_overwritten()
        self.bench.forward_places |= {place.index for place in self.overwritten}
        self.follow(lambda i: {}, list(cases))

    def find_overwritten(self) -> list[Place]:
        """Where the forward reads a variable, as to keep it, whose numbers it changes in place later."""
        recording = self.forward.recording
        uses = [(r, a) for r, a in zip(recording.records, recording.alive, strict=False) if r.place and r.alias]
        found = [r.place for r, array in uses if np.shape(array) and not np.array_equal(array, r.value)]
        return [*dict.fromkeys(place for place in found if place is not None and place.kind == "use")]

    def nonlinear(self, changes: Changes, names: Sequence[str]) -> Record | None:
        """The first value that these gradients are made of that is no multiple where dy is one, as all before is."""
        within = {r.place for r in self.made_for(self.outputs[name].index for name in names if name in self.outputs)}
        once, more = Recording(), Recording()
        narrowed, self.bench.tracer = self.bench.tracer, self.tracer
        self.bench.gradients(0, changes(0), once)
        self.bench.gradients(0, changes(0), more, scale=-1.7)
        self.bench.tracer = narrowed
        bent: set[int] = set()
        for record, other in zip(once.records, more.records, strict=False):
            a, b = record.value, other.value
            if record.place and is_call(record.place.node, "empty", "empty_like"):
                continue  # whatever stood in the memory
            if a.shape == b.shape and not (np.allclose(a, b) or np.allclose(-1.7 * a, b)):
                if bent.isdisjoint(record.operands) and record.place in within:
                    return record
                bent.add(record.index)
        return None

    def follow(self, changes: Changes, wrong: Iterable[str]) -> None:
        """Run the backward for each upstream, and find what its values mean; wrong: the arrays whose gradient is."""
        recordings, outputs = self.recorded(changes, wrong)
        if not self.bench.follows_forward and not any(r.place and r.place.routine.shown for r in recordings[0].records):
            self.bench.follows_forward, self.bench.ready = True, None
            recordings, outputs = self.recorded(changes, wrong)
        self.recording: Recording = recordings[0]
        self.records: list[Record] = recordings[0].records
        flows = [[record.place for record in recording.records] for recording in recordings]
        self.same_flow: bool = all(flow == flows[0] for flow in flows)
        self.values: list[Array | None] = [self.stacked(recordings, i) for i in range(len(self.records))]
        self.meaning: list[Meaning | None] = [None if v is None else self.meanings.of(v) for v in self.values]
        self.carrying: set[int] = self.find_carrying()
        self.outputs: dict[str, Record] = {name: record for name, record in outputs[0].items() if record is not None}
        self.taken: dict[int, Record] = self.find_taken()
        self.ends: set[int] = self.find_ends()
        self.fine: set[int] = self.find_fine()

    def recorded(
        self, changes: Changes, wrong: Iterable[str]
    ) -> tuple[list[Recording], list[dict[str, Record | None]]]:
        """For each upstream what the backward computes, and which of it are the wrong gradients."""
        recordings, outputs = [Recording() for _ in self.bench.upstreams], []
        for i, recording in enumerate(recordings):
            found = self.bench.gradients(i, changes(i), recording)
            given = {name: found[name] for name in wrong}
            outputs.append({name: None if g is None else recording.returned(g) for name, g in given.items()})
        return recordings, outputs

    def stacked(self, recordings: Sequence[Recording], index: int) -> Array | None:
        """The values of one record for each upstream; None where they cannot be compared."""
        values = [r.records[index].value for r in recordings] if self.same_flow else []
        if not values or len({v.shape for v in values}) > 1 or self.records[index].alias:
            return None
        return np.stack(values)

    def find_carrying(self) -> set[int]:
        """Of code that takes no dy, what is a gradient and what is made of gradients."""
        found = set[int]()
        for record in self.records if self.bench.subject.one_function else ():
            operands = (self.recording.resolved(self.records[i]).index for i in record.operands)
            if self.meaning[record.index] or not found.isdisjoint(operands):
                found.add(record.index)
        return found

    def find_ends(self) -> set[int]:
        """The records of the wrong gradients, and of what has the same numbers already where a backward hands it on."""
        hands_on = self.bench.subject.one_function
        ends, left = set[int](), [self.recording.resolved(record).index for record in self.outputs.values()]
        while left:
            ends.add(end := left.pop())
            made_of = [self.recording.resolved(self.records[i]).index for i in self.records[end].operands]
            left += [i for i in made_of if i not in ends and hands_on and self.is_same(i, end)]
        return ends

    def is_same(self, one: int, other: int) -> bool:
        """Whether two records hold the same numbers, in the same order, for each upstream."""
        a, b = self.values[one], self.values[other]
        return a is not None and b is not None and a.size == b.size and np.array_equal(a.ravel(), b.ravel())

    def find_taken(self) -> dict[int, Record]:
        """The wrong gradients that are right for another value: by that value's record, where it got its last name."""
        taken = {}
        for record in self.outputs.values():
            meaning, holder = self.meaning_of(record), self.holder(record)
            if meaning is not None and not meaning.is_part and holder.alias:
                taken[self.recording.resolved(record).index] = holder
        return taken

    def find_fine(self) -> set[int]:
        """The records that are true gradients, and what those are made of."""
        fine = set(self.taken)
        for record in reversed(self.records):
            if record.index in fine or (self.meaning[record.index] and record.index not in self.ends):
                fine.add(record.index)
                for operand in map(self.records.__getitem__, record.operands):  # a sum may hide what is wrong
                    smaller = operand.value.size <= record.value.size or not self.depends_on_upstream(operand)
                    if smaller and not self.is_unsure(record, operand):
                        fine.add(operand.index)
        return fine

    def is_unsure(self, record: Record, operand: Record) -> bool:
        """Whether a variable is no true gradient, so that what a line makes of it in passing may be one by accident."""
        variable = operand.alias and operand.place is not None and not record.name and not record.alias
        return variable and self.meaning_of(operand) is None and self.depends_on_upstream(operand)

    def multiple_of(self, names: Sequence[str]) -> Callable[[Array | None], Record | None]:
        """What finds the value of the forward of whose true gradient values are multiples, entry by entry, by numbers
        that dy does not change. So are the parts of a formula that was simplified on paper.

        names: the arrays that these gradients are by.
        """
        arrays = {r.index for r in self.forward.records if r.place is None and r.name in names}
        made = [m.record for rows in self.meanings.known.values() for m in rows if not m.is_part]
        made = sorted((r for r in made if arrays <= self.forward.ancestors(r)), key=lambda r: r.value.size)
        known = [(r, gradient) for r in made if (gradient := self.meanings.gradient(r)) is not None]
        starts = [r for r in self.forward.records if r.index in arrays]
        ways = [(r, value.place) for r in starts for value in made if value.name and value.place]
        affordable = MOST_ENTRIES // max(1, sum(r.value.size for r in starts))
        parts = ((r, self.forward.gradient(r, place)) for r, place in ways[:affordable])
        known += [(r, gradient) for r, gradient in parts if gradient is not None]
        owners = [record for record, gradient in known for _ in range(gradient[0].size)]
        count = len(self.bench.upstreams)
        pool = directed(np.concatenate([np.empty((count, 0)), *(g.reshape(count, -1) for _, g in known)], axis=1))

        def find(values: Array | None) -> Record | None:
            if values is None or not 0 < values[0].size <= MOST_ENTRIES or self.bench.upstreams[0].size < count:
                return None  # with fewer outputs than upstreams all is a multiple of all
            alike = np.abs(directed(values.reshape(count, -1)).T @ pool) > 1 - TOLERANCE**2
            return owners[int(alike[0].argmax())] if alike.any(axis=1).all() else None

        return find

    def contracted(self, record: Record) -> Array | None:
        """What a sum or mean runs over, or the products that an einsum adds up, one upstream after another."""
        node: Any = record.place and record.place.node
        operands = [self.values[self.recording.resolved(self.records[i]).index] for i in record.operands]
        arrays = [a for a in operands if a is not None]
        if not is_call(node, "sum", "mean", "einsum") or not arrays or len(arrays) < len(operands):
            return None
        if not is_call(node, "einsum"):
            return arrays[0]
        inputs = str(getattr(node.args[0], "value", "")).split("->")[0].replace(" ", "")
        stacked = ",".join("Z" + axes for axes in inputs.split(","))
        found: Array = np.einsum(f"{stacked}->Z{''.join(dict.fromkeys(inputs.replace(',', '')))}", *arrays)
        return found

    @property
    def region(self) -> list[Record]:
        """What the wrong gradients are made of and nothing right is, in order: the mistake is among it."""

        def below(record: Record) -> list[int]:
            whole = record.index not in self.fine or record.index in self.ends
            return [i for i in record.operands if whole or self.is_unsure(record, self.records[i])]

        reached = self.recording.reached(self.ends or range(len(self.records)), below) - (self.fine - self.ends)
        shown = [r for r in self.records if r.place and r.place.routine.shown]
        shown = [r for r in shown if r.operands or not r.gathered or r.index in self.ends]  # what is read is not made
        calls = {r.index for r in shown if r.alias and r.place and isinstance(r.place.node, ast.Call)}
        calls |= {r.index for r in self.taken.values()}
        found = [r for r in shown if self.recording.resolved(r).index in reached and (not r.alias or r.index in calls)]
        held = [r for r in self.outputs.values() if r.alias and r.place and r.place.routine.shown]
        given = {self.recording.resolved(r).index: r for r in held}
        return [r if r.operands else given.get(r.index, r) for r in found]  # what is given as it came stands at its end

    @property
    def made_of(self) -> list[Record]:
        """All that the wrong gradients are made of, in order."""
        return self.made_for(self.ends or range(len(self.records)))

    def made_for(self, ends: Iterable[int]) -> list[Record]:
        """All that some records are made of, in order."""
        found = [self.records[i] for i in sorted(self.recording.reached(ends))]
        return [r for r in found if not r.alias and r.place and r.place.routine.shown]

    @property
    def parts(self) -> dict[int, list[Record]]:
        """The records that the wrong gradients are made of and that are only parts of a gradient, by their place.

        A place is that of the variable which holds the part, where one does.
        """
        found: dict[int, list[Record]] = {}
        used = [i for record in self.region if self.goes_wrong(record) for i in record.operands]
        for index in dict.fromkeys([*used, *self.ends]):
            meaning = self.meaning[self.recording.resolved(self.records[index]).index]
            if meaning and meaning.is_part:
                holder = self.holder(self.records[index])
                if holder.place and holder.place.routine.shown:
                    found.setdefault(holder.place.index, []).append(holder)
        return found

    def holder(self, record: Record) -> Record:
        """Where the variable was assigned that a record reads; the record itself where none is read."""
        first = self.recording.resolved(record)
        since = self.records[first.index : record.index + 1]
        named = (r for r in since if r.name and (r.place is None or r.place.routine.shown))
        return [first, *(r for r in named if self.recording.resolved(r) is first)][-1]

    def meaning_of(self, record: Record) -> Meaning | None:
        return self.meaning[self.recording.resolved(record).index]

    def is_right(self, record: Record) -> bool:
        """Whether it is a true gradient, or part of one, or made of forward values alone."""
        first = self.recording.resolved(record)
        taken = self.taken.get(first.index)
        return taken is not record and (first.index in self.fine or not self.depends_on_upstream(first))

    def goes_wrong(self, record: Record) -> bool:
        """Whether a value is wrong, or carries nothing on, but all is right that its statement makes it of."""
        nothing = bool(record.operands) and not record.alias and not np.any(record.value)
        allocated = record.place is not None and is_call(record.place.node, "empty", "empty_like")
        wrong = not allocated and (nothing or not self.is_right(record))
        return wrong and all(self.is_right(r) or self.is_cut(r) for r in self.ingredients(record))

    def is_cut(self, record: Record) -> bool:
        """Whether it is cut out of what is right."""
        cut = record.place is not None and isinstance(record.place.node, ast.Subscript)
        return cut and all(self.is_right(self.records[i]) for i in record.operands)

    def ingredients(self, record: Record) -> list[Record]:
        """What a record is made of by its statement, which other statements made."""
        found = []
        for operand in map(self.records.__getitem__, record.operands):
            within = operand.place and record.place and operand.place.statement is record.place.statement
            inside = within and operand.step == record.step and not operand.alias
            found += self.ingredients(operand) if inside and not self.is_right(operand) else [operand]
        return found

    def first_wrong(self) -> dict[int, Record]:
        """By place the first value there that is wrong though all is right that it is made of."""
        found: dict[int, Record] = {}
        for record in self.records:
            if record.place and record.place.index not in found and self.goes_wrong(record):
                found[record.place.index] = record
        return found

    def lacks(self, meaning: Meaning) -> str:
        """What a part lacks, in words: the uses of the value whose gradient is missing."""
        missing = [use for use in self.meanings.uses[meaning.record.index] if use not in meaning.uses]
        lines = []
        for use in missing[:2]:
            users = [r for r in self.forward.records if use.index in r.operands and r.place and not r.alias]
            place = users[0].place if users else use.place
            if place is not None:
                lines.append(f"{place.text} in line {place.line} of {place.routine.name}")
        name = meaning.record.name or (meaning.record.place.text if meaning.record.place else "")
        return f"the gradient by {name} lacks what comes back through {' and '.join(lines)}"

    def depends_on_upstream(self, record: Record) -> bool:
        first = self.recording.resolved(record).index
        if self.carrying:
            return first in self.carrying
        values = self.values[first]
        return values is None or any(not np.array_equal(v, values[0]) for v in values[1:])

    def forward_values(self) -> list[list[Record]]:
        """The forward's values that the arrays move, by place, each with its steps."""
        known = [m.record for rows in self.meanings.known.values() for m in rows if not m.is_part]
        found: dict[object, list[Record]] = {}
        for record in sorted(known, key=lambda r: r.index):
            found.setdefault(record.place or record.name, []).append(record)
        return list(found.values())


def directed(columns: Array) -> Array:
    """Columns of length 1; 0 where they are."""
    length = np.linalg.norm(columns, axis=0)
    found: Array = columns / np.where(length > 0, length, 1)
    return found
