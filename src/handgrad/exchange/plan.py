"""The calls that compute a program's outputs, and what is where in memory meanwhile."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ..arrays import Array
from .loops import NESTS, Call, Language, Nest
from .names import harmless, identifiers
from .program import Operation, Program, Value, Weight

LIMIT = 2**28  # bytes of weights that compilers and browsers take as a text


class Place(NamedTuple):
    """From which number on, of 'x', of 'y', or of the 'memory' for all that is between them."""

    where: str
    offset: int


@dataclass(frozen=True)
class Plan:
    """Calls in order that fill y from x, and what is where.

    Attributes
    ----------
    calls : list of Call
    places : dict of int to Place
        By the id of a value.
    memory : tuple of int
        Where memory begins and ends.
    """

    calls: list[Call]
    places: Mapping[int, Place]
    memory: tuple[int, int]


def plan(program: Program, output: str = "y", given: str = "", start: int = 0, keep: bool = False) -> Plan:
    """The calls that make an output of x; memory begins at start, with another output if that is given.

    keep: no place is used twice, for gradients.
    """
    wanted, known = program.outputs[output], [program.x, *([program.outputs[given]] if given else [])]
    homes, sizes = {id(value): (id(value), 0) for value in known}, {id(value): prod(value.example) for value in known}
    calls = list[Call]()
    for operation in needed(program, wanted, homes):
        made = [*NESTS[operation.name](operation)] if operation.name != "reshape" else []
        source, key = operation.inputs[0], id(operation.output)
        if isinstance(source, Value) and all(map(is_view, made)):
            home, offset = homes[id(source)]
            homes[key] = home, offset + sum(call.nest.offset for call in made)
        else:
            homes[key], sizes[key] = (key, 0), prod(operation.output.example)
            calls += made
    home, offset = homes[id(wanted)]
    if home in map(id, known) or offset or sizes[home] != prod(wanted.example):
        part, wanted = wanted, Value(program.x.recorder, wanted.example)
        home, size = id(wanted), prod(wanted.example)
        calls.append(Call(Nest("copy", (size,), ((1,), (1,)), ("a", "dy")), (part,), wanted, 0, ""))
        homes[home], sizes[home] = (home, 0), size
    if not keep:
        work_in_place(calls, homes, sizes, set(map(id, known)))
    times = spans(calls, homes) if not keep else dict.fromkeys(sizes, (0, len(calls)))
    times |= {id(value): (-1, len(calls)) for value in known[1:]}
    apart = {id(program.x): Place("x", 0), homes[id(wanted)][0]: Place("y", 0)}
    blocks = {home: (*span, sizes[home]) for home, span in times.items() if home not in apart}
    begins, end = arranged(blocks, start)
    apart |= {home: Place("memory", begin) for home, begin in begins.items()}
    places = {key: (apart[home], offset) for key, (home, offset) in homes.items() if home in apart}
    return Plan(calls, {key: Place(at.where, at.offset + offset) for key, (at, offset) in places.items()}, (start, end))


def needed(program: Program, wanted: Value, known: Container[int]) -> list[Operation]:
    """The operations in order that make a value of those that are known by their id."""
    used, kept = {id(wanted)}, list[Operation]()
    for operation in reversed(program.lowered()):
        if id(operation.output) in used and id(operation.output) not in known:
            used |= {id(item) for item in operation.inputs}
            kept.append(operation)
    return kept[::-1]


def is_view(made: Call) -> bool:
    """Whether it copies numbers that stand one after the other, and so need not be copied."""
    one, *others = made.nest.places
    return made.nest.name == "copy" and len(made.inputs) == 1 and not made.offset and others == [one]


def spans(calls: Sequence[Call], homes: Mapping[int, tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The first and the last call that needs what is at home there."""
    found = dict[int, tuple[int, int]]()
    for number, made in enumerate(calls):
        for value in (*made.inputs, made.output):
            if isinstance(value, Value):
                home = homes[id(value)][0]
                found[home] = found.get(home, (number,))[0], number
    return found


def work_in_place(
    calls: Sequence[Call], homes: dict[int, tuple[int, int]], sizes: Mapping[int, int], known: Container[int]
) -> None:
    """Have y at home where a was, if nobody needs a again and all numbers keep their places."""
    lasts = {home: last for home, (_, last) in spans(calls, homes).items()}
    moved = dict[int, int]()
    for number, (nest, inputs, output, *_) in enumerate(calls):
        mine, seen = homes[id(output)][0], dict[int, set[object]]()
        for item, place in zip(inputs, nest.places, strict=False):
            if isinstance(item, Value):
                home, offset = homes[id(item)]
                seen.setdefault(moved.get(home, home), set()).add((place, offset))
        for home, places in seen.items():
            same = places == {(nest.places[-1], 0)} and sizes[home] == sizes[mine] and nest.how == "set"
            if same and lasts[home] == number and mine not in moved and home not in known:
                moved[mine], lasts[home] = home, lasts[mine]
    homes.update({key: (moved.get(home, home), offset) for key, (home, offset) in homes.items()})


def arranged(blocks: Mapping[int, tuple[int, int, int]], start: int) -> tuple[dict[int, int], int]:
    """Where blocks (first call, last call, size) begin, those of one time apart; and where all end."""
    begins, end, active = dict[int, int](), start, list[tuple[int, int, int]]()
    for block, (first, last, size) in sorted(blocks.items(), key=lambda item: item[1]):
        active = sorted(other for other in active if other[2] >= first)
        at = start
        for begin, behind, _ in active:
            if at + size <= begin:
                break
            at = max(at, behind)
        begins[block], end = at, max(end, at + size)
        active.append((at, at + size, last))
    return begins, end


def named(calls: Sequence[Call]) -> dict[Nest, str]:
    """A name for each nest, by what it does and how large it is."""
    names = dict[Nest, str]()
    for nest in dict.fromkeys(made.nest for made in calls):
        stem = f"{nest.name}_{'x'.join(map(str, nest.sizes)) or 1}"
        same = sum(name == stem or name.startswith(f"{stem}_v") for name in names.values())
        names[nest] = f"{stem}_v{same + 1}" if same else stem
    return names


class Listing:
    """All that a file in another language lists.

    Attributes
    ----------
    plans : dict of str to Plan
        By output; that of another output begins with y.
    memory : int
        How many numbers are kept between x and the outputs.
    calls : list of Call
    kernels : dict of Nest to str
        The names of the functions.
    weights : dict of str to Array
        By their names in the language.
    names : dict of str to str
        Those names, by those in the model.
    """

    def __init__(self, program: Program, taken: Iterable[str], keep: bool = False) -> None:
        self.plans: dict[str, Plan] = {}
        self.memory: int = 0
        for name in program.outputs:
            given = "y" if self.plans else ""
            self.plans[name] = plan(program, name, given, self.memory, keep)
            self.memory = self.plans[name].memory[1]
        self.calls: list[Call] = [call for made in self.plans.values() for call in made.calls]
        self.kernels: dict[Nest, str] = named(self.calls)
        weights = {item.name: item.array for call in self.calls for item in call.inputs if isinstance(item, Weight)}
        self.names: dict[str, str] = identifiers(weights, {*self.kernels.values(), *taken})
        if sum(array.nbytes for array in weights.values()) > LIMIT:
            what = f"weights of more than {LIMIT // 2**20} MB are too many for source code"
            raise ValueError(f"{program.x.recorder.layer.label}: {what}; export to a name that ends in .onnx")
        self.weights: dict[str, Array] = {self.names[name]: array for name, array in weights.items()}

    def statements(self, output: str, language: Language) -> list[str]:
        """The calls that make an output, under the names of their layers."""
        lines, scope = list[str](), ""
        for call in self.plans[output].calls:
            lines += [language.comment.format(harmless(call.scope))] * (call.scope not in ("", scope))
            lines.append(f"{self.kernels[call.nest]}({', '.join(self.arguments(call, output, language))});")
            scope = call.scope
        return lines

    def arguments(self, call: Call, output: str, language: Language) -> list[str]:
        """What a kernel is called with: its inputs and y."""
        texts, items = list[str](), [*call.inputs, call.output]
        for item in items:
            if isinstance(item, Value):
                where, offset = self.plans[output].places[id(item)]
                texts.append(language.place(where, offset + call.offset * (item is call.output)))
            else:
                texts.append(self.names[item.name] if isinstance(item, Weight) else language.number(item))
        return texts
