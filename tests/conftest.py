"""Ctrl-C reaches the tests, and what they start, even where the shell ignores it, as it does for background jobs."""

import signal
import threading

import pytest

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def torch_on_one_thread():
    """The machine is shared."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
