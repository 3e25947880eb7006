"""Line charts as inline SVG: readable as they stand, on paper and without scripts; charts.js adds zoom and read-out."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, ArrayLike
from ..text import clipped
from .view import Figures, known, needs_log, numbers

WIDTH, HEIGHT = 488, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 132, 18, 36  # the margins around the plot
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
FRAME = dict(width=WIDTH, height=HEIGHT, left=LEFT, top=TOP, plot_width=PLOT_WIDTH, plot_height=PLOT_HEIGHT)
MAX_POINTS = 1000  # of a drawn line; longer ones keep the extremes of each stretch
MAX_VALUES = 2000  # of a line to be read out; of longer ones every so many
MAX_ENDS = 16  # names beside the ends of lines


@dataclass
class Line:
    """Values per epoch under a label. colour: a name that the style sheet knows, or any CSS colour of our own making.

    low, high: the edges of a band around the line (the spread over seeds).
    """

    label: str
    values: Figures
    colour: str = "var(--train)"
    dash: str = ""
    low: Figures = ()
    high: Figures = ()


@dataclass
class Scale:
    """Maps epochs and figures to the plot's pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def x(self, epoch: ArrayLike) -> Array:
        return (np.asarray(epoch, float) - self.x0) / (self.x1 - self.x0) * PLOT_WIDTH

    def y(self, value: ArrayLike) -> Array:
        value = np.log10(value) if self.log else np.asarray(value, float)
        return (self.y1 - value) / (self.y1 - self.y0) * PLOT_HEIGHT

    def visible(self, values: Figures) -> Array:
        """values as floats, NaN for what a log axis cannot show."""
        shown = numbers(values)
        return np.where(shown > 0, shown, np.nan) if self.log else shown


def line_chart(
    key: str,
    title: str,
    lines: Sequence[Line],
    best: int | None = None,
    mark: str = "best",
    steps: bool = False,
    log: bool | None = None,
    axis: str = "epoch",
    points: Sequence[str] = (),
) -> dict[str, Any] | None:
    """What the template `chart` draws: ticks, paths, labels and data, as plain data; None when nothing is finite.

    key: the chart's id on its page. best: an epoch to mark, and as what. steps: a value holds for its whole
    epoch. log: whether the axis of figures is logarithmic; by default where positive ones span more than two decades.
    axis, points: what the figures are by where that is not the epoch, and the names of its places.
    """
    lines = [line for line in lines if len(known(line.values))]
    if not lines:
        return None
    scale = scale_for(lines, log)
    whole = [t for t in nice_ticks(scale.x0, scale.x1, len(points) or 6) if t == int(t)]
    return {
        **FRAME,
        "key": key,
        "title": title + (" (log scale)" if scale.log else ""),
        "text": summary_text(title, lines, best, mark, axis, points),
        "axis": axis,
        "x_ticks": [{**t, "text": points[int(t["text"]) - 1] if points else t["text"]} for t in ticks(whole, scale.x)],
        "y_ticks": ticks((log_ticks if scale.log else nice_ticks)(scale.y0, scale.y1), scale.y),
        "lines": [drawn(line, scale, steps) for line in lines],
        "labels": end_labels(lines, scale),
        "mark": mark,
        "best": None if best is None else {"epoch": best, "x": rounded(scale.x(best))},
        "data": json.dumps({**chart_data(lines, scale), "axis": axis, "points": points}),
    }


def scale_for(lines: Sequence[Line], log: bool | None = None) -> Scale:
    values = np.concatenate([known(v) for line in lines for v in (line.values, line.low, line.high)])
    log = needs_log(values) if log is None else log
    values = np.log10(values[values > 0]) if log else values
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if not log and low >= 0 and (low < high / 4 or low == high):
        low = 0.0
    padding = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    num_epochs = max(len(line.values) for line in lines)
    x0, x1 = (1.0, float(num_epochs)) if num_epochs > 1 else (0.5, 1.5)
    return Scale(x0, x1, low - padding * (low != 0 or log), high + padding, log)


def drawn(line: Line, scale: Scale, steps: bool) -> dict[str, Any]:
    """The line with its path, and its band's, in the plot's pixels; weight: 'dot' of one epoch, 'dense' of many."""
    count = len(line.values)
    weight = "dot" if count == 1 else "dense" if count > PLOT_WIDTH else ""
    return {**vars(line), "d": path(line.values, scale, steps), "band": band_path(line, scale), "weight": weight}


def path(values: Figures, scale: Scale, steps: bool = False) -> str:
    """SVG path data; a gap where there is no figure, a dot where a figure stands alone."""
    epochs, shown = thinned(scale.visible(values))
    x, y = np.round(scale.x(epochs), 1), np.round(scale.y(shown), 1)
    parts, pen_is_down = [], False
    for i in range(len(x)):
        if not math.isfinite(y[i]):
            pen_is_down = False
        elif not pen_is_down:
            parts.append(f"M{x[i]:g} {y[i]:g}h0")
            pen_is_down = True
        else:
            middle = (x[i - 1] + x[i]) / 2
            parts.append(f"H{middle:g}V{y[i]:g}H{x[i]:g}" if steps else f"L{x[i]:g} {y[i]:g}")
    return "".join(parts)


def band_path(line: Line, scale: Scale) -> str:
    """SVG path data around the band: along its upper edge, and back along the lower one."""
    low, high = scale.visible(line.low), scale.visible(line.high)
    there = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    corners = [(k, high[k]) for k in there] + [(k, low[k]) for k in there[::-1]]
    points = [f"{rounded(scale.x(k + 1))} {rounded(scale.y(v))}" for k, v in corners]
    return f"M{'L'.join(points)}Z" if points else ""


def thinned(values: Array) -> tuple[Array, Array]:
    """(epochs from 1, values), of each stretch of a long line only the lowest and the highest."""
    if len(values) <= MAX_POINTS:
        return np.arange(1, len(values) + 1), values
    keep = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), MAX_POINTS // 2):
        there = stretch[np.isfinite(values[stretch])]
        if len(there):
            keep |= {int(there[values[there].argmin()]), int(there[values[there].argmax()])}
    kept = np.array(sorted(keep))
    return kept + 1, values[kept]


# Axes and labels ------------------------------------------------------------------------------------------------


def ticks(values: Sequence[float], place: Callable[[float], Array]) -> list[dict[str, Any]]:
    return [{"text": f"{value:g}", "at": rounded(place(value))} for value in values]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About count round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from 10^low to 10^high; with 2 and 5 between them where there are few."""
    factors = (1,) if high - low > 2.5 else (1, 2, 5)
    every = max(1, round((high - low) / 5))
    decades = range(max(-300, math.floor(low)), math.ceil(high) + 1, every)  # below there is no number at last
    return [f * 10.0**d for d in decades for f in factors if low <= d + math.log10(f) <= high]


def end_labels(lines: Sequence[Line], scale: Scale) -> list[dict[str, Any]]:
    """Each line's name and last figure, where it ends, moved apart; of many lines every so many."""
    ends = [(line, known(scale.visible(line.values))) for line in lines]
    ends = [(line, values[-1]) for line, values in ends if len(values)]
    ends = ends[:: -(-len(ends) // MAX_ENDS) or 1]
    heights = spread([float(scale.y(value)) for _, value in ends], 14, 2, PLOT_HEIGHT - 2)
    return [
        {"name": clipped(line.label, 14), "value": end_text(float(value)), "y": rounded(TOP + y), "colour": line.colour}
        for (line, value), y in zip(ends, heights, strict=True)
    ]


def end_text(value: float) -> str:
    return f"{value:.{3 if abs(value) > 0.01 else 2}g}"


def summary_text(
    title: str, lines: Sequence[Line], best: int | None, mark: str, axis: str, points: Sequence[str]
) -> str:
    """The chart in a sentence, for who cannot see it."""
    said = []
    for line in lines:
        values = known(line.values)
        way = f"from {values[0]:.3g} to {values[-1]:.3g}, between {values.min():.3g} and {values.max():.3g}"
        said.append(f"{line.label} {way}".strip())
    count = max(len(line.values) for line in lines)
    marked = f"; {mark} epoch {best}" if best is not None else ""
    over = f"by {axis}, {points[0]} to {points[-1]}" if points else f"over {count} epoch{'s' * (count != 1)}"
    return f"{title} {over}: {'; '.join(said)}{marked}."


def chart_data(lines: Sequence[Line], scale: Scale) -> dict[str, Any]:
    """What charts.js needs to zoom and to read out values; values[i] is that of epoch 1 + i every."""
    every = -(-max(len(line.values) for line in lines) // MAX_VALUES)
    shown = [{"label": line.label, "values": [short(v) for v in numbers(line.values)[::every]]} for line in lines]
    return {"x": [scale.x0, scale.x1], "y": [scale.y0, scale.y1], "log": scale.log, "every": every, "lines": shown}


def short(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def rounded(value: ArrayLike) -> float:
    return float(f"{float(np.asarray(value)):.1f}")


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
