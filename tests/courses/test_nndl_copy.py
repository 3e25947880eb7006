"""Scripts of UCLA, Stanford and Purdue find their modules in a copy, whichever name the year gave them."""

import subprocess
import sys

import pytest

from handgrad.courses.copies import copy, course_files, run

NOTEBOOK = """
import numpy as np
from nndl.layers import *
from nndl.layer_utils import affine_relu_forward
from nndl.neural_net import TwoLayerNet
from nndl.fc_net import FullyConnectedNet
from nndl.optim import sgd_nesterov_momentum
from nndl.conv_layers import *
from nndl.conv_layer_utils import conv_relu_pool_forward
from nndl.cnn import ThreeLayerConvNet
from nndl.knn import KNN
from nndl.softmax import Softmax
from nndl.svm import SVM
from nndl.layer_tests import *
from {support}.solver import Solver
from {support}.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array, grad_check_sparse
from {support}.data_utils import get_CIFAR10_data, load_CIFAR10
from {support}.vis_utils import visualize_grid
from {support}.fast_layers import conv_forward_fast, conv_backward_fast, max_pool_forward_fast
from {support}.im2col import im2col_indices
from {support}.features import hog_feature

np.random.seed(0)
data = {{"X_train": np.random.randn(40, 5), "y_train": np.arange(40) % 3}}
data.update(X_val=data["X_train"], y_val=data["y_train"])
solver = Solver(FullyConnectedNet([10], input_dim=5, num_classes=3), data, num_epochs=1, batch_size=10, verbose=False)
solver.train()
relu_forward_test()
print(len(solver.loss_history), affine_forward(np.ones((2, 3)), np.ones((3, 4)), np.zeros(4))[0].shape)
"""


@pytest.mark.parametrize("support", ["utils", "cs231n"])
def test_a_notebooks_imports(tmp_path, support):
    copy("nndl", tmp_path)
    (tmp_path / "notebook.py").write_text(NOTEBOOK.format(support=support))
    out = subprocess.check_output([sys.executable, "notebook.py"], cwd=tmp_path, text=True)
    assert out.splitlines()[-1] == "4 (2, 4)" and "difference: 4.99" in out


def test_cs231ns_own_modules(tmp_path, capsys):
    script = tmp_path / "captions.py"
    script.write_text(
        "from cs231n.rnn_layers import *\nfrom cs231n.optim import adam\n"
        "from cs231n.classifiers.rnn import CaptioningRNN\nprint(callable(lstm_step_forward))"
    )
    assert run("nndl", script) == 0 and capsys.readouterr().out == "True\n"


def test_purdues_modules_lie_side_by_side(tmp_path):
    copy("purdue", tmp_path)
    code = (
        "from numpy_ann import NumpyANN\nfrom utils import assert_greater_equal, load_mnist_f, print_green\n"
        "assert_greater_equal(NumpyANN(2, 3, 2, 0.1).accuracy([[1., 2.]], [[1, 0]]), 0.5, 'fine')"
    )
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert out == "\033[92m fine\033[00m\n"
    assert {"pytorch_ann.py", "pytorch_cnn.py"} <= {path.name for path in tmp_path.iterdir()}


def test_copying_purdues_modules_does_not_need_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    modules = {path.name for path in course_files("purdue") if path.suffix == ".py"}
    assert modules >= {"numpy_ann.py", "pytorch_ann.py", "pytorch_cnn.py", "utils.py"}
