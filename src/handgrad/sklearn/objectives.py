"""What a network is trained for: what y may hold, the loss that a name means for it, and how outputs are read."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from .. import functional as F
from ..arrays import Array, Cache
from ..layers import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError, ProbabilityCrossEntropy
from ..layers.criteria import LOSSES
from ..metrics import r2_score
from ..naming import build, fold
from ..training.epochs import GOALS


@dataclass
class Objective:
    """A loss, how many outputs it takes, and the activation that makes its answer of them; of a regressor.

    has_softmax: the network itself ends in a Softmax.
    """

    loss: Loss
    num_outputs: int
    activation: str
    has_softmax: bool = False

    def answer(self, outputs: Array) -> Array:
        """Probabilities, rates or values from the network's outputs."""
        if self.activation == "exp":
            return np.exp(outputs)
        return outputs if self.has_softmax else F.ACTIVATIONS[self.activation].forward(outputs)[0]

    @property
    def is_probabilistic(self) -> bool:
        """Whether the answers are probabilities of classes."""
        return self.activation in ("logistic", "softmax")

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """y as the loss wants it, (N, num_outputs)."""
        if self.activation == "exp" and (y < 0).any():
            raise ValueError(f"loss='poisson' is for counts, y >= 0; got {y.min()}")
        return y.reshape(len(y), -1).astype(dtype)

    def score(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """R² of the answers to targets (N, K); NaN where they are no numbers."""
        answers = self.answer(outputs)
        if not np.isfinite(answers).all():
            return math.nan
        return r2_score(answers, targets, sample_weight)

    def stratify(self, targets: Array) -> Array | None:
        """What early stopping stratifies its split by."""
        return None


class Classes:
    """What y may hold: names, sorted, and kind 'binary' (one or two classes), 'multiclass' or 'multilabel'."""

    def __init__(self, names: Array, is_multilabel: bool = False, is_sparse: bool = False) -> None:
        self.names: Array = names
        self.is_sparse: bool = is_sparse
        self.kind: str = "multilabel" if is_multilabel else "multiclass" if len(names) > 2 else "binary"

    @classmethod
    def of(cls, y: Any) -> Classes:
        """The classes of these targets; ValueError for numbers, and for rows of classes that are no labels 0 and 1."""
        if isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "bui":
            return cls(np.unique(y))  # what most have; to ask takes as long as twenty epochs of Iris
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return cls(np.arange(y.shape[1]), is_multilabel=True, is_sparse=sparse.issparse(y))
        if kind not in ("binary", "multiclass"):
            advice = "y must be one class a row, or labels 0 and 1; for numbers take a regressor"
            raise ValueError(f"Unknown label type: {kind}. {advice}")
        return cls(np.unique(y))

    def codes(self, y: Any) -> Array:
        """The number of each row's class (N,), or the labels (N, K) as an array; ValueError for an unseen class."""
        if self.kind == "multilabel":
            return self.labels(y)
        codes: Array = np.searchsorted(self.names, y)
        codes[codes == len(self.names)] = 0
        is_unseen = self.names[codes] != y
        if np.any(is_unseen):
            unseen = np.unique(np.asarray(y)[is_unseen])
            raise ValueError(f"`y` has classes not in `self.classes_`: {unseen} are not among {self.names}")
        return codes

    def labels(self, y: Any) -> Array:
        """Labels 0 and 1 (N, K) as an array."""
        labels: Array = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        if labels.shape[1:] != self.names.shape:
            raise ValueError(f"y must be labels 0 and 1, (N, {len(self.names)}) as in the first fit; got {y.shape}")
        return labels

    def decode(self, outputs: Array) -> Any:
        """Names of the predicted classes, or labels (N, K), from a network's outputs."""
        if self.kind == "multilabel":
            labels = (outputs > 0).astype(int)
            return sparse.csr_matrix(labels) if self.is_sparse else labels
        names: Array = self.names[self.predicted(outputs)]
        return names

    def predicted(self, outputs: Array) -> Array:
        """Numbers of the predicted classes (N,), or labels (N, K): one output is for class 1 where it is positive."""
        if self.kind == "multilabel":
            return outputs > 0
        if outputs.shape[1] > 1:
            codes: Array = np.argmax(outputs, axis=1)
            return codes
        return np.asarray(outputs[:, 0] > 0, int) if len(self.names) > 1 else np.zeros(len(outputs), int)

    def row_weights(self, class_weight: Mapping[Any, float] | str | None, y: Any) -> Array | None:
        """What each row counts for by its class (N,), or None. ValueError for a class that y has not, or labels."""
        if class_weight is None:
            return None
        if self.kind == "multilabel":
            raise ValueError("class_weight is for one class a row; y has labels: pass sample_weight instead")
        known = self.names.tolist()
        for name in class_weight if isinstance(class_weight, Mapping) else ():
            if name not in known:
                has = ", ".join(map(repr, known))
                raise ValueError(f"class_weight names the class {name!r}, which y has not; its classes are {has}")
        weights: Array = compute_class_weight(class_weight, classes=self.names, y=y)[self.codes(y)]
        return weights


@dataclass
class ClassObjective(Objective):
    """The objective of a classifier. takes_labels: the loss takes int labels (N,) rather than numbers (N, outputs)."""

    _: KW_ONLY
    classes: Classes
    takes_labels: bool = False

    def targets(self, y: Any, dtype: np.dtype[Any]) -> Array:
        """y as the loss wants it: int labels (N,), or numbers 0 and 1 (N, num_outputs)."""
        codes = self.classes.codes(y)
        if self.takes_labels:
            return codes
        if self.classes.kind != "multilabel" and self.num_outputs > 1:
            codes = np.eye(self.num_outputs)[codes]
        return codes.reshape(len(codes), -1).astype(dtype)

    def score(self, outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
        """The fraction of rows that are right (for labels: all of a row's); NaN where outputs are no numbers."""
        if not np.isfinite(outputs).all():
            return math.nan
        truth = targets if targets.ndim == 1 else self.classes.predicted(targets)
        is_right = (truth == self.classes.predicted(outputs)).reshape(len(truth), -1).all(axis=1)
        # in a hundredth of the time of scikit-learn's accuracy_score
        return float(np.average(is_right, weights=sample_weight))

    def stratify(self, targets: Array) -> Array | None:
        """The classes where there are two, as scikit-learn's MLP does."""
        return targets.astype(bool) if targets.ndim > 1 and targets.shape[1] == 1 else None


def for_classes(spec: Any, classes: Classes) -> ClassObjective:
    """The objective of a classifier, from its `loss` and the Classes it learns.

    ValueError for a loss that cannot tell these classes apart.
    """
    kind, count = classes.kind, len(classes.names)
    columns = 1 if kind == "binary" else count
    if is_named(spec, "log_loss"):
        spec = LogLoss() if kind == "multiclass" else BinaryCrossEntropy()
    loss = find_loss(spec, ["log_loss"])
    name = type(loss).__name__
    if isinstance(loss, BinaryCrossEntropy):
        if kind == "multiclass":
            raise ValueError(f"{name} tells two classes apart, y has {count}: use loss='log_loss'")
        return ClassObjective(loss if columns == 1 else Scaled(loss, columns), columns, "logistic", classes=classes)
    if kind == "multilabel":
        raise ValueError(f"{name} takes one class a row, y has {count} labels a row: use loss='log_loss'")
    if isinstance(loss, ProbabilityCrossEntropy):
        return ClassObjective(loss, count, "softmax", has_softmax=True, classes=classes, takes_labels=True)
    activation = "softmax" if isinstance(loss, CrossEntropy) else "identity"
    return ClassObjective(loss, count, activation, classes=classes, takes_labels=loss.classification)


def for_numbers(spec: Any, num_outputs: int) -> Objective:
    """The objective of a regressor, from its `loss` and the number of columns of y."""
    if is_named(spec, "squared_error"):
        return Objective(Scaled(MeanSquaredError(), num_outputs / 2), num_outputs, "identity")
    if is_named(spec, "poisson"):
        return Objective(PoissonDeviance(), num_outputs, "exp")
    loss = find_loss(spec, own := ["squared_error", "poisson"])
    if loss.classification:
        names = [*own, *(name for name, known in LOSSES.items() if not known.classification)]
        advice = f"a regressor takes {', '.join(map(repr, names))} or a loss of your own"
        raise ValueError(f"{type(loss).__name__} is a loss of classes: {advice}")
    return Objective(loss, num_outputs, "identity")


def is_named(spec: object, name: str) -> bool:
    return isinstance(spec, str) and fold(spec) == fold(name)


def find_loss(spec: Any, names: Sequence[str]) -> Loss:
    """A new loss from a name, a table or an object; names: those that are known besides handgrad's."""
    loss: Loss = build("loss", spec, {**dict.fromkeys(names, Loss), **LOSSES}, Loss)
    return copy.deepcopy(loss)


# The losses that scikit-learn has and handgrad has not ----------------------------------------------------------------


class LogLoss(CrossEntropy):
    """CrossEntropy of int labels, as an estimator's parameter `loss='log_loss'` means it for several classes."""


class Scaled(Loss):
    """factor times another loss.

    scikit-learn sums over the outputs where handgrad takes their mean, and halves the squared error: of K outputs
    Scaled(BinaryCrossEntropy(), K) and Scaled(MeanSquaredError(), K / 2) are its losses.
    """

    def __init__(self, loss: Loss, factor: float) -> None:
        self.loss: Loss = loss
        self.factor: float = factor
        self.classification: bool = loss.classification

    def compute(self, outputs: Array, targets: Any, sample_weight: Any) -> tuple[float, Cache]:
        value, cache = self.loss.compute(outputs, targets, sample_weight)
        return self.factor * value, cache

    def pair_backward(self, dloss: float, cache: Cache) -> tuple[Array]:
        return self.loss.pair_backward(self.factor * dloss, cache)


class PoissonDeviance(Loss):
    """Half the Poisson deviance of counts t at the rate eᶻ: Σ t log(t / eᶻ) - t + eᶻ over outputs, mean over rows.

    z are the outputs, so that a rate is positive whatever the network says; the derivative by z is eᶻ - t.
    """

    def compute(self, outputs: Array, targets: Any, sample_weight: Any) -> tuple[float, Cache]:
        targets = np.asarray(targets, outputs.dtype).reshape(outputs.shape)
        share = row_shares(sample_weight, outputs)
        rates = np.exp(outputs)
        entropy = targets * np.log(np.where(targets.real > 0, targets, 1))  # t log t, 0 at t = 0
        deviance: Array = (entropy - targets * outputs - targets + rates).sum(axis=1, keepdims=True)
        return (share * deviance).sum().item(), (rates, targets, share)

    @staticmethod
    def pair_backward(dloss: float, cache: Cache) -> tuple[Array]:
        rates, targets, share = cache
        return (dloss * share * (rates - targets),)


# what the compiled steps are told of them
GOALS[LogLoss] = GOALS[CrossEntropy]
GOALS[PoissonDeviance] = lambda loss: ("poisson", 1.0, 0.0)
GOALS[Scaled] = lambda loss: (GOALS[type(loss.loss)](loss.loss)[0], loss.factor, 0.0)


def row_shares(sample_weight: Array | None, outputs: Array) -> Array:
    """Each row's share of the mean, (N, 1): 1 / N, or w / Σ w."""
    weight = np.ones(len(outputs)) if sample_weight is None else np.asarray(sample_weight)
    shares: Array = (weight / weight.sum()).astype(outputs.real.dtype)
    return shares[:, None]
