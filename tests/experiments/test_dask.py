"""The example that sweeps on a Dask cluster, run on a local one."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "sweep_on_dask.py"


@pytest.mark.filterwarnings("ignore")  # of Dask's own, about ports and its event loop
def test_the_dask_example_trains_every_trial(tmp_path, capsys):
    pytest.importorskip("distributed")
    specification = importlib.util.spec_from_file_location("sweep_on_dask", EXAMPLE)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    sweep = example.main(tmp_path)
    assert [trial["status"] for trial in sweep.trials] == ["finished"] * 6
    assert "best validation loss 0." in capsys.readouterr().out
