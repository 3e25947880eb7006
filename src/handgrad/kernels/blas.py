"""The library behind NumPy's matrix products: how many threads it uses, and which processor it thinks it runs on."""

import ctypes
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

CPU_INFO = Path("/proc/cpuinfo")
MAPS = Path("/proc/self/maps")  # Linux: every file this process has mapped
BUNDLED = ("../numpy.libs/*openblas*", ".dylibs/*openblas*")  # where NumPy's wheels keep their OpenBLAS
SPELLINGS = [(prefix, suffix) for prefix in ("scipy_", "") for suffix in ("64_", "", "_64")]


class OpenBlas:
    """OpenBLAS through its own C functions."""

    def __init__(self, library: ctypes.CDLL, prefix: str, suffix: str) -> None:
        self._library, self._integer = library, "int64" if suffix else "int32"
        self._product = f"{prefix}cblas_{{}}gemm{suffix}"
        self._set = getattr(library, f"{prefix}openblas_set_num_threads{suffix}")
        self._get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}")
        self._core = getattr(library, f"{prefix}openblas_get_corename{suffix}")
        self._core.restype = ctypes.c_char_p

    def num_threads(self) -> int:
        number: int = self._get()
        return number

    def set_threads(self, n: int) -> None:
        self._set(n)

    def gemm(self, dtype: np.dtype[Any]) -> tuple[int, str]:
        """The address of cblas_sgemm or cblas_dgemm, and the type of its sizes: 'int32' or 'int64'."""
        function = getattr(self._library, self._product.format({"float32": "s", "float64": "d"}[dtype.name]))
        return ctypes.cast(function, ctypes.c_void_p).value or 0, self._integer

    @property
    def name(self) -> str:
        return f"OpenBLAS ({self._core().decode()} kernels)"


class ForeignBlas:
    """Any other library that threadpoolctl knows (MKL, BLIS), if it is installed."""

    def __init__(self, libraries: Sequence[Any]) -> None:
        self._libraries = libraries

    def num_threads(self) -> int:
        number: int = max(library.num_threads for library in self._libraries)
        return number

    def set_threads(self, n: int) -> None:
        for library in self._libraries:
            library.set_num_threads(n)

    @property
    def name(self) -> str:
        return " and ".join(sorted({library.internal_api for library in self._libraries}))


@lru_cache(maxsize=1)
def find() -> OpenBlas | ForeignBlas | None:
    """What controls the threads of NumPy's products: an OpenBlas, a ForeignBlas, or None when nobody can."""
    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # some builds load their library with the first product
    for path in candidates():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for prefix, suffix in SPELLINGS:
            if hasattr(library, f"{prefix}openblas_set_num_threads{suffix}"):
                return OpenBlas(library, prefix, suffix)
    return find_foreign()


def find_foreign() -> ForeignBlas | None:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return ForeignBlas(libraries) if libraries else None


def candidates() -> list[Path] | list[str]:
    """Files that may be NumPy's OpenBLAS: the one in its wheel, else any this process has mapped."""
    package = Path(np.__file__).parent
    bundled = [path for pattern in BUNDLED for path in package.glob(pattern)]
    if bundled or not MAPS.exists():
        return bundled
    return sorted(set(re.findall(r"(/\S*openblas\S*)", MAPS.read_text())))


def advice() -> str:
    """How to make this machine's products faster, or '': AVX-512 in the processor that OpenBLAS does not use."""
    blas = find()
    if not isinstance(blas, OpenBlas) or not CPU_INFO.exists() or "avx512bw" not in CPU_INFO.read_text():
        return ""
    if any(core in blas.name for core in ("SkylakeX", "Cooperlake", "Sapphire")):
        return ""
    return (
        f"this processor has AVX-512 but {blas.name} do not use it: start Python with the environment variable "
        "OPENBLAS_CORETYPE=SKYLAKEX, which can double the speed of products"
    )
