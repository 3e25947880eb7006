"""Data sets: tables that come along, sets of images, and any CSV or NPZ file, by one function."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..arrays import DTypeLike
from ..files import FilePath
from ..naming import advised, check_count, fold
from .catalog import DATASETS, ImageSet, Table, Text, find, image_set
from .dataset import Dataset as Dataset
from .dataset import Split as Split
from .folders import is_folder, load_folder
from .schema import ColumnName, ColumnNames, TableOptions
from .schema import Schema as Schema
from .standardization import Standardization as Standardization
from .tabular import SUFFIXES as SUFFIXES
from .tabular import Preparation, Rows, build, load_file
from .tabular import load_features as load_features
from .text_files import SUFFIXES as TEXT_SUFFIXES
from .text_files import load_text


@advised
def load_dataset(
    name: FilePath,
    *,
    target: ColumnName | None = None,
    drop: ColumnNames = (),
    id: ColumnName | None = None,
    category: ColumnNames = (),
    missing: str | None = None,
    header: bool | None = None,
    decimal: str = ".",
    task: str | None = None,
    validation: float | None = None,
    test: float | None = None,
    seed: int = 0,
    standardize: bool | None = None,
    dtype: DTypeLike = np.float32,
    tokens: str | None = None,
    length: int | None = None,
    encoding: str = "one-hot",
) -> Dataset:
    """The data set of that name, or in that file, in seeded stratified splits.

    Tables come in `dtype`, labels as int64. Images are uint8 (N, height, width, channels), in one copy in memory; they
    have their own test part, and 5000 of their training rows validate unless `validation` says otherwise. Texts are
    whole numbers x (N, length), each of which stands in `class_names`, with the next one at each step as y (N, length);
    their last tenth is the test, and what comes before that validates.

    Parameters
    ----------
    name : str or path
        A name such as "iris" or "mnist" (`handgrad data list` prints them all), or a file that ends in .csv, .tsv (or
        .gz of them) or .npz; or a folder of arrays larger than memory: train_x.npy, train_y.npy and the like, whose
        rows are read when they are used. Of texts "moby-dick" or a .txt file, and any file with `tokens`.
    target : str or int, optional
        The column of a CSV file to be predicted, by name or by number from 1; the last one by default.
    drop : str, int or sequence of them
        Columns to leave out.
    id : str or int, optional
        The column that names the rows, which is left out, too.
    category : str, int or sequence of them
        Columns whose cells are texts, also where they are numbers (zip codes) or of more than 100 kinds. Columns of
        texts are found without it: each of their texts becomes a feature that is 1 or 0.
    missing : {"mean", "median", "drop"}, optional
        What is done about missing values, which are refused otherwise: numbers become the mean or the median of their
        column in the training rows, and texts none of their categories; "drop" leaves such rows out. In all three
        rows without a target are left out.
    header : bool, optional
        Whether the first row holds names. By default it does when none of its cells is a number or missing and none
        repeats.
    decimal : {".", ","}
        The sign before a number's fraction.
    task : {"classification", "regression"}, optional
        For files whose numbers leave a doubt. By default texts are classes, and so are whole numbers of at most 20
        values, each on two rows or more on average.
    validation, test : float or int, optional
        Fractions of the rows, or numbers of rows: 0.2 of all rows for the test, then 0.2 of the rest for validation.
        0: that split is None.
    seed : int
        Decides which rows go where.
    standardize : bool, optional
        Whether columns become (x - mean) / standard deviation, by the statistics of the training rows. None does what
        suits the data: tables are standardised, "digits" is divided by 16, arrays that are no table stay as they are.
    dtype : {float32, float64}
        The dtype of tables and of float arrays.
    tokens : {"characters", "bytes"}, optional
        What the numbers of a text stand for, characters unless given. Bytes take any file.
    length : int, optional
        How many tokens the sequences of a text have, 128 unless given.
    encoding : {"one-hot", "index"}
        What a text in a CSV file becomes: features that are 1 or 0, or its number, for `TableEmbedding`.

    Returns
    -------
    Dataset
        Its `train`, `validation` and `test` are pairs (x, y).

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For an unknown name, naming the nearest; for a file that is unreadable, empty or faulty, naming row and column.

    Examples
    --------
    >>> data = hg.load_dataset("iris")
    >>> data
    <data set iris: 3 classes, x 4 float32, rows: train 96, validation 24, test 30>
    >>> x, y = data.train
    >>> x.shape, y.dtype, data.class_names
    ((96, 4), dtype('int64'), ('setosa', 'versicolor', 'virginica'))
    """
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype}; expected float32 or float64")
    check_count("load_dataset", "seed", seed, minimum=0)
    options = TableOptions(target, drop, id, category, missing, header, decimal, encoding)
    is_read = options != TableOptions(encoding=encoding)
    if is_text(name, tokens, length):
        if is_read or task or standardize:
            what = "target and the like are for tables"
            raise ValueError(f"{name} is read as a text, which takes tokens, length, validation and test: {what}")
        known = known_as(name)
        text = known if isinstance(known, Text) else Text(Path(name).name.split(".")[0], "", str(name))
        return load_text(text, tokens, length, validation, test)
    if is_folder(name):
        if is_read or (validation, test) != (None, None):
            what = "target and the like are for CSV files, and validation and test for one table"
            raise ValueError(f"{name} is a folder of arrays, split as its files say: {what}")
        return load_folder(name, task, Preparation(0, 0, seed, standardize, dtype))
    shares = [0.2 if share is None else share for share in (validation, test)]
    preparation = Preparation(shares[0], shares[1], seed, standardize, dtype)
    if isinstance(name, Path) or str(name).lower().endswith(SUFFIXES):
        if not str(name).lower().endswith(SUFFIXES):
            raise ValueError(f"{name} is no kind of data file known here; expected {', '.join(SUFFIXES)}")
        return load_file(name, options, task, preparation)
    about = find(str(name))
    if task is not None or is_read:
        raise ValueError(f"{about.name} has its target already; target, task and the like are for files")
    if isinstance(about, Table):
        return build(about, Rows.of_csv(about.path, options), None, preparation)
    if test is not None or standardize:
        way_out = "leave out test and standardize (a Normalize layer may follow the scaling to [0, 1])"
        raise ValueError(f"{about.name} has its own test part and stays uint8; {way_out}")
    from .images import load_images  # archives and checksums take their time to import

    return load_images(image_set(about.name), validation, seed)


def is_text(name: FilePath, tokens: str | None, length: int | None) -> bool:
    """Whether this is a text, or any file that is to be read as one."""
    if (known := known_as(name)) is not None:
        if not isinstance(known, Text) and (tokens, length) != (None, None):
            raise ValueError(f"{known.name} is no text, but {known.kind}: leave out tokens and length")
        return isinstance(known, Text)
    return (tokens, length) != (None, None) or str(name).lower().endswith(TEXT_SUFFIXES)


def known_as(name: FilePath) -> Table | Text | ImageSet | None:
    """The data set of that name, if there is one."""
    return next((about for known, about in DATASETS.items() if fold(known) == fold(str(name))), None)
