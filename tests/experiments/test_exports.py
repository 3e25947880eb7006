"""TensorBoard's files read back, and MLflow's calls; a small stand-in for MLflow, whose package is large."""

import struct
import sys
import types

import pytest

from example_runs import table
from handgrad.experiments import check_configuration, recorder, train
from handgrad.experiments.runner import prepare


@pytest.fixture
def run(tmp_path):
    return train(check_configuration(table("momentum", tmp_path)), tmp_path, progress=False)


def read_events(path):
    """The events in a TFRecord file: an 8-byte length, its checksum, the event, its checksum, and so on."""
    from tensorboardX.proto.event_pb2 import Event

    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def test_tensorboard_files_hold_the_figures_of_each_epoch(run, tmp_path):
    pytest.importorskip("tensorboardX")
    count = recorder.export_tensorboard(run, tmp_path / "board")
    (path,) = (tmp_path / "board").iterdir()
    found = {
        (value.tag, event.step): value.simple_value for event in read_events(path) for value in event.summary.value
    }
    assert len(found) == count
    history = run.history()
    assert found["loss/validation", 6] == pytest.approx(history["validation_loss"][-1])
    assert found["accuracy/train", 1] == pytest.approx(history["accuracy"][0])
    assert found["learning_rate", 3] == pytest.approx(0.05)
    assert found["gradient_norm/linear1.weight", 2] > 0


def test_a_file_in_the_place_of_the_folder_is_refused(run, tmp_path):
    (tmp_path / "board").write_text("")
    with pytest.raises(ValueError, match="board is a file; event files go into a folder"):
        recorder.export_tensorboard(run, tmp_path / "board")


def test_a_missing_package_is_named_with_its_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'handgrad\[tensorboard\]'"):
        recorder.export_tensorboard(run, tmp_path)


@pytest.fixture
def mlflow(monkeypatch):
    """The four functions of MLflow that are called, noting what they are called with."""
    fake, calls = types.ModuleType("mlflow"), []
    fake.set_experiment = lambda name: calls.append(("experiment", name))
    fake.start_run = lambda run_id: (
        calls.append(("start", run_id)),
        types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_id or "abc")),
    )[1]
    fake.log_params = lambda params: calls.append(("params", params))
    fake.log_metrics = lambda metrics, step: calls.append(("metrics", step, metrics))
    fake.end_run = lambda status: calls.append(("end", status))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return calls


def test_a_training_is_logged_to_mlflow(mlflow, tmp_path):
    logged = {"callbacks": [{"name": "mlflow", "experiment": "flowers"}], "epochs": 2}
    run = train(check_configuration({**table("momentum", tmp_path), **logged}), tmp_path, progress=False)
    assert mlflow[:2] == [("experiment", "flowers"), ("start", None)]
    assert mlflow[2][1]["optimizer.learning_rate"] == "0.05"
    assert [call[:2] for call in mlflow[3:]] == [("metrics", 1), ("metrics", 2), ("end", "FINISHED")]
    assert mlflow[4][2]["validation_loss"] == run.history()["validation_loss"][-1]


def test_a_resumed_training_goes_on_in_its_mlflow_run(mlflow, tmp_path):
    configured = check_configuration({**table("momentum", tmp_path), "callbacks": ["mlflow"]})
    state = train(configured, tmp_path, progress=False).checkpoint()
    job = prepare(configured)
    job.trainer.load_state(state)
    job.trainer.callbacks[0].on_fit_begin(job.trainer)
    assert mlflow[-1] == ("start", "abc")
