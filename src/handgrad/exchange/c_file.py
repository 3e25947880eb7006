"""A file of C99 and its header, for microcontrollers: no heap, and of the mathematical library expf and tanhf alone."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from math import prod
from pathlib import Path
from string import Template

import numpy as np

from ..arrays import Array
from .loops import Language, letters
from .names import harmless, identifiers
from .plan import Listing
from .program import Program
from .tools import output_of, read

NAMES = {"y": "predict", "probabilities": "predict_probabilities"}
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1")
OCTAL = "\\{:03o}"


def number(value: float) -> str:
    """A number as an expression, a float."""
    with np.errstate(over="ignore"):
        return literal(str(np.float32(value)))


def literal(text: str) -> str:
    """What NumPy prints for a float, as C has it."""
    return text.replace("inf", "INFINITY").replace("nan", "NAN") if text[-1] in "fn" else f"{text}f"


def place(where: str, offset: int) -> str:
    """A place in memory as an expression."""
    return f"{where} + {offset}" if offset else where


OWN = {name: f"{name}_of" for name in ("max", "min", "sqrt", "pow", "log", "log1p", "expm1", "atan", "erf")}
WORDS = {**OWN, "exp": "expf", "tanh": "tanhf", "int": "(int)"}
C = Language("int", "float", "    ", "/* {} */", WORDS, number, place)
TAKEN = {"memory", "x", "y", *WORDS.values()}


def write(program: Program, stem: str) -> dict[str, str]:
    """{'.c': the functions, '.h': their declarations}."""
    name = identifiers([stem])[stem]
    listing = Listing(program, {*TAKEN, *(f"{name}_{function}" for function in (*NAMES.values(), "class_names"))})
    loops = list(kernels(listing))
    own = helpers("\n".join(loops))
    declared, defined = class_names(program, name)
    given = {
        **{"title": harmless(program.facts.get("name", "y = f(x)")), "about": about(program), "upper": name.upper()},
        "include": f'#include "{stem}.h"\n' * bool(re.fullmatch(r"[\w .+-]+", stem, re.ASCII)),
        "memory": f"static float memory[{listing.memory}];\n" * bool(listing.memory),
        "weights": "\n".join(f"static const float {k}[] = {numbers(array)};" for k, array in listing.weights.items()),
        "functions": "\n\n".join([*own, *loops, *computing(program, name, listing), *defined]),
        "declarations": "\n".join([*(f"{head};" for head in heads(program, name).values()), *declared]),
        **{"inputs": prod(program.x.example), "outputs": prod(program.outputs["y"].example), "ram": 4 * listing.memory},
        "flash": 4 * sum(map(np.size, listing.weights.values())),
        "code": size(listing, len(own)),
    }
    return {f".{kind}": Template(read(f"net.{kind}")).substitute(given) for kind in ("c", "h")}


def about(program: Program) -> str:
    """What it takes and gives, and the columns by number, as lines of a comment."""
    lines = [line.replace("(N, ", "(") for line in program.about()]
    for at, column in enumerate(program.facts.get("columns", ())):
        texts = ", ".join(f"{number} {text}" for number, text in enumerate(column.get("texts", ())))
        lines.append(f"x[{at}]: {column['name']}{texts and ': '}{texts}")
    return "\n".join(f" * {harmless(line)}" for line in lines)


def size(listing: Listing, num_helpers: int) -> int:
    """Bytes of code: what gcc -Os made of 150 random networks, to a quarter for eight of ten."""
    num_loops = sum(len(nest.sizes) for nest in listing.kernels)
    return round(16 * len(listing.calls) + 38 * num_loops + 60 * num_helpers + 50, -2)


def heads(program: Program, name: str) -> dict[str, str]:
    """What the function of each output begins with."""
    return {output: f"void {name}_{NAMES[output]}(const float *x, float *y)" for output in program.outputs}


def kernels(listing: Listing) -> Iterator[str]:
    """A function for each nest of loops."""
    for nest, name in listing.kernels.items():
        arrays = zip(letters(nest), nest.places, strict=False)
        inputs = [f"float {a}" if place is None else f"const float *{a}" for a, place in arrays][:-1]
        yield function(f"static void {name}({', '.join([*inputs, 'float *y'])})", C.body(nest))


def computing(program: Program, name: str, listing: Listing) -> Iterator[str]:
    """A function for each output, another one's beginning with y."""
    for output, head in heads(program, name).items():
        before = [] if output == "y" else [f"{name}_predict(x, {place('memory', listing.plans[output].memory[0])});"]
        yield function(head, [*before, *listing.statements(output, C)])


def function(head: str, lines: list[str]) -> str:
    """A function of these lines."""
    return "\n".join([head, "{", *(f"    {line}" for line in lines), "}"])


def helpers(text: str) -> list[str]:
    """The functions of ours that a text calls, each after those that it calls itself."""
    found = list[str]()
    for each in reversed(read("functions.c").rstrip().split("\n\n")):
        name = each.partition("(float ")[0].split()[-1]
        if f"{name}(" in "\n".join([text, *found]):
            found.insert(0, each)
    return found


def numbers(array: Array) -> str:
    """An array as an initializer, eight numbers a line."""
    with np.errstate(over="ignore"):
        texts = list(map(literal, array.astype(np.float32).ravel().astype(str).tolist()))
    return "{\n" + "".join(f"    {', '.join(texts[i : i + 8])},\n" for i in range(0, len(texts), 8)) + "}"


def class_names(program: Program, name: str) -> tuple[list[str], list[str]]:
    """The declaration and the definition of the classes' names, where there are any."""
    names = program.facts.get("class_names", ())
    array = f"const char *const {name}_class_names[{len(names)}]"
    lines = "".join(f"    {string(text)},\n" for text in names)
    return [f"extern {array};"] * bool(names), [f"{array} = {{\n{lines}}};"] * bool(names)


def string(text: str) -> str:
    """A text as a string of C: all but letters, digits and spaces by the numbers of their bytes."""
    pieces = re.findall(rb"[A-Za-z0-9 ]+|.", text.encode(errors="replace"), re.DOTALL)
    return f'"{"".join(p.decode() if p.isalnum() or b" " in p else OCTAL.format(p[0]) for p in pieces)}"'


def compiler() -> str | None:
    """The compiler that is here."""
    return next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), None)


def run(path: Path, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of the file for x, compiled by gcc or clang."""
    name = identifiers([path.stem])[path.stem]
    sizes = {output: prod(value.example) for output, value in program.outputs.items()}
    begins = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
    calls = "\n".join(f"        {name}_{NAMES[output]}(x, y + {begin});" for output, begin in begins.items())
    given = {"inputs": prod(program.x.example), "outputs": sum(sizes.values()), "calls": calls}
    declarations = "\n".join(f"{head};" for head in heads(program, name).values())
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder) / "run.c"
        main.write_text(Template(read("run.c")).substitute(given, declarations=declarations))
        output_of([str(compiler()), *FLAGS, str(path.absolute()), str(main), "-o", f"{folder}/run", "-lm"])
        found = np.frombuffer(output_of([f"{folder}/run"], x.astype(np.float32).tobytes()), np.float32)
    parts = np.split(found.reshape(len(x), -1), [*begins.values()][1:], axis=1)
    return {o: part.reshape(-1, *program.outputs[o].example) for o, part in zip(begins, parts, strict=True)}
