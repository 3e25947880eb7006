"""A course's packages as ordinary source in the course's layout: in a folder to keep (copy), or to run one script on.

There is one source, the solved package here. A copy's files import each other under the course's names, so that what
stands in the folder is what runs; `blank` cuts out the bodies that the course's manifest names.
"""

import ast
import importlib.abc
import importlib.util
import json
import re
import runpy
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

from ..blanks import blanked
from ..experiments.configuration import parse_toml
from ..files import add_files
from ..naming import look_up
from . import COURSES

HERE = Path(__file__).parent
LIBRARY, ENGINE = HERE.parent, "engine"  # handgrad, and what its parts are called in a copy that does without it
ANSWER = re.compile(r"(# %% \[markdown\] answer\n# .*\n)(?:#.*\n)+")  # a cell whose first line is the question
Files: TypeAlias = dict[Path, bytes]  # the place in a copy, and what stands there


class Course(NamedTuple):
    """What a manifest says: {place in a copy: file or package here}, {file of a copy: names of bodies to write}."""

    title: str
    modules: dict[str, str]
    blank: dict[str, list[str]] = {}


def read_course(name: str) -> Course:
    """The manifest of a course; ValueError for a name that is none."""
    path = look_up("course", name, COURSES)
    return Course(**parse_toml(path.read_text(encoding="utf-8"), path.name))


def is_module(course: str, path: str) -> bool:
    """Whether a file of a copy is part of the course's modules, and no script or test beside them."""
    return path.partition("/")[0].removesuffix(".py") in read_course(course).modules


def copy(
    course: str, folder: str | Path, blank: bool = False, self_contained: bool = False
) -> tuple[list[Path], list[Path]]:
    """Write the course into a folder, adding what is missing; returns the files written, and those left alone.

    Left alone are files that are there with another content. With self_contained the parts of handgrad that the
    course's modules use come along as the package `engine`. Raises ValueError, before anything is written, where a
    module would stand beside one of the same name, or the folder is a file.
    """
    folder, files = Path(folder), course_files(course, blank, self_contained)
    for path in files:
        other = rival(folder / path)
        if other.exists():
            raise ValueError(f"{other} and {folder / path} would be one module to Python: name another folder")
    written, left = add_files(folder, files)
    starter = HERE / course / "_starter" / "__init__.py"
    furnish = importlib.import_module(f"{__package__}.{course}._starter").furnish if starter.exists() else None
    return [*written, *(furnish(folder) if furnish else [])], left


def run(course: str, script: str | Path, arguments: Sequence[str] = ()) -> int:
    """Run a script with the modules of a solved copy behind hers, file by file; returns the exit code.

    The script is a file, or the name of one that comes with the course ('train_ffnn.py'). Hers are the modules in the
    folder of that file, or in the working folder where the script is the course's.
    """
    files = course_files(course)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        file = find_script(files, script, Path(folder))
        hers = file.parent if Path(script).is_file() else Path.cwd()
        with as_main([str(hers), folder], [str(file), *arguments]):
            try:
                runpy.run_path(str(file), run_name="__main__")
            except SystemExit as ending:
                return exit_code(ending.code)
            except Exception:
                traceback.print_exc()
                return 1
    return 0


def rival(path: Path) -> Path:
    """The file of the same module name: utils/__init__.py beside utils.py."""
    package = path.name == "__init__.py"
    return path.parent.with_suffix(".py") if package else path.with_suffix("") / "__init__.py"


def course_files(course: str, blank: bool = False, self_contained: bool = False) -> Files:
    """All that a copy of the course has but what `furnish` makes."""
    about = read_course(course)
    files: Files = {}
    for place, source in about.modules.items():
        first = next(name for name, other in about.modules.items() if other == source)
        for path, file in module_files(place, HERE / source):
            text = file.read_text(encoding="utf-8")
            if first != place:
                text = passing_on(text, ".".join(path.with_suffix("").parts), place, first)
            else:
                text = with_own_imports(text, file, source, about.modules, ENGINE if self_contained else "handgrad")
                text = blanked(text, about.blank.get(path.as_posix(), ()) if blank else (), path)
            files[path] = text.encode()
    return {**files, **engine_files(files), **starter_files(HERE / course / "_starter", about.blank if blank else None)}


def module_files(place: str, source: Path) -> Iterator[tuple[Path, Path]]:
    """(path in a copy, file) of a module or of a package's modules, without what the starter holds."""
    if source.is_file():
        yield Path(place).with_suffix(".py"), source
    for file in sorted(source.rglob("*.py")):
        path = file.relative_to(source)
        if path.parts[0] != "_starter":
            yield place / path, file


def starter_files(folder: Path, blank: Mapping[str, list[str]] | None = None) -> Files:
    """What lies beside the modules: scripts, tests, data; scripts of cells as notebooks too.

    With `blank` the bodies that it names are left out, and the answers that notebooks give to the homework's questions.
    """
    files: Files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in path.parts and name != Path("__init__.py"):
            files[name] = path.read_bytes()
            if path.suffix == ".py" and b"\n# %%" in files[name]:
                text = files[name].decode()
                if blank is not None:
                    text = ANSWER.sub(r"\1# (Your answer.)\n", blanked(text, blank.get(name.as_posix(), ()), name))
                files[name] = text.encode()
                files[name.with_suffix(".ipynb")] = (json.dumps(to_notebook(text), indent=1) + "\n").encode()
    return files


def passing_on(text: str, name: str, place: str, first: str) -> str:
    """A module that passes on the one of the same name in another package of the copy."""
    name = name.removesuffix(".__init__")
    other = first + name.removeprefix(place)
    return f'"""{name}: the names of {other}."""\n\nfrom {other} import *\n'


def with_own_imports(text: str, file: Path, source: str, modules: dict[str, str], library: str) -> str:
    """The source of a file whose relative imports of other packages are by name: the course's, or the library's."""
    places = {**{dotted(other): place for place, other in reversed(modules.items())}, "handgrad": library}
    package = dotted(str(file.parent.relative_to(HERE)))
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            if not f"{target}.".startswith(f"{dotted(source)}."):
                home = next(home for home in places if f"{target}.".startswith(f"{home}."))
                name = places[home] + target.removeprefix(home)
                lines[node.lineno - 1] = re.sub(r"from \S+ import", f"from {name} import", lines[node.lineno - 1])
    return "".join(lines)


def engine_files(files: Files) -> Files:
    """The files of handgrad that these import as `engine`, and those that they import in turn, with their data."""
    found: dict[Path, None] = {}
    texts = [text.decode() for path, text in files.items() if path.suffix == ".py"]
    todo = [file for text in texts for file in library_files(text, LIBRARY / "module.py", ENGINE)]
    while todo:
        file = todo.pop()
        if file not in found:
            found[file] = None
            todo += library_files(file.read_text(encoding="utf-8"), file)
    engine = {ENGINE / file.relative_to(LIBRARY): file.read_bytes() for file in found}
    for file in found:
        data = {other for other in file.parent.glob(f"{file.stem}.*") if other.suffix != ".py" and other.is_file()}
        engine.update((ENGINE / other.relative_to(LIBRARY), other.read_bytes()) for other in data)
    packages = {package / "__init__.py" for path in engine for package in path.parents if package.name}
    return {**dict.fromkeys(sorted(packages), b'"""Parts of handgrad."""\n'), **engine}


def library_files(text: str, file: Path, absolute: str = "") -> Iterator[Path]:
    """The files of handgrad that a module's text imports: relatively, or from the package called `absolute`."""
    package = [LIBRARY.name, *file.relative_to(LIBRARY).parent.parts]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".") if node.module else []
            if node.level and not absolute:
                parts = package[: len(package) - node.level + 1] + parts
            elif node.level or not absolute or parts[:1] != [absolute]:
                continue
            for name in node.names:
                stem = LIBRARY.joinpath(*parts[1:])
                options = [place for path in (stem / name.name, stem) for place in module_places(path)]
                yield from [place for place in options if place.is_file() and place.parent != LIBRARY.parent][:1]


def module_places(path: Path) -> list[Path]:
    """Where the module of this path may stand; handgrad's own __init__ never comes along."""
    return [path.with_suffix(".py"), *([path / "__init__.py"] if path != LIBRARY else [])]


def dotted(source: str) -> str:
    """The name by which Python imports a file or folder here."""
    return ".".join([str(__package__), *Path(source.removesuffix(".py")).parts])


def to_notebook(script: str) -> dict[str, Any]:
    """A Jupyter notebook of a script's cells: '# %% [markdown]' begins a cell of text, '# %%' one of code."""
    cells = []
    for number, part in enumerate(script.split("# %%")[1:]):
        header, _, body = part.partition("\n")
        is_text = "markdown" in header
        lines = body.strip().splitlines()
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        cell: dict[str, Any] = {"cell_type": "markdown" if is_text else "code", "id": f"cell-{number}", "metadata": {}}
        cell["source"] = [line + "\n" for line in lines[:-1]] + lines[-1:]
        cells.append(cell if is_text else {**cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def find_script(files: Files, script: str | Path, folder: Path) -> Path:
    """The file of that name, or the one in the copy in `folder`."""
    if Path(script).is_file():
        path = Path(script).resolve()
    elif Path(script) in files:
        path = folder / script
    else:
        scripts = ", ".join(str(name) for name in files if name.suffix == ".py" and len(name.parts) == 1)
        raise ValueError(f"no script {script} here; expected a file, or one that comes with the course: {scripts}")
    if path.suffix == ".ipynb":
        raise ValueError(f"{script} is a notebook: copy the course into its folder, then open it with Jupyter")
    return path


class Overlay(importlib.abc.MetaPathFinder):
    """Finds the packages of the last folder, each spread over all folders, so that the first that has a module wins."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Python's own finding of a package, but with the folders of this name wherever they are."""
        places = [Path(folder, *fullname.split(".")) for folder in self.folders]
        spec = PathFinder.find_spec(fullname, path) if places[-1].is_dir() else None
        if spec and spec.submodule_search_locations is not None:
            spec.submodule_search_locations = [str(place) for place in places if place.is_dir()]
        return spec


@contextmanager
def as_main(folders: list[str], arguments: list[str]) -> Iterator[None]:
    """sys.path and sys.argv as a script of its own would find them, sys.modules without modules of the same names."""
    saved_path, saved_arguments = list(sys.path), list(sys.argv)
    hidden, overlay = take_modules(folders), Overlay(folders)
    sys.path[:0], sys.argv[:] = folders, arguments
    sys.meta_path.insert(0, overlay)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.meta_path.remove(overlay)
        sys.path[:], sys.argv[:] = saved_path, saved_arguments
        take_modules(folders)
        sys.modules.update(hidden)


def take_modules(folders: list[str]) -> dict[str, ModuleType]:
    """Take the modules out of sys.modules whose top-level names are found in these folders; returns them by name."""
    paths = [path for folder in folders for path in Path(folder).iterdir()]
    names = {path.stem for path in paths if path.suffix == ".py" or (path.is_dir() and "." not in path.name)}
    names.discard("handgrad")
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


def exit_code(code: object) -> int:
    """What a process would end with: sys.exit('text') prints it and means 1."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1
