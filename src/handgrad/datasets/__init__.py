"""Data sets: tables that come along, sets of images, and any CSV or NPZ file, by one function."""

from pathlib import Path

import numpy as np

from ..arrays import DTypeLike
from ..files import FilePath
from ..naming import check_count
from .catalog import Table, find
from .data_files import read_csv
from .dataset import Dataset as Dataset
from .dataset import Split as Split
from .dataset import Standardization as Standardization
from .tabular import SUFFIXES as SUFFIXES
from .tabular import Preparation, build, load_file
from .tabular import load_features as load_features


def load_dataset(
    name: FilePath,
    *,
    target: str | int | None = None,
    task: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    seed: int = 0,
    standardize: bool | None = None,
    dtype: DTypeLike = np.float32,
) -> Dataset:
    """The data set of that name, or in that .csv, .tsv (or .gz of them) or .npz file, in seeded stratified splits.

    test and validation are fractions or numbers of rows: 0.2 of all rows, then 0.2 of the rest (0: no such split).
    standardize: by the statistics of the training rows; None does what suits the data set. target: the column of a
    file by name or number from 1 (the last); task: "classification" or "regression" where the file's numbers leave a
    doubt. Tables come in dtype, labels as int64. Images are uint8 (N, height, width, channels); they have their own
    test part, and 5000 of their training rows validate unless validation says otherwise. Raises ValueError for an
    unknown name and for a file that is unreadable, empty or faulty, naming row and column.
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype}; expected float32 or float64")
    check_count("load_dataset", "seed", seed, minimum=0)
    shares = [0.2 if share is None else share for share in (validation, test)]
    preparation = Preparation(shares[0], shares[1], seed, standardize, dtype)
    if isinstance(name, Path) or str(name).lower().endswith(SUFFIXES):
        if not str(name).lower().endswith(SUFFIXES):
            raise ValueError(f"{name} is no kind of data file known here; expected {', '.join(SUFFIXES)}")
        return load_file(name, target, task, preparation)
    about = find(str(name))
    if target is not None or task is not None:
        raise ValueError(f"{about.name} has its target already; target and task are for files")
    if isinstance(about, Table):
        return build(about, read_csv(about.path), None, preparation)
    if test is not None or standardize:
        way_out = "leave out test and standardize (a Normalize layer may follow the scaling to [0, 1])"
        raise ValueError(f"{about.name} has its own test part and stays uint8; {way_out}")
    from .images import load_images  # archives and checksums take their time to import

    return load_images(about, validation, seed)
