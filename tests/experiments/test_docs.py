"""The examples in the docstrings of runs and configurations give what they show."""

import doctest

import pytest

from handgrad.experiments import configuration, runner


@pytest.mark.parametrize("module", [configuration, runner], ids=["configuration", "runner"])
def test_examples_in_docstrings_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
