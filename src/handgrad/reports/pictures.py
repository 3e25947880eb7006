"""Pictures of what a model learned: first-layer filters, the confusion matrix, the worst examples, and sweeps."""

from itertools import cycle

import numpy as np

from ..text import clipped
from .images import colours, grid, weight_images
from .style import INK, QUIET, SERIES, TRAIN, VALIDATION, head_line, new_figure, numbers, quiet_axes, save

MAX_COUNTS = 20  # classes up to which every cell of a confusion matrix carries its number


def save_filters(weight, path, image_shape=None, title=None):
    """Draw each unit's weights as a small picture, all in one grid; returns the path. See `weight_images`."""
    picture = grid(weight_images(np.asarray(weight), image_shape))
    height, width = picture.shape[:2]
    figure, (axes,) = new_figure(5, 5 * height / width + (0.4 if title else 0))
    head_line(figure, title)
    axes.imshow(picture, interpolation="nearest")
    axes.axis("off")
    return save(figure, path)


def save_confusion_matrix(matrix, path, class_names=None, title=None):
    """Draw counts (C, C), rows the true classes: right ones blue, mistakes vermilion; returns the path.

    Shades are shares of the row, so that a rare class is judged like a common one.
    """
    matrix = square(matrix)
    names = [str(name) for name in (class_names if class_names is not None else range(len(matrix)))]
    if len(names) != len(matrix):
        raise ValueError(f"a confusion matrix of {len(matrix)} classes needs as many names, got {len(names)}")
    size = 1.8 + 0.42 * min(len(names), MAX_COUNTS)
    figure, (axes,) = new_figure(size, size * 0.94)
    head_line(figure, title)
    axes.imshow(shades(matrix), interpolation="nearest")
    axes.spines[:].set_visible(False)
    label_classes(axes, names)
    if len(names) <= MAX_COUNTS:
        write_counts(axes, matrix)
    return save(figure, path)


def save_wrong_examples(images, true_names, predicted_names, confidences, path, title=None):
    """Draw misjudged images (K, H, W[, C]), each with what it was taken for and what it is; returns the path.

    The caller sorts them, most confident first.
    """
    if len(images) == 0:
        raise ValueError("there are no wrong examples to draw")
    num_columns = min(6, len(images))
    num_rows = -(-len(images) // num_columns)
    figure, all_axes = new_figure(1.6 * num_columns, 2.1 * num_rows, num_columns, num_rows)
    head_line(figure, title)
    for axes in all_axes[len(images) :]:
        axes.axis("off")
    captions = zip(true_names, predicted_names, confidences, strict=True)
    for axes, image, (true, predicted, share) in zip(all_axes, images, captions, strict=False):
        axes.imshow(colours(image), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(f"{share:.0%} {clipped(predicted)}", fontsize=9, color=VALIDATION, parse_math=False)
        axes.set_xlabel(f"is {clipped(true)}", fontsize=9, color=INK, parse_math=False)
    return save(figure, path)


def save_sweep(results, parameter, path, figure_name="validation_accuracy", title=None):
    """Draw one figure of many runs against one parameter; returns the path.

    results: a list of {parameter: value, ..., figure_name: number}. Runs that agree in every setting but `seed` become
    their mean, with a bar from lowest to highest; another setting that differs makes another line.
    """
    lines = sweep_lines(results, parameter, figure_name)
    figure, (axes,) = new_figure(6, 3.8)
    head_line(figure, title)
    quiet_axes(axes, f"{figure_name.replace('_', ' ')} by {parameter}")
    places, scale = positions(axes, [value for line in lines.values() for value in line])
    for (label, line), colour, marker in zip(sorted(lines.items()), cycle(SERIES), cycle("os^Dv<>"), strict=False):
        draw_sweep_line(axes, label, line, places, colour, marker, "none" if scale == "words" else "-")
    axes.set_xlabel(parameter + (" (log scale)" if scale == "log" else ""), fontsize=9, color=QUIET, parse_math=False)
    if len(lines) > 1:
        legend = axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
        for text in legend.get_texts():
            text.set_parse_math(False)
    return save(figure, path)


def sweep_lines(results, parameter, figure_name):
    """{label of the other settings: {value: [figures]}}."""
    results = [r for r in results if r.get(figure_name) is not None and np.isfinite(r[figure_name])]
    if not results or any(parameter not in r for r in results):
        raise ValueError(f"no results to draw: each needs '{parameter}' and a finite '{figure_name}'")
    others = sorted({k for r in results for k in r} - {parameter, figure_name, "seed"})
    others = [k for k in others if len({repr(r.get(k)) for r in results}) > 1]
    lines = {}
    for r in results:
        label = ", ".join(f"{k} {r.get(k)}" for k in others)
        lines.setdefault(label, {}).setdefault(r[parameter], []).append(r[figure_name])
    return lines


def positions(axes, values):
    """({value: x}, 'linear', 'log' or 'words'): numbers where they are, words side by side."""
    unique = list(dict.fromkeys(values))
    if any(isinstance(v, (str, bool)) or not isinstance(v, (int, float, np.number)) for v in unique):
        axes.set_xticks(range(len(unique)), labels=[str(v) for v in unique], parse_math=False)
        axes.margins(x=0.15)
        return {v: i for i, v in enumerate(unique)}, "words"
    scale = "log" if min(unique) > 0 and max(unique) / min(unique) > 20 else "linear"
    axes.set_xscale(scale)
    return {v: v for v in unique}, scale


def draw_sweep_line(axes, label, line, places, colour, marker, linestyle):
    points = sorted((places[value], figures) for value, figures in line.items())
    x = np.array([p[0] for p in points], float)
    means = numbers([np.mean(figures) for _, figures in points])
    ranges = [[m - min(f), max(f) - m] for m, (_, f) in zip(means, points, strict=True)]
    axes.errorbar(
        x,
        means,
        np.maximum(np.transpose(ranges), 0),
        color=colour,
        marker=marker,
        markersize=6,
        linestyle=linestyle,
        linewidth=1.8,
        elinewidth=1.2,
        capsize=3,
        label=label or None,
    )


def square(matrix):
    """matrix as an array (C, C) of counts, or a ValueError."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"a confusion matrix is square, rows the true classes; got shape {matrix.shape}")
    return matrix


def row_shares(matrix):
    """Each count as a share of its row; a class without examples has 0."""
    totals = matrix.sum(axis=1, keepdims=True)
    return matrix / np.where(totals > 0, totals, 1)


def shades(matrix):
    """Colours (C, C, 3): white for none, full blue on the diagonal and full vermilion off it for the whole row."""
    from matplotlib.colors import to_rgb

    share, right = row_shares(matrix), np.eye(len(matrix), dtype=bool)
    strength = np.where(right, 0.75 * share, np.sqrt(share))[..., None]  # √ makes a few mistakes visible
    return 1 - strength * (1 - np.where(right[..., None], to_rgb(TRAIN), to_rgb(VALIDATION)))


def label_classes(axes, names):
    every = -(-len(names) // 40)
    places, shown = range(0, len(names), every), names[::every]
    axes.set_xticks(places, labels=shown, rotation=45, ha="right", rotation_mode="anchor", fontsize=9, parse_math=False)
    axes.set_yticks(places, labels=shown, fontsize=9, parse_math=False)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_xlabel("predicted", color=QUIET)
    axes.set_ylabel("true", color=QUIET)


def write_counts(axes, matrix):
    share = row_shares(matrix)
    for (i, j), count in np.ndenumerate(matrix):
        dark = share[i, j] > (0.6 if i == j else 0.4)
        axes.text(
            j,
            i,
            f"{count:g}" if count else "·",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if dark else INK if count else "#bbbbbb",
        )
