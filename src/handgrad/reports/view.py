"""What a page shows of a run, as plain data: whoever holds the run folder fills it in."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class WrongExample:
    """A misjudged example: its row, what it is, what it was taken for and how surely; its image or its values."""

    row: int
    true: str
    predicted: str
    confidence: float
    image: Any = None  # (H, W[, C]), uint8 or in [0, 1]
    values: dict = field(default_factory=dict)  # {feature: number}, where it is no image


@dataclass
class RunView:
    """One run. What is empty or None is left out of the page.

    status: 'finished', 'running', 'stopped' or the like. results: {'test_accuracy': 0.97, ...}, the headline first.
    history: {'loss': [per epoch], 'validation_loss': [...], 'learning_rate': [...], ...}.
    norms: {'linear1': {'gradient': [per epoch], 'update': [...]}}, None where an epoch was not measured.
    facts: {'trained for': '12 s', ...}, short. origin: {'python': '3.12', ...}, where the run comes from.
    summary: (columns, rows) of the model. diagnosis: a `handgrad.diagnosis.Diagnosis`. confusion: counts (C, C), rows
    the true classes. filters: pictures (K, H, W, 3). notes: what could not be shown, and why.
    """

    name: str
    id: str
    status: str = "finished"
    results: dict = field(default_factory=dict)
    configuration: dict = field(default_factory=dict)
    history: dict = field(default_factory=dict)
    norms: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    origin: dict = field(default_factory=dict)
    commands: list = field(default_factory=list)
    summary: tuple = ()
    diagnosis: Any = None
    confusion: Any = None
    class_names: list = field(default_factory=list)
    measured_on: str = "test"
    wrong: list = field(default_factory=list)
    filters: Any = None
    notes: list = field(default_factory=list)

    @property
    def title(self):
        return f"{self.name} {self.id}".strip()


MAX_DEPTH, MAX_SETTINGS = 20, 1000  # what a page takes from a record that was made to burst it


def flatten(table, prefix="", depth=0):
    """{'data.name': 'iris', 'model.layers.0.units': 25}: nested plain data by dotted key."""
    pairs = table.items() if isinstance(table, dict) else enumerate(table)
    flat = {}
    for key, value in pairs:
        if len(flat) >= MAX_SETTINGS:
            flat["…"] = "more than a page holds"
            break
        if isinstance(value, (dict, list, tuple)) and len(value):
            flat.update(flatten(value, f"{prefix}{key}.", depth + 1) if depth < MAX_DEPTH else {f"{prefix}{key}": "…"})
        else:
            flat[f"{prefix}{key}"] = value
    return flat
