"""Arrays as coloured squares in SVG: negative blue, positive orange, unknown grey."""

from collections.abc import Callable

import numpy as np

from ..arrays import Array
from ..html import colours, escape
from .verdict import ArrayCheck

MOST_CELLS = 48  # per side; larger arrays are drawn in blocks
CELL, GAP = 22, 1  # pixels


def heat_maps(check: ArrayCheck) -> str:
    """Yours, the right one and the difference, side by side; folded away where all is well."""
    if check.numeric is None or check.size == 0:
        return ""
    limit = float(np.abs(check.numeric[np.isfinite(check.numeric)]).max(initial=0.0))
    shown = {"yours (a)": check.analytic, "numeric (n)": check.numeric, "deviation a - n": check.deviation}
    maps = [
        heat_map(array, teller(check, array, check.numeric), limit, caption)
        for caption, array in shown.items()
        if array is not None
    ]
    scale = f"full colour at ±{limit:.3g}; orange is positive, blue negative, grey unchecked"
    layout = f"The last of the axes {check.shape} lies across, the others down." if len(check.shape) > 2 else ""
    return (
        f"<details{'' if check.ok else ' open'}><summary><b>{escape(check.name)}</b> as a map: {scale}</summary>"
        f'{"".join(maps)}<p class="evidence">{layout}</p></details>'
    )


def teller(check: ArrayCheck, array: Array, numeric: Array) -> Callable[[int], str]:
    """index -> the text of a cell: place, value, and what was expected."""

    def tell(flat: int) -> str:
        index = ", ".join(str(int(i)) for i in np.unravel_index(flat, array.shape)) if array.ndim else ""
        words = f"{check.name}[{index}] = {array.flat[flat]:.6g}"
        if array.shape == numeric.shape and array is not numeric and np.isfinite(numeric.flat[flat]):
            words += f" (numeric {numeric.flat[flat]:.6g})"
        return words

    return tell


def heat_map(values: Array, tell: Callable[[int], str], limit: float, caption: str) -> str:
    """values as an SVG figure. tell(flat index) is the text of a cell; limit is the value of full colour."""
    grid, indices = in_blocks(*as_grid(values))
    size = max(3, min(CELL, 420 // max(grid.shape)))
    cells = [cell(x, y, float(grid[y, x]), size, limit, tell(int(indices[y, x]))) for y, x in np.ndindex(grid.shape)]
    height, width = (n * (size + GAP) for n in grid.shape)
    return (
        f'<figure class="map"><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(caption)}">{"".join(cells)}</svg><figcaption>{escape(caption)}</figcaption></figure>'
    )


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
        return "#9993"
    share = 0.0 if limit == 0 else float(np.clip(value / limit, -1, 1))
    end = colours()["validation" if share > 0 else "train"]
    # a root makes small values visible, where the eye wants to know whether they are zero
    weight = np.sqrt(abs(share))
    channels = zip(bytes.fromhex(colours()["tint"][1:]), bytes.fromhex(end[1:]), strict=True)
    return "#" + "".join(f"{round(m + (e - m) * weight):02x}" for m, e in channels)
