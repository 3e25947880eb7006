"""Pickles of plain data and NumPy arrays, read without running any code from them."""

import pickle

import numpy as np

# what NumPy itself puts into the pickle of an array, whatever the NumPy release calls its module
RECONSTRUCT = np.empty(0).__reduce__()[0]


def latin1_bytes(text, encoding):
    """Stands in for _codecs.encode, by which Python 3 spells bytes in the pickle protocol of Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("_codecs", "encode"): latin1_bytes,
}


class PlainUnpickler(pickle.Unpickler):
    """Unpickles dicts, lists, numbers, text and arrays; every other class or function is refused unlooked-up."""

    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain data")
        return ALLOWED[module, name]


def load_plain(file):
    """The object in an open pickle file (of Python 2 or 3), or a ValueError for damage and for all but plain data."""
    try:
        return PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # damaged pickles raise whatever they like, and it all means the same
        raise ValueError(f"not a pickle of plain data: {error}") from None
