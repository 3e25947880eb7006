"""What a student hands in: her copy of a course as one archive, without data, runs and leftovers."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..files import atomic_path, check_output
from . import COURSES
from .copies import HERE, course_files, is_module, module_files, read_course

HER_OWN = (".py", ".ipynb", ".md", ".txt", ".pdf", ".tex", ".png", ".json", ".toml")  # kinds of files to hand in
DATA = ("datasets", "experiments", "data", "cifar-10-batches-py")  # folders that stay where they are
BLANK = re.compile(r'^\s*raise NotImplementedError\("implement ([\w.]+)"\)', re.MULTILINE)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # so that the same files make the same archive


class Packed(NamedTuple):
    """What came into an archive, what did not, and what the homework still lacks."""

    files: list[str]
    left_out: list[str]
    missing: list[str]
    blank: list[str]


def pack(course: str, folder: str | Path, output: str | Path) -> Packed:
    """Write the archive that is handed in: the course's files as they stand in the folder, and her own beside them.

    Raises ValueError, before anything is written, where the folder is no copy of the course.
    """
    folder, wanted = Path(folder), course_files(course, self_contained=True)
    modules = [path for path in wanted if path.suffix == ".py" and is_module(course, path.as_posix())]
    if not has_modules(course, folder):
        other = "".join(f" (it is a copy of {name})" for name in COURSES if has_modules(name, folder))
        lack = f"it has none of its modules, such as {modules[0]}"
        raise ValueError(f"{folder} is no copy of {course}{other}: {lack}; name the folder of yours")
    output = check_output(output, [folder / path for path in wanted])
    there = {path.relative_to(folder): path for path in regular_files(folder) if path.resolve() != output.resolve()}
    chosen = {name: path for name, path in sorted(there.items()) if name in wanted or is_her_own(name)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in chosen.items():
            archive.writestr(zipfile.ZipInfo(name.as_posix(), LONG_AGO), path.read_bytes(), zipfile.ZIP_DEFLATED)
    with atomic_path(output) as temporary:
        temporary.write_bytes(content.getvalue())
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in chosen.values() if path.suffix == ".py"]
    left_out = sorted({name.parts[0] for name in there if name not in chosen})
    missing = [name.as_posix() for name in modules if name not in chosen]
    blank = [name for text in texts for name in BLANK.findall(text)]
    return Packed([name.as_posix() for name in chosen], left_out, missing, blank)


def has_modules(course: str, folder: Path) -> bool:
    """Whether any module is there that this course alone has: `arguments.py` stands in a copy of each."""
    others = {source for other in COURSES if other != course for source in read_course(other).modules.values()}
    own = {place: HERE / source for place, source in read_course(course).modules.items() if source not in others}
    return any((folder / path).is_file() for place, source in own.items() for path, _ in module_files(place, source))


def regular_files(folder: Path) -> Iterator[Path]:
    """Every file below a folder that no link leads to, hidden ones and Python's caches left out."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            yield path


def is_her_own(name: Path) -> bool:
    """Whether a file that is none of the course's is handed in too, and not data."""
    return name.suffix in HER_OWN and not any(part in DATA for part in name.parts[:-1])
