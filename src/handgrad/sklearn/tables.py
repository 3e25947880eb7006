"""X and y as scikit-learn checks them: tables, sparse matrices and images, for training and for prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

from ..arrays import Array, Shape, refuse_masked
from .parameters import Parameters

FLOATS = (np.float32, np.float64)


@dataclass
class Inputs:
    """What an estimator reads: its network's dtype, and the shape of an image, None where X is a table."""

    dtype: np.dtype[Any]
    shape: Shape | None

    @classmethod
    def of(cls, net: Parameters, x: Any) -> Inputs:
        """What the x of a first fit says, and the parameters input_shape and dtype."""
        shape = net.input_shape
        if shape is None and net.layers is not None and has_examples_of_shape(x):
            shape = x.shape[1:]
        return cls(choose_dtype(net, x, shape), shape)

    def check(self, net: Parameters, x: Any, reset: bool = False, **with_y: Any) -> Any:
        """x as floats (N, features), csr, or images (N, height, width, channels); (x, y) if y=... is among with_y.

        The first call (reset) fixes number and names of the features. with_y also holds options of scikit-learn's
        validate_data.
        """
        for name, given in (("X", x), ("y", with_y.get("y"))):
            refuse_masked(name, given)
        x = self.as_rows(net, x)
        if self.shape is not None and getattr(x, "dtype", None) == np.uint8:
            x = x * self.dtype.type(1 / 255)  # uint8 means pixels where x holds images, as everywhere in handgrad
        checked = validate_data(net, x, accept_sparse="csr", dtype=self.dtype, reset=reset, **with_y)
        x, *y = checked if with_y else (checked,)
        x = x if self.shape is None else as_images(x, self.shape)
        if not y:
            return x
        (y,) = y
        return x, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def as_rows(self, net: Parameters, x: Any) -> Any:
        """x with one row an example."""
        if not has_examples_of_shape(x) or self.shape is None:
            return x
        if x.shape[1:] != tuple(self.shape):
            expected = f"{type(net).__name__} expects {tuple(self.shape)}"
            raise ValueError(f"X holds examples of shape {x.shape[1:]}, {expected}")
        return x.reshape(len(x), -1)


def has_examples_of_shape(x: Any) -> bool:
    """Whether x holds more than one row of numbers for each example."""
    return not sparse.issparse(x) and getattr(x, "ndim", 2) > 2


def as_images(x: Any, shape: Shape) -> Array:
    """Rows (N, features) as images (N, *shape); ValueError where the numbers don't make such images."""
    if sparse.issparse(x):
        raise ValueError(f"examples of shape {tuple(shape)} cannot be sparse: pass X.toarray()")
    needed, images = math.prod(shape), np.asarray(x)
    if images.shape[1] != needed:
        raise ValueError(f"input_shape {tuple(shape)} takes {needed} numbers an example, X has {x.shape[1]} features")
    return images.reshape(-1, *shape)


def choose_dtype(net: Parameters, x: Any, shape: Shape | None) -> np.dtype[Any]:
    """The network's dtype: the one asked for, else float32 where x is float32 or pixels, else float64."""
    if net.dtype is not None:
        dtype = np.dtype(net.dtype)
        if dtype not in FLOATS:
            raise ValueError(f"dtype must be 'float32', 'float64' or None for that of X, got {net.dtype!r}")
        return dtype
    given = getattr(x, "dtype", None)
    return np.dtype(np.float32 if given == np.float32 or (shape is not None and given == np.uint8) else np.float64)


def check_weights(sample_weight: Any, x: Any) -> Array | None:
    """sample_weight (N,) in the dtype of x, or None; ValueError for negative weights and for nothing but zeros."""
    if sample_weight is None:
        return None
    refuse_masked("sample_weight", sample_weight)
    weight: Array = _check_sample_weight(sample_weight, x, dtype=x.dtype)
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError("sample_weight must be 0 or more, and not all 0")
    return weight
