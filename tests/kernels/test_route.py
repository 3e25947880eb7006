"""Which functions do the work can be asked for by name."""

import os
import subprocess
import sys

import pytest

from handgrad.kernels import route


@pytest.mark.parametrize("wish", ["", "auto", "winograd"])
def test_the_best_is_the_default(wish, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", wish)
    assert route.wish() == "winograd"


def test_what_is_not_there_is_numpy(monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", "compiled")
    monkeypatch.setattr(route, "find_spec", lambda name: None)
    assert route.name() == "numpy"


def test_numpy_alone_is_had_by_name(monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", "numpy")
    assert route.name() == "numpy"
    assert route.compiled() is None


def twice(x):
    return 2 * x


def test_a_full_disk_keeps_nothing_from_being_compiled(monkeypatch):
    pytest.importorskip("numba")
    from handgrad.kernels import compiled

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert compiled.compiled(twice)(2.0) == 4


CHANGED = """
import numpy as np
from handgrad.kernels import compiled
{change}
with compiled.announced("a test"):
    compiled.place(np.ones((1, 2, 2, 1)), np.zeros((1, 4, 4, 1)), (1, 1))
"""


def test_what_another_numpy_or_source_was_compiled_for_is_compiled_anew(tmp_path):
    pytest.importorskip("numba")

    def said(change):
        code = [sys.executable, "-c", CHANGED.format(change=change)]
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        return subprocess.run(code, env=environment, check=True, capture_output=True, text=True).stderr

    other = "compiled.place._cache._cache_file._source_stamp = '1.0', *compiled.source_stamp()[1:]"
    assert ["compiling a test" in said(change) for change in ("", "", other, other, "")] == [
        True,
        False,
        True,
        False,
        True,
    ]
