"""Two processes under torchrun: the gradients of one, runs that are written once, and a worker that is killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import distributed

SCRIPT = Path(__file__).parents[1] / "parallel_training.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
pytestmark = pytest.mark.skipif(not (distributed.is_available() and distributed.is_gloo_available()), reason="no gloo")


def start(command, folder, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def the_run(folder):
    (record,) = Path(folder).glob("experiments/iris/*/run.json")
    return record.parent, json.loads(record.read_text())


def test_two_processes_have_the_gradients_of_one(tmp_path):
    alone = start([sys.executable], tmp_path, SCRIPT, "gradients", "one.npz")
    together = start(TORCHRUN, tmp_path, SCRIPT, "gradients", "two.npz")
    assert alone.returncode == together.returncode == 0, alone.stderr + together.stderr
    assert together.stdout.splitlines() == ["left with []"] * 2  # one that outlives Python could abort the process
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    assert one["gradients"].shape[0] == 12
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-10, err_msg=name)


def test_a_killed_worker_ends_the_run_and_resume_reaches_the_same_bits(tmp_path):
    options = ("train", "iris", "--engine", "torch", "--epochs", 12, "--set", "recording.checkpoint_epochs=1")
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = start([*TORCHRUN, "-m", "handgrad"], tmp_path / "whole", *options)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("test accuracy:") == 1

    killed = start(TORCHRUN, tmp_path / "killed", SCRIPT, "victim", 20, *options)
    run, record = the_run(tmp_path / "killed")
    assert killed.returncode != 0
    (line,) = [line for line in killed.stderr.splitlines() if line.startswith("handgrad:")]
    assert "worker 0 of 2 lost another one" in line and "handgrad resume" in line
    assert record["status"] == "failed"

    resumed = start([*TORCHRUN, "-m", "handgrad"], tmp_path / "killed", "resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert the_run(tmp_path / "killed")[1]["status"] == "finished"
    files = [the_run(tmp_path / name)[0] / "model.safetensors" for name in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
