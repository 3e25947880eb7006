"""The README's Python runs as printed, in order, and its links lead somewhere."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {}
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, scope)
    printed = capsys.readouterr().out
    assert scope["trainer"].evaluate(*scope["data"].test)["accuracy"] >= 0.93
    assert "every gradient is right" in printed and "multiply-adds" in printed
    assert (tmp_path / "iris.npz").exists()


def test_the_pair_shown_is_the_pair_in_the_library():
    source = (ROOT / "src/handgrad/functional/linear.py").read_text()
    block = re.search(r"```python\n(from handgrad.arrays import .*?)```", README, re.S).group(1)
    shown = block[block.index("def linear_forward") :].rstrip()
    assert "def linear_backward" in shown and shown in source


def test_tables_of_speed_are_those_measured(monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    bars = runpy.run_path(str(ROOT / "benchmarks" / "bars.py"))
    for path, text in bars["pages"](json.loads(bars["RESULTS"].read_text())):
        assert path.read_text() == text, "run python benchmarks/bars.py -o docs/speed.json"


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
