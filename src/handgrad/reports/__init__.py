"""Pictures and pages of runs: what training did, drawn. Needs the extra `handgrad[app]`, loaded when first used."""

from .comparison import save_comparison
from .curves import save_curves, save_learning_rate
from .page import save_report
from .pictures import save_confusion_matrix, save_filters, save_sweep, save_wrong_examples
from .view import RunView, WrongExample

__all__ = [
    "RunView",
    "WrongExample",
    "save_comparison",
    "save_confusion_matrix",
    "save_curves",
    "save_filters",
    "save_learning_rate",
    "save_report",
    "save_sweep",
    "save_wrong_examples",
]
