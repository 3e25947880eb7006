"""Files: JSON without NaN, arrays as large as they are, crafted ones refused in a line that names them."""

import json
import math
import os
import zipfile

import numpy as np
import pytest

import handgrad as hg
from handgrad import files


def test_json_never_holds_nan_and_old_records_that_do_are_read(tmp_path):
    files.write_json(tmp_path / "a.json", {"r2": math.nan, "losses": [1.0, math.inf]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"r2": None, "losses": [1.0, None]}
    assert files.from_json('{"r2": NaN, "losses": [-Infinity, 0.5]}', "old") == {"r2": None, "losses": [None, 0.5]}
    assert files.from_json('{"r2": 1e999}', "crafted") == {"r2": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "f is damaged: Expecting"),
        ('{"a": 1, "a": 2}', "f is damaged: the key 'a' stands twice in one table"),
        ("1" * 5000, "f is damaged: a number of 5000 digits"),
        ("[" * 100_000, "f is damaged: nested deeper than 100 levels"),
        ("[" * 200 + "]" * 200, "f is damaged: nested deeper than 100 levels"),
    ],
)
def test_json_made_to_harm_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        files.from_json(text, "f")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "f is damaged: 'size' is missing"),
        ({"size": -1}, "f is damaged: size is -1, expected a whole number from 0 to"),
        ({"size": True}, "f is damaged: size is True"),
        ({"size": 1, "rows": [{"loss": "low"}]}, "f is damaged: rows.0.loss is 'low', expected a number"),
        ({"size": 1, "rows": {}}, "f is damaged: rows is {}, expected a list"),
        ({"size": 1, "kind": "x"}, "f is damaged: kind is 'x', expected a or b"),
        ([], r"f is damaged: it is \[\], expected a table"),
    ],
)
def test_what_has_not_the_form_is_named_by_its_place(data, message):
    with pytest.raises(ValueError, match=message):
        files.check_form(data, {"size": files.COUNT, "rows?": [{"loss": float}], "kind?": {"a", "b"}}, "f")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_tree_comes_back_as_it_was_with_nan_and_infinity(suffix, tmp_path):
    tree = {"a": [np.arange(3), {"b": "text", "c": None}], "best": math.inf, "loss": math.nan, "n": 2**100, "yes": True}
    files.write_tree(tmp_path / f"t{suffix}", tree, "tree")
    read = files.read_tree(tmp_path / f"t{suffix}", "tree", "")
    np.testing.assert_array_equal(read["a"][0], np.arange(3))
    assert math.isnan(read.pop("loss"))
    assert {**read, "a": read["a"][1]} == {"a": {"b": "text", "c": None}, "best": math.inf, "n": 2**100, "yes": True}


def test_an_npz_that_announces_more_than_it_holds_is_refused_before_memory_is_asked_for(tmp_path):
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1)) | {"shape": (20 * 2**30,)}
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as archive, archive.open("weight.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(
        ValueError, match=r"big.npz is damaged .*'weight.npy' announces 171,798,691,840 bytes and holds"
    ):
        files.read_arrays(tmp_path / "big.npz")


def crafted(path, change):
    """A file of arrays whose JSON is changed by `change(data)`."""
    arrays, metadata = files.read_arrays(path)
    key = "architecture" if "architecture" in metadata else "state"
    data = json.loads(metadata[key])
    change(data)
    files.write_arrays(path, arrays, {**metadata, key: json.dumps(data)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("config"), "'config' is missing"),
        (lambda d: d["config"].update(layers=[3]), "config.layers.0 is 3, expected a table"),
        (lambda d: d["config"].update(colour="red"), "no argument 'colour'"),
        (lambda d: d.update(input_shape=[-4]), "input_shape.0 is -4"),
        (lambda d: d["config"]["layers"][0].update(units={}), "units must be a whole number >= 1"),
        (lambda d: d["config"]["layers"][0].update(layer=["x"]), "unknown layer"),
    ],
)
def test_a_crafted_model_is_refused_in_one_line(change, message, tmp_path):
    path = tmp_path / "model.npz"
    hg.Sequential([hg.Linear(3)]).build(4, rng=0).save(path)
    crafted(path, change)
    with pytest.raises(ValueError, match=rf"^[^\n]*model.npz[^\n]*{message}[^\n]*$"):
        hg.load_model(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["epoch"], {"value": "a"}, "epoch is 'a', expected a whole number"),
        (["epoch"], {"valu": 1}, "stands where a value or the name of an array should"),
        (["epoch"], {"array": "nowhere"}, "stands where a value"),
        (["engine"], {"array": "/engine/parameters/linear1.weight"}, r"engine is array\(\[\[.*expected a table"),
        (["streams"], {"dict": {}}, "'streams.init' is missing"),
        (["streams", "init", "state"], {"value": 3}, "the state of the stream 'init' is none"),
        (["plan", "batch_size"], {"value": 0}, "plan.batch_size is 0"),
        (["callbacks"], {"list": [{"dict": {"best_value": {"value": "x"}}}]}, "the memory of EarlyStopping is damaged"),
        (["engine", "optimizer", "num_steps"], {"value": -3}, "the state of SGD is damaged: num_steps is -3"),
        (["history", "loss"], {"list": []}, "do not belong together"),
    ],
)
def test_a_crafted_training_state_is_refused_in_one_line(path, value, message, tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 4))
    trainer = hg.Trainer(hg.Sequential([hg.Linear(2)]), callbacks=[hg.EarlyStopping("loss")])
    trainer.fit(x, np.arange(20) % 2, epochs=2)
    trainer.save(tmp_path / "state.npz")

    def change(data):
        for key in path[:-1]:
            data = data["dict"][key]
        data["dict"][path[-1]] = value

    crafted(tmp_path / "state.npz", change)
    with pytest.raises(ValueError, match=rf"^[^\n]*state.npz[^\n]*{message}[^\n]*$"):
        hg.Trainer.load(tmp_path / "state.npz", callbacks=[hg.EarlyStopping("loss")])


def test_a_state_saved_within_an_epoch_refuses_fewer_rows(tmp_path):
    class Stop(hg.Callback):
        def on_step_end(self, trainer):
            trainer.save(tmp_path / "state.npz")

    x, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2
    hg.Trainer(hg.Sequential([hg.Linear(2)]), callbacks=[Stop()]).fit(x, y, epochs=1, batch_size=10)
    trainer = hg.Trainer.load(tmp_path / "state.npz", callbacks=[hg.Callback()])
    with pytest.raises(ValueError, match="4 batches of the epoch are done, and the data make 3: resume with those"):
        trainer.resume(x[:30], y[:30])


def test_what_may_be_missing_in_a_training_state_may_be_missing(tmp_path):
    hg.Trainer(hg.Sequential([hg.Linear(1)]).build(2, rng=0), "mean-squared-error").save(tmp_path / "state.npz")
    crafted(tmp_path / "state.npz", lambda data: [data["dict"].pop(key) for key in ("plan", "stop_reason")])
    assert not hg.Trainer.load(tmp_path / "state.npz").has_plan


def test_a_number_that_no_float_holds_is_refused_like_others():
    with pytest.raises(ValueError, match="SGD: learning_rate must be a finite number > 0, got 1000"):
        hg.SGD(10**400)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_no_file_takes_the_place_of_a_device_a_pipe_or_a_link(tmp_path):
    """As root, `-o /dev/null` would put a file there for every program of the machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for write in (lambda path: files.write_text(path, "text"), files.check_output):
        with pytest.raises(ValueError, match="is a device or a pipe; name a file"):
            write(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a link, which would be replaced"):
        files.check_output(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_what_is_wrong_with_a_file_is_told_in_one_line_whatever_it_holds(tmp_path):
    with pytest.raises(ValueError) as raised, files.reading(tmp_path / "model.npz"):
        raise ValueError(f"units must be a whole number, got {np.arange(5000).reshape(50, 100)!r}")
    assert str(raised.value).startswith(f"{tmp_path / 'model.npz'} is damaged: units must be a whole number")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 1000
