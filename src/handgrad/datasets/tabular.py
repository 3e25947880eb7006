"""Tables: the five that come with handgrad, and the CSV and NPZ files of the user."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .csv_files import read_csv, read_features
from .dataset import Dataset, Split, Standardization, fingerprint
from .npz_files import is_images, read_npz, read_npz_features
from .splits import three_way
from .targets import encode_targets

FOLDER = Path(__file__).parent / "tables"
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".npz")
UCI = "UCI Machine Learning Repository, https://archive.ics.uci.edu/dataset/"


class Shipped(NamedTuple):
    """A table of the package; scale, where given, is what its features are divided by instead of standardising."""

    file: str
    title: str
    source: str
    licence: str
    scale: float | None = None


TABLES = {
    "iris": Shipped(
        "iris.csv", "flowers of three species by four lengths", f"R. A. Fisher, 1936; {UCI}53/iris", "CC BY 4.0"
    ),
    "wine": Shipped(
        "wine.csv",
        "wines of three cultivars by thirteen measurements",
        f"S. Aeberhard and M. Forina, 1991; {UCI}109/wine",
        "CC BY 4.0",
    ),
    "breast-cancer": Shipped(
        "breast-cancer.csv",
        "tumours, benign or malignant, by thirty measurements of cell nuclei",
        f"W. Wolberg, O. Mangasarian, N. Street and W. Street, 1993; {UCI}17/breast+cancer+wisconsin+diagnostic",
        "CC BY 4.0",
    ),
    "digits": Shipped(
        "digits.csv.gz",
        "handwritten digits as 8x8 images, one row each",
        "E. Alpaydin and C. Kaynak, 1998 (its test part); UCI Machine Learning Repository, "
        f"{UCI}80/optical+recognition+of+handwritten+digits",
        "CC BY 4.0",
        scale=16.0,
    ),
    "diabetes": Shipped(
        "diabetes.csv.gz",
        "progression of diabetes after a year by ten measurements",
        "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, 2004, "
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "none stated; published by its authors and distributed with scikit-learn (BSD-3-Clause)",
    ),
}


def load_shipped(name, validation, test, seed, standardize, dtype):
    """One of the five tables; standardize=None divides the digits by 16 and standardises the others."""
    shipped = TABLES[name]
    table = read_csv(FOLDER / shipped.file)
    fixed = None
    if standardize is None and shipped.scale:
        width = table.x.shape[1]
        fixed = Standardization(np.zeros(width), np.full(width, shipped.scale))
    y, class_names, task = encode_targets(table.target, None, name)
    return build(
        table.x,
        y,
        name=name,
        task=task,
        class_names=class_names,
        feature_names=table.feature_names,
        target_name=table.target_name,
        source=shipped.source,
        licence=shipped.licence,
        validation=validation,
        test=test,
        seed=seed,
        standardize=standardize is not False,
        fixed=fixed,
        dtype=dtype,
    )


def load_file(path, target, task, validation, test, seed, standardize, dtype):
    """The user's table in a CSV file, or arrays x and y in an NPZ file; standardize=None does so for tables only."""
    where, name = str(path), Path(path).name.split(".")[0]
    if where.lower().endswith(".npz"):
        if target is not None:
            raise ValueError(f"target={target!r} names a column of a CSV file; {where} keeps its targets as 'y'")
        x, raw = read_npz(where)
        feature_names, target_name = (), "y"
    else:
        x, raw, feature_names, target_name = read_csv(where, target)
    y, class_names, task = encode_targets(raw, task, where)
    if standardize and x.ndim != 2:
        raise ValueError(f"standardize=True needs a table (N, features); x of {where} is {x.shape}")
    return build(
        x,
        y,
        name=name,
        task=task,
        class_names=class_names,
        feature_names=feature_names,
        target_name=target_name,
        source=where,
        licence="not stated",
        validation=validation,
        test=test,
        seed=seed,
        standardize=x.ndim == 2 and standardize is not False,
        dtype=dtype,
    )


def build(x, y, *, task, validation, test, seed, standardize, dtype, fixed=None, **about):
    """A Dataset of x (N, ...) and y (N,): split, standardised by its training rows and cast; uint8 images stay so."""
    if len(y) < 3:
        raise ValueError(f"{about['source']} has {len(y)} rows; three splits need at least 3")
    mark = fingerprint(x, y, about["class_names"])
    groups = y if task == "classification" else np.zeros(len(y), np.int64)
    parts = three_way(groups, validation, test, seed)
    standardization = (fixed or Standardization.fit(x[parts[0]])) if standardize else None
    splits = []
    for rows in parts:
        part = x[rows] if standardization is None else standardization.apply(x[rows])
        targets = y[rows] if task == "classification" else y[rows].astype(dtype)
        splits.append(Split(part if is_images(x) else cast(part, dtype), targets) if len(rows) else None)
    return Dataset(
        task=task,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        standardization=standardization,
        fingerprint=mark,
        **about,
    )


def cast(x, dtype):
    """x in dtype, or a ValueError where a number does not fit into it."""
    with np.errstate(over="ignore"):
        fitted = x.astype(dtype)
    if not np.isfinite(fitted).all():
        row, column = np.argwhere(~np.isfinite(fitted.reshape(len(x), -1)))[0]
        raise ValueError(
            f"feature {column + 1} holds a number too large for {np.dtype(dtype)} "
            f"({x.reshape(len(x), -1)[row, column]:g}); scale the column, or pass dtype=float64"
        )
    return fitted


def load_features(path, feature_names=(), target_name=None):
    """x in float64 (uint8 for images) of a CSV or NPZ file of new examples, in the columns a model was trained on.

    feature_names and target_name are the data set's; the target column may be there or not. What the model takes is
    `dataset.standardization.apply(x)`, where the data set has one.
    """
    where = str(path)
    if where.lower().endswith(".npz"):
        return read_npz_features(where, len(feature_names))
    if not feature_names:
        raise ValueError(
            f"{where}: the data trained on has no named columns; expected an .npz file with its x "
            "('handgrad predict' also takes IDX files, named such as t10k-images-idx3-ubyte)"
        )
    return read_features(where, tuple(feature_names), target_name)
