"""The matrix library behind NumPy: found, counted, set, and advised about."""

import pytest

from handgrad.kernels import blas
from handgrad.kernels.threads import num_threads, set_threads, share

has_openblas = pytest.mark.skipif(not isinstance(blas.find(), blas.OpenBlas), reason="NumPy has no OpenBLAS")


@pytest.fixture
def found_again():
    """Let find() look anew in this test, and once more after it."""
    before = num_threads()
    blas.find.cache_clear()
    yield
    blas.find.cache_clear()
    set_threads(before)


@has_openblas
def test_threads_are_read_and_set():
    library, before = blas.find(), blas.find().num_threads()
    library.set_threads(1)
    assert library.num_threads() == 1
    library.set_threads(before)
    assert library.name.startswith("OpenBLAS (")


@has_openblas
def test_threadpoolctl_helps_where_the_library_is_not_found(found_again, monkeypatch):
    pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(blas, "candidates", list)
    library = blas.find()
    assert isinstance(library, blas.ForeignBlas) and "openblas" in library.name
    library.set_threads(1)
    assert library.num_threads() == 1


def test_work_is_shared_even_if_nobody_can_set_the_library(found_again, monkeypatch):
    monkeypatch.setattr(blas, "candidates", list)
    monkeypatch.setattr(blas, "find_foreign", lambda: None)
    assert blas.find() is None
    assert blas.advice() == ""
    set_threads(2)
    parts = []
    share(4, lambda worker, start, stop: parts.append((start, stop)), work=10**9)
    assert sorted(parts) == [(0, 2), (2, 4)]


@has_openblas
@pytest.mark.parametrize(
    ("flags", "core", "advised"),
    [
        ("fpu avx2 avx512f avx512bw", "Zen", True),
        ("fpu avx2 avx512f avx512bw", "SkylakeX", False),
        ("fpu avx2", "Haswell", False),
    ],
)
def test_avx512_left_unused_is_pointed_out(flags, core, advised, tmp_path, monkeypatch):
    monkeypatch.setattr(blas, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(blas.OpenBlas, "name", f"OpenBLAS ({core} kernels)")
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    assert ("OPENBLAS_CORETYPE=SKYLAKEX" in blas.advice()) == advised
