"""The blocked, threaded products give what np.tensordot gives."""

import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import examples
from handgrad.functional.windows import window_geometry, windows
from handgrad.kernels import products, set_threads
from handgrad.kernels.threads import num_threads

shapes = st.fixed_dictionaries(
    {
        "n": st.integers(0, 9),
        "size": st.integers(3, 7),
        "channels": st.integers(1, 4),
        "out": st.integers(1, 5),
        "kernel": st.integers(1, 3),
        "stride": st.integers(1, 3),
        "padding": st.integers(0, 2),
        "dtype": st.sampled_from([np.float32, np.float64, np.complex128]),
    }
)


@pytest.fixture(params=[1, 2, 3], autouse=True)
def threads(request, monkeypatch):
    """Tiny blocks, and threads for the smallest of products, so that both are used."""
    monkeypatch.setattr("handgrad.kernels.products.BLOCK_BYTES", 1000)
    monkeypatch.setattr("handgrad.kernels.threads.WORTH_A_THREAD", 1)
    before = num_threads()
    set_threads(request.param)
    yield
    set_threads(before)


def draw(n, size, channels, out, kernel, stride, padding, dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, size, size, channels)).astype(dtype)
    seen = windows(x, window_geometry("conv2d", x.shape, kernel, stride, padding))
    dy = rng.normal(size=(*seen.shape[:3], out)).astype(dtype)
    return seen, rng.normal(size=(kernel, kernel, channels, out)).astype(dtype), dy


@examples(100)
@given(shapes)
def test_products_equal_tensordot(shape):
    seen, weight, dy = draw(**shape)
    tolerance = 1e-4 if shape["dtype"] == np.float32 else 1e-12
    y = products.windows_times(seen, weight)
    assert y.dtype == shape["dtype"]
    np.testing.assert_allclose(y, np.tensordot(seen, weight, axes=3), atol=tolerance)
    dweight = products.windows_gradient(seen, dy)
    assert dweight.dtype == shape["dtype"]
    np.testing.assert_allclose(dweight, np.tensordot(seen, dy, axes=((0, 1, 2), (0, 1, 2))), atol=tolerance)


def test_one_number_of_threads_gives_the_same_bits_each_time():
    seen, _, dy = draw(9, 7, 4, 5, 3, 1, 1, np.float32)
    first = products.windows_gradient(seen, dy)
    for _ in range(20):
        np.testing.assert_array_equal(products.windows_gradient(seen, dy), first)


NO_FAULTS = """
import resource, numpy as np
from handgrad.kernels.products import keep_freed_memory
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(2**20, np.uint8) for _ in range(10)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
keep_freed_memory()
print(pages() > 1000, min(pages() for _ in range(40)) < 100)  # the system may take some back meanwhile
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_arrays_that_come_and_go_are_not_fetched_from_the_system_each_time():
    assert subprocess.run([sys.executable, "-c", NO_FAULTS], capture_output=True, text=True).stdout == "True True\n"
