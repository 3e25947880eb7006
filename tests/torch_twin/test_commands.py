"""The command line with the torch engine: runs, resume, receipts, and what is missing said in one line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handgrad.cli.application import run
from handgrad.experiments import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*arguments, out="experiments"):
    assert run(["train", "iris", "--epochs", "4", "--out", out, *arguments]) == 0
    (path,) = Path(out, "iris").iterdir()
    return Run(path)


def test_both_engines_make_the_same_run(capsys):
    double = "--set", "dtype=float64"
    numpy, torch = train(*double, out="a"), train("--engine", "torch", *double, out="b")
    assert torch.record["configuration"]["engine"] == {"name": "torch"}
    for name, values in numpy.history().items():
        np.testing.assert_allclose(torch.history()[name], values, atol=1e-10, err_msg=name)
    assert {path.name for path in torch.path.iterdir()} == {path.name for path in numpy.path.iterdir()}
    mine, theirs = list(numpy.epochs())[-1]["layers"], list(torch.epochs())[-1]["layers"]
    assert mine["linear1.weight"] == pytest.approx(theirs["linear1.weight"], rel=1e-6)


def test_options_are_the_engines(capsys):
    made = train("--device", "cpu", "--set", "engine.precision=bf16")
    assert made.record["configuration"]["engine"] == {"name": "torch", "device": "cpu", "precision": "bf16"}


def test_compare_engines_prints_and_saves_the_receipt(capsys):
    made = train()
    capsys.readouterr()
    assert run(["compare-engines", str(made.path)]) == 0
    assert "float64: the engines agree" in capsys.readouterr().out
    assert json.loads((made.path / "engines.json").read_text())["ok"]
    assert "The same network twice" in (made.path / "engines.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "jax"], "unknown engine 'jax' (known: numpy, torch)"),
        (["--engine", "numpy", "--device", "cpu"], "--device cpu is for the torch engine, not for --engine numpy"),
        (["--device", ""], "device is ''; expected cpu"),
        (["--device", "tpu"], "device is 'tpu'; expected cpu, cuda, cuda:1 or mps"),
        (["--device", "cpu", "--set", "engine.devise=cpu"], "has no argument 'devise'; did you mean 'device'?"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    assert run(["train", "iris", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
    assert not Path("experiments").exists()


def test_torchrun_is_for_the_torch_engine(monkeypatch, capsys):
    """Else every process would train the whole run once more."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert run(["train", "iris"]) == 2
    assert "each process would train anew: add --engine torch" in capsys.readouterr().err
    assert not Path("experiments").exists()


def test_a_receipt_needs_a_row(capsys):
    assert run(["compare-engines", "RUN", "--rows", "0"]) == 2
    assert "--rows takes a whole number of 1 or more; got 0" in capsys.readouterr().err


def test_without_pytorch_one_line_names_the_extra(folder):
    code = "import sys; sys.modules['torch'] = None; from handgrad.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "iris", "--engine", "torch"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "handgrad: handgrad.torch_twin needs PyTorch: pip install 'handgrad[torch]'"


def test_the_benchmark_runs():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "torch_engine.py", "--quick", "--threads", "1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("plain PyTorch loop") == 2


def test_a_transformer_learns_as_a_plain_pytorch_loop_does():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "transformer.py", "--quick", "--threads", "1", "--dtype", "float64"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    apart = float(done.stdout.split("apart ")[1].split()[0])
    assert apart < 1e-10
