"""Arrays as images: weights as pictures, many pictures as one grid, and a picture as text for a page."""

import io

import numpy as np

from .. import html
from ..arrays import Array, ArrayLike, Shape


def colour(name: str) -> Array:
    """One of the style sheet's colours as (red, green, blue) in [0, 1]."""
    return np.array(list(bytes.fromhex(html.colours()[name][1:]))) / 255


# blue below zero, white at zero, vermilion above: readable without red against green
NEGATIVE, ZERO, POSITIVE = colour("train"), colour("paper"), colour("validation")


def weight_images(weight: Array, image_shape: Shape | None = None) -> Array:
    """One picture (K, H, W, 3) in [0, 1] for each of K units, each scaled by its own largest weight.

    weight: a convolution's (kh, kw, C, K), or a dense layer's (H·W·C, K) with the image_shape (H, W, C) it looks at.
    Three channels are colours around grey, one is blue (negative) to vermilion (positive); of others the mean is drawn.
    ValueError when the weights are no picture.
    """
    if weight.ndim == 2 and image_shape is not None and weight.shape[0] == np.prod(image_shape):
        weight = weight.reshape(*image_shape, -1)
    if weight.ndim != 4:
        raise ValueError(
            f"weights of shape {weight.shape} are no pictures: expected (kh, kw, C, units), or "
            f"(H·W·C, units) with image_shape=(H, W, C); got image_shape={image_shape}"
        )
    images = np.moveaxis(np.nan_to_num(weight.astype(np.float64)), -1, 0)
    if images.shape[-1] != 3:
        images = images.mean(axis=-1, keepdims=True)
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    images = images / np.where(largest > 0, largest, 1)
    return 0.5 + images / 2 if images.shape[-1] == 3 else diverging(images)


def diverging(x: Array) -> Array:
    """Colours (..., 3) for x (..., 1) in [-1, 1]."""
    blue, orange = (ZERO - NEGATIVE) * x, (POSITIVE - ZERO) * x
    return ZERO + np.where(x < 0, blue, orange)


def in_colour(image: ArrayLike) -> Array:
    """An example (H, W), (H, W, 1) or (H, W, 3), uint8 or in [0, 1], as (H, W, 3) in [0, 1]."""
    x = np.asarray(image)
    x = x / 255 if x.dtype == np.uint8 else np.clip(np.nan_to_num(x.astype(np.float64)), 0, 1)
    x = x[..., None] if x.ndim == 2 else x
    return np.broadcast_to(x if x.shape[-1] == 3 else x[..., :1], (*x.shape[:2], 3))


def is_image(shape: Shape) -> bool:
    """Whether examples of this shape can be drawn: (H, W), (H, W, 1) or (H, W, 3), and more than a row of numbers."""
    return len(shape) in (2, 3) and min(shape[:2]) > 3 and (len(shape) == 2 or shape[2] in (1, 3))


def grid(images: Array, num_columns: int | None = None, gap: int = 2) -> Array:
    """Pictures (K, H, W, 3) as one, row by row, pale lines of gap pixels between them; about square by default.

    Small pictures get several pixels to each of theirs, or the gaps would outweigh them.
    """
    factor = max(1, 24 // min(images.shape[1:3]))
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, _ = images.shape
    num_columns = num_columns or int(np.ceil(np.sqrt(count)))
    num_rows = -(-count // num_columns)
    out = np.full((num_rows * (height + gap) - gap, num_columns * (width + gap) - gap, 3), 0.87)
    for i, image in enumerate(images):
        top, left = i // num_columns * (height + gap), i % num_columns * (width + gap)
        out[top : top + height, left : left + width] = image
    return out


def data_uri(image: Array) -> str:
    """A picture (H, W, 3) in [0, 1] as the text of a PNG, for an <img> that needs no file."""
    from PIL import Image  # loads in a tenth of matplotlib's time

    buffer = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(buffer, format="png", optimize=True)
    return html.data_uri(buffer.getvalue())
