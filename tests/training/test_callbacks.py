"""Early stopping, checkpoints and schedules do what they say, when they say it."""

import numpy as np
import pytest

import handgrad as hg

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((30, 4)), np.arange(30) % 3
VALIDATION = (RNG.standard_normal((12, 4)), np.arange(12) % 3)


def trainer(callbacks, optimizer=None):
    return hg.Trainer(
        hg.Sequential([hg.Linear(30), hg.Tanh(), hg.Linear(3)]),
        optimizer=optimizer or hg.SGD(learning_rate=0.5),
        callbacks=callbacks,
    )


def test_early_stopping_stops_and_restores_the_best_epoch():
    t = trainer([hg.EarlyStopping(patience=3)])
    history = t.fit(X, Y, validation_data=VALIDATION, epochs=200)
    best_epoch, best = history.best("validation_loss")
    assert history.num_epochs == best_epoch + 1 + 3 < 200
    np.testing.assert_allclose(t.evaluate(*VALIDATION)["loss"], best, rtol=1e-6)
    assert "validation_loss" in t.stop_reason


def test_early_stopping_can_watch_accuracy_and_keep_the_last_parameters():
    t = trainer([hg.EarlyStopping("validation_accuracy", patience=2, restore_best=False)])
    history = t.fit(X, Y, validation_data=VALIDATION, epochs=200)
    assert history.num_epochs < 200
    np.testing.assert_allclose(t.evaluate(*VALIDATION)["loss"], history["validation_loss"][-1], rtol=1e-6)


def test_watching_what_is_not_measured_says_how_to_have_it():
    with pytest.raises(ValueError, match="validation_data"):
        trainer([hg.EarlyStopping()]).fit(X, Y, epochs=2)
    with pytest.raises(ValueError, match="patience"):
        hg.EarlyStopping(patience=0)


def test_checkpoint_writes_whole_files_every_few_epochs(tmp_path):
    path = tmp_path / "state.npz"
    t = trainer([hg.Checkpoint(path, every=2)])
    t.fit(X, Y, epochs=3)
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]
    loaded = hg.Trainer.load(path, callbacks=[hg.Checkpoint(path, every=2)])
    assert loaded.epoch == 2 and loaded.history["loss"] == t.history["loss"][:2]


def test_checkpoint_of_the_best_epoch_only(tmp_path):
    path = tmp_path / "best.npz"
    t = trainer([hg.Checkpoint(path, monitor="validation_loss")])
    history = t.fit(X, Y, validation_data=VALIDATION, epochs=30)
    loaded = hg.Trainer.load(path, callbacks=[hg.Callback()])
    assert loaded.epoch == history.best("validation_loss")[0] + 1


def test_a_failed_write_keeps_the_last_checkpoint(tmp_path):
    path = tmp_path / "state.npz"
    t = trainer([])
    t.fit(X, Y, epochs=1)
    t.save(path)
    before = path.read_bytes()
    t.optimizer.state = lambda: {"learning_rate": object()}
    with pytest.raises(TypeError):
        t.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("per, rates", [("epoch", [1.0, 0.5, 0.25]), ("step", [0.25, 0.5**5, 0.5**8])])
def test_schedule_sets_the_learning_rate(per, rates):
    t = trainer([hg.Schedule(hg.schedules.Exponential(1.0, 0.5), per=per)])
    history = t.fit(X, Y, epochs=3, batch_size=10)
    np.testing.assert_allclose(history["learning_rate"], rates)


def test_reduce_on_plateau_watches_validation_loss():
    schedule = hg.schedules.ReduceOnPlateau(1.0, factor=0.5, patience=0)
    history = trainer([hg.Schedule(schedule)]).fit(X, Y, validation_data=VALIDATION, epochs=30)
    assert history["learning_rate"][-1] < history["learning_rate"][0] == 1.0


def test_hooks_are_called_in_order():
    calls = []

    class Recorder(hg.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                calls.append(name[3:])
            return super().__getattribute__(name)

    trainer([Recorder()]).fit(X, Y, epochs=1, batch_size=15)
    step = ["step_begin", "step_end"]
    assert calls == ["fit_begin", "epoch_begin", *step, *step, "epoch_end", "fit_end"]


def test_a_callback_may_stop_training():
    class Stop(hg.Callback):
        def on_epoch_end(self, trainer):
            trainer.stop("enough")

    t = trainer([Stop()])
    assert t.fit(X, Y, epochs=10).num_epochs == 1 and t.stop_reason == "enough"


def test_a_callback_shows_its_arguments():
    shown = "EarlyStopping(monitor='loss', patience=3, min_delta=0.0, restore_best=True)"
    assert repr(hg.EarlyStopping("loss", patience=3)) == shown and repr(hg.Callback()) == "Callback()"


def test_history_best_names_what_there_is():
    history = hg.History(loss=[3.0, 1.0, 2.0], accuracy=[0.1, 0.9, 0.9])
    assert history.best("loss") == (1, 1.0) and history.best("accuracy") == (1, 0.9)
    assert history.epoch(-1) == {"loss": 2.0, "accuracy": 0.9}
    with pytest.raises(ValueError, match="no 'validation_loss'"):
        history.best()


def test_early_stopping_takes_any_number_for_better_than_nan():
    values = [float("nan"), 0.5, 0.3, float("nan"), 0.4]

    class Measured(hg.Callback):
        def on_epoch_end(self, trainer):
            trainer.history["loss"][-1] = values[trainer.epoch - 1]

    stopping = hg.EarlyStopping("loss", patience=2)
    trainer([Measured(), stopping]).fit(X, Y, epochs=5)
    assert (stopping.best_epoch, stopping.best_value) == (3, 0.3)
