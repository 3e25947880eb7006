"""Which functions do the work: compiled ones where Numba is installed, else plain NumPy; $HANDGRAD_KERNELS may say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from types import ModuleType

import numpy as np

from ..arrays import Shape
from . import blas, plain, products
from .passes import BatchPass
from .products import DType, Pair

ROUTES = ("numpy", "compiled", "winograd")  # each has all that those before it have; 'auto' is the last
_exact = ContextVar("exact", default=False)


def name() -> str:
    """What the work is done by here: 'numpy', 'compiled', or 'winograd', which also has fewer multiplications.

    A run's record has it, since the last bits depend on it.
    """
    if not compiled():
        return "numpy"
    return "compiled" if wish() == "winograd" and not fewer_products() else wish()


def wish() -> str:
    """The one of ROUTES that $HANDGRAD_KERNELS asks for; a ValueError where it is none of them."""
    value = os.environ.get("HANDGRAD_KERNELS") or "auto"
    if value not in ("auto", *ROUTES):
        raise ValueError(f"HANDGRAD_KERNELS must be auto, {', '.join(ROUTES[:-1])} or {ROUTES[-1]}, not {value!r}")
    return ROUTES[-1] if value == "auto" else value


def compiled() -> ModuleType | None:
    """The module of compiled functions, or None: without Numba or OpenBLAS, or if $HANDGRAD_KERNELS says 'numpy'."""
    if why_numpy():
        return None
    from . import compiled

    return compiled


def epochs() -> ModuleType | None:
    """The module that trains dense networks, many steps in one call; or None, as `compiled`."""
    if compiled() is None:
        return None
    from . import epochs

    return epochs


def why_numpy() -> str:
    """Why nothing is compiled here, for people; '' where it is."""
    if wish() == "numpy":
        return "HANDGRAD_KERNELS=numpy"
    if find_spec("numba") is None:
        return "Numba is not installed: pip install 'handgrad[fast]'"
    if not isinstance(blas.find(), blas.OpenBlas):
        return "NumPy's products are not OpenBLAS's"
    try:
        # here, since importing Numba takes half a second, which only who trains should pay
        from . import compiled as compiled
    except ImportError:
        return "Numba is too old for this NumPy: pip install --upgrade numba"
    except RuntimeError:
        return "Numba may keep what it compiles nowhere: set NUMBA_CACHE_DIR to a folder that can be written"
    return ""


def vectors() -> ModuleType | None:
    """The module of our own machine code, or None: where it is not asked for, or no gain on this processor."""
    if wish() != "winograd" or not compiled():
        return None
    from . import vectors

    return vectors if vectors.FAST else None


def affine(dtype: DType) -> ModuleType:
    """The module of an affine map's parts, for `products.shared_affine`."""
    return (vectors() if dtype == np.float32 else None) or products


def fewer_products() -> ModuleType | None:
    """The module of Winograd's convolutions, or None: where `vectors` is, or a sum of products is wanted."""
    if _exact.get() or not vectors():
        return None
    from . import winograd

    return winograd


@contextmanager
def sums_of_products() -> Iterator[None]:
    """Models that are built within convolve by plain sums of products, the most exact way, in float32, too."""
    before = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(before)


def batch_pass(input_shape: Shape, weight_shape: Shape, sizes: Pair, pool: Pair, dtype: DType) -> type[BatchPass]:
    """The class of pass over the batch for a convolution of these sizes and pooling windows."""
    module = compiled() if pool in ((1, 1), (2, 2)) else None
    if module is None:
        return BatchPass
    winograd = fewer_products()
    if winograd and winograd.WinogradPass.pays(weight_shape, sizes, dtype):
        fast: type[BatchPass] = winograd.WinogradPass
        return fast
    from .direct import DirectPass

    found: type[BatchPass] = module.CompiledPass
    return DirectPass if DirectPass.pays(weight_shape, sizes, dtype) else found


def steps() -> ModuleType:
    """The module of functions to be used outside a pass."""
    return compiled() or plain
