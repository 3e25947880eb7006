"""Ctrl-C reaches the tests, and what they start, even where the shell ignores it, as it does for background jobs."""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
