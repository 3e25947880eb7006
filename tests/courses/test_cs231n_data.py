"""CIFAR-10 and Tiny ImageNet from files as the courses have them."""

import pickle

import numpy as np
import pytest

from handgrad.courses.cs231n import data_utils

RNG = np.random.default_rng(0)


@pytest.fixture
def cifar(tmp_path):
    """A folder of the Python version, four images a batch: (folder, {name: (planes (4, 3, 32, 32), labels)})."""
    batches, folder = {}, tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        planes, labels = RNG.integers(256, size=(4, 3, 32, 32), dtype=np.uint8), RNG.integers(10, size=4).tolist()
        with open(folder / name, "wb") as file:
            pickle.dump({"data": planes.reshape(4, -1), "labels": labels}, file, protocol=2)
        batches[name] = planes, labels
    return folder, batches


def test_a_batch_of_the_python_version(cifar):
    folder, batches = cifar
    planes, labels = batches["data_batch_2"]
    X, y = data_utils.load_CIFAR_batch(folder / "data_batch_2")
    assert X.dtype == np.float64 and np.array_equal(X, planes.transpose(0, 2, 3, 1)) and y.tolist() == labels
    with open(folder / "data_batch_2", "rb") as file:
        assert data_utils.load_pickle(file)["labels"] == labels


def test_the_binary_version_gives_the_same(cifar, tmp_path):
    folder, batches = cifar
    for name, (planes, labels) in batches.items():
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], planes.reshape(4, -1)], axis=1)
        (tmp_path / f"{name}.bin").write_bytes(rows.tobytes())
    for ours, theirs in zip(data_utils.load_CIFAR10(tmp_path), data_utils.load_CIFAR10(str(folder)), strict=True):
        assert np.array_equal(ours, theirs)
    assert len(ours) == 4


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_the_homeworks_parts(cifar, monkeypatch, subtract_mean):
    folder, _ = cifar
    monkeypatch.chdir(folder.parent)
    data = data_utils.get_CIFAR10_data(num_training=15, num_validation=3, num_test=2, subtract_mean=subtract_mean)
    X, y, X_test, y_test = data_utils.load_CIFAR10(folder)
    mean = X[:15].mean(axis=0) if subtract_mean else 0
    assert {name: part.shape[0] for name, part in data.items()} == {
        "X_train": 15,
        "y_train": 15,
        "X_val": 3,
        "y_val": 3,
        "X_test": 2,
        "y_test": 2,
    }
    assert np.allclose(data["X_val"], (X[15:18] - mean).transpose(0, 3, 1, 2)) and data["X_val"].flags.c_contiguous
    assert np.allclose(data["X_test"], (X_test[:2] - mean).transpose(0, 3, 1, 2))
    assert np.array_equal(data["y_val"], y[15:18]) and np.array_equal(data["y_test"], y_test[:2])


def test_no_code_runs_from_a_pickle(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    with pytest.raises(ValueError, match=r"os\.system, which is no plain data"):
        data_utils.load_CIFAR_batch(tmp_path / "data_batch_1")


def test_a_file_that_is_no_batch(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"no batch of CIFAR-10: 5 bytes"):
        data_utils.load_CIFAR_batch(tmp_path / "data_batch_1.bin")


def test_a_folder_without_a_batch_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no data_batch_1, nor data_batch_1\.bin: unpack the Python"):
        data_utils.load_CIFAR10(tmp_path)


def test_the_courses_folder_is_handgrads_where_there_is_none(tmp_path, monkeypatch):
    """As the notebooks write it: cifar10_dir = 'cifar-10-batches-py'."""
    images, labels = RNG.integers(256, size=(3, 32, 32, 3), dtype=np.uint8), np.arange(3)
    monkeypatch.setattr(data_utils, "read_whole", lambda name: (images, labels, images, labels))
    monkeypatch.chdir(tmp_path)
    Xtr, Ytr, Xte, _ = data_utils.load_CIFAR10("../cifar-10-batches-py")
    assert Xtr.dtype == np.float64 and np.array_equal(Xtr, images) and np.array_equal(Xte, images)
    assert Ytr.tolist() == [0, 1, 2]
    assert data_utils.get_CIFAR10_data(2, 1, 1)["X_val"].shape == (1, 3, 32, 32)


def test_tiny_imagenet(tmp_path):
    from matplotlib.image import imsave

    (tmp_path / "wnids.txt").write_text("n02\nn01\n")
    (tmp_path / "words.txt").write_text("n01\tcat, tabby\nn02\tdog\n")
    picture = np.full((8, 8, 3), 60, np.uint8)
    for folder, count in (("train/n01/images", 2), ("train/n02/images", 1), ("val/images", 1), ("test/images", 2)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            imsave(tmp_path / folder / f"{i}.jpeg", picture)
    (tmp_path / "val" / "val_annotations.txt").write_text("0.jpeg\tn01\t0\t0\t7\t7\n")
    data = data_utils.load_tiny_imagenet(tmp_path, subtract_mean=False)
    assert data["class_names"] == [["dog"], ["cat", "tabby"]]
    assert data["y_train"].tolist() == [0, 1, 1] and data["y_val"].tolist() == [1] and data["y_test"] is None
    assert data["X_test"].shape == (2, 3, 8, 8) and data["X_train"].dtype == np.float32
    assert np.allclose(data["mean_image"], 60, atol=2)
    assert np.allclose(data_utils.load_tiny_imagenet(tmp_path)["X_train"], 0, atol=1e-3)
