"""The types of arrays and of what surrounds them, as signatures name them; what is no array; arrays in a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import DTypeLike as DTypeLike
from numpy.typing import NDArray

# of any number type: a pair returns the type it was given, complex included
Array: TypeAlias = NDArray[Any]
# of an array that is there, where DTypeLike is what a caller may name one by
DType: TypeAlias = np.dtype[Any]
# what a forward hands to its own backward; nobody else looks inside
Cache: TypeAlias = Any
# None only where the caller asked for it (input_gradient=False), so that no other caller has to test for it
MaybeArray: TypeAlias = Array | Any
# in a union: None only where the caller had no rows, or asked for nothing that would be there
MaybeNone: TypeAlias = Any
# of one example, the batch axis left out, unless a docstring says otherwise
Shape: TypeAlias = tuple[int, ...]
# in quotes, because naming np.random loads it, which a program that only imports handgrad need not wait for
Generator: TypeAlias = "np.random.Generator"
# what np.random.default_rng takes: None draws anew each time
Seed: TypeAlias = "int | np.random.Generator | None"


PIECE = 2**24  # bytes: so much of an array is looked at in one go


class MappedRows:
    """The rows of an array in a file, read when they are asked for and prepared then: for data larger than memory.

    Parameters
    ----------
    array : numpy.ndarray (N, ...)
        A memory map, as np.load(path, mmap_mode="r") returns it.
    prepare : callable, optional
        function(rows) -> array of the same shape: what is done to rows once they are read.

    Examples
    --------
    >>> rows = MappedRows(np.arange(6.0).reshape(3, 2), lambda rows: rows / 10)
    >>> rows.shape, rows[[0, 2]]
    ((3, 2), array([[0. , 0.1],
           [0.4, 0.5]]))
    """

    def __init__(self, array: Array, prepare: Callable[[Array], Array] = np.asarray) -> None:
        self.array: Array = array
        self.prepare: Callable[[Array], Array] = prepare
        self.shape: Shape = array.shape
        self.ndim: int = array.ndim
        self.dtype: DType = prepare(np.asarray(array[:1])).dtype

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Any) -> Array:
        return self.prepare(np.asarray(self.array[rows]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All rows at once, for whoever has the memory."""
        return np.asarray(self[:], dtype)


def array_of(name: str, value: Any) -> Array:
    """value as an array, which is no masked one."""
    if type(value) is np.ndarray:  # as a rule, in every step
        array: Array = value
        return array
    refuse_masked(name, value)
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is no array: the rows of a list must all have the same length") from None


def refuse_masked(name: str, value: Any) -> None:
    """Raise a TypeError for a masked array: its mask would be lost, and what lies under it be learnt from."""
    if isinstance(value, np.ma.MaskedArray):
        advice = "leave out the masked rows, or fill them with its filled(...)"
        raise TypeError(f"{name} is a masked array, and no network knows masks: {advice}")


def numbers_of(name: str, value: Any, kinds: str = "biuf") -> Array:
    """value as an array of real numbers, or a TypeError; kinds are NumPy's letters for dtypes."""
    array = array_of(name, value)
    if array.dtype.kind not in kinds:
        advice = {"c": "pass its .real part", "O": "turn it into numbers with .astype(float)"}.get(array.dtype.kind, "")
        raise TypeError(f"{name} must be an array of numbers, got dtype {array.dtype}" + (advice and f": {advice}"))
    return array


def rows_of(name: str, value: Any) -> Array | MappedRows:
    """value as an array whose rows can be had; one that lies in a file stays there."""
    if isinstance(value, np.memmap) and value.ndim:
        return MappedRows(value)
    return value if isinstance(value, MappedRows) else array_of(name, value)


def pieces(x: Array | MappedRows) -> Iterator[slice]:
    """Slices that go through the rows of x, each of a few MB."""
    size = max(1, PIECE // max(1, row_bytes(x)))
    for start in range(0, len(x), size):
        yield slice(start, start + size)


def row_bytes(x: Array | MappedRows) -> int:
    """How much memory a row takes."""
    return x.dtype.itemsize * math.prod(x.shape[1:])
