"""Is this gradient right, and if not, what was forgotten? Numeric checks with verdicts."""

from .check import assert_gradients, check_gradients
from .verdict import Kink, Report, Verdict

__all__ = ["Kink", "Report", "Verdict", "assert_gradients", "check_gradients"]
