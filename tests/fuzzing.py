"""How many examples a test of random ones tries: as many as it names, or as HANDGRAD_EXAMPLES says.

Without that variable every run tries the same examples; with it, new ones each time (see conftest.py).
The long run: HANDGRAD_EXAMPLES=50000 scripts/test tests -k fuzzed
"""

import os

from hypothesis import HealthCheck, settings


def examples(count):
    """The settings of a test that usually tries `count` random examples."""
    return settings(
        max_examples=int(os.environ.get("HANDGRAD_EXAMPLES", count)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


fuzzed = examples(300)
