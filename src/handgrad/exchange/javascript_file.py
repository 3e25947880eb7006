"""An ES module without dependency, for browsers and node, with its types; for a page also with gradients."""

import base64
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from ..arrays import Array
from .loops import Call, Language, letters
from .names import harmless
from .plan import Listing
from .program import Program, Value
from .tools import output_of, read

OF_MATH = ("max", "min", "pow", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "atan")
NAMES = {"y": "predict", "probabilities": "predictProbabilities"}
LITERAL = 64  # the most numbers that are written as such
TAKEN = read("taken.txt").split()  # words of JavaScript, and names in the templates


def number(value: float) -> str:
    """A number as an expression."""
    return repr(float(value)).replace("inf", "Infinity").replace("nan", "NaN")


def place(where: str, offset: int) -> str:
    """A place in memory as an expression."""
    if where in AT:
        return f"{AT[where]}({offset})"
    return f"{where}.subarray({offset})" if offset else where


AT = {"memory": "at", "dmemory": "slopes"}
WORDS = {"NAN": "NaN", "INFINITY": "Infinity", "int": "Math.trunc"}
JAVASCRIPT = Language("let", "let", "  ", "// {}", WORDS, number, place)


def write(program: Program, stem: str) -> dict[str, str]:
    """{'.js': the module, '.d.ts': its types}."""
    classes = read("classes.d.ts") if class_names(program) else ""
    types = Template(read("net.d.ts")).substitute(about=about(program)) + classes
    return {".js": f"{module(program)}\nexport {{ {', '.join(exported(program))} }};\n", ".d.ts": types}


def exported(program: Program) -> list[str]:
    """The names of what the module offers."""
    classes = ["predictClass", "classNames"] * bool(class_names(program))
    return [*(NAMES[name] for name in program.outputs), *classes, "inputShape", "outputShape", "columns"]


def class_names(program: Program) -> Sequence[str]:
    """Those of the outputs, if each output is about a class."""
    return program.facts.get("class_names", ()) if len(program.outputs["y"].example) == 1 else ()


def about(program: Program) -> str:
    """What it takes and gives, as lines of a comment."""
    return "\n".join(harmless(line).replace("(N, ", "(") for line in program.about())


def module(program: Program, gradients: bool = False) -> str:
    """The text but for what it exports; with `gradient(row, number of the output)` where that is wanted."""
    listing = Listing(program, TAKEN, gradients)
    kernels = [defined(name, ", ".join(letters(nest)), JAVASCRIPT.body(nest)) for nest, name in listing.kernels.items()]
    functions = [computing(name, listing) for name in listing.plans]
    if gradients:
        kernels += dict.fromkeys(text for *_, text in slopes(listing))
        functions.append(backward(listing, prod(program.outputs["y"].example)))
    functions += [offered(name, value.example) for name, value in program.outputs.items()]
    names = class_names(program)
    constants: dict[str, Any] = {"inputShape": program.x.example, "outputShape": program.outputs["y"].example}
    constants |= {"columns": program.facts.get("columns", ()), **({"classNames": names} if names else {})}
    functions += [read("classes.js")] * bool(names)
    weights = [f"const {name} = {literal(array)};" for name, array in listing.weights.items()]
    called = set(re.findall(r"\b(\w+)\(", "".join(kernels)))
    used = [name for name in OF_MATH if name in called]
    helpers = [read("decode.js")] * ("decode(" in "".join(weights))
    helpers += [read("erf.js")] * ("erf" in called)
    return Template(read("net.js")).substitute(
        title=harmless(program.facts.get("name", "y = f(x)")),
        about=about(program),
        math=f"const {{ {', '.join(used)} }} = Math;\n" if used else "",
        constants="\n".join(f"const {name} = {script(value)};" for name, value in constants.items()),
        weights="\n".join(weights),
        helpers="\n".join(helpers),
        memory=listing.memory,
        inputs=prod(program.x.example),
        functions="\n\n".join([*kernels, *functions]),
    )


def script(data: Any) -> str:
    """Plain data as an expression that ends no string, no comment and no script."""
    return json.dumps(data).replace("<", "\\u003c")


def literal(array: Array) -> str:
    """An array as an expression: its numbers where they are few, else their bytes."""
    kind = "Float32" if array.dtype == np.float32 else "Float64"
    if array.size <= LITERAL:
        return f"{kind}Array.of({', '.join(number(float(str(value))) for value in array.ravel())})"
    text = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
    return f'decode({kind}Array, "{text}")'


def defined(name: str, parameters: str, lines: Sequence[str]) -> str:
    """A function of these lines."""
    return "\n".join([f"function {name}({parameters}) {{", *(f"  {line}" for line in lines), "}"])


def computing(output: str, listing: Listing) -> str:
    """The function that fills y from x."""
    before = [] if output == "y" else [f"compute_y(x, at({listing.plans[output].memory[0]}));"]
    return defined(f"compute_{output}", "x, y", [*before, *listing.statements(output, JAVASCRIPT)])


def offered(output: str, size: Sequence[int]) -> str:
    """The function that makes an output of a row."""
    what = "outputs" if output == "y" else output
    function = defined(NAMES[output], "row", [f"return outputs(compute_{output}, row, {prod(size)});"])
    return f"/* The {what} for one example. */\n{function}"


def slopes(listing: Listing) -> Iterator[tuple[Call, int, str, str]]:
    """Yield the function that adds to the gradient of an input, as (call, number of the input, name, text)."""
    for call in listing.plans["y"].calls:
        for n, item in enumerate(call.inputs):
            if isinstance(item, Value) and len(call.nest.formula) > n + 1:
                names = letters(call.nest)
                name = f"{listing.kernels[call.nest]}_d{names[n]}"
                parameters = ", ".join([*names, "dy", f"d{names[n]}"])
                yield call, n, name, defined(name, parameters, JAVASCRIPT.gradient(call.nest, n))


def backward(listing: Listing, size: int) -> str:
    """The function that fills dx from dy, and what is offered of it."""
    places, lines = listing.plans["y"].places, ["changes.fill(0);"]
    for call, n, name, _ in reversed([*slopes(listing)]):
        (out, at), (of, begin) = places[id(call.output)], places[id(call.inputs[n])]
        both = [place(f"d{out}", at + call.offset), place(f"d{of}", begin)]
        lines.append(f"{name}({', '.join([*listing.arguments(call, 'y', JAVASCRIPT), *both])});")
    return f"{defined('differentiate', 'x, y, dx, dy', lines)}\n\n{Template(read('gradient.js')).substitute(size=size)}"


def run(path: Path, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of the file for x, by node."""
    return run_module(path.read_text(encoding="utf-8"), program, x)


def run_module(text: str, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of a module for x, by node."""
    rows = [[None if value != value else value for value in row] for row in x.reshape(len(x), -1).tolist()]
    given = json.dumps({"rows": rows, "functions": {name: NAMES[name] for name in program.outputs}})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.mjs"  # older nodes take a .js for a module only where a package.json says so
        path.write_text(text, encoding="utf-8")
        command = ["node", "--input-type=module", "-e", read("run.mjs"), path.as_uri()]
        made = json.loads(output_of(command, given.encode()))
    return {name: np.array(made[name], float).reshape(-1, *value.example) for name, value in program.outputs.items()}
