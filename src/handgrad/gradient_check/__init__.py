"""Is this gradient right, and if not, what was forgotten? Numeric checks with verdicts."""

from .check import check_gradients
from .verdict import Report, Verdict

__all__ = ["Report", "Verdict", "check_gradients"]
