"""Image data sets: read from checked files only, in every form they come in."""

import gzip
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from handgrad.datasets import catalog, load_dataset
from handgrad.datasets.download import get
from handgrad.datasets.images import folders, is_present
from handgrad.datasets.layouts import load_plain
from small_image_sets import archive, folder_names, gzipped, python_batch, write_files

REAL = {"mnist": (55000, (28, 28, 1)), "fashion-mnist": (55000, (28, 28, 1)), "cifar10": (45000, (32, 32, 3))}


def rows(*splits):
    """The set of (image, label) pairs in splits."""
    return sorted((image.tobytes(), label) for split in splits for image, label in zip(*split, strict=True))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_images_labels_and_splits(small, data_folder, name):
    contents, train = small(name)
    write_files(data_folder / name, contents)
    data = load_dataset(name, validation=6, seed=1)
    assert data.train.x.dtype == np.uint8 and data.train.y.dtype == np.int64 and data.class_names == ("a", "b", "c")
    assert data.train.x.shape[1:] == train[0].shape[1:] and len(data.validation.y) == 6
    assert np.bincount(data.validation.y).tolist() == [2, 2, 2]
    assert rows(data.train, data.validation) == rows(train)
    again, other = (load_dataset(name, validation=6, seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(data.train.x, again.train.x)
    assert not np.array_equal(data.validation.x, other.validation.x)
    assert data.fingerprint == other.fingerprint and name in repr(data)


def test_without_validation_rows_keep_their_order(small, data_folder):
    contents, train = small("mnist")
    write_files(data_folder / "mnist", contents)
    data = load_dataset("mnist", validation=0)
    np.testing.assert_array_equal(data.train.x, train[0])
    assert data.validation is None


FORMS = {
    "gzipped": lambda contents: gzipped(contents),
    "plain gzip header": lambda contents: {f"{n}.gz": gzip.compress(d, 1, mtime=7) for n, d in contents.items()},
    "dots in names": lambda contents: {n.replace("-idx", ".idx"): d for n, d in contents.items()},
    "gzipped without saying so": lambda contents: {n: gzip.compress(d) for n, d in contents.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_idx_files(small, data_folder, form):
    contents, train = small("fashion-mnist")
    write_files(data_folder / "fashion-mnist", FORMS[form](contents))
    assert is_present("fashion-mnist")
    np.testing.assert_array_equal(load_dataset("fashion-mnist", validation=0).train.x, train[0])


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("below", [".", "cifar-10-batches-py"])
def test_the_python_version_of_cifar10(small, data_folder, protocol, below):
    contents, train = small("cifar10")
    batches = {name.removesuffix(".bin"): python_batch(data, protocol) for name, data in contents.items()}
    write_files(data_folder / "cifar10" / below, batches)
    data = load_dataset("cifar10", validation=0)
    np.testing.assert_array_equal(data.train.x, train[0])
    np.testing.assert_array_equal(data.train.y, train[1])


def test_system_folders_are_read(small):
    contents, train = small("mnist")
    write_files(folders("mnist")[1], gzipped(contents))
    np.testing.assert_array_equal(load_dataset("mnist", validation=0).train.x, train[0])


def damage(data):
    return {
        "cut": data[:-1],
        "empty": b"",
        "longer": data + b"x",
        "altered": data[:-1] + bytes([data[-1] ^ 1]),
        "cut gzip": gzip.compress(data)[:-9],
        "altered gzip": gzip.compress(b"x" + data[1:]),
        "pickle": pickle.dumps(print),
        "no data": pickle.dumps({"labels": [1]}),
    }


@pytest.mark.parametrize("kind", damage(b"data"))
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_damaged_files_are_never_used(small, data_folder, name, kind):
    contents, _ = small(name)
    first = next(iter(contents))
    folder = write_files(data_folder / name, {**contents, first: damage(contents[first])[kind]})
    message = rf"{first} cannot be used: .*'handgrad data get {name}' puts it right"
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(name)
    assert "\n" not in str(caught.value)
    write_files(folder.parent.parent / "system" / name, contents)
    load_dataset(name, validation=0)  # a whole file elsewhere does


def test_an_absent_data_set_says_how_to_get_it(small):
    small("mnist")
    with pytest.raises(ValueError, match=r"mnist is not on this machine .*'handgrad data get mnist'"):
        load_dataset("mnist")


@pytest.mark.parametrize("arguments", [{"test": 0.5}, {"standardize": True}, {"target": "x"}])
def test_arguments_that_images_do_not_take(arguments):
    with pytest.raises(ValueError, match=r"leave out test and standardize|target already"):
        load_dataset("mnist", **arguments)


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def test_pickles_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for thing in (Harmful(), {"data": [Harmful()]}, np.array([Harmful()], object)):
        for protocol in (0, 2, 4):
            with pytest.raises(ValueError, match=r"which is no plain data"):
                load_plain(io.BytesIO(pickle.dumps(thing, protocol)))
    assert not folder_names(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\x80", pickle.dumps([1, 2])[:-2], b"\x80\x04garbage"])
def test_damaged_pickles(data):
    with pytest.raises(ValueError, match="not a pickle of plain data"):
        load_plain(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(5))
def test_plain_pickles(protocol):
    thing = {"a": [1, 2.5, "é", None], "b": np.arange(6).reshape(2, 3)}
    read = load_plain(io.BytesIO(pickle.dumps(thing, protocol)))
    assert read["a"] == thing["a"]
    np.testing.assert_array_equal(read["b"], thing["b"])


def from_folder(contents):
    return {"plain": contents, "gzipped": gzipped(contents)}


@pytest.mark.parametrize("form", ["plain", "gzipped"])
@pytest.mark.parametrize("below", [".", "raw", "a/b/c"])
def test_files_from_a_folder(small, data_folder, tmp_path, form, below):
    contents, train = small("mnist")
    own = tmp_path / "own"
    write_files(own / below, from_folder(contents)[form])
    write_files(own, {"other.txt": b"x"})
    assert get("mnist", own) == data_folder / "mnist"
    assert folder_names(data_folder) == [f"mnist/{name}" for name in sorted(contents)]
    np.testing.assert_array_equal(load_dataset("mnist", validation=0).train.x, train[0])


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("as_file", [True, False])
def test_an_archive_from_a_folder(small, data_folder, tmp_path, version, as_file):
    contents, train = small("cifar10")
    held = contents if version == "binary" else {n.removesuffix(".bin"): python_batch(d) for n, d in contents.items()}
    own = write_files(tmp_path / "own", {f"cifar-10-{version}.tar.gz": archive(held)})
    get("cifar10", own / f"cifar-10-{version}.tar.gz" if as_file else own)
    assert folder_names(data_folder) == [f"cifar10/{name}" for name in sorted(contents)]
    np.testing.assert_array_equal(load_dataset("cifar10", validation=0).train.x, train[0])


def test_archives_cannot_write_elsewhere(small, data_folder, tmp_path):
    contents, _ = small("cifar10")
    own = write_files(tmp_path / "own", {"c.tar.gz": archive({"../../escaped": b"x", **contents})})
    get("cifar10", own)
    assert not list(tmp_path.rglob("escaped"))


def test_the_right_files_are_told_from_others_of_their_name(small, data_folder, tmp_path):
    contents, train = small("fashion-mnist")
    other, _ = small("mnist")
    write_files(tmp_path / "own" / "a-mnist", other)
    write_files(tmp_path / "own" / "fashion", contents)
    get("fashion-mnist", tmp_path / "own")
    np.testing.assert_array_equal(load_dataset("fashion-mnist", validation=0).train.x, train[0])


def test_each_archive_that_would_do_is_named_once(data_folder, tmp_path):
    with pytest.raises(ValueError, match=r"one of cifar-10-binary.tar.gz, cifar-10-python.tar.gz$"):
        get("cifar10", tmp_path)


def test_what_a_folder_lacks(small, data_folder, tmp_path):
    contents, _ = small("mnist")
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere; expected one with train-images-idx3-ubyte"):
        get("mnist", tmp_path / "nowhere")
    own = write_files(tmp_path / "own", dict(list(contents.items())[:3]))
    with pytest.raises(ValueError, match="has no usable t10k-labels-idx1-ubyte of mnist; expected"):
        get("mnist", own)
    write_files(own, {"t10k-labels-idx1-ubyte": contents["t10k-labels-idx1-ubyte"][:-1] + b"\x09"})
    with pytest.raises(ValueError, match=r"no usable t10k-labels-idx1-ubyte .*its checksum is wrong") as caught:
        get("mnist", own)
    assert "\n" not in str(caught.value)
    assert "mnist/t10k-labels-idx1-ubyte" not in folder_names(data_folder)


@pytest.mark.parametrize("name", REAL)
def test_the_real_data_sets(name):
    if not is_present(name):
        pytest.skip(f"{name} is not on this machine: handgrad data get {name}")
    count, shape = REAL[name]
    data = load_dataset(name)
    assert data.train.x.shape == (count, *shape) and data.test.x.shape == (10000, *shape)
    assert np.bincount(data.test.y).min() > 800 and len(data.validation.y) == 5000
    assert np.shares_memory(data.train.x.base, data.validation.x.base)  # one copy in memory


def test_the_real_sets_are_described_consistently():
    for about in filter(lambda about: about.kind == "images", catalog.DATASETS.values()):
        assert len(about.class_names) == 10 and about.num_images(about.test) == 10000
        assert about.num_images(about.train) in (50000, 60000)
        assert all(len(file.sha256) == 64 for file in (*about.train, *about.test))
