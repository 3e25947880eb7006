"""Arrays x and y in NPZ files, read without running any code from them."""

import zipfile
from pathlib import Path

import numpy as np


def read_npz(path):
    """The arrays x (N, ...) and y (N,) of an NPZ file, or a ValueError saying which is missing or wrong."""
    x, y = open_npz(path, ("x", "y"))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(x) != len(y):
        raise ValueError(f"{path}: x is {x.shape} and y is {y.shape}; expected one target for each row of x, y (N,)")
    if y.dtype.kind not in "US" and (y.dtype.kind not in "biuf" or not np.isfinite(y).all()):
        raise ValueError(f"{path}: y is {y.dtype} or holds NaN or inf; expected labels or finite numbers")
    return x, y


def read_npz_features(path, num_features):
    """x of an NPZ file of new examples; num_features 0 takes any shape."""
    (x,) = open_npz(path, ("x",))
    if num_features and x.shape[1:] != (num_features,):
        raise ValueError(f"{path}: x is {x.shape}; expected (N, {num_features}), the columns trained on")
    return x


def open_npz(path, keys):
    try:
        if Path(path).is_file() and not zipfile.is_zipfile(path):
            raise ValueError("it is no NPZ file; write one by np.savez(path, x=x, y=y)")
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            missing = [key for key in keys if key not in file.files]
            if missing:
                raise ValueError(
                    f"it has no array '{missing[0]}' (its arrays: {', '.join(file.files) or 'none'}); "
                    "save it by np.savez(path, x=x, y=y)"
                )
            arrays = [file[key] for key in keys]
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    return [checked_x(path, arrays[0]), *arrays[1:]]


def checked_x(path, x):
    if x.ndim < 2 or not x.size or x.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: x is {x.shape} {x.dtype}; expected numbers (N, features) or images (N, height, width, channels)"
        )
    if not np.isfinite(x).all():
        row = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{path}: x[{', '.join(map(str, row))}] is {x[tuple(row)]}; expected finite numbers")
    return x if is_images(x) else x.astype(np.float64)


def is_images(x):
    """Whether x is raw images, which stay uint8 until a batch of them is made."""
    return x.dtype == np.uint8 and x.ndim > 2
