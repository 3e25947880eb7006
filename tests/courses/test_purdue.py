"""Purdue's NumpyANN and its helpers give the handout's figures."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.courses.copies import copy
from handgrad.courses.purdue import numpy_ann, utils
from handgrad.courses.purdue.numpy_ann import NumpyANN
from handgrad.datasets.images import is_present


def test_the_handouts_examples():
    result = doctest.testmod(numpy_ann, optionflags=doctest.ELLIPSIS)
    assert result.attempted >= 7 and result.failed == 0


def test_what_is_drawn_and_kept():
    ann = NumpyANN(784, 64, 10, 0.01, random_seed=3)
    np.random.seed(3)
    assert np.array_equal(ann.W1, np.random.randn(784, 64) * 0.01) and ann.b1.shape == (1, 64)
    assert np.array_equal(ann.W2, np.random.randn(64, 10) * 0.01) and ann.b2.shape == (1, 10)
    assert (ann.input_size, ann.hidden_size, ann.output_size, ann.lr) == (784, 64, 10, 0.01)
    ann._forward(np.ones((2, 784)), training=False)
    assert not hasattr(ann, "z1")
    assert ann.predict(np.ones((2, 784))).sum(axis=1) == pytest.approx(1)


def test_a_step_follows_the_gradient_of_the_cross_entropy():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 4)), np.eye(3)[rng.integers(3, size=6)]
    ann = NumpyANN(4, 5, 3, lr=1.0)
    ann.W1, ann.W2 = rng.normal(size=(4, 5)), rng.normal(size=(5, 3))
    names = ("W1", "b1", "W2", "b2")
    start = [getattr(ann, name).copy() for name in names]

    def loss(*parameters):
        for name, value in zip(names, parameters, strict=True):
            setattr(ann, name, value.copy())
        return ann._cross_entropy(ann._forward(X), y)

    def step(*parameters):
        loss(*parameters)
        ann._backward(X, y)
        return tuple(before - getattr(ann, name) for before, name in zip(parameters, names, strict=True))

    report = check_gradients((loss, step), *start)
    assert report.ok, str(report)


def test_training_goes_through_the_rows_in_order_and_prints_every_tenth_epoch(capsys):
    rng = np.random.default_rng(1)
    y = np.eye(3)[rng.integers(3, size=50)]
    X = rng.normal(size=(50, 3)) + 3 * y
    ann, by_hand = (NumpyANN(3, 8, 3, lr=0.5) for _ in range(2))
    assert ann.train(X[:40], y[:40], X[40:], y[40:], epochs=20, batch_size=16) is None
    lines = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in lines] == ["[10 / 20]", "[20 / 20]"]
    names = [part.split(":")[0] for part in lines[1].split(" | ")[1:]]
    assert names == ["Train Loss", "Train Accuracy", "Val Loss", "Val Accuracy"]
    assert all(len(part.partition(".")[2]) == 5 for part in lines[1].split(" | ")[1:])
    for _ in range(20):
        for start in (0, 16, 32):
            by_hand._forward(X[start : min(start + 16, 40)])
            by_hand._backward(X[start : min(start + 16, 40)], y[start : min(start + 16, 40)])
    assert np.array_equal(ann.W1, by_hand.W1) and np.array_equal(ann.b2, by_hand.b2)
    assert type(ann.accuracy(X, y)) is float and ann.accuracy(X, y) > 0.8


def test_labels_in_place_of_one_hot_rows_are_refused():
    """They would broadcast against as many classes as the batch has rows."""
    ann = NumpyANN(3, 4, 2, lr=0.1)
    with pytest.raises(ValueError, match=r"y_true must be one-hot \(2, 2\), got \(2,\): np\.eye"):
        ann.train(np.ones((2, 3)), np.array([0, 1]), np.ones((2, 3)), np.array([0, 1]), epochs=1, batch_size=2)


def test_coloured_messages(capsys):
    utils.assert_less_equal(1, 2, "below")
    utils.assert_greater_equal(2, 2, "equal fails")
    utils.print_blue(msg="hi")
    assert capsys.readouterr().out == "\033[92m below\033[00m\n\033[91m equal fails\033[00m\n\033[94m hi\033[00m\n"


def test_exchanged_arguments_of_the_cross_entropy_are_noticed():
    ann, y_pred, y_true = NumpyANN(1, 1, 2, 0.1), np.array([[0.25, 0.75], [0.5, 0.5]]), np.eye(2)
    assert ann._cross_entropy(y_true=y_true, y_pred=y_pred) == pytest.approx(-np.log(0.25 * 0.5) / 2)
    assert ann._cross_entropy(y_true, y_true) == 0  # a perfect prediction
    with pytest.raises(ValueError, match="y_pred is one-hot and y_true is not: exchanged"):
        ann._cross_entropy(y_true, y_pred)


SCRIPTS = ("numpy_ann.py", "pytorch_ann.py", "pytorch_cnn.py")


@pytest.mark.skipif(not is_present("fashion-mnist"), reason="handgrad data get fashion-mnist")
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_train_and_end_with_the_test_accuracy(script, tmp_path):
    if "pytorch" in script:
        pytest.importorskip("torch")
    copy("purdue", tmp_path)
    command = [sys.executable, script, "--rows", "300", "--epochs", "10" if "cnn" not in script else "1"]
    out = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=True).stdout
    assert re.fullmatch(r"test accuracy: 0\.\d{4}", out.splitlines()[-1]) and "Val Accuracy: " in out


@pytest.mark.parametrize("words", [["--epochs", "0"], ["--rows", "60000"], ["--seed", "-1"], ["--epochs", "many"]])
def test_a_script_refuses_odd_arguments_in_a_line(words, tmp_path):
    copy("purdue", tmp_path)
    done = subprocess.run([sys.executable, "numpy_ann.py", *words], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 2 and "error: " in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_line_of_hers_is_what_a_script_and_its_neighbours_run(tmp_path):
    copy("purdue", tmp_path)
    path, line = tmp_path / "utils.py", "    arrays = [np.squeeze"
    text = path.read_text(encoding="utf-8").replace(line, f"    raise SystemExit('hers')\n{line}")
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "numpy_ann.py"], cwd=tmp_path, text=True, capture_output=True)
    assert done.stderr == "hers\n"


def test_the_pages_pair_checks_the_step_and_names_a_wrong_line(tmp_path):
    copy("purdue", tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "courses.md").read_text(encoding="utf-8")
    (tmp_path / "pair.py").write_text(page.split("names a wrong line of yours:\n\n```python\n")[1].split("```")[0])
    check = [sys.executable, "-B", "pair.py"]
    assert "every gradient is right" in subprocess.check_output(check, cwd=tmp_path, text=True)
    module = tmp_path / "numpy_ann.py"
    module.write_text(module.read_text(encoding="utf-8").replace("dz1 = dz2 @", "dz1 = 2 * dz2 @"), encoding="utf-8")
    assert "right: dz1 = dz2 @ self.W2.T" in subprocess.check_output(check, cwd=tmp_path, text=True)
