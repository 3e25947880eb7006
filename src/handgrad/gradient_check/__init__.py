"""Is this gradient right, and if not, what was forgotten? Numeric checks with verdicts."""

from .check import assert_gradients as assert_gradients
from .check import check_gradients as check_gradients
from .graph import Graph as Graph
from .graph import draw_graph as draw_graph
from .intermediates import Intermediate as Intermediate
from .intermediates import Intermediates as Intermediates
from .intermediates import intermediates as intermediates
from .report import Report as Report
from .verdict import Kink as Kink
from .verdict import Verdict as Verdict
