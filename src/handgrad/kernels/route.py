"""Which functions do the work: compiled ones where Numba is installed, else plain NumPy; $HANDGRAD_KERNELS may say."""

import os
from importlib.util import find_spec
from types import ModuleType

from . import blas, plain
from .passes import BatchPass

ROUTES = ("numpy", "compiled", "winograd")  # each has all that those before it have; 'auto' is the last


def name() -> str:
    """What the work is done by here: 'numpy', 'compiled', or 'winograd', which also has fewer multiplications.

    A run's record has it, since the last bits depend on it.
    """
    return wish() if compiled() else "numpy"


def wish() -> str:
    """The one of ROUTES that $HANDGRAD_KERNELS asks for; a ValueError where it is none of them."""
    value = os.environ.get("HANDGRAD_KERNELS") or "auto"
    if value not in ("auto", *ROUTES):
        raise ValueError(f"HANDGRAD_KERNELS must be auto, {', '.join(ROUTES[:-1])} or {ROUTES[-1]}, not {value!r}")
    return ROUTES[-1] if value == "auto" else value


def compiled() -> ModuleType | None:
    """The module of compiled functions, or None: without Numba or OpenBLAS, or if $HANDGRAD_KERNELS says 'numpy'."""
    if wish() == "numpy" or find_spec("numba") is None or not isinstance(blas.find(), blas.OpenBlas):
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
