"""Estimators as ONNX by skl2onnx, and through skops; scikit-learn's own networks read as models."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetRegressor

skl2onnx = pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore")  # of skl2onnx's and skops' own, and that training was short
KEPT = {"max_iter": 20, "random_state": 0}
IRIS = load_iris(return_X_y=True)


def answers(net, X, **options):
    """{name: array} of what onnxruntime makes of X."""
    made = skl2onnx.to_onnx(net, X[:1].astype(np.float32), **options)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: X.astype(np.float32)}), strict=True))


CLASSIFIERS = {
    "three classes": (NetClassifier((8,), **KEPT), *IRIS),
    "texts": (NetClassifier((8,), activation="gelu", **KEPT), IRIS[0], np.array(["a", "b'", "ç"])[IRIS[1]]),
    "two classes": (make_pipeline(StandardScaler(), NetClassifier((8,), **KEPT)), *load_breast_cancer(return_X_y=True)),
    "several labels": (NetClassifier((8,), **KEPT), *make_multilabel_classification(random_state=0)),
    "layers": (NetClassifier(layers=[hg.BatchNorm(), hg.Linear(5), hg.ELU()], **KEPT), *IRIS),
    "images": (NetClassifier(layers=[hg.Conv2D(2, 2), hg.Flatten()], input_shape=(2, 2, 1), **KEPT), *IRIS),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_and_probabilities(name):
    net, X, y = CLASSIFIERS[name]
    net.fit(X, y)
    for options in ({}, {"options": {id(net): {"zipmap": False}}}, {"options": {"zipmap": False}}):
        found = answers(net, X, **options)
        assert list(found) == ["label", "probabilities"]
        np.testing.assert_allclose(found["probabilities"], net.predict_proba(X), atol=1e-5)
        assert (found["label"] == net.predict(X)).all()


def test_scores_where_there_are_no_probabilities():
    net = NetClassifier((8,), loss="hinge", **KEPT).fit(*IRIS)
    assert (answers(net, IRIS[0])["label"] == net.predict(IRIS[0])).all()


@pytest.mark.parametrize("net, columns", [
    (NetRegressor(hidden_layer_sizes=(8,), **KEPT), 1),
    (NetRegressor("poisson", hidden_layer_sizes=(8,), **KEPT), 1),
    (make_pipeline(StandardScaler(), NetRegressor(hidden_layer_sizes=(8,), **KEPT)), 2),
])  # fmt: skip
def test_numbers(net, columns):
    X, y = load_diabetes(return_X_y=True)
    net.fit(X, np.stack([y] * columns, axis=1) if columns > 1 else y)
    (found,) = answers(net, X).values()
    np.testing.assert_allclose(found.reshape(net.predict(X).shape), net.predict(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [
    "import handgrad.sklearn, sys; assert not {'onnx', 'skl2onnx'} & set(sys.modules); import skl2onnx",
    "import skl2onnx, handgrad.sklearn",
])  # fmt: skip
def test_either_may_be_imported_first(order):
    code = f"""{order}
import numpy as np
net = handgrad.sklearn.NetClassifier((3,), max_iter=2).fit(np.eye(4), [0, 1, 0, 1])
print(len(skl2onnx.to_onnx(net, np.eye(4, dtype=np.float32)).graph.output))"""
    assert subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], text=True) == "2\n"


def test_an_opset_that_is_too_old_is_refused():
    with pytest.raises(ValueError, match="need target_opset=18 or more, got 15"):
        answers(NetClassifier((3,), **KEPT).fit(*IRIS), IRIS[0], target_opset=15)


def test_skops_keeps_what_was_learned(tmp_path):
    skops = pytest.importorskip("skops.io")
    net = make_pipeline(StandardScaler(), NetClassifier((8,), **KEPT)).fit(*IRIS)
    skops.dump(net, tmp_path / "net.skops")
    trusted = skops.get_untrusted_types(file=tmp_path / "net.skops")
    assert all(name.startswith(("handgrad.", "numpy.", "sklearn.", "builtins.")) for name in trusted)
    again = skops.load(tmp_path / "net.skops", trusted=trusted)
    np.testing.assert_array_equal(again.predict_proba(IRIS[0]), net.predict_proba(IRIS[0]))


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.parametrize("scaled", [False, True])
def test_scikit_learns_own_networks_are_read(activation, scaled, tmp_path):
    net = MLPClassifier((8, 4), activation=activation, **KEPT)
    net = make_pipeline(StandardScaler(), net) if scaled else net
    net.fit(*IRIS)
    made = skl2onnx.to_onnx(net, IRIS[0][:1].astype(np.float32), options={"zipmap": scaled})
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    found = hg.load_onnx(tmp_path / "net.onnx").predict(IRIS[0])
    np.testing.assert_allclose(found, net.predict_proba(IRIS[0]), atol=1e-5)


def test_two_classes_and_numbers_of_scikit_learns(tmp_path):
    X, y = load_breast_cancer(return_X_y=True)
    for net in (MLPClassifier((8,), **KEPT).fit(X, y), MLPRegressor(hidden_layer_sizes=(8,), **KEPT).fit(X, y)):
        made = skl2onnx.to_onnx(net, X[:1].astype(np.float32))
        (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
        found = hg.load_onnx(tmp_path / "net.onnx").predict(X)
        expected = net.predict_proba(X) if isinstance(net, MLPClassifier) else net.predict(X)[:, None]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
