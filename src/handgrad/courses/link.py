"""Put handgrad under a course's own module names: in a folder to keep (link), or for the run of one script (run)."""

import importlib.util
import pkgutil
import runpy
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..files import atomic_path, write_text
from ..naming import look_up
from . import COURSES, Course

OURS = "from handgrad.courses."  # stands in every module that link writes


def link(course: str, folder: str | Path) -> list[Path]:
    """Write the course's modules, as re-exports of ours, and its starter files into the folder; returns the paths.

    Files of the starter that are there already are kept. Raises ValueError, before anything is written, where a
    module would replace one that is not from here, or stand beside one of the same name.
    """
    chosen, folder = look_up("course", course, COURSES), Path(folder)
    modules = {folder / path: text for path, text in module_files(chosen).items()}
    for path in modules:
        if path.exists() and OURS not in path.read_text(encoding="utf-8", errors="replace"):
            raise ValueError(
                f"{path} is a module of your own, which would be lost: link into another folder, or move it away first"
            )
        if rival(path).exists():
            raise ValueError(f"{rival(path)} and {path} would be one module to Python: link into another folder")
    for path, text in modules.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return [*modules, *write_starter(chosen, folder)]


def run(course: str, script: str | Path, arguments: Sequence[str] = ()) -> int:
    """Run a script with the course's modules importable, ours before the folder's own; returns the exit code.

    The script is a file, or the name of one that comes with the course ('train_ffnn.py').
    """
    chosen = look_up("course", course, COURSES)
    file = find_script(chosen, script)
    with tempfile.TemporaryDirectory() as folder:
        for path, text in module_files(chosen).items():
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(text, encoding="utf-8")
        with as_main([folder, str(file.parent)], [str(file), *arguments]):
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


def module_files(course: Course) -> dict[Path, str]:
    """{relative path: text} of the re-exporting modules."""
    files: dict[Path, str] = {}
    for name, target in course.modules.items():
        add_module(files, Path(name), target)
    return files


def add_module(files: dict[Path, str], path: Path, target: str) -> None:
    spec = importlib.util.find_spec(target)  # unloaded: it may need PyTorch
    inside = spec.submodule_search_locations if spec else None
    name = ".".join(path.parts)
    text = f'"""{name}, from handgrad."""\n\n{OURS}{target.removeprefix("handgrad.courses.")} import *\n'
    files[path / "__init__.py" if inside else path.with_suffix(".py")] = text
    for inner in pkgutil.iter_modules(inside or []):
        if not inner.name.startswith("_"):
            add_module(files, path / inner.name, f"{target}.{inner.name}")


def starter_files(course: Course) -> dict[Path, Path]:
    """{relative path: file} of what is copied to the student as it stands."""
    if course.starter is None:
        return {}
    root = Path(str(importlib.import_module(course.starter).__file__)).parent
    return {
        path.relative_to(root): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path != root / "__init__.py"
    }


def write_starter(course: Course, folder: Path) -> list[Path]:
    written = []
    for name, source in starter_files(course).items():
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(source.read_bytes())
            written.append(folder / name)
    furnish = getattr(importlib.import_module(course.starter), "furnish", None) if course.starter else None
    return [*written, *(furnish(folder) if furnish else [])]


def find_script(course: Course, script: str | Path) -> Path:
    shipped = starter_files(course)
    if Path(script).is_file():
        path = Path(script).resolve()
    elif Path(script) in shipped:
        path = shipped[Path(script)]
    else:
        scripts = ", ".join(str(name) for name in shipped if name.suffix == ".py" and len(name.parts) == 1)
        raise ValueError(f"no script {script} here; expected a file, or one that comes with the course: {scripts}")
    if path.suffix == ".ipynb":
        raise ValueError(f"{script} is a notebook: link the course into its folder, then open it with Jupyter")
    return path


@contextmanager
def as_main(folders: list[str], arguments: list[str]) -> Iterator[None]:
    """sys.path and sys.argv as a script of its own would find them, sys.modules without modules of the same names."""
    saved_path, saved_arguments = list(sys.path), list(sys.argv)
    hidden = take_modules(folders)
    sys.path[:0], sys.argv[:] = folders, arguments
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:], sys.argv[:] = saved_path, saved_arguments
        take_modules(folders)
        sys.modules.update(hidden)


def take_modules(folders: list[str]) -> dict[str, ModuleType]:
    """Take the modules out of sys.modules whose top-level names are found in these folders; returns them by name."""
    names = {
        path.stem
        for folder in folders
        for path in Path(folder).iterdir()
        if path.suffix == ".py" or (path.is_dir() and "." not in path.name)
    } - {"handgrad"}
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


def exit_code(code: object) -> int:
    """What a process would end with: sys.exit('text') prints it and means 1."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1
