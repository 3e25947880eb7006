"""What a trainer, a model and a loss refuse at once, and in which words."""

import inspect
import signal

import numpy as np
import pytest

import handgrad as hg

X = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
Y = np.arange(40) % 3


def model():
    return hg.Sequential([hg.Linear(5), hg.ReLU(), hg.Linear(3)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"callbacks": [hg.EarlyStopping]}, "callbacks are objects"),
        ({"callbacks": hg.EarlyStopping()}, r"write callbacks=\[EarlyStopping"),
        ({"metrics": ["accuracy"]}, "metrics is a dict"),
        ({"engine": "numpy"}, "engine is a class such as handgrad.training.NumpyEngine.* got 'numpy'"),
        ({"penalty": 0.1}, "penalty must be a name.* got 0.1"),
        ({"loss": hg.CrossEntropy(class_weight="balanced")}, r"class_weight must be .*3 numbers"),
        ({"loss": hg.CrossEntropy(class_weight={0: 1, 1: 2, 2: 1})}, r"class_weight must be .*3 numbers"),
    ],
)
def test_parts_of_the_wrong_kind(arguments, message):
    with pytest.raises(TypeError, match=message):
        hg.Trainer(model(), **arguments).fit(X, Y, epochs=1)


@pytest.mark.parametrize("wrong", [[hg.Linear(3)], hg.Linear(3)])
def test_what_is_no_model(wrong):
    with pytest.raises(TypeError, match="model must be a Sequential"):
        hg.Trainer(wrong)


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True])
def test_what_is_no_seed(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        hg.Trainer(model(), seed=seed)


def test_validation_data_of_the_wrong_kind_is_named():
    trainer = hg.Trainer(model())
    with pytest.raises(TypeError, match=r"validation_data must be \(x, y\).* got ndarray"):
        trainer.fit(X, Y, validation_data=X, epochs=1)
    with pytest.raises(ValueError, match=r"validation_data: linear1 expected .* got \(40, 2\)"):
        trainer.fit(X, Y, validation_data=(X[:, :2], Y), epochs=1)
    with pytest.raises(ValueError, match="validation_data: x holds nan at row 2"):
        trainer.fit(X, Y, validation_data=(np.where(np.arange(len(X))[:, None] == 2, np.nan, X), Y), epochs=1)
    with pytest.raises(ValueError, match="validation_data: x has no rows"):
        trainer.fit(X, Y, validation_data=(X[:0], Y[:0]), epochs=1)


def test_shapes_in_messages_are_those_that_were_passed():
    built = model().build((4,), rng=0)
    with pytest.raises(ValueError, match=r"got \(40, 3\)"):
        built.predict(X[:, :3])
    with pytest.raises(ValueError, match=r"got \(4,\); this is one example: pass x\[None\]"):
        built.predict(X[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hg.BatchNorm(momentum=3), "BatchNorm: momentum"),
        (lambda: hg.BatchNorm(epsilon=-1), "BatchNorm: epsilon"),
        (lambda: hg.LayerNorm(epsilon=-1), "LayerNorm: epsilon"),
        (lambda: hg.LeakyReLU("a"), "LeakyReLU: alpha"),
        (lambda: hg.ELU("a"), "ELU: alpha"),
        (lambda: hg.Dropout("a"), "Dropout: rate, .* got 'a'"),
    ],
)
def test_arguments_of_layers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_without_their_list():
    with pytest.raises(TypeError, match=r"one list of layers: Sequential\(\["):
        hg.Sequential(hg.Linear(3), hg.ReLU())


# Every argument of what training is made of, given what it is not -----------------------------------------------------

BUILT = model().build(4, rng=0)
NONSENSE = ["a", b"a", object(), [1, "a"], {"a": 1}, hg.Linear, 1 + 2j, float("nan"), -1.5, ()]
CALLS = {  # what is called, with arguments that are right
    hg.Trainer: {"model": BUILT},
    hg.Trainer.fit: {"self": hg.Trainer(BUILT), "x": X, "y": Y, "epochs": 1},
    hg.Trainer.evaluate: {"self": hg.Trainer(BUILT), "x": X, "y": Y},
    hg.Trainer.save: {"self": hg.Trainer(BUILT)},
    hg.Trainer.load: {},
    hg.Sequential.predict: {"self": BUILT, "x": X},
    hg.EarlyStopping: {},
    hg.Checkpoint: {"path": "state.npz"},
    hg.Schedule: {"schedule": hg.schedules.Constant(0.1)},
    hg.diagnose: {"model": BUILT, "x": X, "y": Y, "loss": "cross-entropy"},
    hg.L2: {},
    hg.Huber: {},
    hg.ClipValue: {},
    hg.schedules.Exponential: {"initial": 0.1, "decay": 0.5},
    hg.schedules.OneCycle: {"peak": 0.1, "num_steps": 5},
    hg.schedules.WarmUp: {"schedule": hg.schedules.Constant(0.1), "num_steps": 5},
    hg.schedules.Sequence: {"schedules": [hg.schedules.Constant(0.1)], "lengths": []},
    hg.schedules.ReduceOnPlateau: {"initial": 0.1},
    **{optimizer: {} for optimizer in (hg.SGD, hg.Adam, hg.AdamW, hg.RMSprop, hg.Adagrad)},
}
TAKEN = {  # nonsense that makes sense
    (hg.Trainer, "callbacks"): [()],
    (hg.Trainer, "engine"): [hg.Linear],  # found out when it is to make an engine
    (hg.Trainer, "augment"): [hg.Linear],
    (hg.Trainer.load, "callbacks"): NONSENSE,  # found out when there is a file
    (hg.Checkpoint, "path"): ["a"],
    (hg.schedules.Sequence, "lengths"): [()],
    **{(call, "monitor"): ["a"] for call in (hg.EarlyStopping, hg.Checkpoint, hg.Schedule)},
}
ARGUMENTS = [
    pytest.param(call, name, id=f"{call.__qualname__}-{name}")
    for call in CALLS
    for name in inspect.signature(call).parameters
    if name not in ("self", "options")
]


@pytest.mark.parametrize(("call", "name"), ARGUMENTS)
def test_nonsense_is_refused_in_one_line(call, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in NONSENSE:
        if wrong in TAKEN.get((call, name), []):
            continue
        with pytest.raises((TypeError, ValueError, FileNotFoundError)) as problem:
            call(**{**CALLS[call], name: wrong})
        said = str(problem.value)
        assert "\n" not in said and len(said) < 400
        assert name.rstrip("s") in said or repr(wrong) in said or str(wrong) in said
    assert not list(tmp_path.iterdir())


def test_a_fit_that_is_refused_changes_nothing():
    trainer = hg.Trainer(model())
    trainer.fit(X, Y, epochs=2)
    before = trainer.state()
    for wrong in ({"y": Y + 1}, {"validation_data": (X, Y - 1)}, {"epochs": -1}, {"shuffle": 3}):
        with pytest.raises(ValueError):
            trainer.fit(**{"x": X, "y": Y, "epochs": 5, **wrong})
    assert trainer.plan == before["plan"] and trainer.is_finished
    unbuilt = hg.Trainer(model())
    with pytest.raises(ValueError, match="x has 40 rows, y has 3"):
        unbuilt.fit(X, Y[:3])
    assert not unbuilt.model.is_built


def test_masked_arrays_are_refused():
    masked = np.ma.masked_greater(X, 1)
    with pytest.raises(TypeError, match=r"^x is a masked array, and no network knows masks: leave out the masked rows"):
        hg.Trainer(model()).fit(masked, Y)
    with pytest.raises(TypeError, match=r"^y is a masked array"):
        hg.Trainer(model()).fit(X, np.ma.masked_equal(Y, 2))
    with pytest.raises(TypeError, match=r"^validation_data: x is a masked array"):
        hg.Trainer(model()).fit(X, Y, (masked, Y))
    with pytest.raises(TypeError, match=r"^x is a masked array"):
        BUILT.predict(masked)


@pytest.mark.parametrize("weight", [np.zeros(40), -np.ones(40), np.full(40, np.nan), np.ones(3), "a", np.ones((40, 2))])
def test_weights_that_are_none(weight):
    trainer = hg.Trainer(model())
    with pytest.raises((TypeError, ValueError), match=r"^sample_weight|sample_weight has"):
        trainer.fit(X, Y, sample_weight=weight)
    with pytest.raises((TypeError, ValueError), match=r"^validation_data: .*sample_weight"):
        trainer.fit(X, Y, (X, Y, weight))
    assert trainer.num_steps == 0


def test_validation_targets_are_tried_before_training():
    trainer = hg.Trainer(model())
    with pytest.raises(ValueError, match=r"validation_data: .*labels must be 0 to 2"):
        trainer.fit(X, Y, (X, Y + 1))
    with pytest.raises(TypeError, match=r"validation_data: .*integers"):
        trainer.fit(X, Y, (X, Y + 0.5))


@pytest.mark.parametrize(
    ("callback", "advice"),
    [
        (
            hg.EarlyStopping("val_loss"),
            r"'val_loss', .* measure \(pass validation_data to fit\); it measures: loss,",
        ),
        (hg.EarlyStopping("losss"), "did you mean 'loss'"),
        (
            hg.Checkpoint("state.npz", monitor="acc"),
            r"Checkpoint watches 'acc'.* did you mean 'accuracy'\?; it",
        ),
        (hg.Schedule(hg.schedules.ReduceOnPlateau(0.1)), "Schedule watches 'validation_loss'"),
    ],
)
def test_what_no_training_measures_is_refused_at_the_start(callback, advice):
    trainer = hg.Trainer(model(), callbacks=[callback])
    with pytest.raises(ValueError, match=advice):
        trainer.fit(X, Y)
    assert trainer.num_steps == 0
    with pytest.raises(ValueError, match=r"'val_los'.*did you mean 'validation_loss'"):
        hg.Trainer(model(), callbacks=[hg.EarlyStopping("val_los")]).fit(X, Y, (X, Y))


def test_what_a_callback_measures_can_be_watched():
    class Gap(hg.Callback):
        measures = ("gap",)

        def on_epoch_end(self, trainer):
            trainer.history.setdefault("gap", []).append(1.0)

    history = hg.Trainer(model(), callbacks=[Gap(), hg.EarlyStopping("gap", patience=2)]).fit(X, Y, epochs=9)
    assert history.num_epochs == 3


def test_an_optimizer_with_a_memory_is_not_shared_by_models():
    optimizer = hg.Adam(0.01)
    hg.Trainer(model(), optimizer=optimizer).fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="Adam remembers the training of another model"):
        hg.Trainer(model(), optimizer=optimizer).fit(X, Y, epochs=1)
    plain = hg.SGD(0.1)
    for _ in range(2):  # which remembers nothing
        hg.Trainer(model(), optimizer=plain).fit(X, Y, epochs=1)


def test_two_trainers_of_one_model_may_share_its_optimizer():
    net, optimizer = model(), hg.Adam(0.01)
    for _ in range(2):
        hg.Trainer(net, optimizer=optimizer).fit(X, Y, epochs=1)
    assert optimizer.num_steps == 4


def test_early_stopping_would_restore_the_parameters_of_another_model():
    stopping = hg.EarlyStopping("loss")
    hg.Trainer(model(), callbacks=[stopping]).fit(X, Y, epochs=2)
    with pytest.raises(ValueError, match="EarlyStopping remembers the training of another"):
        hg.Trainer(model(), callbacks=[stopping]).fit(X, Y, epochs=2)
    plateau = hg.schedules.ReduceOnPlateau(0.1)
    hg.Trainer(model(), callbacks=[hg.Schedule(plateau, monitor="loss")]).fit(X, Y, epochs=2)
    with pytest.raises(ValueError, match="ReduceOnPlateau remembers the training of another"):
        hg.Trainer(model(), callbacks=[hg.Schedule(plateau, monitor="loss")]).fit(X, Y, epochs=2)
    with pytest.raises(ValueError, match="stands twice"):
        hg.Trainer(model(), callbacks=[stopping, stopping])


def test_what_is_put_in_a_parts_place_is_used():
    trainer = hg.Trainer(model(), optimizer=hg.SGD(0.1))
    trainer.fit(X, Y, epochs=1)
    before = trainer.model.parameter_vector.copy()
    trainer.optimizer, trainer.loss = hg.SGD(1e-12), hg.Hinge()
    trainer.fit(X, Y, epochs=1)
    np.testing.assert_allclose(trainer.model.parameter_vector, before, atol=1e-6)
    assert trainer.evaluate(X, Y)["loss"] == pytest.approx(hg.Hinge()(trainer.model.predict(X), Y))


class Replacing(hg.Callback):
    def on_epoch_end(self, trainer):
        trainer.optimizer = hg.SGD(0.2)


def test_a_part_replaced_in_the_middle_of_training_is_refused():
    with pytest.raises(ValueError, match="do so between two calls of fit"):
        hg.Trainer(model(), callbacks=[Replacing()]).fit(X, Y, epochs=2)


def interrupted(step=3):
    class Interrupting(hg.Callback):
        def on_step_end(self, trainer):
            if trainer.num_steps == step:
                signal.raise_signal(signal.SIGINT)

    trainer = hg.Trainer(model(), callbacks=[Interrupting()])
    trainer.fit(X, Y, epochs=2, batch_size=10)
    assert trainer.was_interrupted
    return trainer


def test_resuming_on_other_rows_is_refused(tmp_path):
    trainer = interrupted()
    trainer.save(tmp_path / "state.npz")
    for one in (trainer, hg.Trainer.load(tmp_path / "state.npz", callbacks=[hg.Callback()])):
        with pytest.raises(ValueError, match="begun on 40 rows, and these are 30"):
            one.resume(X[:30], Y[:30])
        assert one.resume(X, Y).num_epochs == 2


def test_a_fit_on_other_rows_begins_their_epoch():
    trainer = interrupted()
    trainer.fit(X[:20], Y[:20], epochs=1, batch_size=10)
    assert trainer.num_steps == 3 + 2


@pytest.mark.parametrize("name", ["loss", "learning_rate", "validation_loss"])
def test_metrics_do_not_replace_what_training_measures(name):
    with pytest.raises(ValueError, match=f"may not be called '{name}'"):
        hg.Trainer(model(), metrics={name: lambda outputs, targets: 0.0})


def test_a_metric_that_is_no_number_is_named():
    with pytest.raises(TypeError, match="metric 'twice' must return a number"):
        hg.Trainer(model(), metrics={"twice": lambda outputs, targets: outputs}).fit(X, Y, epochs=1)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), "0.1", None])
def test_learning_rates_that_are_none_are_refused_when_assigned(rate):
    optimizer = hg.SGD(0.1)
    with pytest.raises(ValueError, match="SGD: learning_rate must be a finite number >= 0"):
        optimizer.learning_rate = rate
    with pytest.raises(ValueError, match="learning_rate must be"):
        hg.Trainer(model(), callbacks=[hg.Schedule(lambda epoch: rate)]).fit(X, Y, epochs=1)
    with pytest.raises(AttributeError, match="did you mean 'learning_rate'"):
        optimizer.lr = 0.2


def test_training_is_true_or_false():
    built = model().build(4, rng=0)
    for forward in (built.forward, built[0].forward):
        with pytest.raises(ValueError, match="training must be True or False, got 'no'"):
            forward(X, training="no")


def test_nan_is_no_class():
    built = model().build(4, rng=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"example 2 is no number.* too large for float32"):
        built.predict_classes(np.array([[0, 0, 0, 0], [1e300, 1e300, 1e300, 1e300]]))
    built.parameter_vector[...] = np.nan
    with pytest.raises(ValueError, match=r"example 1 is no number.* training diverged"):
        built.predict_probabilities(X)


def test_arrays_put_in_the_place_of_a_layers_are_refused_in_training():
    for replace in (
        lambda net: setattr(net[0], "parameters", {"weight": np.zeros((4, 5), np.float32), "bias": np.zeros(5)}),
        lambda net: setattr(net, "parameter_vector", np.zeros_like(net.parameter_vector)),
    ):
        net = model().build(4, rng=0)
        replace(net)
        with pytest.raises(ValueError, match=r"'linear1.weight' is no longer the array that training moves"):
            hg.Trainer(net).fit(X, Y, epochs=1)


def test_parameters_are_copied_into_and_never_taken_away():
    net = model().build(4, rng=0)
    net.parameters.update({"linear1.bias": np.ones(5)})
    assert (net[0].parameters["bias"] == 1).all()
    with pytest.raises(ValueError, match="has shape"):
        net.parameters.update({"linear1.weight": np.zeros((5, 4))})
    with pytest.raises(TypeError, match="stay as many as they are"):
        net.parameters.pop("linear1.bias")
