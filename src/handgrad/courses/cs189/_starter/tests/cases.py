"""The cases of the tests: how layers are made and what sizes go into them; case i has its values in data/*.npz."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"

ACTIVATIONS = [dict(batch=n, dim=d) for n, d in itertools.product((4, 9), (3, 7))]
FULLY_CONNECTED = [
    dict(layer=layer, shape=(n, d))
    for layer in (dict(n_out=6, activation="relu"), dict(n_out=4, activation="tanh"), dict(n_out=9, activation="tanh"))
    for n, d in itertools.product((4, 9), (3, 7))
]
CONV2D = [
    dict(layer=layer, shape=shape)
    for layer in (
        dict(n_out=4, activation="relu", kernel_shape=(3, 3)),
        dict(n_out=4, activation="relu", kernel_shape=(3, 5)),
        dict(n_out=3, activation="relu", kernel_shape=(5, 5)),
        dict(n_out=3, activation="relu", kernel_shape=(5, 5), stride=2),
        dict(n_out=2, activation="tanh", kernel_shape=(3, 3), stride=3),
    )
    for shape in ((2, 8, 8, 3), (2, 9, 7, 2))
]
POOL2D = [
    dict(layer=layer, shape=shape)
    for layer in (
        dict(kernel_shape=(3, 3), mode="max", stride=2),
        dict(kernel_shape=(2, 2), mode="max", stride=2),
        dict(kernel_shape=(2, 2), mode="average", stride=1),
        dict(kernel_shape=(3, 5), mode="max", stride=4, pad="valid"),
        dict(kernel_shape=(5, 5), mode="average", stride=1, pad=2),
    )
    for shape in ((2, 8, 8, 2), (3, 9, 12, 1))
]
FLATTEN = [dict(shape=(4, 3, 5, 2)), dict(shape=(2, 6, 2, 3))]
CROSS_ENTROPY = [dict(batch=n, dim=d) for n, d in itertools.product((4, 9), (3, 7))]
L2 = [dict(batch=n, dim=1) for n in (4, 9)]


def arrays_of(name: str) -> list[dict[str, Any]]:
    """The arrays of the cases of that class, {"input": array, "output": array, ...} each."""
    found: dict[int, dict[str, Any]] = {}
    with np.load(DATA / f"{name}.npz") as values:
        for key in values.files:
            what = key.lstrip("0123456789")
            found.setdefault(int(key.removesuffix(what)), {})[what] = values[key]
    return [found[number] for number in sorted(found)]
