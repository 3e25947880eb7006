"""Schedules: the learning rate as a function of t, which counts from 0.

    >>> schedule = Exponential(0.1, decay=0.5)
    >>> schedule(0), schedule(2)
    (0.1, 0.025)

A schedule knows no optimizer, and whether t counts epochs or steps is the caller's choice. Where PyTorch has the same
schedule (torch.optim.lr_scheduler), the numbers agree. They are pure functions, but for ReduceOnPlateau.
"""

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Protocol

from .files import COUNT, check_form
from .naming import Configured, advised_dataclass, build, by_name, check_count, check_number, check_switch, look_up


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


@advised_dataclass(frozen=True)
class Constant(Configured):
    """The same learning rate always.

    Parameters
    ----------
    initial : float
        The learning rate, above 0.

    Examples
    --------
    >>> Constant(0.1)(1000)
    0.1
    """

    initial: float

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, t: int) -> float:
        return self.initial


@advised_dataclass(frozen=True)
class Exponential(Configured):
    """initial decay^(t / stage_length): the rate falls by the same factor in every stage.

    Parameters
    ----------
    initial : float
        The rate at t = 0, above 0.
    decay : float
        The factor of one stage, above 0.
    stage_length : int
        Epochs or steps in a stage.
    staircase : bool
        Round the exponent down, so that the rate falls at the end of each stage only.

    Examples
    --------
    >>> Exponential(0.8, decay=0.5)(2)
    0.2
    >>> Exponential(0.8, decay=0.5, stage_length=10, staircase=True)(19)
    0.4
    """

    initial: float
    decay: float
    stage_length: int = 1
    staircase: bool = False

    def __post_init__(self) -> None:
        check(self, decay={"above": 0})
        check_switch("Exponential", "staircase", self.staircase)

    def __call__(self, t: int) -> float:
        exponent = t // self.stage_length if self.staircase else t / self.stage_length
        return self.initial * self.decay**exponent


@advised_dataclass(frozen=True)
class Step(Configured):
    """initial, multiplied by decay after every stage_length epochs or steps.

    Parameters
    ----------
    initial : float
        The rate at t = 0, above 0.
    stage_length : int
        Epochs or steps for which the rate stays.
    decay : float
        The factor after each stage, above 0.

    Examples
    --------
    >>> schedule = Step(1.0, stage_length=10, decay=0.5)
    >>> schedule(9), schedule(10), schedule(20)
    (1.0, 0.5, 0.25)
    """

    initial: float
    stage_length: int
    decay: float = 0.1

    def __post_init__(self) -> None:
        check(self, decay={"above": 0})

    def __call__(self, t: int) -> float:
        return self.initial * self.decay ** (t // self.stage_length)


@advised_dataclass(frozen=True)
class Polynomial(Configured):
    """final + (initial - final) (1 - t / num_steps)^power, and final from num_steps on.

    Parameters
    ----------
    initial : float
        The rate at t = 0, above 0.
    num_steps : int
        The t at which final is reached.
    power : float
        1 for a straight line; larger ones fall sooner. Above 0.
    final : float
        The last rate, 0 or more.

    Examples
    --------
    >>> schedule = Polynomial(1.0, num_steps=4)
    >>> schedule(1), schedule(4), schedule(9)
    (0.75, 0.0, 0.0)
    """

    initial: float
    num_steps: int
    power: float = 1.0
    final: float = 0.0

    def __post_init__(self) -> None:
        check(self, power={"above": 0}, final={"minimum": 0})

    def __call__(self, t: int) -> float:
        rest: float = (1 - min(t / self.num_steps, 1)) ** self.power
        return self.final + (self.initial - self.final) * rest


@advised_dataclass(frozen=True)
class Cosine(Configured):
    """Half a cosine wave from initial down to final at num_steps, and final after it.

    Parameters
    ----------
    initial : float
        The rate at t = 0, above 0.
    num_steps : int
        The t at which final is reached.
    final : float
        The last rate, 0 or more.

    References
    ----------
    Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), without the restarts.

    Examples
    --------
    >>> schedule = Cosine(1.0, num_steps=10)
    >>> schedule(0), schedule(5), schedule(10)
    (1.0, 0.5, 0.0)
    """

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


@advised_dataclass(frozen=True)
class WarmUp(Configured):
    """A straight rise of num_steps to the first value of another schedule, which then begins.

    schedule(0) (t + 1) / (num_steps + 1) for t < num_steps: the first rate is not 0, nor the last one the full rate.

    Parameters
    ----------
    schedule : callable (t) -> float, or a table with a name
        What begins after the rise, counted from its own 0.
    num_steps : int
        Epochs or steps of the rise.

    Examples
    --------
    >>> schedule = WarmUp(Constant(1.0), num_steps=3)
    >>> [schedule(t) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
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


@advised_dataclass(frozen=True)
class OneCycle(Configured):
    """Up from a small rate to peak, then down to a much smaller one, both along half a cosine wave.

    The rate starts at peak / start_divisor, is at its peak after the warm_up fraction of num_steps, and ends at the
    start rate divided by final_divisor.

    Parameters
    ----------
    peak : float
        The highest rate, above 0.
    num_steps : int
        The length of the cycle; the last rate is that of t = num_steps - 1.
    warm_up : float
        The rise's share of the cycle, from 0 to below 1.
    start_divisor, final_divisor : float
        1 or more.

    References
    ----------
    Smith & Topin, Super-Convergence (2018), in PyTorch's two-phase form.

    Examples
    --------
    >>> schedule = OneCycle(1.0, num_steps=10)
    >>> [round(schedule(t), 3) for t in (0, 1, 2, 6, 9)]
    [0.04, 0.52, 1.0, 0.389, 0.0]
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


@advised_dataclass(frozen=True)
class Sequence(Configured):
    """Schedules one after the other, each counted from its own 0.

    Parameters
    ----------
    schedules : list or tuple
        Callables (t) -> float, or tables with a name.
    lengths : list or tuple of int
        How long each but the last goes on; the last goes on for ever.

    Raises
    ------
    ValueError
        Unless there is one length fewer than schedules.

    Examples
    --------
    >>> schedule = Sequence([Constant(0.1), Exponential(1.0, decay=0.5)], lengths=[2])
    >>> [schedule(t) for t in range(4)]
    [0.1, 0.1, 1.0, 0.5]
    """

    schedules: list[LearningRateSchedule] | tuple[LearningRateSchedule, ...]
    lengths: list[int] | tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("schedules", "lengths"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise TypeError(f"Sequence: {name} must be a list, got {getattr(self, name)!r}")
        schedules = tuple(get(schedule) for schedule in self.schedules)
        lengths = tuple(check_count("Sequence", "a length", n) for n in self.lengths)
        for name, checked in (("schedules", schedules), ("lengths", lengths)):
            if checked != getattr(self, name):  # what is right already stays the object it is, for scikit-learn's clone
                object.__setattr__(self, name, checked)
        if len(self.lengths) != len(self.schedules) - 1:
            what = f"Sequence of {len(self.schedules)} schedules needs a length for each but the last"
            raise ValueError(f"{what}, got {len(self.lengths)} lengths")

    def __call__(self, t: int) -> float:
        for schedule, length in zip(self.schedules, self.lengths, strict=False):
            if t < length:
                return schedule(t)
            t -= length
        return self.schedules[-1](t)


@advised_dataclass(eq=False)
class ReduceOnPlateau(Configured):
    """initial, times factor whenever more than `patience` observed metrics in a row were no better than the best.

    Not a pure function: `observe` is told each metric, and what t is does not matter.

    Parameters
    ----------
    initial : float
        The first rate, above 0.
    factor : float
        What the rate is multiplied by, between 0 and 1.
    patience : int
        How many metrics in a row may be no better.
    threshold : float
        Better means better by more than this fraction of the best.
    minimum : float
        The rate never falls below it.
    mode : str
        'min' where a smaller metric is better, 'max' where a larger one is.

    Examples
    --------
    >>> schedule = ReduceOnPlateau(1.0, factor=0.5, patience=1)
    >>> for loss in (3.0, 3.0, 3.0):
    ...     schedule.observe(loss)
    >>> schedule(3)
    0.5
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
        form = {"learning_rate": float, "best": float, "num_bad": COUNT}
        check_form(state, form, "the memory of ReduceOnPlateau")
        self.learning_rate, self.best = float(state["learning_rate"]), float(state["best"])
        self.num_bad = int(state["num_bad"])


KINDS = Constant, Exponential, Step, Polynomial, Cosine, WarmUp, OneCycle, Sequence, ReduceOnPlateau
SCHEDULES: dict[str, type[LearningRateSchedule]] = by_name("_", *KINDS)


def get(spec: str | dict[str, Any] | LearningRateSchedule) -> LearningRateSchedule:
    """The schedule that a configuration means.

    Parameters
    ----------
    spec : str, dict or callable
        A name, a table with a name and arguments, or a callable (t) -> learning rate, which is returned.

    Raises
    ------
    ValueError
        For a name or an argument that there is not; TypeError for anything else.

    Examples
    --------
    >>> get({"name": "cosine", "initial": 0.1, "num_steps": 50})
    Cosine(initial=0.1, num_steps=50, final=0.0)
    """
    schedule = build("schedule", spec, SCHEDULES)
    if not callable(schedule):
        raise TypeError(f"schedule must be a table with a 'name' or a callable of t, got {spec!r}")
    return schedule
