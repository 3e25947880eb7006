"""How runs end badly: the loss explodes, the disk is full, the folder is closed; and what is kept then."""

import json
import subprocess
import sys

import numpy as np
import pytest

from example_runs import table
from handgrad import files
from handgrad.experiments import Run, RunFailed, check_configuration, recorder, resume, runner, train
from handgrad.experiments.recorder import Recorder


def configuration(folder, **changes):
    return check_configuration({**table("momentum", folder), **changes})


def test_a_loss_that_explodes_ends_the_run_and_is_recorded(tmp_path):
    wild = configuration(tmp_path, optimizer={"name": "sgd", "learning_rate": 1e30})
    with pytest.raises(RunFailed, match="the loss became"):
        train(wild, tmp_path, progress=False)
    (folder,) = (tmp_path / "momentum").iterdir()
    run = Run(folder)
    assert run.status == "failed"
    assert "lower the learning_rate" in run.record["error"]


def test_a_write_that_fails_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    original, calls = files.write_arrays, []

    def full_disk(path, arrays, metadata=None):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(f"cannot write {path}: No space left on device (nothing was changed)")
        original(path, arrays, metadata)

    usual = configuration(tmp_path, recording={"checkpoint_epochs": 1})
    expected = train(usual, tmp_path / "whole", progress=False).results
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_arrays", full_disk)
        with pytest.raises(RunFailed, match=r"No space left.*last good checkpoint is kept.*handgrad resume"):
            train(usual, tmp_path, progress=False)
    (folder,) = (tmp_path / "momentum").iterdir()
    assert Run(folder).checkpoint()["epoch"] == 2
    assert resume(folder, progress=False).results == expected


def test_a_run_that_is_killed_has_left_a_report(tmp_path, monkeypatch):
    """Once a minute, which here is no time at all; what is killed writes nothing any more."""
    monkeypatch.setattr(recorder, "MINUTE", -1)
    seen = []
    train(configuration(tmp_path), tmp_path, progress=False, report=lambda folder: seen.append(Run(folder).status))
    assert seen and set(seen) == {"running"}


def test_a_report_that_cannot_be_written_changes_no_ending(tmp_path):
    def report(folder):
        raise OSError("No space left on device")

    wild = configuration(tmp_path, optimizer={"name": "sgd", "learning_rate": 1e30})
    with pytest.raises(RunFailed, match="the loss became"):
        train(wild, tmp_path, progress=False, report=report)


FULL = """
import json, resource, sys
from handgrad.experiments import RunFailed, check_configuration, train
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    train(check_configuration(json.loads(sys.argv[1])), sys.argv[2], progress=False)
except RunFailed as problem:
    print("failed:", problem)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")
def test_a_disk_without_room_for_the_metrics_ends_the_run_in_a_line(tmp_path):
    """The largest file the process may write is cut down to what the record takes: metrics grow beyond it."""
    table_ = configuration(tmp_path, epochs=400, recording={"checkpoint_epochs": 1000}).as_table()
    for place, limit in (("roomy", 2**40), ("", 30000)):  # what is compiled once is kept before there is no room for it
        command = [sys.executable, "-c", FULL, json.dumps(table_), str(tmp_path / place), str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("failed: cannot write")
    assert "metrics.jsonl" in done.stdout
    assert done.stdout.count("\n") == 1
    (folder,) = (tmp_path / "momentum").iterdir()
    run = Run(folder)
    assert (run.status, run.epochs()[-1]["epoch"]) == ("failed", len(run.epochs()))


def test_an_output_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write in .*choose a folder with --out"):
        train(configuration(tmp_path), tmp_path / "file", progress=False)


def test_bad_input_leaves_nothing_behind(tmp_path):
    for wrong in ({"optimizer": "adm"}, {"batch_size": 5, "model": {"layers": [{"layer": "Linear", "units": 2}]}}):
        with pytest.raises(ValueError, match=r".{10}"):
            train(configuration(tmp_path, **wrong), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_second_ctrl_c_is_recorded_as_an_interruption(tmp_path, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(configuration(tmp_path), tmp_path, progress=False)
    (folder,) = (tmp_path / "momentum").iterdir()
    assert Run(folder).status == "interrupted"


def test_checkpoints_cost_at_most_a_share_of_the_time(tmp_path, monkeypatch):
    """A clock on which an epoch takes 1 s and a checkpoint 0.2 s: at 1% there is one in 20 epochs."""
    clock = [0.0]
    monkeypatch.setattr("handgrad.experiments.recorder.time.perf_counter", lambda: clock[0])
    written = []

    def save(trainer, path):
        clock[0] += 0.2
        written.append(trainer.epoch)

    def epoch_passes(recorder, trainer):
        clock[0] += 1.0

    monkeypatch.setattr("handgrad.training.Trainer.save", save)
    monkeypatch.setattr(Recorder, "on_epoch_begin", epoch_passes)
    train(configuration(tmp_path, epochs=50), tmp_path, progress=False)
    assert written == [1, 21, 41, 50]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_bad_rows_to_measure_on_are_refused_before_training(split, tmp_path):
    x, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 3
    for name in ("train", "validation", "test"):
        np.save(tmp_path / f"{name}_x.npy", np.where(x > 2, np.nan, x) if name == split else x)
        np.save(tmp_path / f"{name}_y.npy", y)
    with pytest.raises(ValueError, match=f"data.{split}: x holds nan at row"):
        train(configuration(tmp_path, data={"name": str(tmp_path)}), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
