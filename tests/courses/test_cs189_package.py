"""CS189 as a student meets it: a copy, its 25 tests, its scripts, its notebook, its write-up."""

import contextlib
import json
import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from handgrad.blanks import functions_in
from handgrad.cli.application import run as handgrad
from handgrad.courses.copies import copy, read_course
from handgrad.courses.cs189 import _starter as starter
from handgrad.datasets.images import is_present

# A student's script in the style of the handout's train_ffnn.py: imports after the seed, model_args without a name.
STUDENTS_SCRIPT = """
from neural_networks.utils.data_structures import AttrDict
layer_1 = AttrDict({"name": "fully_connected", "activation": "relu", "weight_init": "xavier_uniform", "n_out": 10})
layer_out = AttrDict({"name": "fully_connected", "activation": "softmax", "weight_init": "xavier_uniform",
                      "n_out": None})
optimizer_args = AttrDict({"name": "SGD", "lr": 1e-2, "lr_scheduler": "exponential", "lr_decay": 0.99,
                           "stage_length": 1000, "staircase": True, "clip_norm": 1.0, "momentum": 0.9})
model_args = AttrDict({"loss": "cross_entropy", "layer_args": [layer_1, layer_out], "optimizer_args": optimizer_args,
                       "seed": 2})
data_args = AttrDict({"name": "iris", "batch_size": 25})
import numpy as np
np.random.seed(model_args.seed)
from neural_networks.models import initialize_model
from neural_networks.datasets import initialize_dataset
from neural_networks.logs import Logger
logger = Logger(model_name="mine", model_args=model_args, data_args=data_args, save=True, plot=True,
                save_dir="experiments/")
model = initialize_model(name="feed_forward", loss=model_args.loss, layer_args=model_args.layer_args,
                         optimizer_args=model_args.optimizer_args, logger=logger)
dataset = initialize_dataset(name=data_args.name, batch_size=data_args.batch_size)
model.train(dataset, epochs=60)
model.test(dataset, save_predictions=True)
model.save_parameters(60)
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A solved copy of the course, without MNIST."""
    folder = tmp_path_factory.mktemp("solved")
    saved, os.environ["HANDGRAD_DATA"] = os.environ.get("HANDGRAD_DATA"), str(folder / "none")
    try:
        copy("cs189", folder)
    finally:
        del os.environ["HANDGRAD_DATA"]
        if saved is not None:
            os.environ["HANDGRAD_DATA"] = saved
    return folder


def python(folder, *arguments):
    """Output of Python in a folder, with every warning an error."""
    done = subprocess.run([sys.executable, "-B", "-W", "error", *arguments], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def unittests(folder):
    """What `python -m unittest` says in a folder, whether or not all tests pass."""
    command = [sys.executable, "-B", "-m", "unittest"]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True).stderr.strip()


@contextlib.contextmanager
def changed(path, right, wrong):
    """The file with something else in it, within the block."""
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def test_the_25_tests_pass(solved):
    assert "Ran 25 tests" in python(solved, "-m", "unittest", "-v")


def test_the_tests_notice_a_wrong_gradient(solved):
    """Among them one the course's own tests let pass: the gradient by W, which they never look at."""
    with changed(solved / "neural_networks/layers.py", 'self.cache["X"].T @ dZ', '2 * self.cache["X"].T @ dZ'):
        assert "FAILED (failures=1)" in unittests(solved)


def test_a_blank_copy_fails_17_and_passes_8_and_the_solutions_bodies_fill_it(solved, tmp_path):
    _, left = copy("cs189", tmp_path, blank=True)
    assert not left and unittests(tmp_path).splitlines()[-1] == "FAILED (errors=17)"
    names = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.py")]
    different = {name for name in names if (tmp_path / name).read_bytes() != (solved / name).read_bytes()}
    assert {name.stem for name in different} == {"activations", "layers", "losses", "models", "pytorch_networks"}
    text = (tmp_path / "neural_networks" / "activations.py").read_text(encoding="utf-8")
    assert '"""max(0, Z)."""\n        raise NotImplementedError("implement ReLU.forward")\n\n    def' in text
    for name in different:
        (tmp_path / name).write_bytes((solved / name).read_bytes())
    assert unittests(tmp_path).splitlines()[-1] == "OK"


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("activations", "return np.maximum(floats(Z), 0)", "return floats(Z)"),
        ("layers", 'self.gradients["b"] = dZ.sum', 'self.gradients["b"] = dZ.mean'),
        ("losses", "2 * self.factor", "self.factor"),
        ("weights", "return np.random.uniform(-bound", "shape = shape[::-1]\n    return np.random.uniform(-bound"),
        ("utils/convolution", "top, bottom, left, right = (int(side)", "left, right, top, bottom = (int(side)"),
        ("utils/data_structures", 'array if array.dtype.kind in "fc"', 'array * 2 if array.dtype.kind in "fc"'),
    ],
)
def test_a_wrong_line_in_her_module_turns_the_unit_tests_red(solved, module, right, wrong):
    with changed(solved / f"neural_networks/{module}.py", right, wrong):
        assert "FAILED (" in unittests(solved)


DOUBLED = "@(lambda body: lambda *given, **named: 2 * body(*given, **named))"
EACH_BODY = """
import json, sys, unittest
from pathlib import Path

def red():
    \"\"\"The tests that do not pass.\"\"\"
    for name in [name for name in sys.modules if name.partition(".")[0] in ("neural_networks", "tests")]:
        del sys.modules[name]
    result = unittest.TestResult()
    unittest.TestLoader().discover(".").run(result)
    return sorted({test.id().partition(".")[2].partition(".")[2] for test, _ in result.errors + result.failures})

found = {}
for path, name, line in json.loads(sys.argv[1]):
    right = Path(path).read_text(encoding="utf-8")
    lines = right.splitlines(keepends=True)
    lines.insert(line - 1, "    " + sys.argv[2] + "\\n")
    Path(path).write_text("".join(lines), encoding="utf-8")
    found[name] = red()
    Path(path).write_text(right, encoding="utf-8")
print(json.dumps([found, red()]))
"""


def test_each_wrong_body_turns_red_the_tests_that_use_it(solved):
    """Every body that the homework asks for, and those that are given beside them, returning twice what is right."""
    asked = [(path, name) for path, names in read_course("cs189").blank.items() for name in names]
    given = {"activations": ("Linear", "TanH", "ArcTan"), "layers": ("Flatten",)}
    for module, names in given.items():
        asked += [(f"neural_networks/{module}.py", f"{n}.{kind}") for n in names for kind in ("forward", "backward")]
    bodies = [
        (path, name, functions_in((solved / path).read_text(encoding="utf-8"))[name].lineno)
        for path, name in asked
        if path.startswith("neural_networks/") and not name.startswith("NeuralNetwork")
    ]
    found, after = json.loads(python(solved, "-c", EACH_BODY, json.dumps(bodies), DOUBLED))
    assert after == [] and len(found) == 25
    for name, tests in found.items():
        owner, _, body = name.partition(".")
        test = {"_init_parameters": "test_init_params"}.get(body, f"test_{body}")
        assert f"Test{owner}.{test}" in tests, name
    assert {"TestFullyConnected.test_forward", "TestConv2D.test_forward"} <= set(found["ReLU.forward"])
    assert {"TestFullyConnected.test_backward", "TestConv2D.test_backward"} <= set(found["TanH.backward"])


MINI = """
import numpy as np
from neural_networks.datasets import initialize_dataset
from neural_networks.models import initialize_model
layers = [dict(name="fully_connected", activation="relu", n_out=5), dict(name="fully_connected", activation="softmax")]
model = initialize_model("mini", "cross_entropy", layers, dict(name="SGD", lr=0.1), seed=0)
model.train(initialize_dataset("iris", rows=30), epochs=2)
"""


def test_each_wrong_body_of_the_model_changes_what_training_prints(solved):
    """The course has no unit tests of these three: the printed figures are what shows it."""
    right = python(solved, "-c", MINI)
    for name in ("forward", "backward", "predict"):
        head = f"    def {name}(self"
        with changed(solved / "neural_networks" / "models.py", head, f"    {DOUBLED}\n{head}"):
            done = subprocess.run([sys.executable, "-B", "-c", MINI], cwd=solved, text=True, capture_output=True)
        assert done.stdout != right, name


@pytest.mark.parametrize(
    ("script", "module", "function"),
    [
        *(("train_ffnn.py", *names) for names in [("models", "update"), ("optimizers", "update"), ("logs", "push")]),
        *(("train_ffnn.py", *names) for names in [("schedulers", "scheduled_lr"), ("datasets", "shuffle")]),
        ("check_gradients.py", "utils/grad_check", "check_gradients"),
    ],
)
def test_her_module_is_the_one_that_scripts_run(solved, script, module, function):
    """Also by `courses run`, which puts the solution behind what stands beside the script."""
    path = solved / f"neural_networks/{module}.py"
    heads = re.finditer(rf"( *)def {function}\(.*?\) -> [^\n]*:\n", path.read_text(encoding="utf-8"), re.DOTALL)
    head = [*heads][-1] if module != "schedulers" else next(head for head in heads if "None" in head[0])
    with changed(path, head[0], f"{head[0]}{head[1]}    print('hers'); raise SystemExit\n"):
        for command in ([script], ["-m", "handgrad", "courses", "run", "cs189", script]):
            assert "hers" in python(solved, *command)


def test_every_gradient_is_right_in_the_script_and_the_notebook(solved):
    printed = python(solved, "check_gradients.py")
    assert printed.count("right") == 26 and "WRONG" not in printed
    notebook = json.loads((solved / "check_gradients.ipynb").read_text())
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert python(solved, "-c", code) == printed


def test_a_blank_copys_gradients_are_checked_as_far_as_they_are_written(tmp_path):
    copy("cs189", tmp_path, blank=True)
    printed = python(tmp_path, "check_gradients.py")
    assert re.search(r"tanh +\S+  right\nrelu +to be written: ReLU.backward\n", printed)
    assert printed.count("right") == 11 and printed.count("to be written") == 9 and "WRONG" not in printed


def test_iris_files_have_the_courses_shapes(solved):
    shapes = {path.stem: np.load(path).shape for path in (solved / "datasets" / "iris").iterdir()}
    assert shapes == {
        "iris_train_data": (105, 4),
        "iris_train_labels": (105, 3),
        "iris_val_data": (15, 4),
        "iris_val_labels": (15, 3),
        "iris_test_data": (30, 4),
        "iris_test_labels": (30, 3),
    }
    assert np.load(solved / "datasets" / "iris" / "iris_train_data.npy").max() > 7  # centimetres, not standardized


def test_a_students_script_runs_unchanged(solved):
    (solved / "mine.py").write_text(STUDENTS_SCRIPT)
    printed = python(solved, "mine.py")
    assert "Epoch 59 Training Loss: " in printed and "Example target: [" in printed
    accuracy = float(printed.rsplit("Test Accuracy: ", 1)[1])
    assert accuracy > 0.9
    folder = solved / "experiments" / "mine"
    names = {
        "model_args",
        "data_args",
        "log",
        "loss.png",
        "error.png",
        "W0.png",
        "b0.png",
        "W1.png",
        "b1.png",
        "test_predictions.p",
        "parameters_epoch60",
        "run.json",
        "metrics.jsonl",
    }
    assert {path.name for path in folder.iterdir()} == names
    log = pickle.loads((folder / "log").read_bytes())
    assert list(log) == ["loss", "error", "params"] and len(log["loss"]["validate"]) == 60
    assert log["loss"]["train"][-1] < 0.2 < log["loss"]["train"][0]
    assert pickle.loads((folder / "parameters_epoch60").read_bytes())[1]["W"].shape == (10, 3)
    assert f"{solved.name}" not in python(solved, "mine.py")
    assert (solved / "experiments" / "mine-2" / "log").exists()


@pytest.mark.parametrize(("name", "epochs", "bar"), [("train_ffnn.py", 100, 0.93), ("train_rnn.py", 2, 0.95)])
def test_the_scripts_that_come_along_train(solved, name, epochs, bar):
    printed = python(solved, name, "--epochs", str(epochs))
    assert float(printed.rsplit("Test Accuracy: ", 1)[1]) > bar


def test_runs_of_the_script_are_compared_judged_and_written_up(solved, tmp_path, monkeypatch, capsys):
    """From what the logger keeps; rates and sizes changed as a student does, in the script."""
    text = (solved / "train_ffnn.py").read_text()
    for rate, size in ((0.01, 5), (0.01, 50), (1.0, 5), (1.0, 50)):
        (solved / "tried.py").write_text(text.replace("lr=0.01", f"lr={rate}").replace("n_out=25", f"n_out={size}"))
        with changed(solved / "experiment.py", "experiments/", f"{tmp_path}/runs/"):
            python(solved, "tried.py", "--epochs", "30")
    monkeypatch.chdir(tmp_path)
    for command in ("runs", "judge", "compare", "writeup"):
        assert handgrad([command, "runs"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished") == 4 and "4 runs compared" in printed
    assert printed.count("on training rows") >= 2  # judgements
    page = (tmp_path / "writeup.md").read_text(encoding="utf-8").replace("\\", "")
    assert "4 runs on iris differ in n_out, learning_rate." in page
    told = page.partition("# What each setting did")[2].partition("# How to run it again")[0]
    assert re.search(r"The test error is [\d.]+ with 0\.01, [\d.]+ with 1 \(means over 2 settings of the rest\)", told)
    assert "Best is 0.01" in told and "On the training rows it is" in told
    assert "python tried.py" in page and "fingerprint" not in page


@pytest.mark.skipif(not is_present("mnist"), reason="MNIST is not here: handgrad data get mnist")
def test_the_convolutional_script_learns_digits(tmp_path):
    """On 2000 images, in files as copy writes them."""
    arrays = {key: array[:3000] for key, array in starter.make_arrays("mnist").items()}
    starter.write_dataset(tmp_path / "datasets" / "mnist", arrays)
    command = ["-m", "handgrad", "courses", "run", "cs189", "train_conv.py"]
    printed = python(tmp_path, *command, "--rows", "2000", "--epochs", "2")
    assert float(printed.rsplit("Val Accuracy: ", 1)[1]) > 0.8


@pytest.mark.parametrize(
    ("kind", "level", "begin", "inner"),
    [
        ("markdown", 2, "## activations.py\n\n### Linear\n\n```python\nclass Linear(", "dwindows = np.tensordot("),
        (
            "latex",
            1,
            "\\section{activations.py}\n\n\\subsection{Linear}\n\n\\begin{verbatim}\nclass Linear(",
            "\\subsection{Conv2D.\\_init\\_parameters}",
        ),
    ],
)
def test_the_write_up_shows_the_implementations(solved, kind, level, begin, inner):
    python(solved, "generate_submission.py", "-f", kind, "--heading_level", str(level), "-o", "code.txt")
    text = (solved / "code.txt").read_text(encoding="utf-8")
    assert text.startswith(begin) and inner in text
    assert text.isascii() or kind == "markdown"
    assert python(solved, "generate_submission.py", "--format", kind, "--heading_level", str(level)) == text


def test_a_write_up_shows_her_implementations_and_checks_them(solved, tmp_path, monkeypatch):
    """`--code cs189`: all that the homework asks for, from the folder that she works in."""
    monkeypatch.chdir(solved)
    path = solved / "neural_networks" / "activations.py"
    with changed(path, "return dY * (np.asarray(Z) > 0)", "hers = np.asarray(Z) >= 0\n        return 2 * dY * hers"):
        python(solved, "train_ffnn.py", "--epochs", "2")
        out = tmp_path / "report.md"
        python(solved, "-m", "handgrad", "writeup", "experiments", "--code", "cs189", "-o", str(out))
    text = out.read_text(encoding="utf-8").replace("\\", "")
    parts = dict(part.partition("\n")[::2] for part in text.partition("# Experiments")[0].split("## ")[1:])
    assert "return 2 * dY * hers" in parts["neural_networks.activations: ReLU"]
    wrong = [title for title, part in parts.items() if "not every gradient is right" in part]
    assert wrong == ["neural_networks.activations: ReLU"]
    for path, names in [*read_course("cs189").blank.items()][:4]:
        module = path.removesuffix(".py").replace("/", ".")
        assert {f"{module}: {name.partition('.')[0]}" for name in names} <= set(parts)


def test_the_submission_shows_all_that_the_homework_asks_for(solved):
    """Of her modules, not of ours, and every blank of the manifest."""
    with changed(solved / "neural_networks/losses.py", "2 * self.factor * (Y_hat - Y)", "189 * (Y_hat - Y)"):
        text = python(solved, "generate_submission.py")
    assert "return 189 * (Y_hat - Y)" in text
    heads = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    asked = {name for path, names in read_course("cs189").blank.items() for name in names if "/" in path}
    assert len(asked) == 20 and all(name in heads or name.partition(".")[0] in heads for name in asked)
