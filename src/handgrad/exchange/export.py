"""Models and runs as files that need no handgrad, each with a receipt: how far apart the two compute."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import files
from ..arrays import Array
from ..layers import Layer, Sequential
from ..naming import check_path, nearest
from ..text import aligned
from . import c_file, javascript_file, onnx_file, page_file, python_file
from .names import harmless
from .program import Program, example_input, record

ROWS = 32  # of random inputs, and of the run's own


class Target(NamedTuple):
    """What writes a program down in a format, and what computes with the file."""

    write: Callable[[Program, str], Mapping[str, str | bytes]]  # (program, the file's stem) -> {suffix: content}
    run: Callable[[Path, Program, Array], Mapping[str, Array]]  # (file, program, x (N, ...)) -> {output: array}
    tool: str  # what `run` runs, as a receipt calls it
    is_here: Callable[[], bool]  # whether it can
    tolerance: float = 1e-5  # the largest difference allowed


def has(module: str) -> bool:
    """Whether a module is installed."""
    return importlib.util.find_spec(module) is not None


TARGETS: dict[str, Target] = {
    ".onnx": Target(onnx_file.write, onnx_file.run, "onnxruntime", lambda: has("onnxruntime"), 1e-5),
    ".py": Target(python_file.write, python_file.run, "python -I", lambda: True, 1e-6),
    ".c": Target(c_file.write, c_file.run, "C compiler", lambda: bool(c_file.compiler()), 1e-5),
    ".js": Target(javascript_file.write, javascript_file.run, "node", lambda: bool(shutil.which("node")), 1e-6),
    ".html": Target(page_file.write, page_file.run, "node", lambda: bool(shutil.which("node")), 1e-6),
}


HEADERS = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool
stddef stdint stdio stdlib string tgmath time unistd wchar wctype"""
HIDDEN = {
    ".c": HEADERS.split(),
    ".py": {"numpy", "handgrad", *sys.stdlib_module_names},
}  # names that are found for others
HEAD = "network written down by handgrad"  # stands in the first line of what is written beside a file


class Source(NamedTuple):
    """What is exported: its program, what handgrad computes in float64, and inputs to compare on by what they are."""

    program: Program
    compute: Callable[[Array], Mapping[str, Array]]
    inputs: Mapping[str, Array]


class Difference(NamedTuple):
    """The largest difference of an output, as a share of the output's largest number where that is above 1."""

    output: str
    inputs: str
    rows: int
    by: str
    difference: float


@dataclass
class Receipt:
    """How far what was exported is from the model.

    Attributes
    ----------
    path : Path
        The file.
    differences : list of Difference
        For each output, kind of inputs, and what computed: 'program', NumPy by the operations that were written down,
        and the target itself where it was run.
    tolerance : float
        The largest difference allowed.
    notes : list of str
        What there is to say beside it.
    """

    path: Path
    differences: list[Difference]
    tolerance: float
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all differences are within the tolerance."""
        return all(row.difference <= self.tolerance for row in self.differences)

    def __str__(self) -> str:
        rows = [(*row[:2], str(row.rows), row.by, f"{row.difference:.1e}") for row in self.differences]
        lines = aligned(["output", "inputs", ">rows", "by", ">difference"], rows)
        verdict = "agree" if self.ok else "DIFFER"
        allowed = f"allowed: {self.tolerance:.0e} of the largest number, or of 1"
        ending = f"handgrad and {harmless(self.path.name)} {verdict} ({allowed})"
        return "\n".join([*lines, ending, *self.notes])

    __repr__ = __str__


def export(model: Layer, path: str | Path, verify: bool = False) -> Receipt:
    """Write a model as a file that computes `model.predict(x)` without handgrad, and a receipt beside it.

    Parameters
    ----------
    model : Sequential
        Built.
    path : str or Path
        Ends in .onnx (with the extra `onnx`), .py (one file that needs NumPy alone), .c (C99, and its header; no heap),
        .js (an ES module without dependency, and its types) or .html (a page to play with: a board to draw on, or a
        form). The receipt is called the same, with .receipt.txt at the end.
    verify : bool
        Whether to compute with the file itself, too, where what runs it is there.

    Returns
    -------
    Receipt
        The largest differences to the model; print it.

    Raises
    ------
    ValueError
        For a model that is not built, another ending, and a layer of your own that computes by what has no counterpart
        (see `handgrad.exchange.exports`).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "net.py"
    >>> hg.export(hg.Sequential([hg.Linear(3), hg.Softmax()]).build(4, rng=0), path).ok
    True
    """
    if not isinstance(model, Sequential):
        what = f"export takes a model, which is a Sequential, got {type(model).__name__}"
        raise TypeError(f"{what} (hg.Sequential([layer]).build(...); of a run: run.model())")
    if type(model).predict is not Sequential.predict:
        raise ValueError(f"export writes what the layers compute, and {type(model).__name__} has a predict of its own")
    path, target = target_of(path)
    return write(source_of(model), path, target, verify)


def target_of(path: str | Path) -> tuple[Path, Target]:
    """The path, where a file can be written, and what its ending stands for."""
    path = files.check_output(check_path("export", "path", path))
    if path.suffix not in TARGETS:
        known = ", ".join(TARGETS)
        raise ValueError(f"cannot export to {path}: its name must end in one of {known}{nearest(path.suffix, TARGETS)}")
    if path.stem in HIDDEN.get(path.suffix, ()):
        what = f"{path.stem}.h" if path.suffix == ".c" else path.name
        why = f"{what} would hide the standard one of that name; choose another name"
        raise ValueError(f"cannot export to {path}: {why}")
    return path, TARGETS[path.suffix]


def source_of(model: Sequential) -> Source:
    """A model to be exported as it is."""
    program, exact = record(model), model.astype(np.float64)
    return Source(program, lambda x: {"y": exact.predict(x)}, {"random": random_input(program)})


def random_input(program: Program) -> Array:
    """Normal numbers, or whole ones that the first layer knows."""
    if program.takes_indices:
        return example_input(program, ROWS)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, *program.x.example)).astype(program.x.dtype)
    for place, size in program.chosen().items():
        x[:, place] = rng.integers(size, size=ROWS)
    return x


def write(source: Source, path: Path, target: Target, verify: bool, notes: Sequence[str] = ()) -> Receipt:
    """Write the files and the receipt, each whole or not at all."""
    contents = {path.with_suffix(suffix): text for suffix, text in target.write(source.program, path.stem).items()}
    for written in [*contents, Path(f"{path}.receipt.txt")]:
        files.check_output(written)
    for beside in contents.keys() - {path}:
        if beside.exists() and HEAD not in beside.read_bytes()[:200].decode(errors="replace"):
            raise ValueError(f"cannot export to {path}: {beside.name} beside it is another's; choose another name")
    for name, array in source.program.weights().items() if path.suffix in (".c", ".onnx") else ():
        if (np.abs(array[np.isfinite(array)]) > np.finfo(np.float32).max).any():
            raise ValueError(f"cannot export to {path}: '{name}' holds numbers too large for float32; .py keeps them")
    for written, content in contents.items():
        with files.atomic_path(written) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    runs: dict[str, Any] = {"program": source.program.run}
    if verify and target.is_here():
        runs[target.tool] = lambda x: target.run(path, source.program, x)
    elif verify:
        notes = [*notes, f"{target.tool} is not here: the file itself was not run"]
    receipt = Receipt(path, compare(source, runs), target.tolerance, list(notes))
    files.write_text(f"{path}.receipt.txt", f"{receipt}\n")
    if not receipt.ok:
        warnings.warn(f"{path} differs from handgrad: do not use it (see {path.name}.receipt.txt)", stacklevel=3)
    return receipt


def compare(source: Source, runs: Mapping[str, Callable[[Array], Mapping[str, Array]]]) -> list[Difference]:
    """The largest difference of each output, for each kind of inputs and each that computes."""
    found = []
    for kind, x in source.inputs.items():
        expected = source.compute(x)
        for by, run in runs.items():
            outputs = run(x)
            found += [Difference(o, kind, len(x), by, difference(outputs[o], y)) for o, y in expected.items()]
    return found


def difference(found: Array, expected: Array) -> float:
    """The largest, as a share of the largest number above 1; infinite for another shape, and what is no number."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.abs(found - expected).max(initial=0) / np.abs(expected).max(initial=1))
