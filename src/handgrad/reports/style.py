"""The look of every picture: the style sheet's colours, quiet axes, and files written whole."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array
from ..files import atomic_path
from ..html import colours
from ..naming import require_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = colours()
TRAIN, VALIDATION, INK, QUIET, GRID = (COLOURS[name] for name in ("train", "validation", "ink", "quiet", "line"))
SERIES = tuple(COLOURS[f"series-{i}"] for i in range(1, 6))  # runs and settings, where several are compared


def new_figure(
    width: float, height: float, num_columns: int = 1, num_rows: int = 1, title: str | None = None
) -> tuple[Figure, list[Axes]]:
    """(figure, [axes]) in inches, drawn by Agg and known to no global state: safe in threads and servers.

    title: the picture's own, above all axes; '$' in it is a dollar.
    """
    with require_extra("app", "a picture"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK, parse_math=False)
    return figure, list(np.ravel(figure.subplots(num_rows, num_columns)))


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as path's suffix says (.png, .svg, .pdf), atomically; returns the path."""
    path = Path(path)
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix[1:] not in known:
        raise ValueError(f"cannot draw {path.name}: a picture's name ends in .{', .'.join(known)}, not '{path.suffix}'")
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


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> Array:
    """Positions as near as may be to those wanted (n,), at least gap apart and within low..high: for labels."""
    order = np.argsort(wanted)
    placed = np.clip(np.asarray(wanted, float)[order], low, high)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed[-1:] = np.minimum(placed[-1:], high)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    restored: Array = placed[np.argsort(order)]
    return restored
