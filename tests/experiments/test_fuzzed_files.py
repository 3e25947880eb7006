"""What the files of a run, a sweep, a model, a training state say, and configurations: read, or refused in one line."""

import copy
import json
import shutil

import joblib
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from example_runs import table
from fuzzing import fuzzed
from handgrad import files
from handgrad.cli.show import sweep_rows
from handgrad.experiments import Run, check_configuration, train
from handgrad.experiments.gather import fields, gather_record
from handgrad.experiments.runner import prepare
from handgrad.experiments.sweep import Sweep, run_sweep, start_sweep
from handgrad.reports.comparison import render_comparison
from handgrad.reports.page import render_report

JUNK = st.one_of(
    st.sampled_from([None, True, False, -1, 0, 1, 2, 3.5, 10**4, 10**15, 10**30, 10**400, -(10**30)]),
    st.sampled_from([float("nan"), float("inf"), 1e308, -1e-308, "", "a", "\x00", "\u2028", "x" * 1000, "finished"]),
    st.sampled_from(
        [[], [[]], [1], ["a"], [None], {}, {"a": 1}, {"name": "sgd"}, {"layer": "Linear"}, {"a": {"b": {}}}]
    ),
    st.sampled_from([{"value": 1}, {"array": "x"}, {"dict": {}}, {"list": []}, {"number": "nan"}, {"number": 3}]),
)


def places(data, path=()):
    """The paths to all there is in nested data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def spoilt(draw, data):
    """Nested data with junk here, something missing there, and parts in the place of others."""
    data = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 3))):
        paths = list(places(data))
        if not paths:
            return data
        *parents, last = draw(st.sampled_from(paths))
        place = data
        for key in parents:
            place = place[key]
        what = draw(st.sampled_from(["junk", "junk", "gone", "other"]))
        if what == "gone":
            del place[last]
        elif what == "junk":
            place[last] = copy.deepcopy(draw(JUNK))
        else:
            other = data
            for key in draw(st.sampled_from(paths)):
                other = other[key]
            place[last] = copy.deepcopy(other)
    return data


def tried(path, *works):
    """Do these works one after the other: each is done, or refused in a line that names the file."""
    for work in works:
        try:
            work()
        except ValueError as refusal:
            assert str(path) in str(refusal) and "\n" not in str(refusal)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run, a sweep, a model and a training state."""
    folder = tmp_path_factory.mktemp("fuzz")
    base = {**table("early", folder), "epochs": 2}
    shutil.copytree(train(check_configuration(base), folder / "out", progress=False).path, folder / "run")
    with joblib.parallel_config(backend="threading"):
        swept = run_sweep(
            start_sweep(base, ["seed=1,2", "optimizer.learning_rate=log(0.1,1,2)"], folder / "out"), jobs=1
        )
    shutil.copytree(swept.path, folder / "sweep")
    model = hg.Sequential([hg.Linear(5), hg.BatchNorm(), hg.ReLU(), hg.Linear(3)])
    trainer = hg.Trainer(model, optimizer=hg.Adam(), callbacks=[hg.EarlyStopping(patience=1)], penalty=hg.L2(1e-3))
    data = hg.load_dataset("iris")
    trainer.fit(*data.train, data.validation, epochs=2)
    trainer.save(folder / "state.npz")
    model.save(folder / "model.npz")
    return folder


def original(path):
    """The plain data in a file as it was first."""
    if path not in ORIGINALS:
        ORIGINALS[path] = path.read_text()
    return ORIGINALS[path]


ORIGINALS: dict = {}


@fuzzed
@given(data=st.data())
def test_a_record(place, data):
    file = place / "run" / "run.json"
    file.write_text(json.dumps(data.draw(spoilt(json.loads(original(file))))))
    try:
        run = Run(place / "run")
    except ValueError:
        return tried(place / "run", lambda: Run(place / "run"))
    assert isinstance(render_report(gather_record(run)), str)
    assert isinstance(render_comparison([gather_record(run)]), str)
    fields(run)
    return tried(file, lambda: run.configuration)


@fuzzed
@given(data=st.data())
def test_metrics(place, data):
    file = place / "run" / "metrics.jsonl"
    (place / "run" / "run.json").write_text(original(place / "run" / "run.json"))
    lines = data.draw(spoilt([json.loads(line) for line in original(file).splitlines()]))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = Run(place / "run")
    tried(file, run.history, lambda: render_report(gather_record(run)))
    file.write_text(original(file))


@fuzzed
@given(data=st.data())
def test_a_sweep(place, data):
    file = place / "sweep" / "sweep.json"
    file.write_text(json.dumps(data.draw(spoilt(json.loads(original(file))))))
    tried(file, lambda: sweep_rows(Sweep(place / "sweep")))


@fuzzed
@given(data=st.data(), name=st.sampled_from(["model.npz", "state.npz"]))
def test_a_model_or_a_training_state(place, data, name):
    arrays, metadata = files.read_arrays(place / name)
    key = "architecture" if name == "model.npz" else "state"
    crafted = {**metadata, key: json.dumps(data.draw(spoilt(json.loads(metadata[key]))))}
    path = place / f"crafted-{name}"
    files.write_arrays(path, arrays, crafted)
    if name == "model.npz":
        tried(path, lambda: hg.load_model(path))
    else:
        tried(path, lambda: hg.Trainer.load(path, callbacks=[hg.EarlyStopping(patience=1)]))


@fuzzed
@given(data=st.data(), name=st.sampled_from(["early", "adamw", "adagrad", "plateau", "clipped", "norm"]))
def test_a_configuration(place, data, name):
    tried("", lambda: prepare(check_configuration(data.draw(spoilt({**table(name, place), "epochs": 1})))))


@fuzzed
@given(text=st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_bytes_of_any_kind(place, text):
    for name in ("run/run.json", "run/metrics.jsonl", "sweep/sweep.json", "crafted.npz"):
        file = place / name
        if name != "crafted.npz":
            original(file)
        file.write_bytes(text)
    tried(
        place,
        lambda: Run(place / "run"),
        lambda: Sweep(place / "sweep"),
        lambda: files.read_arrays(place / "crafted.npz"),
    )
    for file, content in ORIGINALS.items():
        file.write_text(content)
