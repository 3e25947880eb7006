"""The types of arrays and of what surrounds them, as signatures name them."""

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
