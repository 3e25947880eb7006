"""Arrays as coloured squares in SVG: negative blue, positive orange, unknown grey."""

import html

import numpy as np

MOST_CELLS = 48  # per side; larger arrays are drawn in blocks
CELL, GAP = 22, 1
BLUE, ORANGE, MIDDLE = (33, 102, 172), (214, 96, 20), (247, 247, 247)


def heat_map(values, shown, limit, caption):
    """values as an SVG figure. shown(index) is the text of a cell's tooltip; limit is the value of full colour."""
    grid, indices = as_grid(values)
    grid, indices = in_blocks(grid, indices)
    size = max(3, min(CELL, 420 // max(grid.shape)))
    cells = [cell(x, y, grid[y, x], size, limit, shown(indices[y, x])) for y, x in np.ndindex(grid.shape)]
    height, width = (n * (size + GAP) for n in grid.shape)
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(caption)}">{"".join(cells)}</svg><figcaption>{html.escape(caption)}</figcaption></figure>'
    )


def as_grid(values):
    """(rows, columns): the last axis lies across, all others down; and each cell's flat index."""
    columns = values.shape[-1] if values.ndim > 1 else values.size
    grid = values.reshape(-1, max(columns, 1)) if values.size else np.zeros((1, 1))
    return grid, np.arange(grid.size).reshape(grid.shape)


def in_blocks(grid, indices):
    """At most MOST_CELLS a side: each block is its entry of largest size, so that nothing wrong disappears."""
    steps = [-(-n // MOST_CELLS) for n in grid.shape]
    if steps == [1, 1]:
        return grid, indices
    rows, columns = (range(0, n, step) for n, step in zip(grid.shape, steps, strict=True))
    small, kept = np.full((len(rows), len(columns)), np.nan), np.zeros((len(rows), len(columns)), int)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            block = grid[row : row + steps[0], column : column + steps[1]]
            place = np.argmax(np.where(np.isnan(block), -1, np.abs(block)))
            small[i, j] = block.flat[place]
            kept[i, j] = indices[row : row + steps[0], column : column + steps[1]].flat[place]
    return small, kept


def cell(x, y, value, size, limit, text):
    place = f'x="{x * (size + GAP)}" y="{y * (size + GAP)}" width="{size}" height="{size}"'
    return f'<rect {place} fill="{colour(value, limit)}"><title>{html.escape(text)}</title></rect>'


def colour(value, limit):
    if np.isnan(value):
        return "#9993"
    share = 0.0 if limit == 0 else float(np.clip(value / limit, -1, 1))
    end = ORANGE if share > 0 else BLUE
    # a root makes small values visible, where the eye wants to know whether they are zero
    weight = np.sqrt(abs(share))
    return "#" + "".join(f"{round(m + (e - m) * weight):02x}" for m, e in zip(MIDDLE, end, strict=True))
