"""A traced forward, and the derivative of what it returns by any value that it computes on its way."""

import copy
import functools
import itertools
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import numpy as np

from ..arrays import Array, Shape
from ..user_code.subjects import Point, Subject
from ..user_code.tracing import Change, Place, Record, Recording, Tracer
from .numeric import COMPLEX_STEP, Differentiator, central_difference, root_mean_square


class TracedForward:
    """A subject's forward with probes: the derivatives of <dy, y> by any value that it computes."""

    def __init__(self, numbers: Differentiator, tracer: Tracer) -> None:
        self.numbers = numbers
        self.tracer = tracer
        self.exact: bool = all(map(numbers.is_exact, numbers.subject.names))
        subject = traced(numbers.subject, tracer)
        self.recording: Recording = Recording()
        point = subject.at(np.float64)
        for name, array in point.arrays.items():
            self.recording.argument(name, array)
        tracer.start(recording=self.recording)
        self.base: Array = point.forward().copy()
        self.cache: Any = point.cache
        self.point: Point = subject.at(np.complex128 if self.exact else np.float64)
        self.num_runs = 0

    @property
    def records(self) -> list[Record]:
        """What it computed, in order."""
        return self.recording.records

    def slopes(self, record: Record, direction: Array, held: Place | None = None) -> Array | None:
        """The derivative of <dy, y>, for each upstream dy, along a direction at one record; None where it has none.

        It has none where the value was written into later: then its change would change more than this.
        held: a place whose values stay what they were, so that nothing comes back through them.
        """
        line = Shifted(self, record, direction, held)
        try:
            if self.exact:
                slope = np.imag(line(1j * COMPLEX_STEP)) / COMPLEX_STEP
            elif np.allclose(line(0.0), self.base, 1e-9, 1e-12):
                slope = central_difference(line, self.base).value
            else:
                return None
            rows: Array = self.numbers.rows @ slope.ravel()
        except Exception:  # a size or an index, which cannot be moved a little
            return None
        return rows if line.sound else None

    def gradient(self, record: Record, held: Place | None = None) -> Array | None:
        """The gradient of <dy, y> by the value of one record, one upstream dy after another.

        held: a place through which nothing comes back.
        """
        found = np.zeros((len(self.numbers.rows), record.value.size))
        for use in self.uses(record) if record.gathered else [record]:
            for entry in range(record.value.size):
                direction = np.zeros(record.value.shape)
                direction.flat[entry] = 1
                if (slopes := self.slopes(use, direction, held)) is None:
                    return None
                found[:, entry] += slopes
        return found.reshape(-1, *record.value.shape)

    def uses(self, record: Record) -> list[Record]:
        """Where the value of a record is read, but not where it is only handed to a function that is traced too."""
        return self.reads.get(record.index, [])

    @functools.cached_property
    def reads(self) -> dict[int, list[Record]]:
        handed = {child for place in self.tracer.followed for child in self.tracer.places[place].children}
        found: dict[int, list[Record]] = {}
        for record in self.records:
            if (record.alias or record.gathered) and record.place and record.place.index not in handed:
                found.setdefault(self.resolved(record).index, []).append(record)
        return found

    def ancestors(self, record: Record) -> set[int]:
        """The records that one is made of."""
        return self.recording.reached(record.operands)

    def resolved(self, record: Record) -> Record:
        """The record that first had the value of this one."""
        return self.recording.resolved(record)


class Shifted:
    """t -> y, the forward with t times a direction added where one record was computed."""

    def __init__(self, forward: TracedForward, record: Record, direction: Array, held: Place | None = None) -> None:
        self.forward = forward
        self.record = record
        self.direction = direction
        self.held: dict[int, Change] = {} if held is None else {held.index: holding(forward.records, held)}
        self.sound: bool = True  # whether y stays what it was but for the change
        self.scale: float = max(root_mean_square(np.atleast_1d(record.value)), 1e-2)

    def __call__(self, t: complex) -> Array:
        forward, point = self.forward, self.forward.point
        forward.num_runs += 1
        if self.record.place is not None:
            forward.tracer.start({self.record.place.index: self.change(t), **self.held})
            y = point.forward()
        else:
            array = point.arrays[self.record.name]
            saved = array.copy()
            forward.tracer.start(self.held)
            array[...] = saved + t * self.direction
            y = point.forward().copy()
            array[...] = saved
        self.sound &= y.shape == forward.base.shape
        if self.sound and np.imag(t):
            self.sound = np.allclose(np.real(y), forward.base, 1e-9, 1e-12)
        return y

    def change(self, t: complex) -> Change:
        def moved(step: int, value: Any, frame: FrameType) -> Any:
            return value + t * self.direction if step == self.record.step else value

        return moved


def holding(records: Iterable[Record], place: Place) -> Change:
    """A change that puts the values back that a place had, step by step."""
    known = {record.step: record.value for record in records if record.place is place}
    return lambda step, value, frame: known.get(step, value)


def traced(subject: Subject, tracer: Tracer) -> Subject:
    """The subject, calling its functions by way of a tracer."""
    new = copy.copy(subject)
    new.follow = lambda function: tracer.follow(function, entered=True)
    return new


def fitted(values: Array, shape: Shape) -> Iterator[Array]:
    """values (one per upstream) in another shape: summed over what was broadcast, transposed, reshaped, broadcast."""
    count, given = len(values), values.shape[1:]
    if given == shape:
        yield values
    elif int(np.prod(given)) == int(np.prod(shape)):
        plain = [n for n in given if n != 1] == [n for n in shape if n != 1]
        orders = [tuple(range(len(given)))] if plain else itertools.permutations(range(len(given)))
        for order in orders if len(given) <= 4 else ():
            yield values.transpose(0, *(1 + axis for axis in order)).reshape(count, *shape)
    else:
        small, large = sorted((shape, given), key=lambda s: int(np.prod(s)))
        try:
            if np.broadcast_shapes(small, large) != large:
                return
        except ValueError:
            return
        padded = (1,) * (len(large) - len(small)) + tuple(small)
        if large == given:
            axes = tuple(1 + i for i, n in enumerate(padded) if n == 1 and large[i] != 1)
            yield values.sum(axis=axes, keepdims=True).reshape(count, *shape)
        else:
            yield np.broadcast_to(values.reshape(count, *padded), (count, *shape))
