"""Curves over the epochs: loss and accuracy, train beside validation, and the learning rate."""

import numpy as np

from ..training.history import lower_is_better
from .style import INK, QUIET, TRAIN, VALIDATION, head_line, new_figure, numbers, quiet_axes, save, spread

LOG_RATIO = 100  # a loss that falls further than this is drawn on a log axis, or its end would be a flat line


def save_curves(history, path, title=None):
    """Draw loss and accuracy by epoch, train beside validation, the best epoch marked; returns the path.

    history: {'loss': [per epoch], 'validation_loss': [...], ...}; a regression's has one panel. ValueError without an
    epoch or for an unknown suffix.
    """
    panels = panel_names(history)[:2]
    if not panels:
        raise ValueError("the history holds no epoch yet: train first, then draw its curves")
    figure, all_axes = new_figure(5.2 * len(panels), 3.6, len(panels))
    head_line(figure, title)
    best = best_epoch(history)
    for axes, name in zip(all_axes, panels, strict=True):
        draw_panel(axes, history, name, best)
    return save(figure, path)


def save_learning_rate(history, path, title=None):
    """Draw the learning rate by epoch; returns the path. ValueError where the history has none."""
    if not history.get("learning_rate"):
        raise ValueError("the history has no 'learning_rate'")
    figure, (axes,) = new_figure(5.2, 2.6)
    head_line(figure, title)
    rates = numbers(history["learning_rate"])
    quiet_axes(axes, "learning rate")
    axes.step(epochs(rates), rates, where="mid", color=INK, linewidth=1.8)
    if needs_log([rates]):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, np.nanmax(rates) * 1.1 or 1)
    epoch_axis(axes, len(rates))
    return save(figure, path)


def panel_names(history):
    """The figures that were measured while training, the loss first: each is a panel."""
    names = [k for k, v in history.items() if v and not k.startswith("validation_") and k != "learning_rate"]
    return sorted(names, key=lambda name: name != "loss")


def best_epoch(history):
    """The epoch, from 1, of the lowest validation loss; None without one."""
    losses = numbers(history.get("validation_loss") or [])
    return int(np.nanargmin(losses)) + 1 if np.isfinite(losses).any() else None


def draw_panel(axes, history, name, best):
    lines = [("train", TRAIN, numbers(history[name]))]
    if history.get(f"validation_{name}"):
        lines.append(("validation", VALIDATION, numbers(history[f"validation_{name}"])))
    log = lower_is_better(name) and needs_log([values for *_, values in lines])
    quiet_axes(axes, name.replace("_", " ") + (" (log scale)" if log else ""))
    if log:
        axes.set_yscale("log")
    for _, colour, values in lines:
        axes.plot(
            epochs(values),
            values,
            color=colour,
            linewidth=2,
            solid_capstyle="round",
            marker="o" if len(values) < 8 else None,
            markersize=4,
        )
    epoch_axis(axes, max(len(values) for *_, values in lines))
    if best is not None and len(lines) == 2:
        mark_best(axes, best, lines[1][2], at_top=lower_is_better(name))
    label_ends(axes, lines)


def epochs(values):
    return np.arange(1, len(values) + 1)


def epoch_axis(axes, num_epochs):
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    margin = 0.5 if num_epochs == 1 else 0.02 * (num_epochs - 1)
    axes.set_xlim(1 - margin, num_epochs + margin)
    axes.set_xlabel("epoch", fontsize=9, color=QUIET)


def needs_log(lines):
    """Whether positive figures span so much that a linear axis would hide the low ones."""
    values = np.concatenate(lines)
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() / values.min() > LOG_RATIO


def mark_best(axes, best, values, at_top):
    axes.axvline(best, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([best], [values[best - 1]], "o", color=VALIDATION, markersize=7, markeredgecolor="white", zorder=4)
    right = best > sum(axes.get_xlim()) / 2
    axes.annotate(
        f"best epoch {best}: {values[best - 1]:.3g}",
        (best, int(at_top)),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if right else 5, -2 if at_top else 2),
        textcoords="offset points",
        fontsize=8.5,
        ha="right" if right else "left",
        va="top" if at_top else "bottom",
        color=QUIET,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )


def label_ends(axes, lines):
    """'train 0.12' in the line's own colour where it ends, instead of a legend."""
    lines = [(name, colour, values[np.isfinite(values)]) for name, colour, values in lines]
    lines = [line for line in lines if len(line[2])]
    to_pixels, to_fraction = axes.transData.transform, axes.transAxes.inverted().transform
    heights = [to_fraction(to_pixels((1, values[-1])))[1] for *_, values in lines]
    for (name, colour, values), height in zip(lines, spread(heights, 0.075, 0.0, 1.0), strict=True):
        axes.annotate(
            f"{name} {values[-1]:.3g}",
            (1.015, height),
            xycoords="axes fraction",
            va="center",
            fontsize=9,
            color=colour,
            fontweight="bold",
            annotation_clip=False,
        )
