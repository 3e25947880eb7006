"""features: histograms of gradients and of hues, for classifiers on images (H, W, 3)."""

from collections.abc import Callable, Sequence

import numpy as np

from ...arrays import Array

CELL, ORIENTATIONS = 8, 9


def extract_features(
    imgs: Sequence[Array], feature_fns: Sequence[Callable[[Array], Array]], verbose: bool = False
) -> Array:
    """(num_images, features): what each function says of each image, side by side; functions return flat arrays."""
    rows = []
    for number, image in enumerate(imgs):
        parts = [function(image.squeeze()) for function in feature_fns]
        if any(part.ndim != 1 for part in parts):
            raise ValueError("Feature functions must return one-dimensional arrays")
        rows.append(np.concatenate(parts))
        if verbose and (number + 1) % 1000 == 0:
            print(f"Done extracting features for {number + 1} / {len(imgs)} images")
    return np.array(rows)


def rgb2gray(rgb: Array) -> Array:
    """Brightness as the eye weighs red, green and blue."""
    grey: Array = np.dot(rgb[..., :3], [0.299, 0.587, 0.144])
    return grey


def hog_feature(im: Array) -> Array:
    """Nine directions of the gradient in cells of 8x8 pixels: the mean length of those in each, (cells · 9,).

    Only directions of 0 to 180 degrees, counted from straight up, are told apart; the others are left out, as in the
    course. rgb2gray's 0.144 is the course's too (0.114 would be right). (Dalal & Triggs 2005, simplified)
    """
    image = rgb2gray(im) if im.ndim == 3 else np.atleast_2d(im)
    down, across = np.zeros(image.shape), np.zeros(image.shape)
    down[:-1], across[:, :-1] = np.diff(image, axis=0), np.diff(image, axis=1)
    length, degrees = np.hypot(across, down), np.degrees(np.arctan2(down, across + 1e-15)) + 90
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    histogram = np.zeros((columns, rows, ORIENTATIONS))
    for i in range(ORIENTATIONS):
        low, high = 180 / ORIENTATIONS * i, 180 / ORIENTATIONS * (i + 1)
        chosen = np.where((degrees >= low) & (degrees < high) & (degrees > 0), length, 0)
        chosen = chosen[: rows * CELL, : columns * CELL]
        histogram[:, :, i] = chosen.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3)).T
    return histogram.ravel()


def color_histogram_hsv(
    im: Array, nbin: int = 10, xmin: float = 0, xmax: float = 255, normalized: bool = True
) -> Array:
    """The histogram of the hues of an image with values up to xmax: shares (nbin,), or counts times the bin's width."""
    from matplotlib.colors import rgb_to_hsv

    hues = rgb_to_hsv(im / xmax)[:, :, 0] * xmax
    histogram, edges = np.histogram(hues, bins=np.linspace(xmin, xmax, nbin + 1), density=normalized)
    return histogram * np.diff(edges)
