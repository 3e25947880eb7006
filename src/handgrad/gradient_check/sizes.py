"""The code under test at other sizes, where what is right at the first by chance is not right any more."""

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ..arrays import Array
from ..derivatives.numeric import Differentiator
from ..user_code.layers import LayerSubject, copied, inner
from ..user_code.slots import read, write
from ..user_code.subjects import Subject, as_it_is
from ..user_code.tracing import Change, Tracer
from .following import Bench

# the name of an array, and one of its axes
Axis: TypeAlias = tuple[str, int]

MOST_TRIES = 60  # of forwards with a few longer axes, for each length
MOST_NUMBERS = 100_000  # in all arrays: more would take long
OTHER = 0.83  # times an option: a rate or share stays one
MOST_ALONE = 3  # axes of equal length that are tried together before all of them


class Elsewhere:
    """A bench whose subject has longer axes, and true gradients there along a direction of each array."""

    def __init__(self, bench: Bench, subject: Subject) -> None:
        self.bench: Bench = copy.copy(bench)
        self.bench.subject, self.bench.ready = copy.copy(subject), None
        self.bench.subject.follow = self.bench.follow
        rng = np.random.default_rng(0)
        dy = subject.draw_upstreams(subject.at(np.float64).forward(), rng)[0]
        self.bench.upstreams = [dy]
        numbers = Differentiator(subject, [dy], rng)
        self.slopes: dict[str, tuple[Array, float, float]] = {}
        for name in subject.names:
            direction = rng.normal(size=numbers.real.arrays[name].shape)
            slope, error = numbers.along(name, direction)
            self.slopes[name] = direction, float(np.vdot(dy, slope)), float(np.abs(dy).ravel() @ error.ravel())
        before, after = (s.at(np.float64).arrays.values() for s in (bench.subject, subject))
        shapes = [(a.shape, b.shape) for a, b in zip(before, after, strict=True)]
        self.same_sizes: set[int] = {n for a, b in shapes for n, m in zip(a, b, strict=True) if n == m}
        self.is_sound: bool = self.right(bench.right, {}, bench.tracer) is True  # or more than one is right by chance

    def right(self, names: Iterable[str], changes: Mapping[int, Change], tracer: Tracer) -> bool | None:
        """Whether the backward with these changes gives the true gradients by these arrays.

        None where it gives none of their shape: it may be made for one size alone.
        """
        self.bench.tracer = tracer
        try:
            found = self.bench.gradients(0, changes)
        except Exception:  # changed code may do anything
            self.bench.ready = None
            return None
        given = {name: gradient for name in names if (gradient := found[name]) is not None}
        if len(given) < len(set(names)) or any(g.shape != self.slopes[n][0].shape for n, g in given.items()):
            return None
        return all(self.agrees(gradient, *self.slopes[name]) for name, gradient in given.items())

    def agrees(self, gradient: Array, direction: Array, true: float, error: float) -> bool:
        terms = gradient * direction
        return bool(abs(terms.sum() - true) <= 1e-6 * np.abs(terms).sum() + 10 * error)


def elsewhere(bench: Bench) -> Elsewhere | None:
    """The bench with as many longer axes as its forward takes, each of another length, and with other options, as rates
    and powers are; None where it takes neither.

    Axes of equal length stay equal where the forward asks for it, and become different where it does not.
    """
    lengths: dict[Axis, int] = {}
    subject = copy.copy(bench.subject)
    subject.follow = as_it_is
    for number, (size, group) in enumerate(groups(subject), 1):
        more = {**lengths, **dict.fromkeys(group, size + number)}
        lengths = more if runs(longer(subject, more)) and is_read_there(longer(subject, more), group, size) else lengths
    subject = longer(subject, lengths) if lengths else subject
    options = {name: OTHER * value for name, value in subject.kwargs.items() if isinstance(value, float) and value}
    other = copy.copy(subject)
    other.kwargs = subject.kwargs | options
    subject = other if options and runs(other) else subject
    with np.errstate(all="ignore"):
        return Elsewhere(bench, subject) if lengths or subject is other else None


def groups(subject: Subject) -> Iterator[tuple[int, list[Axis]]]:
    """(length, axes) of sets of axes, as small as they can be, that the forward lets grow together by one."""
    arrays = arrays_of(subject)
    axes = {(name, axis): size for name, a in arrays.items() for axis, size in enumerate(a.shape) if size > 1}
    affordable = sum(array.size for array in arrays.values()) <= MOST_NUMBERS
    for size in sorted(set(axes.values())) if affordable else ():
        left, own = [axis for axis in axes if axes[axis] == size], list[list[Axis]]()
        together = [n for n in (*range(1, MOST_ALONE + 1), len(left)) if n <= len(left)]
        tries = itertools.chain.from_iterable(itertools.combinations(left, n) for n in together)
        for group in itertools.islice(tries, MOST_TRIES):
            if set(group) <= set(left) and runs(longer(subject, dict.fromkeys(group, size + 1))):
                own.append(list(group))
                left = [axis for axis in left if axis not in group]
        for axis in left:  # labels go with their examples, though those may go alone
            fitting = (group for group in own if runs(longer(subject, dict.fromkeys([*group, axis], size + 1))))
            next(fitting, []).append(axis)
        yield from ((size, group) for group in own)


def arrays_of(subject: Subject) -> dict[str, Array]:
    """All arrays that go in, labels and parameters too."""
    given = dict(zip(subject.all_names, subject.arguments, strict=True)) | subject.kwargs
    slots = subject.slots if isinstance(subject, LayerSubject) else {}
    given |= {name: read(inner(subject.original), slot) for name, slot in slots.items()}
    return {name: value for name, value in given.items() if isinstance(value, np.ndarray)}


def longer(subject: Subject, lengths: Mapping[Axis, int]) -> Subject:
    """A subject like this one, with axes of these lengths."""
    new, arrays = copy.copy(subject), arrays_of(subject)
    for (name, axis), length in lengths.items():
        arrays[name] = stretched(arrays[name], axis, length)
    held = zip(subject.all_names, subject.arguments, strict=True)
    new.arguments = [arrays.get(name, value) for name, value in held]
    new.kwargs = {name: arrays.get(name, value) for name, value in subject.kwargs.items()}
    if isinstance(new, LayerSubject):
        new.original = copied(new.original)
        for name, slot in new.slots.items():
            write(inner(new.original), slot, arrays[name])
    return new


def stretched(array: Array, axis: int, length: int) -> Array:
    """An array with more along an axis: numbers like those before, or zeros where they add up to one along it."""
    place = np.arange(length) % array.shape[axis]
    new: Array = np.take(array, place, axis)
    more = np.moveaxis(new, axis, 0)[array.shape[axis] :]
    if array.dtype.kind == "f":
        if array.size > 1 and np.ptp(array) == 0:  # as gamma = 1 at the start, by which other things are equal
            return new + 0.3 * np.random.default_rng(length).random(new.shape)
        sums = [np.allclose(array.sum(i), 1) for i in range(array.ndim)]
        if sums[axis]:
            more[...] = 0
        elif not any(sums) and not np.array_equal(array, np.round(array)):
            more *= 1 + 0.3 * np.random.default_rng(length).random(more.shape)
    return new


def is_read_there(subject: Subject, group: Sequence[Axis], size: int) -> bool:
    """Whether y depends on what was added to axes of this length: a forward may read a fixed number of entries."""
    arrays = arrays_of(subject)
    added = [np.moveaxis(arrays[name], axis, 0)[size:] for name, axis in group if arrays[name].dtype.kind == "f"]
    y, rng = subject.at(np.float64).forward(), np.random.default_rng(0)
    for part in added:
        part += rng.random(part.shape)
    return not added or not np.array_equal(y, subject.at(np.float64).forward())


def runs(subject: Subject) -> bool:
    """Whether a forward runs, and gives numbers."""
    try:
        with np.errstate(all="ignore"):
            return bool(np.isfinite(subject.at(np.float64).forward()).all())
    except Exception:  # somebody's code may do anything
        return False
