"""Which functions do the work between the products: compiled ones where Numba is installed, else plain NumPy."""

import importlib.util
import os

from . import plain

ROUTES = ("auto", "numpy")


def compiles():
    """Whether Numba is installed and $HANDGRAD_KERNELS does not say 'numpy'."""
    wish = os.environ.get("HANDGRAD_KERNELS", "auto")
    if wish not in ROUTES:
        raise ValueError(f"HANDGRAD_KERNELS is {' or '.join(ROUTES)}, not {wish!r}")
    return wish == "auto" and importlib.util.find_spec("numba") is not None


def functions(pool=(1, 1)):
    """The module whose functions are to be used with this pooling window."""
    if pool not in ((1, 1), (2, 2)) or not compiles():
        return plain
    from . import compiled  # here: importing Numba takes half a second, which only image networks should pay

    return compiled
