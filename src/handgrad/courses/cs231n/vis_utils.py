"""vis_utils: many images (N, H, W, C) as one, for plt.imshow."""

from collections.abc import Iterable, Sequence
from math import ceil, sqrt

import numpy as np

from ...arrays import Array


def visualize_grid(Xs: Array, ubound: float = 255.0, padding: int = 1) -> Array:
    """A square grid, padding black pixels between the images, each scaled by itself to 0..ubound (plain ones to 0)."""
    count, height, width, channels = Xs.shape
    low = Xs.min(axis=(1, 2, 3), keepdims=True)
    span = Xs.max(axis=(1, 2, 3), keepdims=True) - low
    scaled = ubound * (Xs - low) / np.where(span > 0, span, 1)
    size = ceil(sqrt(count))
    grid = np.zeros((size * (height + padding) - padding, size * (width + padding) - padding, channels))
    place(grid, scaled, size, padding)
    return grid


def vis_grid(Xs: Array) -> Array:
    """A square grid, a line of the lowest value below and right of each image, all scaled together to 0..1."""
    count, height, width, channels = Xs.shape
    size = ceil(sqrt(count))
    grid = np.full((size * (height + 1), size * (width + 1), channels), Xs.min(), Xs.dtype)
    place(grid, Xs, size, 1)
    return stretched(grid)


def vis_nn(rows: Sequence[Sequence[Array]]) -> Array:
    """A list of lists of images (H, W, C): each list a row, scaled together to 0..1, lines of ones between them."""
    height, width, channels = rows[0][0].shape
    size = max(map(len, rows))
    grid = np.ones((len(rows) * (height + 1), size * (width + 1), channels), rows[0][0].dtype)
    for number, row in enumerate(rows):
        place(grid[number * (height + 1) :], row, size, 1)
    return stretched(grid)


def place(grid: Array, images: Iterable[Array], num_columns: int, gap: int) -> None:
    """Write the images into grid, row by row."""
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        top, left = i // num_columns * (height + gap), i % num_columns * (width + gap)
        grid[top : top + height, left : left + width] = image


def stretched(grid: Array) -> Array:
    span = np.ptp(grid)
    scaled: Array = (grid - grid.min()) / (span if span > 0 else 1)
    return scaled
