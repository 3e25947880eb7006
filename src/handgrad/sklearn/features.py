"""Learned features: what a trained network makes of its input at one of its layers, for other estimators."""

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ..naming import look_up
from . import tables
from .engine import outputs_of


class NetFeatures(TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    """A transformer: trains a copy of `estimator` on X and y; transform(X) is the output of `layer`, rows (N, units).

    estimator: a NetClassifier or NetRegressor. To use one that is trained already, wrap it in scikit-learn's
    FrozenEstimator. layer: a name that estimator.summary() shows; by default the layer in front of the output layer.
    """

    def __init__(self, estimator, layer=None):
        self.estimator, self.layer = estimator, layer

    def fit(self, X, y, **fit_parameters):
        """Train a copy of the estimator on X and y; fit_parameters go to its fit."""
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_parameters)
        self._num_layers()
        return self

    def transform(self, X):
        """The output of the layer for X, each example's as one row."""
        check_is_fitted(self)
        X = tables.check(self.estimator_, X)
        features = outputs_of(self.estimator_.model_, X, self._num_layers())
        return features.reshape(len(features), -1)

    def get_feature_names_out(self, input_features=None):
        """['relu1_0', 'relu1_1', ...]."""
        check_is_fitted(self)
        layer = self.estimator_.model_.layers[self._num_layers() - 1]
        return np.array([f"{layer.name}_{i}" for i in range(int(np.prod(layer.output_shape)))], object)

    @property
    def n_features_in_(self):
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self):
        return self.estimator_.feature_names_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        tags.target_tags.required = True
        return tags

    def _num_layers(self):
        """How many layers make the features; ValueError for a name that the network has not, with the nearest."""
        layers = self.estimator_.model_.layers
        if self.layer is None:
            last = max(i for i, layer in enumerate(layers) if "weight" in layer.parameters)
            if not last:
                raise ValueError("the network has no layer in front of its output layer: give it hidden layers")
            return last
        return 1 + look_up("layer", self.layer, {layer.name: i for i, layer in enumerate(layers)})
