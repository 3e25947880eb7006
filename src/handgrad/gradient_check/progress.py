"""A bar on standard error for checks that take a while; nothing in a pipe or a notebook's log."""

import sys
import time

WORTH_IT = 2.0  # seconds a check must be expected to take
WIDTH = 30


class Bar:
    """Counts entries; drawn at most ten times a second, and wiped at the end."""

    def __init__(self, total, expected_seconds):
        self.total, self.done, self.drawn = total, 0, 0.0
        self.visible = expected_seconds >= WORTH_IT and sys.stderr.isatty()

    def step(self):
        self.done += 1
        if self.visible and time.monotonic() - self.drawn > 0.1:
            filled = WIDTH * self.done // max(self.total, 1)
            bar = "█" * filled + "·" * (WIDTH - filled)
            sys.stderr.write(f"\rchecking {bar} {self.done:,} of {self.total:,} entries")
            sys.stderr.flush()
            self.drawn = time.monotonic()

    def wipe(self):
        if self.visible:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
