"""UCLA ECE C147/C247's package `nndl`, grown from Stanford's CS231n: homeworks 2 to 5.

What it calls `utils` or, in some years, `cs231n` (solver, gradient check, data) stands in the package of that name.
Its scripts say `from nndl import KNN`, and `from nndl.fc_net import *` where they mean the layers as well: so what a
module of the course passed on from others, np included, ours passes on too.
"""

from .knn import KNN
from .softmax import Softmax
from .svm import SVM

__all__ = ["KNN", "SVM", "Softmax"]
