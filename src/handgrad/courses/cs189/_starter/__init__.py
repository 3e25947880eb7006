"""What a student of CS189 finds beside the package: scripts, 25 tests, data sets and a notebook."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ....arrays import Array
from ....files import atomic_path, write_text
from .._arrays import make_arrays


def furnish(folder: Path) -> list[Path]:
    """Write the data sets and the notebook into the folder, keeping what is there; returns the paths written."""
    written = []
    for name in ("iris", "sinewave", "mnist"):
        if not (folder / "datasets" / name).exists():
            written += write_dataset(folder / "datasets" / name, make_arrays(name) or {})
    notebook = folder / "check_gradients.ipynb"
    if not notebook.exists():
        script = Path(__file__).with_name("check_gradients.py").read_text(encoding="utf-8")
        write_text(notebook, json.dumps(to_notebook(script), indent=1) + "\n")
        written.append(notebook)
    return written


def write_dataset(folder: Path, arrays: Mapping[str, Array]) -> list[Path]:
    paths = []
    for key, array in arrays.items():
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{folder.name}_{key}.npy"
        with atomic_path(path) as temporary:
            np.save(temporary, array)
        paths.append(path)
    return paths


def to_notebook(script: str) -> dict[str, Any]:
    """A Jupyter notebook of a script's cells: '# %% [markdown]' begins a cell of text, '# %%' one of code."""
    cells = []
    for number, part in enumerate(script.split("# %%")[1:]):
        header, _, body = part.partition("\n")
        is_text = "markdown" in header
        lines = body.strip().splitlines()
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
        cell: dict[str, Any] = {
            "cell_type": "markdown" if is_text else "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": [line + "\n" for line in lines[:-1]] + lines[-1:],
        }
        cells.append(cell if is_text else {**cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
