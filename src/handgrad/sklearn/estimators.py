"""The estimators NetClassifier and NetRegressor, and NetFeatures on top of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from ..arrays import Array, ArrayLike
from ..layers import Linear, Loss, Sequential
from ..naming import advised, advised_class, look_up
from ..training.batches import Data
from . import tables
from .fitting import Fit, Learned, Training, start, train_by_lbfgs
from .networks import weight_arrays
from .objectives import Classes, ClassObjective, Objective, for_classes, for_numbers
from .parameters import Activations, BaseEstimator, Parameters, Sizes, Spec
from .table_engine import outputs_of

if TYPE_CHECKING:  # scikit-learn has no types: these stand for its own
    from typing_extensions import Self

    Method = TypeVar("Method")

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

    class ClassifierMixin:
        def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float: ...

    class RegressorMixin(ClassifierMixin): ...

    class MetaEstimatorMixin: ...

    class TransformerMixin:
        def fit_transform(self, X: Any, y: Any = None, **fit_parameters: Any) -> Array: ...
else:
    from sklearn.base import ClassifierMixin, MetaEstimatorMixin, RegressorMixin, TransformerMixin
    from sklearn.utils.metaestimators import available_if


Validation: TypeAlias = "tuple[str, Any, Any, Any]"  # what it was passed as, X, y and sample_weight


class NetEstimator(Parameters, Learned):
    """A network as a scikit-learn estimator. A subclass says what y means to it in `_read_targets`."""

    n_features_in_: int  # this and the next by scikit-learn's validate_data, which has the options
    feature_names_in_: Array
    _y_options: Mapping[str, Any] = {}
    _fit: Fit | None = None  # the owner of all that was learned, which the attributes that end in _ show

    def _read_targets(self, y: Any, before: Objective | None, classes: Classes | None) -> Objective:
        """The objective for y: a new one, or in a call that goes on the one before, which y must fit.

        classes: of partial_fit, all that y may ever hold.
        """
        raise NotImplementedError(f"{type(self).__name__} must define _read_targets(y, before, classes)")

    def _weights(self, y: Any, sample_weight: Array | None, fit: Fit) -> Array | None:
        """What each row of training counts for, or None."""
        return sample_weight

    # Fitting ----------------------------------------------------------------------------------------------------

    @advised
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        validation_data: tuple[Any, Any] | None = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train on X and y; with warm_start a further call goes on from the last, the optimizer's state included.

        Parameters
        ----------
        X : array_like or sparse matrix
            A table (N, features), or images (N, height, width, channels).
        y : array_like
            Targets (N,), labels 0 and 1 (N, K), or for a regressor several columns (N, K).
        sample_weight : array_like, optional
            What each row counts for, (N,).
        validation_data : tuple, optional
            (X, y) of your own, measured after every epoch and, with early_stopping, watched in place of a part of the
            training data.
        X_val, y_val, sample_weight_val : optional
            The same one by one, as scikit-learn's HistGradientBoostingClassifier takes them: a Pipeline with
            transform_input=["X_val"] transforms them, too.

        Returns
        -------
        NetClassifier or NetRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters out of range, data or layers that do not fit, and a training that diverges.
        """
        parts = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._learn(X, y, sample_weight, one_validation(validation_data, parts))

    def _learn(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None,
        held_out: Validation | None = None,
        is_partial: bool = False,
        classes: Classes | None = None,
    ) -> Self:
        self._check_parameters()
        fit = self._fit if is_partial or self.warm_start else None
        inputs = tables.Inputs.of(self, X) if fit is None else fit.inputs
        X, y = inputs.check(self, X, reset=fit is None, y=y, multi_output=True, **self._y_options)
        sample_weight = tables.check_weights(sample_weight, X)
        random_state = check_random_state(self.random_state)
        objective = self._read_targets(y, None if fit is None else fit.objective, classes)
        if fit is None:
            self._fit = fit = start(self, inputs, objective, X, random_state)
        data = X, objective.targets(y, inputs.dtype), self._weights(y, sample_weight, fit)
        validation = None if held_out is None else self._check_validation(held_out, fit)
        try:
            if self._is_stochastic:
                Training(self, fit, is_partial).run(data, validation, random_state)
            else:
                train_by_lbfgs(self, fit, data)
        finally:
            self.__dict__.update(fit.attributes())
        return self

    def _check_validation(self, held_out: Validation, fit: Fit) -> Data:
        name, X, y, weight = held_out
        if not self._is_stochastic:
            advice = "use solver='adam' or 'sgd'"
            raise ValueError(f"{name} is measured after each epoch, and solver='lbfgs' has none: {advice}")
        try:
            X, y = fit.inputs.check(self, X, y=y, multi_output=True, **self._y_options)
            return X, fit.objective.targets(y, fit.inputs.dtype), tables.check_weights(weight, X)
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}") from None

    # Predicting -------------------------------------------------------------------------------------------------

    @property
    def _fitted(self) -> Fit:
        """What was learned; NotFittedError before any training."""
        if self._fit is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X, y) first")
        return self._fit

    def __sklearn_is_fitted__(self) -> bool:
        return self._fit is not None

    def _outputs(self, X: Any) -> Array:
        """The network's outputs for X, before any activation of the answer."""
        fit = self._fitted
        return outputs_of(self.model_, fit.inputs.check(self, X))

    # What was learned -------------------------------------------------------------------------------------------

    @property
    def coefs_(self) -> Arrays:
        """The weights, layer by layer: the network's own arrays. `coefs_[i] = a` copies a into the network."""
        return Arrays(weight_arrays(self.model_, "weight"))

    @property
    def intercepts_(self) -> Arrays:
        """The biases, layer by layer; as coefs_."""
        return Arrays(weight_arrays(self.model_, "bias"))

    def get_model(self) -> Sequential:
        """A copy of the trained network, a handgrad.Sequential: its outputs are logits, or logarithms of rates."""
        return copy.deepcopy(self._fitted.model_)

    def onnx_parser(self) -> None:
        """Asked by skl2onnx, which from then on knows what converts the class; see `handgrad.sklearn.onnx`."""
        from .onnx import register

        register(type(self))

    def onnx_shape_calculator(self) -> Callable[[Any], None]:
        """Asked by skl2onnx: what says which types and shapes come out."""
        from .onnx import set_types

        return set_types

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Asked by skl2onnx: what writes the nodes."""
        from .onnx import convert

        return convert

    def to_torch(self) -> Any:
        """The trained network as a PyTorch module, by `handgrad.torch_twin.to_torch`."""
        from ..torch_twin import to_torch

        return to_torch(self._fitted.model_)

    def summary(self) -> str:
        """A text: the network layer by layer, how it was trained, why training ended and what it reached."""
        fit = self._fitted
        features, count, score = " x ".join(map(str, fit.model_.input_shape)), fit.n_outputs_, "R²"
        target = f"{count} number{'s' if count > 1 else ''}"
        if isinstance(fit.objective, ClassObjective):
            classes, score = fit.objective.classes, "accuracy"
            target = f"{len(classes.names)} {'labels' if classes.kind == 'multilabel' else 'classes'}"
        rule = "L-BFGS on all rows at once" if fit.optimizer_ is None else repr(fit.optimizer_)
        if fit.optimizer_ is not None and self.optimizer is None:
            rule = f"{self.solver} with learning rate {fit.optimizer_.learning_rate:g}"
        penalty = f" + ½ · {self.alpha:g} Σ w² / rows of a batch" if self.alpha else ""
        reason = fit.stop_reason_ or f"max_iter={self.max_iter} was reached"
        lines = [
            f"{type(self).__name__}: {features} features -> {target}, read by {fit.out_activation_}",
            str(fit.model_.summary()),
            f"minimised: {self.loss}{penalty}, by {rule}",
            f"trained: {fit.n_iter_} iterations; ended because {reason}",
            f"training loss: {fit.loss_curve_[0]:.4g} at first, {fit.loss_curve_[-1]:.4g} at last",
        ]
        if fit.validation_scores_ and fit.best_validation_score_ is not None:
            scores, best = fit.validation_scores_, fit.best_validation_score_
            reached = f"{best:.4g} at best, in iteration {scores.index(best) + 1}, {scores[-1]:.4g} at last"
            lines.append(f"validation {score}: {reached}")
        return "\n".join(lines)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        is_table = self.input_shape is None and begins_with_linear(self.layers)
        tags.input_tags.sparse = is_table and self.engine == "numpy"
        return tags


def one_validation(pair: Any, parts: Mapping[str, Any]) -> Validation | None:
    """What `fit` was told to measure, by validation_data or by X_val and y_val: (name, X, y, sample_weight) or None."""
    given = [name for name, value in parts.items() if value is not None]
    if pair is None and not given:
        return None
    if pair is None and {"X_val", "y_val"} <= set(given):
        return "X_val", *parts.values()
    if pair is None or given:
        said = ", ".join(given if pair is None else ["validation_data", *given])
        raise ValueError(f"pass X_val and y_val together, or validation_data=(X, y) alone; got {said}")
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError("validation_data must be a pair (X, y)")
    return "validation_data", *pair, None


def begins_with_linear(layers: Any) -> bool:
    """Whether the network can read sparse X; of a function's network nobody knows."""
    return layers is None or (not callable(layers) and type(next(iter(layers), None)) is Linear)


class Arrays(list[Array]):
    """A list of a network's arrays, whose items can't be exchanged: `arrays[i] = a` copies a into the array there."""

    def __setitem__(self, index: Any, value: Any) -> None:
        self[index][...] = value


def trains_by_batches(net: NetEstimator) -> bool:
    """True, or an AttributeError that says why there is no partial_fit."""
    if net._is_stochastic:
        return True
    raise AttributeError(f"partial_fit takes a solver that works by batches, 'adam' or 'sgd', not {net.solver!r}")


def has_probabilities(net: NetEstimator) -> bool:
    """True, or an AttributeError that says why there are no probabilities."""
    if net._fit is None or net._fit.objective.is_probabilistic:
        return True
    raise AttributeError(f"loss={net.loss!r} learns scores, no probabilities: use decision_function, or 'log_loss'")


def has_scores_only(net: NetEstimator) -> bool:
    """True for a fitted estimator whose loss learns no probabilities."""
    return net._fit is not None and not net._fit.objective.is_probabilistic


@advised_class
@dataclass(repr=False, eq=False)
class NetClassifier(ClassifierMixin, NetEstimator):
    """A network that tells classes apart, in place of sklearn.neural_network.MLPClassifier, and beyond it.

    With the same random_state the same numbers are drawn as by MLPClassifier, whose parameters and fitted attributes
    mean the same here. What stands under a parameter below is ours, beside scikit-learn's.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer.
    activation : str, Layer or sequence of them
        'identity', 'logistic', 'tanh', 'relu', any other activation of handgrad by name or as a layer, or a list, one
        for each hidden layer.
    solver : {'adam', 'sgd', 'lbfgs'}
        The update rule; 'lbfgs' takes all rows at once.
    alpha : float
        Strength of the penalty ½ alpha Σ w² / rows of a batch.
    batch_size : int or 'auto'
        Rows of a batch; 'auto' is min(200, N).
    learning_rate : str, dict or callable
        'constant', 'invscaling', 'adaptive', or a schedule of handgrad.schedules, by epochs.
    learning_rate_init, power_t : float
        The learning rate, and the exponent of 'invscaling'.
    max_iter : int
        The most epochs, or iterations of 'lbfgs'.
    shuffle : bool
        Whether each epoch takes the rows in another order.
    random_state : int or RandomState, optional
        What weights, shuffling, splitting and dropout are drawn from.
    tol, n_iter_no_change : float, int
        Training ends when more than so many epochs in a row have not improved by tol.
    verbose, progress : bool
        Whether each epoch prints a line; whether a bar is shown.
    warm_start : bool
        Whether `fit` goes on from the last call, the optimizer's state included.
    momentum, nesterovs_momentum : float, bool
        Of 'sgd'.
    early_stopping, validation_fraction : bool, float
        Whether a part of the rows, or validation_data, is watched in place of the training loss; which part.
    beta_1, beta_2, epsilon : float
        Of 'adam'.
    max_fun : int
        The most evaluations of the loss by 'lbfgs'.
    layers : Sequential, sequence of Layer or callable, optional
        In place of hidden_layer_sizes. A list of layers, to which the output layer is added; or a Sequential, or a
        function (input_shape, num_outputs) that makes one: the whole network.
    input_shape : tuple of int, optional
        The shape of one example, (height, width, channels), where X holds images as rows.
    dropout : float or sequence of float
        The rate behind each hidden layer.
    batch_norm : bool
        Whether a BatchNorm stands behind each hidden Linear.
    optimizer : Optimizer, str or dict, optional
        One of handgrad's, in place of solver and its rates.
    callbacks : sequence of Callback
        Copies of them are trained with, and kept in callbacks_.
    dtype : {'float32', 'float64'}, optional
        By default that of X.
    engine : str or dict
        'numpy', 'torch', or {'name': 'torch', 'device': 'cuda'}.
    loss : Loss, str or dict
        'log_loss', or a loss of handgrad ('hinge').
    class_weight : dict or 'balanced', optional
        What each class counts for.

    Attributes
    ----------
    classes_ : array
        The classes (C,), sorted.
    model_ : Sequential
        The trained network.
    coefs_, intercepts_ : list of array
        Its weights (in, out) and biases (out,), layer by layer.
    loss_curve_, validation_scores_ : list of float
        After each epoch; the scores are None where nothing was held out.
    n_iter_, loss_, best_loss_, best_validation_score_
        As MLPClassifier has them.
    history_, optimizer_, callbacks_, stop_reason_
        What the trainer measured, moved by, called, and why it ended.

    Raises
    ------
    ValueError
        In `fit`, for a parameter out of its range, and for data or layers that do not fit, naming them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NetClassifier((16,), "gelu", learning_rate_init=0.01, max_iter=1000, random_state=0).fit(X, y)
    >>> net.predict(X[:3])
    array([0, 0, 0])
    >>> net.score(X, y) > 0.9, net.predict_proba(X[:3]).shape
    (True, (3, 3))
    """

    hidden_layer_sizes: Sizes = (100,)
    activation: Activations = "relu"
    _: KW_ONLY
    loss: Spec | Loss = "log_loss"
    class_weight: Mapping[Any, float] | str | None = None

    @available_if(trains_by_batches)
    @advised
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X and y, going on from earlier calls; returns self.

        Parameters
        ----------
        X, y : array_like
            As `fit` takes them; y may hold a part of the classes.
        sample_weight : array_like, optional
            What each row counts for, (N,).
        classes : array_like, optional
            All that y may ever hold, needed by the first call.

        Raises
        ------
        ValueError
            Without classes in the first call, with others in later ones, and as `fit`.
        """
        if isinstance(self.class_weight, str):
            limits = "counts all of y, and partial_fit sees a part of it"
            raise ValueError(f"class_weight={self.class_weight!r} {limits}: give the weights as a dict")
        return self._learn(X, y, sample_weight, is_partial=True, classes=self._all_classes(y, classes))

    def _all_classes(self, y: Any, classes: Any) -> Classes:
        if self._fit is not None:
            known = self._classes
            if classes is not None and not np.array_equal(unique_labels(classes), known.names):
                raise ValueError(f"classes={classes!r} are not those of the first call, {known.names}")
            return known
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return Classes.of(y) if type_of_target(y).startswith("multilabel") else Classes(unique_labels(classes))

    def _read_targets(self, y: Any, before: Objective | None, classes: Classes | None) -> Objective:
        if before is None:
            known = Classes.of(y) if classes is None else classes
            self.classes_: Array = known.names
            return for_classes(self.loss, known)
        if classes is None and not np.array_equal(Classes.of(y).names, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {Classes.of(y).names}"
            )
        return before

    @property
    def _classes(self) -> Classes:
        objective = self._fitted.objective
        assert isinstance(objective, ClassObjective)
        return objective.classes

    def _weights(self, y: Any, sample_weight: Array | None, fit: Fit) -> Array | None:
        if (weight := self._classes.row_weights(self.class_weight, y)) is None:
            return sample_weight
        weight = weight.astype(fit.inputs.dtype)
        return weight if sample_weight is None else sample_weight * weight

    def predict(self, X: Any) -> Any:
        """The class of each row of X: (N,), or labels 0 and 1 (N, K).

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        return self._classes.decode(self._outputs(X))

    @available_if(has_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Probabilities (N, C), columns in the order of classes_; of labels (N, K), each its own.

        An AttributeError where the loss learns scores and no probabilities.
        """
        answers = self._fitted.objective.answer(self._outputs(X))
        if self._classes.kind != "binary" or answers.shape[1] > 1:
            return answers
        return np.hstack([1 - answers, answers]) if len(self.classes_) > 1 else np.ones_like(answers)

    @available_if(has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of predict_proba."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    @available_if(has_scores_only)
    def decision_function(self, X: Any) -> Array:
        """Scores (N, C), or (N,) for two classes: for losses without probabilities, such as hinge."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@advised_class
@dataclass(repr=False, eq=False)
class NetRegressor(RegressorMixin, NetEstimator):
    """A network that predicts numbers, in place of sklearn.neural_network.MLPRegressor, and beyond it.

    Parameters
    ----------
    loss : Loss, str or dict
        'squared_error', 'poisson' (for counts, y >= 0), or one of handgrad's ('huber', 'mean-absolute-error').
    hidden_layer_sizes, activation, solver and all others
        As NetClassifier's, but for class_weight. y may have several columns.

    Attributes
    ----------
    model_ and all others
        As NetClassifier's, but for classes_.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> net = NetRegressor(solver="lbfgs", activation="tanh", random_state=0).fit(X, np.sin(3 * X).ravel())
    >>> net.score(X, np.sin(3 * X).ravel()) > 0.99
    True
    """

    loss: Spec | Loss = "squared_error"
    hidden_layer_sizes: Sizes = (100,)
    activation: Activations = "relu"

    _y_options = {"y_numeric": True}

    @available_if(trains_by_batches)
    @advised
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on X and y, going on from earlier calls; returns self."""
        return self._learn(X, y, sample_weight, is_partial=True)

    def _read_targets(self, y: Any, before: Objective | None, classes: Classes | None) -> Objective:
        num_columns = 1 if y.ndim == 1 else y.shape[1]
        if before is None:
            return for_numbers(self.loss, num_columns)
        if num_columns != before.num_outputs:
            raise ValueError(f"y has {num_columns} columns, in earlier calls it had {before.num_outputs}")
        return before

    def predict(self, X: Any) -> Array:
        """The predicted numbers, (N,), or (N, K) for several columns of y."""
        answers = self._fitted.objective.answer(self._outputs(X))
        return answers.ravel() if answers.shape[1] == 1 else answers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class NetFeatures(TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    """A transformer: trains a copy of `estimator` on X and y; transform(X) is the output of `layer`, rows (N, units).

    Parameters
    ----------
    estimator : NetClassifier or NetRegressor
        What is trained. To use one that is trained already, wrap it in scikit-learn's FrozenEstimator.
    layer : str, optional
        A name that estimator.summary() shows; by default the layer in front of the output layer.

    Attributes
    ----------
    estimator_ : NetClassifier or NetRegressor
        The trained copy.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> features = NetFeatures(NetClassifier((5,), solver="lbfgs", max_iter=1000, random_state=0)).fit(X, y)
    >>> features.transform(X).shape, features.get_feature_names_out()[0]
    ((150, 5), 'relu1_0')
    """

    def __init__(self, estimator: NetEstimator, layer: str | None = None) -> None:
        self.estimator: NetEstimator = estimator
        self.layer: str | None = layer

    def fit(self, X: Any, y: Any, **fit_parameters: Any) -> Self:
        """Train a copy of the estimator on X and y; fit_parameters go to its fit."""
        self.estimator_: NetEstimator = clone(self.estimator).fit(X, y, **fit_parameters)
        self._num_layers()
        return self

    def transform(self, X: Any) -> Array:
        """The output of the layer for X, each example's as one row."""
        check_is_fitted(self)
        fit = self.estimator_._fitted
        features = outputs_of(fit.model_, fit.inputs.check(self.estimator_, X), self._num_layers())
        return features.reshape(len(features), -1)

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """['relu1_0', 'relu1_1', ...]."""
        check_is_fitted(self)
        layer = self.estimator_.model_.layers[self._num_layers() - 1]
        return np.array([f"{layer.name}_{i}" for i in range(int(np.prod(layer.output_shape)))], object)

    @property
    def n_features_in_(self) -> int:
        """How many features X had in fit."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> Array:
        """The names of X's columns in fit, where it had any."""
        return self.estimator_.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        tags.target_tags.required = True
        return tags

    def _num_layers(self) -> int:
        """How many layers make the features; ValueError for a name that the network has not, with the nearest."""
        layers = self.estimator_.model_.layers
        if self.layer is None:
            last = max(i for i, layer in enumerate(layers) if "weight" in layer.parameters)
            if not last:
                raise ValueError("the network has no layer in front of its output layer: give it hidden layers")
            return last
        return 1 + look_up("layer", self.layer, {layer.label: i for i, layer in enumerate(layers)})
