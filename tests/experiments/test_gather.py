"""From run folders to pages: what a page says is what the run says, and a folder made to harm does none."""

import json
from collections import Counter

import numpy as np
import pytest

import handgrad as hg
from example_runs import BASE, DENSE, IRIS
from handgrad.experiments import Run, RunFailed, check_configuration, train
from handgrad.experiments.gather import LiveRuns, followed, gather, gather_record, gather_several
from handgrad.reports.page import render_report


def trained(out, **changes):
    configuration = check_configuration({"name": "iris", "data": IRIS, "model": DENSE, **BASE, **changes})
    return train(configuration, out, progress=False, command=["handgrad", "train", "my iris.toml"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs"))


def test_the_view_is_the_record(run):
    view = gather(run)
    assert (view.name, view.id, view.status, view.notes) == ("iris", run.path.name, "finished", [])
    assert view.history == run.history() and len(view.history["loss"]) == 6
    assert next(iter(view.results.items())) == ("test accuracy", run.results["test"]["accuracy"])
    assert view.facts["epochs"] == "6" and view.facts["seed"] == 0
    assert view.commands[-1] == "handgrad train 'my iris.toml'"
    assert view.origin["data"]["fingerprint"] == hg.load_dataset("iris").fingerprint


def test_mistakes_are_those_of_the_saved_model(run):
    view, data = gather(run), hg.load_dataset("iris")
    predicted = run.model().predict_classes(data.test.x)
    wrong = np.flatnonzero(predicted != data.test.y)
    assert view.confusion.sum() == len(data.test.y) and np.trace(view.confusion) == len(data.test.y) - len(wrong)
    assert {example.row for example in view.wrong} == set(wrong[:12].tolist()) and view.measured_on == "test"
    in_order = [(example.true, example.predicted, -example.confidence) for example in view.wrong]
    times = Counter((true, taken) for true, taken, _ in in_order)
    assert in_order == sorted(in_order, key=lambda e: (-times[e[:2]], list(data.class_names).index(e[0]), e))
    probabilities = run.model().predict_probabilities(data.test.x)
    for example in view.wrong:
        assert example.chance == pytest.approx(probabilities[example.row, data.test.y[example.row]])
        assert example.true == data.class_names[data.test.y[example.row]]
        assert example.predicted == data.class_names[predicted[example.row]]
        assert 0.05 < example.values["petal_width"] < 3  # centimetres, not standard deviations


def test_sizes_are_joined_by_layer(run):
    view, sized = gather(run), [line for line in run.lines() if "layers" in line]
    norms, line = view.norms, sized[2]["layers"]
    assert view.norm_epochs[2] == sized[2]["step"] / 6
    assert list(norms) == ["linear1", "linear2"]
    weight, bias = line["linear1.weight"], line["linear1.bias"]
    assert norms["linear1"]["gradient"][2] == pytest.approx(np.hypot(weight["gradient"], bias["gradient"]))
    assert norms["linear1"]["update"][2] == pytest.approx(
        np.hypot(weight["update"], bias["update"]) / np.hypot(weight["norm"], bias["norm"])
    )


def test_of_a_training_that_failed_the_page_tells_why_and_judges_no_model(tmp_path):
    folder = tmp_path / "failed"
    linear = {"layers": [{"layer": "Linear", "units": 1}]}
    with pytest.raises(RunFailed):
        trained(folder, data={"name": "diabetes"}, model=linear, loss="mean-squared-error", epochs=30,
                optimizer={"name": "sgd", "learning_rate": 0.9})  # fmt: skip
    (record,) = folder.rglob("run.json")
    view = gather(Run(record.parent))
    assert view.verdict[0].startswith("failed after ") and view.verdict[1] == "bad" and "loss" in view.verdict[0]
    assert view.summary and view.diagnosis is None and view.truth is None and view.wrong == []
    page = render_report(view)
    assert "No unit is dead" not in page and ">best: " not in page and 'class="headline"' not in page


def test_digits_are_drawn_and_regression_has_no_classes(tmp_path):
    digits = gather(trained(tmp_path, data={"name": "digits"}, epochs=1))
    assert digits.filters.shape == (12, 8, 8, 3) and digits.wrong[0].image.shape == (8, 8, 1)
    numbers = {"layers": [{"layer": "Linear", "units": 1}]}
    diabetes = gather(trained(tmp_path, data={"name": "diabetes"}, model=numbers, loss="mean-squared-error", epochs=1))
    assert diabetes.confusion is None and "test r2" in diabetes.results
    true, predicted = diabetes.truth
    errors = [abs(example.confidence) for example in diabetes.wrong]
    assert errors == sorted(abs(predicted - true), reverse=True)[:12] and len(true) == 88
    assert diabetes.filters is None and "<h1>" in render_report(diabetes)


def test_what_cannot_be_measured_is_told(run, tmp_path):
    folder = copy_of(run, tmp_path)
    record = json.loads((folder / "run.json").read_text())
    record["data"]["fingerprint"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record))
    (note,) = gather(Run(folder)).notes
    assert "have changed since" in note and gather(Run(folder)).summary
    (folder / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
    (note,) = gather(Run(folder)).notes
    assert "model.safetensors" in note and "<h1>" in render_report(gather(Run(folder)))


def copy_of(run, tmp_path):
    import shutil

    return shutil.copytree(run.path, tmp_path / "copy")


WRONG = {
    "name": ["<img src=x>"],
    "seed": {"a": 1},
    "seconds": "soon",
    "started": ["<b>"],
    "command": {"<b>": 1},
    "git": "<b>",
    "results": {"test": {"accuracy": "<script>", "loss": [1]}},
    "model": {"num_parameters": "<b>"},
    "versions": {"<b>": ["<script>"]},
    "stop_reason": {"a": "<script>"},
}


@pytest.mark.parametrize("key", WRONG)
def test_a_record_of_wrong_types_is_a_page_or_one_line(run, tmp_path, key):
    folder = copy_of(run, tmp_path)
    record = json.loads((folder / "run.json").read_text())
    record["configuration" if key == "name" else key] = {"name": WRONG[key]} if key == "name" else WRONG[key]
    (folder / "run.json").write_text(json.dumps(record))
    try:
        page = render_report(gather(Run(folder)))
    except ValueError as problem:
        assert "\n" not in str(problem)
    else:
        assert page.count("<script>") == 1 and "<img src=x" not in page
        assert "<b>" not in page.replace("<figcaption><b>", "")


@pytest.mark.parametrize(
    "line",
    [
        '{"epoch": 7, "layers": 3}',
        '{"epoch": 7, "layers": {"a.b": 1}}',
        "[1]",
        "{",
        '{"epoch": 7, "loss": {"a": 1}}',
        '{"epoch": 7, "<b>": "x"}',
    ],
)
def test_damaged_metrics_are_a_page_or_one_line(run, tmp_path, line):
    folder = copy_of(run, tmp_path)
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(line + "\n")
    try:
        page = render_report(gather_record(Run(folder)))
    except ValueError as problem:
        assert "metrics.jsonl" in str(problem) and "\n" not in str(problem)
    else:
        assert page.count("<script>") == 1


def test_several_come_from_runs_and_folders_each_once(run, tmp_path):
    for seed in (0, 1):
        trained(tmp_path, seed=seed, epochs=1)
    views = gather_several([tmp_path, run.path, next(tmp_path.glob("iris/*"))])
    assert len(views) == 3 and [view.configuration["seed"] for view in views] == [0, 1, 0]
    with pytest.raises(ValueError, match="no runs in"):
        gather_several([tmp_path / "iris" / views[0].id / ".." / ".." / make_empty(tmp_path)])


def make_empty(folder):
    (folder / "empty").mkdir()
    return "empty"


def test_live_runs_are_those_below_the_folder_and_none_beside_it(run, tmp_path):
    inside = tmp_path / "watched"
    trained(inside, epochs=1)
    (inside / "link").symlink_to(run.path)
    (inside / "iris" / "half").mkdir()
    (inside / "iris" / "half" / "run.json").symlink_to(run.path / "run.json")
    source = LiveRuns(inside)
    (key,) = source.runs()
    assert source.view(key).name == "iris" and not source.is_run
    before = source.stamp(key)
    with open(inside / key / "metrics.jsonl", "a") as file:
        file.write("{}\n")
    assert source.stamp(key) != before
    alone = LiveRuns(run.path)
    assert alone.is_run and alone.runs() == [run.path.name] and alone.view(run.path.name).id == run.path.name
    with pytest.raises(ValueError, match="there is no folder"):
        LiveRuns(tmp_path / "nothing")
    assert LiveRuns(tmp_path / "nothing", may_come=True).runs() == []


def dense():
    return [hg.Linear(5), hg.BatchNorm(), hg.Tanh(), hg.Dropout(0.5), hg.Linear(4)]


@pytest.mark.parametrize(
    "layers",
    [
        [*dense(), hg.Linear(3)],
        [hg.Residual(dense()), hg.Branches([dense(), [hg.Dropout(0.5), hg.Residual(dense())]]), hg.Linear(3)],
        [
            hg.Reshape((2, 2, 1)),
            hg.Residual([hg.Conv2D(1, 3, padding="same"), hg.BatchNorm(), hg.ReLU()]),
            hg.Flatten(),
        ],
    ],
    ids=["dense", "nested", "images"],
)
def test_an_example_is_followed_through_the_network_and_back(layers):
    rng = np.random.default_rng(0)
    model = hg.Sequential(layers).build((4,), rng=0, dtype=np.float64)
    model.forward(rng.normal(size=(9, 4)), training=True)  # so that batch norm's averages are none it began with
    model.clear_cache()
    x = rng.normal(size=(1, 4))
    steps, gradient = followed(model, x)
    assert [name for name, _ in steps] == [layer.label for layer in model.layers] and not model.has_cache
    y = model.predict(x)
    assert np.allclose(steps[-1][1], y[0])
    moved = [model.predict(x + 1e-6 * step)[0, y.argmax()] for step in np.concatenate([np.eye(4), -np.eye(4)])]
    assert np.allclose(gradient, (np.array(moved[:4]) - moved[4:]) / 2e-6)


def test_a_report_shows_an_example_on_its_way(run):
    view = gather(run)
    page = render_report(view)
    assert [name for name, _ in view.passage.steps] and len(view.passage.columns) == view.passage.gradient.size
    assert "One example through the network" in page and f"Row {view.passage.row} of the {view.measured_on}" in page
