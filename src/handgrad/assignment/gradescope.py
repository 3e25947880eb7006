"""An assignment as Gradescope's autograder: one archive with setup.sh, run_autograder, the assignment and handgrad."""

import shlex
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from ..experiments.configuration import read_table
from ..files import atomic_path, check_output, from_json
from .make import Key
from .specification import Assignment

PACKAGE = Path(__file__).parents[1]
SCRIPTS = Path(__file__).with_name("autograder")  # what Gradescope runs, with %s for what is filled in


def write_autograder(path: str | Path, assignment: Assignment, key: Key | None = None) -> Path:
    """Write the archive that Gradescope takes as an autograder; it holds solutions, and the key where there is one.

    Parameters
    ----------
    path : str or path
        A .zip file.
    assignment : Assignment
        As `read_assignment` returns it.
    key : Key, optional
        What `make` kept, where students have variants; a student's is known by the variant.json handed in.

    Returns
    -------
    Path
        The archive.

    Raises
    ------
    ValueError
        Where the path cannot be written, or is no .zip.
    """
    path = check_output(path, [assignment.path])
    if path.suffix != ".zip":
        raise ValueError(f"{path}: Gradescope takes an archive: name a .zip file")
    words = shlex.quote(assignment.path.name), " --key source/key" if key else ""
    scripts = {"setup.sh": shlex.join(requirements()), "run_autograder": words}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, filled_in in scripts.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, (SCRIPTS / name).read_text(encoding="utf-8") % filled_in)
        for file, name in packed(assignment, key):
            archive.write(file, name)
    return path


def read_submitters(path: str | Path) -> list[str]:
    """The ids by which a roster may know who handed in: email, its part before the @, numbers of Gradescope's.

    See https://gradescope-autograders.readthedocs.io/en/latest/submission_metadata/.
    """
    try:
        users = from_json(Path(path).read_text(encoding="utf-8"), path)["users"]
        said = [str(user[name]) for name in ("email", "sid", "id") for user in users if user.get(name) is not None]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is no submission_metadata.json of Gradescope's: it names no users") from None
    return list(dict.fromkeys(name for it in said for name in (it, it.partition("@")[0])))


def requirements() -> list[str]:
    """What pip installs for handgrad and its extra app: of a checkout as it says now, else as it was installed."""
    declared = PACKAGE.parents[1] / "pyproject.toml"
    if PACKAGE.parent.name == "src" and declared.is_file():
        project = read_table(declared)["project"]
        lines = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    else:
        lines = [line for line in requires("handgrad") or () if "extra" not in line or '"app"' in line]
    return [line.partition(";")[0] for line in lines]


def packed(assignment: Assignment, key: Key | None) -> Iterator[tuple[Path, str]]:
    """(file, name in the archive) of the assignment, the key, and handgrad."""
    beside = {assignment.path.name: None, **dict.fromkeys(assignment.contents)}
    folders = [(assignment.path.parent, "assignment", [assignment.path.parent / name for name in beside])]
    folders += [(PACKAGE, "handgrad", [*PACKAGE.rglob("*")])]
    folders += [(key.folder, "key", [key.folder / "secret", key.folder / "variants.json"])] if key else []
    for home, name, files in folders:
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file, f"{name}/{file.relative_to(home).as_posix()}"
