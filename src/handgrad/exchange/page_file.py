"""A page to play with: a board to draw on for images, a form for tables; the network's own JavaScript is in it."""

from math import prod
from pathlib import Path
from string import Template
from typing import Any

from .. import html
from ..arrays import Array
from .javascript_file import exported, module, run_module, script
from .program import Program, Weight
from .tools import read

MOST = 256  # numbers that a form has room for


def write(program: Program, stem: str) -> dict[str, str]:
    """{'.html': the page}."""
    facts = describe(program)
    kind = "image" if facts["isImage"] else "table"
    title = str(program.facts.get("name", stem))
    seen = read("play_seen.html") if facts["isImage"] else ""
    given = {"title": html.escape(title), "input": read(f"play_{kind}.html"), "seen": seen}
    body = Template(read("play.html")).substitute(given)
    names = ", ".join([*exported(program), "gradient"])
    network = f"const network = (() => {{\n{module(program, gradients=True)}\nreturn {{ {names} }};\n}})();\n"
    scripts = [f"{network}const facts = {script(facts)};\n", read("play.js"), read(f"play_{kind}.js")]
    return {".html": html.page(f"{title}, a network to play with", body, scripts=scripts)}


def describe(program: Program) -> dict[str, Any]:
    """What the page is to know of the inputs."""
    shape, is_whole = program.x.example, program.takes_indices
    is_image = len(shape) == 3 and shape[-1] in (1, 3) and not is_whole
    if not is_image and prod(shape) > MOST:
        what = f"a page shows images (height, width, 1 or 3), or a form of at most {MOST} numbers"
        advice = "export to a name that ends in .js, and make a page for it"
        raise ValueError(f"{what}; this network takes {shape}: {advice}")
    tables = [operation.inputs[0] for operation in program.lowered() if operation.name == "take"]
    last = min((len(table.array) for table in tables if isinstance(table, Weight)), default=4) - 1
    highest = 255 if program.facts.get("input", "").startswith("pixels") else 1
    told = {"isImage": is_image, "isWhole": is_whole, "range": {"low": 0 if is_whole else -3, "high": last}}
    return {**told, "highest": highest, "target": program.facts.get("target")}


def run(path: Path, program: Program, x: Array) -> dict[str, Array]:
    """The outputs of the page's network for x, by node."""
    network = path.read_text(encoding="utf-8").partition("<script>")[2].partition("</script>")[0]
    return run_module(f"{network}\nexport const {{ {', '.join(exported(program))} }} = network;", program, x)
