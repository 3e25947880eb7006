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

WIDTH, HEIGHT = 570, 284
LEFT, RIGHT, TOP, BOTTOM = 56, 138, 20, 38  # the margins around the plot
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
FRAME = dict(width=WIDTH, height=HEIGHT, left=LEFT, top=TOP, plot_width=PLOT_WIDTH, plot_height=PLOT_HEIGHT)
MAX_POINTS = 1000  # of a drawn line; longer ones keep the extremes of each stretch
MAX_VALUES = 2000  # of a line to be read out; of longer ones every so many
MAX_ENDS = 16  # names beside the ends of lines
END_LETTERS = 17  # of a name and its figure there
FAR = {False: 8.0, True: 4.0}  # times the spread of nine tenths of the figures (linear, log): the axis ends there
FAR_OFF = 50  # times the usual line's largest figure: a line that goes there does not stretch the axis of the others


@dataclass
class Line:
    """Values per epoch under a label. colour: a name that the style sheet knows, or any CSS colour of our own making.

    low, high: the edges of a band around the line (the spread over seeds). places: the epochs, or parts of them, of the
    values, where these are not 1, 2, 3, ... is_pale: in the background, without a name at its end.
    """

    label: str
    values: Figures
    colour: str = "var(--train)"
    dash: str = ""
    low: Figures = ()
    high: Figures = ()
    places: Sequence[float] = ()
    is_pale: bool = False

    @property
    def epochs(self) -> Array:
        return np.asarray(self.places, float) if len(self.places) else np.arange(1.0, len(self.values) + 1)


@dataclass
class Scale:
    """Maps epochs and figures to the plot's pixels. cut: whether some figures lie beyond the axis."""

    x0: float
    x1: float
    y0: float
    y1: float
    log: bool
    cut: bool = False

    def x(self, epoch: ArrayLike) -> Array:
        return (np.asarray(epoch, float) - self.x0) / (self.x1 - self.x0) * PLOT_WIDTH

    def y(self, value: ArrayLike) -> Array:
        value = np.log10(value) if self.log else np.asarray(value, float)
        return (self.y1 - value) / (self.y1 - self.y0) * PLOT_HEIGHT

    def visible(self, values: Figures) -> Array:
        """values as floats, NaN for what a log axis cannot show."""
        shown = numbers(values)
        return np.where(shown > 0, shown, np.nan) if self.log else shown

    @property
    def notes(self) -> str:
        """What a reader of the axis has to know."""
        notes = ["log scale"] * self.log + ["far-off figures cut"] * self.cut
        return f" ({', '.join(notes)})" if notes else ""


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
    end: float | None = None,
) -> dict[str, Any] | None:
    """What the template `chart` draws: ticks, paths, labels and data, as plain data; None when nothing is finite.

    key: the chart's id on its page. best: an epoch to mark, and as what. steps: a value holds for its whole
    epoch. log: whether the axis of figures is logarithmic; by default where positive ones span more than two decades.
    axis, points: what the figures are by where that is not the epoch, and the names of its places. end: where the axis
    of epochs ends at least, so that it stays as it is while a run trains.
    """
    lines = [line for line in lines if len(known(line.values))]
    if not lines:
        return None
    scale = scale_for(lines, log)
    scale.x1 = max(scale.x1, end or scale.x1)
    parts = scale.x1 - scale.x0 < 3 and not points
    whole = [t for t in nice_ticks(scale.x0, scale.x1, len(points) or 6) if t == int(t) or parts]
    return {
        **FRAME,
        "key": key,
        "title": title + scale.notes,
        "text": summary_text(title, lines, best, mark, axis, points),
        "axis": axis,
        "x_ticks": [{**t, "text": points[int(t["text"]) - 1] if points else t["text"]} for t in ticks(whole, scale.x)],
        "y_ticks": ticks((log_ticks if scale.log else nice_ticks)(scale.y0, scale.y1), scale.y),
        "lines": [drawn(line, scale, steps) for line in lines],
        "labels": end_labels(lines, scale),
        "mark": mark,
        "best": None if best is None else {"epoch": best, "x": rounded(scale.x(best))},
        "data": json.dumps({**chart_data(lines, scale), "axis": axis, "points": points}, separators=(",", ":")),
    }


def scale_for(lines: Sequence[Line], log: bool | None = None) -> Scale:
    """The axes: where nothing is said of the logarithm, a line that went astray does not stretch them."""
    named = [line for line in lines if not line.is_pale] or lines
    tops = sorted(float(known(line.values).max()) for line in named)
    usual = tops[(len(tops) - 1) // 2]
    kept = [line for line in named if log or usual <= 0 or known(line.values).max() <= FAR_OFF * usual]
    values = np.concatenate([known(v) for line in kept for v in (line.values, line.low, line.high)])
    log = needs_log(values) if log is None else log
    values = np.log10(values[values > 0]) if log else values
    low, high = limits(values, FAR[log]) if len(values) else (0.0, 1.0)
    cut = len(kept) < len(named) or (len(values) > 0 and (low > values.min() or high < values.max()))
    for line in lines if not log else ():
        if line.is_pale:
            edges = np.quantile(known(line.values), [0.05, 0.95])
            low, high = min(low, float(edges[0])), max(high, min(float(edges[1]), 2 * high - low))
    if not log and low >= 0 and (low < high / 4 or low == high):
        low = 0.0
    padding = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    ends = [line.epochs for line in lines]
    x0, x1 = min(e.min() for e in ends), max(e.max() for e in ends)  # a damaged record goes back in time
    x0, x1 = (x0 - 0.5, x1 + 0.5) if x0 == x1 else (x0, x1 + 0.03 * (x1 - x0) * any(len(e) == 1 for e in ends))
    return Scale(float(x0), float(x1), low - padding * (low != 0 or log), high + padding, log, bool(cut))


def limits(values: Array, far: float) -> tuple[float, float]:
    """(lowest, highest) to show: all, but for the few that lie far from where nine tenths of them are."""
    low, high = np.quantile(values, [0.05, 0.95])
    reach = far * (high - low) or np.inf
    return float(max(values.min(), low - reach)), float(min(values.max(), high + reach))


def drawn(line: Line, scale: Scale, steps: bool) -> dict[str, Any]:
    """The line with its path, and its band's, in the plot's pixels; weight: 'dot' of one epoch, 'dense' of many."""
    count = len(line.values)
    weight = "dot" if count == 1 else "pale" if line.is_pale else "dense" if count > PLOT_WIDTH / 2 else ""
    return {**vars(line), "d": path(line, scale, steps), "band": band_path(line, scale), "weight": weight}


def path(line: Line, scale: Scale, steps: bool = False) -> str:
    """SVG path data; a gap where there is no figure, a dot where a figure stands alone."""
    epochs, shown = thinned(line.epochs, scale.visible(line.values))
    x, y = np.round(scale.x(epochs), 1), np.round(np.clip(scale.y(shown), -9999, 9999), 1)
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
    points = [f"{rounded(scale.x(line.epochs[k]))} {rounded(scale.y(v))}" for k, v in corners]
    return f"M{'L'.join(points)}Z" if points else ""


def thinned(epochs: Array, values: Array) -> tuple[Array, Array]:
    """(epochs, values), of each stretch of a long line only the lowest and the highest."""
    if len(values) <= MAX_POINTS:
        return epochs, values
    keep = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), MAX_POINTS // 2):
        there = stretch[np.isfinite(values[stretch])]
        if len(there):
            keep |= {int(there[values[there].argmin()]), int(there[values[there].argmax()])}
    kept = np.array(sorted(keep))
    return epochs[kept], values[kept]


def smoothed(values: Figures, window: int) -> Array:
    """Running means over so many figures around each, of those that there are."""
    shown = numbers(values)
    there, kernel = np.isfinite(shown), np.ones(max(1, window) // 2 * 2 + 1)
    sums, counts = (
        np.convolve(v, kernel)[len(kernel) // 2 :][: len(shown)] for v in (np.where(there, shown, 0), there)
    )
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def dot_chart(
    key: str,
    title: str,
    x: ArrayLike,
    y: ArrayLike,
    x_name: str,
    line_name: str,
    names: Sequence[str],
    diagonal: bool = False,
) -> dict[str, Any] | None:
    """What the template `dots` draws: a dot for each pair of figures, named at the pointer, and the line of no error.

    diagonal: that line is y = x, else y = 0.
    """
    x, y = numbers(np.ravel(x)), numbers(np.ravel(y))
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return None
    x, y, names = x[there], y[there], [name for name, kept in zip(names, there, strict=True) if kept]
    both = np.concatenate([x, y]) if diagonal else np.append(y, 0.0)
    (x0, x1), (y0, y1) = (padded(x), padded(both))
    scale = Scale(*(padded(both) if diagonal else (x0, x1)), y0, y1, log=False)
    ends = np.array([scale.x0, scale.x1])
    dots = [
        {"x": rounded(scale.x(a)), "y": rounded(scale.y(b)), "name": n} for a, b, n in zip(x, y, names, strict=True)
    ]
    return {
        **FRAME,
        "key": key,
        "title": title,
        "text": f"{title}, {len(dots)} rows: from {y.min():.3g} to {y.max():.3g}.",
        "axis": x_name,
        "line_name": line_name,
        "x_ticks": ticks(nice_ticks(scale.x0, scale.x1, 5), scale.x),
        "y_ticks": ticks(nice_ticks(y0, y1), scale.y),
        "line": [rounded(v) for v in (*scale.x(ends), *scale.y(ends if diagonal else np.zeros(2)))],
        "dots": dots,
    }


def padded(values: Array) -> tuple[float, float]:
    """The lowest and the highest, with a little room."""
    room = 0.05 * (values.max() - values.min()) or 0.05 * abs(values.max()) or 0.5
    return float(values.min() - room), float(values.max() + room)


def sparkline(values: Figures) -> str:
    """The path of a curve 96 by 24, without axes; '' of fewer than two figures."""
    scale = scale_for([Line("", values)]) if len(known(values)) > 1 else None
    if scale is None:
        return ""
    epochs, shown = thinned(np.arange(1.0, len(values) + 1), scale.visible(values))
    x, y = scale.x(epochs) * 96 / PLOT_WIDTH, np.clip(scale.y(shown) * 24 / PLOT_HEIGHT, 0, 24)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True) if math.isfinite(b))


# Axes and labels ------------------------------------------------------------------------------------------------


def ticks(values: Sequence[float], place: Callable[[float], Array]) -> list[dict[str, Any]]:
    return [{"text": compact(float(f"{value:.6g}")), "at": rounded(place(value))} for value in values]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About count round numbers (1, 2 or 5 times a power of ten apart) from low to high."""
    raw = (high - low) / count
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from 10^low to 10^high; with 2 and 5 between them where there are few, else round numbers."""
    if high - low < 0.7 and low > -300:
        return nice_ticks(10**low, 10**high)
    factors = (1,) if high - low > 2.5 else (1, 2, 5)
    every = max(1, round((high - low) / 5))
    decades = range(max(-300, math.floor(low)), math.ceil(high) + 1, every)  # below there is no number at last
    return [f * 10.0**d for d in decades for f in factors if low <= d + math.log10(f) <= high]


def end_labels(lines: Sequence[Line], scale: Scale) -> list[dict[str, Any]]:
    """Each line's name and last figure, where it ends, moved apart; of many lines every so many."""
    ends = [(i, line, float(known(line.values)[-1])) for i, line in enumerate(lines) if not line.is_pale]
    ends = ends[:: -(-len(ends) // MAX_ENDS) or 1]
    at = [PLOT_HEIGHT if scale.log and value <= 0 else float(scale.y(value)) for _, _, value in ends]
    labels = []
    for (i, line, value), y in zip(ends, spread(at, 14, 2, PLOT_HEIGHT - 2), strict=True):
        text = end_text(value)
        name = clipped(line.label, END_LETTERS - len(text))
        labels.append({"line": i, "name": name, "value": text, "y": rounded(TOP + y), "colour": line.colour})
    return labels


def end_text(value: float) -> str:
    """A figure beside a line: three digits or a whole number, as charts.js writes it."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else compact(float(f"{value:.3g}"))


def compact(value: float) -> str:
    """A number in its few letters: 0.02, 20000, 5e-5, 1e29."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.10g}"
    return np.format_float_scientific(value, trim="-", exp_digits=1).replace("e+", "e")


def summary_text(
    title: str, lines: Sequence[Line], best: int | None, mark: str, axis: str, points: Sequence[str]
) -> str:
    """The chart in a sentence, for who cannot see it."""
    said, named = [], [line for line in lines if not line.is_pale] or lines
    for line in named:
        values = known(line.values)
        way = f"from {values[0]:.3g} to {values[-1]:.3g}, between {values.min():.3g} and {values.max():.3g}"
        said.append(f"{line.label} {way}".strip())
    count = math.ceil(max(line.epochs[-1] for line in named))
    marked = f"; {mark} epoch {best}" if best is not None else ""
    over = f"by {axis}, {points[0]} to {points[-1]}" if points else f"over {count} epoch{'s' * (count != 1)}"
    return f"{title} {over}: {'; '.join(said)}{marked}."


def chart_data(lines: Sequence[Line], scale: Scale) -> dict[str, Any]:
    """What charts.js needs to zoom and to read out values; values[i] is that of epoch 1 + i every, or of places[i]."""
    every = -(-max(len(line.values) for line in lines) // MAX_VALUES)
    shown = []
    for line in lines:
        one = {"label": line.label, "colour": line.colour, "values": [short(v) for v in numbers(line.values)[::every]]}
        one.update({"places": [short(v) for v in line.places[::every]]} if len(line.places) else {})
        shown.append({**one, "pale": True} if line.is_pale else one)
    limits = {"x": [scale.x0, scale.x1], "y": [scale.y0, scale.y1], "log": scale.log, "cut": scale.cut}
    return {**limits, "every": every, "lines": shown}


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
