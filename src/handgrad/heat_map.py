"""Arrays as coloured squares: negative blue, positive orange, unknown grey."""

from collections.abc import Callable

import numpy as np

from .arrays import Array
from .html import Markup, colours, escape
from .text import figure_text

MOST_CELLS = 48  # per side; larger arrays are drawn in blocks
MOST_DOTS = 300
CELL, GAP, SIDE = 22, 1, 420  # pixels: of a cell, between cells, of a map


def thumbnail(values: Array | None, scale: Array | None, label: str) -> Markup:
    """A small heat map in the colours of another array's size; numbers alone as they are."""
    if values is None or scale is None:
        return Markup("")
    if values.size == 1:
        return Markup(escape(figure_text(float(values.item()))))
    limit = float(np.abs(scale[np.isfinite(scale)]).max(initial=0.0))
    return Markup(heat_map(values, lambda i: f"{values.flat[i]:.6g}", limit, "", label, 84))


def heat_map(
    values: Array, tell: Callable[[int], str], limit: float, caption: str, label: str = "", side: int = SIDE
) -> str:
    """values as an SVG figure. tell(flat index) is the text of a cell; limit is the value of full colour."""
    grid, indices = in_blocks(*as_grid(values))
    size = max(3, min(CELL, side // max(grid.shape)))
    cells = [cell(x, y, float(grid[y, x]), size, limit, tell(int(indices[y, x]))) for y, x in np.ndindex(grid.shape)]
    height, width = (n * (size + GAP) for n in grid.shape)
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="map">{svg("", width, height, escape(label or caption), "".join(cells))}{said}</figure>'


def svg(kind: str, width: int, height: int, label: str, inside: str) -> str:
    """A picture of this size, for who cannot see it its label."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg{kind} {size} role="img" aria-label="{label}">{inside}</svg>'


def colour_bar(limit: float, has_grey: bool = False) -> str:
    """What the colours of maps with this limit mean."""
    shares = np.linspace(-1, 1, 24)
    fills = [(60 + 8 * i, colour(float(share), 1.0)) for i, share in enumerate(shares)]
    cells = "".join(f'<rect x="{x}" width="8.5" height="12" fill="{fill}"/>' for x, fill in fills)
    low, grey = f'<text x="54" y="10" text-anchor="end">−{limit:.3g}</text>', "; grey: unchecked" * has_grey
    label = f"colours from blue at minus {limit:.3g} to orange at {limit:.3g}{', grey where unchecked' * has_grey}"
    inside = f'{cells}{low}<text x="258" y="10">{limit:.3g}{grey}</text>'
    return svg(' class="scale"', 440, 14, label, inside)


def scatter(right: Array, found: Array, tell: Callable[[int], str]) -> str:
    """Each entry of an array as it was found above where it is right; what is right stands on the diagonal."""
    x, y = right.ravel(), found.ravel()
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    there = there[:: -(-len(there) // MOST_DOTS) or 1]
    reach = float(max(np.abs(x[there]).max(initial=0), np.abs(y[there]).max(initial=0))) or 1.0
    places = [(i, f'cx="{70 + 64 * x[i] / reach:.1f}" cy="{70 - 64 * y[i] / reach:.1f}"') for i in there]
    dots = "".join(f'<circle {at} r="3"><title>{escape(tell(int(i)))}</title></circle>' for i, at in places)
    axes = '<path d="M6 70H134M70 6V134" class="axis"/><path d="M6 134L134 6" class="right"/>'
    label = "each entry: yours upwards, numeric to the right; right ones stand on the diagonal"
    picture = svg(' class="dots"', 140, 140, label, axes + dots)
    return f'<figure class="map">{picture}<figcaption>yours ↑ numeric →</figcaption></figure>'


def as_grid(values: Array) -> tuple[Array, Array]:
    """(rows, columns): the last axis lies across, all others down; and each cell's flat index."""
    columns = values.shape[-1] if values.ndim > 1 else values.size
    grid = values.reshape(-1, max(columns, 1)) if values.size else np.zeros((1, 1))
    return grid, np.arange(grid.size).reshape(grid.shape)


def in_blocks(grid: Array, indices: Array) -> tuple[Array, Array]:
    """At most MOST_CELLS a side: each block is its entry of largest size, so that nothing wrong disappears."""
    down, across = (-(-n // MOST_CELLS) for n in grid.shape)
    if down == across == 1:
        return grid, indices
    corners = [[(y, x) for x in range(0, grid.shape[1], across)] for y in range(0, grid.shape[0], down)]
    size = np.where(np.isnan(grid), -1, np.abs(grid))
    kept = np.array([[largest(size, y, x, down, across) for y, x in row] for row in corners])
    return grid.flat[kept], indices.flat[kept]


def largest(size: Array, y: int, x: int, down: int, across: int) -> int:
    """The flat index of the largest entry of the block with this corner."""
    block = size[y : y + down, x : x + across]
    row, column = np.unravel_index(np.argmax(block), block.shape)
    return int((y + row) * size.shape[1] + x + column)


def cell(x: int, y: int, value: float, size: int, limit: float, text: str) -> str:
    place = f'x="{x * (size + GAP)}" y="{y * (size + GAP)}" width="{size}" height="{size}"'
    return f'<rect {place} fill="{colour(value, limit)}"><title>{escape(text)}</title></rect>'


def colour(value: float, limit: float) -> str:
    if np.isnan(value):
        return colours()["quiet"] + "55"  # a third of the ink, on light and dark pages
    share = 0.0 if limit == 0 else float(np.clip(value / limit, -1, 1))
    end = colours()["validation" if share > 0 else "train"]
    # a root makes small values visible, where the eye wants to know whether they are zero
    weight = np.sqrt(abs(share))
    channels = zip(bytes.fromhex(colours()["tint"][1:]), bytes.fromhex(end[1:]), strict=True)
    return "#" + "".join(f"{round(m + (e - m) * weight):02x}" for m, e in channels)
