"""Augmentation of tensors where they are: the same draws as in NumPy, applied to a whole batch by indexing."""

import torch
from torch.nn import functional as tf

from ..datasets import augment


def flip(step, x, rng):
    flipped = torch.from_numpy(rng.random(len(x)) < step.rate).to(x.device)
    return torch.where(flipped[:, None, None, None], x.flip(2), x)


def crop(step, x, rng):
    p, (n, height, width, _) = step.padding, x.shape
    top, left = torch.from_numpy(rng.integers(0, 2 * p + 1, (2, n))).to(x.device)
    padded = tf.pad(x, (0, 0, p, p, p, p))
    rows = top[:, None] + torch.arange(height, device=x.device)
    columns = left[:, None] + torch.arange(width, device=x.device)
    return padded[torch.arange(n, device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def chain(steps, x, rng):
    for step in steps.steps:
        x = STEPS[type(step)](step, x, rng)
    return x


# class -> (augmentation, x (N, H, W, C) tensor, generator) -> tensor
STEPS = {augment.RandomFlip: flip, augment.RandomCrop: crop, augment.Chain: chain}


def on_device(augmentation):
    """A function (x, generator) of tensors that does what the augmentation does; others go through NumPy and back."""
    if augmentation is None:
        return None
    parts = augmentation.steps if isinstance(augmentation, augment.Chain) else [augmentation]
    if all(type(part) in STEPS for part in parts):
        return lambda x, rng: STEPS[type(augmentation)](augmentation, x, rng)
    return lambda x, rng: torch.from_numpy(augmentation(x.cpu().numpy(), rng)).to(x.device)
