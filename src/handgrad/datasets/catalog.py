"""The data sets known by name: what they are, what their files hold, and where they are to be had.

To add one, write its entry in catalog.json; a table's file lies in the folder `tables`, a text's in `texts`.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from ..naming import look_up

FOLDER = Path(__file__).parent / "tables"


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
        return packaged(FOLDER, f"{self.name}.csv")

    @property
    def size(self) -> int:
        """The size of its file in bytes."""
        return self.path.stat().st_size


class Text(NamedTuple):
    """A text that comes along, or a file of the user, which has its path as its source."""

    name: str
    title: str
    source: str
    licence: str = "not stated"
    kind: str = "text"

    @property
    def path(self) -> Path:
        """Where its file lies."""
        return packaged(FOLDER.with_name("texts"), f"{self.name}.txt") if self.title else Path(self.source)

    @property
    def size(self) -> int:
        """The size of its file in bytes."""
        return self.path.stat().st_size


def packaged(folder: Path, name: str) -> Path:
    """A file that comes along, gzipped or not."""
    if (found := next(folder.glob(f"{name}*"), None)) is None:
        raise ValueError(f"the catalog has '{name}', but {folder} no {name} or {name}.gz")
    return found


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


def define(entry: dict[str, Any]) -> Table | Text | ImageSet:
    """The definition that an entry of the catalog means: of images, where it says how their files are laid out."""
    if "layout" not in entry:
        return Text(**entry) if entry.get("kind") == "text" else Table(**entry)
    files = {part: tuple(Contents(**file) for file in entry[part]) for part in ("train", "test")}
    downloads = tuple(Download(file["name"], tuple(file["addresses"])) for file in entry["downloads"])
    tuples = {key: tuple(entry[key]) for key in ("shape", "class_names")}
    return ImageSet(**{**entry, **files, **tuples, "downloads": downloads})


CATALOG = json.loads(Path(__file__).with_name("catalog.json").read_text(encoding="utf-8"))
DATASETS: dict[str, Table | Text | ImageSet] = {entry["name"]: define(entry) for entry in CATALOG}


def find(name: str) -> Table | Text | ImageSet:
    """The definition of that name; a ValueError names the nearest and all that there are."""
    return look_up("data set", name, DATASETS)


def image_set(name: str) -> ImageSet:
    """The image set of exactly that name."""
    found = DATASETS[name]
    if not isinstance(found, ImageSet):
        raise ValueError(f"{name} is a {found.kind} and no set of images")
    return found
