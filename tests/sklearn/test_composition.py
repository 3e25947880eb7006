"""Estimators among others: copies and pickles, pipelines, searches, metadata, threads, the page of a notebook."""

import pickle
import threading

import numpy as np
import pytest
import sklearn
from joblib import Parallel, cpu_count, delayed
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import handgrad as hg
from handgrad import kernels
from handgrad.kernels import blas, num_threads
from handgrad.sklearn import NetClassifier, NetFeatures, NetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]


def classifier(**parameters):
    return NetClassifier(**{"hidden_layer_sizes": 20, "max_iter": 15, "random_state": 0, **parameters})


class Spy(hg.ReLU):
    """Notes how many threads BLAS has in a step."""

    threads = None

    def differentiate(self, dy, cache):
        self.threads = blas.find().num_threads()
        return super().differentiate(dy, cache)


@pytest.mark.parametrize(
    "net",
    [
        classifier(dropout=0.2, batch_norm=True),
        classifier(solver="sgd"),
        classifier(solver="lbfgs"),
        classifier(layers=[hg.Linear(9), hg.GELU()], optimizer=hg.AdamW(), callbacks=[hg.EarlyStopping("loss")]),
    ],
    ids=str,
)
def test_a_pickle_predicts_and_goes_on_alike(net):
    net = clone(net).fit(X, Y)
    other = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    if hasattr(net, "partial_fit"):
        np.testing.assert_array_equal(other.partial_fit(X, Y).coefs_[0], net.partial_fit(X, Y).coefs_[0])


def rebuilt(thing, seen):
    """A copy made as files without code make it (skops): each object from its state, each dict item by item."""
    if id(thing) not in seen:
        seen[id(thing)] = made(thing, seen), thing
    return seen[id(thing)][0]


def made(thing, seen):
    if isinstance(thing, dict):
        copy = type(thing)()
        for key, value in thing.items():
            copy[key] = rebuilt(value, seen)
        return copy
    if isinstance(thing, (list, tuple)):
        return type(thing)(rebuilt(item, seen) for item in thing)
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return thing.copy()
    if not type(thing).__module__.startswith("handgrad"):
        return thing
    copy = type(thing).__new__(type(thing))
    state = rebuilt(thing.__getstate__() if hasattr(thing, "__getstate__") else vars(thing), seen)
    copy.__setstate__(state) if hasattr(copy, "__setstate__") else vars(copy).update(state)
    return copy


@pytest.mark.parametrize("net", [classifier(dropout=0.2, batch_norm=True), classifier(optimizer=hg.AdamW())], ids=str)
@pytest.mark.parametrize("way", ["by hand", "skops", "mlflow"])
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_file_without_code_holds_an_estimator(net, way, tmp_path):
    net = clone(net).fit(X, Y)
    if way == "by hand":
        other = rebuilt(net, {})
    else:
        skops = pytest.importorskip("skops.io")
        trusted = skops.get_untrusted_types(data=skops.dumps(net))
        if way == "skops":
            other = skops.loads(skops.dumps(net), trusted=trusted)
        else:
            mlflow = pytest.importorskip("mlflow.sklearn")
            mlflow.save_model(net, tmp_path / "model", skops_trusted_types=trusted)
            other = mlflow.load_model(tmp_path / "model")
    np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
    other.coefs_[0] = 2 * other.coefs_[0]
    net.coefs_[0] = 2 * net.coefs_[0]
    for fitted in (other, net):
        fitted.partial_fit(X[:50], Y[:50]).partial_fit(X[:50], Y[:50])
    assert other.optimizer_.state().keys() == net.optimizer_.state().keys()
    assert other.optimizer_.num_steps == net.optimizer_.num_steps
    if not net.dropout:
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))


@pytest.mark.parametrize(
    ("part", "grid", "found"),
    [
        ({"optimizer": hg.SGD(1e-9)}, {"optimizer__learning_rate": [1e-9, 0.1]}, 0.1),
        ({"optimizer": "adam"}, {"optimizer__learning_rate": [1e-9, 0.01]}, 0.01),
        (
            {"solver": "sgd", "learning_rate": hg.schedules.WarmUp(hg.schedules.Constant(1e-9), 2)},
            {"learning_rate__schedule__initial": [1e-9, 0.1]},
            0.1,
        ),
        ({"loss": hg.CrossEntropy(), "learning_rate_init": 0.01}, {"loss__label_smoothing": [0.99999, 0.0]}, 0.0),
    ],
    ids=["object", "name", "schedule", "loss"],
)
def test_a_grid_reaches_into_the_parts(part, grid, found):
    pipeline = make_pipeline(MinMaxScaler(), classifier(**part))
    (name,), before = grid, repr(pipeline)
    search = GridSearchCV(pipeline, {f"netclassifier__{name}": grid[name]}, cv=2).fit(X, Y)
    assert search.best_params_ == {f"netclassifier__{name}": found} and repr(pipeline) == before
    assert search.best_estimator_.get_params()[f"netclassifier__{name}"] == found


def test_a_clone_of_a_part_has_its_arguments_and_no_memory():
    for part in (hg.Adam(0.1, clipping=hg.ClipValue(2.0)), hg.Huber(2.0), hg.schedules.Sequence([(0.1).__mul__], [])):
        assert clone(part) is not part and repr(clone(part)) == repr(part)
    with pytest.raises(ValueError, match="has no argument 'lr'; did you mean 'learning_rate'"):
        classifier(optimizer="sgd").set_params(optimizer__lr=0.1)
    with pytest.raises(TypeError, match=r"optimizer must be a name, a table .* got None"):
        classifier().set_params(optimizer__learning_rate=0.1)
    with pytest.raises(
        TypeError, match="NetClassifier has no argument 'hidden_layers'; did you mean 'hidden_layer_sizes'"
    ):
        NetClassifier(hidden_layers=(5,))


def test_clones_share_nothing():
    net = classifier(layers=[hg.Linear(9), hg.GELU()], optimizer=hg.Adam(), loss=hg.CrossEntropy()).fit(X, Y)
    other = clone(net)
    assert not hasattr(other, "model_") and other.optimizer is not net.optimizer
    assert repr(other) == repr(net)


def test_the_html_page_shows_parameters():
    page = classifier(dropout=0.25).fit(X, Y)._repr_html_()
    assert "NetClassifier" in page and "dropout" in page and "0.25" in page


def test_pipeline_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), classifier(learning_rate_init=0.01))
    assert cross_validate(pipeline, X, Y, cv=3)["test_score"].mean() > 0.8
    assert pipeline.fit(X, Y, netclassifier__validation_data=(X, Y))[-1].validation_scores_


def test_metadata_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(sample_weight=True, validation_data=True)
        pipeline = make_pipeline(MinMaxScaler(), net).fit(X, Y, validation_data=(X, Y), sample_weight=np.ones(len(X)))
    assert len(pipeline[-1].validation_scores_) == 15


def test_a_pipeline_transforms_what_is_measured():
    train, held_out, scale = slice(0, 300), slice(300, 400), MinMaxScaler().fit(16 * X[:300])
    net = classifier(early_stopping=True, max_iter=60, n_iter_no_change=3)
    alone = clone(net).fit(
        scale.transform(16 * X[train]), Y[train], X_val=scale.transform(16 * X[held_out]), y_val=Y[held_out]
    )
    with sklearn.config_context(enable_metadata_routing=True):
        net.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(MinMaxScaler(), net, transform_input=["X_val"])
        pipeline.fit(16 * X[train], Y[train], X_val=16 * X[held_out], y_val=Y[held_out])
    assert pipeline[-1].validation_scores_ == alone.validation_scores_
    assert pipeline[-1].best_validation_score_ == pipeline.score(16 * X[held_out], Y[held_out])


def test_grid_search_in_two_processes_finds_what_one_finds():
    grid = [{"hidden_layer_sizes": [5, (20, 10)], "solver": ["adam", "lbfgs"]}, {"dropout": [0.3]}]
    alone, together = (GridSearchCV(classifier(), grid, cv=2, n_jobs=n).fit(X, Y) for n in (1, 2))
    np.testing.assert_array_equal(together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_two_processes_share_the_cores():
    """Each has its part of them, for convolutions too."""
    for threads in Parallel(n_jobs=2)(delayed(num_threads)() for _ in range(2)):
        assert threads <= max(1, cpu_count() // 2)


@pytest.fixture
def two_blas_threads():
    before = kernels.num_threads()
    kernels.set_threads(2)
    yield
    kernels.set_threads(before)


@pytest.mark.skipif(blas.find() is None, reason="nobody can set the threads of this BLAS")
def test_small_networks_train_on_one_thread_and_large_ones_on_all(two_blas_threads):
    small = classifier(activation=Spy(), max_iter=1).fit(X, Y)
    assert small.model_[1].threads == 1 and blas.find().num_threads() == 2
    wide = NetClassifier(2000, batch_size=200, max_iter=1, activation=Spy()).fit(X, Y)
    assert wide.model_[1].threads == 2


@pytest.mark.skipif(blas.find() is None, reason="nobody can set the threads of this BLAS")
def test_fits_in_threads_leave_the_number_of_threads_as_it_was(two_blas_threads):
    nets = [classifier(max_iter=n) for n in (2, 10, 5)]
    threads = [threading.Thread(target=net.fit, args=(X, Y)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert blas.find().num_threads() == 2
    np.testing.assert_array_equal(nets[1].coefs_[0], classifier(max_iter=10).fit(X, Y).coefs_[0])


def test_ensembles_and_calibration():
    bagging = BaggingClassifier(classifier(learning_rate_init=0.01), n_estimators=2, random_state=0).fit(X, Y)
    assert bagging.score(X, Y) > 0.8
    calibrated = CalibratedClassifierCV(classifier(loss="hinge"), cv=2).fit(X, Y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_features_are_what_the_layer_makes():
    features = NetFeatures(classifier(hidden_layer_sizes=(20, 7)), layer="relu1").fit(X, Y)
    hidden = features.estimator_.model_.layers[1].forward(features.estimator_.model_.layers[0].forward(X))
    np.testing.assert_allclose(features.transform(X), hidden)
    assert features.get_feature_names_out().tolist() == [f"relu1_{i}" for i in range(20)]
    assert NetFeatures(classifier(hidden_layer_sizes=(20, 7))).fit(X, Y).transform(X).shape == (len(X), 7)
    x, y = load_diabetes(return_X_y=True)
    assert NetFeatures(NetRegressor(hidden_layer_sizes=9, max_iter=2)).fit(x, y).transform(x).shape == (len(x), 9)


def test_features_of_a_trained_network():
    net = classifier(layers=[hg.Conv2D(4, 3), hg.ReLU(), hg.Flatten()], input_shape=(8, 8, 1), max_iter=2).fit(X, Y)
    features = NetFeatures(FrozenEstimator(net), layer="conv2d1").fit(X, Y)
    assert features.transform(X).shape == (len(X), 6 * 6 * 4)


def test_features_of_a_layer_that_is_not_there():
    with pytest.raises(ValueError, match="unknown layer 'relu9'; did you mean 'relu1'"):
        NetFeatures(classifier(), layer="relu9").fit(X, Y)
    with pytest.raises(ValueError, match="no layer in front of its output layer"):
        NetFeatures(classifier(hidden_layer_sizes=())).fit(X, Y)
