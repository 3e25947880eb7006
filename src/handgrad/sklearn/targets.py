"""Targets: classes as numbers and back, class weights, and the scores that early stopping watches."""

import numpy as np
from scipy import sparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target


class Classes:
    """What y may hold: names, sorted, and kind 'binary' (one or two classes), 'multiclass' or 'multilabel'."""

    def __init__(self, names, is_multilabel=False, is_sparse=False):
        self.names, self.is_sparse = names, is_sparse
        self.kind = "multilabel" if is_multilabel else "multiclass" if len(names) > 2 else "binary"

    @classmethod
    def of(cls, y):
        """The classes of these targets; ValueError for numbers, and for rows of classes that are no labels 0 and 1."""
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return cls(np.arange(y.shape[1]), is_multilabel=True, is_sparse=sparse.issparse(y))
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {kind}. y must be one class a row, or labels 0 and 1; for numbers "
                "take a regressor"
            )
        return cls(np.unique(y))

    def codes(self, y):
        """The number of each row's class (N,), or the labels (N, K) as an array; ValueError for an unseen class."""
        if self.kind == "multilabel":
            return self.labels(y)
        codes = np.searchsorted(self.names, y)
        codes[codes == len(self.names)] = 0
        is_unseen = self.names[codes] != y
        if np.any(is_unseen):
            unseen = np.unique(np.asarray(y)[is_unseen])
            raise ValueError(f"`y` has classes not in `self.classes_`: {unseen} are not among {self.names}")
        return codes

    def labels(self, y):
        y = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if y.shape[1:] != self.names.shape:
            raise ValueError(f"y must be labels 0 and 1, (N, {len(self.names)}) as in the first fit; got {y.shape}")
        return y

    def decode(self, outputs):
        """Names of the predicted classes, or labels (N, K), from a network's outputs."""
        if self.kind == "multilabel":
            labels = (outputs > 0).astype(int)
            return sparse.csr_matrix(labels) if self.is_sparse else labels
        return self.names[self.predicted(outputs)]

    def predicted(self, outputs):
        """Numbers of the predicted classes (N,), or labels (N, K): one output is for class 1 where it is positive."""
        if self.kind == "multilabel":
            return outputs > 0
        if outputs.shape[1] > 1:
            return outputs.argmax(axis=1)
        return (outputs[:, 0] > 0).astype(int) if len(self.names) > 1 else np.zeros(len(outputs), int)

    def targets(self, codes, objective, dtype):
        """codes as the loss wants them: int labels (N,), or numbers 0 and 1 (N, num_outputs)."""
        if objective.takes_labels:
            return codes
        if self.kind != "multilabel" and objective.num_outputs > 1:
            codes = np.eye(objective.num_outputs)[codes]
        return codes.reshape(len(codes), -1).astype(dtype)


def row_weights(class_weight, classes, y):
    """What each row counts for by its class (N,), or None. ValueError for a class that y has not, or labels."""
    if class_weight is None:
        return None
    if classes.kind == "multilabel":
        raise ValueError("class_weight is for one class a row; y has labels: pass sample_weight instead")
    if isinstance(class_weight, dict):
        known = set(classes.names.tolist())
        for name in class_weight:
            if name not in known:
                raise ValueError(
                    f"class_weight names the class {name!r}, which y has not; its classes are "
                    f"{', '.join(map(repr, classes.names.tolist()))}"
                )
    return compute_class_weight(class_weight, classes=classes.names, y=y)[classes.codes(y)]


class Accuracy:
    """The fraction of rows that are right (for labels: all of a row's); NaN where outputs are no numbers."""

    def __init__(self, classes, sample_weight=None):
        self.classes, self.sample_weight = classes, sample_weight

    def __call__(self, outputs, targets):
        if not np.isfinite(outputs).all():
            return np.nan
        truth = targets if targets.ndim == 1 else self.classes.predicted(targets)
        return accuracy_score(truth, self.classes.predicted(outputs), sample_weight=self.sample_weight)


class RSquared:
    """R² of the answers to targets (N, K); NaN where they are no numbers."""

    def __init__(self, objective, sample_weight=None):
        self.objective, self.sample_weight = objective, sample_weight

    def __call__(self, outputs, targets):
        answers = self.objective.answer(outputs)
        if not np.isfinite(answers).all():
            return np.nan
        return r2_score(targets, answers, sample_weight=self.sample_weight)
