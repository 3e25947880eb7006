"""What a student of CS189 finds beside the package: scripts, 25 tests, data sets and a notebook."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ....arrays import Array
from ....datasets import load_dataset
from ....datasets.images import is_present, read_whole
from ....files import atomic_path
from ..utils.data_structures import integers_to_one_hot


def furnish(folder: Path) -> list[Path]:
    """Write the data sets into the folder, keeping those that are there; returns the paths written."""
    written = []
    for name in ("iris", "sinewave", "mnist"):
        if not (folder / "datasets" / name).exists():
            written += write_dataset(folder / "datasets" / name, make_arrays(name) or {})
    return written


def write_dataset(folder: Path, arrays: Mapping[str, Array]) -> list[Path]:
    paths = []
    for key, array in arrays.items():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{folder.name}_{key}.npy"
        with atomic_path(path) as temporary:
            np.save(temporary, array)
        paths.append(path)
    return paths


def make_arrays(name: str) -> dict[str, Array] | None:
    """The arrays of iris, sinewave or mnist; None where they cannot be made here."""
    makers = {"iris": make_iris, "sinewave": make_sinewave, "mnist": make_mnist}
    if name not in makers or (name == "mnist" and not is_present("mnist")):
        return None
    return makers[name]()


def make_iris() -> dict[str, Array]:
    """105, 15 and 30 flowers by four lengths in centimetres, labels as one-hot rows."""
    data = load_dataset("iris", test=30, validation=15, standardize=False, dtype=np.float64)
    arrays = {}
    for part, split in (("train", data.train), ("val", data.validation), ("test", data.test)):
        arrays[f"{part}_data"], arrays[f"{part}_labels"] = split.x, integers_to_one_hot(split.y, 2)
    return arrays


def make_sinewave(length: int = 50) -> dict[str, Array]:
    """7000, 1000 and 2000 pieces of sine waves, (1, 50) each, and the value that comes next, (1,)."""
    rng = np.random.default_rng(189)
    arrays = {}
    for part, count in (("train", 7000), ("val", 1000), ("test", 2000)):
        frequency, phase = rng.uniform(0.05, 0.5, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
        waves = np.sin(frequency * np.arange(length + 1) + phase)
        arrays[f"{part}_data"], arrays[f"{part}_labels"] = waves[:, None, :length], waves[:, length:]
    return arrays


def make_mnist() -> dict[str, Array]:
    """60,000 images to train and 10,000 to validate, uint8 (n, 28, 28, 1), and their labels."""
    return dict(zip(("train_data", "train_labels", "val_data", "val_labels"), read_whole("mnist"), strict=True))
