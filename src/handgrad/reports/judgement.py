"""Underfitting, overfitting or generalizing: a run judged from its figures on training and validation rows.

>>> print(judge({"loss": [1.0, 0.2, 0.05], "accuracy": [0.5, 0.9, 1.0],
...              "validation_loss": [1.1, 0.5, 0.9], "validation_accuracy": [0.5, 0.8, 0.8]}, num_classes=3))
overfitting: accuracy is 1 on training rows and 0.8 on validation rows, 0.2 apart (more than 0.05); the loss
on validation rows rose from 0.5 (epoch 2) to 0.9 while that on training rows fell from 0.2 to 0.05
"""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..text import line_width
from .view import Curves, best_epoch, numbers

Results: TypeAlias = Mapping[str, Mapping[str, float]]  # {'train': {'loss': ..., 'accuracy': ...}, 'validation': ...}

# The thresholds are conventions, not laws; a judgement names the one that decided.
GAP = {"accuracy": 0.05, "r2": 0.1}  # between training and validation: more is overfitting
RISE = 1.1  # the validation loss over its lowest: more is overfitting, where the training loss fell meanwhile
# Of the way from guessing to perfect, on the training rows: less is underfitting. Numbers are noisier than classes.
LEARNED: dict[str | None, float] = {"accuracy": 0.5, "r2": 0.25, None: 0.5}


@dataclass(frozen=True)
class Judgement:
    """verdict: 'underfitting', 'overfitting' or 'generalizing'; reasons: which figures say so, a sentence each."""

    verdict: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return textwrap.fill(f"{self.verdict}: {'; '.join(self.reasons)}", line_width(), break_on_hyphens=False)


def judge(
    history: Curves, results: Results | None = None, num_classes: int | None = None, num_rows: int | None = None
) -> Judgement:
    """A Judgement of a history {'loss': [per epoch], 'validation_loss': [...], 'accuracy' or 'r2': ...}.

    results: {'train': {'loss': ..., 'accuracy': ...}, 'validation': ...} of the model as it is kept, where measured;
    else the last epoch counts. num_classes: what guessing would get is 1 / num_classes. num_rows: of validation; a gap
    of accuracies within two standard errors of so few rows counts as none. ValueError without validation figures.
    """
    end = final_figures(history, results or {})
    score = next((name for name in GAP if name in end["train"] and name in end["validation"]), None)
    if overfitting := [*gap(score, end, num_rows), *rise(history, end)]:
        return Judgement("overfitting", tuple(overfitting))
    share, figure = learned(score, end["train"], history, num_classes)
    if share < LEARNED[score]:
        way = f"{share:.0%} of the way from guessing to perfect (less than {LEARNED[score]:.0%})"
        reason = f"{figure} on training rows: {way if share >= 0.01 else 'no better than guessing'}"
        return Judgement("underfitting", (reason,))
    return Judgement("generalizing", (both_figures(score, end),))


def final_figures(history: Curves, results: Results) -> dict[str, dict[str, float]]:
    """{'train': {...}, 'validation': {...}}: the results where there are any, else the last epoch's figures."""
    last = {name: float(numbers(values)[-1]) for name, values in history.items() if len(values)}
    if not math.isfinite(last.get("validation_loss", math.nan)) or not math.isfinite(last.get("loss", math.nan)):
        what = "a judgement needs the loss on training and on validation rows, finite to the last epoch"
        raise ValueError(f"{what}; the history has {', '.join(history) or 'nothing'} (train with validation data)")
    train = {k: v for k, v in last.items() if not k.startswith("validation_")}
    validation = {k.removeprefix("validation_"): v for k, v in last.items() if k not in train}
    ends = {"train": train, "validation": validation}
    return {split: {**figures, **(results.get(split) or {})} for split, figures in ends.items()}


def gap(score: str | None, end: Results, num_rows: int | None) -> list[str]:
    """The reason that training rows are judged better than validation rows, if they are."""
    if score is None:
        return []
    train, validation, allowed = end["train"][score], end["validation"][score], GAP[score]
    why = f"more than {allowed:g}"
    doubt = 2 * math.sqrt(validation * (1 - validation) / num_rows) if score == "accuracy" and num_rows else 0.0
    if doubt > allowed:
        allowed, why = doubt, f"more than chance explains in {num_rows} rows, {doubt:.2g}"
    if train - validation <= allowed:
        return []
    return [f"{both_figures(score, end)}, {train - validation:.2g} apart ({why})"]


def rise(history: Curves, end: Results) -> list[str]:
    """The reason that the validation loss turned upwards while the training loss fell, if it did."""
    best = best_epoch(history) or len(history["loss"])
    lowest, train_then = (numbers(history[name])[best - 1] for name in ("validation_loss", "loss"))
    now, train_now = end["validation"]["loss"], end["train"]["loss"]
    if not (now > RISE * lowest and train_now < train_then):
        return []
    rose = f"the loss on validation rows rose from {lowest:.4g} (epoch {best}) to {now:.4g}"
    return [f"{rose} while that on training rows fell from {train_then:.4g} to {train_now:.4g}"]


def learned(
    score: str | None, train: Mapping[str, float], history: Curves, num_classes: int | None
) -> tuple[float, str]:
    """How far the training rows are from guessing (0) to perfect (1), and the figure that says so.

    By the fall of the loss where no score is known.
    """
    if score is None:
        first = numbers(history["loss"])[0]
        return 1 - train["loss"] / first, f"the loss fell from {first:.4g} only to {train['loss']:.4g}"
    guessing = 1 / num_classes if score == "accuracy" and num_classes else 0
    return (train[score] - guessing) / (1 - guessing), f"{score} is {train[score]:.4g}"


def both_figures(score: str | None, end: Results) -> str:
    """The figure on training rows and the one on validation rows, in words."""
    name = score or "loss"
    return f"{name} is {end['train'][name]:.4g} on training rows and {end['validation'][name]:.4g} on validation rows"
