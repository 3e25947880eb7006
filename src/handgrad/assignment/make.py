"""Handouts: what each student gets in a folder, with bodies to write, and the key, which the teacher keeps."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..blanks import blanked
from ..datasets.csv_files import open_table
from ..files import add_files, check_folder, from_json, to_json, write_text
from ..naming import nearest
from ..text import one_line
from .specification import Assignment, Task, read_assignment
from .submissions import VARIANT
from .variants import variant_of

EVERYONE = "everyone"  # whose handout it is where there is no roster
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}(?<!\.)")
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # what no folder on Windows is called


class Made(NamedTuple):
    """What `make` did: the students, the files written, and those left alone since they were there."""

    students: list[str]
    written: list[Path]
    left: list[Path]


@dataclass(frozen=True)
class Key:
    """What a teacher keeps of an assignment: the secret of its variants, and who got which.

    Attributes
    ----------
    folder : Path
        DIR/key.
    secret : bytes
        What variants are drawn from.
    variants : dict of str to dict
        What each student's variant says, by id.
    """

    folder: Path
    secret: bytes
    variants: Mapping[str, Any]

    def variant_of(self, assignment: Assignment, student: str) -> Assignment:
        """The assignment as a student got it; ValueError for an id that got none, and for another SPEC.toml."""
        if student not in self.variants:
            raise ValueError(f"{self.folder} knows no student '{student}'{nearest(student, self.variants)}")
        variant = variant_of(assignment, student, self.secret)
        check_same(self, student, about(variant, student))
        return variant


def make(source: str | Path, folder: str | Path, roster: str | Path | None = None) -> Made:
    """Write the handouts of an assignment into a folder, and their key beside them, adding what is missing.

    Parameters
    ----------
    source : str or path
        SPEC.toml, or the name of an assignment that comes along.
    folder : str or path
        Gets handouts/ID/ for each student, and key/: the secret, variants.json and solutions/ID/. Made again, it keeps
        its secret, so that variants stay as they are.
    roster : str or path, optional
        A CSV file with the column id. Without it there is one handout, of the id 'everyone'.

    Returns
    -------
    Made

    Raises
    ------
    ValueError
        Before anything is written: for what `read_assignment` refuses, an id that cannot name a folder or stands
        twice, a folder that is a file, and a SPEC.toml that would change variants that are handed out already.
    """
    assignment, folder = read_assignment(source), Path(folder)
    made = {(folder / part).resolve() for part in ("key", "handouts")}
    for name in assignment.contents:
        if made & {*(assignment.path.parent / name).resolve().parents}:
            raise ValueError(f"{name} is handed out, and lies in what was made before: name a folder elsewhere")
    students = [EVERYONE] if roster is None else list(read_roster(roster))
    is_new = not (folder / "key" / "secret").exists()
    key = Key(folder / "key", secrets.token_bytes(32), {}) if is_new else read_key(folder / "key")
    variants = {student: variant_of(assignment, student, key.secret) for student in students}
    told = {student: about(variant, student) for student, variant in variants.items()}
    for student in set(told) & set(key.variants):
        check_same(key, student, told[student])
    made_of = {"handouts": handout, "key/solutions": solution}
    files = {
        Path(place, student, name): content
        for (student, variant), (place, make) in product(variants.items(), made_of.items())
        for name, content in make(variant, student).items()
    }
    check_folder(folder)
    (folder / "key").mkdir(mode=0o700, parents=True, exist_ok=True)
    write_text(folder / "key" / "variants.json", as_text({**key.variants, **told}))  # first: a secret is a whole key
    written, left = add_files(folder, {Path("key/secret"): key.secret.hex().encode(), **files})
    return Made(students, written, [path for path in left if path.name != "secret"])


# The roster -----------------------------------------------------------------------------------------------------------


def read_roster(path: str | Path) -> dict[str, str]:
    """{id: name or ''} of a roster, each id fit to name a folder anywhere; ValueError for the first that is not."""
    if Path(path).is_file() and not Path(path).read_bytes().strip():
        raise ValueError(f"{path} is empty: expected a header with a column id, and a row for each student")
    table = open_table(path, header=True)
    columns = [name.strip().lower() for name in table.names]
    if "id" not in columns:
        raise ValueError(f"{path} has no column 'id'; its columns are {', '.join(map(one_line, table.names)):.200}")
    students: dict[str, str] = {}
    folded: dict[str, str] = {}  # in small letters, since folders of some systems know no others
    for number, cells in table.rows:
        row = {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}
        student = row.get("id", "")
        what = f"{path} row {number}: the id {one_line(student)!r:.80}"
        if not ID.fullmatch(student) or DEVICES.fullmatch(student):
            fit = "up to 64 of A-Z a-z 0-9 . _ @ + -, a letter or digit first"
            raise ValueError(f"{what} cannot name a folder: use {fit}")
        if student.lower() in folded:
            raise ValueError(f"{what} stands there twice (as {folded[student.lower()]}): give each student one row")
        folded[student.lower()], students[student] = student, one_line(row.get("name", ""))
    if not students:
        raise ValueError(f"{path} has no students: expected rows below the header, with an id each")
    return students


# A handout ------------------------------------------------------------------------------------------------------------


def handout(assignment: Assignment, student: str) -> dict[str, bytes]:
    """{name: content} of what a student gets."""
    held = {name: assignment.contents[name] for name in (*assignment.given, *assignment.public_tests)}
    for file in assignment.files:
        names = [task.function for task in assignment.tasks if task.file == file]
        text = assignment.contents[file].decode()
        held[file] = assignment.wrong.get(file) or blanked(text, names, file).encode()
    told = readme(assignment, student, held.get("README.md", f"# {assignment.title}\n".encode()).decode())
    return {**held, "README.md": told.encode(), VARIANT: as_text(about(assignment, student)).encode()}


def solution(assignment: Assignment, student: str) -> dict[str, bytes]:
    """{name: content} of what would get all points."""
    held = {name: assignment.contents[name] for name in assignment.files}
    return {**held, VARIANT: as_text(about(assignment, student)).encode()}


def about(assignment: Assignment, student: str) -> dict[str, Any]:
    """What a student's variant is, as plain data."""
    told = ("name", "file", "function", "points")
    tasks = [{**{name: getattr(it, name) for name in told}, "inputs": shapes_of(it)} for it in assignment.tasks]
    constants = {name: values[0] for name, values in assignment.variant.constants.items()}
    return {"assignment": assignment.title, "student": student, "tasks": tasks, "constants": constants}


def shapes_of(task: Task) -> dict[str, Any]:
    """The shapes and numbers that it is checked with, as far as SPEC.toml says them."""
    return task.inputs if isinstance(task.inputs, dict) else {}


def as_text(data: object) -> str:
    return to_json(data, indent=1) + "\n"


def readme(assignment: Assignment, student: str, opening: str) -> str:
    """What a student reads first: the teacher's own words, then what is to be written and how it is tried."""
    constants = [f"{name} = {values[0]!r}" for name, values in assignment.variant.constants.items()]
    bugs = [f"- `{file}`: one line of it is wrong; find it, and mend it." for file in assignment.wrong]
    tests = [name for name in assignment.public_tests if PurePosixPath(name).match("test*.py")]
    runner = "unittest" if all(b"unittest" in assignment.contents[name] for name in tests) else "pytest"
    checked = {it.file: it.hints for it in reversed(assignment.tasks) if it.is_backward}
    checked = checked or {assignment.files[0]: assignment.tasks[0].hints}
    tried = [f"`handgrad check {file} --hints {checked[file]}`" for file in assignment.files if file in checked]
    lines = [
        f"Handed out to `{student}`. Write the bodies that raise `NotImplementedError`; keep names and arguments.",
        "",
        "| task | file | points | tried with |",
        "|---|---|---|---|",
        *(f"| {called(task)} | {task.file} | {task.points:g} | {asked(task)} |" for task in assignment.tasks),
        "",
        *bugs,
        *([f"- Your constants: {', '.join(constants)}."] if constants else []),
        *([f"- Try it: `python -m {runner} {' '.join(tests)}`."] if tests else []),
        f"- Check gradients: {', '.join(tried)}.",
        f"- Hand in: {', '.join(assignment.files)} and {VARIANT}.",
    ]
    return opening.rstrip() + "\n\n" + "\n".join(lines) + "\n"


def asked(task: Task) -> str:
    """What a task is tried with."""
    shapes = ", ".join(f"{name} {shown(it)}" for name, it in shapes_of(task).items())
    return shapes or ("nothing: it is a question" if task.inputs == {} else "arrays of the teacher's")


def called(task: Task) -> str:
    """A task's name, and its function where that is another."""
    return f"`{task.function}`" if task.name == task.function else f"{task.name}: `{task.function}`"


def shown(it: object) -> str:
    """A shape or a number for people."""
    return str(tuple(it)) if isinstance(it, list) else f"= {it}"


# The key --------------------------------------------------------------------------------------------------------------


def read_key(folder: str | Path) -> Key:
    """The key that `make` wrote into a folder, DIR/key."""
    folder = Path(folder)
    try:
        secret = bytes.fromhex((folder / "secret").read_text(encoding="ascii"))
        recorded = (folder / "variants.json").read_text(encoding="utf-8")
    except OSError as problem:
        raise ValueError(f"{folder} is no key that `handgrad assignment make` wrote: {problem.strerror}") from None
    except ValueError:
        raise ValueError(f"{folder / 'secret'} is damaged: expected 64 hexadecimal digits") from None
    return Key(folder, secret, from_json(recorded, folder / "variants.json"))


def check_same(key: Key, student: str, told: Mapping[str, Any]) -> None:
    """Refuse a SPEC.toml that draws another variant than was handed out."""
    if key.variants[student] != told:
        what = f"{key.folder / 'variants.json'}: {student} was handed out another variant than SPEC.toml draws now"
        raise ValueError(f"{what}: tasks, points, inputs or constants changed; undo that, or make it anew elsewhere")
