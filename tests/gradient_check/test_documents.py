"""The notebook and the documentation do what they say."""

import json
import re
import runpy
from pathlib import Path

import numpy as np

from zoo import SPECIMENS

ROOT = Path(__file__).parents[2]
NOTEBOOK, PAGE = ROOT / "examples" / "check_gradients.ipynb", ROOT / "docs" / "gradient_check.md"


def test_the_notebook_runs_from_top_to_bottom(capsys):
    names = {"__name__": "__main__"}
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells):
        assert cell["outputs"] == [], "a notebook is kept without outputs"
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert "brier-gradient" in capsys.readouterr().out


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
