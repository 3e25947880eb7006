"""The site: pages of docs/, reference pages from docstrings, pages of the code, and drawings, built by Sphinx.

python docs/build_site.py KATEX OUT, as scripts/docs does. Sources are put together in OUT.sources; what Sphinx warns
of is an error.
"""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import handgrad
from handgrad.teaching.mistakes import mistakes

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(((?:\.\./)+(?:src|tests|examples|benchmarks|experiments|scripts)[^)#\s]*)\)")
DERIVED = re.compile(r"^(## (\w+)\n\n)(?=Code: )", re.M)  # the head of a pair's section in a derivation
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.M | re.S)
# The reference: what a module offers, by the title of its page.
ROOMS = {
    "Layers, losses and penalties": ("layers", "handgrad.layers"),
    "Models": ("models", "handgrad.models"),
    "Training": ("training", "handgrad.training"),
    "Optimizers": ("optimizers", "handgrad.optimizers"),
    "Schedules": ("schedules", "handgrad.schedules"),
    "Initializers": ("initializers", "handgrad.initializers"),
    "Metrics": ("metrics", "handgrad.metrics"),
    "Gradient check": ("gradient_check", "handgrad.gradient_check"),
    "Intermediates and graphs": ("derivatives", "handgrad.derivatives"),
    "Data sets": ("datasets", "handgrad.datasets"),
    "Diagnosis": ("diagnosis", "handgrad.diagnosis"),
    "Estimators": ("sklearn", "handgrad.sklearn"),
    "Sending it elsewhere": ("exchange", "handgrad.exchange"),
}

GUIDES = {
    "training": "training",
    "optimizers": "learn/optimizers",
    "schedules": "learn/beginnings",
    "initializers": "learn/beginnings",
    "gradient_check": "gradient_check",
    "datasets": "datasets",
    "sklearn": "scikit-learn",
    "exchange": "ship",
}


# Pages of docs/ ---------------------------------------------------------------------------------------------------


def copy_pages(out: Path) -> None:
    """Every page of docs/ as Sphinx reads it: with links to the code's own pages, and fences with a language."""
    linked: set[str] = set()
    for page in sorted([*DOCS.glob("*.md"), *DOCS.glob("*/*.md")]):
        place = out / page.relative_to(DOCS)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(as_source(page, linked), encoding="utf-8")
    for picture in (*DOCS.glob("*.svg"), *DOCS.glob("*.png")):
        shutil.copy(picture, out)
    for name in sorted(linked):
        write_code_page(out, name)
    listing = "\n".join(f"{name}.md" for name in sorted(linked))
    write(out / "code/index.md", f"# Code\n\nThe files that pages speak of.\n\n{toctree(listing, hidden=False)}")


def as_source(page: Path, linked: set[str]) -> str:
    """A page's text; what it links of the code is noted."""
    folder = page.parent

    def to_code(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if not target.is_file():
            return found[1]
        name = target.relative_to(ROOT).as_posix()
        linked.add(name)
        return f"[{found[1]}]({os.path.relpath(DOCS / 'code' / name, folder)}.md)"

    text = DERIVED.sub(r"\1[Reference](../api/functional/\2.md) · ", page.read_text(encoding="utf-8"))
    text = LINK.sub(to_code, text)
    text = re.sub(r"\]\(\.\./(?:README|CONTRIBUTING)\.md[^)]*\)", "](index.md)", text)
    return FENCE.sub(lambda fence: f"```{fence[1] or language_of(fence[2])}\n{fence[2]}```", text)


def language_of(code: str) -> str:
    return "pycon" if ">>> " in code else "text"


def write_code_page(out: Path, name: str) -> None:
    """A file of the code as a page, with its lines numbered."""
    text, language = (
        (ROOT / name).read_text(encoding="utf-8"),
        {".py": "python", ".toml": "toml"}.get(Path(name).suffix),
    )
    fence = f"````{{code-block}} {language or 'text'}\n:linenos:\n\n{text}````\n"
    write(out / f"code/{name}.md", f"---\norphan: true\n---\n# {name}\n\n{fence}")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def toctree(entries: str, hidden: bool = True, depth: int = 1, caption: str = "") -> str:
    options = ":hidden:\n" * hidden + f":maxdepth: {depth}\n" + f":caption: {caption}\n" * bool(caption)
    return f"```{{toctree}}\n{options}\n{entries}\n```\n"


# The reference ----------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A page of the reference: its name, what is on it, and the first line of what that is."""

    name: str
    things: list[Any]
    summary: str


def write_reference(out: Path) -> None:
    """A page for each pair, and for each public function and class of the rooms; and the lists of them."""
    rooms = []
    for title, (folder, module) in ROOMS.items():
        entries = list(public_entries(importlib.import_module(module)))
        rooms.append(write_room(out, title, folder, entries))
    rooms.append(write_room(out, "Pairs: forward and backward", "functional", list(pairs())))
    text = "# API reference\n\nEach name has a page: what it takes, returns and raises, an example, and its code."
    lines = "\n".join(f"- [{title}]({folder}/index.md)" for title, folder in rooms)
    write(out / "api/index.md", f"{text}\n\n{lines}\n\n{toctree(chr(10).join(f'{f}/index' for _, f in rooms))}")


def write_room(out: Path, title: str, folder: str, entries: list[Entry]) -> tuple[str, str]:
    for entry in entries:
        write(out / f"api/{folder}/{entry.name}.md", reference_page(entry, folder))
    rows = "\n".join(f"| [{it.name}]({it.name}.md) | {it.summary.replace('|', chr(92) + '|')} |" for it in entries)
    tree = toctree("\n".join(it.name for it in entries))
    write(out / f"api/{folder}/index.md", f"# {title}\n\n| name | what it is |\n|---|---|\n{rows}\n\n{tree}")
    return title, folder


def public_entries(module: ModuleType) -> Iterator[Entry]:
    """What a module offers that is ours: functions and classes, by name."""
    for name, thing in sorted(vars(module).items()):
        is_ours = getattr(thing, "__module__", "").startswith("handgrad")
        is_kept = inspect.isclass(thing) or inspect.isfunction(thing)
        is_home = hasattr(module, "__path__") or getattr(thing, "__module__", "") == module.__name__
        if not name.startswith("_") and is_ours and is_kept and is_home and inspect.getdoc(thing):
            yield Entry(name, [thing], summary_of(thing))


def pairs() -> Iterator[Entry]:
    """The pairs of functional/, by name."""
    for name in sorted(vars(handgrad.functional)):
        if name.endswith("_forward"):
            pair = name.removesuffix("_forward")
            functions = [getattr(handgrad.functional, f"{pair}_{way}") for way in ("forward", "backward")]
            yield Entry(pair, functions, summary_of(functions[0]))


def summary_of(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def reference_page(entry: Entry, folder: str) -> str:
    parts = [f"# {entry.name}", links_of(entry) if folder == "functional" else links_from(entry, folder)]
    for thing in entry.things:
        owner = "F" if folder == "functional" else thing.__module__
        owner = "hg" if getattr(handgrad, thing.__name__, None) is thing else owner
        if len(entry.things) > 1:
            parts.append(f"## {thing.__name__}")
        parts += [signature_of(thing, owner), in_markdown(inspect.getdoc(thing) or "")]
        parts += list(methods_of(thing)) if inspect.isclass(thing) else []
    parts += [mistakes_in(entry), "## Source"] if folder == "functional" else ["## Source"]
    for thing in entry.things:
        parts.append(f"`{home_of(thing)}`\n\n```python\n{textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))}```")
    return "\n\n".join(filter(None, parts)) + "\n"


def home_of(thing: Any) -> str:
    return Path(inspect.getsourcefile(inspect.unwrap(thing)) or "").resolve().relative_to(ROOT).as_posix()


def signature_of(thing: Any, owner: str) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    names = [it.replace(annotation=it.empty) for it in signature.parameters.values() if it.name != "self"]
    shown = str(signature.replace(parameters=names, return_annotation=inspect.Signature.empty))
    return f"```python\n{owner}.{thing.__name__}{readable(shown)}\n```"


def methods_of(thing: type) -> Iterator[str]:
    """The public methods that a class of ours defines itself, each with what it does."""
    for name, method in vars(thing).items():
        function = getattr(method, "fget", None) or getattr(method, "__func__", method)
        if not name.startswith("_") and inspect.isfunction(function) and inspect.getdoc(function):
            call = name if isinstance(method, property) else name + readable(str(plain_signature(function)))
            yield f"## {name}\n\n```python\n{call}\n```\n\n{in_markdown(inspect.getdoc(function) or '', 4)}"


def readable(signature: str) -> str:
    """A signature in which classes stand by their names."""
    return re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", signature)


def plain_signature(function: Any) -> inspect.Signature:
    signature = inspect.signature(function)
    names = [it.replace(annotation=it.empty) for it in signature.parameters.values() if it.name not in ("self", "cls")]
    return signature.replace(parameters=names, return_annotation=inspect.Signature.empty)


def links_of(entry: Entry) -> str:
    """Where a pair is derived, and its mistakes are explained."""
    page = home_of(entry.things[0]).rpartition("/")[2].removesuffix(".py")
    derived = f"[How it is derived](../../derivations/{page}.md#{entry.name})"
    return f"{derived} · [What the names of mistakes mean](../../gradient_check.md#the-mistakes-by-name)"


def links_from(entry: Entry, folder: str) -> str:
    """The guide that explains a room, and the pairs that a layer or loss computes by, each with its derivation."""
    guide = f"[How it is used, and why](../../{GUIDES[folder]}.md)" if folder in GUIDES else ""
    source = inspect.getsource(inspect.unwrap(entry.things[0]))
    named = dict.fromkeys(re.findall(r"\b([a-z]\w*)_forward\b", source))
    known = [name for name in named if hasattr(handgrad.functional, f"{name}_forward")]
    links = ", ".join(f"[{name}](../functional/{name}.md)" for name in known)
    return " · ".join(filter(None, [guide, f"Derivation and mistakes: {links}" if links else ""]))


def mistakes_in(entry: Entry) -> str:
    """The wrong lines that people write in a pair, with the mistake's name and what one learns from it."""
    made = [it for it in mistakes().values() if it.subject.code[0] == f"functional.{entry.name}_forward"]
    lines = [f"- `{it.slug}`: {it.lesson}\n  `{it.wrong[0].strip()}`" for it in made if "\n" not in it.wrong[0].strip()]
    return "\n".join(["## Mistakes people make in it", "", *lines]) if lines else ""


SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M)


def in_markdown(docstring: str, level: int = 3) -> str:
    """A numpydoc docstring: its text, its sections under headings of their own, its arguments as a list."""
    text, *rest = SECTION.split(docstring)
    parts = [prose(text)]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        parts.append(f"<p class='rubric'>{title}</p>")
        parts.append(prose(body) if title in ("Examples", "Notes", "References") else fields(body))
    return "\n\n".join(part for part in parts if part.strip())


def prose(text: str) -> str:
    """Paragraphs, with examples as code."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        is_code = paragraph.lstrip().startswith(">>>") or paragraph.startswith("    ")
        parts.append(f"```{language_of(paragraph)}\n{paragraph}\n```" if is_code else escaped(paragraph))
    return "\n\n".join(parts)


def fields(body: str) -> str:
    """'name : type' with its description below, as a list."""
    lines: list[str] = []
    for line in filter(str.strip, body.splitlines()):
        if not line.startswith(" "):
            name, colon, kind = line.partition(" : ")
            lines.append(f"- **`{name}`**" + f" ({escaped(kind)})" * bool(colon))
        elif lines:
            lines[-1] += f" {escaped(line.strip())}"
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text in which Markdown sees code alone."""
    parts = text.split("`")
    return "`".join(
        part if number % 2 else re.sub(r"([*_|<\[\]{}$])", r"\\\1", part) for number, part in enumerate(parts)
    )


# Built ------------------------------------------------------------------------------------------------------------


def build(katex: Path, out: Path) -> int:
    """Put the sources together and run Sphinx; its exit code."""
    sources = out.with_name(out.name + ".sources")
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    copy_pages(sources)
    write_reference(sources)
    shutil.copytree(DOCS / "drawings", sources / "drawings")
    shutil.copytree(DOCS / "static", sources / "_static")
    shutil.copytree(
        katex, sources / "_static/katex", ignore=shutil.ignore_patterns("*.ttf", "*.woff", "*.mjs", "README*")
    )
    shutil.copy(DOCS / "conf.py", sources)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-b", "html"]
    code = subprocess.run([*command, str(sources), str(out)], check=False).returncode
    for page in out.rglob("*.html"):
        page.write_text(accessible(page.read_text(encoding="utf-8")), encoding="utf-8")
    return code


# What the theme leaves out: levels of headings, names of landmarks, and keys that scroll what is wider than the screen.
ACCESS = {
    'class="caption" role="heading">': 'class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<aside class="toc-drawer no-toc">': '<aside class="toc-drawer no-toc" aria-label="On this page">',
    '<th class="head"><p></p></th>': "<td></td>",
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
    "<pre>": '<pre tabindex="0">',
    "<p><img": '<p tabindex="0"><img',
    '<table class="docutils': '<table tabindex="0" class="docutils',
}


def accessible(text: str) -> str:
    """A page's HTML, with what readers need who do not use a mouse or a screen."""
    for old, new in ACCESS.items():
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
