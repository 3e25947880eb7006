"""Data sets: five tables that come along, three sets of images, and any CSV or NPZ file, by one function."""

from pathlib import Path

import numpy as np

from ..naming import check_count, look_up
from .dataset import Dataset, Split, Standardization
from .image_sets import IMAGE_SETS
from .tabular import SUFFIXES, TABLES, load_features, load_file, load_shipped

__all__ = ["SUFFIXES", "Dataset", "Split", "Standardization", "load_dataset", "load_features"]


def load_dataset(
    name, *, target=None, task=None, validation=None, test=None, seed=0, standardize=None, dtype=np.float32
):
    """The data set of that name, or in that .csv, .tsv (or .gz of them) or .npz file, in seeded stratified splits.

    test and validation are fractions or numbers of rows: 0.2 of all rows, then 0.2 of the rest (0: no such split).
    standardize: by the statistics of the training rows; None does what suits the data set. target: the column of a
    file by name or number from 1 (the last); task: "classification" or "regression" where the file's numbers leave a
    doubt. Tables come in dtype, labels as int64. Images are uint8 (N, height, width, channels); they have their own
    test part, and 5000 of their training rows validate unless validation says otherwise. Raises ValueError for an
    unknown name and for a file that is unreadable, empty or faulty, naming row and column.
    """
    dtype = float_dtype(dtype)
    check_count("load_dataset", "seed", seed, minimum=0)
    if isinstance(name, Path) or str(name).lower().endswith(SUFFIXES):
        if not str(name).lower().endswith(SUFFIXES):
            raise ValueError(f"{name} is no kind of data file known here; expected {', '.join(SUFFIXES)}")
        return load_file(name, target, task, share(validation), share(test), seed, standardize, dtype)
    known = look_up("data set", name, {key: key for key in (*TABLES, *IMAGE_SETS)})
    if target is not None or task is not None:
        raise ValueError(f"{known} has its target already; target and task are for files")
    if known in IMAGE_SETS:
        if test is not None or standardize:
            raise ValueError(
                f"{known} has its own test part and stays uint8; leave out test and standardize "
                "(a Normalize layer may follow the scaling to [0, 1])"
            )
        from .images import load_images  # archives and checksums take their time to import

        return load_images(known, validation, seed)
    return load_shipped(known, share(validation), share(test), seed, standardize, dtype)


def share(given):
    return 0.2 if given is None else given


def float_dtype(dtype):
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
    return np.dtype(dtype)
