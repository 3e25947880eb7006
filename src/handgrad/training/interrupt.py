"""Ctrl-C as a request: training ends after the running step, with nothing half-updated."""

import signal
import threading


class Interruptible:
    """Within the block the first Ctrl-C sets `requested`; a second one raises KeyboardInterrupt as usual."""

    def __init__(self):
        self.requested = False

    def __enter__(self):
        # Only the main thread may set handlers; elsewhere Ctrl-C never arrives anyway.
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *problem):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _request(self, number, frame):
        self.requested = True
        signal.signal(signal.SIGINT, self._previous)
