"""What a data set is: its splits, how they are drawn, and all that is needed to read more rows of the same kind."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Generator, MaybeNone
from .catalog import ImageSet, Table, Text
from .schema import Schema
from .standardization import Standardization


class Split(NamedTuple):
    """Examples and their targets: a pair, so that `x, y = data.train`.

    Attributes
    ----------
    x : ndarray (N, ...)
        The examples.
    y : ndarray (N,)
        Labels from 0 as int64 in classification, numbers in regression.
    """

    x: Array | Any  # MappedRows of a folder
    y: Array


Source: TypeAlias = Table | Text | ImageSet
Parts: TypeAlias = Iterable[Split | MaybeNone]  # to train, to validate and to test with


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set in splits, and all that is needed to read more rows of the same kind.

    Attributes
    ----------
    name : str
        What `load_dataset` was asked for, or the file's name without its suffix.
    task : {"classification", "regression"}
        What the targets are.
    train, validation, test : Split
        Pairs (x, y); None where the split was asked to have no rows.
    class_names : tuple of str
        class_names[k] is the name of label k; empty in regression.
    feature_names : tuple of str
        Of the columns of a table; empty for images.
    target_name : str
        Of the column that is predicted.
    standardization : Standardization or None
        What was done to x, to be done to new rows as well.
    source, licence : str
        Where the data come from, and how they may be used.
    fingerprint : str
        SHA-256 of the whole data as they were before splitting and standardising, for run records.
    schema : Schema or None
        How each column of a CSV file was read, so that `schema.read` repeats it for new rows; None for other files.
    notes : tuple of str
        What there is to say about the reading of a file: its header, its texts, what was missing.
    tokens : {"", "characters", "bytes"}
        What the numbers of a text stand for; y are then labels (N, T), one for each step.
    """

    name: str
    task: str  # "classification" or "regression"
    train: Split
    validation: Split | MaybeNone
    test: Split | MaybeNone
    class_names: tuple[str, ...]
    target_name: str
    source: str
    licence: str
    fingerprint: str
    feature_names: tuple[str, ...] = ()  # of the columns of a table; empty for images
    standardization: Standardization | None = None
    schema: Schema | MaybeNone = None
    notes: tuple[str, ...] = ()
    tokens: str = ""

    @classmethod
    def of(
        cls, about: Source, task: str, splits: Parts, names: tuple[str, ...], target: str, checksum: str, **more: Any
    ) -> "Dataset":
        """That of an entry of the catalog, or of a user's file, in its three splits."""
        train, validation, test = splits
        origin = about.source, about.licence, checksum
        return cls(about.name, task, train, validation, test, names, target, *origin, **more)

    def __repr__(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        rows = ", ".join(f"{name} {len(split.y)}" for name, split in parts.items() if split is not None)
        kind = f"{len(self.class_names)} classes" if self.class_names else "regression"
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"<data set {self.name}: {kind}, x {shape} {self.train.x.dtype}, rows: {rows}>"


def fingerprint(*parts: object) -> str:
    """SHA-256 over arrays (dtype, shape, bytes) and texts, as a hex string."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


# Which rows train, which validate and which test: seeded, and each class in its share --------------------------------


def draw_rows(groups: Array, count: int, rng: Generator) -> tuple[Array, Array]:
    """Choose `count` rows so that each group gives its share to within a row: (the chosen, the others).

    groups (N,) holds the group of each row, 0 upwards. The rows of a group of n, in random order, stand at
    (i + ½)/n of the way through it; the `count` rows of lowest standing are chosen, and ties are drawn.
    """
    shuffled = rng.permutation(len(groups))
    by_group = shuffled[np.argsort(groups[shuffled], kind="stable")]
    sizes = np.bincount(groups)
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    standing = (place + 0.5) / np.repeat(sizes, sizes)
    ranked = by_group[np.lexsort((rng.random(len(groups)), standing))]
    return ranked[:count], ranked[count:]


def num_rows(share: Any, total: int, what: str) -> int:
    """The rows that `share` of `total` means: a fraction below 1, or a whole number of rows."""
    is_number = isinstance(share, (int, float, np.integer, np.floating)) and not isinstance(share, bool)
    if not is_number or not 0 <= share < total or (share == 1 and isinstance(share, (float, np.floating))):
        raise ValueError(f"{what} is {share!r}; give a fraction from 0 to below 1, or a number of rows below {total}")
    if share == 0:
        return 0
    count = max(1, round(share * total)) if share < 1 else share
    if count != int(count) or count >= total:
        way_out = "give a fraction below 1 or a whole number of rows"
        raise ValueError(f"{what}={share!r} of {total} rows leaves no rows for training; {way_out}")
    return int(count)


def three_way(groups: Array, validation: float, test: float, seed: int) -> tuple[Array, Array, Array]:
    """Row numbers (train, validation, test); validation is a share of what the test leaves."""
    rng = np.random.default_rng(seed)
    test_rows, rest = draw_rows(groups, num_rows(test, len(groups), "test"), rng)
    chosen, others = draw_rows(groups[rest], num_rows(validation, len(rest), "validation"), rng)
    return rest[others], rest[chosen], test_rows
