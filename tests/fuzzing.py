"""How many examples a fuzz test tries: a few hundred, or as many as HANDGRAD_EXAMPLES says.

Without that variable every run tries the same examples; with it, new ones each time (see conftest.py).
The long run: HANDGRAD_EXAMPLES=50000 scripts/test tests -k fuzzed
"""

import os

from hypothesis import HealthCheck, settings

fuzzed = settings(
    max_examples=int(os.environ.get("HANDGRAD_EXAMPLES", "300")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
