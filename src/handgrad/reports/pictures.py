"""Pictures of what a model learned: first-layer filters, the confusion matrix, the worst examples, and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, ArrayLike, Shape
from ..text import clipped
from .images import NEGATIVE, POSITIVE, grid, in_colour, weight_images
from .style import INK, QUIET, SERIES, VALIDATION, new_figure, quiet_axes, save
from .view import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_COUNTS = 20  # classes up to which every cell of a confusion matrix carries its number
MAX_NAMES = 40  # of classes beside a confusion matrix; of more every so many
LOG_RATIO = 20  # parameters of a sweep that span more than this stand on a log axis


def save_filters(
    weight: ArrayLike, path: str | Path, image_shape: Shape | None = None, title: str | None = None
) -> Path:
    """Draw each unit's weights as a small picture, all in one grid; returns the path. See `weight_images`."""
    picture = grid(weight_images(np.asarray(weight), image_shape))
    height, width = picture.shape[:2]
    figure, (axes,) = new_figure(5, 5 * height / width + (0.4 if title else 0), title=title)
    axes.imshow(picture, interpolation="nearest")
    axes.axis("off")
    return save(figure, path)


def save_confusion_matrix(
    matrix: ArrayLike, path: str | Path, class_names: Sequence[object] | None = None, title: str | None = None
) -> Path:
    """Draw counts (C, C), rows the true classes: right ones blue, mistakes vermilion; returns the path.

    Shades are shares of the row, so that a rare class is judged like a common one.
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
    """Draw misjudged images (K, H, W[, C]), each with what it was taken for and what it is; returns the path.

    The caller sorts them, most confident first.
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
        colour = "white" if dark else INK if count else QUIET
        axes.text(j, i, f"{count:g}" if count else "·", ha="center", va="center", fontsize=8, color=colour)


# Sweeps ---------------------------------------------------------------------------------------------------------


def save_sweep(
    results: Sequence[Mapping[str, Any]],
    parameter: str,
    path: str | Path,
    figure_name: str = "validation_accuracy",
    title: str | None = None,
) -> Path:
    """Draw one figure of many runs against one parameter; returns the path.

    results: a list of {parameter: value, ..., figure_name: number}. Runs that agree in every setting but `seed` become
    their mean, with a bar from lowest to highest; another setting that differs makes another line.
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
