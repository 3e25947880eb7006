"""Which functions do the work between the products: compiled ones where Numba is installed, else plain NumPy."""

import os
from importlib.util import find_spec
from types import ModuleType

from . import blas, plain
from .passes import BatchPass

WISHES = ("auto", "numpy")


def compiled() -> ModuleType | None:
    """The module of compiled functions, or None: without Numba or OpenBLAS, or if $HANDGRAD_KERNELS says 'numpy'."""
    wish = os.environ.get("HANDGRAD_KERNELS") or "auto"
    if wish not in WISHES:
        raise ValueError(f"HANDGRAD_KERNELS must be {' or '.join(WISHES)}, not {wish!r}")
    if wish == "numpy" or find_spec("numba") is None or not isinstance(blas.find(), blas.OpenBlas):
        return None
    try:
        # here, since importing Numba takes half a second, which only image networks should pay
        from . import compiled
    except (ImportError, RuntimeError):  # a Numba too old for this NumPy; nowhere to keep what it compiles
        return None
    return compiled


def batch_pass(pool: tuple[int, int]) -> type[BatchPass]:
    """The class of pass over the batch to be used with this pooling window."""
    module = compiled() if pool in ((1, 1), (2, 2)) else None
    return module.CompiledPass if module else BatchPass


def steps() -> ModuleType:
    """The module of functions to be used outside a pass."""
    return compiled() or plain
