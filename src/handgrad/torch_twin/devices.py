"""Devices by name, or one line that says why there is none; data on them, and augmentation where the data are."""

import os

import numpy as np
import torch
from torch.nn import functional as tf

from ..datasets import augment


class Rows:
    """A data set on a device, cut into batches by row numbers, an array: rows[order[:64]] is a tensor."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, rows):
        return self.tensor.index_select(0, torch.from_numpy(rows).to(self.tensor.device))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.tensor.cpu().numpy(), dtype)


def generator_of(device):
    """The generator that dropout on this device draws from. (torch.manual_seed would seed all, and cost 2 ms.)"""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index]
    return torch.mps._get_default_mps_generator() if device.type == "mps" else torch.default_generator


def find_device(name, dtype):
    """The torch.device of a name; under torchrun 'cuda' is this process' own GPU. ValueError where it is not there."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(f"device is {name!r}; expected cpu, cuda, cuda:1 or mps") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(
                f"device is {name!r}, but PyTorch {torch.__version__} finds no CUDA GPU: use device = 'cpu'"
            )
        device = torch.device("cuda", device.index or int(os.environ.get("LOCAL_RANK", 0)))
        if device.index >= torch.cuda.device_count():
            raise ValueError(f"device is {name!r}, but there are only {torch.cuda.device_count()} GPUs, counted from 0")
        torch.cuda.set_device(device)
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(
                f"device is {name!r}, but PyTorch {torch.__version__} finds no Apple GPU; use device = 'cpu'"
            )
        if dtype == "float64":
            raise ValueError("Apple GPUs have no float64: use dtype = 'float32'")
    elif device.type != "cpu":
        raise ValueError(f"device is {name!r}; expected cpu, cuda, cuda:1 or mps")
    return device


# Augmentation of a whole batch by indexing, with the draws that NumPy makes -------------------------------------------


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
