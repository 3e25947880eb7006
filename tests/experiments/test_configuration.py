"""Configurations: what they say, what they refuse and in which words."""

import re
from pathlib import Path

import pytest

from example_runs import TABLES, table
from handgrad.experiments import READY, check_configuration, configuration_text, configure, load_configuration, train
from handgrad.experiments.assembly import build_model, build_trainer, load_data
from handgrad.experiments.configuration import Configuration, apply_overrides, dump_toml, parse_toml, read_table
from handgrad.experiments.runner import prepare
from handgrad.files import strip_arrays


@pytest.mark.parametrize("name", READY)
def test_a_ready_configuration_is_valid_and_says_in_a_comment_what_it_is(name):
    assert load_configuration(name).name == name
    assert READY[name].read_text().startswith("# ")


@pytest.mark.parametrize("name", TABLES)
def test_a_configuration_survives_being_written_as_toml(name, tmp_path):
    configuration = check_configuration(table(name, tmp_path))
    again = check_configuration(parse_toml(dump_toml(configuration.as_table()), "text"))
    assert again == configuration


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("seed=3", lambda c: c.seed == 3),
        ("optimizer.learning_rate=0.5", lambda c: c.optimizer["learning_rate"] == 0.5),
        ("optimizer=adam", lambda c: c.optimizer == {"name": "adam"}),
        ("loss.label_smoothing=0.1", lambda c: c.loss["label_smoothing"] == 0.1),
        ("model.layers.0.units=7", lambda c: c.model["layers"][0]["units"] == 7),
        ("model.layers.1=Tanh", lambda c: c.model["layers"][1] == {"layer": "Tanh"}),
        ("model.layers.1.name=first", lambda c: c.model["layers"][1] == {"layer": "ReLU", "name": "first"}),
        ("penalty.name=l2", lambda c: c.penalty == {"name": "l2"}),
        ('callbacks=[{name="early-stopping"}]', lambda c: len(c.callbacks) == 1),
        ("data.test=30", lambda c: c.data.test == 30),
    ],
)
def test_overrides_change_one_key(override, value):
    assert value(load_configuration("iris", [override]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epoch=3", r"unknown key 'epoch'; did you mean 'epochs'\?"),
        ("data.tset=0.2", r"unknown key 'data.tset'; did you mean 'test'\?"),
        ("recording.checkpoint_step=1", r"unknown key 'recording.checkpoint_step'; did you mean 'checkpoint_steps'"),
        ("epochs=many", r"epochs = 'many': expected .*integer"),
        ("epochs=2.5", r"epochs = 2.5: expected .*integer"),
        ("epochs=-1", r"epochs = -1: expected greater than or equal to 0"),
        ("batch_size=0", r"batch_size = 0: expected greater than or equal to 1"),
        ("seed=true", r"seed = True: expected .*integer"),
        ("data.validation=half", r"data.validation = 'half': expected .*number"),
        ("data.target=2.5", r"data.target = 2.5: expected the name of a column"),
        ("dtype=float16", r"dtype = 'float16': expected 'float32' or 'float64'"),
        ("optimizer=3", r"optimizer = 3: expected a name"),
        ("model.layers=[]", r"layers must be a list of at least one layer"),
        ("model.layers=[3]", r"layers.0 must be a name"),
        ("model.depth=3", r"'depth' does not go with layers"),
        ("model.layers.9.units=3", r"'9' must be a number from 0 to 2"),
        ("seed", r"--set takes key=value"),
        ("epochs.x=3", r"'epochs' is 50, no table"),
        ("name=../up", r"name = '../up'"),
    ],
)
def test_a_wrong_key_or_type_is_named_with_its_path(override, message):
    with pytest.raises(ValueError, match=message):
        load_configuration("iris", [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer=admm", r"^optimizer: unknown optimizer 'admm'; did you mean 'adam'"),
        ("optimizer.learning_rat=1", r"^optimizer: .*'learning_rat'; did you mean 'learning_rate'"),
        ("optimizer.learning_rate=0", r"^optimizer: SGD: learning_rate must be a finite number > 0, got 0"),
        ("optimizer.learning_rate=fast", r"^optimizer: SGD: learning_rate must be a finite number > 0, got 'fast'"),
        ("loss=cross-entrpy", r"^loss: unknown loss 'cross-entrpy'; did you mean 'cross-entropy'"),
        ("model.layers.0.layer=Liner", r"^model: .*'Liner'; did you mean 'Linear'"),
        ("model.layers.0.unit=3", r"^model: .*'unit'; did you mean 'units'"),
        ("model.layers.2.units=2", r"target|label"),
        ("engine=jax", r"^engine: unknown engine 'jax'"),
        ("schedule=cosin", r"^schedule: unknown schedule 'cosin'; did you mean 'cosine'"),
        ('callbacks=[{name="early-stoping"}]', r"^callbacks.0: unknown callback 'early-stoping'; did you mean"),
        (
            'callbacks=[{name="early-stopping", patience=0}]',
            "EarlyStopping: patience must be a whole number >= 1, got 0",
        ),
        (
            'augmentation=["random_flop"]',
            r"^augmentation: unknown augmentation 'random_flop'; did you mean 'random_flip'",
        ),
        ("data.name=irs", r"^data: unknown data set 'irs'; did you mean 'iris'"),
        ("penalty=l3", r"^penalty: unknown penalty 'l3'"),
        ('model.layers.1={layer="Dropout", rate="x"}', r"^model: Dropout: rate, .* got 'x'"),
        ("model.layers.2.units=4", r"^model: it ends with 4 outputs, but iris has 3 classes"),
        ('augmentation=["random_flip"]', r"^augmentation: .*takes images"),
        (
            'callbacks=[{name="early-stopping", monitor="val_loss"}]',
            r"watches 'val_loss'.*did you mean 'validation_loss'",
        ),
        (
            'callbacks=[{name="early-stopping", monitor=3}]',
            "EarlyStopping: monitor must be a text, got 3",
        ),
        ('model.layers=["RNN"]', r"^model: layer RNN needs the argument 'units'"),
        ('schedule={name="reduce_on_plateau", monitor="losss"}', r"watches 'losss'.*did you mean 'loss'"),
    ],
)
def test_a_wrong_part_is_named_before_anything_is_trained(override, message):
    with pytest.raises(ValueError, match=message):
        prepare(load_configuration("iris", [override]))


def test_early_stopping_needs_rows_that_validate():
    with pytest.raises(ValueError, match=r"watches 'validation_loss'.*data.validation is 0"):
        prepare(load_configuration("iris", ['callbacks=["early-stopping"]', "data.validation=0"]))


def test_a_last_batch_of_one_row_under_batch_norm_is_refused_at_once():
    normed = ['model.layers=[{layer="Linear", units=8}, "BatchNorm", {layer="Linear", units="classes"}]']
    with pytest.raises(ValueError, match=r"^model: batchnorm1 cannot train on one example"):
        prepare(load_configuration("iris", [*normed, "batch_size=19"]))  # 96 rows = 5 * 19 + 1
    prepare(load_configuration("iris", [*normed, "batch_size=96"]))


def test_the_rehearsal_leaves_no_trace():
    """A trainer that has rehearsed is the trainer that has not, in every number of its state."""
    settings = ['model.layers.1={layer="Dropout", rate=0.5}', "optimizer.name=adam", "optimizer.learning_rate=0.01"]
    configuration = check_configuration({**read_table("iris"), "optimizer": "adam"})
    configuration = check_configuration(apply_overrides(configuration.as_table(), settings))
    rehearsed = prepare(configuration).trainer
    plain = build_trainer(configuration, load_data(configuration), rehearsed.callbacks)
    first, second = {}, {}
    assert strip_arrays(rehearsed.state(), "", first) == strip_arrays(plain.state(), "", second)
    assert all((first[name] == second[name]).all() for name in first)


def test_unreadable_files_say_so(tmp_path):
    (tmp_path / "bad.toml").write_text("epochs = = 3")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    messages = {"bad.toml": "no TOML.*line 1", "binary.toml": "not UTF-8", "none.toml": "cannot read"}
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            load_configuration(tmp_path / name)


def test_a_file_without_a_name_is_called_by_its_own(tmp_path):
    (tmp_path / "mine.toml").write_text(READY["iris"].read_text().replace('name = "iris"\nepochs', "epochs"))
    assert load_configuration(tmp_path / "mine.toml").name == "mine"


def test_units_classes_becomes_the_number_of_classes():
    assert prepare(load_configuration("iris")).trainer.model.output_shape == (3,)
    with pytest.raises(ValueError, match=r"model.layers.2: units = .classes., but the targets of diabetes are"):
        prepare(load_configuration("iris", ["data.name=diabetes"]))


def test_a_named_model_gets_as_many_outputs_as_there_are_classes():
    named = ['model={name="digits-mlp"}', "data.name=wine"]
    assert prepare(load_configuration("iris", named)).trainer.model.output_shape == (3,)
    wrong = {"model.name=digts-mlp": "did you mean 'digits-mlp'", "model.outputs=3": "no argument"}
    for override, message in wrong.items():
        with pytest.raises(ValueError, match=f"^model: .*{message}"):
            prepare(load_configuration("iris", [*named, override]))


def test_a_schedule_starts_from_the_learning_rate_and_spans_the_run():
    job = prepare(load_configuration("iris", ["schedule.name=cosine", "optimizer.learning_rate=0.2"]))
    schedule = job.trainer.callbacks[0].schedule
    assert (schedule.initial, schedule.num_steps) == (0.2, 50)
    job = prepare(load_configuration("iris", ["schedule.name=one-cycle", "schedule.per=step"]))
    assert job.trainer.callbacks[0].schedule.num_steps == 50 * 6


def test_a_table_gets_a_network_for_its_target(tmp_path):
    rows = ["height,weight,kind", *(f"{i},{i * i},{'ab'[i % 2]}" for i in range(20))]
    (tmp_path / "My table!.csv").write_text("\n".join(rows))
    classes = configure(tmp_path / "My table!.csv")
    assert (classes.name, classes.loss["name"]) == ("My-table-", "cross-entropy")
    (tmp_path / "numbers.csv").write_text("\n".join(f"{i},{i * i / 7}" for i in range(20)))
    numbers = configure(tmp_path / "numbers.csv", "1", ["data.task=regression", "seed=2"])
    assert (numbers.seed, numbers.loss["name"]) == (2, "mean-squared-error")
    assert numbers.model["layers"][-1]["units"] == 1


def test_config_show_gives_back_what_was_written_or_what_would_run():
    assert configuration_text("iris") == READY["iris"].read_text()
    shown = check_configuration(parse_toml(configuration_text("iris", None, ["seed=4"]), "shown"))
    assert shown == load_configuration("iris", ["seed=4"])


def test_overrides_make_tables_on_the_way():
    assert apply_overrides(read_table("iris"), ["recording.checkpoint_steps=2"])["recording"] == {"checkpoint_steps": 2}


DOCS = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()


def test_the_configuration_in_the_docs_is_valid_and_names_every_key():
    shown = parse_toml(re.search(r"```toml\n(.*?)```", DOCS, re.S).group(1), "docs/experiments.md")
    assert check_configuration(shown).data.seed == 0
    missing = set(Configuration.model_fields) - set(shown)
    assert not missing


def test_the_python_in_the_docs_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(re.search(r"```python\n(.*?)```", DOCS, re.S).group(1), scope)
    assert scope["run"].status == "finished"


def test_a_key_of_the_wrong_type_is_named_before_a_missing_one():
    with pytest.raises(ValueError, match="epochs = 'ten'"):
        check_configuration({"name": "a", "epochs": "ten"})


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("training.epochs=5", "did you mean 'epochs'"),
        ("learning_rate=0.1", "did you mean 'optimizer.learning_rate'"),
        ("checkpoint_steps=3", "did you mean 'recording.checkpoint_steps'"),
    ],
)
def test_a_key_in_the_wrong_table_is_told_its_place(override, hint):
    with pytest.raises(ValueError, match=hint):
        load_configuration("iris", [override])


def test_layers_inside_of_layers_are_checked_and_get_the_number_of_classes(tmp_path):
    inner = '[{layer = "Linear", units = 5}, "ReLU", {layer = "Linear", units = "classes"}]'
    configuration = load_configuration(
        "iris", [f'model.layers=[{{layer = "Sequential", layers = {inner}}}]', "epochs=1"]
    )
    assert train(configuration, tmp_path, progress=False).model().output_shape == (3,)
    for wrong, where in (
        ("[]", r"layers\.0\.layers must be a list of at least one"),
        ("[3]", r"layers\.0\.layers\.0 must"),
        ('[{layer = "Branches", branches = [["ReLU"], [3]]}]', r"layers\.0\.layers\.0\.branches\.1\.0 must"),
    ):
        with pytest.raises(ValueError, match=where):
            load_configuration("iris", [f'model.layers=[{{layer = "Sequential", layers = {wrong}}}]'])


def test_residuals_and_branches_stand_in_configurations(tmp_path):
    path = tmp_path / "both.toml"
    table = load_configuration("iris", ["epochs=1"]).as_table()
    linear = {"layer": "Linear", "units": "classes"}
    shortcut = {"layer": "Residual", "layers": ["Tanh", linear], "shortcut": linear}
    joined = {"layer": "Branches", "branches": [[linear, "ReLU"], "Identity"], "join": "concat"}
    path.write_text(dump_toml({**table, "model": {"layers": [shortcut, joined, linear]}}))
    model = train(load_configuration(path), tmp_path, progress=False).model()
    assert [layer.output_shape for layer in model] == [(3,), (6,), (3,)]
    assert "residual1.shortcut.weight" in model.parameters
    override = "model.layers.0.shortcut=Linear", "model.layers.0.shortcut.units=3"
    assert load_configuration(path, override).model["layers"][0]["shortcut"] == {"layer": "Linear", "units": 3}
    iris = load_configuration(path, ["data.name=diabetes"])
    with pytest.raises(ValueError, match=r"^model.layers.0.layers.1: units = .classes., but the targets of diabetes"):
        build_model(iris, load_data(iris))
