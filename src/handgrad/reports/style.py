"""The look of every picture: colours that a colour-blind reader tells apart, quiet axes, and files written whole."""

import warnings
from pathlib import Path

import numpy as np

from ..files import atomic_path
from ..html import colours
from ..naming import require_extra

COLOURS = colours()
TRAIN, VALIDATION, INK, QUIET, GRID = (COLOURS[name] for name in ("train", "validation", "ink", "quiet", "line"))
SERIES = tuple(COLOURS[f"series-{i}"] for i in range(1, 6))  # runs and settings, where several are compared


def new_figure(width, height, num_columns=1, num_rows=1):
    """(figure, [axes]) in inches, drawn by Agg and known to no global state: safe in threads and servers."""
    with require_extra("app", "a picture"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure, list(np.ravel(figure.subplots(num_rows, num_columns)))


def save(figure, path):
    """Write the figure as path's suffix says (.png, .svg, .pdf), atomically; returns the path."""
    path = Path(path)
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix[1:] not in known:
        raise ValueError(f"cannot draw {path.name}: a picture's name ends in .{', .'.join(known)}, not '{path.suffix}'")
    with atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box stands for it; the rest is readable
        figure.savefig(temporary, dpi=150)
    return path


def quiet_axes(axes, title, y_grid=True):
    """No box, pale horizontal lines, the title at the left where reading starts."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(length=0, labelsize=9, labelcolor=QUIET, which="both")
    axes.set_axisbelow(True)
    if y_grid:
        axes.grid(axis="y", color=GRID, linewidth=0.8)


def head_line(figure, title):
    """The picture's own title, if it has one; '$' in it is a dollar."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, parse_math=False)


def numbers(values):
    """A list of figures as floats: what is missing or infinite becomes NaN, a gap in the line."""
    array = np.array([np.nan if v is None else v for v in values], float)
    array[~np.isfinite(array)] = np.nan
    return array


def spread(wanted, gap, low, high):
    """Positions as near as may be to those wanted (n,), at least gap apart and within low..high: for labels."""
    order = np.argsort(wanted)
    placed = np.clip(np.asarray(wanted, float)[order], low, high)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed[-1:] = np.minimum(placed[-1:], high)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    out = np.empty(len(placed))
    out[order] = placed
    return out
