"""The notebook and the documentation do what they say."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np

from zoo import SPECIMENS

ROOT = Path(__file__).parents[2]
NOTEBOOK, PAGE = ROOT / "examples" / "check_gradients.ipynb", ROOT / "docs" / "gradient_check.md"


def test_the_notebook_prints_what_it_stores():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from store_outputs import printed_by
    finally:
        sys.path.remove(str(ROOT / "docs"))
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert "%pip install handgrad" in "".join(cells[0]["source"])
    for cell, printed in zip(cells, printed_by(cells), strict=True):
        stored = "".join("".join(output["text"]) for output in cell["outputs"])
        # rounding differs between machines; IPython shows a page where there is one
        rounded = [re.sub(r"\d\.\de-\d\d|\d+ characters of HTML|\d+\.\d+ s,", "#", text) for text in (stored, printed)]
        assert rounded[0] == rounded[1] or "IPython" in "".join(cell["source"])
    assert "brier-gradient" in stored_texts(cells)


def stored_texts(cells):
    return "".join(text for cell in cells for output in cell["outputs"] for text in output["text"])


def test_the_first_example_prints_what_the_page_shows(tmp_path, capsys):
    code, shown = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE.read_text(), re.DOTALL).groups()
    (tmp_path / "mine.py").write_text(code)
    runpy.run_path(str(tmp_path / "mine.py"))
    printed = capsys.readouterr().out.splitlines()
    assert shown.splitlines()[0] == printed[0]
    assert (
        shown[shown.index("  →") :].splitlines()
        == printed[printed.index("  → weight: batch-size-factor in line 11") : -1]
    )


def test_every_mistake_of_the_zoo_is_explained_on_the_page():
    page = PAGE.read_text()
    assert sorted({s.slug for s in SPECIMENS.values() if f"`{s.slug}`" not in page}) == []


def test_measured_passages_are_filled():
    passages = dict(re.findall(r"<!-- measured: (\w+) -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL))
    assert set(passages) == {"zoo", "steps", "accuracy", "kink_flips", "alarms", "cost"}
    assert [name for name, text in passages.items() if not text.strip()] == []
    assert np.all(["|" in passages[name] for name in ("steps", "accuracy", "kink_flips", "cost")])
