"""The value and the true gradient of everything that a forward computes on its way, from anybody's plain NumPy code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, ArrayLike
from ..heat_map import thumbnail
from ..html import Markup, escape, mark, page, table
from ..naming import check_count
from ..text import aligned, figure_text

if TYPE_CHECKING:  # what a check needs is loaded by a check
    from ..user_code.arguments import Settings
    from ..user_code.subjects import Subject
    from ..user_code.tracing import Record
    from .sensitivity import TracedForward

MOST_RUNS = 20_000  # of a forward, for all gradients together
LEGEND = (
    '<p class="quiet">Each value that the forward computes on its way, and the gradient by it. Blue is negative, '
    "orange positive, full colour the largest of a map; yours is in the colours of the true gradient.</p>"
)


@dataclass(frozen=True)
class Intermediate:
    """A value that a forward computes, and the gradient by it.

    Attributes
    ----------
    name : str
        The variable that it is assigned to, or the argument that it is; '' for a part of an expression.
    line : int or None
        Its line in the file; None for an argument.
    function : str
        The function that computes it; '' for an argument.
    expression : str
        What is computed, in the words of the source.
    step : int
        How often the same expression was computed before: counts the steps of a loop.
    value : array
        The value.
    gradient : array or None
        The gradient of <upstream, y> by it, in its shape; None where a change of it alone cannot be followed.
    operands : tuple of int
        The rows that it is computed from.
    partials : tuple of (array or None)
        For each operand, the part of its gradient that comes back through here.
    yours : array or None
        What the backward computes for this gradient, where one was given: what equals it, or else stands in a variable
        of that name (dvar, d_var, grad_var); None where there is neither.
    """

    name: str
    line: int | None
    function: str
    expression: str
    step: int
    value: Array
    gradient: Array | None
    operands: tuple[int, ...] = ()
    partials: tuple[Array | None, ...] = ()
    yours: Array | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether the backward computes something else for this gradient."""
        return self.yours is not None and self.gradient is not None and not near(self.yours, self.gradient)


@dataclass(frozen=True)
class Intermediates:
    """All that a forward computes, in order: a row each; `print` shows them, `[name]` is the last one of this name.

    Attributes
    ----------
    target : str
        The name of the forward.
    rows : list of Intermediate
        Arguments first, then each operation.
    output : array
        What the forward returned, without its cache.
    upstream : array
        The upstream gradient dy of the rows' gradients.
    """

    target: str
    rows: list[Intermediate]
    output: Array
    upstream: Array

    def __iter__(self) -> Iterator[Intermediate]:
        """The rows in order."""
        return iter(self.rows)

    def __len__(self) -> int:
        """How many values were computed."""
        return len(self.rows)

    def __getitem__(self, key: int | str) -> Intermediate:
        """The row at a position, or the last row of a name."""
        if isinstance(key, int):
            return self.rows[key]
        named = {row.name: row for row in self.rows if row.name}
        if key not in named:
            raise KeyError(f"{self.target} computes no '{key}'; it has {', '.join(named)}")
        return named[key]

    def __str__(self) -> str:
        """A line per value: where, what, shape, and how large value and gradient are."""
        columns = (">line", "name", "expression", "shape", ">value", ">gradient")
        rows = [
            (
                "" if row.line is None else str(row.line),
                row.name + f" ({row.step + 1})" * bool(row.step),
                row.expression if len(row.expression) <= 60 else row.expression[:57] + "...",
                "×".join(map(str, row.value.shape)) or "one number",
                figure_text(typical(row.value)),
                "" if row.gradient is None else figure_text(typical(row.gradient)),
            )
            for row in self.rows
        ]
        return "\n".join([f"{self.target}: sizes are root mean squares", *aligned(columns, rows)])

    def to_html(self) -> str:
        """One page: a row each, with the value, the true gradient and yours beside it as small heat maps."""
        title, wrong = f"{self.target}, value by value", [r.name or r.expression for r in self.rows if r.is_wrong]
        compared = any(row.yours is not None for row in self.rows)
        said = f"the gradient by {wrong[0]} is the first that differs" if wrong else "Every gradient agrees with yours"
        verdict = f'<p class="outcome {"bad" if wrong else "good"}">{escape(said[0].upper() + said[1:])}.</p>'
        head = f"<h1>{escape(title)}</h1>", verdict * compared
        return page(title, "<main>", *head, LEGEND, self._repr_html_(), "</main>")

    def _repr_html_(self) -> str:
        compared = any(row.yours is not None for row in self.rows)
        columns = [">line", "name", "expression", "value", "true gradient", *(["yours", ""] if compared else [])]
        rows = []
        for row in self.rows:
            shown = (row.value, "value"), (row.gradient, "true gradient")
            pictures = [thumbnail(array, array, words) for array, words in shown]
            yours = [thumbnail(row.yours, row.gradient, "yours"), "" if row.yours is None else mark(not row.is_wrong)]
            step = f" ({row.step + 1})" * bool(row.step)
            code = Markup(f"<code>{escape(row.expression)}</code>")
            rows.append([row.line, row.name + step, code, *pictures, *(yours if compared else [])])
        wrong = [number for number, row in enumerate(self.rows) if row.is_wrong]
        return table(columns, rows, f"values of {self.target}", marked=wrong[:1])


def near(a: Array, b: Array) -> bool:
    """Whether two arrays agree but for rounding and the error of differences."""
    return a.shape == b.shape and bool(np.linalg.norm(a - b) <= 1e-6 * (np.linalg.norm(a) + np.linalg.norm(b)))


def typical(array: Array) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0


def intermediates(
    forward: Any, *arrays: ArrayLike, upstream: ArrayLike | None = None, kwargs: Settings = None, seed: int = 0
) -> Intermediates | None:
    """Compute the value and the true gradient of everything that a forward computes on its way.

    Parameters
    ----------
    forward : function, method, pair or layer
        Anybody's plain NumPy code: `forward(*arrays)` returns y, or (y, cache). It is not changed, nor is its object.
        Of a pair (forward, backward) or a layer, what the backward computes is put beside the true gradients.
    *arrays : array_like
        Its arguments, of any shapes that it takes.
    upstream : array_like, optional
        The upstream gradient dy, in the shape of y; by default 1 for a number, else random normal numbers.
    kwargs : dict, optional
        Keywords for the forward.
    seed : int
        The seed of the random upstream gradient.

    Returns
    -------
    Intermediates or None
        A row for each operation, with the gradient of <upstream, y> by its value; None where the forward has no
        source that can be read.

    Raises
    ------
    TypeError
        When forward cannot be called, no array holds floats, or y is no array of floats.
    ValueError
        When upstream has not the shape of y.
    Exception
        What the forward itself raises.

    Notes
    -----
    Each expression of the source gets a probe that adds a small change to its value; the derivative of y along it is
    taken by complex step where the forward allows it (Squire & Trapp 1998), else by central differences.

    Examples
    --------
    >>> import numpy as np
    >>> import handgrad as hg
    >>> def forward(x):
    ...     square = x * x
    ...     return square.sum()
    >>> found = hg.intermediates(forward, np.array([1.0, 2.0]))
    >>> found["square"].gradient
    array([1., 1.])
    >>> found["x"].gradient
    array([2., 4.])
    """
    check_count("intermediates", "seed", seed, minimum=0)
    from ..user_code.arguments import is_float_array
    from ..user_code.faults import CodeFault
    from ..user_code.tracing import Tracer
    from .numeric import Differentiator
    from .sensitivity import TracedForward

    given = [np.asarray(a) if is_float_array(a) else a for a in arrays]
    with np.errstate(all="ignore"):
        try:
            paired = with_backward(forward, given, kwargs, seed)
            subject = paired or without_backward(forward, given, kwargs, seed)
            y = subject.at(np.float64).forward()
        except CodeFault as fault:
            raise (fault.__cause__ or TypeError(str(fault))) from None
        dy = given_upstream(upstream, y, seed)
        run = TracedForward(Differentiator(subject, [dy], np.random.default_rng(seed)), Tracer())
        records = [r for r in run.records if r.place is None or (r.place.routine.shown and not r.alias)]
        rows = rows_of(run, records)
        rows = beside(rows, paired, dy) if paired else rows
    return Intermediates(subject.label, rows, y, dy) if any(row.line for row in rows) else None


def with_backward(target: Any, arrays: Sequence[Any], kwargs: Settings, seed: int) -> Subject | None:
    """The pair or layer as what a check would check; None for a forward alone, or with a backward that fails."""
    from ..user_code.faults import CodeFault
    from ..user_code.recognize import recognize

    if not isinstance(target, (tuple, list)) and not hasattr(target, "backward"):
        return None
    try:
        subject = recognize(target, arrays, kwargs, None, None, seed)
        subject.gradients(np.ones_like(subject.at(np.float64).forward()))
    except (CodeFault, TypeError):
        return None
    return subject


def without_backward(target: Any, arrays: Sequence[Any], kwargs: Settings, seed: int) -> Subject:
    """The forward alone."""
    from ..user_code.pairs import PairSubject
    from ..user_code.recognize import forward_alone

    alone = forward_alone(target, arrays, seed)
    return PairSubject((alone, alone), arrays, kwargs, None)


def given_upstream(upstream: ArrayLike | None, y: Array, seed: int) -> Array:
    """The upstream gradient that was asked for, or the default."""
    if upstream is None:
        return np.random.default_rng([seed, 0x6479]).normal(size=y.shape) if y.ndim else np.ones(())
    dy = np.asarray(upstream, dtype=np.float64)
    if dy.shape != y.shape:
        raise ValueError(f"upstream must have the shape of y, {y.shape}, got {dy.shape}")
    return dy


def rows_of(run: TracedForward, records: list[Record]) -> list[Intermediate]:
    """A row for each record; gradients as far as MOST_RUNS go."""
    numbers = {record.index: number for number, record in enumerate(records)}
    gradients: dict[int, Array | None] = {}

    def gradient(record: Record) -> Array | None:
        if record.index not in gradients:
            affordable = run.num_runs + record.value.size <= MOST_RUNS
            found = run.gradient(record) if affordable else None
            gradients[record.index] = None if found is None else found[0]
        return gradients[record.index]

    called = names_given(run)
    rows = []
    for record in records:
        known = [r for i in record.operands if run.resolved(r := run.records[i]).index in numbers]
        sources = tuple(numbers[run.resolved(r).index] for r in known)
        where: tuple[str, int | None, str, str] = record.name, None, "", record.name
        if place := record.place:
            name = place.name or called.get(record.index, "")
            where = name, place.line, place.routine.name, place.text
        partials = tuple(map(gradient, known))
        rows.append(Intermediate(*where, record.step, record.value, gradient(record), sources, partials))
    return rows


def names_given(run: TracedForward) -> dict[int, str]:
    """{record: variable} of values that a helper returned and its caller gave a name to."""
    calls = [r for r in run.records if r.alias and r.place and r.place.routine.shown]
    named = [r for r in calls if r.place and r.place.kind == "value" and r.name]
    return {run.resolved(record).index: record.name for record in reversed(named)}


# Yours beside the true ones -------------------------------------------------------------------------------------


def beside(rows: list[Intermediate], subject: Subject, dy: Array) -> list[Intermediate]:
    """The rows with what the subject's backward computes for each of their gradients."""
    values = values_of_backward(subject, dy)
    return [replace(row, yours=found_for(row, values)) for row in rows]


def values_of_backward(subject: Subject, dy: Array) -> list[tuple[str, Array]]:
    """(variable, value) of all that a backward computes, and of what it returns."""
    from ..user_code.tracing import Recording, Tracer
    from .sensitivity import traced

    tracer, recording = Tracer(), Recording()
    point = traced(subject, tracer).at(np.float64)
    point.forward()
    tracer.start(recording=recording)
    returned = point.backward(dy.copy())
    own = [r for r in recording.records if r.place and r.place.routine.shown]
    last = [(f"d{name}", np.asarray(gradient)) for name, gradient in returned.items() if gradient is not None]
    return [*((record.name, record.value) for record in own), *last]


def found_for(row: Intermediate, values: Sequence[tuple[str, Array]]) -> Array | None:
    """What a backward computes for a row's gradient: what equals it, or the last in a variable of that name.

    Of an argument it is what the backward returns, whatever it had on the way.
    """
    from .sensitivity import fitted

    if row.gradient is None or not row.gradient.any():
        return None
    shape = row.gradient.shape
    fitting = [(name, option[0]) for name, value in values for option in fitted(value[None], shape)]
    equal = [value for _, value in fitting if near(value, row.gradient)]
    named = [value for name, value in fitting if row.name and plain(name) == "d" + plain(row.name)]
    found: list[Array] = named[-1:] if row.line is None and named else [*equal[:1], *named[-1:]]
    return found[0] if found else None


def plain(name: str) -> str:
    """A variable's name without what differs from hand to hand: self.d_x, grad_x and dX are dx."""
    return name.split(".")[-1].replace("grad_", "d").replace("_", "").lower()
