"""Which functions do the work between the products: compiled ones where Numba is installed, else plain NumPy."""

import os
from importlib.util import find_spec

from . import plain

WISHES = ("auto", "numpy")


def compiled():
    """The module of compiled functions, or None: without Numba, or where $HANDGRAD_KERNELS says 'numpy'."""
    wish = os.environ.get("HANDGRAD_KERNELS", "auto")
    if wish not in WISHES:
        raise ValueError(f"HANDGRAD_KERNELS is {' or '.join(WISHES)}, not {wish!r}")
    if wish == "numpy" or find_spec("numba") is None:
        return None
    try:
        # here, since importing Numba takes half a second, which only image networks should pay
        from . import compiled as module
    except (ImportError, RuntimeError):  # a Numba too old for this NumPy; nowhere to keep what it compiles
        return None
    return module


def functions(pool=(1, 1)):
    """The module whose functions are to be used with this pooling window."""
    return (compiled() if pool in ((1, 1), (2, 2)) else None) or plain
