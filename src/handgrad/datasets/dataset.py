"""What a data set is: its splits, and all that is needed to read more rows of the same kind."""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Examples x (N, ...) and their targets y (N,): int labels, or numbers in regression."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Standardization:
    """x -> (x - mean) / scale by column, with statistics kept from the training rows; lists of numbers will do."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, x):
        """Mean and standard deviation of the columns of x (N, features); a constant column keeps scale 1."""
        mean, scale = x.mean(axis=0), x.std(axis=0)
        # rounding leaves a constant column a spread of a few ulps, which must not be blown up to 1
        constant = scale <= 10 * np.finfo(scale.dtype).eps * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, scale))

    def apply(self, x):
        """x (N, features) standardised; a float x keeps its dtype."""
        x = np.asarray(x)
        mean, scale = np.asarray(self.mean, np.float64), np.asarray(self.scale, np.float64)
        if x.shape[-1:] != mean.shape[-1:]:
            raise ValueError(f"x is {x.shape}; expected (N, {len(mean)}), the features of the data set")
        standardised = (x - mean) / scale
        return standardised.astype(x.dtype, copy=False) if x.dtype.kind == "f" else standardised

    def as_dict(self):
        """{'mean': [...], 'scale': [...]}, so that Standardization(**read_back) is the same again."""
        return {"mean": np.asarray(self.mean).tolist(), "scale": np.asarray(self.scale).tolist()}


@dataclass(frozen=True, eq=False)
class Dataset:
    """A named data set in splits, each a pair (x, y); a split of no rows is None.

    class_names[k] is the name of label k (empty in regression); fingerprint is a hash of the whole data as it was
    before splitting and standardising, for run records.
    """

    name: str
    task: str  # "classification" or "regression"
    train: Split
    validation: Split | None
    test: Split | None
    class_names: tuple
    feature_names: tuple  # of the columns of a table; empty for images
    target_name: str
    standardization: Standardization | None
    source: str
    licence: str
    fingerprint: str

    def __repr__(self):
        rows = ", ".join(
            f"{part} {len(split.y)}"
            for part in ("train", "validation", "test")
            if (split := getattr(self, part)) is not None
        )
        kind = f"{len(self.class_names)} classes" if self.class_names else "regression"
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"<data set {self.name}: {kind}, x {shape} {self.train.x.dtype}, rows: {rows}>"


def fingerprint(*parts):
    """SHA-256 over arrays (dtype, shape, bytes) and texts, as a hex string."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data.cast("B") if part.size else b"")
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
