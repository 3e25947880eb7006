"""neural_networks.datasets: data sets by name, in minibatches shuffled by NumPy's global generator."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from .utils.data_structures import Array, integers_to_one_hot

NAMES = ("higgs", "sinewave", "iris", "mnist")
PARTS = {"training": "train", "validation": "val", "test": "test"}


def initialize_dataset(name: str, batch_size: int = 50, rows: int | None = None) -> "Dataset":
    """The data set in datasets/<name>/<name>_{train,val,test}_{data,labels}.npy, or the first rows of each part.

    Where that folder is not in the working folder, iris, sinewave and mnist (once `handgrad data get mnist` was run)
    are made from handgrad's own. MNIST's images become float32 in [0, 1], its labels one-hot rows. Test sets without
    labels (higgs) get zeros. NotImplementedError for another name.
    """
    if name not in NAMES:
        raise NotImplementedError(f"{name} is no data set of the course: expected one of {', '.join(NAMES)}")
    arrays = read_arrays(name) or make_arrays(name)
    if arrays is None:
        source = "run handgrad data get mnist" if name == "mnist" else "it comes with the course's files only"
        raise FileNotFoundError(f"datasets/{name}/{name}_train_data.npy is not in the working folder: {source}")
    arrays = {key: array[:rows] for key, array in arrays.items()}
    if name == "mnist":
        arrays = {key: prepare_mnist(key, array) for key, array in arrays.items()}
    if "test_data" in arrays and "test_labels" not in arrays:
        arrays["test_labels"] = np.zeros((len(arrays["test_data"]), arrays["train_labels"].shape[1]))
    given: dict[str, Any] = {}
    for argument, part in PARTS.items():
        given[f"{argument}_set"], given[f"{argument}_labels"] = arrays.get(f"{part}_data"), arrays.get(f"{part}_labels")
    return Dataset(batch_size=batch_size, **given)


def make_arrays(name: str) -> dict[str, Array] | None:
    """The data set as handgrad makes it, where handgrad is installed and can."""
    try:
        from handgrad.courses.cs189._starter import make_arrays
    except ImportError:
        return None
    return make_arrays(name)


def load_images(name: str) -> tuple[Array, Array, Array, Array]:
    """(X_train, y_train, X_test, y_test) of mnist, fashion-mnist or cifar10, as `handgrad data get` put it into place.

    Images are (n, rows, columns, channels) uint8, labels whole numbers.
    """
    from ...datasets.images import read_whole

    return read_whole(name)


def read_arrays(name: str) -> dict[str, Array]:
    """{'train_data': array, ...} from the working folder; {} where the data set is not there."""
    folder = Path("datasets") / name
    paths = {path.stem.removeprefix(f"{name}_"): path for path in sorted(folder.glob(f"{name}_*.npy"))}
    return {key: np.load(path) for key, path in paths.items()} if "train_data" in paths else {}


def prepare_mnist(key: str, array: Array) -> Array:
    if key.endswith("labels"):
        return array if array.ndim == 2 and array.shape[1] == 10 else integers_to_one_hot(array, 9)
    images = array.reshape(len(array), 28, 28, 1)
    return images.astype(np.float32) / 255 if images.dtype.kind in "iu" or images.max() > 1 else images


class Data:
    """Rows of data and labels, handed out in batches; the first batch of an epoch shuffles them, for good."""

    def __init__(
        self, data: Array, batch_size: int = 50, labels: Array | None = None, out_dim: int | None = None
    ) -> None:
        self.data_: Array = data
        self.labels: Array | None = labels
        self.out_dim: int | None = out_dim
        self.iteration: int = 0
        self.batch_size: int = batch_size
        self.n_samples: int = data.shape[0]
        self.samples_per_epoch: int = math.ceil(self.n_samples / batch_size)

    def shuffle(self) -> None:
        """Reorder data and labels alike."""
        order = np.arange(self.n_samples)
        np.random.shuffle(order)
        self.data_ = self.data_[order]
        if self.labels is not None:
            self.labels = self.labels[order]

    def sample(self, shuffle: bool = True) -> Any:
        """The next batch, data and labels if there are any; the last of an epoch may be short."""
        if self.iteration == 0 and shuffle:
            self.shuffle()
        rows = slice(self.iteration * self.batch_size, (self.iteration + 1) * self.batch_size)
        self.iteration = (self.iteration + 1) % self.samples_per_epoch
        return self.data_[rows] if self.labels is None else (self.data_[rows], self.labels[rows])

    def reset(self) -> None:
        """Begin the epoch again (the course's version compares where it should assign, and does nothing)."""
        self.iteration = 0


class Dataset:
    """train, validate and test as Data; validate and test only where they are given."""

    train: Data
    validate: Data
    test: Data

    def __init__(
        self,
        training_set: Array,
        training_labels: Array,
        batch_size: int,
        validation_set: Array | None = None,
        validation_labels: Array | None = None,
        test_set: Array | None = None,
        test_labels: Array | None = None,
    ) -> None:
        self.batch_size: int = batch_size
        self.n_training: int = training_set.shape[0]
        self.n_validation: int = 0 if validation_set is None else validation_set.shape[0]
        self.out_dim: int = training_labels.shape[1]
        parts = (training_set, training_labels), (validation_set, validation_labels), (test_set, test_labels)
        for name, (data, labels) in zip(("train", "validate", "test"), parts, strict=True):
            if data is not None:
                setattr(self, name, Data(data, batch_size=batch_size, labels=labels, out_dim=self.out_dim))
