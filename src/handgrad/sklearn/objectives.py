"""What a network is trained for: the loss that a name means for these targets, its outputs, and how to read them."""

import copy
from dataclasses import dataclass

import numpy as np

from .. import functional as F
from ..layers import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError, ProbabilityCrossEntropy
from ..layers.criteria import LOSSES
from ..naming import build, fold
from .losses import LogLoss, PoissonDeviance, Scaled


@dataclass
class Objective:
    """A loss, how many outputs it takes, and the activation that makes its answer of them.

    takes_labels: its targets are int labels (N,) rather than numbers (N, num_outputs). has_softmax: the network itself
    ends in a Softmax.
    """

    loss: Loss
    num_outputs: int
    activation: str
    takes_labels: bool = False
    has_softmax: bool = False

    def answer(self, outputs):
        """Probabilities, rates or values from the network's outputs."""
        if self.activation == "exp":
            return np.exp(outputs)
        return outputs if self.has_softmax else F.ACTIVATIONS[self.activation].forward(outputs)[0]

    @property
    def is_probabilistic(self):
        return self.activation in ("logistic", "softmax")


def for_classes(spec, classes):
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
        return Objective(loss if columns == 1 else Scaled(loss, columns), columns, "logistic")
    if kind == "multilabel":
        raise ValueError(f"{name} takes one class a row, y has {count} labels a row: use loss='log_loss'")
    if isinstance(loss, ProbabilityCrossEntropy):
        return Objective(loss, count, "softmax", takes_labels=True, has_softmax=True)
    is_softmax = isinstance(loss, CrossEntropy)
    return Objective(loss, count, "softmax" if is_softmax else "identity", takes_labels=loss.classification)


def for_numbers(spec, num_outputs):
    """The objective of a regressor, from its `loss` and the number of columns of y."""
    if is_named(spec, "squared_error"):
        return Objective(Scaled(MeanSquaredError(), num_outputs / 2), num_outputs, "identity")
    if is_named(spec, "poisson"):
        return Objective(PoissonDeviance(), num_outputs, "exp")
    loss = find_loss(spec, ["squared_error", "poisson"])
    if loss.classification:
        raise ValueError(
            f"{type(loss).__name__} is a loss of classes: a regressor takes 'squared_error', 'poisson', "
            "'mean-absolute-error', 'huber' or a loss of your own"
        )
    return Objective(loss, num_outputs, "identity")


def is_named(spec, name):
    return isinstance(spec, str) and fold(spec) == fold(name)


def find_loss(spec, names):
    """A new loss from a name, a table or an object; names: those that are known besides handgrad's."""
    loss = copy.deepcopy(build("loss", spec, {**dict.fromkeys(names), **LOSSES}))
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a name, a table or a handgrad Loss, got {type(spec).__name__}")
    return loss
