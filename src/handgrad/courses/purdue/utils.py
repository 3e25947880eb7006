"""utils: coloured messages, checks that only print, and Fashion-MNIST."""

from typing import Any

import numpy as np

from ...arrays import Array
from ...datasets.images import read_whole


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
    arrays = [np.squeeze(array) for array in read_whole("fashion-mnist")]
    if not return_tensor:
        return tuple(arrays)
    import torch

    return tuple(map(torch.from_numpy, arrays))


def fashion_parts(rows: int = 2000) -> list[tuple[Array, Array]]:
    """[(X, y)] to train, validate and test: rows of 784 pixels in [0, 1], one-hot rows.

    The course trains on 2000 images, as scikit-learn's train_test_split with random_state=42 chose them, and looks at
    200 others while it does; the test is all 10,000.
    """
    X, y, X_test, y_test = load_mnist_f()
    order = np.random.RandomState(42).permutation(len(X))
    chosen = ((X, y, order[200 : 200 + rows]), (X, y, order[:200]), (X_test, y_test, slice(None)))
    return [(X[part].reshape(-1, 784) / 255, np.eye(10)[y[part]]) for X, y, part in chosen]


def tensors(parts: list[tuple[Array, Array]], shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """The same as PyTorch's float32, the rows of X in this shape."""
    import torch

    return [(torch.tensor(X.reshape(len(X), *shape)).float(), torch.tensor(y).float()) for X, y in parts]
