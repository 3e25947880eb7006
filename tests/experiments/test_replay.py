"""Replaying a step shows the step that was trained."""

import numpy as np
import pytest

from example_runs import table
from handgrad.experiments import check_configuration, train
from handgrad.experiments.replay import replay
from handgrad.training import trainer


@pytest.mark.parametrize("name", ["adamw", "norm", "images"])
@pytest.mark.parametrize("step", [1, 5, 12])
def test_a_replayed_step_has_the_recorded_loss_and_norms(name, step, tmp_path):
    settings = {**table(name, tmp_path), "recording": {"metrics_steps": 1}}
    run = train(check_configuration(settings), tmp_path, progress=False)
    shown = replay(run, step)
    recorded = next(line for line in run.lines() if "epoch" not in line and line["step"] == step)
    assert shown.figures["loss"] == recorded["loss"]
    assert shown.learning_rate == recorded["learning_rate"]
    assert (shown.step, len(set(shown.rows.tolist()))) == (step, len(shown.rows))
    assert [row.name for row in shown.layers] == [layer.name for layer in run.model().layers]
    assert shown.layers[-1].dx_norm > 0


@pytest.mark.parametrize("many", [0, 10**9], ids=["many steps at once", "step by step"])
def test_the_last_step_of_an_epoch_has_the_norms_of_its_line(tmp_path, many, monkeypatch):
    monkeypatch.setattr(trainer, "MANY_STEPS", many)
    run = train(check_configuration(table("adam", tmp_path)), tmp_path, progress=False)
    line = run.epochs()[1]
    shown = {row.name: row for row in replay(run, line["step"]).parameters}
    for name, norms in line["layers"].items():
        np.testing.assert_array_equal([shown[name].gradient, shown[name].update], [norms["gradient"], norms["update"]])


def test_a_step_that_never_was_is_refused(tmp_path):
    run = train(check_configuration(table("adam", tmp_path)), tmp_path, progress=False)
    for step, message in ((0, "counted from 1"), (37, "has 36 steps; there is no step 37")):
        with pytest.raises(ValueError, match=message):
            replay(run, step)
