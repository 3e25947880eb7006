"""nndl.svm: a linear classifier with the multiclass hinge (homework 2 until 2021)."""

from ... import functional as F
from ._linear_classifier import LinearClassifier, LossPair

__all__ = ["SVM"]


class SVM(LinearClassifier):
    """W starts at N(0, 1)."""

    loss_pair: LossPair = F.hinge_forward, F.hinge_backward
