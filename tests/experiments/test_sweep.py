"""Sweeps: what they vary, that failures stay alone, and that a stopped one is gone on with."""

import json
import math
import os
import sys

import joblib
import numpy as np
import pytest

from example_runs import table
from handgrad.experiments import Run
from handgrad.experiments.sweep import Sweep, draws, grid, parse_axis, run_sweep, start_sweep


def axes(*texts):
    return dict(parse_axis(text) for text in texts)


def test_values_are_split_at_commas_outside_brackets_and_quotes():
    key, axis = parse_axis('optimizer=adam,{name="sgd", momentum=0.9},"a,b"')
    assert key == "optimizer"
    assert axis.values == ["adam", {"name": "sgd", "momentum": 0.9}, "a,b"]
    assert parse_axis("seed=1,2")[1].values == [1, 2]


def test_ranges_are_even_by_value_or_logarithm():
    assert parse_axis("a=log(1e-4,1e-1,4)")[1].grid() == [1e-4, 1e-3, 1e-2, 1e-1]
    assert parse_axis("a=linear(0, 1, 5)")[1].grid() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_grid_has_every_combination_and_draws_repeat_with_their_seed():
    both = axes("a=1,2", "b=log(0.1,10,3)")
    assert grid(both)[:2] == [{"a": 1, "b": 0.1}, {"a": 1, "b": 1.0}]
    assert len(grid(both)) == 6
    first, second = (draws(both, 20, np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert all(0.1 <= draw["b"] <= 10 for draw in first)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "key=values"),
        ("=1", "key=values"),
        ("a=", "key=values"),
        ("a=lgo(1,2,3)", "unknown range 'lgo'; did you mean 'log'"),
        ("a=log(0,1,3)", "0 < low < high"),
        ("a=log(2,1,3)", "low < high"),
        ("a=log(1)", r"a range is log\(low, high\)"),
        ("a=log(1,2,0)", "whole number >= 1"),
        ("a=1,nan", "finite numbers"),
        ("a=1,[inf]", "finite numbers"),
        ("a=linear(x,2,3)", "a range is"),
        ("a=log(1,2", r"--set a=log\(1,2: a '\)' is missing"),
        ("a=[1,2", "a ']' is missing"),
        ('a="x,2', "a '\"' is missing"),
        ("a=log(1,2))", "closes what was not opened"),
    ],
)
def test_faulty_settings_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_axis(text)


def test_a_range_on_a_grid_needs_a_count():
    with pytest.raises(ValueError, match=r"write log\(1, 2, 5\)"):
        grid(axes("a=log(1,2)"))


@pytest.fixture
def threads():
    """Trials in threads of this process: quick to start, and patches reach them."""
    with joblib.parallel_config(backend="threading"):
        yield


@pytest.fixture
def base(tmp_path):
    return {**table("momentum", tmp_path), "epochs": 2}


@pytest.mark.usefixtures("threads")
def test_a_sweep_trains_all_and_failures_stop_nothing(base, tmp_path):
    seen = []
    sweep = start_sweep(base, ["optimizer.learning_rate=0.01,1e30,0.1"], tmp_path)
    run_sweep(sweep, jobs=2, report=lambda sweep, trial: seen.append(trial["number"]))
    assert sorted(seen) == [0, 1, 2]
    again = Sweep(sweep.path)
    assert [trial["status"] for trial in again.trials] == ["finished", "failed", "finished"]
    assert "the loss became" in again.trials[1]["error"]
    best = again.ranked()[0]
    assert best["value"] == min(t["value"] for t in again.trials if t["value"] is not None)
    run = Run(sweep.folder(best))
    assert run.results["validation"]["loss"] == best["value"]
    assert run.configuration.optimizer["learning_rate"] == best["settings"]["optimizer.learning_rate"]


@pytest.mark.usefixtures("threads")
def test_a_stopped_sweep_trains_only_what_is_left(base, tmp_path):
    sweep = start_sweep(base, ["seed=1,2,3"], tmp_path)

    def stop(sweep, trial):
        if trial["number"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, jobs=1, report=stop)
    before = (sweep.folder(sweep.trials[0]) / "run.json").stat().st_mtime_ns
    resumed = run_sweep(Sweep(sweep.path), jobs=1)
    assert [trial["status"] for trial in resumed.trials] == ["finished"] * 3
    assert (sweep.folder(sweep.trials[0]) / "run.json").stat().st_mtime_ns == before


def test_trials_in_processes_equal_a_run_alone(base, tmp_path):
    sweep = run_sweep(start_sweep(base, ["seed=1,2"], tmp_path, metric="test.accuracy"), jobs=2)
    assert [trial["status"] for trial in sweep.trials] == ["finished"] * 2
    assert Run(sweep.folder(sweep.trials[0])).record["seed"] == 1


def test_a_killed_process_fails_only_its_own_trial(base, tmp_path, monkeypatch):
    """The process that trains seed 2 dies, and dies again when tried alone; the others are trained all the same."""
    original = joblib.Parallel.__call__
    monkeypatch.setattr(joblib.Parallel, "__call__", lambda self, tasks: original(self, [deadly(t) for t in tasks]))
    sweep = run_sweep(start_sweep(base, ["seed=1,2,3"], tmp_path), jobs=2)
    assert [trial["status"] for trial in sweep.trials] == ["finished", "failed", "finished"]
    assert "process was killed" in sweep.trials[1]["error"]


def deadly(task):
    return (os.abort, (), {}) if task[1][1]["settings"]["seed"] == 2 else task


@pytest.mark.usefixtures("threads")
def test_random_and_optuna_sweeps_have_the_number_asked_for(base, tmp_path):
    random = run_sweep(start_sweep(base, ["optimizer.learning_rate=log(1e-3,1)"], tmp_path, random=3, seed=5), jobs=1)
    assert len({trial["settings"]["optimizer.learning_rate"] for trial in random.trials}) == 3
    pytest.importorskip("optuna")
    settings = ["optimizer.learning_rate=log(1e-3,1)", "model.layers.0.units=4,8"]
    led = run_sweep(start_sweep(base, settings, tmp_path, optuna=3), jobs=1)
    assert [trial["status"] for trial in led.trials] == ["finished"] * 3
    record = json.loads((led.path / "sweep.json").read_text())
    (led.path / "sweep.json").write_text(json.dumps({**record, "count": 4}))
    assert len(run_sweep(Sweep(led.path), jobs=1).trials) == 4


def test_a_sweep_over_nothing_or_by_a_wrong_key_writes_nothing(base, tmp_path):
    for settings, message in (([], "something to vary"), (["epoch=1,2"], "unknown key 'epoch'")):
        with pytest.raises(ValueError, match=message):
            start_sweep(base, settings, tmp_path / "out")
    with pytest.raises(ValueError, match=r"no 'test.acc' to compare by; did you mean 'test.accuracy'"):
        start_sweep(base, ["seed=1,2"], tmp_path / "out", metric="test.acc")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"axes": ["a=1"], "trials": [3]}', "[]"])
def test_a_damaged_sweep_is_refused(content, tmp_path):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ValueError, match="damaged"):
        Sweep(tmp_path)


@pytest.mark.usefixtures("threads")
def test_a_trial_that_ends_without_a_finite_loss_has_failed_and_ranks_nowhere(base, tmp_path):
    """The only update overflows: no step sees it, only the figures measured at the end."""
    settings = ["optimizer.learning_rate=1e30,0.01,0.1"]
    sweep = run_sweep(start_sweep({**base, "epochs": 1, "batch_size": 1000}, settings, tmp_path), jobs=1)
    assert [trial["status"] for trial in sweep.trials] == ["failed", "finished", "finished"]
    assert "loss is" in sweep.trials[0]["error"] and "lower the learning_rate" in sweep.trials[0]["error"]
    values = [trial["value"] for trial in sweep.ranked()]
    assert len(values) == 2 and values == sorted(values)


def test_a_sweep_recorded_with_nan_is_sorted(tmp_path):
    """Earlier versions wrote NaN as the value of a trial that diverged."""
    trials = [{"number": i, "settings": {"seed": i}, "value": value} for i, value in enumerate((0.5, math.nan, 0.25))]
    record = {"base": {}, "axes": ["seed=0,1,2"], "mode": "grid", "seed": 0, "count": 3, "metric": "test.loss"}
    (tmp_path / "sweep.json").write_text(json.dumps({**record, "trials": trials}))
    assert [trial["number"] for trial in Sweep(tmp_path).ranked()] == [2, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks nothing")
@pytest.mark.usefixtures("threads")
def test_a_sweep_is_run_by_one_process_at_a_time(base, tmp_path):
    def try_beside(sweep, trial):
        with pytest.raises(ValueError, match="by another process: wait until that has ended"):
            run_sweep(Sweep(sweep.path), jobs=1)

    sweep = run_sweep(start_sweep(base, ["seed=1,2"], tmp_path), jobs=1, report=try_beside)
    assert [trial["status"] for trial in run_sweep(Sweep(sweep.path), jobs=1).trials] == ["finished"] * 2
