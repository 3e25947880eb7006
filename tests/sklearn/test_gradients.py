"""The gradients that estimators train by, checked by the gradient lab; and the buffered step against the plain one."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetRegressor
from handgrad.sklearn.objectives import LogLoss, PoissonDeviance, Scaled
from handgrad.sklearn.table_engine import TableEngine

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X, Y = load_iris(return_X_y=True)
X_LABELS, LABELS = make_multilabel_classification(n_samples=60, n_features=6, random_state=0)
COUNTS = RNG.poisson(2.0, (len(X), 2))
IMAGES = RNG.normal(size=(40, 6, 6, 2))
CLASSES = np.arange(40) % 3
ESTIMATORS = {
    "relu": (NetClassifier((7, 5)), X, Y),
    "smooth": (NetClassifier((7, 5), activation=("gelu", "logistic"), alpha=0.3), X, Y),
    "batch norm": (NetClassifier((7,), activation="tanh", batch_norm=True, loss="hinge"), X, Y),
    "two classes": (NetClassifier((7,), activation="softplus"), X, Y > 0),
    "labels": (NetClassifier((7,), activation="silu"), X_LABELS, LABELS),
    "no hidden layer": (NetClassifier(()), X, Y),
    "one column": (NetRegressor("squared_error", (7,), "tanh"), X, Y.astype(float)),
    "columns": (NetRegressor("squared_error", (7,), "tanh", alpha=0.1), X, RNG.normal(size=(len(X), 3))),
    "counts": (NetRegressor("poisson", (7,), "tanh"), X, COUNTS),
    "huber": (NetRegressor("huber", (7,), "elu"), X, Y.astype(float)),
    "images": (NetClassifier(layers=[hg.Conv2D(2, 3), hg.Tanh(), hg.Flatten()]), IMAGES, CLASSES),
}


def engine_and_batch(name, is_sparse=False):
    """An engine on a network that has been trained a little, and a batch with weights for it."""
    estimator, x, y = ESTIMATORS[name]
    net = clone(estimator).set_params(max_iter=2, random_state=0).fit(x, y)
    objective = net._fit.objective
    engine = TableEngine(net.model_, objective.loss, hg.SGD(0.1), net.alpha)
    batch = sparse.csr_matrix(x) if is_sparse else x
    return engine, (batch, objective.targets(np.asarray(y), net.model_.dtype), RNG.uniform(0.5, 2, len(y)))


def check_by_lab(engine, x, targets, weight):
    """Run the gradient lab on the loss as a function of the flat parameter vector."""
    vector = engine.model.parameter_vector

    def loss(parameters):
        vector[...] = parameters
        return engine.differentiate(x, targets, weight), engine.model.gradient_vector.copy()

    def gradient(dloss, cache):
        return (dloss * cache,)

    return hg.check_gradients((loss, gradient), vector.copy())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_gradient_of_an_estimator(name):
    engine, batch = engine_and_batch(name)
    report = check_by_lab(engine, *batch)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["relu", "no hidden layer", "labels"])
def test_the_gradient_on_sparse_input(name):
    engine, batch = engine_and_batch(name, is_sparse=True)
    report = check_by_lab(engine, *batch)
    assert report.ok, str(report)


@pytest.mark.parametrize("index", [0, -1])
def test_a_wrong_gradient_is_found(index):
    """The check has teeth: a layer that loses the last row's share fails."""
    engine, batch = engine_and_batch("relu")
    layer = engine.model.layers[index]
    right = layer.differentiate
    layer.differentiate = lambda dy, cache, **how: right(np.vstack([dy[:-1], np.zeros((1, dy.shape[1]))]), cache, **how)
    assert not check_by_lab(engine, *batch).ok


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_engine_computes_what_the_plain_engine_does(name):
    engine, (x, targets, weight) = engine_and_batch(name)
    engine.penalty = None
    loss, gradient = engine.differentiate(x, targets, weight), engine.model.gradient_vector.copy()
    outputs = engine.model.forward(x, training=True)
    assert loss == pytest.approx(engine.loss.forward(outputs, targets, weight))
    engine.model.backward(engine.loss.backward())
    np.testing.assert_allclose(gradient, engine.model.gradient_vector, rtol=1e-9, atol=1e-12)


def test_batches_of_other_sizes_do_not_disturb_each_other():
    engine, (x, targets, weight) = engine_and_batch("relu")
    first = engine.differentiate(x, targets, weight)
    engine.differentiate(x[:7], targets[:7], weight[:7])
    assert engine.differentiate(x, targets, weight) == first


@pytest.mark.parametrize("weight", [None, RNG.uniform(0.5, 2, 6)], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (PoissonDeviance(), np.array([[0, 2], [1, 0], [3, 3], [0, 0], [5, 1], [1, 1]])),
        (Scaled(hg.MeanSquaredError(), 1.5), RNG.normal(size=(6, 2))),
        (LogLoss(), np.array([0, 1, 1, 0, 1, 0])),
    ],
    ids=["poisson", "scaled", "log loss"],
)
def test_the_losses(loss, targets, weight):
    def forward(outputs):
        return loss.compute(outputs, targets, weight)

    report = hg.check_gradients((forward, loss.pair_backward), RNG.normal(size=(6, 2)))
    assert report.ok, str(report)


def test_log_loss_is_cross_entropy():
    logits, labels = RNG.normal(size=(9, 4)) * 50, RNG.integers(0, 4, 9)
    ours, theirs = LogLoss(), hg.CrossEntropy()
    assert ours.forward(logits, labels) == pytest.approx(theirs.forward(logits, labels), rel=1e-14)
    np.testing.assert_allclose(ours.backward(), theirs.backward(), rtol=1e-14)
