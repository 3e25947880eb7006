"""What students hand in: a folder, a file or an archive, read into memory and never unpacked to a disk."""

import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias

from ..files import NO_ZIP, from_json
from ..text import clipped, one_line

Contents: TypeAlias = dict[str, bytes]  # by path with '/'

MOST_BYTES = 100 * 2**20  # unpacked
MOST_FILES = 5000
ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
VARIANT = "variant.json"  # in a handout: whose it is
READ = (".py", ".ipynb", ".json")  # what is looked at


class Submission(NamedTuple):
    """A name, the files handed in, and the lines that say what could not be read."""

    name: str
    contents: Contents
    problems: list[str]


def read_submission(path: str | Path, files: Sequence[str]) -> Submission:
    """What was handed in, for an assignment of these files; never an exception, whatever it is.

    A file by itself is taken for the assignment's first, whatever its name. Folders around the files are left out.
    """
    path, name = Path(path), name_of(path)
    try:
        contents = within_limits(members(path))
    except (ValueError, tarfile.TarError, *NO_ZIP) as problem:
        return Submission(name, {}, [f"it cannot be read: {one_line(problem)}"])
    if path.is_file() and path.suffix == ".py" and path.name not in files:
        contents = {files[0]: contents[path.name]}
    root = folder_of(contents, files)
    copies = [copies_of(root, file, contents) for file in files]
    contents = {path.removeprefix(root): content for path, content in contents.items() if path.startswith(root)}
    absent = [missing(file, contents) for file in files if file not in contents]
    return Submission(name, contents, [*absent, *filter(None, copies)])


def name_of(path: str | Path) -> str:
    """Whose a submission is by its name."""
    name = Path(path).name
    return next((name.removesuffix(end) for end in (*ARCHIVES, ".py") if name.endswith(end)), name)


def check_paths(paths: Sequence[str | Path], files: Sequence[str], students: Collection[str]) -> None:
    """Refuse what is not there, two submissions of one name, and a folder that holds those of several students."""
    named: dict[str, Path] = {}
    for path in map(Path, paths):
        if not (path.exists() or path.is_symlink()):
            pattern = ": leave out the quotes, so that the shell fills in its files" * ("*" in str(path))
            raise ValueError(f"there is no submission {path}{pattern or ', neither a file nor a folder'}")
        other = named.setdefault(name_of(path), path)
        if other is not path:
            raise ValueError(f"{other} and {path} are both of {name_of(path)}: leave one out")
        if path.is_dir() and not any((path / file).is_file() for file in files):
            inside = [it for it in sorted(path.iterdir()) if it.is_dir() or it.name.endswith(ARCHIVES)]
            known = {owner_in(it) or name_of(it) for it in inside if owner_in(it) or name_of(it) in students}
            if len(known) > 1 or sum(it.is_file() for it in inside) > 1:
                raise ValueError(f"{path} holds submissions of several students: name them one by one, as {path}/*")


def owner_in(folder: Path) -> str:
    """Whose variant.json lies in a folder; '' where none does that can be read."""
    try:
        return written_in((folder / VARIANT).read_bytes()) if (folder / VARIANT).is_file() else ""
    except (OSError, ValueError):
        return ""


def written_in(content: bytes) -> str:
    """Whose a variant.json is by what it says; ValueError where it does not."""
    data = from_json(content.decode(), VARIANT)
    if isinstance(data, dict) and isinstance(data.get("student"), str) and data["student"]:
        return str(data["student"])
    raise ValueError(f"{VARIANT} is damaged: hand it in as it was handed out")


def members(path: Path) -> Iterator[tuple[str, int, bytes]]:
    """(name, size, content) of each file, without links, devices and places outside."""
    if path.is_symlink():
        raise ValueError("it is a link, hand in the file itself")
    if path.is_dir():
        yield from members_of_folder(path)
    elif path.name.endswith(ARCHIVES[0]):
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise ValueError(f"{entry.filename} in it is a link or a device: pack plain files")
                if not entry.is_dir():
                    yield entry.filename, entry.file_size, limited(archive, entry)
    elif path.name.endswith(ARCHIVES[1:]):
        with tarfile.open(path) as archive:
            for member in archive:
                if not (member.isfile() or member.isdir()):
                    raise ValueError(f"{member.name} in it is a link or a device: pack plain files")
                file = archive.extractfile(member) if member.isfile() and wanted(member.name) else None
                if member.isfile():
                    yield member.name, member.size, file.read(MOST_BYTES) if file else b""
    elif path.is_file():
        yield path.name, path.stat().st_size, path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
    else:
        raise ValueError(f"there is no file or folder {path}")


def members_of_folder(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """The files of a folder; links in it are left where they are."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and wanted(name):
            raise ValueError(f"{name} in it is a link: hand in the file itself")
        if path.is_file() and not path.is_symlink():
            size = path.stat().st_size if wanted(name) else 0
            yield name, size, path.read_bytes() if 0 < size <= MOST_BYTES else b""


def limited(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """As much of a file as its entry announces, where it is looked at."""
    if not wanted(entry.filename) or entry.file_size > MOST_BYTES:
        return b""
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def wanted(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in READ


def within_limits(found: Iterator[tuple[str, int, bytes]]) -> Contents:
    """The files that are looked at; ValueError for names that lead outside, or more than anybody would hand in."""
    contents: Contents = {}
    total = count = 0
    for name, size, content in found:
        total, count = total + size, count + 1
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or (place.parts and place.parts[0].endswith(":")):
            raise ValueError(f"{name} in it leads out of the archive: pack names within one folder")
        if total > MOST_BYTES or count > MOST_FILES:
            raise ValueError(f"it holds more than {MOST_BYTES // 2**20} MB or {MOST_FILES:,} files: leave data out")
        if wanted(name) and not {"__MACOSX", "__pycache__"} & set(place.parts):
            contents[str(place)] = content
    return contents


def folder_of(contents: Contents, files: Sequence[str]) -> str:
    """The folder, '' or with '/' at its end, where most of the assignment's files lie."""
    roots = {path.removesuffix(file) for path in contents for file in files if f"/{path}".endswith(f"/{file}")}
    return min(roots, key=lambda root: (-sum(root + file in contents for file in files), len(root), root), default="")


def copies_of(root: str, file: str, contents: Contents) -> str:
    """The line that says which of several copies of a file counts; '' where there is one."""
    others = [path for path in contents if f"/{path}".endswith(f"/{file}") and path != root + file]
    if root + file not in contents or not others:
        return ""
    left = clipped(", ".join(one_line(path) for path in others), 200)
    return f"{file} is there {len(others) + 1} times: {one_line(root + file)} is graded, {left} is not"


def missing(file: str, contents: Mapping[str, bytes]) -> str:
    """The line about a file that was not handed in."""
    notebook = next((name for name in contents if name.endswith(".ipynb")), "")
    advice = f"; {notebook} is a notebook: export it (jupyter nbconvert --to script)" if notebook else ""
    return f"{file} is missing{advice}"
