"""What a page shows of a run, as plain data: whoever holds the run folder fills it in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..arrays import Array

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis

Figures: TypeAlias = Sequence["float | None"]  # by epoch, None where one was not measured
Curves: TypeAlias = Mapping[str, Figures]  # {'loss': [1.0, 0.5], 'validation_loss': [2.0, None], ...}

INFINITE = 1e150  # whose square still is a number: no axis goes that far
LOG_RATIO = 100  # figures that span more than this are drawn on a log axis, or the low ones would be a flat line


@dataclass
class WrongExample:
    """A misjudged example: its row, what it is, what it was taken for and how surely; its image or its values.

    chance: the probability that was given to what it is. Of a number, true and predicted are its texts and confidence
    the error.
    """

    row: int
    true: str
    predicted: str
    confidence: float
    image: Array | None = None  # (H, W[, C]), uint8 or in [0, 1]
    values: dict[str, float] = field(default_factory=dict)  # {feature: number}, where it is no image
    chance: float | None = None


@dataclass
class Passage:
    """One example on its way through the network.

    row, true: which it is, and what. steps: (a layer's name, the numbers that it made of it). chances: (class,
    probability), the likeliest first. gradient: how the first one's score, or a regression's number, moves with each
    number of the example, where that can be had; in the shape of the example's image, else for each of columns.
    """

    row: int
    true: str
    steps: Sequence[tuple[str, Array]]
    chances: Sequence[tuple[str, float]] = ()
    image: Array | None = None
    gradient: Array | None = None
    columns: Sequence[str] = ()


@dataclass
class RunView:
    """One run. What is empty or None is left out of the page.

    status: 'finished', 'running', 'stopped' or the like. results: {'test_accuracy': 0.97, ...}, the headline first.
    verdict: (a sentence on how it went, its tone: 'good', 'fair', 'bad' or ''). about: {'data': 'iris: 96 rows', ...}.
    rows: of each split. epochs: how many were planned. seconds_left: of one that trains, by its pace so far.
    history: {'loss': [per epoch], 'validation_loss': [...], 'learning_rate': [...], ...}.
    steps: {'epoch': [0.1, 0.2, ...], 'loss': [...], ...} of single batches, where they were written down.
    norms: {'linear1': {'gradient': [...], 'update': [...]}}, None where one was not measured; each of an epoch, or of
    the places in norm_epochs.
    facts: {'trained for': '12 s', ...}, short. origin: {'python': '3.12', ...}, where the run comes from.
    restored: the epoch, from 1, whose parameters early stopping put back.
    summary: (columns, rows) of the model. diagnosis: a `handgrad.diagnosis.Diagnosis`. confusion: counts (C, C), rows
    the true classes. filters: pictures (K, H, W, 3), the strongest first; units: (number, whether it is dead) of
    each. truth: (true, predicted) numbers of a regression's rows. passage: an example layer by layer. folder: where
    its files are. notes: what could not be shown, and why.
    """

    name: str
    id: str
    status: str = "finished"
    results: dict[str, float | None] = field(default_factory=dict)
    configuration: dict[str, Any] = field(default_factory=dict)
    history: Curves = field(default_factory=dict)
    norms: Mapping[str, Curves] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    summary: tuple[()] | tuple[Sequence[str], Sequence[Sequence[object]]] = ()
    diagnosis: Diagnosis | None = None
    confusion: Array | None = None
    class_names: Sequence[str] = field(default_factory=list)
    measured_on: str = "test"
    wrong: list[WrongExample] = field(default_factory=list)
    filters: Array | None = None
    notes: list[str] = field(default_factory=list)
    restored: int | None = None
    verdict: tuple[str, str] = ("", "")
    about: dict[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    epochs: int | None = None
    seconds_left: float | None = None
    steps: Curves = field(default_factory=dict)
    norm_epochs: Sequence[float] = ()
    units: Sequence[tuple[int, bool]] = ()
    truth: tuple[Array, Array] | None = None
    passage: Passage | None = None
    folder: str = ""

    @property
    def num_epochs(self) -> int:
        """How many epochs have been trained."""
        return max(map(len, self.history.values()), default=0)

    @property
    def title(self) -> str:
        """The run's name and number, as headings show it."""
        return f"{self.name} {self.id}".strip()


def numbers(values: Iterable[float | None]) -> Array:
    """A list of figures as floats: what is missing, infinite or as good as that becomes NaN, a gap in the line."""
    array = np.array([np.nan if v is None else v for v in values], float)
    array[~(np.abs(array) < INFINITE)] = np.nan
    return array


def known(values: Iterable[float | None]) -> Array:
    """The figures there are, as floats."""
    array = numbers(values)
    return array[np.isfinite(array)]


def needs_log(values: Iterable[float | None]) -> bool:
    """Whether figures are positive and span so much that a linear axis would hide the low ones."""
    there = known(values)
    return len(there) > 0 and bool(there.min() > 0 and there.max() > LOG_RATIO * there.min())


def words(name: str) -> str:
    """The name of a figure as it is shown: 'validation loss' for 'validation_loss'."""
    return name.replace("_", " ")


def panel_names(history: Curves) -> list[str]:
    """The figures that were measured while training, the loss first: each is a panel."""
    names = [k for k, v in history.items() if v and not k.startswith("validation_") and k != "learning_rate"]
    return sorted(names, key=lambda name: name != "loss")


def best_epoch(history: Curves) -> int | None:
    """The epoch, from 1, of the lowest validation loss; None without one."""
    losses = numbers(history.get("validation_loss") or [])
    return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else None


def marked_epoch(history: Curves, restored: int | None = None) -> tuple[int | None, str]:
    """(the epoch that a curve marks, what it is): the one whose parameters were restored, else the best."""
    if restored and restored <= len(history.get("loss") or []):
        return restored, "restored"
    return best_epoch(history), "best"
