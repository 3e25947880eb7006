"""X and y as scikit-learn checks them: tables, sparse matrices and images, for training and for prediction."""

import math

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

FLOATS = (np.float32, np.float64)


def check(estimator, x, reset=False, **with_y):
    """x as floats (N, features), csr, or images (N, height, width, channels); (x, y) if y=... is among with_y.

    The first call (reset) fixes number and names of the features, the shape of an image and the dtype. with_y also
    holds options of scikit-learn's validate_data.
    """
    x, shape = as_rows(estimator, x, reset)
    if reset:
        estimator._image_shape, estimator._dtype = shape, choose_dtype(estimator, x, shape)
    if shape is not None and getattr(x, "dtype", None) == np.uint8:
        x = x * estimator._dtype.type(1 / 255)  # uint8 means pixels where x holds images, as everywhere in handgrad
    checked = validate_data(estimator, x, accept_sparse="csr", dtype=estimator._dtype, reset=reset, **with_y)
    x, *y = checked if with_y else (checked,)
    x = x if shape is None else as_images(x, shape)
    if not y:
        return x
    (y,) = y
    return x, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def as_rows(estimator, x, reset):
    """(x with one row an example, the shape of an image); None for the shape where x is a table."""
    shape = estimator.input_shape if reset else estimator._image_shape
    if sparse.issparse(x) or getattr(x, "ndim", 2) <= 2 or (estimator.layers is None and shape is None):
        return x, shape
    if shape is not None and x.shape[1:] != tuple(shape):
        raise ValueError(f"X holds examples of shape {x.shape[1:]}, {type(estimator).__name__} expects {tuple(shape)}")
    return x.reshape(len(x), -1), x.shape[1:]


def as_images(x, shape):
    """Rows (N, features) as images (N, *shape); ValueError where the numbers don't make such images."""
    if sparse.issparse(x):
        raise ValueError(f"examples of shape {tuple(shape)} cannot be sparse: pass X.toarray()")
    if x.shape[1] != math.prod(shape):
        raise ValueError(
            f"input_shape {tuple(shape)} takes {math.prod(shape)} numbers an example, X has {x.shape[1]} features"
        )
    return x.reshape(-1, *shape)


def choose_dtype(estimator, x, shape):
    """The network's dtype: the one asked for, else float32 where x is float32 or pixels, else float64."""
    if estimator.dtype is not None:
        dtype = np.dtype(estimator.dtype)
        if dtype not in FLOATS:
            raise ValueError(f"dtype must be 'float32', 'float64' or None for that of X, got {estimator.dtype!r}")
        return dtype
    given = getattr(x, "dtype", None)
    return np.dtype(np.float32 if given == np.float32 or (shape is not None and given == np.uint8) else np.float64)


def check_weights(sample_weight, x):
    """sample_weight (N,) in the dtype of x, or None; ValueError for negative weights and for nothing but zeros."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, x, dtype=x.dtype)
    if (weight < 0).any() or not (weight > 0).any():
        raise ValueError("sample_weight must be 0 or more, and not all 0")
    return weight
