"""Line charts as inline SVG: readable as they stand, on paper and without scripts; charts.js adds zoom and read-out."""

import json
import math
from dataclasses import dataclass, field

import numpy as np

from ..text import clipped
from .style import numbers, spread

WIDTH, HEIGHT = 488, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 132, 18, 36  # the margins around the plot
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MAX_POINTS = 1000  # of a drawn line; longer ones keep the extremes of each stretch
MAX_VALUES = 2000  # of a line to be read out; of longer ones every so many


@dataclass
class Line:
    """Values per epoch under a label. colour: a name that the style sheet knows, or any CSS colour of our own making.

    low, high: the edges of a band around the line (the spread over seeds).
    """

    label: str
    values: list
    colour: str = "var(--train)"
    dash: str = ""
    low: list = field(default_factory=list)
    high: list = field(default_factory=list)


@dataclass
class Scale:
    """Maps epochs and figures to the plot's pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def x(self, epoch):
        return (np.asarray(epoch, float) - self.x0) / (self.x1 - self.x0) * PLOT_WIDTH

    def y(self, value):
        value = np.log10(value) if self.log else np.asarray(value, float)
        return (self.y1 - value) / (self.y1 - self.y0) * PLOT_HEIGHT


def line_chart(key, title, lines, best=None, steps=False, log=None):
    """What the template `chart` draws: ticks, paths, labels and data, as plain data; None when nothing is finite.

    key: the chart's id on its page. best: an epoch to mark. steps: a value holds for its whole epoch. log: whether the
    axis of figures is logarithmic; by default where positive figures span more than two decades.
    """
    lines = [line for line in lines if np.isfinite(numbers(line.values)).any()]
    if not lines:
        return None
    scale = scale_for(lines, log)
    return {
        "key": key,
        "title": title + (" (log scale)" if scale.log else ""),
        "text": summary_text(title, lines, best),
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "top": TOP,
        "plot_width": PLOT_WIDTH,
        "plot_height": PLOT_HEIGHT,
        "x_ticks": x_ticks(scale),
        "y_ticks": y_ticks(scale),
        "lines": [drawn(line, scale, steps) for line in lines],
        "labels": end_labels(lines, scale),
        "best": None if best is None else {"epoch": best, "x": rounded(scale.x(best))},
        "data": json.dumps(chart_data(lines, scale)),
    }


def scale_for(lines, log=None):
    values = np.concatenate([numbers(v) for line in lines for v in (line.values, line.low, line.high)])
    values = values[np.isfinite(values)]
    if log is None:
        log = values.min() > 0 and values.max() > 100 * values.min()
    values = np.log10(values[values > 0]) if log else values
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    if not log and low >= 0 and (low < high / 4 or low == high):
        low = 0.0
    padding = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    num_epochs = max(len(line.values) for line in lines)
    x0, x1 = (1, num_epochs) if num_epochs > 1 else (0.5, 1.5)
    return Scale(x0, x1, low - padding * (low != 0 or log), high + padding, bool(log))


def drawn(line, scale, steps):
    """The line's path, and its band's, in the plot's pixels."""
    return {
        "d": path(line.values, scale, steps),
        "band": band_path(line, scale) if line.low else "",
        "colour": line.colour,
        "dash": line.dash,
        "weight": weight(line),
    }


def weight(line):
    """'dot' of a line that is one, 'dense' of one that has more epochs than pixels, else ''."""
    return "dot" if len(line.values) == 1 else "dense" if len(line.values) > PLOT_WIDTH else ""


def path(values, scale, steps=False):
    """SVG path data; a gap where there is no figure, a dot where a figure stands alone."""
    epochs, values = thinned(visible(values, scale))
    x, y = np.round(scale.x(epochs), 1), np.round(scale.y(values), 1)
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


def band_path(line, scale):
    low, high = visible(line.low, scale), visible(line.high, scale)
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    corners = [(k, high[k]) for k in known] + [(k, low[k]) for k in known[::-1]]
    points = [f"{rounded(scale.x(k + 1))} {rounded(scale.y(v))}" for k, v in corners]
    return f"M{'L'.join(points)}Z" if points else ""


def visible(values, scale):
    """values as floats, NaN for what a log axis cannot show."""
    values = numbers(values)
    return np.where(values > 0, values, np.nan) if scale.log else values


def thinned(values):
    """(epochs from 1, values), of each stretch of a long line only the lowest and the highest."""
    if len(values) <= MAX_POINTS:
        return np.arange(1, len(values) + 1), values
    keep = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), MAX_POINTS // 2):
        known = stretch[np.isfinite(values[stretch])]
        if len(known):
            keep |= {int(known[values[known].argmin()]), int(known[values[known].argmax()])}
    kept = np.array(sorted(keep))
    return kept + 1, values[kept]


# Axes and labels ------------------------------------------------------------------------------------------------


def x_ticks(scale):
    ticks = [t for t in nice_ticks(scale.x0, scale.x1, 6) if t == int(t)]
    return [{"text": f"{t:.0f}", "at": rounded(scale.x(t))} for t in ticks]


def y_ticks(scale):
    if not scale.log:
        return [{"text": f"{t:g}", "at": rounded(scale.y(t))} for t in nice_ticks(scale.y0, scale.y1, 5)]
    return [{"text": f"{t:g}", "at": rounded(scale.y(t))} for t in log_ticks(scale.y0, scale.y1)]


def nice_ticks(low, high, count):
    """About count round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def log_ticks(low, high):
    """Powers of ten from 10^low to 10^high; with 2 and 5 between them where there are few."""
    factors = (1,) if high - low > 2.5 else (1, 2, 5)
    every = max(1, round((high - low) / 5))
    decades = range(math.floor(low), math.ceil(high) + 1, every)
    return [f * 10.0**d for d in decades for f in factors if low <= d + math.log10(f) <= high]


def end_labels(lines, scale):
    """Each line's name and last figure, where it ends, moved apart."""
    ends = []
    for line in lines:
        values = visible(line.values, scale)
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((line, values[known[-1]]))
    every = -(-len(ends) // 16)
    ends = ends[::every]
    heights = spread([float(scale.y(v)) for _, v in ends], 14, 2, PLOT_HEIGHT - 2) if ends else []
    return [
        {
            "name": clipped(line.label, 14),
            "value": f"{value:.{3 if abs(value) > 0.01 else 2}g}",
            "y": rounded(TOP + y),
            "colour": line.colour,
        }
        for (line, value), y in zip(ends, heights, strict=True)
    ]


def summary_text(title, lines, best):
    """The chart in a sentence, for who cannot see it."""
    said = []
    for line in lines:
        known = numbers(line.values)
        known = known[np.isfinite(known)]
        said.append(
            f"{line.label} from {known[0]:.3g} to {known[-1]:.3g}, "
            f"between {known.min():.3g} and {known.max():.3g}".strip()
        )
    count = max(len(line.values) for line in lines)
    marked = f"; best epoch {best}" if best is not None else ""
    return f"{title} over {count} epoch{'s' * (count != 1)}: {'; '.join(said)}{marked}."


def chart_data(lines, scale):
    """What charts.js needs to zoom and to read out values; values[i] is that of epoch 1 + i every."""
    every = -(-max(len(line.values) for line in lines) // MAX_VALUES)
    return {
        "x": [scale.x0, scale.x1],
        "y": [scale.y0, scale.y1],
        "log": scale.log,
        "every": every,
        "lines": [{"label": line.label, "values": [short(v) for v in numbers(line.values)[::every]]} for line in lines],
    }


def short(value):
    return float(f"{value:.5g}") if math.isfinite(value) else None


def rounded(value):
    return float(f"{float(value):.1f}")
