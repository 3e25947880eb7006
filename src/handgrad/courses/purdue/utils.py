"""utils: coloured messages, checks that only print, and Fashion-MNIST."""

from typing import Any

import numpy as np

from ...datasets.catalog import image_set
from ...datasets.images import read_part

__all__ = [
    "assert_greater_equal",
    "assert_less_equal",
    "load_mnist_f",
    "print_blue",
    "print_green",
    "print_red",
    "print_yellow",
]


def print_red(msg: str) -> None:
    """Print in red."""
    print_coloured(91, msg)


def print_green(msg: str) -> None:
    """Print in green."""
    print_coloured(92, msg)


def print_yellow(msg: str) -> None:
    """Print in yellow."""
    print_coloured(93, msg)


def print_blue(msg: str) -> None:
    """Print in blue."""
    print_coloured(94, msg)


def print_coloured(code: int, msg: str) -> None:
    print(f"\033[{code}m {msg}\033[00m")


def assert_less_equal(actual: float, expected: float, msg: str) -> None:
    """Print msg, green where actual < expected, else red: nothing is raised, and equal counts as failed."""
    (print_green if actual < expected else print_red)(msg)


def assert_greater_equal(actual: float, expected: float, msg: str) -> None:
    """Print msg, green where actual > expected, else red: nothing is raised, and equal counts as failed."""
    (print_green if actual > expected else print_red)(msg)


def load_mnist_f(return_tensor: bool = False) -> tuple[Any, ...]:
    """(X_train, y_train, X_test, y_test) of Fashion-MNIST: images (N, 28, 28) uint8, labels (N,) int64.

    With return_tensor they are PyTorch's. The files are handgrad's (`handgrad data get fashion-mnist`).
    """
    about = image_set("fashion-mnist")
    arrays = [array for part in (about.train, about.test) for array in read_part(about, part)]
    arrays = [np.squeeze(array) for array in arrays]
    if not return_tensor:
        return tuple(arrays)
    import torch

    return tuple(map(torch.from_numpy, arrays))
