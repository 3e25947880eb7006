"""CS189 as a student meets it: a linked folder, its 25 tests, its scripts, its notebook, its write-up."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from handgrad.courses.cs189 import _starter as starter
from handgrad.courses.link import link
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
def linked(tmp_path_factory):
    """A folder that the course is linked into, without MNIST."""
    folder = tmp_path_factory.mktemp("linked")
    saved, os.environ["HANDGRAD_DATA"] = os.environ.get("HANDGRAD_DATA"), str(folder / "none")
    try:
        link("cs189", folder)
    finally:
        del os.environ["HANDGRAD_DATA"]
        if saved is not None:
            os.environ["HANDGRAD_DATA"] = saved
    return folder


def python(folder, *arguments):
    """Output of Python in a folder, with every warning an error."""
    done = subprocess.run([sys.executable, "-W", "error", *arguments], cwd=folder, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_25_tests_pass(linked):
    assert "Ran 25 tests" in python(linked, "-m", "unittest", "-v")


def test_the_tests_notice_a_wrong_gradient(linked):
    """Among them one the course's own tests let pass: the gradient by W, which they never look at."""
    broken = (
        "import sys, unittest\nfrom handgrad import functional as F\nright = F.linear_backward\n"
        "F.linear_backward = lambda dy, cache: [2 * g if i == 1 else g for i, g in enumerate(right(dy, cache))]\n"
        "unittest.main(module=None, argv=['x'])"
    )
    done = subprocess.run([sys.executable, "-c", broken], cwd=linked, text=True, capture_output=True)
    assert "FAILED (failures=" in done.stderr


def test_every_gradient_is_right_in_the_script_and_the_notebook(linked):
    printed = python(linked, "check_gradients.py")
    assert printed.count("right") == 26 and "WRONG" not in printed
    notebook = json.loads((linked / "check_gradients.ipynb").read_text())
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert python(linked, "-c", code) == printed


def test_iris_files_have_the_courses_shapes(linked):
    shapes = {path.stem: np.load(path).shape for path in (linked / "datasets" / "iris").iterdir()}
    assert shapes == {
        "iris_train_data": (105, 4),
        "iris_train_labels": (105, 3),
        "iris_val_data": (15, 4),
        "iris_val_labels": (15, 3),
        "iris_test_data": (30, 4),
        "iris_test_labels": (30, 3),
    }
    assert np.load(linked / "datasets" / "iris" / "iris_train_data.npy").max() > 7  # centimetres, not standardized


def test_a_students_script_runs_unchanged(linked):
    (linked / "mine.py").write_text(STUDENTS_SCRIPT)
    printed = python(linked, "mine.py")
    assert "Epoch 59 Training Loss: " in printed and "Example target: [" in printed
    accuracy = float(printed.rsplit("Test Accuracy: ", 1)[1])
    assert accuracy > 0.9
    folder = linked / "experiments" / "mine"
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
    }
    assert {path.name for path in folder.iterdir()} == names
    log = pickle.loads((folder / "log").read_bytes())
    assert list(log) == ["loss", "error", "params"] and len(log["loss"]["validate"]) == 60
    assert log["loss"]["train"][-1] < 0.2 < log["loss"]["train"][0]
    assert pickle.loads((folder / "parameters_epoch60").read_bytes())[1]["W"].shape == (10, 3)
    assert f"{linked.name}" not in python(linked, "mine.py")
    assert (linked / "experiments" / "mine-2" / "log").exists()


@pytest.mark.parametrize(("name", "epochs", "bar"), [("train_ffnn.py", 100, 0.93), ("train_rnn.py", 1, 0.95)])
def test_the_scripts_that_come_along_train(linked, name, epochs, bar):
    text = (linked / name).read_text()
    (linked / "short.py").write_text(text.replace("epochs = 100", f"epochs = {epochs}"))
    printed = python(linked, "short.py")
    assert float(printed.rsplit("Test Accuracy: ", 1)[1]) > bar


@pytest.mark.skipif(not is_present("mnist"), reason="MNIST is not here: handgrad data get mnist")
def test_the_convolutional_script_learns_digits(tmp_path):
    """On 2000 images, in files as link writes them."""
    arrays = {key: array[:2000] for key, array in starter.make_arrays("mnist").items()}
    starter.write_dataset(tmp_path / "datasets" / "mnist", arrays)
    text = (starter.Path(starter.__file__).with_name("train_conv.py")).read_text()
    (tmp_path / "train_conv.py").write_text(text.replace("epochs = 5", "epochs = 2"))
    printed = python(tmp_path, "-m", "handgrad", "courses", "run", "cs189", "train_conv.py")
    assert float(printed.rsplit("Val Accuracy: ", 1)[1]) > 0.8


@pytest.mark.parametrize(
    ("kind", "level", "begin", "inner"),
    [
        ("markdown", 2, "## activations.py\n\n### Linear\n\n```python\nclass Linear(", "def conv2d_backward("),
        (
            "latex",
            1,
            "\\section{activations.py}\n\n\\subsection{Linear}\n\n\\begin{verbatim}\nclass Linear(",
            "\\subsection{Conv2D.\\_init\\_parameters}",
        ),
    ],
)
def test_the_write_up_shows_the_implementations(linked, kind, level, begin, inner):
    python(linked, "generate_submission.py", "-f", kind, "--heading_level", str(level), "-o", "code.txt")
    text = (linked / "code.txt").read_text(encoding="utf-8")
    assert text.startswith(begin) and inner in text
    assert text.isascii() or kind == "markdown"
    assert python(linked, "generate_submission.py", "--format", kind, "--heading_level", str(level)) == text
