"""In place of scikit-learn's MLPs: the same seed gives the same network, to rounding."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_multilabel_classification
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from handgrad.sklearn import NetClassifier, NetRegressor
from handgrad.training import trainer

pytest.importorskip("sklearn", minversion="1.7", reason="its MLPs take sample_weight and the Poisson loss since 1.7")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = load_digits(return_X_y=True)[0][:500] / 16, load_digits(return_X_y=True)[1][:500]
CANCER = scale(load_breast_cancer(return_X_y=True)[0]), load_breast_cancer(return_X_y=True)[1]
LABELS = make_multilabel_classification(n_samples=200, random_state=0)
DIABETES = load_diabetes(return_X_y=True)[0], scale(load_diabetes(return_X_y=True)[1])
COLUMNS = DIABETES[0], np.stack([DIABETES[1], DIABETES[1] ** 2, -DIABETES[1]], axis=1)

SETTINGS = [
    {},
    {"batch_size": 32, "hidden_layer_sizes": (20, 10)},
    {"hidden_layer_sizes": ()},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    {"solver": "sgd", "momentum": 0, "shuffle": False},
    {"solver": "lbfgs"},
    {"solver": "lbfgs", "activation": "tanh", "alpha": 0.1},
    {"activation": "logistic", "alpha": 0},
    {"activation": "identity"},
    {"early_stopping": True, "validation_fraction": 0.2},
]


@pytest.fixture(autouse=True, params=[0, 10**9], ids=["many steps at once", "step by step"])
def route(request, monkeypatch):
    """How many steps a fit must have for them to be done at once, where Numba is installed."""
    monkeypatch.setattr(trainer, "MANY_STEPS", request.param)


def both(theirs, ours, x, y, settings, **fit):
    settings = {"max_iter": 8, "random_state": 3, **settings}
    return theirs(**settings).fit(x, y, **fit), ours(**settings).fit(x, y, **fit)


def assert_same(theirs, ours, x, tolerance=1e-9):
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(ours.predict(x).shape, theirs.predict(x).shape)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=tolerance)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("data", [DIGITS, CANCER, LABELS], ids=["classes", "two classes", "labels"])
def test_classifiers(data, settings):
    theirs, ours = both(MLPClassifier, NetClassifier, *data, settings)
    assert_same(theirs, ours, data[0])
    np.testing.assert_allclose(ours.predict_proba(data[0]), theirs.predict_proba(data[0]), atol=1e-9)
    np.testing.assert_allclose(ours.loss_, theirs.loss_)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    if settings.get("solver") != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_)
        assert ours.best_loss_ == (theirs.best_loss_ and pytest.approx(theirs.best_loss_))
        assert ours.validation_scores_ == theirs.validation_scores_


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_regressors(settings, loss):
    x, y = DIABETES[0], DIABETES[1] - DIABETES[1].min()
    theirs, ours = both(MLPRegressor, NetRegressor, x, y, {**settings, "loss": loss})
    assert_same(theirs, ours, x)
    np.testing.assert_allclose(ours.loss_, theirs.loss_)


@pytest.mark.parametrize("settings", [s for s in SETTINGS if s.get("solver") != "lbfgs"], ids=str)
def test_regressors_of_several_columns(settings):
    """The weights agree; the loss is K times theirs, which takes a mean over the columns for the value alone."""
    theirs, ours = both(MLPRegressor, NetRegressor, *COLUMNS, {"alpha": 0, **settings})
    assert_same(theirs, ours, COLUMNS[0])
    if not settings.get("alpha"):
        np.testing.assert_allclose(ours.loss_, 3 * theirs.loss_)


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_sample_weights(settings):
    weight = np.random.default_rng(0).integers(0, 4, len(DIGITS[0])).astype(float)
    theirs, ours = both(MLPClassifier, NetClassifier, *DIGITS, settings, sample_weight=weight)
    assert_same(theirs, ours, DIGITS[0])


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"solver": "sgd"}, {"early_stopping": True}], ids=str)
def test_sparse_input(settings):
    x = sparse.csr_matrix(DIGITS[0])
    theirs, ours = both(MLPClassifier, NetClassifier, x, DIGITS[1], settings)
    assert_same(theirs, ours, x)
    np.testing.assert_array_equal(ours.predict(x.tocsc()), ours.predict(x.toarray()))


def test_single_precision():
    x = DIGITS[0].astype(np.float32)
    theirs, ours = both(MLPClassifier, NetClassifier, x, DIGITS[1], {})
    assert_same(theirs, ours, x, tolerance=1e-3)
    assert ours.coefs_[0].dtype == ours.predict_proba(x).dtype == np.float32


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit(solver):
    theirs, ours = (kind(solver=solver, random_state=1, batch_size=50) for kind in (MLPClassifier, NetClassifier))
    for start in range(0, 500, 100):
        rows = slice(start, start + 100)
        for estimator in (theirs, ours):
            estimator.partial_fit(DIGITS[0][rows], DIGITS[1][rows], classes=np.arange(10))
    assert_same(theirs, ours, DIGITS[0])
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_)


def test_stops_at_the_same_iteration():
    """Two ways to stop: the training loss no longer falls by tol, and an adaptive rate has become too small."""
    for settings in (
        {"tol": 1e-2, "max_iter": 200},
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "max_iter": 500,
            "learning_rate_init": 0.2,
            "tol": 1e-2,
            "n_iter_no_change": 2,
        },
    ):
        theirs, ours = both(MLPClassifier, NetClassifier, *CANCER, settings)
        assert theirs.n_iter_ < settings["max_iter"] and ours.n_iter_ == theirs.n_iter_


def test_falling_learning_rate():
    settings = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3}
    theirs, ours = both(MLPClassifier, NetClassifier, *CANCER, settings)
    assert_same(theirs, ours, CANCER[0])
    assert ours.optimizer_.learning_rate == theirs._optimizer.learning_rate
