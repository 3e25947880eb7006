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


USE = """
import numpy as np
from nndl import fc_net, layer_utils
from {module} import {name}

np.random.seed(0)
X, y = np.random.randn(6, 4), np.array([0, 1, 2] * 2)
if "{name}" == "TwoLayerNet":
    print({name}(4, 5, 3, weight_scale=1.0).loss(X, y)[0])
elif "{name}" == "Solver":
    data = dict(X_train=X, y_train=y, X_val=X, y_val=y)
    model, options = fc_net.TwoLayerNet(4, 5, 3), dict(batch_size=2, optim_config=dict(learning_rate=1.0))
    solver = {name}(model, data, verbose=False, **options)
    solver.train()
    print(solver.loss_history)
else:
    print({name}(X, X.T, np.zeros(6))[0])
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


@pytest.mark.parametrize(
    ("module", "right", "wrong", "name"),
    [
        ("nndl/layers.py", "np.maximum(x, 0), x", "x, x", "nndl.layer_utils.affine_relu_forward"),
        (
            "nndl/layer_utils.py",
            "out, (fc_cache, relu_cache)",
            "-out, (fc_cache, relu_cache)",
            "nndl.fc_net.TwoLayerNet",
        ),
        ("nndl/optim.py", "return w - float", "return w + float", "utils.solver.Solver"),
        ("utils/solver.py", "self.model.loss(self.X", "self.model.loss(2 * self.X", "cs231n.solver.Solver"),
    ],
)
def test_what_she_writes_is_what_the_other_modules_use(tmp_path, module, right, wrong, name):
    """A wrong line in one module changes what another gives."""
    copy("nndl", tmp_path)
    script = tmp_path / "script.py"
    script.write_text(USE.format(module=name.rpartition(".")[0], name=name.rpartition(".")[2]))
    command = [sys.executable, "-B", "script.py"]
    before = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert before.returncode == 0, before.stderr
    text = (tmp_path / module).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / module).write_text(text.replace(right, wrong), encoding="utf-8")
    assert subprocess.run(command, cwd=tmp_path, text=True, capture_output=True).stdout != before.stdout


def test_a_blank_copy_still_imports_and_says_what_to_write(tmp_path):
    copy("nndl", tmp_path, blank=True)
    code = "from nndl.cnn import *\nfrom cs231n.fast_layers import *\naffine_forward(1, 2, 3)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True)
    assert done.stderr.splitlines()[-1] == "NotImplementedError: implement affine_forward"


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
