"""The notebooks of the courses: what they import, the figures that they compare with, and those that come along."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from handgrad.courses.copies import copy, run
from handgrad.courses.cs231n import optim as cs231n_optim
from handgrad.courses.cs231n import rnn_layers
from handgrad.courses.nndl import conv_layers, optim
from handgrad.datasets.images import is_present

CELLS = json.loads((Path(__file__).parents[1] / "goldens" / "course_cells.json").read_text(encoding="utf-8"))
LAYERS = "np affine_forward affine_backward relu_forward relu_backward batchnorm_forward dropout_forward softmax_loss "
AFFINE_RELU, CONV = "affine_relu_forward affine_relu_backward ", "conv_forward_naive spatial_batchnorm_forward "
FAST, CONV_RELU = "conv_forward_fast max_pool_backward_fast ", "conv_relu_forward conv_relu_pool_backward "
STARS = {  # module: names that a script has after `from module import *`, since the course's module imports them so
    "nndl.layers": LAYERS,
    "nndl.layer_utils": LAYERS + AFFINE_RELU,
    "nndl.fc_net": LAYERS + AFFINE_RELU + "TwoLayerNet FullyConnectedNet",
    "nndl.conv_layers": LAYERS + CONV,
    "nndl.conv_layer_utils": LAYERS + FAST + CONV_RELU,
    "nndl.cnn": LAYERS + AFFINE_RELU + CONV + FAST + CONV_RELU + "ThreeLayerConvNet",
    "nndl.layer_tests": LAYERS + AFFINE_RELU + "rel_error fc_net_test eval_numerical_gradient FullyConnectedNet",
    "cs231n.classifiers.rnn": "CaptioningRNN rnn_forward lstm_step_backward temporal_softmax_loss",
    "nndl": "KNN Softmax SVM",
}


@pytest.mark.parametrize("module", STARS)
def test_a_star_import_gives_what_the_courses_module_passes_on(module, tmp_path, capsys):
    (tmp_path / "cell.py").write_text(f"from {module} import *\nfor name in {STARS[module].split()}: globals()[name]")
    assert run("nndl", tmp_path / "cell.py") == 0, capsys.readouterr().err


def between(first, last, *shape):
    return np.linspace(first, last, num=np.prod(shape)).reshape(shape)


@pytest.mark.parametrize("name", [name for name in CELLS if "_forward" in name])
def test_layers_give_the_figures_of_the_cells(name):
    cell = CELLS[name]
    arrays = {key: between(*numbers) for key, numbers in cell["arrays"].items()}
    function = getattr(conv_layers if name.endswith("naive") else rnn_layers, name)
    *outputs, _ = function(*arrays.values(), *cell["arguments"])
    for out, expected in zip(outputs, cell["out"], strict=True):
        assert np.allclose(out.ravel(), expected, rtol=0, atol=6e-9)


@pytest.mark.parametrize(
    "module, name, renamed",
    [
        *((optim, name, {}) for name in ("sgd_momentum", "sgd_nesterov_momentum", "rmsprop", "adam")),
        (cs231n_optim, "sgd_momentum", {}),
        (cs231n_optim, "rmsprop", {"a": "cache"}),
        (cs231n_optim, "adam", {"v": "m", "a": "v"}),
    ],
)
def test_update_rules_give_the_figures_of_the_cells(module, name, renamed):
    cell = CELLS[name]
    arrays = {key: between(*ends, 4, 5) for key, ends in cell["arrays"].items()}
    w, dw = arrays.pop("w"), arrays.pop("dw")
    config = {**cell["config"], **{renamed.get(key, key): value for key, value in arrays.items()}}
    next_w, same = getattr(module, name)(w, dw, config=config)
    assert np.allclose(next_w.ravel(), cell["next_w"], rtol=0, atol=6e-9) and same is config
    for key in arrays:
        assert np.allclose(config[renamed.get(key, key)].ravel(), cell[key], rtol=0, atol=6e-9)


@pytest.mark.skipif(not is_present("cifar10") or not is_present("fashion-mnist"), reason="handgrad data get cifar10")
@pytest.mark.parametrize(
    ("course", "name", "arguments", "expected", "made"),
    [
        (
            "nndl",
            "two_layer_nn",
            "--rows 300 --iterations 30",
            r"difference of the scores: \d\.\de-08\ndifference of the loss: 0\.0e\+00\n(.|\n)*"
            r"final loss of the toy: 0\.0144979\n(.|\n)*test accuracy of the best \(\S+\): 0\.\d{3}\n$",
            "first_try.png learning_rates.png weights.png",
        ),
        (
            "nndl",
            "FC_nets",
            "--rows 300 --epochs 1",
            r"svm_loss: (8\.9|9\.0)\d\d, .*e-09\nsoftmax_loss: 2\.30\d, .*e-09\n(.|\n)*"
            r"training accuracy on 50 images: 1\.000, (.|\n)*final validation accuracy: 0\.\d{3}, best 0\.\d{3}\n$",
            "solver.png",
        ),
        (
            "cs189",
            "pytorch_networks",
            "--rows 300 --epochs 1 --cnn_epochs 1",
            r"MLP validation accuracy: 0\.\d{4}\n(.|\n)*CNN test accuracy: 0\.\d{4}\n300 classes in predictions.csv\n$",
            "mlp_curves.png cnn_curves.png predictions.csv",
        ),
    ],
)
def test_a_notebook_that_comes_along_runs(course, name, arguments, expected, made, tmp_path):
    """Its cells as one script, with fewer rows and epochs; the figures of all of them: benchmarks/courses.py."""
    if course == "cs189":
        pytest.importorskip("torch")
        (tmp_path / "datasets" / "mnist").mkdir(parents=True)  # so that its 55 MB are not written
    copy(course, tmp_path)
    cells = json.loads((tmp_path / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    (tmp_path / "cells.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-B", "-W", "error", "cells.py", *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout
    assert all((tmp_path / file).is_file() for file in made.split())
    if "predictions.csv" in made:
        lines = (tmp_path / "predictions.csv").read_text().splitlines()
        assert lines[0] == "Id,Category" and re.fullmatch(r"300,\d", lines[-1])
