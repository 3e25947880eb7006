"""What scikit-learn's MLPs have been asked for and have not: each of it trains, and shows where a user looks."""

import signal

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.preprocessing import scale

import handgrad as hg
from handgrad.sklearn import NetClassifier, NetRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:600] / 16, Y[:600]
TRAINING, VALIDATION = (X[:400], Y[:400]), (X[400:], Y[400:])
X_NUMBERS, NUMBERS = load_diabetes(return_X_y=True)


def classifier(**parameters):
    return NetClassifier(**{"max_iter": 20, "random_state": 0, "learning_rate_init": 0.01, **parameters})


class Recorder(hg.Callback):
    """Notes what a callback sees."""

    def __init__(self):
        self.rates, self.epochs = [], 0

    def on_step_begin(self, trainer):
        self.rates.append(trainer.optimizer.learning_rate)

    def on_epoch_end(self, trainer):
        self.epochs = trainer.epoch


class CtrlC(hg.Callback):
    """Presses Ctrl-C at the beginning of the third epoch."""

    def on_epoch_begin(self, trainer):
        if trainer.epoch == 2:
            signal.raise_signal(signal.SIGINT)


def names_of(net):
    return [type(layer).__name__ for layer in net.model_.layers]


def test_activation_dropout_and_batch_norm_by_layer():
    net = classifier(
        hidden_layer_sizes=(30, 20), activation=["gelu", hg.LeakyReLU(0.2)], dropout=[0.2, 0.0], batch_norm=True
    ).fit(X, Y)
    assert names_of(net) == ["Linear", "BatchNorm", "GELU", "Dropout", "Linear", "BatchNorm", "LeakyReLU", "Linear"]
    assert net.model_.layers[6].alpha == 0.2 and net.score(X, Y) > 0.9


def test_dropout_draws_other_masks_in_every_call_and_the_same_for_the_same_seed():
    first, again = (classifier(dropout=0.5, shuffle=False) for _ in range(2))
    for _ in range(3):
        first.partial_fit(X, Y, classes=np.arange(10))
        again.partial_fit(X, Y, classes=np.arange(10))
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])
    steps = np.diff(first.loss_curve_)
    assert len(set(steps.tolist())) == len(steps)


@pytest.mark.parametrize("rows", [65, 33])
def test_batch_norm_never_meets_a_batch_of_one_row(rows):
    net = classifier(batch_norm=True, batch_size=32, max_iter=2).fit(X[:rows], Y[:rows])
    assert np.isfinite(net.loss_)


@pytest.mark.parametrize(
    ("loss", "probabilities"),
    [
        ("hinge", False),
        ("cross-entropy", True),
        ({"name": "cross-entropy", "label_smoothing": 0.1}, True),
        ("probability-cross-entropy", True),
        ("mean-squared-error", False),
        (hg.Huber(0.5), False),
    ],
    ids=str,
)
def test_losses_of_classes(loss, probabilities):
    net = classifier(loss=loss).fit(X, Y)
    assert net.score(X, Y) > 0.9
    assert hasattr(net, "predict_proba") == probabilities == (not hasattr(net, "decision_function"))
    if probabilities:
        np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1)
    else:
        assert (net.decision_function(X).argmax(axis=1) == net.predict(X)).all()


def test_two_classes_by_a_loss_of_two_outputs():
    net = classifier(loss="hinge").fit(X, np.where(Y > 4, "high", "low"))
    assert net.decision_function(X).shape == (len(X),)
    assert ((net.decision_function(X) > 0) == (net.predict(X) == "low")).all()
    assert classifier(loss="cross-entropy").fit(X, Y > 4).predict_proba(X).shape == (len(X), 2)


@pytest.mark.parametrize("loss", ["huber", "mean-absolute-error", hg.MeanSquaredError()], ids=str)
def test_losses_of_numbers(loss):
    net = NetRegressor(loss=loss, max_iter=400, learning_rate_init=0.01, random_state=0).fit(X_NUMBERS, scale(NUMBERS))
    assert net.score(X_NUMBERS, scale(NUMBERS)) > 0.4


@pytest.mark.parametrize(
    "optimizer",
    [
        "rmsprop",
        {"name": "adamw", "learning_rate": 0.01},
        hg.SGD(0.1, momentum=0.9, clipping=hg.ClipGlobalNorm(1.0)),
    ],
    ids=str,
)
def test_optimizers(optimizer):
    net = classifier(optimizer=optimizer, solver="lbfgs").fit(X, Y)  # the solver is passed over
    assert net.score(X, Y) > 0.9 and hasattr(net, "partial_fit")


def test_the_parameters_are_left_as_they_were():
    loss, optimizer, recorder, layers = hg.CrossEntropy(), hg.Adam(0.01), Recorder(), [hg.Linear(5), hg.ReLU()]
    net = classifier(loss=loss, optimizer=optimizer, callbacks=[recorder], layers=layers).fit(X, Y)
    assert optimizer.num_steps == recorder.epochs == 0 and not layers[0].is_built
    assert net.optimizer_.num_steps == 60 and net.callbacks_[0].epochs == 20


def test_schedules_by_epoch_go_on_in_partial_fit():
    schedule = hg.schedules.Step(0.1, stage_length=2, decay=0.5)
    net = classifier(solver="sgd", learning_rate=schedule, max_iter=4).fit(X, Y)
    np.testing.assert_allclose(net.history_["learning_rate"], [0.1, 0.1, 0.05, 0.05])
    net.partial_fit(X, Y)
    assert net.history_["learning_rate"][-1] == pytest.approx(0.025)


def test_schedules_by_step():
    schedule = hg.Schedule(hg.schedules.Exponential(0.1, decay=0.5), per="step")
    net = classifier(callbacks=[schedule, Recorder()], max_iter=1, batch_size=200).fit(X, Y)
    np.testing.assert_allclose(net.callbacks_[1].rates, [0.1, 0.05, 0.025])


def test_plateaus_are_seen_by_a_schedule():
    net = classifier(learning_rate={"name": "reduce_on_plateau", "initial": 1e-5, "patience": 0, "threshold": 0.5})
    assert net.fit(X, Y).history_["learning_rate"][-1] < 1e-5


def test_callbacks_stop_training_and_restore():
    net = classifier(callbacks=[hg.EarlyStopping("loss", patience=2, min_delta=10.0)], max_iter=50).fit(X, Y)
    assert net.n_iter_ == 3 and "has not improved" in net.stop_reason_


def test_ctrl_c_ends_training_with_a_warning():
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        net = classifier(callbacks=[CtrlC()]).fit(X, Y)
    assert net.n_iter_ == 2 and net.predict(X).shape == Y.shape


def test_class_weights_count_rows():
    weights = {k: 5.0 if k == 8 else 1.0 for k in range(10)}
    by_class = classifier(class_weight=weights).fit(X, Y)
    by_row = classifier().fit(X, Y, sample_weight=np.where(Y == 8, 5.0, 1.0))
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
    balanced = classifier(class_weight="balanced").fit(X[:400], Y[:400] == 8)
    assert balanced.predict(X[400:]).mean() > classifier().fit(X[:400], Y[:400] == 8).predict(X[400:]).mean()


def test_validation_data_of_ones_own():
    net = classifier().fit(*TRAINING, validation_data=VALIDATION)
    assert len(net.validation_loss_curve_) == len(net.validation_scores_) == len(net.loss_curve_) == 20
    assert net.validation_scores_[-1] == net.score(*VALIDATION)
    probabilities = net.predict_proba(VALIDATION[0])[np.arange(200), VALIDATION[1]]
    penalty = 0.5 * net.alpha * sum((w * w).sum() for w in net.coefs_) / 200
    assert net.validation_loss_curve_[-1] == pytest.approx(penalty - np.log(probabilities).mean())


def test_validation_data_one_by_one_and_weighted():
    (x, y), weight = VALIDATION, np.arange(len(VALIDATION[1])) % 2
    pair = classifier().fit(*TRAINING, validation_data=(x[weight > 0], y[weight > 0]))
    weighted = classifier().fit(*TRAINING, X_val=x, y_val=y, sample_weight_val=weight)
    np.testing.assert_allclose(weighted.validation_scores_, pair.validation_scores_)
    np.testing.assert_allclose(weighted.validation_loss_curve_, pair.validation_loss_curve_)


def test_early_stopping_watches_validation_data_of_ones_own():
    net = classifier(early_stopping=True, n_iter_no_change=3, max_iter=200).fit(*TRAINING, validation_data=VALIDATION)
    assert net.n_iter_ < 200 and "validation score" in net.stop_reason_
    assert net.score(*VALIDATION) == net.best_validation_score_ == max(net.validation_scores_)
    assert net.t_ == net.n_iter_ * len(TRAINING[0])  # nothing was split off


def test_a_warm_start_keeps_the_optimizers_state():
    whole = classifier(max_iter=8, shuffle=False).fit(X, Y)
    halves = classifier(max_iter=4, shuffle=False, warm_start=True).fit(X, Y)
    halves.fit(X, Y)
    np.testing.assert_allclose(halves.coefs_[0], whole.coefs_[0], rtol=1e-12)
    assert halves.loss_curve_ == pytest.approx(whole.loss_curve_) and halves.optimizer_.num_steps == 24


def test_a_warm_start_takes_up_changed_parameters():
    net = classifier(solver="sgd", max_iter=2, warm_start=True).fit(X, Y)
    net.set_params(learning_rate_init=0.5, max_iter=3).fit(X, Y)
    assert net.optimizer_.learning_rate == 0.5 and net.n_iter_ == 3 and len(net.loss_curve_) == 5
    net.set_params(momentum=0.0).fit(X, Y)  # another kind of state: it begins anew
    assert net.optimizer_.arrays == {}


def test_images():
    layers = [hg.Conv2D(8, 3), hg.ReLU(), hg.MaxPool2D(2), hg.Flatten()]
    images = X.reshape(-1, 8, 8, 1)
    net = classifier(layers=layers, learning_rate_init=0.02).fit(images, Y)
    flat = classifier(layers=layers, learning_rate_init=0.02, input_shape=(8, 8, 1)).fit(X, Y)
    assert net.score(images, Y) > 0.9 and net.n_features_in_ == 64
    np.testing.assert_array_equal(net.predict(images), flat.predict(X))
    np.testing.assert_array_equal(net.predict(X), net.predict(images))


def test_images_of_pixels_are_scaled_and_tables_are_not():
    pixels = (X * 255).astype(np.uint8)
    layers = [hg.Flatten(), hg.Linear(10), hg.ReLU()]
    net = classifier(layers=layers, max_iter=3).fit(pixels.reshape(-1, 8, 8), Y)
    floats = (pixels * np.float32(1 / 255)).reshape(-1, 8, 8)
    same = classifier(layers=layers, max_iter=3).fit(floats, Y)
    assert net.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(net.coefs_[0], same.coefs_[0])
    np.testing.assert_array_equal(net.predict(pixels), net.predict(floats))
    tables = [classifier(max_iter=3).fit(x, Y) for x in (pixels, pixels.astype(float))]
    np.testing.assert_array_equal(tables[0].coefs_[0], tables[1].coefs_[0])


def test_models_in_models_read_sparse_input():
    layers = [hg.Linear(32), hg.Sequential([hg.Tanh(), hg.Linear(16), hg.ReLU()])]
    dense, thin = (classifier(layers=layers).fit(x, Y) for x in (X, sparse.csr_matrix(X)))
    np.testing.assert_allclose(thin.coefs_[1], dense.coefs_[1], rtol=1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        lambda shape, count: [hg.Linear(shape[0] // 2), hg.Tanh(), hg.Linear(count)],
        hg.Sequential([hg.Linear(32), hg.Tanh(), hg.Linear(10)]),
        [hg.Linear(32), hg.Tanh()],
    ],
    ids=["function", "Sequential", "list"],
)
def test_layers_of_ones_own(layers):
    net = classifier(layers=layers).fit(X, Y)
    assert names_of(net) == ["Linear", "Tanh", "Linear"] and net.score(X, Y) > 0.9
    assert [w.shape for w in net.coefs_] == [(64, 32), (32, 10)] and net.n_layers_ == 3


def test_single_precision_on_request():
    net = classifier(dtype="float32").fit(X, Y)
    assert net.coefs_[0].dtype == net.predict_proba(X).dtype == np.float32
    assert classifier(dtype="float64").fit(X.astype(np.float32), Y).coefs_[0].dtype == np.float64


def test_lbfgs_in_single_precision_computes_in_double():
    single = classifier(solver="lbfgs", dtype="float32").fit(X, Y)
    double = classifier(solver="lbfgs").fit(X.astype(np.float32), Y)
    assert single.coefs_[0].dtype == np.float32 and single.score(X, Y) == double.score(X, Y) > 0.98
    assert len(single.loss_curve_) == single.n_iter_ and np.all(np.diff(single.loss_curve_) < 0)


def test_coefs_are_the_networks_own():
    net = classifier(max_iter=2).fit(X, Y)
    net.coefs_[0] = np.zeros((64, 100))
    net.intercepts_[0][:] = 0
    assert len(set(net.predict(X).tolist())) == 1
    with pytest.raises(ValueError, match="broadcast"):
        net.coefs_[0] = np.zeros((64, 99))


def test_get_model_is_a_copy():
    net = classifier(max_iter=2).fit(X, Y)
    model = net.get_model()
    np.testing.assert_array_equal(model.predict_classes(X), net.predict(X))
    model.layers[0].parameters["weight"][...] = 0
    assert net.coefs_[0].any()


def test_labels_of_sparse_targets_come_back_sparse():
    x, labels = make_multilabel_classification(n_samples=80, random_state=0)
    dense, thin = classifier().fit(x, labels), classifier().fit(x, sparse.csr_matrix(labels))
    assert sparse.issparse(thin.predict(x))
    np.testing.assert_array_equal(thin.predict(x).toarray(), dense.predict(x))


def test_summary_says_what_was_done():
    text = classifier(early_stopping=True, n_iter_no_change=20).fit(X, Y).summary()
    for words in (
        "64 features -> 10 classes, read by softmax",
        "linear1",
        "adam with learning rate 0.01",
        "trained: 20 iterations; ended because max_iter=20 was reached",
        "validation accuracy: ",
    ):
        assert words in text
    numbers = NetRegressor(solver="lbfgs", max_iter=5, random_state=0).fit(X_NUMBERS, NUMBERS).summary()
    assert "10 features -> 1 number, read by identity" in numbers and "L-BFGS" in numbers


def test_verbose_and_progress_say_how_it_goes(capsys):
    classifier(max_iter=2, verbose=True, early_stopping=True).fit(X, Y)
    said = capsys.readouterr().out
    assert "Iteration 2, loss = " in said and "Validation score: 0." in said
    classifier(max_iter=2, progress=True).fit(X, Y)
    assert "epoch 2/2  loss" in capsys.readouterr().out


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_a_linear_layer_without_a_bias(convert):
    x = np.random.default_rng(0).normal(size=(40, 5))
    net = NetClassifier(layers=[hg.Linear(4, bias=False), hg.ReLU()], max_iter=3, random_state=0)
    net.fit(convert(x), np.arange(40) % 3)
    hidden = np.maximum(x @ net.coefs_[0], 0)
    assert [b.shape for b in net.intercepts_] == [(3,)]
    np.testing.assert_allclose(net.get_model().predict(x), hidden @ net.coefs_[1] + net.intercepts_[0], rtol=1e-6)
