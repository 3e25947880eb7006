"""Folders of arrays larger than memory: the same data set as in memory, and what is refused."""

import signal

import numpy as np
import pytest

import handgrad as hg
from handgrad.arrays import MappedRows
from handgrad.datasets import Standardization
from handgrad.experiments import configure, resume, train

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, (120, 4))
Y = np.array(["low", "high"])[(X.sum(axis=1) > 20).astype(int)]


def store(folder, x=X, y=Y, **more):
    folder.mkdir()
    cut = [slice(0, 80), slice(80, 100), slice(100, 120)]
    for part, rows in zip(("train", "validation", "test"), cut, strict=True):
        np.save(folder / f"{part}_x.npy", x[rows])
        np.save(folder / f"{part}_y.npy", y[rows])
    for name, array in more.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_a_folder_is_a_data_set(tmp_path):
    data = hg.load_dataset(store(tmp_path / "lengths"))
    assert repr(data) == "<data set lengths: 2 classes, x 4 float32, rows: train 80, validation 20, test 20>"
    assert data.class_names == ("high", "low") and data.train.y.dtype == np.int64
    np.testing.assert_array_equal(np.array(data.class_names)[data.test.y], Y[100:])
    assert isinstance(data.train.x, MappedRows)
    expected = Standardization.fit(X[:80])
    np.testing.assert_allclose(data.standardization.mean, expected.mean)
    np.testing.assert_allclose(data.validation.x[3:7], expected.apply(X[83:87]), rtol=1e-6)
    assert data.fingerprint == hg.load_dataset(str(tmp_path / "lengths")).fingerprint


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_statistics_of_pieces_are_those_of_all(monkeypatch, scale):
    monkeypatch.setattr("handgrad.arrays.PIECE", 7 * X[0].nbytes)
    x = scale * np.column_stack([X, np.full(120, 0.1), 1e8 + X[:, 0]])
    whole, pieces = Standardization.fit(x), Standardization.fit(MappedRows(x))
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(pieces.scale, whole.scale, rtol=1e-7)


def test_numbers_and_images(tmp_path):
    numbers = hg.load_dataset(store(tmp_path / "numbers", y=X[:, 0]), standardize=False, dtype=np.float64)
    assert numbers.task == "regression" and numbers.standardization is None
    np.testing.assert_array_equal(numbers.train.x[:3], X[:3])
    pixels = RNG.integers(0, 256, (120, 5, 5, 1), np.uint8)
    images = hg.load_dataset(store(tmp_path / "images", pixels, np.arange(120) % 3))
    assert images.train.x.dtype == np.uint8 and images.standardization is None and len(images.class_names) == 3


def test_the_name_of_a_data_set_is_no_folder(tmp_path, monkeypatch):
    store(tmp_path / "iris")
    monkeypatch.chdir(tmp_path)
    assert hg.load_dataset("iris").class_names[0] == "setosa"
    assert hg.load_dataset("./iris").class_names == ("high", "low")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train_x": X[:80].astype(object)}, "cannot read .*train_x.npy: "),
        ({"train_x": X[:79]}, r"train_y.npy: y is \(80,\) and x \(79, 4\); expected one target for each row"),
        ({"train_x": np.asfortranarray(X[:80])}, r"train_x.npy: x is .* written row after row \(C order\)"),
        ({"train_x": X[:80, :3]}, r"validation_x.npy \(20, 4\) float64 .* do not go with train_x.npy \(80, 3\)"),
        ({"train_y": np.arange(80)}, "do not go with train_x.npy"),
        ({"train_y": np.full(80, np.nan)}, "train_y.npy: y is float64 or holds NaN"),
        ({"train_x": np.where(np.arange(80)[:, None] == 33, np.nan, X[:80])}, "train_x holds nan at row 33"),
        ({"test_x": X[:0]}, "test_x.npy"),
    ],
)
def test_what_is_refused(tmp_path, more, message):
    folder = store(tmp_path / "mine", **more)
    with pytest.raises(ValueError, match=message) as problem:
        hg.load_dataset(folder)
    assert "\n" not in str(problem.value)


def test_what_is_missing_or_damaged(tmp_path):
    with pytest.raises(ValueError, match=r"has no train_x.npy; a folder of data holds train_x.npy and train_y.npy"):
        hg.load_dataset(tmp_path)
    folder = store(tmp_path / "mine")
    with pytest.raises(ValueError, match="is a folder of arrays, split as its files say"):
        hg.load_dataset(folder, validation=0.1)
    (folder / "test_y.npy").unlink()
    with pytest.raises(ValueError, match=r"cannot read .*test_y.npy: there is no such file"):
        hg.load_dataset(folder)
    (folder / "test_y.npy").write_bytes((folder / "test_x.npy").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cannot read .*test_y.npy"):
        hg.load_dataset(folder)


@pytest.mark.parametrize("steps", [3, 7])
def test_a_run_on_a_folder_is_resumed_to_the_bit(tmp_path, monkeypatch, steps):
    folder = store(tmp_path / "mine")
    monkeypatch.setattr("handgrad.training.batches.BLOCK", 4 * X[0].nbytes)
    monkeypatch.setattr("handgrad.training.batches.WINDOW", 3)
    configuration = configure(folder, overrides=["epochs=3", "callbacks=[]"])
    whole = train(configuration, tmp_path / "runs", progress=False)
    assert whole.status == "finished" and set(whole.results) == {"train", "validation", "test"}

    def interrupt(trainer, *batch):
        if trainer.num_steps == steps:
            signal.raise_signal(signal.SIGINT)
        return train_on_batch(trainer, *batch)

    train_on_batch = hg.Trainer.train_on_batch
    monkeypatch.setattr(hg.Trainer, "train_on_batch", interrupt)
    broken = train(configuration, tmp_path / "runs", progress=False)
    monkeypatch.setattr(hg.Trainer, "train_on_batch", train_on_batch)
    assert broken.status == "interrupted"
    again = resume(broken.path, progress=False)
    assert again.results == whole.results
    np.testing.assert_array_equal(again.model().parameter_vector, whole.model().parameter_vector)


def test_targets_that_single_precision_lacks_are_refused(tmp_path):
    np.save(tmp_path / "train_x.npy", np.ones((30, 2)))
    np.save(tmp_path / "train_y.npy", np.arange(30) * 1e200)
    with pytest.raises(ValueError, match="the target holds a number too large for float32"):
        hg.load_dataset(tmp_path)
    assert hg.load_dataset(tmp_path, dtype="float64").train.y[-1] == 29e200
