"""Curves over the epochs: loss and accuracy, train beside validation, and the learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..training.history import lower_is_better
from .style import INK, QUIET, TRAIN, VALIDATION, new_figure, quiet_axes, save, spread
from .view import Curves, known, needs_log, numbers, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"train": TRAIN, "validation": VALIDATION}


def save_curves(history: Curves, path: str | Path, title: str | None = None) -> Path:
    """Draw loss and accuracy by epoch, train beside validation, the best epoch marked; returns the path.

    history: {'loss': [per epoch], 'validation_loss': [...], ...}; a regression's has one panel. ValueError without an
    epoch or for an unknown suffix.
    """
    panels = panel_names(history)[:2]
    if not panels:
        raise ValueError("the history holds no epoch yet: train first, then draw its curves")
    figure, all_axes = new_figure(5.2 * len(panels), 3.6, len(panels), title=title)
    best = best_epoch(history)
    for axes, name in zip(all_axes, panels, strict=True):
        draw_panel(axes, history, name, best)
    return save(figure, path)


def save_learning_rate(history: Curves, path: str | Path, title: str | None = None) -> Path:
    """Draw the learning rate by epoch; returns the path. ValueError where the history has none."""
    if not history.get("learning_rate"):
        raise ValueError("the history has no 'learning_rate'")
    figure, (axes,) = new_figure(5.2, 2.6, title=title)
    rates = numbers(history["learning_rate"])
    quiet_axes(axes, "learning rate")
    axes.step(epochs(rates), rates, where="mid", color=INK, linewidth=1.8)
    if needs_log(rates):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, np.nanmax(rates) * 1.1 or 1)
    epoch_axis(axes, len(rates))
    return save(figure, path)


def panel_names(history: Curves) -> list[str]:
    """The figures that were measured while training, the loss first: each is a panel."""
    names = [k for k, v in history.items() if v and not k.startswith("validation_") and k != "learning_rate"]
    return sorted(names, key=lambda name: name != "loss")


def best_epoch(history: Curves) -> int | None:
    """The epoch, from 1, of the lowest validation loss; None without one."""
    losses = numbers(history.get("validation_loss") or [])
    return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else None


def draw_panel(axes: Axes, history: Curves, name: str, best: int | None) -> None:
    """Draw one figure on training and on validation rows, with its best epoch marked."""
    keys = {"train": name, "validation": f"validation_{name}"}
    lines = {label: numbers(history[key]) for label, key in keys.items() if history.get(key)}
    log = lower_is_better(name) and needs_log(np.concatenate(list(lines.values())))
    quiet_axes(axes, words(name) + (" (log scale)" if log else ""))
    if log:
        axes.set_yscale("log")
    for label, values in lines.items():
        style: dict[str, Any] = {"color": COLOURS[label], "marker": "o" if len(values) < 8 else None}
        axes.plot(epochs(values), values, linewidth=2, solid_capstyle="round", markersize=4, **style)
    epoch_axis(axes, max(map(len, lines.values())))
    if best is not None and "validation" in lines:
        mark_best(axes, best, lines["validation"][best - 1], at_top=lower_is_better(name))
    label_ends(axes, lines)


def epochs(values: Array) -> Array:
    return np.arange(1, len(values) + 1)


def epoch_axis(axes: Axes, num_epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    margin = 0.5 if num_epochs == 1 else 0.02 * (num_epochs - 1)
    axes.set_xlim(1 - margin, num_epochs + margin)
    axes.set_xlabel("epoch", fontsize=9, color=QUIET)


def mark_best(axes: Axes, best: int, value: float, at_top: bool) -> None:
    """Draw a line at the best epoch, with its value at the top or the bottom, where there is no curve."""
    axes.axvline(best, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([best], [value], "o", color=VALIDATION, markersize=7, markeredgecolor="white", zorder=4)
    right = best > sum(axes.get_xlim()) / 2
    look: dict[str, Any] = {"ha": "right" if right else "left", "va": "top" if at_top else "bottom", "color": QUIET}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
    shift = (-5 if right else 5, -2 if at_top else 2)
    note, place, units = f"best epoch {best}: {value:.3g}", (best, int(at_top)), ("data", "axes fraction")
    axes.annotate(note, place, shift, units, "offset points", fontsize=8.5, **look)


def label_ends(axes: Axes, lines: dict[str, Array]) -> None:
    """'train 0.12' in the line's own colour where it ends, instead of a legend."""
    ends = {label: known(values)[-1] for label, values in lines.items() if len(known(values))}
    to_pixels, to_fraction = axes.transData.transform, axes.transAxes.inverted().transform
    heights = [to_fraction(to_pixels((1, value)))[1] for value in ends.values()]
    look: dict[str, Any] = {
        "xycoords": "axes fraction",
        "va": "center",
        "fontsize": 9,
        "fontweight": "bold",
        "annotation_clip": False,
    }
    for (label, value), height in zip(ends.items(), spread(heights, 0.075, 0.0, 1.0), strict=True):
        axes.annotate(f"{label} {value:.3g}", (1.015, height), color=COLOURS[label], **look)
