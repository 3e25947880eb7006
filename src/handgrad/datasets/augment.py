"""Random changes to training images that leave their class: flips and shifted crops, a batch at a time.

Each is called as augmentation(x, rng) with images (N, height, width, channels), raw uint8 or floats, gives a new batch
of the same shape and dtype, and draws only from rng, so a seed repeats a run.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, Generator
from ..naming import build, by_name, check_count, check_number, constructor_arguments


class Augmentation:
    """Subclass with `change(x, rng)`."""

    def __call__(self, x: Array, rng: Generator) -> Array:
        if x.ndim != 4:
            raise ValueError(f"{type(self).__name__} takes images (N, height, width, channels); got {x.shape}")
        return self.change(x, rng)

    def change(self, x: Array, rng: Generator) -> Array:
        """A new batch of the shape and dtype of x (N, height, width, channels), drawn from rng alone."""
        raise NotImplementedError(f"{type(self).__name__} needs a method change(x, rng)")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in constructor_arguments(self).items())
        return f"{type(self).__name__}({arguments})"


class RandomFlip(Augmentation):
    """Mirror each image left to right with probability `rate`."""

    def __init__(self, rate: float = 0.5) -> None:
        self.rate: float = check_number("RandomFlip", "rate", rate, minimum=0, maximum=1)

    def change(self, x: Array, rng: Generator) -> Array:
        chosen = rng.random(len(x)) < self.rate
        flipped = x.copy()
        # take is eight times as fast here as a where with [::-1], which goes element by element
        flipped[chosen] = np.take(x[chosen], np.arange(x.shape[2])[::-1], axis=2)
        return flipped


class RandomCrop(Augmentation):
    """Surround each image by `padding` zeros and cut it out again at a random place (He et al., 2015, section 4.2)."""

    def __init__(self, padding: int = 4) -> None:
        self.padding: int = check_count("RandomCrop", "padding", padding, minimum=0)

    def change(self, x: Array, rng: Generator) -> Array:
        sides = (self.padding, self.padding)
        padded = np.pad(x, ((0, 0), sides, sides, (0, 0)))
        # windows (N, top, left, 1, H, W, C) is a view; taking one place of each image copies just these
        windows = np.lib.stride_tricks.sliding_window_view(padded, x.shape[1:], axis=(1, 2, 3))
        top, left = rng.integers(0, 2 * self.padding + 1, (2, len(x)))
        cut: Array = windows[np.arange(len(x)), top, left, 0]
        return cut


class Chain(Augmentation):
    """One augmentation after the other."""

    def __init__(self, steps: Iterable[Augmentation]) -> None:
        self.steps: list[Augmentation] = list(steps)

    def change(self, x: Array, rng: Generator) -> Array:
        for step in self.steps:
            x = step(x, rng)
        return x


Given: TypeAlias = str | dict[str, Any] | Augmentation
AUGMENTATIONS: dict[str, type[Augmentation]] = by_name("_", RandomCrop, RandomFlip)


def get(given: Given | list[Given] | tuple[Given, ...] | None) -> Augmentation | None:
    """An augmentation from a configuration: a name, a table like {name="random_crop", padding=4}, or a list of these.

    None and an empty list mean no augmentation: None. Raises ValueError for unknown names and arguments.
    """
    if given is None:
        return None
    if isinstance(given, (list, tuple)):
        return Chain([build("augmentation", one, AUGMENTATIONS) for one in given]) if given else None
    return build("augmentation", given, AUGMENTATIONS)
