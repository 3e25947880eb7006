"""engine="torch": the same estimator, trained by the twin."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetRegressor

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]
LABELS = make_multilabel_classification(n_samples=100, random_state=0)
NUMBERS = load_diabetes(return_X_y=True)[0][:400], load_diabetes(return_X_y=True)[1][:400] / 100

CASES = {  # batches of equal size: the last of unequal ones counts alpha a little differently
    "classes": (NetClassifier, (X, Y), {}),
    "weights": (NetClassifier, (X, Y), {"class_weight": "balanced"}),
    "two classes": (NetClassifier, (X, Y > 4), {}),
    "labels": (NetClassifier, LABELS, {}),
    "hinge": (NetClassifier, (X, Y), {"loss": "hinge", "early_stopping": True, "batch_size": 90}),
    "numbers": (NetRegressor, NUMBERS, {}),
    "columns": (NetRegressor, (NUMBERS[0], np.stack([NUMBERS[1], -NUMBERS[1]], axis=1)), {}),
    "counts": (NetRegressor, (NUMBERS[0], np.round(NUMBERS[1])), {"loss": "poisson"}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_engines_train_alike(name):
    kind, (x, y), parameters = CASES[name]
    parameters = {
        "solver": "sgd",
        "learning_rate_init": 0.05,
        "max_iter": 4,
        "random_state": 0,
        "batch_size": 100,
        **parameters,
    }
    ours, theirs = (kind(**parameters, engine=engine).fit(x, y) for engine in ("numpy", "torch"))
    np.testing.assert_allclose(theirs.coefs_[0], ours.coefs_[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(theirs.loss_curve_, ours.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(theirs.predict(x), ours.predict(x), rtol=1e-5)


def test_options_and_images():
    layers = [hg.Conv2D(4, 3), hg.ReLU(), hg.Flatten(), hg.Dropout(0.1)]
    net = NetClassifier(
        layers=layers,
        input_shape=(8, 8, 1),
        engine={"name": "torch", "device": "cpu"},
        max_iter=15,
        dtype="float32",
        learning_rate_init=0.02,
        random_state=0,
    ).fit(X, Y)
    assert net.score(X, Y) > 0.8
    with pytest.raises(ValueError, match="did you mean 'device'"):
        NetClassifier(engine={"name": "torch", "devise": "cpu"}).fit(X, Y)


def test_a_warm_start_keeps_the_state_over_there():
    parameters = {"engine": "torch", "shuffle": False, "random_state": 0, "batch_size": 100}
    whole = NetClassifier(max_iter=6, **parameters).fit(X, Y)
    halves = NetClassifier(max_iter=3, warm_start=True, **parameters).fit(X, Y)
    np.testing.assert_allclose(halves.fit(X, Y).coefs_[0], whole.coefs_[0], rtol=1e-9)


def test_sparse_input_is_refused():
    with pytest.raises(ValueError, match="sparse X needs engine='numpy'"):
        NetClassifier(engine="torch").fit(sparse.csr_matrix(X), Y)


def test_to_torch_gives_the_same_outputs():
    net = NetClassifier(max_iter=2, random_state=0).fit(X, Y)
    with torch.no_grad():
        logits = net.to_torch()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, net.get_model().predict(X), rtol=1e-9)
