"""data_utils: CIFAR-10 and Tiny ImageNet as the homeworks want them, and the models that Solver pickled.

Pickles are read without running code from them: those of CIFAR-10 hold plain data, checkpoints our models as well.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...arrays import Array, DTypeLike
from ...datasets.images import read_whole
from ...datasets.layouts import PlainUnpickler, fill_from_cifar, unpack

FOLDER = "cifar-10-batches-py"
ROOTS = (FOLDER, f"datasets/{FOLDER}", f"cs231n/datasets/{FOLDER}", f"utils/datasets/{FOLDER}", f"../{FOLDER}")
BATCH_BYTES = 30_730_000
NUMPY_SCALAR = np.float64(0).__reduce__()[0]  # what NumPy's numbers are made by


def load_pickle(f: IO[bytes]) -> Any:
    """What an open pickle file of plain data, arrays or Solver's checkpoints holds; ValueError for anything else."""
    try:
        return ModelUnpickler(f, encoding="latin1").load()
    except Exception as error:  # damaged pickles raise whatever they like, and it all means the same
        raise ValueError(f"not a pickle of plain data or of a model of nndl: {error}") from None


def load_CIFAR_batch(filename: str | Path) -> tuple[Array, Array]:
    """(X (10000, 32, 32, 3) float64, Y (10000,)) of one file of the Python or the binary version."""
    x, y = read_batch(filename)
    return x.astype(np.float64), y


def read_batch(filename: str | Path) -> tuple[Array, Array]:
    with open(filename, "rb") as file:
        data = unpack(file, BATCH_BYTES)
    if not data or len(data) % 3073:
        raise ValueError(f"{filename} is no batch of CIFAR-10: {len(data)} bytes are no rows of 3073")
    x, y = np.empty((len(data) // 3073, 32, 32, 3), np.uint8), np.empty(len(data) // 3073, np.int64)
    fill_from_cifar([data], x, y)
    return x, y


def load_CIFAR10(ROOT: str | Path) -> tuple[Array, Array, Array, Array]:
    """(Xtr (50000, 32, 32, 3), Ytr, Xte, Yte) from a folder of data_batch_1 to 5 and test_batch, or the same .bin.

    A cifar-10-batches-py that is not there is handgrad's own (`handgrad data get cifar10`). FileNotFoundError names
    the file that another folder lacks.
    """
    Xtr, Ytr, Xte, Yte = read_cifar10(Path(ROOT))
    return Xtr.astype(np.float64), Ytr, Xte.astype(np.float64), Yte


def read_cifar10(root: Path) -> tuple[Array, Array, Array, Array]:
    if root.name == FOLDER and not root.is_dir():
        return read_whole("cifar10")
    batches = [read_batch(batch_file(root, f"data_batch_{i}")) for i in range(1, 6)]
    X, Y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return X, Y, *read_batch(batch_file(root, "test_batch"))


def batch_file(root: Path, name: str) -> Path:
    found = [path for path in (root / name, root / f"{name}.bin") if path.is_file()]
    if not found:
        way_out = "unpack the Python or the binary version of CIFAR-10 there"
        raise FileNotFoundError(f"{root} has no {name}, nor {name}.bin: {way_out}")
    return found[0]


def get_CIFAR10_data(
    num_training: int = 49000, num_validation: int = 1000, num_test: int = 1000, subtract_mean: bool = True
) -> dict[str, Array]:
    """{X_train, y_train, X_val, y_val, X_test, y_test}: float64 images (N, 3, 32, 32), minus the training mean.

    Validation rows follow the training rows. The files are those of a cifar-10-batches-py near the working directory,
    or else handgrad's own (`handgrad data get cifar10`).
    """
    root = next((folder for folder in ROOTS if Path(folder).is_dir()), FOLDER)
    X_train, y_train, X_test, y_test = read_cifar10(Path(root))
    validation = slice(num_training, num_training + num_validation)
    parts = {
        "train": (X_train[:num_training], y_train[:num_training]),
        "val": (X_train[validation], y_train[validation]),
        "test": (X_test[:num_test], y_test[:num_test]),
    }
    parts = {name: (np.array(X.transpose(0, 3, 1, 2), np.float64, order="C"), y) for name, (X, y) in parts.items()}
    if subtract_mean:
        mean_image = parts["train"][0].mean(axis=0)
        for X, _ in parts.values():
            X -= mean_image
    return {f"{array}_{name}": part for name, (X, y) in parts.items() for array, part in (("X", X), ("y", y))}


def load_tiny_imagenet(path: str | Path, dtype: DTypeLike = np.float32, subtract_mean: bool = True) -> dict[str, Any]:
    """{class_names, X_train, y_train, X_val, y_val, X_test, y_test, mean_image}: images (N, 3, 64, 64), classes sorted
    as in wnids.txt; y_test is None where the folder has no test_annotations.txt.
    """
    path = Path(path)
    wnids = (path / "wnids.txt").read_text(encoding="utf-8").split()
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    words = dict(line.split("\t", 1) for line in (path / "words.txt").read_text(encoding="utf-8").splitlines())
    found = [(file, labels[wnid]) for wnid in wnids for file in sorted((path / "train" / wnid / "images").iterdir())]
    out: dict[str, Any] = {"class_names": [words[wnid].split(", ") for wnid in wnids]}
    out["X_train"], out["y_train"] = read_images(found, dtype)
    out["X_val"], out["y_val"] = read_images(annotated(path / "val", labels), dtype)
    out["X_test"], out["y_test"] = read_images(annotated(path / "test", labels), dtype)
    if not (path / "test" / "test_annotations.txt").is_file():
        out["y_test"] = None
    out["mean_image"] = out["X_train"].mean(axis=0)
    if subtract_mean:
        for name in ("X_train", "X_val", "X_test"):
            out[name] -= out["mean_image"]
    return out


def annotated(folder: Path, labels: Mapping[str, int]) -> list[tuple[Path, int]]:
    """[(image file, label)] by the folder's annotations, or all its images with the label -1."""
    table = folder / f"{folder.name}_annotations.txt"
    if not table.is_file():
        return [(file, -1) for file in sorted((folder / "images").iterdir())]
    rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
    return [(folder / "images" / name, labels[wnid]) for name, wnid, *_ in rows]


def read_images(files: Sequence[tuple[Path, int]], dtype: DTypeLike) -> tuple[Array, Array]:
    """(X (N, 3, H, W), y): grey images get three equal channels."""
    from matplotlib.image import imread

    read = (imread(file) for file, _ in files)
    images = [np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image[..., :3] for image in read]
    return np.array([image.transpose(2, 0, 1) for image in images], dtype), np.array([label for _, label in files])


class ModelUnpickler(PlainUnpickler):
    """Plain data, NumPy's numbers and their types, and the classes of our models."""

    def find_class(self, module: str, name: str) -> Any:
        from ..nndl import cnn, fc_net, neural_net

        if module == "numpy" and name in ("float16", "float32", "float64"):
            return getattr(np, name)
        if module in ("numpy._core.multiarray", "numpy.core.multiarray") and name == "scalar":
            return NUMPY_SCALAR
        models = cnn.ThreeLayerConvNet, fc_net.FullyConnectedNet, fc_net.TwoLayerNet, neural_net.TwoLayerNet
        known = {(model.__module__, model.__name__): model for model in models}
        return known.get((module, name)) or super().find_class(module, name)


def load_models(models_dir: str | Path) -> dict[str, Any]:
    """{file name: model} of Solver's checkpoints in a folder; files that hold no model of nndl's are left out."""
    models = {}
    for file in sorted(Path(models_dir).iterdir()):
        try:
            with open(file, "rb") as stream:
                models[file.name] = load_pickle(stream)["model"]
        except (ValueError, KeyError, TypeError, IsADirectoryError):
            continue
    return models
