"""Schedules: the learning rate as a function of t, which counts from 0.

    >>> schedule = Exponential(0.1, decay=0.5)
    >>> schedule(0), schedule(2)
    (0.1, 0.025)

A schedule knows no optimizer, and whether t counts epochs or steps is the caller's choice. Where PyTorch has the same
schedule (torch.optim.lr_scheduler), the numbers agree. They are pure functions, but for ReduceOnPlateau.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .naming import build, check_count, check_number, look_up


class LearningRateSchedule(Protocol):
    """Says the learning rate at t: any callable (t) -> float."""

    def __call__(self, t: int, /) -> float: ...


def check(schedule: object, **limits: Mapping[str, float]) -> None:
    """Raise a ValueError unless the schedule's numbers are in range; initial and peak are always > 0."""
    for name in ("initial", "peak"):
        if hasattr(schedule, name):
            check_number(type(schedule).__name__, name, getattr(schedule, name), above=0)
    for name, limit in limits.items():
        check_number(type(schedule).__name__, name, getattr(schedule, name), **limit)
    for name in ("num_steps", "stage_length"):
        if hasattr(schedule, name):
            check_count(type(schedule).__name__, name, getattr(schedule, name))


@dataclass(frozen=True)
class Constant:
    """initial, always."""

    initial: float

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, t: int) -> float:
        return self.initial


@dataclass(frozen=True)
class Exponential:
    """initial decay^(t / stage_length); with staircase the exponent is rounded down, so the rate falls in steps."""

    initial: float
    decay: float
    stage_length: int = 1
    staircase: bool = False

    def __post_init__(self) -> None:
        check(self, decay={"above": 0})

    def __call__(self, t: int) -> float:
        exponent = t // self.stage_length if self.staircase else t / self.stage_length
        return self.initial * self.decay**exponent


@dataclass(frozen=True)
class Step:
    """initial, multiplied by decay after every stage_length epochs or steps."""

    initial: float
    stage_length: int
    decay: float = 0.1

    def __post_init__(self) -> None:
        check(self, decay={"above": 0})

    def __call__(self, t: int) -> float:
        return self.initial * self.decay ** (t // self.stage_length)


@dataclass(frozen=True)
class Polynomial:
    """final + (initial - final) (1 - t / num_steps)^power, and final from num_steps on."""

    initial: float
    num_steps: int
    power: float = 1.0
    final: float = 0.0

    def __post_init__(self) -> None:
        check(self, power={"above": 0}, final={"minimum": 0})

    def __call__(self, t: int) -> float:
        rest: float = (1 - min(t / self.num_steps, 1)) ** self.power
        return self.final + (self.initial - self.final) * rest


@dataclass(frozen=True)
class Cosine:
    """Half a cosine wave from initial down to final at num_steps, and final after it. Loshchilov & Hutter (2017)."""

    initial: float
    num_steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        check(self, final={"minimum": 0})

    def __call__(self, t: int) -> float:
        return half_wave(self.initial, self.final, min(t / self.num_steps, 1))


def half_wave(start: float, end: float, fraction: float) -> float:
    """From start (fraction 0) to end (fraction 1) along half a period of the cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2


@dataclass(frozen=True)
class WarmUp:
    """A straight rise of num_steps to the first value of another schedule, which then begins.

    schedule(0) (t + 1) / (num_steps + 1) for t < num_steps: the first rate is not 0, nor the last one the full rate.
    """

    schedule: LearningRateSchedule
    num_steps: int

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "schedule", get(self.schedule))

    def __call__(self, t: int) -> float:
        if t >= self.num_steps:
            return self.schedule(t - self.num_steps)
        return self.schedule(0) * (t + 1) / (self.num_steps + 1)


@dataclass(frozen=True)
class OneCycle:
    """From peak / start_divisor up to peak in the warm_up fraction of num_steps, then down to the start rate divided
    by final_divisor, both along half a cosine wave. Smith & Topin (2018), in PyTorch's two-phase form.
    """

    peak: float
    num_steps: int
    warm_up: float = 0.3
    start_divisor: float = 25.0
    final_divisor: float = 1e4

    def __post_init__(self) -> None:
        check(self, warm_up={"minimum": 0, "below": 1}, start_divisor={"minimum": 1}, final_divisor={"minimum": 1})

    def __call__(self, t: int) -> float:
        start = self.peak / self.start_divisor
        top, last = self.warm_up * self.num_steps - 1, self.num_steps - 1
        if t < top:
            return half_wave(start, self.peak, t / top)
        return half_wave(self.peak, start / self.final_divisor, min((t - top) / (last - top), 1))


@dataclass(frozen=True)
class Sequence:
    """Schedules one after the other: each for its length, counted from its own 0; the last, without one, for ever."""

    schedules: list[LearningRateSchedule] | tuple[LearningRateSchedule, ...]
    lengths: list[int] | tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedules", tuple(get(schedule) for schedule in self.schedules))
        object.__setattr__(self, "lengths", tuple(check_count("Sequence", "a length", n) for n in self.lengths))
        if len(self.lengths) != len(self.schedules) - 1:
            raise ValueError(
                f"Sequence of {len(self.schedules)} schedules needs a length for each but the last, "
                f"got {len(self.lengths)} lengths"
            )

    def __call__(self, t: int) -> float:
        for schedule, length in zip(self.schedules, self.lengths, strict=False):
            if t < length:
                return schedule(t)
            t -= length
        return self.schedules[-1](t)


@dataclass(eq=False)
class ReduceOnPlateau:
    """initial, times factor whenever more than `patience` observed metrics in a row were no better than the best.

    Better means smaller by more than the fraction threshold (mode 'max': larger). Never falls below minimum.
    """

    initial: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    minimum: float = 0.0
    mode: str = "min"
    learning_rate: float = field(init=False, repr=False)
    best: float = field(init=False, repr=False, default=math.inf)
    num_bad: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        in_range = {"minimum": 0, "maximum": self.initial}
        check(self, factor={"above": 0, "below": 1}, threshold={"minimum": 0}, minimum=in_range)
        check_count("ReduceOnPlateau", "patience", self.patience, minimum=0)
        self.sign: int = look_up("mode", self.mode, {"min": 1, "max": -1})
        self.learning_rate = float(self.initial)

    def __call__(self, t: int) -> float:
        return self.learning_rate

    def observe(self, metric: float) -> None:
        """Take note of the metric; the next call gives the rate that follows from it. NaN counts as no better."""
        value = self.sign * float(metric)  # smaller is better from here on
        if value < self.best - self.threshold * abs(self.best if math.isfinite(self.best) else 0):
            self.best, self.num_bad = value, 0
        else:
            self.num_bad += 1
        if self.num_bad > self.patience:
            self.learning_rate, self.num_bad = max(self.learning_rate * self.factor, self.minimum), 0

    def state(self) -> dict[str, float]:
        """Everything observed so far, for load_state: {'learning_rate': 0.1, 'best': 0.5, 'num_bad': 2}."""
        return {"learning_rate": self.learning_rate, "best": self.best, "num_bad": self.num_bad}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Go on from what `state` returned."""
        self.learning_rate, self.best = float(state["learning_rate"]), float(state["best"])
        self.num_bad = int(state["num_bad"])


SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    "constant": Constant,
    "exponential": Exponential,
    "step": Step,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "warm_up": WarmUp,
    "one_cycle": OneCycle,
    "sequence": Sequence,
    "reduce_on_plateau": ReduceOnPlateau,
}


def get(spec: str | dict[str, Any] | LearningRateSchedule) -> LearningRateSchedule:
    """The schedule meant by {'name': 'cosine', 'initial': 0.1, 'num_steps': 50} or a callable (t) -> learning rate."""
    schedule = build("schedule", spec, SCHEDULES)
    if not callable(schedule):
        raise TypeError(f"schedule must be a table with a 'name' or a callable of t, got {spec!r}")
    return schedule
