"""Memory that is used again: fresh arrays of many megabytes cost more in page faults than the arithmetic on them."""

from math import prod

import numpy as np


class Buffers:
    """Arrays by key. The same key gives the same memory again, as long as it is large enough for the shape.

    Memory starts as zeros and keeps what is written: for a key whose shape changes only along its first axis, a border
    that nobody writes stays zero.
    """

    def __init__(self, dtype):
        self._dtype, self._flat = dtype, {}

    def take(self, key, shape, dtype=None):
        size = prod(shape)
        flat = self._flat.get(key)
        if flat is None or flat.size < size:
            flat = self._flat[key] = np.zeros(size, dtype or self._dtype)
        return flat[:size].reshape(shape)
