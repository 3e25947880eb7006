"""The house rules that a script can see: import direction, extras in their rooms, sizes, one page per pair file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "handgrad"

# A row may import only rows above it and itself; names within a row do not import each other. See docs/design.md.
FLOORS = [
    {"arrays", "naming", "text", "chains"},
    {"files", "blanks"},
    {"html", "kernels"},
    {"diagram", "heat_map", "user_code", "functional"},
    {"derivatives", "initializers", "schedules", "metrics", "clipping"},
    {"gradient_check", "layers"},
    {"user_files", "models", "optimizers"},
    {"training"},
    {"datasets", "diagnosis"},
    {"reports"},
    {"experiments"},
    {"torch_twin", "exchange"},
    {"sklearn"},
    {"courses"},
    {"teaching"},
    {"assignment"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {name: number for number, row in enumerate(FLOORS) for name in row}
ROOMS = {  # third-party package: where it may be imported
    "torch": ("torch_twin", "courses", "gradient_check/reference.py"),
    "sklearn": ("sklearn",),
    "scipy": ("sklearn",),
    "matplotlib": ("reports", "courses"),
    "click": ("cli",),
    "rich": ("cli", "training/bar.py"),
    "safetensors": ("files.py",),
    "onnx": ("exchange", "sklearn/onnx.py"),
    "onnxruntime": ("exchange",),
    "skl2onnx": ("sklearn/onnx.py",),
}
FILES = sorted(SOURCE.rglob("*.py"))


def floor_name(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    """Dotted names of all that a file imports, relative imports resolved, those inside functions included."""
    package = ("handgrad", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def ours(path):
    """The floors' members that a file imports."""
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "handgrad" and len(parts) > 1:
            yield parts[1] if parts[1] in FLOOR else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_upwards_only(path):
    here = floor_name(path)
    assert here in FLOOR, f"{here} has no floor: give it one in FLOORS and docs/design.md"
    for there in ours(path):
        assert there == here or FLOOR[there] < FLOOR[here], f"{here} may not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_extras_stay_in_their_rooms(path):
    place = path.relative_to(SOURCE).as_posix()
    for name in imports(path):
        rooms = ROOMS.get(name.split(".")[0])
        assert rooms is None or place.startswith(rooms), f"{place} may not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_are_short_and_files_introduced(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a file opens with one plain sentence"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            assert body[-1].end_lineno - body[0].lineno + 1 <= 50, f"{node.name} is longer than 50 lines"


def test_importing_handgrad_needs_numpy_alone():
    """Beyond what any Python here loads by itself and what NumPy brings."""

    def packages_after(statement):
        code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())

    more = packages_after("import handgrad") - packages_after("import numpy.random") - set(sys.stdlib_module_names)
    assert {name for name in more if not name.startswith("_")} == {"handgrad"}


def test_importing_handgrad_waits_for_no_random_numbers():
    """NumPy loads its generators when they are first named, which takes as long as all of handgrad."""
    loaded = "'numpy.random' in sys.modules"
    code = f"import sys, numpy; before = {loaded}; import handgrad; print(before, {loaded})"
    before, after = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert before == after


def test_every_public_name_has_a_docstring():
    import handgrad

    for name in filter(lambda name: not name.startswith("_"), vars(handgrad)):
        assert getattr(handgrad, name).__doc__, f"handgrad.{name} has no docstring"
