"""The loop: what is measured, what a seed fixes, and that a stopped run goes on to the same bits."""

import os
import signal

import numpy as np
import pytest

import handgrad as hg

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
VALIDATION = (X[40:], Y[40:])


class Noise(hg.Layer):
    """Multiplies by noise in training: draws from the dropout stream."""

    def infer_output_shape(self, input_shape):
        return input_shape

    def compute(self, x, training):
        mask = self.rng.random(x.shape, dtype=np.float32) if training else np.float32(0.5)
        return x * mask, mask

    def differentiate(self, dy, cache):
        return dy * cache, {}


def jitter(x, rng):
    return x + rng.normal(scale=0.01, size=x.shape)


def trainer(optimizer="adam", callbacks=(), seed=0, **options):
    model = hg.Sequential([hg.Linear(8), hg.ReLU(), Noise(), hg.Linear(3)])
    return hg.Trainer(model, hg.CrossEntropy(), optimizer, seed=seed, callbacks=callbacks, **options)


def fit(t, epochs=4, **options):
    return t.fit(X[:40], Y[:40], validation_data=VALIDATION, epochs=epochs, batch_size=16, **options)


class Until(hg.Callback):
    """Does something once, after a given step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step_end(self, trainer):
        if trainer.num_steps == self.step:
            self.action(trainer)


def test_it_learns():
    t = trainer(optimizer=hg.Adam(learning_rate=0.02))
    history = t.fit(X[:40], Y[:40], epochs=100)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert t.evaluate(X[:40], Y[:40])["accuracy"] > 0.9
    assert set(history) == {"loss", "accuracy", "learning_rate"} and history.num_epochs == 100


def test_same_seed_same_bits_other_seed_other_bits():
    a, b, c = (trainer(seed=seed, augment=jitter) for seed in (0, 0, 1))
    assert fit(a) == fit(b) != fit(c)
    np.testing.assert_array_equal(a.model.parameter_vector, b.model.parameter_vector)


def test_the_global_generator_is_never_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the point of the test)
    fit(trainer(augment=jitter))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_step_is_forward_loss_backward_update():
    model = hg.Sequential([hg.Linear(3)]).build((4,), rng=0, dtype=np.float64)
    twin = model.astype(np.float64)
    t = hg.Trainer(model, hg.CrossEntropy(), hg.SGD(learning_rate=0.1))
    loss = hg.CrossEntropy()
    expected = loss.forward(twin.forward(X, training=True), Y)
    twin.backward(loss.backward())
    assert t.step(X, Y) == expected
    np.testing.assert_allclose(model.parameter_vector, twin.parameter_vector - 0.1 * twin.gradient_vector, rtol=1e-14)


def test_training_figures_are_row_weighted_means_over_the_batches():
    t = hg.Trainer(hg.Sequential([hg.Linear(3)]), optimizer=hg.SGD(learning_rate=1e-12))
    history = t.fit(X, Y, epochs=1, batch_size=16)
    measured = t.evaluate(X, Y)
    np.testing.assert_allclose(history["loss"][0], measured["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["accuracy"][0], measured["accuracy"])


def test_exact_training_figures_are_measured_after_the_epoch():
    t = trainer()
    history = t.fit(X, Y, epochs=3, batch_size=16, exact=True)
    assert {"loss": history["loss"][-1], "accuracy": history["accuracy"][-1]} == t.evaluate(X, Y)


def test_penalty_is_part_of_loss_and_gradient():
    losses = {}
    for penalty in (None, hg.L2(0.1)):
        model = hg.Sequential([hg.Linear(3)]).build((4,), rng=0, dtype=np.float64)
        t = hg.Trainer(model, optimizer=hg.SGD(learning_rate=0.1), penalty=penalty)
        weight = model.parameters["linear1.weight"].copy()
        losses[penalty] = t.step(X, Y), t.model.parameters["linear1.weight"].copy()
    (plain, w), (penalised, v) = losses.values()
    np.testing.assert_allclose(penalised - plain, 0.05 * (weight**2).sum())
    np.testing.assert_allclose(w - v, 0.1 * 0.1 * weight)


def test_sample_weights_reach_the_loss():
    weight = np.where(Y == 0, 1.0, 0.0)
    t = hg.Trainer(hg.Sequential([hg.Linear(3)]), optimizer=hg.SGD(learning_rate=0.5))
    t.fit(X, Y, epochs=50, batch_size=50, sample_weight=weight)
    assert (t.model.predict_classes(X[Y == 0]) == 0).all()
    assert t.evaluate(X, Y, sample_weight=weight)["loss"] < t.evaluate(X, Y)["loss"]


def test_augmentation_touches_training_batches_only():
    seen = []
    t = trainer(augment=lambda x, rng: seen.append(len(x)) or x)
    fit(t, epochs=2)
    assert sum(seen) == 2 * 40


def test_a_second_fit_goes_on():
    once, twice = trainer(), trainer()
    fit(once, epochs=4)
    fit(twice, epochs=1)
    history = fit(twice, epochs=3)
    assert history.num_epochs == 4
    np.testing.assert_array_equal(once.model.parameter_vector, twice.model.parameter_vector)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("step", [1, 3, 5, 12])
def test_resume_equals_uninterrupted_to_the_bit(tmp_path, step, suffix):
    def callbacks():
        schedule = hg.Schedule(hg.schedules.Exponential(0.01, 0.9), per="step")
        return [schedule, hg.EarlyStopping(patience=2)]

    whole, path = trainer(callbacks=callbacks(), augment=jitter), tmp_path / f"state{suffix}"
    whole.callbacks.append(Until(step, lambda t: t.save(path)))
    fit(whole)
    again = hg.Trainer.load(path, callbacks=[*callbacks(), hg.Callback()], augment=jitter)
    history = again.resume(X[:40], Y[:40], validation_data=VALIDATION)
    assert history == whole.history
    for name, array in whole.model.parameters.items():
        np.testing.assert_array_equal(again.model.parameters[name], array)


def test_ctrl_c_ends_after_the_running_step_and_resume_goes_on(capsys):
    whole = trainer()
    fit(whole)
    stopped = trainer(callbacks=[Until(5, lambda t: os.kill(os.getpid(), signal.SIGINT))])
    history = fit(stopped)
    assert stopped.was_interrupted and stopped.num_steps == 5 and history.num_epochs == 1
    assert "resume" in capsys.readouterr().err
    stopped.resume(X[:40], Y[:40], validation_data=VALIDATION)
    np.testing.assert_array_equal(whole.model.parameter_vector, stopped.model.parameter_vector)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resume_without_a_fit_is_refused():
    with pytest.raises(ValueError, match="call fit"):
        trainer().resume(X, Y)


def test_divergence_names_the_first_bad_thing_and_updates_nothing():
    t = hg.Trainer(hg.Sequential([hg.Linear(3), hg.Linear(3)]).build((4,), rng=0))
    t.model.parameters["linear2.bias"] = np.full(3, np.nan)
    not_finite = "'linear2.bias' is not finite.*learning_rate"
    with pytest.raises(FloatingPointError, match=not_finite), np.errstate(all="ignore"):
        t.fit(X, Y, epochs=5)
    model = hg.Sequential([hg.Linear(3), Log(), hg.Linear(3)]).build((4,), rng=0)
    before = model.parameter_vector.copy()
    with pytest.raises(FloatingPointError, match="layer 'log1'"), np.errstate(all="ignore"):
        hg.Trainer(model).step(X, Y)
    np.testing.assert_array_equal(model.parameter_vector, before)


def test_a_loss_that_overflows_on_finite_outputs_tells_how_large_they_are():
    t = hg.Trainer(hg.Sequential([hg.Linear(1)]).build((4,), rng=0), hg.MeanSquaredError())
    t.model.parameters["linear1.bias"] = np.full(1, 1e30)
    too_large = r"outputs as large as 1e\+30 .* lower the learning_rate"
    with pytest.raises(FloatingPointError, match=too_large), np.errstate(all="ignore"):
        t.step(X, np.zeros((50, 1)))


class Log(hg.Layer):
    def infer_output_shape(self, input_shape):
        return input_shape

    def compute(self, x, training):
        return np.log(x), x


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": X[:, :3]}, r"linear1 expected x of shape \(N, 4\), got \(50, 3\)"),
        ({"y": Y[:3]}, "x has 50 rows, y has 3"),
        ({"y": Y - 1}, "labels must be 0 to 2"),
        ({"y": Y + 1}, "labels must be 0 to 2 .* got 3"),
        ({"y": np.zeros(50, int)}, "all 50 targets are class 0"),
        ({"x": X[:0], "y": Y[:0]}, "no rows"),
        ({"x": np.where(X > 2, np.nan, X)}, "nan at row"),
        ({"x": np.where(X > 2, np.inf, X)}, "inf at row"),
        ({"sample_weight": np.ones(3)}, "sample_weight has 3"),
        ({"sample_weight": -np.ones(50)}, "sample_weight must be 0 or more"),
        ({"epochs": -1}, "fit: epochs must be a whole number >= 0, got -1"),
        ({"batch_size": 0}, "fit: batch_size must be a whole number >= 1, got 0"),
        ({"batch_size": 2.5}, "batch_size"),
    ],
)
def test_bad_input_is_refused_before_the_first_step(arguments, message):
    t = hg.Trainer(hg.Sequential([hg.Linear(3)]).build((4,), rng=0))
    before = t.model.parameter_vector.copy()
    with pytest.raises(ValueError, match=message):
        t.fit(**{"x": X, "y": Y, "epochs": 1, **arguments})
    np.testing.assert_array_equal(t.model.parameter_vector, before)
    assert not t.history


def test_float_labels_and_unknown_names():
    with pytest.raises(TypeError, match="integers"):
        trainer().fit(X, Y.astype(float))
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        trainer(optimizer="adm")
    with pytest.raises(ValueError, match="did you mean 'cross-entropy'"):
        hg.Trainer(hg.Sequential([hg.Linear(3)]), loss="cross-entropi")
    with pytest.raises(ValueError, match="not built"):
        trainer().evaluate(X, Y)


def test_regression_targets_fit_one_output():
    t = hg.Trainer(hg.Sequential([hg.Linear(1)]), hg.MeanSquaredError(), hg.SGD(learning_rate=0.1))
    history = t.fit(X, 2 * X[:, 0] + 1, epochs=60)
    assert history["loss"][-1] < 1e-3 and "accuracy" not in history


def test_progress_prints_a_line_an_epoch_in_a_pipe(capsys):
    fit(trainer(), epochs=2, progress=True)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 and out[1].startswith("epoch 2/2  loss ") and "validation accuracy" in out[1]
    fit(trainer(), epochs=2)
    assert capsys.readouterr().out == ""


class Downhill(hg.training.Engine):
    """An engine with nothing of its own but the step."""

    def step(self, x, y, sample_weight=None, metrics=False):
        outputs = self.model.forward(x, training=True)
        loss = self.loss.forward(outputs, y, sample_weight)
        self.model.backward(self.loss.backward())
        self.optimizer.update([self.model.parameter_vector], [self.model.gradient_vector])
        return {"loss": loss, **(self.measure(outputs, y) if metrics else {})}


def test_an_engine_of_ones_own_needs_a_step_alone(tmp_path):
    usual, own = trainer(), trainer(engine=Downhill)
    assert fit(usual) == fit(own) and own.engine.trains_in_place
    own.save(tmp_path / "state.npz")
    again = hg.Trainer.load(tmp_path / "state.npz", engine=Downhill)
    assert again.evaluate(*VALIDATION) == usual.evaluate(*VALIDATION)
    with pytest.raises(TypeError, match=r"engine must make a handgrad.training.Engine .* got object"):
        trainer(engine=lambda *parts: object()).fit(X, Y)
    with pytest.raises(NotImplementedError, match="Engine must define step"):
        trainer(engine=hg.training.Engine).fit(X, Y)
