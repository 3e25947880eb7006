"""The command `handgrad export`: from a run's raw inputs to probabilities by name."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from handgrad.cli.application import run as handgrad
from handgrad.datasets.predictions import read_predictions

HEAD, *ROWS = '''age,sex,pay,nr,alive
30,f,,1,yes
62,"m ""x""",20,2,no
41,f,31.5,3,yes
18,d,9,4,no
'''.splitlines(keepends=True)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(HEAD + "".join(ROWS * 8))
    return tmp_path


def trained(source, *options):
    """The folder of a short run."""
    assert handgrad(["train", str(source), "--epochs", "3", "--out", "runs", *options]) == 0
    return next(path.parent for path in Path("runs").rglob("run.json"))


def predicted(run, source):
    """What the run itself says of a file."""
    assert handgrad(["predict", str(run), str(source), "-o", "predictions.csv"]) == 0
    return read_predictions("predictions.csv")


def test_rows_as_they_stand_in_the_table_give_classes_by_name(table):
    run = trained("people.csv", "--missing", "mean", "--drop", "nr", "--set", "data.test=8")
    assert handgrad(["export", str(run), "-o", "net.py", "--verify"]) == 0
    Path("new.csv").write_text(HEAD.replace(",alive", "") + "25,f,,1\n70,unknown,12,2\n70,d,50,3\n")
    net, expected = runpy.run_path("net.py"), predicted(run, "new.csv")
    cells = [("25", "f", None), ("70", "unknown", "12"), ("70", "d", "50")]
    x = net["encode"]([dict(zip(("age", "sex", "pay"), row, strict=True)) for row in cells])
    assert net["predict_classes"](x) == expected["alive"]
    yes = [float(p) for p in expected["P(yes)"]]
    np.testing.assert_allclose(net["predict_probabilities"](x)[:, net["CLASS_NAMES"].index("yes")], yes, atol=1e-6)


def test_rows_that_the_network_cannot_know_are_named(table):
    run = trained("people.csv", "--drop", "nr", "--drop", "pay")
    assert handgrad(["export", str(run), "-o", "net.py"]) == 0
    net = runpy.run_path("net.py")
    good = {"age": 30, "sex": "f"}
    for row, what in [
        ({"age": 30, "sx": "f"}, "no column 'sx'; expected 'age', 'sex'"),
        ({"sex": "f"}, r"rows\[1\] has no 'age'"),
        ({"age": "", "sex": "f"}, r"rows\[1\] has no 'age'"),
        ({"age": "old", "sex": "f"}, r"rows\[1\]: 'age' must be a number, got 'old'"),
    ]:
        with pytest.raises(ValueError, match=what):
            net["encode"]([good, row])
    with pytest.raises(ValueError, match=r"must be numbers \(N, 2\); encode"):
        net["predict"]([[30, "f"]])
    with pytest.raises(ValueError, match=r"no class of x\[1\]"):
        net["predict_classes"]([[30, 0], [np.nan, 0]])


def test_a_network_of_learnt_rows_takes_the_table_as_it_stands(table):
    run = trained("tabular", "--data", "people.csv", "--missing", "mean", "--drop", "nr")
    assert handgrad(["export", str(run), "-o", "net.py", "--verify"]) == 0
    Path("new.csv").write_text(HEAD.replace(",alive", "") + "25,f,,1\n70,unknown,12,2\n")
    net, expected = runpy.run_path("net.py"), predicted(run, "new.csv")
    x = net["encode"]([{"age": 25, "sex": "f"}, {"age": 70, "sex": "unknown", "pay": 12}])
    yes = [float(p) for p in expected["P(yes)"]]
    np.testing.assert_allclose(net["predict_probabilities"](x)[:, net["CLASS_NAMES"].index("yes")], yes, atol=1e-6)


@pytest.mark.parametrize("name", ["iris", "diabetes", "breast-cancer"])
def test_the_receipt_compares_rows_of_the_runs_own(table, capsys, name):
    run = trained(name)
    assert handgrad(["export", str(run), "-o", "net.py", "--verify"]) == 0
    told = capsys.readouterr().out
    assert "the run's rows" in told and "python -I" in told and "net.py agree" in told
    assert ("probabilities" in told) == (name != "diabetes")


def test_a_single_output_becomes_the_probabilities_of_both_classes(table):
    layers = '{layers = [{layer = "Linear", units = 1}]}'
    run = trained("people.csv", "--missing", "mean", "--set", f"model={layers}", "--set", "loss=binary-cross-entropy")
    assert handgrad(["export", str(run), "-o", "net.py"]) == 0
    p = runpy.run_path("net.py")["predict_probabilities"]([[30, 0, 5, 1.0]])
    assert p.shape == (1, 2) and abs(p.sum() - 1) < 1e-12


def test_pixels_come_as_bytes(table):
    rng = np.random.default_rng(0)
    np.savez("images.npz", x=rng.integers(0, 256, (40, 6, 6, 1)).astype(np.uint8), y=np.arange(40) % 3)
    run = trained("images.npz")
    assert handgrad(["export", str(run), "-o", "net.py", "--verify"]) == 0
    net = runpy.run_path("net.py")
    assert "pixels from 0 to 255" in net["__doc__"]
    np.savez("new.npz", x=rng.integers(0, 256, (5, 6, 6, 1)).astype(np.uint8))
    expected = predicted(run, "new.npz")
    assert [str(name) for name in net["predict_classes"](np.load("new.npz")["x"])] == list(expected.values())[1]


def test_a_run_whose_data_are_gone_is_exported_all_the_same(table, capsys):
    run = trained("people.csv", "--missing", "mean")
    Path("people.csv").unlink()
    assert handgrad(["export", str(run), "-o", "net.py"]) == 0
    assert "no rows of the run's own: " in capsys.readouterr().out


@pytest.mark.parametrize("output, what", [
    ("net.txt", "must end in one of"),
    ("{run}/model.safetensors", "would replace"),
    ("nowhere/net.py", "there is no folder nowhere"),
])  # fmt: skip
def test_a_bad_output_is_one_line_and_exit_code_2(table, capsys, output, what):
    run = trained("iris")
    before = (run / "model.safetensors").read_bytes()
    assert handgrad(["export", str(run), "-o", output.format(run=run)]) == 2
    told = capsys.readouterr().err.strip()
    assert what in told and "\n" not in told.split("\n")[-1]
    assert (run / "model.safetensors").read_bytes() == before
