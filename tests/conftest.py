"""What every test has: signals, even where the shell ignores them, and random numbers that are the same every time."""

import os
import random
import signal
import sys
import threading

import numpy as np
import pytest
from hypothesis import settings

# the same code is tried with the same examples, so that a red run is the fault of a change; the hunt draws new ones
settings.register_profile("handgrad", derandomize="HANDGRAD_EXAMPLES" not in os.environ)
settings.load_profile("handgrad")

# background jobs of a shell start with Ctrl-C ignored
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # under nohup as well
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def the_same_numbers_whatever_ran_before():
    """For tests that draw from a library's global generator, or see warnings; which share a process is chance."""
    np.seterr(all="warn", under="ignore")
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002, the courses draw from it
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def torch_on_one_thread():
    """The machine is shared."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
