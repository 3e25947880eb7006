"""Mistakes that people make in gradients, each an edit of our right code: for proof, exercises and pages.

The table is mistakes.toml; this file makes the wrong code from it and from the source of the right one.

>>> from handgrad import check_gradients
>>> mistake = mistakes()["linear.dbias_not_summed"]
>>> print(mistake.right[0], mistake.wrong[0], mistake.lesson.split(". ")[-1], sep="\\n")
return dx, x.T @ dy, dy.sum(axis=0)
return dx, x.T @ dy, dy
y = x W + b adds the same b to every row, so db is Σ dy over the rows (a printed erratum).
>>> target, arrays, options = mistake.make(np.random.default_rng(0))
>>> check_gradients(target, *arrays, **options).verdicts[0].mistake
'not-summed'
"""

import __future__

import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, Generator
from ..experiments.configuration import parse_toml
from ..gradient_check.vocabulary import VOCABULARY

TABLE = Path(__file__).with_name("mistakes.toml")
# What `check_gradients` takes: the code to check, its arrays, and further arguments by name.
Case: TypeAlias = tuple[Any, tuple[Array, ...], dict[str, Any]]


@dataclass(frozen=True)
class Subject:
    """Right code of ours, and in Python what is made of it and what that is tried on."""

    name: str
    code: tuple[str, ...]
    target: str
    inputs: str
    options: str = ""

    def make(self, rng: Generator) -> Case:
        """The right code, as a case that `check_gradients` finds right."""
        return self.case(namespace(self.code), rng)

    def case(self, names: dict[str, Any], rng: Generator) -> Case:
        """The case for code, right or wrong, of these names."""
        names = names | {"rng": rng, "normal": lambda *shape: rng.normal(size=shape)}
        arrays, options = eval(f"({self.inputs},)", names), eval(f"dict({self.options})", names)
        return eval(self.target, names), arrays, {"kwargs": options} if options else {}


@dataclass(frozen=True)
class Mistake:
    """One wrong version of a subject: what is written in place of what, and what one learns from it.

    `slug` is the name a gradient check gives the mistake; `lesson` what the vocabulary says of that name, and what the
    case adds to it; `array` the one whose gradient goes wrong. `helper` is code
    that the subject calls, where the line stands there.
    """

    name: str
    subject: Subject
    slug: str
    lesson: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    array: str = ""
    helper: str = ""

    @property
    def code(self) -> tuple[str, ...]:
        """What the wrong code is an edit of: names within handgrad, in the order of `source`."""
        return (self.helper, *self.subject.code) if self.helper else self.subject.code

    def source(self) -> str:
        """The wrong code as text: that of the right functions or classes, but for the edited lines."""
        text = source_of(self.code)
        for right, wrong in zip(self.right, self.wrong, strict=True):
            text = self._edited(text, right, wrong)
        return text

    def run(self) -> dict[str, Any]:
        """The wrong code by name, made anew at each call; a traceback names the mistake and shows its lines."""
        text, file, names = self.source(), f"<mistake {self.name}>", namespace(self.code)
        # a file without a time of change stays in the cache, where inspect and tracebacks find its lines
        linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
        exec(compile(text, file, "exec", __future__.annotations.compiler_flag, dont_inherit=True), names)
        return names

    def make(self, rng: Generator) -> Case:
        """The wrong code, as a case in which `check_gradients` finds the mistake."""
        return self.subject.case(self.run(), rng)

    def _edited(self, text: str, right: str, wrong: str) -> str:
        """The text with the lines `right`, which must stand in it exactly once, replaced by `wrong`, indented alike."""
        lines, sought = text.splitlines(), [line.strip() for line in right.splitlines()]
        stripped = [line.strip() for line in lines]
        places = [i for i in range(len(lines)) if stripped[i : i + len(sought)] == sought]
        if len(places) != 1:
            what = f"{TABLE.name}: the right line of {self.name} must stand once in {', '.join(self.code)}"
            advice = f"write it as the source has it now: {right!r}"
            raise ValueError(f"{what}, but stands there {len(places)} times; {advice}")
        start = places[0]
        indent = lines[start].removesuffix(stripped[start])
        lines[start : start + len(sought)] = textwrap.indent(wrong, indent).splitlines()
        return "\n".join(lines) + "\n"


@cache
def mistakes() -> dict[str, Mistake]:
    """Every mistake of the table by its name: the subject's, a dot, and its own."""
    table = parse_toml(TABLE.read_text("utf-8"), TABLE.name)
    return {mistake.name: mistake for name, rows in table.items() for mistake in read(name, rows)}


def read(name: str, rows: dict[str, Any]) -> Iterator[Mistake]:
    """The mistakes of one subject; one that names a pair is that pair's forward and backward."""
    if pair := rows.get("pair"):
        functions = f"{pair}_forward", f"{pair}_backward"
        code, target = [f"functional.{function}" for function in functions], f"({', '.join(functions)})"
    else:
        code, target = rows["code"], rows["target"]
    subject = Subject(name, tuple(code), target, rows["inputs"], rows.get("options", ""))
    for key, row in rows.items():
        if isinstance(row, dict):
            edits = (row.pop("right"), row.pop("wrong"))
            right, wrong = (tuple([lines] if isinstance(lines, str) else lines) for lines in edits)
            row["lesson"] = f"{VOCABULARY[row['slug']].lesson} {row.get('lesson', '')}".rstrip()
            yield Mistake(f"{name.replace(' ', '_')}.{key}", subject, right=right, wrong=wrong, **row)


def source_of(code: tuple[str, ...]) -> str:
    """The text of functions or classes, one after the other."""
    return "\n\n".join(inspect.getsource(resolve(name)) for name in code)


def resolve(name: str) -> Any:
    """The function or class of this name within handgrad."""
    return resolve_name(f"handgrad.{name}")


def namespace(code: tuple[str, ...]) -> dict[str, Any]:
    """What the modules of this code know, NumPy as np, and handgrad as hg."""
    names: dict[str, Any] = {"np": np, "hg": sys.modules["handgrad"]}
    for name in code:
        names |= vars(sys.modules[resolve(name).__module__])
    return names
