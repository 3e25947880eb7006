"""A run's folder: what is in it, and that damage and malice end in a sentence."""

import json
import os
import pickle
import re
import struct

import numpy as np
import pytest

import handgrad as hg
from example_runs import table
from handgrad.datasets.predictions import read_predictions, write_predictions
from handgrad.experiments import Run, check_configuration, configure, resume, train
from handgrad.experiments.gather import find_runs, select
from handgrad.experiments.replay import evaluate, predict


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return train(check_configuration(table("early", out)), out, progress=False, command=["handgrad", "train"])


@pytest.fixture
def copy(run, tmp_path):
    """A run folder to be spoilt."""
    folder = tmp_path / "experiments" / "early" / "2026-01-01-000000"
    folder.mkdir(parents=True)
    for path in run.path.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_folder_holds_what_it_should(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {"run.json", "metrics.jsonl", "checkpoint.safetensors", "model.safetensors", "curves.png"}
    record = run.record
    assert record["status"] == "finished"
    assert record["configuration"]["optimizer"] == {"name": "adam", "learning_rate": 0.05}
    assert record["versions"]["numpy"] == np.__version__
    assert record["command"] == ["handgrad", "train"]
    assert record["data"]["class_names"] == ["setosa", "versicolor", "virginica"]
    assert record["stop_reason"].startswith("validation_loss has not improved")


def test_the_metrics_have_a_line_per_epoch(run):
    assert [line["epoch"] for line in run.epochs()] == list(range(1, run.record["epochs"] + 1))
    history = run.history()
    assert set(history) == {"loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"}
    assert run.epochs()[-1]["layers"]["linear1.weight"]["gradient"] > 0


def test_the_model_is_rebuilt_from_the_record_alone(run):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    model = run.model()
    np.testing.assert_array_equal(model.predict(x), hg.load_model(run.path / "model.safetensors").predict(x))
    assert model.output_shape == (3,)


def test_two_runs_never_share_a_folder(tmp_path):
    configuration = check_configuration({**table("momentum", tmp_path), "epochs": 0})
    paths = {train(configuration, tmp_path, progress=False).path for _ in range(3)}
    assert len(paths) == 3
    with pytest.raises(OSError, match="exists already"):
        train(configuration, folder=paths.pop(), progress=False)


def test_a_run_without_epochs_has_results_and_no_curves(tmp_path):
    run = train(check_configuration({**table("momentum", tmp_path), "epochs": 0}), tmp_path, progress=False)
    assert run.status == "finished"
    assert not (run.path / "curves.png").exists()


def test_a_line_that_was_being_written_is_left_out(copy):
    lines = Run(copy).epochs()
    with open(copy / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 99, "lo')
    assert Run(copy).epochs() == lines


HEADER = struct.pack("<Q", 2**40)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", b"", "damaged"),
        ("run.json", b"{", "damaged"),
        ("run.json", b"[1, 2]", "expected a JSON object"),
        ("run.json", b"\xff\xfe", "damaged"),
        ("run.json", b"[" * 100_000, "damaged"),
        ("run.json", b'{"status": "running"}', "'configuration' is missing"),
        ("run.json", b'{"status": "great", "configuration": {}, "data": {}}', "status is 'great'"),
        (
            "run.json",
            b'{"status": "running", "configuration": {}, "data": {}, "results": 3}',
            "results is 3, expected a table",
        ),
        ("run.json", b'{"status": "running", "status": "failed"}', "the key 'status' stands twice"),
        ("run.json", b'{"status": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
        ("run.json", b'{"data": ' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper than 100 levels"),
        ("run.json", b" " * (2**24 + 1), "more than any run writes"),
        ("metrics.jsonl", b"[]\n", "metrics.jsonl line 1 is damaged"),
        ("metrics.jsonl", b'{"epoch": 1}\nnonsense\n', "metrics.jsonl line 2 is damaged"),
        ("metrics.jsonl", b'{"epoch": 1, "loss": "low"}\n', "line 1 is damaged: loss is 'low', expected a number"),
        ("metrics.jsonl", b'{"epoch": 1, "layers": {"a": 3}}\n', "layers.a is 3, expected a table"),
        ("model.safetensors", b"", "damaged"),
        ("model.safetensors", HEADER + b"{}", "damaged"),
        ("model.safetensors", pickle.dumps({"a": 1}), "damaged"),
        ("checkpoint.safetensors", HEADER, "damaged"),
        ("checkpoint.safetensors", pickle.dumps(print), "damaged"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(copy, name, content, message):
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        use(copy, name)


def use(folder, name):
    run = Run(folder)
    {
        "run.json": lambda: run,
        "metrics.jsonl": run.history,
        "model.safetensors": run.model,
        "checkpoint.safetensors": run.checkpoint,
    }[name]()


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.safetensors", "run.json", "metrics.jsonl"])
def test_a_pickle_in_disguise_is_never_run(copy, tmp_path, name):
    (copy / name).write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(ValueError, match="damaged"):
        use(copy, name)
    assert not (tmp_path / "boom").exists()


def change(folder, path, value):
    """Write the record with one key changed."""
    record = json.loads((folder / "run.json").read_text())
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["configuration", "model", "layers", 0, "units"], 10**15),
        (["configuration", "model", "layers", 0, "units"], 13),
        (["configuration", "model", "layers", 0, "units"], "many"),
        (["configuration", "model", "layers"], {"a": 1}),
        (["configuration", "model", "layers"], [{"layer": "os.system"}]),
        (["configuration", "callbacks"], [{"name": "os.system", "command": "true"}]),
        (["configuration", "engine"], {"name": "os:system"}),
        (["configuration", "optimizer"], {"name": "sgd", "learning_rate": 1}),
        (["configuration", "name"], "../../outside"),
        (["configuration", "epochs"], None),
        (["configuration", "data"], []),
        (["configuration", "data", "name"], "../../secret.doc"),
        (["data", "fingerprint"], 3),
    ],
)
def test_a_record_that_lies_is_not_resumed(copy, path, value):
    change(copy, path, value)
    with pytest.raises(ValueError, match=r".{10}"):
        resume(copy, progress=False)
    assert {file.name for file in copy.parent.parent.parent.iterdir()} == {"experiments"}


def test_a_checkpoint_of_another_run_is_refused(copy, tmp_path):
    other = train(check_configuration(table("adam", tmp_path)), tmp_path, progress=False)
    (copy / "checkpoint.safetensors").write_bytes((other.path / "checkpoint.safetensors").read_bytes())
    change(copy, ["seed"], 0)
    with pytest.raises(ValueError, match=r"callbacks|state"):
        resume(copy, progress=False)


def test_a_damaged_checkpoint_is_refused_with_the_way_out(copy):
    (copy / "checkpoint.safetensors").write_bytes(b"nothing")
    change(copy, ["status"], "interrupted")
    with pytest.raises(ValueError, match=r"damaged.*; delete that file, and resume starts the run from its beginning"):
        resume(copy, progress=False)
    (copy / "checkpoint.safetensors").unlink()
    assert resume(copy, progress=False).status == "finished"


def test_a_link_in_the_place_of_the_metrics_is_not_followed(copy, tmp_path):
    victim = tmp_path / "precious.txt"
    victim.write_text("{}\n")
    (copy / "metrics.jsonl").unlink()
    (copy / "metrics.jsonl").symlink_to(victim)
    change(copy, ["seed"], 0)
    with pytest.raises(OSError, match=r"metrics\.jsonl"):
        resume(copy, progress=False)
    assert victim.read_text() == "{}\n"


def test_runs_are_found_filtered_and_sorted_past_a_damaged_one(run, copy, tmp_path):
    bad = copy.parent / "bad"
    bad.mkdir()
    (bad / "run.json").write_text("{")
    second = copy.parent / "second"
    second.mkdir()
    record = json.loads((copy / "run.json").read_text())
    record["results"]["test"]["accuracy"] = 0.5
    record["configuration"]["seed"] = 7
    (second / "run.json").write_text(json.dumps(record))
    found, damaged = find_runs(copy.parent.parent)
    assert len(found) == 2
    assert "bad/run.json is damaged" in damaged[0]
    assert [r.id for r, _ in select(found, ["seed=7"])] == ["second"]
    assert [r.id for r, _ in select(found, ["test.accuracy>0.6"])] == [copy.name]
    assert [r.id for r, _ in select(found, sort="test.accuracy")] == [copy.name, "second"]
    with pytest.raises(ValueError, match=r"'test.acuracy'; did you mean 'test.accuracy'"):
        select(found, sort="test.acuracy")
    with pytest.raises(ValueError, match=r"'epoch'; did you mean 'epochs'"):
        select(found, ["seed=99"], columns=["epoch"])


def test_predictions_need_nothing_but_the_folder(run, tmp_path):
    header = "petal_width,petal_length,sepal_width,sepal_length"
    (tmp_path / "new.csv").write_text(f"{header}\n0.2,1.4,3.5,5.1\n2.5,6,3.3,6.3\n")
    found = predict(run, tmp_path / "new.csv")
    assert (found.values, found.target_name) == (["setosa", "virginica"], "species")
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_prediction_that_is_no_number_is_refused(run, tmp_path):
    (tmp_path / "new.csv").write_text("5.1,3.5,1.4,0.2\n5.1,1e300,1.4,0.2\n")
    with pytest.raises(ValueError, match=r"new\.csv: what the model predicts for example 2 is no number"):
        predict(run, tmp_path / "new.csv")


def test_class_names_come_back_exactly_as_they_stood(tmp_path):
    names = ["01", "1", " 1", "1.0", "2_5", "=1+1", "two\nlines", "a,b", "@x"]
    rows = "".join(f'{i},{i % 5},"{names[i % 9]}"\n' for i in range(90))
    (tmp_path / "t.csv").write_text(f"a,b,kind\n{rows}")
    run = train(configure(tmp_path / "t.csv", overrides=["epochs=1"]), tmp_path, progress=False)
    write_predictions(tmp_path / "p.csv", predict(run, tmp_path / "t.csv"))
    found = read_predictions(tmp_path / "p.csv")
    assert list(found) == ["row", "kind", *(f"P({name})" for name in sorted(names))]
    assert set(found["kind"]) <= set(names) and len(found["kind"]) == 90


def test_runs_recorded_before_there_were_schemas_are_read(run, copy, tmp_path):
    record = json.loads((copy / "run.json").read_text())
    schema = record["data"].pop("schema")
    (copy / "run.json").write_text(json.dumps(record))
    (tmp_path / "new.csv").write_text("5.1,3.5,1.4,0.2\n6.3,3.3,6,2.5\n")
    assert predict(Run(copy), tmp_path / "new.csv").values == ["setosa", "virginica"]
    for damage in ([], {"columns": 3}, {**schema, "categories": {"a": 5}}, {**schema, "decimal": "x"}):
        record["data"]["schema"] = damage or "no table"
        (copy / "run.json").write_text(json.dumps(record))
        with pytest.raises(ValueError, match=r"run\.json is damaged"):
            predict(Run(copy), tmp_path / "new.csv")


def test_a_model_measured_again_gives_the_recorded_figures(run):
    assert evaluate(run) == run.results


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", 3, "."])
def test_a_record_whose_data_no_file_can_be_holds_its_own_files(copy, tmp_path, name):
    record = json.loads((copy / "run.json").read_text())
    record["configuration"]["data"]["name"] = name
    (copy / "run.json").write_text(json.dumps(record))
    assert {path.parent for path in Run(copy).paths} == {copy}


def test_an_array_of_another_width_is_named_and_not_the_record(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 4))
    np.savez(tmp_path / "mine.npz", x=x, y=np.arange(30) % 2)
    run = train(configure(str(tmp_path / "mine.npz"), overrides=["epochs=1"]), tmp_path, progress=False)
    np.savez(tmp_path / "new.npz", x=x[:, :3])
    with pytest.raises(ValueError, match=r"new\.npz: x is \(30, 3\); expected \(N, 4\), the features trained on$"):
        predict(run, tmp_path / "new.npz")


def test_arrays_are_predicted_from_npy_and_a_runs_own_parts_by_name(run, tmp_path):
    x = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    np.save(tmp_path / "new.npy", x)
    assert predict(run, tmp_path / "new.npy").values == ["setosa", "virginica"]
    write_predictions(tmp_path / "p.csv", predict(run, "test"), "kaggle")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert len(lines) == 31 and re.fullmatch(r"Id,Category 1,[012] .* 30,[012]", " ".join(lines))
    for wrong, words in (
        (x[:, :3], r"x is \(2, 3\); expected \(N, 4\)"),
        (x * np.nan, r"x\[0, 0\] is nan; expected finite"),
    ):
        np.save(tmp_path / "new.npy", wrong)
        with pytest.raises(ValueError, match=rf"new\.npy: {words}"):
            predict(run, tmp_path / "new.npy")
    np.save(tmp_path / "new.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"cannot read .*new\.npy: "):
        predict(run, tmp_path / "new.npy")


def test_images_are_predicted_from_npz_and_idx(tmp_path):
    run = train(check_configuration({**table("images", tmp_path), "epochs": 1}), tmp_path, progress=False)
    with np.load(tmp_path / "images.npz") as file:
        x = file["x"]
    np.savez(tmp_path / "new.npz", x=x)
    (tmp_path / "new-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, *x.shape[:3]) + x.tobytes())
    from_npz = predict(run, tmp_path / "new.npz").values
    assert from_npz == predict(run, tmp_path / "new-images-idx3-ubyte").values
    assert set(from_npz) <= {"0", "1", "2"}
    (tmp_path / "short-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 99, 8, 8) + x.tobytes())
    with pytest.raises(ValueError, match="no whole IDX file"):
        predict(run, tmp_path / "short-idx3-ubyte")


def test_pixels_as_other_numbers_are_scaled_alike_or_refused(tmp_path):
    run = train(check_configuration({**table("images", tmp_path), "epochs": 1}), tmp_path, progress=False)
    with np.load(tmp_path / "images.npz") as file:
        x = file["x"]
    np.savez(tmp_path / "zero-to-one.npz", x=x / 255)
    np.savez(tmp_path / "bytes.npz", x=x)
    assert predict(run, tmp_path / "zero-to-one.npz").values == predict(run, tmp_path / "bytes.npz").values
    for dtype in (np.int64, np.float32):
        np.savez(tmp_path / "wide.npz", x=x.astype(dtype))
        with pytest.raises(ValueError, match=r"wide.npz: x is 0 to 219, but the run was trained on pixels: save them"):
            predict(run, tmp_path / "wide.npz")


def test_epochs_that_lack_a_figure_are_gaps_in_the_history(copy):
    (copy / "metrics.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n{"epoch": 2, "r2": 0.5, "loss": NaN}\n')
    history = Run(copy).history()
    assert history.num_epochs == 2
    np.testing.assert_array_equal(history["r2"], [np.nan, 0.5])
    np.testing.assert_array_equal(history["loss"], [1.0, np.nan])


def test_a_model_of_another_training_is_refused(copy, tmp_path):
    hg.Sequential([hg.Linear(7)]).build(4, rng=0).save(copy / "model.safetensors")
    (tmp_path / "new.csv").write_text("sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n")
    with pytest.raises(ValueError, match="the model has 7 outputs, the run's data 3 classes"):
        predict(Run(copy), tmp_path / "new.csv")
