"""Where image data sets lie, and the reading of their files: whole and unaltered, or not at all."""

import hashlib
import os
from pathlib import Path

from ..files import atomic_path
from .image_sets import IMAGE_SETS
from .layouts import DAMAGE, key, members, unpack

SYSTEM_FOLDERS = (Path("/usr/share/datasets"),)


def data_directory():
    """$HANDGRAD_DATA, else ~/.cache/handgrad."""
    chosen = os.environ.get("HANDGRAD_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "handgrad"


def folders(name):
    """Where the files of a data set may lie, the user's folder first."""
    return [directory / name for directory in (data_directory(), *SYSTEM_FOLDERS)]


def files_below(directory, depth):
    """The files in a folder and `depth` levels of folders below it, the nearest first."""
    return [path for level in range(depth + 1) for path in sorted(directory.glob("*/" * level + "*")) if path.is_file()]


def verified(file, wanted):
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


def read_contents(name, wanted):
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
    raise ValueError(
        problem
        or f"{name} is not on this machine (no {wanted.name} in "
        f"{' or '.join(map(str, folders(name)))}); get it by 'handgrad data get {name}'"
    )


def is_present(name):
    """Whether each file of the data set lies somewhere; what they hold is seen to when they are read."""
    found = {key(path.name) for folder in folders(name) for path in files_below(folder, 1)}
    return all(key(wanted.name) in found for wanted in all_files(name))


def all_files(name):
    return (*IMAGE_SETS[name].train, *IMAGE_SETS[name].test)


def lacking(name):
    """The files of the data set that lie nowhere whole."""
    missing = []
    for wanted in all_files(name):
        try:
            read_contents(name, wanted)
        except ValueError:
            missing.append(wanted)
    return missing


def store(name, paths, missing):
    """Keep what the paths (files and archives) hold of the list of missing files, and return what was wrong with them.

    Files are checked, stored unpacked under data_directory(), each whole or not at all, and taken off the list.
    """
    problems = []
    for path in paths:
        for wanted, data in good_files(path, missing, problems):
            write(name, wanted, data)
            missing.remove(wanted)
    return problems


def good_files(path, missing, problems):
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


def write(name, wanted, data):
    folder = data_directory() / name
    with atomic_path(make_folder(folder) / wanted.name) as temporary:
        temporary.write_bytes(data)


def make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {folder}: {error.strerror}; "
            "name one you can write to in the variable HANDGRAD_DATA"
        ) from None
    return folder
