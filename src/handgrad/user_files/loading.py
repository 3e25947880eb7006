"""Somebody's file as a module: read once, its imports found, its own error one line."""

import contextlib
import importlib
import importlib.util
import inspect
import linecache
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

import numpy as np

from .runner import read_source
from .serving import at, line_of, quoted


def load_machinery() -> None:
    """Load what checks need, once for all copies, before a folder comes first on the path where a random.py may be."""
    np.random.default_rng(0)
    importlib.import_module("handgrad.gradient_check.run")
    inspect.getmodule(load.__code__)  # it looks at every module's file, but once


def load(path: str | Path, source: bytes | None = None) -> ModuleType:
    """The file as a module, from what it holds or from the source given. Its own error becomes one line."""
    load_machinery()
    source = read_source(path) if source is None else source
    module = empty_module(Path(path))
    name, folders = module.__name__, import_folders(Path(path).resolve())
    sys.path[:0] = folders
    try:
        text = decoded(source, path)
        lines = [line + "\n" for line in text.split("\n")]
        linecache.cache[str(path)] = (len(source), None, lines, str(path))  # whatever becomes of the file
        own = Own(module, compile(text, str(path), "exec", dont_inherit=True))
        if not imported_by_package(own):
            sys.modules[name] = module  # where dataclasses look
            own.exec_module(module)
    except (Exception, SystemExit) as problem:
        what = f"{quoted(problem)}{at(line_of(problem, str(path)))}"
        raise ValueError(f"{path} does not import: {what}{way_out(problem)}") from None
    finally:
        sys.modules.pop(name, None)
        for folder in folders:
            with contextlib.suppress(ValueError):  # the file may have changed the path
                sys.path.remove(folder)
    return module


class Own(MetaPathFinder, Loader):
    """Gives a file as a module to whatever imports it by its name, as the __init__ of its package may."""

    def __init__(self, module: ModuleType, code: CodeType) -> None:
        self.module: ModuleType = module
        self.code: CodeType = code
        self.is_done: bool = False

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == self.module.__name__ else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, vars(module))
        self.is_done = True


def imported_by_package(own: Own) -> bool:
    """Import the package that a file is part of; whether it imported the file. Its errors are its own affair."""
    if own.module.__package__:
        sys.meta_path.insert(0, own)
        try:
            importlib.import_module(own.module.__package__)
        except (Exception, SystemExit):
            if own.is_done:
                sys.modules[own.module.__name__] = own.module
        finally:
            sys.meta_path.remove(own)
    return own.is_done


def decoded(source: bytes, path: str | Path) -> str:
    """The source as text, in the encoding that it says."""
    try:
        return importlib.util.decode_source(source)
    except UnicodeDecodeError as problem:
        line = source.count(b"\n", 0, problem.start) + 1
        raise SyntaxError(f"line {line} is no text in {problem.encoding.upper()}: save the file as such") from None


def way_out(problem: BaseException) -> str:
    """What to do about an error of the import; '' where it says so itself."""
    if isinstance(problem, (EOFError, SystemExit)):
        return "; what should not run here goes below  if __name__ == '__main__':"
    return "; give its folder an empty __init__.py" if "relative import" in str(problem) else ""


def empty_module(path: Path) -> ModuleType:
    """A module for a file, of the package that it is part of; never under a name that another module may want."""
    home = import_folders(path.resolve())[-1]
    package, _, name = ".".join(path.resolve().relative_to(home).with_suffix("").parts).rpartition(".")
    full = f"{package}.{name}" if package else name
    while full in sys.modules or full in sys.stdlib_module_names:
        full += "_"
    module = ModuleType(full)
    module.__file__, module.__package__ = str(path), package
    return module


def import_folders(path: Path) -> list[str]:
    """Where a file's imports may stand: its folder, and the one that holds the package it is part of."""
    home = next(folder for folder in path.parents if not (folder / "__init__.py").exists())
    return list(dict.fromkeys([str(path.parent), str(home)]))
