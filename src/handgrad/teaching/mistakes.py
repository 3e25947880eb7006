"""Mistakes that people make in gradients, each an edit of one of our right pairs: for proof, exercises and pages.

The table is mistakes.toml; this file makes the wrong pairs from it and from the source of the right ones.
"""

import __future__

import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import functional
from ..arrays import Array
from ..experiments.configuration import parse_toml

TABLE = Path(__file__).with_name("mistakes.toml")


@dataclass(frozen=True)
class Subject:
    """A right pair of `handgrad.functional`, and in Python what it is tried on."""

    name: str
    pair: str
    inputs: str
    options: str = ""

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The right forward and backward."""
        return getattr(functional, f"{self.pair}_forward"), getattr(functional, f"{self.pair}_backward")

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Array, ...], dict[str, Any]]:
        """Arrays for the forward, and the keywords it runs with."""
        names = {"np": np, "rng": rng, "normal": lambda *shape: rng.normal(size=shape)}
        return eval(f"({self.inputs},)", names), eval(f"dict({self.options})", names)


@dataclass(frozen=True)
class Mistake:
    """One wrong version of a subject: what is written in place of what, and what one learns from it.

    `slug` is the name a gradient check gives the mistake, `array` the one whose gradient goes wrong.
    """

    name: str
    subject: Subject
    slug: str
    lesson: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    array: str = ""
    helper: str = ""

    def source(self) -> str:
        """The wrong forward and backward (and helper) as text, as they run."""
        text = "\n\n".join(inspect.getsource(function) for function in self._originals())
        for right, wrong in zip(self.right, self.wrong, strict=True):
            text = self._edited(text, right, wrong)
        return text

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The wrong forward and backward, made anew at each call; a traceback names the mistake and shows its lines."""
        text, file = self.source(), f"<mistake {self.name}>"
        # a file without a time of change stays in the cache, where inspect and tracebacks find its lines
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
        names: dict[str, Any] = {"np": np}
        for function in self._originals():
            names |= function.__globals__
        exec(compile(text, file, "exec", __future__.annotations.compiler_flag, dont_inherit=True), names)
        forward, backward = self.subject.functions()
        return names[forward.__name__], names[backward.__name__]

    def make(self, rng: np.random.Generator) -> tuple[Any, tuple[Array, ...], dict[str, Any]]:
        """What `check_gradients` takes to find the mistake: the wrong pair, arrays, and further arguments by name."""
        arrays, options = self.subject.draw(rng)
        return self.functions(), arrays, {"kwargs": options}

    def _originals(self) -> list[Any]:
        forward, backward = self.subject.functions()
        helpers = [backward.__globals__[self.helper]] if self.helper else []
        return [*helpers, forward, backward]

    def _edited(self, text: str, right: str, wrong: str) -> str:
        """The text with the lines `right`, which must stand in it exactly once, replaced by `wrong`, indented alike."""
        lines, sought = text.splitlines(), [line.strip() for line in right.splitlines()]
        stripped = [line.strip() for line in lines]
        places = [i for i in range(len(lines)) if stripped[i : i + len(sought)] == sought]
        if len(places) != 1:
            raise ValueError(
                f"{TABLE.name}: the right line of {self.name} must stand once in {self.subject.pair}, "
                f"but stands there {len(places)} times; write it as the source has it now: {right!r}"
            )
        start = places[0]
        indent = lines[start].removesuffix(stripped[start])
        lines[start : start + len(sought)] = textwrap.indent(wrong, indent).splitlines()
        return "\n".join(lines) + "\n"


@cache
def mistakes() -> dict[str, Mistake]:
    """Every mistake of the table by its name: the subject's, a dot, and its own."""
    table = parse_toml(TABLE.read_text("utf-8"), TABLE.name)
    return {mistake.name: mistake for name, rows in table.items() for mistake in _read(name, rows)}


def _read(name: str, rows: dict[str, Any]) -> Iterator[Mistake]:
    subject = Subject(name, **{key: value for key, value in rows.items() if isinstance(value, str)})
    for key, row in rows.items():
        if isinstance(row, dict):
            for part in ("right", "wrong"):
                row[part] = (row[part],) if isinstance(row[part], str) else tuple(row[part])
            yield Mistake(f"{name.replace(' ', '_')}.{key}", subject, **row)
