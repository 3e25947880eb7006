"""A run that was stopped anywhere goes on to the very bits of one that was not."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest

from example_runs import TABLES, prints, table
from handgrad.experiments import Run, check_configuration, resume, runner, train
from handgrad.experiments.replay import replay
from handgrad.experiments.run_folder import open_locked


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Curves take longer than these trainings, and play no part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "save_curves", lambda *arguments, **keywords: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """name -> (configuration, prints of the uninterrupted run), each trained once."""
    folder, known = tmp_path_factory.mktemp("whole"), {}

    def get(name):
        if name not in known:
            configuration = check_configuration(table(name, folder))
            known[name] = configuration, prints(train(configuration, folder, progress=False))
        return known[name]

    return get


def stopping_at(step):
    """runner.fit, but Ctrl-C is pressed during that step."""
    fit = runner.fit

    def fit_with_interrupt(job, progress):
        trainer, engine = job.trainer, job.trainer.engine
        cls, part = type(engine), "propagate" if engine.trains_in_place else "step"
        do_step, run = getattr(cls, part), cls.run

        @functools.wraps(do_step)  # a stranger's method would not be compiled
        def single(*arguments, **keywords):
            if trainer.num_steps == step - 1:
                os.kill(os.getpid(), signal.SIGINT)
            return do_step(*arguments, **keywords)

        @functools.wraps(run)
        def many(self, x, y, weight, sizes, *arguments):
            if trainer.num_steps <= step - 1 < trainer.num_steps + len(sizes):
                os.kill(os.getpid(), signal.SIGINT)
            return run(self, x, y, weight, sizes, *arguments)

        with mock.patch.multiple(cls, **{part: single, "run": many}):
            fit(job, progress)

    return fit_with_interrupt


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("step", [1, 6, 11])
def test_an_interrupted_run_goes_on_to_the_same_bits(name, step, whole, tmp_path, monkeypatch):
    configuration, expected = whole(name)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "fit", stopping_at(step))
        run = train(configuration, tmp_path, progress=False)
    assert run.status == "interrupted"
    # the first five steps of an epoch of "early" are done in one call
    assert run.record["steps"] == (5 if (name, step) == ("early", 1) else step)
    resumed = resume(run.path, progress=False)
    assert resumed.status == "finished"
    assert prints(resumed) == expected


@pytest.mark.parametrize("name", ["adamw", "early", "norm"])
def test_the_torch_engine_goes_on_to_the_same_bits(name, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    configuration = check_configuration({**table(name, tmp_path), "engine": "torch"})
    expected = prints(train(configuration, tmp_path / "whole", progress=False))
    with monkeypatch.context() as patch:
        patch.setattr(runner, "fit", stopping_at(11))
        run = train(configuration, tmp_path, progress=False)
    assert (run.status, run.record["steps"]) == ("interrupted", 11)
    assert prints(resume(run.path, progress=False)) == expected


def test_a_killed_run_goes_on_to_the_same_bits(whole, tmp_path):
    configuration, expected = whole("adamw")
    script = tmp_path / "one.py"
    script.write_text(
        "import json, sys\nfrom handgrad.experiments import check_configuration, train\n"
        "train(check_configuration(json.loads(sys.argv[1])), sys.argv[2], progress=False)\n"
    )
    for i in range(4):
        out = tmp_path / str(i)
        process = subprocess.Popen([sys.executable, script, json.dumps(configuration.as_table()), out])
        wait_for_steps(out, 1 + 3 * i)
        process.kill()
        process.wait()
        (folder,) = (out / "adamw").iterdir()
        assert Run(folder).status in ("killed", "finished")
        assert prints(resume(folder, progress=False)) == expected


def wait_for_steps(out, size):
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if any(path.stat().st_size > size for path in out.glob("*/*/metrics.jsonl")):
            return
        time.sleep(0.001)


def test_a_run_killed_before_its_first_checkpoint_starts_again(whole, tmp_path):
    configuration, expected = whole("adam")
    run = train(configuration, tmp_path, progress=False)
    (run.path / "checkpoint.safetensors").unlink()
    (run.path / "model.safetensors").unlink()
    set_status(run, "running")
    assert Run(run.path).status == "killed"
    assert prints(resume(run.path, progress=False)) == expected


def set_status(run, status):
    record = {**run.record, "status": status}
    (run.path / "run.json").write_text(json.dumps(record))


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    run = train(check_configuration(table("momentum", tmp_path)), tmp_path, progress=False)
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    assert resume(run.path).status == "finished"
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before


def test_changed_data_are_refused(tmp_path):
    configuration = check_configuration(table("images", tmp_path))
    run = train(configuration, tmp_path, progress=False)
    set_status(run, "interrupted")
    with np.load(tmp_path / "images.npz") as file:
        x, y = file["x"].copy(), file["y"]
    x[0, 0, 0, 0] += 1
    np.savez(tmp_path / "images.npz", x=x, y=y)
    with pytest.raises(ValueError, match="have changed since"):
        resume(run.path)


def test_a_run_in_training_is_not_resumed(tmp_path):
    run = train(check_configuration(table("momentum", tmp_path)), tmp_path, progress=False)
    set_status(run, "running")
    descriptor = open_locked(run.path / "metrics.jsonl")
    try:
        assert Run(run.path).status == "running"
        with pytest.raises(ValueError, match="trained by another process"):
            resume(run.path)
    finally:
        os.close(descriptor)


def test_a_run_goes_on_by_the_kernels_that_began_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", "numpy")
    run = train(check_configuration(table("adam", tmp_path)), tmp_path, progress=False)
    assert run.record["kernels"] == "numpy"
    record = {**run.record, "status": "interrupted", "kernels": "compiled"}
    (run.path / "run.json").write_text(json.dumps(record))
    run = Run(run.path)
    why = "was trained by the kernels 'compiled', and here they are 'numpy' (HANDGRAD_KERNELS=numpy): the environment's"
    with pytest.raises(ValueError, match=re.escape(why)):
        resume(run.path)
    with pytest.raises(ValueError, match=re.escape(why)):
        replay(run, 2)
