"""Types as users see them: how much of the public interface has them, and whether README, docs and examples agree.

Prints what is wrong, and ends with 1 if anything is. mypy and basedpyright run with their defaults, as a reader's
would.
"""

import doctest
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPLETE = 0.98  # of the names that can be imported, those whose type is known
STUDENTS = "handgrad.assignment.examples."  # code as students write it
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def tool(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a tool beside this Python says, run where no configuration of ours is found."""
    beside, source = Path(sys.executable).parent, str(ROOT / "src")
    found = {"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": source, "MYPYPATH": source}
    command = [str(beside / program), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        for name, nothing in {"mypy.ini": "[mypy]\n", "pyrightconfig.json": "{}"}.items():
            (Path(folder) / name).write_text(nothing)  # else they look for a configuration in the folders above
        return subprocess.run(
            command, cwd=folder, env={**os.environ, **found}, capture_output=True, text=True, check=False
        )


def untyped_names() -> list[str]:
    """One line per public name whose type is not known, where they are too many."""
    report = tool("basedpyright", "--verifytypes", "handgrad", "--ignoreexternal", "--outputjson")
    symbols = json.loads(report.stdout)["typeCompleteness"]["symbols"]
    public = [s for s in symbols if s["isExported"] and not s["name"].startswith(STUDENTS)]
    untyped = [symbol["name"] for symbol in public if not symbol["isTypeKnown"]]
    score = 1 - len(untyped) / len(public)
    print(f"public names of known type: {score:.1%}")
    return [] if score >= COMPLETE else untyped


def python_of(page: Path) -> str:
    """The code that a page shows: a program, as its reader runs it from top to bottom."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        return text
    return "\n".join(doctest.script_from_examples(b) if ">>>" in b else b for b in FENCED.findall(text))


def wrong_pages() -> list[str]:
    """What mypy and basedpyright say of README, docs and examples."""
    pages = {ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.py")}
    pages -= {ROOT / "docs" / "courses.md"}  # imports modules that `handgrad courses copy` makes
    with tempfile.TemporaryDirectory() as folder:
        for page in sorted(pages):
            if code := python_of(page).strip():
                name = re.sub(r"\W", "_", str(page.relative_to(ROOT)).rpartition(".")[0])
                (Path(folder) / f"{name}.py").write_text(code + "\n", encoding="utf-8")
        files = sorted(map(str, Path(folder).glob("*.py")))
        said = (
            tool("mypy", "--no-incremental", "--disable-error-code=import-untyped", *files).stdout
            + tool("basedpyright", "--level", "error", *files).stdout
        )
    return [line.strip() for line in said.splitlines() if "error" in line and ".py:" in line]


if __name__ == "__main__":
    wrong = untyped_names() + wrong_pages()
    print("\n".join(wrong))
    sys.exit(bool(wrong))
