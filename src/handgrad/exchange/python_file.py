"""One file of Python that needs NumPy alone: weights, `predict`, and a test of itself."""

from __future__ import annotations

import base64
import inspect
import io
import keyword
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..arrays import Array
from . import operations
from .names import harmless, identifiers
from .program import Operation, Program, Value, Weight, example_input
from .tools import output_of, read

SIGNS = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2), "matmul": ("@", 2)}
FORMS: Mapping[str, Callable[..., str]] = {  # how Python writes what is no function of NumPy's
    "reshape": lambda x, shape: f"{x}.reshape(len({x}), {listed(shape)})",
    "transpose": lambda x, axes: f"{x}.transpose(0, {listed(axis + 1 for axis in axes)})",
    "slice": lambda x, slices: f"{x}[:, {listed(map(bounds, slices))}]",
    **{name: lambda x, axes, keepdims, name=name: reduced(x, name, axes, keepdims) for name in ("sum", "mean", "max")},
}
LITERAL, LONG, WIDTH = 64, 60, 112  # numbers written as such; letters of an expression put into another; of a line
NAMES = """np base64 math x array compute predict self_test Array Pair Shape Iterator CLASS_NAMES COLUMNS OPTIONAL
encode known number predict_classes predict_probabilities difference sights"""
TAKEN = {*NAMES.split(), *keyword.kwlist, *(function.__name__ for function in operations.OPERATIONS.values())}


def write(program: Program, name: str) -> dict[str, str | bytes]:
    """{'.py': its text}."""
    weights, dtype = program.weights(), program.x.dtype
    names = identifiers([*weights, *(operation.scope or "y" for operation in program.lowered())], TAKEN)
    lines, texts = statements(program, names)
    helpers = helpers_in(program)
    known = "".join(f"{name} = {value!a}\n" for name, value in facts(program).items())
    parts = ["predict", *["classes"] * ("CLASS_NAMES" in facts(program)), *["columns"] * ("COLUMNS" in facts(program))]
    test = example_input(program, 2)
    made = Template(read("net.py.txt")).substitute(
        title=harmless(program.facts.get("name", name)),
        about="\n".join(map(harmless, program.about())),
        imports="from collections.abc import Iterator\n" * ("def sights" in helpers),
        stored=dtype.newbyteorder("<").str,
        facts=f"{known}\n\n" if known else "",
        constants="".join(f"{names[name]} = {literal(array)}\n" for name, array in weights.items()),
        helpers=helpers,
        shape=", ".join(map(str, program.x.example)),
        example=program.x.example,
        hint="; encode(rows) makes them of rows as dicts" * ("COLUMNS" in facts(program)),
        cast="" if program.takes_indices else ", np.float64",
        body="\n".join(f"    {line}" for line in lines),
        outputs=", ".join(f"{name!r}: {texts[id(value)]}" for name, value in program.outputs.items()),
        functions="".join(read(f"{part}.py.txt") for part in parts).rstrip(),
        test=literal(test),
        expected=literal(program.run(test)["y"]),
    )
    return {".py": made}


def facts(program: Program) -> dict[str, Any]:
    """What the file says beside its weights, by the names it has there."""
    names, told = program.facts.get("class_names"), program.facts.get("columns")
    known: dict[str, Any] = {"CLASS_NAMES": names} if names else {}
    if told:
        known["COLUMNS"] = {column["name"]: column.get("texts") for column in told}
        known["OPTIONAL"] = tuple(column["name"] for column in told if column.get("optional"))
    return known


def statements(program: Program, names: Mapping[str, str]) -> tuple[list[str], dict[int, Text]]:
    """The lines that compute, and what stands for each value in them.

    A short expression that one step of the same layer needs is put into that step.
    """
    lowered, texts = program.lowered(), {id(program.x): Text("x")}
    uses = Counter(id(item) for operation in lowered for item in operation.inputs if isinstance(item, Value))
    scopes = {id(item): operation.scope for operation in lowered for item in operation.inputs}
    uses.update(id(value) for value in program.outputs.values())
    left = Counter(operation.scope for operation in lowered)
    lines: list[str] = []
    for operation in lowered:
        text, key, scope = expression(operation, texts, names), id(operation.output), operation.scope
        left[scope] -= 1
        if uses[key] == 1 and scopes.get(key) == scope and len(text) < LONG:
            texts[key] = text
            continue
        stem = names[scope or "y"]
        texts[key] = Text(stem if not left[scope] else f"{stem}_{left[scope]}")
        lines.append(f"{texts[key]} = {text}")
    return lines, texts


class Text(str):
    """An expression, and how strongly its parts hold together: 1 a sum, 2 a product, 3 what needs no brackets."""

    level = 3

    @classmethod
    def of(cls, text: str, level: int) -> Text:
        made = cls(text)
        made.level = level
        return made

    def within(self, level: int) -> str:
        """The expression as part of another one."""
        return self if self.level >= level else f"({self})"


def expression(operation: Operation, texts: Mapping[int, Text], names: Mapping[str, str]) -> Text:
    """An operation on what stands for its inputs."""
    name, options = operation.name, operation.options
    inputs = [
        texts[id(i)] if isinstance(i, Value) else Text(names[i.name] if isinstance(i, Weight) else number(i))
        for i in operation.inputs
    ]
    if name in SIGNS:
        sign, level = SIGNS[name]
        return Text.of(f"{inputs[0].within(level)} {sign} {inputs[1].within(level + 1)}", level)
    if name in FORMS:
        return Text(FORMS[name](inputs[0].within(3), **options))
    prefix = "np." if name in operations.UFUNCS else ""
    given = [*inputs, *(f"{key}={value!r}" for key, value in options.items())]
    return Text(f"{prefix}{operations.OPERATIONS[name].__name__}({', '.join(given)})")


def listed(items: Iterable[object]) -> str:
    """Items with commas between them."""
    return ", ".join(map(str, items))


def reduced(x: str, name: str, axes: Iterable[int], keepdims: bool) -> str:
    """A sum, mean or maximum over axes of each example."""
    return f"{x}.{name}(({listed(axis + 1 for axis in axes)},){', keepdims=True' * keepdims})"


def bounds(places: Sequence[int]) -> str:
    """A slice."""
    start, stop, step = places
    return f"{start}:{stop}" + (f":{step}" if step > 1 else "")


def number(value: float) -> str:
    """A number as Python reads it."""
    return repr(value) if np.isfinite(value) else f"{'-' if value < 0 else ''}math.{'nan' if value != value else 'inf'}"


def literal(array: Array) -> str:
    """An array as an expression: its numbers where they are few, else their bytes."""
    if array.size <= LITERAL and np.isfinite(array).all():
        return f"np.array({nested(array)})"
    little = array.astype(array.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode()
    pieces = "\n".join(f'    "{text[i : i + WIDTH]}"' for i in range(0, len(text), WIDTH))
    return f"array(\n{pieces},\n    {', '.join(map(str, array.shape))},\n)"


def nested(array: Array) -> str:
    """Its numbers in brackets, each with as many digits as it takes to tell it."""
    return f"[{', '.join(map(nested, array))}]" if array.ndim else str(array)


def helpers_in(program: Program) -> str:
    """The source of the functions that the operations call, each with those that it calls."""
    called = {operation.name: operations.OPERATIONS[operation.name] for operation in program.lowered()}
    functions = [function for name, function in called.items() if name not in operations.UFUNCS and name not in FORMS]
    if {"conv2d", "max_pool2d", "avg_pool2d"} & called.keys():
        functions.insert(0, operations.sights)
    return "".join(f"{inspect.getsource(function)}\n\n" for function in functions)


def run(path: Path, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of the file for x, by another Python that sees nothing of handgrad."""
    code = (
        "import io, runpy, sys, numpy as np; net = runpy.run_path(sys.argv[1]); out = io.BytesIO();"
        "np.savez(out, **net['compute'](np.load(io.BytesIO(sys.stdin.buffer.read()))));"
        "sys.stdout.buffer.write(out.getvalue())"
    )
    given = io.BytesIO()
    np.save(given, x)
    command = [sys.executable, "-I", "-c", code, str(path)]
    return dict(np.load(io.BytesIO(output_of(command, given.getvalue()))))
