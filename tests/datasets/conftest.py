"""A data folder of the test's own, small image sets under their names, and the local server."""

import pytest

import small_image_sets
from handgrad.datasets import catalog, images


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    monkeypatch.setenv("HANDGRAD_DATA", str(folder))
    monkeypatch.setattr(images, "SYSTEM_FOLDERS", (tmp_path / "system",))
    return folder


@pytest.fixture
def small(data_folder, monkeypatch):
    """small('mnist') puts a small set in the place of the real one: (its files' contents, (x, y) of training)."""

    def small(name):
        make = small_image_sets.cifar_set if name == "cifar10" else small_image_sets.idx_set
        about, contents, train = make(seed=len(name))
        monkeypatch.setitem(catalog.DATASETS, name, about._replace(name=name))
        return contents, train

    return small


@pytest.fixture
def server():
    server = small_image_sets.Server()
    yield server
    server.close()
