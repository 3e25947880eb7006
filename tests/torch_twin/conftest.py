"""PyTorch on one thread: the machine is shared."""

import pytest

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def everywhere(torch_on_one_thread):
    """For every test of this folder."""
