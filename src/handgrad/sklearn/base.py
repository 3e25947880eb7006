"""What NetClassifier and NetRegressor share: fitting, predicting, the fitted attributes."""

import copy
import math

from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..layers import Linear
from . import tables
from .engine import ROWS, outputs_of
from .fitting import Data, fit_by_batches, fit_by_lbfgs, start
from .networks import weight_arrays
from .parameters import check_parameters
from .summary import summarize
from .training import blas_threads


class NetEstimator(BaseEstimator):
    """A network as a scikit-learn estimator. A subclass says what y means, in these methods:

    _note(y, goes_on, is_partial)    keeps what y may hold (classes, the number of columns) and the Objective for it
    _targets(y)                      targets as the loss wants them
    _weights(y, sample_weight)       what each row of training counts for, or None
    _scorer(sample_weight)           function (outputs, targets) -> the score that validation measures
    """

    _y_options: dict = {}  # of scikit-learn's validate_data

    def _keep(self, arguments):
        """Set each of a constructor's arguments as an attribute, unchanged, as scikit-learn wants it."""
        for name, value in arguments.items():
            if name != "self":
                setattr(self, name, value)

    # Fitting ----------------------------------------------------------------------------------------------------

    def fit(self, X, y, sample_weight=None, validation_data=None):
        """Train on X (N, features), or images (N, height, width, channels), and y; returns self.

        sample_weight (N,): what each row counts for. validation_data: (X, y) of your own, measured after every epoch
        and, with early_stopping, watched in place of a part of the training data.
        With warm_start a further call goes on from the last, the optimizer's state included.
        """
        return self._learn(X, y, sample_weight, validation_data, is_partial=False)

    def _learn(self, X, y, sample_weight, validation_data, is_partial):
        check_parameters(self)
        goes_on = hasattr(self, "model_") and (is_partial or self.warm_start)
        X, y = tables.check(self, X, reset=not goes_on, y=y, multi_output=True, **self._y_options)
        sample_weight = tables.check_weights(sample_weight, X)
        random_state = check_random_state(self.random_state)
        self._note(y, goes_on, is_partial)
        if not goes_on:
            start(self, X, random_state)
        data = Data(X, self._targets(y), self._weights(y, sample_weight))
        validation = self._check_validation(validation_data)
        with blas_threads.for_products(self._largest_product(len(data))):
            if self._is_stochastic:
                fit_by_batches(self, data, validation, random_state, is_partial)
            else:
                fit_by_lbfgs(self, data)
        return self

    def _check_validation(self, validation_data):
        if validation_data is None:
            return None
        if not self._is_stochastic:
            raise ValueError(
                "validation_data is measured after each epoch, and solver='lbfgs' has none: use solver='adam' or 'sgd'"
            )
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise ValueError("validation_data must be a pair (X, y)")
        try:
            X, y = tables.check(self, validation_data[0], y=validation_data[1], multi_output=True, **self._y_options)
            return Data(X, self._targets(y))
        except ValueError as problem:
            raise ValueError(f"validation_data: {problem}") from None

    @property
    def _is_stochastic(self):
        return self.optimizer is not None or self.solver != "lbfgs"

    def _largest_product(self, num_rows):
        """Multiply-adds of the largest matrix product on so many rows; infinite for images, which share their own."""
        if len(self.model_.input_shape) > 1:
            return math.inf
        if self._is_stochastic:
            num_rows = min(num_rows, 200 if self.batch_size == "auto" else self.batch_size)
        return num_rows * max(weight.size for weight in weight_arrays(self.model_, "weight"))

    def _stratify(self, targets):
        """What early stopping stratifies its split by; None by default."""
        return None

    # Predicting -------------------------------------------------------------------------------------------------

    def _outputs(self, X):
        """The network's outputs for X, before any activation of the answer."""
        check_is_fitted(self)
        X = tables.check(self, X)
        with blas_threads.for_products(self._largest_product(min(X.shape[0], ROWS))):
            return outputs_of(self.model_, X)

    # What was learned -------------------------------------------------------------------------------------------

    @property
    def coefs_(self):
        """The weights, layer by layer: the network's own arrays. `coefs_[i] = a` copies a into the network."""
        return Arrays(weight_arrays(self.model_, "weight"))

    @property
    def intercepts_(self):
        """The biases, layer by layer; as coefs_."""
        return Arrays(weight_arrays(self.model_, "bias"))

    def get_model(self):
        """A copy of the trained network, a handgrad.Sequential: its outputs are logits, or logarithms of rates."""
        check_is_fitted(self)
        return copy.deepcopy(self.model_)

    def to_torch(self):
        """The trained network as a PyTorch module, by `handgrad.torch_twin.to_torch`."""
        from ..torch_twin import to_torch

        check_is_fitted(self)
        return to_torch(self.model_)

    def summary(self):
        """A text: the network layer by layer, how it was trained, why training ended and what it reached."""
        check_is_fitted(self)
        return summarize(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        is_table = self.input_shape is None and begins_with_linear(self.layers)
        tags.input_tags.sparse = is_table and self.engine == "numpy"
        return tags


def begins_with_linear(layers):
    """Whether the network can read sparse X; of a function's network nobody knows."""
    return layers is None or (not callable(layers) and type(next(iter(layers), None)) is Linear)


class Arrays(list):
    """A list of a network's arrays, whose items can't be exchanged: `arrays[i] = a` copies a into the array there."""

    def __setitem__(self, index, value):
        self[index][...] = value
