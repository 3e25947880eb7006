"""neural_networks.utils.data_structures: dictionaries with attributes, one-hot rows, and the type of arrays."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]


class AttrDict(dict[str, Any]):
    """A dictionary whose keys are attributes too: d.name is d["name"]."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.__dict__ = self


def integers_to_one_hot(integer_vector: ArrayLike, max_val: int | None = None) -> Array:
    """(n, max_val + 1) rows of zeros with a one at each integer; max_val is the largest integer, 9 for ten classes."""
    integers = np.atleast_1d(np.squeeze(integer_vector)).astype(int)
    rows: Array = np.eye((integers.max() if max_val is None else max_val) + 1)[integers]
    return rows


def floats(array: ArrayLike) -> Array:
    """The array itself, or as float64 if it holds whole numbers."""
    array = np.asarray(array)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)
