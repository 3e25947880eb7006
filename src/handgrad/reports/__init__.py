"""Pictures and pages of runs: what training did, drawn. Needs the extra `handgrad[app]`, loaded when first used."""

from .comparison import save_comparison as save_comparison
from .page import save_report as save_report
from .pictures import save_confusion_matrix as save_confusion_matrix
from .pictures import save_curves as save_curves
from .pictures import save_filters as save_filters
from .pictures import save_learning_rate as save_learning_rate
from .pictures import save_sweep as save_sweep
from .pictures import save_wrong_examples as save_wrong_examples
from .view import RunView as RunView
from .view import WrongExample as WrongExample
