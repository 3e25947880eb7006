"""Which functions do the work can be asked for by name."""

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
