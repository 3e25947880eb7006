"""The two estimators: what y means to each, and their parameters."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from .base import NetEstimator
from .objectives import for_classes, for_numbers
from .targets import Accuracy, Classes, RSquared, row_weights


def trains_by_batches(net):
    """True, or an AttributeError that says why there is no partial_fit."""
    if net._is_stochastic:
        return True
    raise AttributeError(f"partial_fit takes a solver that works by batches, 'adam' or 'sgd', not {net.solver!r}")


def has_probabilities(net):
    """True, or an AttributeError that says why there are no probabilities."""
    if not hasattr(net, "_objective") or net._objective.is_probabilistic:
        return True
    raise AttributeError(f"loss={net.loss!r} learns scores, no probabilities: use decision_function, or 'log_loss'")


def has_scores_only(net):
    return hasattr(net, "_objective") and not net._objective.is_probabilistic


class NetClassifier(ClassifierMixin, NetEstimator):
    """A network that tells classes apart, in place of sklearn.neural_network.MLPClassifier, and beyond it.

    The parameters up to max_fun are MLPClassifier's and mean the same; so do the fitted attributes. With the same
    random_state the same numbers are drawn. Beyond them:

    activation: also any name or layer of handgrad, or a list, one for each hidden layer.
    learning_rate: also a schedule of handgrad.schedules, by epochs.
    loss: 'log_loss', or a loss of handgrad by name, table or object ('hinge').
    class_weight: {class: weight} or 'balanced'.
    layers: in place of hidden_layer_sizes. A list of handgrad layers, to which the output layer is added; or a
    Sequential, or a function (input_shape, num_outputs) that makes one: the whole network.
    input_shape: of one example, (height, width, channels), where X holds images as rows.
    dropout: the rate behind each hidden layer, or a list. batch_norm: True puts one behind each hidden Linear.
    optimizer: one of handgrad by name, table or object, in place of solver and its rates.
    callbacks: handgrad.Callback objects; copies of them are trained with, and kept in callbacks_.
    dtype: 'float32', 'float64', or None for X's own.
    engine: 'numpy', 'torch', or {'name': 'torch', 'device': 'cuda'}. progress: show a bar.
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="log_loss",
        class_weight=None,
        layers=None,
        input_shape=None,
        dropout=0.0,
        batch_norm=False,
        optimizer=None,
        callbacks=(),
        dtype=None,
        engine="numpy",
        progress=False,
    ):
        self._keep(locals())

    @available_if(trains_by_batches)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on X and y, going on from earlier calls; returns self.

        classes: all that y may ever hold, needed by the first call.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} counts all of y, and partial_fit sees a part of it: "
                "give the weights as a dict"
            )
        self._note_all_classes(y, classes)
        return self._learn(X, y, sample_weight, None, is_partial=True)

    def _note_all_classes(self, y, classes):
        known = getattr(self, "_classes", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if known is not None:
            if classes is not None and not np.array_equal(unique_labels(classes), known.names):
                raise ValueError(f"classes={classes!r} are not those of the first call, {known.names}")
        elif type_of_target(y).startswith("multilabel"):
            self._classes = Classes.of(y)
        else:
            self._classes = Classes(unique_labels(classes))

    def _note(self, y, goes_on, is_partial):
        if not (is_partial or goes_on):
            self._classes = Classes.of(y)
        elif not is_partial and not np.array_equal(Classes.of(y).names, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to "
                f"fit. Previously got {self.classes_}, `y` has {Classes.of(y).names}"
            )
        if not goes_on:
            self.classes_, self._objective = self._classes.names, for_classes(self.loss, self._classes)

    def _targets(self, y):
        return self._classes.targets(self._classes.codes(y), self._objective, self._dtype)

    def _weights(self, y, sample_weight):
        weight = row_weights(self.class_weight, self._classes, y)
        if weight is None or sample_weight is None:
            return sample_weight if weight is None else weight.astype(self._dtype)
        return sample_weight * weight.astype(self._dtype)

    def _stratify(self, targets):
        return targets.astype(bool) if targets.ndim > 1 and targets.shape[1] == 1 else None

    def _scorer(self, sample_weight):
        return Accuracy(self._classes, sample_weight)

    def predict(self, X):
        """The class of each row (N,), or labels 0 and 1 (N, K)."""
        outputs = self._outputs(X)
        return self._classes.decode(outputs)

    @available_if(has_probabilities)
    def predict_proba(self, X):
        """Probabilities (N, C), columns in the order of classes_; of labels (N, K), each its own."""
        outputs = self._outputs(X)
        answers = self._objective.answer(outputs)
        if self._classes.kind != "binary" or answers.shape[1] > 1:
            return answers
        return np.hstack([1 - answers, answers]) if len(self.classes_) > 1 else np.ones_like(answers)

    @available_if(has_probabilities)
    def predict_log_proba(self, X):
        """The logarithms of predict_proba."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    @available_if(has_scores_only)
    def decision_function(self, X):
        """Scores (N, C), or (N,) for two classes: for losses without probabilities, such as hinge."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class NetRegressor(RegressorMixin, NetEstimator):
    """A network that predicts numbers, in place of sklearn.neural_network.MLPRegressor, and beyond it.

    loss: 'squared_error', 'poisson' (for counts, y >= 0), or one of handgrad by name, table or object ('huber',
    'mean-absolute-error'). All other parameters are as NetClassifier's. y may have several columns.
    """

    _y_options = {"y_numeric": True}

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        layers=None,
        input_shape=None,
        dropout=0.0,
        batch_norm=False,
        optimizer=None,
        callbacks=(),
        dtype=None,
        engine="numpy",
        progress=False,
    ):
        self._keep(locals())

    @available_if(trains_by_batches)
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on X and y, going on from earlier calls; returns self."""
        return self._learn(X, y, sample_weight, None, is_partial=True)

    def _note(self, y, goes_on, is_partial):
        num_columns = 1 if y.ndim == 1 else y.shape[1]
        if not goes_on:
            self._objective = for_numbers(self.loss, num_columns)
        elif num_columns != self.n_outputs_:
            raise ValueError(f"y has {num_columns} columns, in earlier calls it had {self.n_outputs_}")

    def _targets(self, y):
        if self._objective.activation == "exp" and (y < 0).any():
            raise ValueError(f"loss='poisson' is for counts, y >= 0; got {y.min()}")
        return y.reshape(len(y), -1).astype(self._dtype)

    def _weights(self, y, sample_weight):
        return sample_weight

    def _scorer(self, sample_weight):
        return RSquared(self._objective, sample_weight)

    def predict(self, X):
        """The predicted numbers, (N,), or (N, K) for several columns of y."""
        outputs = self._outputs(X)
        answers = self._objective.answer(outputs)
        return answers.ravel() if answers.shape[1] == 1 else answers

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
