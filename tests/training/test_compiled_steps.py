"""Many steps in one compiled call give what they give one by one, and everything around them works as ever."""

import copy
import pickle
import re
import signal
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.kernels import route
from handgrad.training import epochs
from handgrad.training import trainer as training

if route.epochs() is None:
    pytest.skip(route.why_numpy(), allow_module_level=True)

ACTIVATIONS = [*hg.layers.activations.ACTIVATIONS.values(), lambda: hg.GELU("none"), lambda: hg.ELU(0.3)]
LAYERS = [*ACTIVATIONS, hg.BatchNorm, hg.Dropout, lambda: hg.Dropout(0.0)]
OPTIMIZERS = [
    hg.SGD(0.01),
    hg.SGD(0.01, momentum=0.9),
    hg.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    hg.Adam(0.01, weight_decay=0.1, epsilon=0.01),  # what is added keeps rounding small where a gradient is 0
    hg.AdamW(0.01, epsilon=0.01),
    hg.RMSprop(0.01, epsilon=0.01),
    hg.Adagrad(0.05, epsilon=0.01),
]
CLIPPINGS = [None, hg.ClipGlobalNorm(0.1), hg.ClipValue(0.01)]
LOSSES = {  # name: the targets of so many rows and outputs
    "cross-entropy": lambda rng, n, k: rng.integers(0, k, n),
    "hinge": lambda rng, n, k: rng.integers(0, k, n),
    "binary-cross-entropy": lambda rng, n, k: rng.integers(0, 2, (n, k)),
    "mean-squared-error": lambda rng, n, k: rng.normal(size=(n, k)),
    "mean-absolute-error": lambda rng, n, k: rng.normal(size=(n, k)),
    "huber": lambda rng, n, k: 3 * rng.normal(size=(n, k)),
}
EXTRAS = [
    hg.CrossEntropy(label_smoothing=0.1),
    hg.CrossEntropy(class_weight=[1.0, 2.0, 0.5]),
    hg.CrossEntropy(class_weight=[1.0, 2.0, 0.5], label_smoothing=0.2),
]


@pytest.fixture(autouse=True)
def any_number_of_steps(monkeypatch):
    monkeypatch.setattr(training, "MANY_STEPS", 0)


def by_route(name, make, fit):
    """A trainer made anew and trained on this route."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDGRAD_KERNELS", name)
        trainer = make()
        fit(trainer)
    return trainer


def both_routes(make, fit, fast="compiled"):
    """The same training step by step, and many steps in a call."""
    single, compiled = (by_route(name, make, fit) for name in ("numpy", fast))
    assert not single._at_once and compiled._at_once
    return single, compiled


def check_same(single, compiled, tolerance=1e-12):
    """Parameters, what optimizer and batch norm remember, the history, and where the random numbers stand."""
    ours, theirs = compiled.state(), single.state()
    for part in ("parameters", "state", "optimizer"):
        for name, array in theirs["engine"][part].items():
            scale = max(1.0, np.abs(array).max(initial=0))
            np.testing.assert_allclose(ours["engine"][part][name], array, 0, tolerance * scale, err_msg=name)
    for name, values in theirs["history"].items():
        np.testing.assert_allclose(ours["history"][name], values, tolerance, tolerance, err_msg=name)
    assert ours["streams"] == theirs["streams"]
    assert ours["num_steps"] == theirs["num_steps"]


@st.composite
def trainings(draw):
    """(make, fit): a network of random layers, and how it is trained."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    layers = []
    for _ in range(draw(st.integers(0, 2))):
        layers += [hg.Linear(draw(st.integers(1, 6)), bias=draw(st.booleans())), draw(st.sampled_from(LAYERS))()]
    name, k = draw(st.sampled_from(list(LOSSES))), draw(st.integers(2, 3))
    loss, targets = name, LOSSES[name]
    if name == "cross-entropy" and k == 3:
        loss = draw(st.sampled_from([name, *EXTRAS]))
    layers.append(hg.Linear(k))
    optimizer, clipping = draw(st.sampled_from(OPTIMIZERS)), draw(st.sampled_from(CLIPPINGS))
    penalty = draw(st.sampled_from([None, hg.L2(0.01), hg.L1(0.01)]))
    batch_size = draw(st.integers(4, 12))
    n = draw(st.integers(20, 40).filter(lambda n: n % batch_size != 1))  # which batch norm refuses
    x, y = rng.normal(size=(n, 3)), targets(rng, n, k)
    weight = draw(st.sampled_from([None, rng.random(n) + 0.1]))

    def make():
        model = hg.Sequential(copy.deepcopy(layers)).build(3, rng=0, dtype=np.float64)
        rule = type(optimizer)(**{**optimizer.get_params(deep=False), "clipping": clipping})
        return hg.Trainer(model, loss, rule, penalty=penalty, metrics={})

    return make, lambda trainer: trainer.fit(x, y, epochs=2, batch_size=batch_size, sample_weight=weight)


@examples(60)
@given(trainings())
def test_random_trainings_are_the_same(training_of):
    check_same(*both_routes(*training_of))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_compiled(activation):
    rng = np.random.default_rng(0)
    x, y = 3 * rng.normal(size=(50, 4)), rng.integers(0, 3, 50)

    def make():
        layers = [hg.Linear(6), activation(), hg.Linear(3)]
        return hg.Trainer(hg.Sequential(layers).build(4, rng=0, dtype=float), optimizer=hg.SGD(0.1))

    check_same(*both_routes(make, lambda trainer: trainer.fit(x, y, epochs=3, batch_size=8)))


@pytest.mark.parametrize("loss", EXTRAS, ids=str)
def test_targets_may_be_probabilities(loss):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.dirichlet(np.ones(3), 50)

    def make():
        return hg.Trainer(hg.Sequential([hg.Linear(3)]).build(4, rng=0, dtype=float), loss)

    check_same(*both_routes(make, lambda trainer: trainer.fit(x, y, epochs=3, batch_size=8)))


def test_outputs_may_be_probabilities():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)

    def make():
        model = hg.Sequential([hg.Linear(3), hg.Softmax()]).build(4, rng=0, dtype=float)
        return hg.Trainer(model, "probability-cross-entropy")

    check_same(*both_routes(make, lambda trainer: trainer.fit(x, y, epochs=3, batch_size=8)))


def test_who_asked_for_gradients_sees_every_step():
    seen = []
    make, fit = iris(epochs=2)

    def watched():
        trainer = make()
        trainer.engine.on_gradients = seen.append
        return trainer

    trainer = by_route("compiled", watched, fit)
    assert len(seen) == trainer.num_steps


class ChainWithForward(hg.Sequential):
    """A chain whose forward is its own."""

    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, dy, input_gradient=True):
        return super().backward(2 * dy, input_gradient)


class OwnReLU(hg.ReLU):
    """A layer that is not the one whose name it might have."""


class Engine(hg.training.NumpyEngine):
    """An engine with a step of its own."""

    def step(self, x, y, sample_weight=None, metrics=False):
        return super().step(x, y, sample_weight, metrics)


class Halved(hg.training.NumpyEngine):
    """An engine whose step is made of something else."""

    def backward(self, dy):
        super().backward(dy / 2)


def replaced(part, method):
    """A trainer of which one method of one part was replaced by another."""
    trainer = hg.Trainer(hg.Sequential([hg.Linear(2)]).build(3, rng=0))
    thing = {"layer": trainer.model.layers[0], "model": trainer.model}.get(part) or getattr(trainer, part)
    original = getattr(thing, method)
    setattr(thing, method, lambda *arguments, **options: original(*arguments, **options))
    return trainer


@pytest.mark.parametrize(
    ("why", "make"),
    [
        ("a method of linear1 was replaced", lambda: replaced("layer", "forward")),
        ("a method of linear1 was replaced", lambda: replaced("model", "backward")),
        ("a method of CrossEntropy was replaced", lambda: replaced("loss", "forward")),
        ("a method of SGD was replaced", lambda: replaced("optimizer", "update")),
        ("NumpyEngine has a step of its own", lambda: replaced("engine", "propagate")),
        ("Halved has a step of its own", lambda: hg.Trainer(hg.Sequential([hg.Linear(2)]), engine=Halved)),
        ("ChainWithForward is no plain chain", lambda: hg.Trainer(ChainWithForward([hg.Linear(2)]))),
        ("Residual is no plain chain", lambda: hg.Trainer(hg.Sequential([hg.Residual([hg.Linear(3)]), hg.Linear(2)]))),
        (r"ownrelu1 \(OwnReLU\)", lambda: hg.Trainer(hg.Sequential([hg.Linear(2), OwnReLU()]))),
        (
            "ClipParameterNorm",
            lambda: hg.Trainer(hg.Sequential([hg.Linear(2)]), optimizer=hg.SGD(clipping=hg.ClipParameterNorm(1.0))),
        ),
        ("Engine has a step of its own", lambda: hg.Trainer(hg.Sequential([hg.Linear(2)]), engine=Engine)),
    ],
)
def test_what_cannot_be_compiled_is_trained_step_by_step(why, make):
    trainer = make()
    x = np.random.default_rng(0).normal(size=(20, 3))
    trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=1, batch_size=5)
    assert not trainer._at_once
    assert re.match(why, trainer.engine.why_single())


def iris(callbacks=(), epochs=20, **arguments):
    """(make, fit) of a small network on Iris."""
    data = hg.load_dataset("iris")

    def make():
        model = hg.Sequential([hg.Linear(8), hg.ReLU(), hg.BatchNorm(), hg.Dropout(0.3), hg.Linear(3)])
        model.build(4, rng=1, dtype=np.float64)
        return hg.Trainer(model, optimizer=hg.Adam(0.01), callbacks=[c() for c in callbacks])

    return make, lambda trainer: trainer.fit(*data.train, epochs=epochs, batch_size=10, **arguments)


def schedule():
    return hg.Schedule(hg.schedules.Cosine(0.1, num_steps=100), per="step")


def early_stopping():
    return hg.EarlyStopping("loss", patience=3)


class Losses(hg.Callback):
    """Looks at every third step."""

    def __init__(self):
        self.seen = {}

    def steps_unseen(self, trainer):
        return 2 - trainer.num_steps % 3

    def on_step_end(self, trainer):
        self.seen[trainer.num_steps] = trainer.figures["loss"]


@pytest.mark.parametrize("callbacks", [[], [schedule], [early_stopping], [Losses], [early_stopping, schedule]])
@pytest.mark.parametrize("validates", [False, True])
def test_callbacks_work_as_ever(callbacks, validates):
    data = hg.load_dataset("iris").validation
    single, compiled = both_routes(*iris(callbacks, validation_data=data if validates else None))
    check_same(single, compiled, 1e-9)
    assert single.stop_reason == compiled.stop_reason


def test_a_callback_sees_the_steps_it_asked_for():
    compiled = by_route("compiled", *iris([Losses], epochs=3))
    assert set(compiled.callbacks[0].seen) == set(range(3, compiled.num_steps + 1, 3))


class Epochs(hg.Callback):
    """Looks at five epochs together."""

    def __init__(self):
        self.begun, self.ended = [], []

    def epochs_unseen(self, trainer):
        return 5

    def on_epoch_begin(self, trainer):
        self.begun.append(trainer.epoch)

    def on_epoch_end(self, trainer):
        self.ended.append((trainer.epoch, trainer.num_steps, trainer.history["loss"][-1]))
        if trainer.epoch == 10:
            trainer.stop("ten are enough")


def test_a_callback_may_see_several_epochs_when_they_are_over():
    single, compiled = both_routes(*iris([Epochs], epochs=12))
    check_same(single, compiled, 1e-9)
    assert compiled.callbacks[0].begun == list(range(10))
    assert compiled.callbacks[0].ended == [pytest.approx(row) for row in single.callbacks[0].ended]


@pytest.mark.parametrize("metrics", [None, {"error": hg.metrics.mean_squared_error}])
def test_metrics_are_those_of_single_steps(metrics):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 1))
    loss = "binary-cross-entropy" if metrics is None else "mean-squared-error"

    def make():
        return hg.Trainer(hg.Sequential([hg.Linear(1)]).build(3, rng=0, dtype=float), loss, metrics=metrics)

    check_same(*both_routes(make, lambda trainer: trainer.fit(x, y, epochs=3, batch_size=8)))


def test_pixels_are_scaled_and_flattened():
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1)).astype(np.uint8)

    def make():
        return hg.Trainer(hg.Sequential([hg.Flatten(), hg.Linear(2)]).build((4, 4, 1), rng=0, dtype=float))

    check_same(*both_routes(make, lambda trainer: trainer.fit(x, x[:, 0, 0, 0] % 2, epochs=3, batch_size=8)))


@pytest.mark.parametrize("fast", ["compiled", "winograd"])
def test_single_precision_differs_by_rounding(fast):
    data = hg.load_dataset("digits")

    def make():
        return hg.Trainer(hg.Sequential([hg.Linear(30), hg.Tanh(), hg.Linear(10)]), optimizer=hg.SGD(0.1))

    check_same(*both_routes(make, lambda trainer: trainer.fit(*data.train, epochs=3, batch_size=64), fast), 1e-4)


@pytest.mark.skipif(route.vectors() is None, reason="no vectors here")
def test_many_threads_share_large_products_only(monkeypatch):
    monkeypatch.setattr("handgrad.training.epochs.num_threads", lambda: 8)
    engine = hg.Trainer(hg.Sequential([hg.Linear(1000), hg.Linear(10)]).build(1000, rng=0)).engine
    assert engine.at_once(1) > 1
    assert [engine._compiled.is_vectorised(batch_size) for batch_size in (1, 64)] == [True, False]


class StopAt(hg.Callback):
    """Presses Ctrl-C, as it were, after so many steps at least."""

    def __init__(self, steps=1):
        self.steps = steps

    def on_steps_end(self, trainer):
        if trainer.num_steps >= self.steps:
            self.steps = sys.maxsize
            signal.raise_signal(signal.SIGINT)


def test_an_interrupted_epoch_goes_on_to_the_same_bits(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(epochs, "ROW_BYTES", 10 * 4 * 8 * 3)  # three steps a call
    make, fit = iris([StopAt])
    whole = by_route("compiled", *iris(epochs=20))
    part = by_route("compiled", make, fit)
    assert part.was_interrupted and part.num_steps == 3
    part.save(tmp_path / "state.npz")
    again = hg.Trainer.load(tmp_path / "state.npz", callbacks=[StopAt(10**9)])
    by_route("compiled", lambda: again, lambda trainer: trainer.resume(*hg.load_dataset("iris").train))
    for name, array in whole.model.parameters.items():
        np.testing.assert_array_equal(again.model.parameters[name], array)
    assert again.history["loss"] == pytest.approx(whole.history["loss"], rel=1e-12)


def test_a_loss_that_is_no_number_is_blamed_as_ever():
    rng = np.random.default_rng(0)
    x, y = 1e3 * rng.normal(size=(64, 3)), rng.normal(size=(64, 1))

    def make():
        layers = [hg.Linear(4), hg.BatchNorm(), hg.Dropout(0.5), hg.Linear(1)]
        return hg.Trainer(hg.Sequential(layers).build(3, rng=0), "mean-squared-error", hg.SGD(1e38))

    def ending(name):
        trainer = make()
        with pytest.raises(FloatingPointError) as problem, np.errstate(all="ignore"):
            by_route(name, lambda: trainer, lambda trainer: trainer.fit(x, y, epochs=9, batch_size=8))
        return str(problem.value), trainer.num_steps, trainer.epoch, trainer.streams["dropout"].random()

    assert ending("compiled") == ending("numpy")
    assert "is not finite" in ending("compiled")[0]


def test_weights_of_a_batch_that_are_all_0_are_refused_as_ever():
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    weight = np.repeat([1.0, 0.0], 20)
    with pytest.raises(ValueError, match="the weights of this batch sum to 0"):
        trainer = hg.Trainer(hg.Sequential([hg.Linear(2)]))
        trainer.fit(x, y, sample_weight=weight, batch_size=10, shuffle=False)
    assert trainer.num_steps == 2


def test_a_trainer_that_trained_in_one_call_can_be_copied():
    make, fit = iris(epochs=2)
    trainer = by_route("compiled", make, fit)
    assert trainer._at_once
    for other in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer))):
        np.testing.assert_array_equal(other.model.parameter_vector, trainer.model.parameter_vector)
        fit(other)
