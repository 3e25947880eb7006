"""scikit-learn's own tests of its MLPs, run from the installed package with the classes exchanged for ours.

Left out, as they reach into the MLP's inside:

| test | what it takes from the inside |
|---|---|
| test_fit | sets coefs_, intercepts_, _coef_grads, n_layers_ and more on an estimator that was never fitted |
| test_gradient | calls _loss_grad_lbfgs with the lists of arrays that it works in; test_gradients.py checks ours |

Two others read the learning rate from `_optimizer`, ours is in `optimizer_`: the classes they get know both names.
"""

import importlib

import pytest

from handgrad.sklearn import NetClassifier, NetRegressor

LEFT_OUT = {"test_fit", "test_gradient"}


class Classifier(NetClassifier):
    @property
    def _optimizer(self):
        return self.optimizer_


class Regressor(NetRegressor):
    pass


def exchanged():
    """The module of scikit-learn's tests, imported with our classes in place of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.neural_network.MLPClassifier", Classifier)
        patch.setattr("sklearn.neural_network.MLPRegressor", Regressor)
        spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


THEIRS = exchanged()
globals().update(
    {name: getattr(THEIRS, name) for name in dir(THEIRS) if name.startswith("test_") and name not in LEFT_OUT}
)
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def global_random_seed():
    """What scikit-learn's conftest.py gives."""
    return 42


def test_it_is_our_classes_that_are_tested():
    assert THEIRS.MLPClassifier is Classifier and THEIRS.MLPRegressor is Regressor
    assert set(dir(THEIRS)) >= LEFT_OUT
