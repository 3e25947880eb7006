"""Runs a notebook from top to bottom, and stores what its cells print: python docs/store_outputs.py NOTEBOOK."""

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def printed_by(cells: list[dict[str, Any]]) -> Iterator[str]:
    """What each cell of code prints, run in order."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        with contextlib.redirect_stdout(io.StringIO()) as written:
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
        yield written.getvalue()


def store(path: Path) -> None:
    """Write the outputs into the notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, (cell, text) in enumerate(zip(cells, printed_by(cells), strict=True), 1):
        output = {"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}
        cell.update(execution_count=number, outputs=[output] if text else [])
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    store(Path(sys.argv[1]))
