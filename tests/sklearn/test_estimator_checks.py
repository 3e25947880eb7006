"""scikit-learn's own checks of estimators, every one of them, with none expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetFeatures, NetRegressor

ESTIMATORS = [
    NetClassifier(max_iter=100),
    NetRegressor(max_iter=100),
    NetClassifier(solver="lbfgs", max_iter=100),
    NetRegressor(solver="lbfgs", max_iter=100),
    NetClassifier((20, 10), activation=("gelu", "tanh"), optimizer="rmsprop", dtype="float64", max_iter=50),
    NetRegressor(layers=[hg.Linear(20), hg.Tanh()], loss="huber", optimizer=hg.Adam(0.01), max_iter=100),
    NetFeatures(NetClassifier(max_iter=20, random_state=0)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
