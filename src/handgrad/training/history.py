"""What each epoch measured, as plain data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from ..arrays import Array
from ..naming import nearest


class History(dict[str, list[float]]):
    """{'loss': [per epoch], 'accuracy': [...], 'validation_loss': [...], ...}: a dict of lists of floats.

    Training figures are row-weighted means over the epoch's batches, each measured before its update.

    Examples
    --------
    >>> history = hg.History(loss=[0.9, 0.4, 0.5], accuracy=[0.5, 0.8, 0.8])
    >>> history["loss"][-1], history.num_epochs
    (0.5, 3)
    >>> history.best("loss")
    (1, 0.4)
    >>> history.epoch(-1)
    {'loss': 0.5, 'accuracy': 0.8}
    """

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(self.lacks(name))

    def lacks(self, name: str) -> str:
        """The message that there is no such key, with the right one."""
        return f"the history has no '{name}'{nearest(name, self)} (it has: {', '.join(self) or 'nothing yet'})"

    def append(self, figures: Mapping[str, float]) -> None:
        """Add one epoch's {name: number}."""
        for name, value in figures.items():
            self.setdefault(name, []).append(value)

    @property
    def num_epochs(self) -> int:
        """How many epochs have been measured."""
        return max(map(len, self.values()), default=0)

    def epoch(self, index: int) -> dict[str, float]:
        """{name: number} of one epoch; -1 is the last."""
        return {name: values[index] for name, values in self.items()}

    def best(self, name: str = "validation_loss") -> tuple[int, float]:
        """(epoch index, value) of the lowest loss or error, or of the highest other figure; the first on a tie.

        An epoch whose figure is NaN is never the best where another has a number.

        Parameters
        ----------
        name : str
            A key of the history. Names that end in 'loss' or 'error' are better when they are lower.

        Returns
        -------
        tuple of int and float
            The epoch, counted from 0, and its figure.

        Raises
        ------
        ValueError
            For a figure that was not measured.
        """
        if name not in self:
            raise ValueError(self.lacks(name))
        known = [value for value in self[name] if not math.isnan(value)] or self[name]
        value = min(known) if lower_is_better(name) else max(known)
        return self[name].index(value), value


def lower_is_better(name: str) -> bool:
    """True for losses, errors and what is made of them, False for accuracy and the like."""
    return name.endswith(("loss", "error", "perplexity")) or "bits_per_" in name


@dataclass
class EpochSoFar:
    """How far the running epoch has come, and the row-weighted sums of its batches' figures."""

    order_state: Any = None  # of the shuffle generator at the epoch's start; None between epochs
    steps_done: int = 0
    num_rows: int = 0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, figures: Mapping[str, float], num_rows: int) -> None:
        """Count one step, on a batch of so many rows."""
        self.steps_done += 1
        self.num_rows += num_rows
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + num_rows * value

    def add_steps(self, measured: Mapping[str, Array], sizes: Array) -> None:
        """Count several steps, on batches of these sizes."""
        self.steps_done += len(sizes)
        self.num_rows += int(sizes.sum())
        for name, values in measured.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(np.dot(values, sizes))

    def mean(self) -> dict[str, float]:
        """The row-weighted mean of each figure."""
        return {name: total / self.num_rows for name, total in self.sums.items()}
