"""Operations as loops over numbers in row-major order, for languages that have nothing else: C and JavaScript.

Each operation is a nest of loops in which one number of y is made of one of a, b and c, each at a place that is affine
in the loops' variables. The gradient of a is then summed by the same loops, with another line inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from ..arrays import Shape
from .program import Operation, Value, Weight, shape_of

VARIABLES = "ijklmnopqrstuvw"

# y of a, b and c, and what dy counts for each of them; without it the gradient is 0
FORMULAS: Mapping[str, tuple[str, ...]] = {
    "add": ("a + b", "dy", "dy"),
    "subtract": ("a - b", "dy", "-dy"),
    "multiply": ("a * b", "dy * b", "dy * a"),
    "divide": ("a / b", "dy / b", "-dy * y / b"),
    "maximum": ("max(a, b)", "a > b ? dy : 0", "a > b ? 0 : dy"),
    "minimum": ("min(a, b)", "a < b ? dy : 0", "a < b ? 0 : dy"),
    "power": ("pow(a, b)", "dy * b * pow(a, b - 1)", "a > 0 ? dy * y * log(a) : 0"),
    "negative": ("-a", "-dy"),
    "absolute": ("a < 0 ? -a : a", "a < 0 ? -dy : dy"),
    "sqrt": ("sqrt(a)", "dy / (2 * y)"),
    "exp": ("exp(a)", "dy * y"),
    "expm1": ("expm1(a)", "dy * (y + 1)"),
    "log": ("log(a)", "dy / a"),
    "log1p": ("log1p(a)", "dy / (1 + a)"),
    "tanh": ("tanh(a)", "dy * (1 - y * y)"),
    "arctan": ("atan(a)", "dy / (1 + a * a)"),
    "erf": ("erf(a)", "dy * 1.1283791670955126 * exp(-a * a)"),
    "greater": ("a > b ? 1 : 0",),
    "less": ("a < b ? 1 : 0",),
    "equal": ("a == b ? 1 : 0",),
    "where": ("a != 0 ? b : c", "0", "a != 0 ? dy : 0", "a != 0 ? 0 : dy"),
}
Strides: TypeAlias = tuple[int, ...]


class Guard(NamedTuple):
    """Only where 0 <= offset + strides · variables < size is there anything to see."""

    strides: Strides
    offset: int
    size: int


class Nest(NamedTuple):
    """Loops of these sizes, the innermost `reduced` of them over what makes one number of y.

    Attributes
    ----------
    places : tuple of tuple of int
        Of a, b, c and last of y: how far the next place in each loop is; None for a number.
    formula : tuple of str
        What is computed of a, b and c, and the gradient for each.
    how : str
        'set', or 'sum', 'max' over the inner loops, 'add' to what is there.
    offset : int
        Where the places of a begin ('add': of y); negative where images are padded.
    """

    name: str
    sizes: Shape
    places: tuple[Strides | None, ...]
    formula: tuple[str, ...]
    how: str = "set"
    reduced: int = 0
    offset: int = 0
    guards: tuple[Guard, ...] = ()
    share: int = 1  # the sum is divided by it
    start: str = "0"  # what is summed up with
    row: int = 0  # how long rows of a are, of which b says the number


class Call(NamedTuple):
    """A nest run on arrays and numbers, from some number of y on."""

    nest: Nest
    inputs: tuple[Value | Weight | float, ...]
    output: Value
    offset: int
    scope: str


def row_major(shape: Shape, to: Shape | None = None) -> Strides:
    """How far apart neighbours are along each axis, of an array broadcast to a shape."""
    strides = [*accumulate(reversed(shape[1:]), int.__mul__, initial=1)][::-1][: len(shape)]
    spread = [0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True)]
    return (*[0] * (len(shape if to is None else to) - len(shape)), *spread)


# Each operation as nests ----------------------------------------------------------------------------------------------


def elementwise(operation: Operation) -> Iterator[Call]:
    """y of numbers at the same place of each array."""
    y = operation.output.example
    places = [None if isinstance(item, float) else row_major(shape_of(item), y) for item in operation.inputs]
    yield call(operation, Nest(operation.name, y, (*places, row_major(y)), FORMULAS[operation.name]))


def matmul(operation: Operation) -> Iterator[Call]:
    """y_mn = Σ_k a_mk b_kn."""
    one, other = map(shape_of, operation.inputs)
    (k, n), m = other[-2:], 1 if len(one) == 1 else one[-2]
    batch = np.broadcast_shapes(one[:-2], other[:-2])
    *a, a_m, a_k = row_major((m, k) if len(one) == 1 else one, (*batch, m, k))
    *b, b_k, b_n = row_major(other, (*batch, k, n))
    *y, y_m, y_n = row_major((*batch, m, n))
    places = (*a, a_m, 0, a_k), (*b, 0, b_n, b_k), (*y, y_m, y_n, 0)
    yield call(operation, Nest("matmul", (*batch, m, n, k), places, FORMULAS["multiply"], "sum", 1))


def reduction(operation: Operation) -> Iterator[Call]:
    """A sum, mean or maximum over axes."""
    x, axes = shape_of(operation.inputs[0]), operation.options["axes"]
    order = [*(axis for axis in range(len(x)) if axis not in axes), *axes]
    sizes, count = tuple(x[axis] for axis in order), prod(x[axis] for axis in axes)
    y = (*row_major(sizes[: len(x) - len(axes)]), *[0] * len(axes))
    places = tuple(row_major(x)[axis] for axis in order), y
    how = "max" if operation.name == "max" else "sum"
    nest = Nest(operation.name, sizes, places, ("a", "dy"), how, len(axes))
    yield call(operation, nest._replace(share=count if operation.name == "mean" else 1))


def transpose(operation: Operation) -> Iterator[Call]:
    """y_jk = a_kj."""
    strides, y = row_major(shape_of(operation.inputs[0])), operation.output.example
    yield copy(operation, y, tuple(strides[axis] for axis in operation.options["axes"]), row_major(y))


def part(operation: Operation) -> Iterator[Call]:
    """Numbers from some place on, at some distance."""
    strides, y = row_major(shape_of(operation.inputs[0])), operation.output.example
    bounds = operation.options["slices"]
    apart = tuple(stride * step for stride, (_, _, step) in zip(strides, bounds, strict=True))
    begin = sum(stride * start for stride, (start, _, _) in zip(strides, bounds, strict=True))
    made = copy(operation, y, apart, row_major(y))
    yield made._replace(nest=made.nest._replace(offset=begin))


def concatenate(operation: Operation) -> Iterator[Call]:
    """A copy of each array to its place in y."""
    y, axis, at = operation.output.example, operation.options["axis"], 0
    for item in operation.inputs:
        size = shape_of(item)[axis]
        sizes, strides = (*y[:axis], size, *y[axis + 1 :]), row_major(y)
        made = copy(operation, sizes, row_major(shape_of(item), sizes), strides)
        yield made._replace(inputs=(item,), offset=at * prod(y[axis + 1 :]))
        at += size


def copy(operation: Operation, sizes: Shape, place: Strides | None, y: Strides) -> Call:
    """Numbers at other places."""
    return call(operation, Nest("copy", sizes, (place, y), ("a", "dy")))


def take(operation: Operation) -> Iterator[Call]:
    """Rows of a weight, NaN for those that it does not have."""
    rows, *row = shape_of(operation.inputs[0])
    numbers, y = shape_of(operation.inputs[1]), operation.output.example
    places = (*[0] * len(numbers), *row_major(tuple(row))), row_major((*numbers, *[1] * len(row))), row_major(y)
    yield call(operation, Nest("take", y, places, (f"b >= 0 && b < {rows} ? a : NAN",), row=prod(row)))


def conv2d(operation: Operation) -> Iterator[Call]:
    """y = Σ x w over windows and the channels of a group, with the bias."""
    x, w = map(shape_of, operation.inputs[:2])
    filters = w[3] // operation.options["groups"]
    sizes = (*operation.output.example[:2], operation.options["groups"], filters, *w[:3])
    seen, offset, guards = window(operation, x, (0, 1, 4, 5), {2: w[2], 6: 1})
    bias = [(0, 0, filters, 1, 0, 0, 0)] * (len(operation.inputs) == 3)
    places = seen, (0, 0, filters, 1, *row_major(w)[:3]), *bias, (sizes[1] * w[3], w[3], filters, 1, 0, 0, 0)
    nest = Nest("conv2d", sizes, places, FORMULAS["multiply"], "sum", 3, offset, guards, start="c" if bias else "0")
    yield call(operation, nest)


def pool2d(operation: Operation) -> Iterator[Call]:
    """The largest number or the mean of each window."""
    y, kernel = operation.output.example, operation.options["kernel"]
    seen, offset, guards = window(operation, shape_of(operation.inputs[0]), (0, 1, 3, 4), {2: 1})
    how, share = ("max", 1) if operation.name == "max_pool2d" else ("sum", prod(kernel))
    places = seen, (y[1] * y[2], y[2], 1, 0, 0)
    yield call(operation, Nest(operation.name, (*y, *kernel), places, ("a", "dy"), how, 2, offset, guards, share))


def conv_transpose2d(operation: Operation) -> Iterator[Call]:
    """The bias everywhere, and on it what each pixel lays down."""
    x, w = map(shape_of, operation.inputs[:2])
    y, bias = operation.output.example, [*operation.inputs[2:], 0.0][0]
    place = None if isinstance(bias, float) else row_major(y[2:], y)
    yield copy(operation, y, place, row_major(y))._replace(inputs=(bias,))
    seen, offset, guards = window(operation, y, (0, 1, 2, 3), {5: 1})
    places = (x[1] * x[2], x[2], 0, 0, 1, 0), (0, 0, *row_major(w)), seen
    nest = Nest("conv_transpose2d", (*x[:2], *w), places, FORMULAS["multiply"], "add", 0, offset, guards)
    yield call(operation, nest)._replace(inputs=operation.inputs[:2])


def window(
    operation: Operation, image: Shape, loops: Shape, others: Mapping[int, int]
) -> tuple[Strides, int, tuple[Guard, ...]]:
    """Strides of an image whose windows slide by two loops, and are gone through by two; where it begins; guards.

    others: its strides in other loops, the last of which is the last of all or before two of those four.
    """
    (_, width, channels), options = image, operation.options
    count, offset, strides, guards = max(*loops, *others) + 1, 0, [0] * (max(*loops, *others) + 1), list[Guard]()
    for at, apart in others.items():
        strides[at] = apart
    for axis, apart in ((0, width * channels), (1, channels)):
        steps, (before, after) = [0] * count, options["padding"][axis]
        steps[loops[axis]], steps[loops[axis + 2]] = options["stride"][axis], options.get("dilation", (1, 1))[axis]
        strides = [stride + apart * step for stride, step in zip(strides, steps, strict=True)]
        offset -= before * apart
        guards += [Guard(tuple(steps), -before, image[axis])] * bool(before or after)
    return tuple(strides), offset, tuple(guards)


def call(operation: Operation, nest: Nest) -> Call:
    """The nest on the operation's inputs, without loops of one turn, and with two loops as one where they can be."""
    return Call(merged(nest), operation.inputs, operation.output, 0, operation.scope)


def merged(nest: Nest) -> Nest:
    """The same in fewer loops: none of one turn, and one for two that no array tells apart."""
    rows = [nest.sizes, *(place or (0,) * len(nest.sizes) for place in nest.places), *(g.strides for g in nest.guards)]
    columns, inner = list[Shape](), 0
    for number, column in enumerate(zip(*rows, strict=True)):
        is_inner = number >= len(nest.sizes) - nest.reduced
        (size, *places), outer = column, columns[-1] if columns else ()
        joins = outer and (inner > 0) == is_inner and not any(places[len(nest.places) :])
        if joins and outer[1:] == tuple(size * place for place in places):
            columns[-1] = (outer[0] * size, *places)
        elif size != 1:
            columns.append(column)
            inner += is_inner
    rows = [tuple(column[i] for column in columns) for i in range(len(rows))]
    places = [None if place is None else row for place, row in zip(nest.places, rows[1:], strict=False)]
    guards = [guard._replace(strides=row) for guard, row in zip(nest.guards, rows[len(places) + 1 :], strict=True)]
    return nest._replace(sizes=rows[0], places=tuple(places), guards=tuple(guards), reduced=inner)


NESTS: Mapping[str, Callable[[Operation], Iterator[Call]]] = {
    **dict.fromkeys(FORMULAS, elementwise),
    **{f.__name__: f for f in (matmul, transpose, concatenate, take, conv2d, conv_transpose2d)},
    **dict.fromkeys(("sum", "mean", "max"), reduction),
    **dict.fromkeys(("max_pool2d", "avg_pool2d"), pool2d),
    "slice": part,
}


# As text --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Language:
    """How C and JavaScript differ in what stands inside a function.

    Attributes
    ----------
    counter, variable : str
        What declares a whole number, and another one.
    indent, comment : str
    words : dict
        What functions and constants of the formulas are called, where it is something else.
    number : callable
        A number as an expression.
    place : callable
        function('x', 'y' or 'memory', number) -> where the array from that number on begins, as an expression.
    """

    counter: str
    variable: str
    indent: str
    comment: str
    words: Mapping[str, str]
    number: Callable[[float], str]
    place: Callable[[str, int], str]

    def body(self, nest: Nest) -> list[str]:
        """Lines that fill y."""
        y = self.at(nest, -1)
        if nest.how in ("set", "add"):
            sign = "=" if nest.how == "set" else "+="
            return self.loops(nest, [f"{y} {sign} {self.text(nest, nest.formula[0])};"])
        start, line = nest.start, f"sum += {self.text(nest, nest.formula[0])};"
        if nest.how == "max":
            start, line = "-INFINITY", f"sum = {self.text(nest, f'max(sum, {nest.formula[0]})')};"
        result = "sum" if nest.share == 1 else f"sum / {nest.share}"
        first = f"{self.variable} sum = {self.text(nest, start)};"
        inner = [first, *self.loops(nest, [line], inner=True), f"{y} = {result};"]
        return self.loops(nest, inner, inner=False)

    def gradient(self, nest: Nest, number: int) -> list[str]:
        """Lines that add the gradient of an input to da."""
        a, y = self.at(nest, number), self.at(nest, -1)
        if nest.how != "max":
            share = "" if nest.share == 1 else f" / {nest.share}"
            return self.loops(nest, [f"d{a} += ({self.text(nest, nest.formula[number + 1])}){share};"])
        first = f"if ({a} == {y}) {{ d{a} += rest; rest = 0; }}"  # of several that are largest
        inner = [f"{self.variable} rest = d{y};", *self.loops(nest, [first], inner=True)]
        return self.loops(nest, inner, inner=False)

    def loops(self, nest: Nest, lines: Sequence[str], inner: bool | None = None) -> list[str]:
        """Lines within the inner loops, the outer ones or all."""
        border = len(nest.sizes) - nest.reduced
        first, end = (border if inner else 0), (border if inner is False else len(nest.sizes))
        guards = [] if inner is False else nest.guards
        headers = [self.condition(nest, guard) for guard in guards if last(guard) < first]
        for axis in range(first, end):
            v = VARIABLES[axis]
            headers.append(f"for ({self.counter} {v} = 0; {v} < {nest.sizes[axis]}; {v}++)")
            headers += [self.condition(nest, guard) for guard in guards if last(guard) == axis]
        return indented([header for header in headers if header], lines, self.indent)

    def condition(self, nest: Nest, guard: Guard) -> str:
        """Where there is something to see; '' if that is everywhere."""
        most = guard.offset + sum(stride * (size - 1) for stride, size in zip(guard.strides, nest.sizes, strict=True))
        place = affine(guard.strides, guard.offset)
        parts = [f"{place} >= 0"] * (guard.offset < 0) + [f"{place} < {guard.size}"] * (most >= guard.size)
        return f"if ({' && '.join(parts)})" if parts else ""

    def at(self, nest: Nest, number: int) -> str:
        """The number of an array that a turn of the loops is about."""
        letter, place = letters(nest)[number], nest.places[number]
        if place is None:
            return letter
        shifted = letter == ("y" if nest.how == "add" else "a")
        text = affine(place, nest.offset if shifted else 0)
        if nest.row and letter == "a":
            text = f"{self.words['int']}({self.at(nest, 1)}) * {nest.row} + {text}"
        return f"{letter}[{text}]"

    def text(self, nest: Nest, formula: str) -> str:
        """A formula in this language, of the numbers that a turn of the loops is about."""
        known = {letter: self.at(nest, number) for number, letter in enumerate(letters(nest))}
        known |= {"dy": f"d{known['y']}", **self.words}
        return re.sub(r"[A-Za-z]\w*", lambda found: known.get(found[0], found[0]), formula)


def letters(nest: Nest) -> str:
    """What the arrays are called, y last."""
    return "abc"[: len(nest.places) - 1] + "y"


def last(guard: Guard) -> int:
    """The innermost loop that it is about."""
    return max((axis for axis, stride in enumerate(guard.strides) if stride), default=-1)


def affine(strides: Strides, offset: int) -> str:
    """A place as an expression of the loops' variables."""
    terms = [f"{v} * {s}" if s != 1 else v for v, s in zip(VARIABLES, strides, strict=False) if s]
    text = " + ".join([*terms, *[str(offset)] * (offset > 0 or not terms)])
    return f"{text} - {-offset}" if offset < 0 and terms else text


def indented(headers: Sequence[str], lines: Sequence[str], indent: str) -> list[str]:
    """Lines within statements that are within each other."""
    made = [indent * depth + header for depth, header in enumerate(headers)]
    inside = [indent * len(headers) + line for line in lines]
    if not headers or len(lines) == 1:
        return made + inside
    return [*made[:-1], f"{made[-1]} {{", *inside, indent * (len(headers) - 1) + "}"]
