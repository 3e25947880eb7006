"""nndl.svm: a linear classifier with the multiclass hinge (homework 2 until 2021)."""

from ...arrays import Array
from ._linear_classifier import LinearClassifier
from .layers import svm_loss


class SVM(LinearClassifier):
    """W starts at N(0, 1)."""

    def loss(self, X: Array, y: Array) -> float:
        """The mean of the rows' losses, without a penalty."""
        return svm_loss(X @ self.W.T, y)[0]

    def loss_and_grad(self, X: Array, y: Array) -> tuple[float, Array]:
        """(loss, its gradient by W); the homework asks for a loop over the rows first."""
        loss, dscores = svm_loss(X @ self.W.T, y)
        return loss, dscores.T @ X
