"""The README's Python runs as printed, in order, and its links lead somewhere."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
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
    for shown in re.findall(r"```\n\n```text\n(.*?)```", README, re.S):
        assert masked(shown) in masked(printed)
    assert (tmp_path / "iris.npz").exists()


def test_commands_print_what_is_shown(tmp_path):
    """But for numbers, the run's own folder, and where lines are folded."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("needs a C compiler")
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            run = "".join(str(path.relative_to(tmp_path)) for path in tmp_path.glob("experiments/*/*"))
            program, *words = shlex.split(re.sub(r"experiments/\S+", run, command))
            if program == "cat":
                file = tmp_path / words[0]
                printed = file.read_text() if file.exists() else file.write_text(shown) and shown
            else:
                words = [sys.executable, "-m", program, *words]
                printed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
            assert masked(printed).endswith(masked(shown.removeprefix("...\n"))), command


def masked(text):
    """The text with '#' for each number, and one space for each white space or rule."""
    return re.sub(r"[\s─]+", " ", re.sub(r"\d[-\d.e+]*", "#", text)).strip()


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
    for link in re.findall(r'(?:\]\(|src="|srcset=")([^)"]+)[)"]', README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
