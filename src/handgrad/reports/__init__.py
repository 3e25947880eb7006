"""Pictures and pages of runs: what training did, drawn. Needs the extra `handgrad[app]`, loaded when first used."""

from .curves import save_curves, save_learning_rate
from .pictures import save_confusion_matrix, save_filters, save_sweep, save_wrong_examples

__all__ = [
    "save_confusion_matrix",
    "save_curves",
    "save_filters",
    "save_learning_rate",
    "save_sweep",
    "save_wrong_examples",
]
