"""The value and the true gradient of everything that a forward computes on its way, from anybody's plain NumPy code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, ArrayLike
from ..naming import check_count
from ..text import aligned, figure_text

if TYPE_CHECKING:  # what a check needs is loaded by a check
    from .sensitivity import TracedForward
    from .subjects import Settings
    from .tracing import Record

MOST_RUNS = 20_000  # of a forward, for all gradients together


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
    from .derivatives import Differentiator
    from .recognize import forward_alone
    from .sensitivity import TracedForward
    from .subjects import PairSubject, is_float_array
    from .tracing import Tracer
    from .verdict import CodeFault

    given = [np.asarray(a) if is_float_array(a) else a for a in arrays]
    alone = forward_alone(forward, given, seed)
    subject = PairSubject((alone, alone), given, kwargs, None)
    with np.errstate(all="ignore"):
        try:
            y = subject.at(np.float64).forward()
        except CodeFault as fault:
            raise (fault.__cause__ or TypeError(str(fault))) from None
        dy = given_upstream(upstream, y, seed)
        rng = np.random.default_rng(seed)
        run = TracedForward(Differentiator(subject, [dy], rng), Tracer())
        records = [r for r in run.records if r.place is None or (r.place.routine.shown and not r.alias)]
        rows = rows_of(run, records)
    return Intermediates(subject.label, rows, y, dy) if any(row.line for row in rows) else None


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
        operands = [run.records[i] for i in record.operands]
        known = [r for r in operands if run.resolved(r).index in numbers]
        sources = tuple(numbers[run.resolved(r).index] for r in known)
        place = record.place
        name, line, function, text = record.name, None, "", record.name
        if place is not None:
            name, line, function, text = place.name, place.line, place.routine.name, place.text
            name = name or called.get(record.index, "")
        partials = tuple(map(gradient, known))
        rows.append(
            Intermediate(name, line, function, text, record.step, record.value, gradient(record), sources, partials)
        )
    return rows


def names_given(run: TracedForward) -> dict[int, str]:
    """{record: variable} of values that a helper returned and its caller gave a name to."""
    calls = [r for r in run.records if r.alias and r.place and r.place.routine.shown]
    named = [r for r in calls if r.place and r.place.kind == "value" and r.name]
    return {run.resolved(record).index: record.name for record in reversed(named)}
