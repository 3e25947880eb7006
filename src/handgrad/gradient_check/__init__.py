"""Is this gradient right, and if not, what was forgotten? Numeric checks with verdicts."""

from .check import assert_gradients as assert_gradients
from .check import check_gradients as check_gradients
from .report import Report as Report
from .verdict import Kink as Kink
from .verdict import Verdict as Verdict
