"""Sets of images: uint8 arrays (N, height, width, channels) from files that lie whole and unaltered, or not at all."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..arrays import Array
from ..files import atomic_path
from .catalog import DATASETS, Contents, ImageSet, image_set
from .dataset import Dataset, Split, draw_rows, fingerprint, num_rows
from .layouts import DAMAGE, READERS, key, members, unpack

VALIDATION_ROWS = 5000
SYSTEM_FOLDERS = (Path("/usr/share/datasets"),)


def load_images(about: ImageSet, validation: float | None, seed: int) -> Dataset:
    """An image data set with its own test part; validation (None: 5000 rows) is drawn from its training part.

    Raises ValueError where a file is missing, cut off or altered.
    """
    x, y = read_part(about, about.train)
    rows = num_rows(VALIDATION_ROWS if validation is None else validation, len(y), "validation")
    chosen, _ = draw_rows(y, rows, np.random.default_rng(seed))
    move_to_end(x, y, chosen)
    cut = len(y) - rows
    validated, test = Split(x[cut:], y[cut:]) if rows else None, Split(*read_part(about, about.test))
    checksum = fingerprint(*(file.sha256 for file in about.files))
    splits = Split(x[:cut], y[:cut]), validated, test
    return Dataset.of(about, "classification", splits, about.class_names, "label", checksum)


def read_part(about: ImageSet, files: tuple[Contents, ...]) -> tuple[Array, Array]:
    """(x, y) of the training or the test files, filled a file at a time."""
    total = about.num_images(files)
    x, y = np.empty((total, *about.shape), np.uint8), np.empty(total, np.int64)
    READERS[about.layout]((read_contents(about.name, file) for file in files), x, y)
    return x, y


def read_whole(name: str) -> tuple[Array, Array, Array, Array]:
    """(x, y, test x, test y) of an image data set, in the order of its files."""
    about = image_set(name)
    return *read_part(about, about.train), *read_part(about, about.test)


def move_to_end(x: Array, y: Array, chosen: Array) -> None:
    """Put the chosen rows last, in place: they change seats with those of the last rows that are not chosen.

    So both parts are views of one array, and no copy of the data set is made.
    """
    cut = len(y) - len(chosen)
    last = np.arange(cut, len(y))
    leaving = chosen[chosen < cut]
    staying = last[~np.isin(last, chosen)]
    for array in (x, y):
        array[leaving], array[staying] = array[staying], array[leaving]


# Where the files lie --------------------------------------------------------------------------------------------------


def data_directory() -> Path:
    """$HANDGRAD_DATA, else ~/.cache/handgrad."""
    chosen = os.environ.get("HANDGRAD_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "handgrad"


def folders(name: str) -> list[Path]:
    """Where the files of a data set may lie, the user's folder first."""
    return [directory / name for directory in (data_directory(), *SYSTEM_FOLDERS)]


def files_below(directory: Path, depth: int) -> list[Path]:
    """The files in a folder and `depth` levels of folders below it, the nearest first."""
    return [path for level in range(depth + 1) for path in sorted(directory.glob("*/" * level + "*")) if path.is_file()]


def verified(file: IO[bytes], wanted: Contents) -> bytes:
    """What an open file holds, or a ValueError where that is not what `wanted` says."""
    try:
        data = unpack(file, wanted.size)
    except DAMAGE as error:
        raise ValueError(f"it cannot be unpacked ({error})") from None
    if len(data) != wanted.size:
        raise ValueError(f"it holds {len(data)} bytes or more where {wanted.size} were expected")
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise ValueError("its checksum is wrong: it was altered, or is another file")
    return data


def read_contents(name: str, wanted: Contents) -> bytes:
    """The contents of one file of a data set, from the first place where it lies whole; else a ValueError."""
    problem = None
    for folder in folders(name):
        for path in files_below(folder, 1):
            if key(path.name) == key(wanted.name):
                try:
                    with open(path, "rb") as file:
                        return verified(file, wanted)
                except (OSError, ValueError) as error:
                    problem = problem or f"{path} cannot be used: {error}; 'handgrad data get {name}' puts it right"
    places = f"no {wanted.name} in {' or '.join(map(str, folders(name)))}"
    raise ValueError(problem or f"{name} is not on this machine ({places}); get it by 'handgrad data get {name}'")


def is_present(name: str) -> bool:
    """Whether each file of the data set lies somewhere; what they hold is seen to when they are read."""
    about = DATASETS[name]
    found = {key(path.name) for folder in folders(name) for path in files_below(folder, 1)}
    return not isinstance(about, ImageSet) or all(key(wanted.name) in found for wanted in about.files)


def lacking(about: ImageSet) -> list[Contents]:
    """The files of the data set that lie nowhere whole."""
    missing = []
    for wanted in about.files:
        try:
            read_contents(about.name, wanted)
        except ValueError:
            missing.append(wanted)
    return missing


def store(name: str, paths: Iterable[Path], missing: list[Contents]) -> list[str]:
    """Keep what the paths (files and archives) hold of the list of missing files, and return what was wrong with them.

    Files are checked, stored unpacked under data_directory(), each whole or not at all, and taken off the list.
    """
    problems: list[str] = []
    for path in paths:
        for wanted, data in good_files(path, missing, problems):
            with atomic_path(make_folder(data_directory() / name) / wanted.name) as temporary:
                temporary.write_bytes(data)
            missing.remove(wanted)
    return problems


def good_files(path: Path, missing: list[Contents], problems: list[str]) -> Iterator[tuple[Contents, bytes]]:
    """Yield (wanted, contents) for the missing files that the path holds whole; the others' faults go to problems."""
    try:
        for inner, file in members(path):
            wanted = next((wanted for wanted in missing if key(wanted.name) == key(inner)), None)
            if wanted is not None:
                try:
                    data = verified(file, wanted)
                except ValueError as error:
                    problems.append(f"{inner}: {error}")
                else:
                    yield wanted, data
    except DAMAGE as error:
        problems.append(f"{path.name} cannot be unpacked ({error})")


def make_folder(folder: Path) -> Path:
    """The folder, which is there now; an OSError says where another can be named."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        way_out = "name one you can write to in the variable HANDGRAD_DATA"
        raise OSError(f"cannot make the folder {folder}: {error.strerror}; {way_out}") from None
    return folder
