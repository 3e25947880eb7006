"""The term in docs/teaching.md runs as it is printed, and so does the SPEC.toml that it shows."""

import re
import shlex
import subprocess
from pathlib import Path

from handgrad.assignment import read_assignment
from handgrad.cli.application import run as handgrad

PAGE = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text()


def test_a_term_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)).splitlines():
        if line.startswith("handgrad "):
            assert handgrad(shlex.split(line)[1:]) == 0, line
        else:
            subprocess.run(line, shell=True, check=True)
    printed = capsys.readouterr().out
    assert "ada: 12 of 12" in printed and "bob: 0 of 12" in printed
    assert "Who stands where" in Path("class.html").read_text()
    assert Path("points.csv").read_text().splitlines()[1:] == ["ada,12,12,1,2,2,5,2", "bob,0,12,0,0,0,0,0"]


def test_the_keys_shown_are_the_keys_there_are(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    (tmp_path / "SPEC.toml").write_text(text)
    pair = 'SLOPE = 0.1\n\n\ndef relu_forward(x):\n    """y."""\n    return x\n'
    pair += '\n\ndef relu_backward(dy, cache):\n    """dx."""\n    return dy\n'
    for name in ("layers.py", "solution.py"):
        (tmp_path / name).write_text(pair)
    (tmp_path / "private.py").write_text("def draw(rng):\n    return {}\n\n\ndef call(module, x, dy):\n    return x\n")
    (tmp_path / "data").mkdir()
    for name in ("README.md", "test_layers.py", "data/x.csv"):
        (tmp_path / name).touch()
    assignment = read_assignment(tmp_path / "SPEC.toml")
    assert [task.name for task in assignment.tasks] == ["relu_forward", "relu, backward"]
    keys = set(re.findall(r"^(\w+) = ", text, re.M))
    for section in (type(assignment.tasks[0]), type(assignment.variant)):
        assert set(section.model_fields) <= keys
