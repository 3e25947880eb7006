"""nndl.softmax: a linear classifier with the softmax cross-entropy."""

from ... import functional as F
from ._linear_classifier import LinearClassifier, LossPair

__all__ = ["Softmax"]


class Softmax(LinearClassifier):
    """W starts at 1e-4 N(0, 1)."""

    loss_pair: LossPair = F.cross_entropy_forward, F.cross_entropy_backward
    weight_scale: float = 1e-4
