"""Windows that slide over images: how many fit, a view of all of them, and the way back.

>>> geometry = window_geometry("an example", (1, 4, 4, 1), kernel_size=3, stride=2, padding=1)
>>> geometry.output
(2, 2)
>>> windows(np.ones((1, 4, 4, 1)), geometry).sum(axis=(3, 4, 5))[0]  # in the corner 5 of 9 are padding
array([[4., 6.],
       [6., 9.]])
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Shape

# an int for both axes, or (vertical, horizontal)
Size: TypeAlias = int | Sequence[int]
# these, or 'same' or 'valid'
Padding: TypeAlias = int | Sequence[int] | str
Pair: TypeAlias = tuple[int, int]


class Geometry(NamedTuple):
    """Where the windows lie, each entry a pair (vertical, horizontal); padding is ((top, bottom), (left, right))."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[Pair, Pair]
    output: Pair


def window_geometry(
    name: str, shape: Shape, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1
) -> Geometry:
    """Place windows on images of shape (N, H, W, C).

    Along each axis the kernel spans dilation (kernel - 1) + 1 pixels: output = (size + padding - span) // stride + 1.
    'valid' pads nothing; 'same' pads for output = ceil(size / stride), an odd remainder going to the bottom and right.
    Raises ValueError, opening with name, for anything that is no image or where no window fits.
    """
    check_images(name, shape)
    kernel = pair(name, "kernel_size", kernel_size, 1)
    stride = pair(name, "stride", stride, 1)
    dilation = pair(name, "dilation", dilation, 1)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    pads = paddings(name, shape[1:3], spans, stride, padding)
    padded = [size + sum(pad) for size, pad in zip(shape[1:3], pads, strict=True)]
    if spans[0] > padded[0] or spans[1] > padded[1]:
        what = f"{name}: the kernel spans {spans[0]}x{spans[1]} pixels but the padded image has only"
        raise ValueError(f"{what} {padded[0]}x{padded[1]}; use a smaller kernel, less dilation or more padding")
    height, width = ((size - span) // step + 1 for size, span, step in zip(padded, spans, stride, strict=True))
    return Geometry(kernel, stride, dilation, pads, (height, width))


def check_images(name: str, shape: Shape) -> None:
    """Refuse a shape that is not that of images (N, H, W, C)."""
    if len(shape) != 4 or 0 in shape[1:]:
        what = f"{name}: images are (N, H, W, C), but x has shape {tuple(shape)}"
        raise ValueError(f"{what}; add the missing axes with x.reshape(N, H, W, C), with H, W and C at least 1")


def check_channels(name: str, x_shape: Shape, channels: int) -> None:
    """Refuse images whose last axis is not channels; images that came as (N, C, H, W) get told how to transpose."""
    if x_shape[3] == channels:
        return
    hint = "check the last axis of x"
    if x_shape[1] == channels:
        hint = "this looks like (N, C, H, W): transpose with x.transpose(0, 2, 3, 1)"
    what = f"{name}: expected images (N, H, W, C) with {channels} channels, but x has shape {tuple(x_shape)}"
    raise ValueError(f"{what}; {hint}")


def check_upstream(name: str, dy: Array, shape: Shape) -> None:
    """Refuse a dy that has not the shape of y: it would broadcast, or fail far from here."""
    if dy.shape != tuple(shape):
        raise ValueError(f"{name}: dy must have the shape of y, {tuple(shape)}, but has shape {dy.shape}")


def pair(name: str, argument: str, value: Size, least: int) -> Pair:
    """The ints (vertical, horizontal) of an int or a pair of ints, none below least."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not whole or min(values) < least:
        raise ValueError(f"{name}: {argument} must be an int >= {least} or a pair of them, not {value!r}")
    return int(values[0]), int(values[1])


def paddings(name: str, sizes: Shape, spans: Sequence[int], stride: Pair, padding: Padding) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) for padding given as an int, a pair, 'same' or 'valid'."""
    if isinstance(padding, str) and padding == "same":
        places = zip(sizes, spans, stride, strict=True)
        totals = [max((-(-size // step) - 1) * step + span - size, 0) for size, span, step in places]
        rows, columns = ((total // 2, total - total // 2) for total in totals)
        return rows, columns
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{name}: padding must be an int >= 0, a pair of them, 'same' or 'valid', not {padding!r}")
    vertical, horizontal = (0, 0) if isinstance(padding, str) else pair(name, "padding", padding, 0)
    return (vertical, vertical), (horizontal, horizontal)


def windows(x: Array, geometry: Geometry, fill: float = 0) -> Array:
    """View every window of x (N, H, W, C), padded with fill, as (N, H', W', kh, kw, C)."""
    if any(map(any, geometry.padding)):
        x = np.pad(x, ((0, 0), *geometry.padding, (0, 0)), constant_values=fill)
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel, geometry.stride, geometry.dilation
    spans = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    return view[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)


def add_windows(dwindows: Array, geometry: Geometry, shape: Shape) -> Array:
    """The way back: dx of shape (N, H, W, C) is the sum of all windows' gradients, each at its place.

    A pixel collects from every window that saw it; what falls on the padding is dropped.
    """
    (top, bottom), (left, right) = geometry.padding
    dx = np.zeros((shape[0], top + shape[1] + bottom, left + shape[2] + right, shape[3]), dtype=dwindows.dtype)
    for i, j in np.ndindex(*geometry.kernel):
        # the padded rows and columns that the kernel's entry (i, j) meets as the window slides
        starts = i * geometry.dilation[0], j * geometry.dilation[1]
        axes = zip(starts, geometry.stride, geometry.output, strict=True)
        rows, columns = (slice(start, start + step * (count - 1) + 1, step) for start, step, count in axes)
        dx[:, rows, columns] += dwindows[:, :, :, i, j]
    return dx[:, top : top + shape[1], left : left + shape[2]]
