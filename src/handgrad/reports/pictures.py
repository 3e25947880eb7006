"""Pictures by matplotlib: curves, first-layer filters, the confusion matrix, the worst examples, and sweeps."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import html
from ..arrays import Array, ArrayLike, Shape
from ..files import atomic_path
from ..naming import require_extra
from ..text import clipped
from ..training.history import lower_is_better
from .charts import spread
from .view import Curves, known, marked_epoch, needs_log, numbers, panel_names, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = html.colours()
TRAIN, VALIDATION, INK = (COLOURS[name] for name in ("train", "validation", "ink"))
PAPER, QUIET, GRID = (COLOURS[name] for name in ("paper", "quiet", "line"))
SERIES = tuple(COLOURS[f"series-{i}"] for i in range(1, 6))  # runs and settings, where several are compared
LINES = {"train": TRAIN, "validation": VALIDATION}
MAX_COUNTS = 20  # classes up to which every cell of a confusion matrix carries its number
MAX_NAMES = 40  # of classes beside a confusion matrix; of more every so many
LOG_RATIO = 20  # parameters of a sweep that span more than this stand on a log axis


def new_figure(
    width: float, height: float, num_columns: int = 1, num_rows: int = 1, title: str | None = None
) -> tuple[Figure, list[Axes]]:
    """(figure, [axes]) in inches, drawn by Agg and known to no global state: safe in threads and servers.

    title: the picture's own, above all axes; '$' in it is a dollar.
    """
    with require_extra("app", "a picture"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, parse_math=False)
    return figure, list(np.ravel(figure.subplots(num_rows, num_columns)))


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as path's suffix says (.png, .svg, .pdf), atomically; returns the path."""
    path = Path(path)
    formats = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix[1:] not in formats:
        suffixes = ", .".join(formats)
        raise ValueError(f"cannot draw {path.name}: a picture's name ends in .{suffixes}, not '{path.suffix}'")
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands for it; the rest is readable
        figure.savefig(temporary, dpi=150)
    return path


def quiet_axes(axes: Axes, title: str) -> None:
    """No box, pale horizontal lines, the title at the left where reading starts."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(length=0, labelsize=9, labelcolor=QUIET, which="both")
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)


# Curves ---------------------------------------------------------------------------------------------------------


def save_curves(history: Curves, path: str | Path, title: str | None = None, restored: int | None = None) -> Path:
    """Draw loss and accuracy by epoch, train beside validation, the best epoch marked.

    Parameters
    ----------
    history : History or mapping of str to sequence of float
        {'loss': [per epoch], 'validation_loss': [...], ...}; None where an epoch was not measured.
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    title : str, optional
        Above the picture.
    restored : int, optional
        The epoch whose parameters were put back in the end, which is marked in place of the best.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    ValueError
        Without an epoch, or for an unknown suffix.
    """
    if not (panels := panel_names(history)[:2]):
        raise ValueError("the history holds no epoch yet: train first, then draw its curves")
    figure, all_axes = new_figure(5.2 * len(panels), 3.6, len(panels), title=title)
    best, mark = marked_epoch(history, restored)
    for axes, name in zip(all_axes, panels, strict=True):
        draw_panel(axes, history, name, best, mark)
    return save(figure, path)


def save_learning_rate(history: Curves, path: str | Path, title: str | None = None) -> Path:
    """Draw the learning rate by epoch.

    Parameters
    ----------
    history : History or mapping of str to sequence of float
        With a 'learning_rate' per epoch; ValueError where it has none.
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    title : str, optional
        Above the picture.

    Returns
    -------
    Path
        The path.
    """
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


def draw_panel(axes: Axes, history: Curves, name: str, best: int | None, mark: str = "best") -> None:
    """Draw one figure on training and on validation rows, with its best epoch marked."""
    keys = {"train": name, "validation": f"validation_{name}"}
    lines = {label: numbers(history[key]) for label, key in keys.items() if history.get(key)}
    log = lower_is_better(name) and needs_log(np.concatenate(list(lines.values())))
    quiet_axes(axes, words(name) + (" (log scale)" if log else ""))
    if log:
        axes.set_yscale("log")
    for label, values in lines.items():
        style: dict[str, Any] = {"color": LINES[label], "marker": "o" if len(values) < 8 else None}
        axes.plot(epochs(values), values, linewidth=2, solid_capstyle="round", markersize=4, **style)
    epoch_axis(axes, max(map(len, lines.values())))
    if best is not None and "validation" in lines:
        mark_best(axes, best, lines["validation"][best - 1], mark, at_top=lower_is_better(name))
    label_ends(axes, lines)


def epochs(values: Array) -> Array:
    return np.arange(1, len(values) + 1)


def epoch_axis(axes: Axes, num_epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    margin = 0.5 if num_epochs == 1 else 0.02 * (num_epochs - 1)
    axes.set_xlim(1 - margin, num_epochs + margin)
    axes.set_xlabel("epoch", fontsize=9, color=QUIET)


def mark_best(axes: Axes, best: int, value: float, mark: str, at_top: bool) -> None:
    """Draw a line at the best epoch, with its value at the top or the bottom, where there is no curve."""
    axes.axvline(best, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot([best], [value], "o", color=VALIDATION, markersize=7, markeredgecolor=PAPER, zorder=4)
    right = best > sum(axes.get_xlim()) / 2
    look: dict[str, Any] = {"ha": "right" if right else "left", "va": "top" if at_top else "bottom", "color": QUIET}
    look["bbox"] = {"facecolor": PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.8}
    shift = (-5 if right else 5, -2 if at_top else 2)
    note, place, units = f"{mark} epoch {best}: {value:.3g}", (best, int(at_top)), ("data", "axes fraction")
    axes.annotate(note, place, shift, units, "offset points", fontsize=8.5, **look)


def label_ends(axes: Axes, lines: dict[str, Array]) -> None:
    """'train 0.12' in the line's own colour where it ends, instead of a legend."""
    ends = {label: known(values)[-1] for label, values in lines.items() if len(known(values))}
    to_pixels, to_fraction = axes.transData.transform, axes.transAxes.inverted().transform
    heights = [to_fraction(to_pixels((1, value)))[1] for value in ends.values()]
    for (label, value), height in zip(ends.items(), spread(heights, 0.075, 0.0, 1.0), strict=True):
        look: dict[str, Any] = {"color": LINES[label], "fontsize": 9, "fontweight": "bold", "va": "center"}
        place = (1.015, height)  # just right of the axes
        axes.annotate(f"{label} {value:.3g}", place, xycoords="axes fraction", annotation_clip=False, **look)


# What was learned -----------------------------------------------------------------------------------------------


def save_filters(
    weight: ArrayLike, path: str | Path, image_shape: Shape | None = None, title: str | None = None
) -> Path:
    """Draw each unit's weights as a small picture, all in one grid.

    Parameters
    ----------
    weight : array_like of shape (kh, kw, C, K) or (H·W·C, K)
        A convolution's weights, or those of a dense layer that looks at images.
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    image_shape : tuple (H, W, C), optional
        What a dense layer looks at; ValueError where it is missing or does not fit.
    title : str, optional
        Above the picture.

    Returns
    -------
    Path
        The path.
    """
    picture = grid(weight_images(np.asarray(weight), image_shape))
    height, width = picture.shape[:2]
    figure, (axes,) = new_figure(5, 5 * height / width + (0.4 if title else 0), title=title)
    axes.imshow(picture, interpolation="nearest")
    axes.axis("off")
    return save(figure, path)


def save_confusion_matrix(
    matrix: ArrayLike, path: str | Path, class_names: Sequence[object] | None = None, title: str | None = None
) -> Path:
    """Draw a confusion matrix: right ones blue, mistakes vermilion.

    Shades are shares of the row, so that a rare class is judged like a common one.

    Parameters
    ----------
    matrix : array_like of shape (C, C)
        Counts, rows the true classes, columns the predicted ones.
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    class_names : sequence of str, optional
        C names; by default 0 to C - 1. ValueError where there are more or fewer.
    title : str, optional
        Above the picture.

    Returns
    -------
    Path
        The path.
    """
    counts = square(matrix)
    names = [str(name) for name in (class_names if class_names is not None else range(len(counts)))]
    if len(names) != len(counts):
        raise ValueError(f"a confusion matrix of {len(counts)} classes needs as many names, got {len(names)}")
    size = 1.8 + 0.42 * min(len(names), MAX_COUNTS)
    figure, (axes,) = new_figure(size, size * 0.94, title=title)
    axes.imshow(shades(counts), interpolation="nearest")
    axes.spines[:].set_visible(False)
    label_classes(axes, names)
    if len(names) <= MAX_COUNTS:
        write_counts(axes, counts)
    return save(figure, path)


def save_wrong_examples(
    images: Sequence[ArrayLike],
    true_names: Sequence[object],
    predicted_names: Sequence[object],
    confidences: Sequence[float],
    path: str | Path,
    title: str | None = None,
) -> Path:
    """Draw misjudged images, each with what it was taken for and what it is.

    Parameters
    ----------
    images : sequence of array_like of shape (H, W) or (H, W, C)
        C is 1 or 3; uint8, or floats in [0, 1]. As they are sorted, they are drawn: the most confident should be first.
        ValueError where there are none.
    true_names, predicted_names : sequence of str
        What each is, and what it was taken for.
    confidences : sequence of float
        The probability of the predicted class, in [0, 1].
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    title : str, optional
        Above the picture.

    Returns
    -------
    Path
        The path.
    """
    if len(images) == 0:
        raise ValueError("there are no wrong examples to draw")
    num_columns = min(6, len(images))
    num_rows = -(-len(images) // num_columns)
    figure, all_axes = new_figure(1.6 * num_columns, 2.1 * num_rows, num_columns, num_rows, title)
    for axes in all_axes[len(images) :]:
        axes.axis("off")
    captions = zip(true_names, predicted_names, confidences, strict=True)
    for axes, image, (true, predicted, share) in zip(all_axes, images, captions, strict=False):
        axes.imshow(in_colour(image), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(f"{share:.0%} {clipped(predicted)}", fontsize=9, color=VALIDATION, parse_math=False)
        axes.set_xlabel(f"is {clipped(true)}", fontsize=9, color=INK, parse_math=False)
    return save(figure, path)


def square(matrix: ArrayLike) -> Array:
    """matrix as an array (C, C) of counts, or a ValueError."""
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) == 0:
        raise ValueError(f"a confusion matrix is square, rows the true classes; got shape {counts.shape}")
    return counts


def row_shares(matrix: Array) -> Array:
    """Each count as a share of its row; a class without examples has 0."""
    totals: Array = matrix.sum(axis=1, keepdims=True)
    return matrix / np.where(totals > 0, totals, 1)


def shades(matrix: Array) -> Array:
    """Colours (C, C, 3): white for none, full blue on the diagonal and full vermilion off it for the whole row."""
    share, right = row_shares(matrix), np.eye(len(matrix), dtype=bool)
    strength = np.where(right, 0.75 * share, np.sqrt(share))[..., None]  # √ makes a few mistakes visible
    colours: Array = 1 - strength * (1 - np.where(right[..., None], NEGATIVE, POSITIVE))
    return colours


def label_classes(axes: Axes, names: Sequence[str]) -> None:
    every = -(-len(names) // MAX_NAMES)
    places, shown = range(0, len(names), every), names[::every]
    look: dict[str, Any] = {"fontsize": 9, "parse_math": False}
    axes.set_xticks(places, labels=shown, rotation=45, ha="right", rotation_mode="anchor", **look)
    axes.set_yticks(places, labels=shown, **look)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel("predicted", color=QUIET)
    axes.set_ylabel("true", color=QUIET)


def write_counts(axes: Axes, matrix: Array) -> None:
    share = row_shares(matrix)
    for (i, j), count in np.ndenumerate(matrix):
        dark = share[i, j] > (0.6 if i == j else 0.4)
        colour = PAPER if dark else INK if count else QUIET
        axes.text(j, i, f"{count:g}" if count else "·", ha="center", va="center", fontsize=8, color=colour)


# Sweeps ---------------------------------------------------------------------------------------------------------


def save_sweep(
    results: Sequence[Mapping[str, Any]],
    parameter: str,
    path: str | Path,
    figure_name: str = "validation_accuracy",
    title: str | None = None,
) -> Path:
    """Draw one figure of many runs against one parameter.

    Runs that agree in every setting but `seed` become their mean, with a bar from lowest to highest; another setting
    that differs makes another line.

    Parameters
    ----------
    results : sequence of dict
        {parameter: value, ..., figure_name: number} of each run; ValueError where none has both.
    parameter : str
        The setting along the axis: numbers where they are, words side by side.
    path : str or Path
        Where to write the picture; its suffix says the format: .png, .svg, .pdf, ...
    figure_name : str
        What is drawn, such as 'test_loss'.
    title : str, optional
        Above the picture.

    Returns
    -------
    Path
        The path.
    """
    lines = sweep_lines(results, parameter, figure_name)
    figure, (axes,) = new_figure(6, 3.8, title=title)
    quiet_axes(axes, f"{words(figure_name)} by {parameter}")
    places, scale = positions(axes, [value for line in lines.values() for value in line])
    for (label, line), colour, marker in zip(sorted(lines.items()), cycle(SERIES), cycle("os^Dv<>"), strict=False):
        points = {places[value]: figures for value, figures in line.items()}
        look = {"color": colour, "marker": marker, "linestyle": "none" if scale == "words" else "-"}
        draw_sweep_line(axes, label, points, look)
    axes.set_xlabel(parameter + (" (log scale)" if scale == "log" else ""), fontsize=9, color=QUIET, parse_math=False)
    if len(lines) > 1:
        legend = axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
        for text in legend.get_texts():
            text.set_parse_math(False)
    return save(figure, path)


def sweep_lines(
    results: Sequence[Mapping[str, Any]], parameter: str, figure_name: str
) -> dict[str, dict[Any, list[float]]]:
    """{label of the other settings: {value: [figures]}}."""
    results = [r for r in results if r.get(figure_name) is not None and np.isfinite(r[figure_name])]
    if not results or any(parameter not in r for r in results):
        raise ValueError(f"no results to draw: each needs '{parameter}' and a finite '{figure_name}'")
    others = sorted({k for r in results for k in r} - {parameter, figure_name, "seed"})
    others = [k for k in others if len({repr(r.get(k)) for r in results}) > 1]
    lines: dict[str, dict[Any, list[float]]] = {}
    for r in results:
        label = ", ".join(f"{k} {r.get(k)}" for k in others)
        lines.setdefault(label, {}).setdefault(r[parameter], []).append(r[figure_name])
    return lines


def positions(axes: Axes, values: Sequence[Any]) -> tuple[dict[Any, float], str]:
    """({value: x}, 'linear', 'log' or 'words'): numbers where they are, words side by side."""
    unique = list(dict.fromkeys(values))
    if any(isinstance(v, (str, bool)) or not isinstance(v, (int, float, np.number)) for v in unique):
        axes.set_xticks(range(len(unique)), labels=[str(v) for v in unique], parse_math=False)
        axes.margins(x=0.15)
        return {v: i for i, v in enumerate(unique)}, "words"
    scale = "log" if min(unique) > 0 and max(unique) / min(unique) > LOG_RATIO else "linear"
    axes.set_xscale(scale)
    return {v: v for v in unique}, scale


def draw_sweep_line(axes: Axes, label: str, points: Mapping[float, list[float]], look: Mapping[str, Any]) -> None:
    """Draw the mean of the figures at each place, with a bar from the lowest to the highest."""
    x = sorted(points)
    low, mean, high = (np.array([of(points[place]) for place in x]) for of in (min, np.mean, max))
    bars = np.maximum([mean - low, high - mean], 0)
    sizes: dict[str, Any] = {"markersize": 6, "linewidth": 1.8, "elinewidth": 1.2, "capsize": 3}
    axes.errorbar(x, mean, bars, label=label or None, **sizes, **look)


# Arrays as images ----------------------------------------------------------------------------------------------


def colour(name: str) -> Array:
    """One of the style sheet's colours as (red, green, blue) in [0, 1]."""
    return np.array(list(bytes.fromhex(COLOURS[name][1:]))) / 255


# blue below zero, white at zero, vermilion above: readable without red against green
NEGATIVE, ZERO, POSITIVE = colour("train"), colour("paper"), colour("validation")


def weight_images(weight: Array, image_shape: Shape | None = None) -> Array:
    """One picture (K, H, W, 3) in [0, 1] for each of K units, each scaled by its own largest weight.

    weight: a convolution's (kh, kw, C, K), or a dense layer's (H·W·C, K) with the image_shape (H, W, C) it looks at.
    Three channels are colours around grey, one is blue (negative) to vermilion (positive); of others the mean is drawn.
    ValueError when the weights are no picture.
    """
    if weight.ndim == 2 and image_shape is not None and weight.shape[0] == np.prod(image_shape):
        weight = weight.reshape(*image_shape, -1)
    if weight.ndim != 4:
        expected = f"(kh, kw, C, units), or (H·W·C, units) with image_shape=(H, W, C); got image_shape={image_shape}"
        raise ValueError(f"weights of shape {weight.shape} are no pictures: expected {expected}")
    images = np.moveaxis(np.nan_to_num(weight.astype(np.float64)), -1, 0)
    if images.shape[-1] != 3:
        images = images.mean(axis=-1, keepdims=True)
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    images = images / np.where(largest > 0, largest, 1)
    return 0.5 + images / 2 if images.shape[-1] == 3 else diverging(images)


def diverging(x: Array) -> Array:
    """Colours (..., 3) for x (..., 1) in [-1, 1]."""
    blue, orange = (ZERO - NEGATIVE) * x, (POSITIVE - ZERO) * x
    return ZERO + np.where(x < 0, blue, orange)


def in_colour(image: ArrayLike) -> Array:
    """An example (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1], as (H, W, 3) in [0, 1]."""
    x = np.asarray(image)
    x = x / 255 if x.dtype == np.uint8 else np.clip(np.nan_to_num(x.astype(np.float64)), 0, 1)
    x = x[..., None] if x.ndim == 2 else x
    return np.broadcast_to(x if x.shape[-1] == 3 else x[..., :1], (*x.shape[:2], 3))


def is_image(shape: Shape) -> bool:
    """Whether examples of this shape can be drawn: (H, W), (H, W, 1) or (H, W, 3), and more than a row of numbers."""
    return len(shape) in (2, 3) and min(shape[:2]) > 3 and (len(shape) == 2 or shape[2] in (1, 3))


def grid(images: Array, num_columns: int | None = None, gap: int = 2) -> Array:
    """Pictures (K, H, W, 3) as one, row by row, pale lines of gap pixels between them; about square by default.

    Small pictures get several pixels to each of theirs, or the gaps would outweigh them.
    """
    factor = max(1, 24 // min(images.shape[1:3]))
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, _ = images.shape
    num_columns = num_columns or int(np.ceil(np.sqrt(count)))
    num_rows = -(-count // num_columns)
    out = np.full((num_rows * (height + gap) - gap, num_columns * (width + gap) - gap, 3), colour("line"))
    for i, image in enumerate(images):
        top, left = i // num_columns * (height + gap), i % num_columns * (width + gap)
        out[top : top + height, left : left + width] = image
    return out


def data_uri(image: Array) -> str:
    """A picture (H, W, 3) in [0, 1] as the text of a PNG, for an <img> that needs no file."""
    from PIL import Image  # loads in a tenth of matplotlib's time

    buffer = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(buffer, format="png", optimize=True)
    return html.data_uri(buffer.getvalue())
