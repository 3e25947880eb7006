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
    """A misjudged example: its row, what it is, what it was taken for and how surely; its image or its values."""

    row: int
    true: str
    predicted: str
    confidence: float
    image: Array | None = None  # (H, W[, C]), uint8 or in [0, 1]
    values: dict[str, float] = field(default_factory=dict)  # {feature: number}, where it is no image


@dataclass
class RunView:
    """One run. What is empty or None is left out of the page.

    status: 'finished', 'running', 'stopped' or the like. results: {'test_accuracy': 0.97, ...}, the headline first.
    history: {'loss': [per epoch], 'validation_loss': [...], 'learning_rate': [...], ...}.
    norms: {'linear1': {'gradient': [per epoch], 'update': [...]}}, None where an epoch was not measured.
    facts: {'trained for': '12 s', ...}, short. origin: {'python': '3.12', ...}, where the run comes from.
    restored: the epoch, from 1, whose parameters early stopping put back.
    summary: (columns, rows) of the model. diagnosis: a `handgrad.diagnosis.Diagnosis`. confusion: counts (C, C), rows
    the true classes. filters: pictures (K, H, W, 3). notes: what could not be shown, and why.
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
