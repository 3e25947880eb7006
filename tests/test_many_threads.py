"""Models in many threads of one program: the same bits as in one, and no model trained from two."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import handgrad as hg
from handgrad.kernels import set_threads
from handgrad.kernels.threads import num_threads


@pytest.fixture(autouse=True, params=[1, 2])
def our_threads(request):
    before = num_threads()
    set_threads(request.param)
    yield
    set_threads(before)


class Mixture(hg.Layer):
    """A user's layer whose product BLAS shares among its threads."""

    def create_parameters(self, input_shape, rng):
        return {"weight": rng.normal(size=(input_shape[0], 300))}

    def compute(self, x, training):
        return x @ self.parameters["weight"], x

    def differentiate(self, dy, x):
        return dy @ self.parameters["weight"].T, {"weight": x.T @ dy}


def block(filters):
    return [hg.Conv2D(filters, 3, padding="same"), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D(2)]


MODELS = {
    "images": lambda: ((8, 8, 2), [*block(4), hg.Conv2D(3, 3), hg.LeakyReLU(), hg.Flatten(), hg.Linear(3)]),
    "images, large": lambda: ((24, 24, 3), [*block(16), hg.Flatten(), Mixture(), hg.BatchNorm(), hg.Linear(3)]),
    "dense": lambda: ((4,), [hg.Linear(9), hg.BatchNorm(), hg.Tanh(), hg.Dropout(0.5), hg.Linear(3)]),
    "dense, large": lambda: ((365,), [hg.Linear(222), hg.LayerNorm(), hg.ReLU(), hg.Linear(3)]),
    "sequences": lambda: ((20, 30), [hg.LSTM(40, return_sequences=True), hg.RNN(9), hg.Linear(3)]),
}


def build(name, seed=0):
    shape, layers = MODELS[name]()
    return hg.Sequential(layers).build(shape, rng=seed)


def batches(model, count, rows):
    return list(np.random.default_rng(1).normal(size=(count, rows, *model.input_shape)).astype(np.float32))


def in_threads(count, function, *arguments):
    """What `function` returned in so many threads that all begin at once."""
    begin = threading.Barrier(count)

    def task(i):
        begin.wait()
        return function(*(argument[i] for argument in arguments))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(task, range(count)))


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_a_thousand_predictions_in_each_of_eight_threads(kernels, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", kernels)
    model = build("images")
    xs = batches(model, 1000, 3)
    alone = [model.predict(x) for x in xs]
    for found in in_threads(8, lambda xs: [model.predict(x) for x in xs], [xs] * 8):
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_all_kinds_of_models_predict_beside_each_other(kernels, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", kernels)
    models = [build(name) for name in MODELS] * 2
    xs = [batches(model, 8, 64) for model in models]

    def predict(model, xs):
        return [model.predict_classes(xs[0]), model.layers[0].forward(xs[1]), *map(model.predict_probabilities, xs)]

    alone = [predict(model, x) for model, x in zip(models, xs, strict=True)]
    for ours, theirs in zip(in_threads(len(models), predict, models, xs), alone, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:.*hasn't converged")
def test_estimators_predict_in_many_threads():
    pytest.importorskip("sklearn")
    from handgrad.sklearn import NetClassifier

    x, y = np.random.default_rng(0).normal(size=(200, 6)), np.arange(200) % 3
    net = NetClassifier(20, max_iter=3, random_state=0).fit(x, y)
    alone = net.predict_proba(x)
    assert all((found == alone).all() for found in in_threads(8, lambda x: net.predict_proba(x), [x] * 8))


def test_separate_models_are_trained_in_parallel_to_the_same_bits():
    loss = hg.CrossEntropy()  # which all of them share

    def train(name):
        model = build(name)
        (x,), y = batches(model, 1, 96), np.arange(96) % 3
        optimizer = hg.SGD(0.01, momentum=0.9, clipping=hg.ClipGlobalNorm(1))
        history = hg.Trainer(model, loss, optimizer).fit(x, y, (x[:9], y[:9]), epochs=3)
        return model.parameter_vector, history["validation_loss"]

    names = [*MODELS, *MODELS]
    alone = {name: train(name) for name in MODELS}
    for name, (parameters, losses) in zip(names, in_threads(len(names), train, names), strict=True):
        np.testing.assert_array_equal(parameters, alone[name][0], err_msg=name)
        assert losses == alone[name][1]


class Waiting(hg.Callback):
    """Holds a fit up until it may go on; predicts and measures meanwhile, as callbacks may."""

    def __init__(self):
        self.is_running, self.may_go_on = threading.Event(), threading.Event()

    def on_step_end(self, trainer):
        trainer.evaluate(np.ones((2, 4)), [0, 1])
        self.is_running.set()
        self.may_go_on.wait()


@pytest.fixture
def in_training():
    """A trainer whose fit runs in another thread."""
    model, waiting = build("dense"), Waiting()
    trainer = hg.Trainer(model, callbacks=[waiting])
    thread = threading.Thread(target=trainer.fit, args=(np.ones((6, 4)), np.arange(6) % 3), kwargs={"epochs": 1})
    thread.start()
    waiting.is_running.wait()
    yield trainer
    waiting.may_go_on.set()
    thread.join()
    assert trainer.epoch == 1 and trainer.is_finished


X, Y = np.ones((6, 4)), np.arange(6) % 3
TRAIN = {
    "fit": lambda trainer: trainer.fit(X, Y, epochs=5),
    "resume": lambda trainer: trainer.resume(X, Y),
    "step": lambda trainer: trainer.step(X, Y),
    "another trainer": lambda trainer: hg.Trainer(trainer.model).fit(X, Y),
    "by hand": lambda trainer: trainer.model.forward(X, training=True),
}


@pytest.mark.parametrize("train", TRAIN.values(), ids=TRAIN.keys())
def test_a_model_in_training_is_not_trained_from_another_thread(in_training, train):
    with pytest.raises(RuntimeError, match=r"another thread is training this model: wait .* copy\.deepcopy"):
        train(in_training)
    assert in_training.model.predict(X).shape == (6, 3)
    copied = hg.Trainer(copy.deepcopy(in_training.model))
    assert copied.fit(X, Y, epochs=1).keys() == {"loss", "accuracy", "learning_rate"}


def test_an_optimizer_in_training_is_not_another_thread_s_either(in_training):
    with pytest.raises(RuntimeError, match="another thread is training this optimizer"):
        hg.Trainer(build("dense"), optimizer=in_training.optimizer).step(X, Y)


@pytest.mark.parametrize("name", ["dense", "images"])
def test_a_backward_belongs_to_the_forward_of_its_thread(name):
    model = build(name)
    (x,) = batches(model, 1, 6)
    dy = np.ones((6, 3), np.float32)
    model.forward(x, training=True)
    in_threads(1, model.forward, [x], [True])
    with pytest.raises(RuntimeError, match=r"linear\d\.backward\(dy\): the forward.* was another thread's"):
        model.backward(dy)
    model.forward(x, training=True)
    model.backward(dy)


def test_empty_input_beside_training_leaves_the_cache_alone():
    model = build("images")
    (x,) = batches(model, 1, 6)
    model.forward(x, training=True)
    in_threads(1, model.predict, [x[:0]])
    assert model.backward(np.ones((6, 3), np.float32)).shape == x.shape


@pytest.mark.parametrize("name", ["images, large", "dense", "sequences"])
def test_predictions_leave_a_training_beside_them_as_it_is(name):
    def train(model):
        (x,), y = batches(model, 1, 96), np.arange(96) % 3
        hg.Trainer(model, optimizer=hg.SGD(0.01)).fit(x, y, epochs=3)
        return model.parameter_vector.copy(), {key: array.copy() for key, array in model.state.items()}

    def predict(model):
        (x,) = batches(model, 1, 7)
        for _ in range(30):
            assert np.isfinite(model.predict(x)).all() and model.predict(x[:0]).shape == (0, 3)

    alone, model = train(build(name)), build(name)
    (parameters, state), *_ = in_threads(4, lambda task: task(model), [train, predict, predict, predict])
    np.testing.assert_array_equal(parameters, alone[0])
    assert all((state[key] == array).all() for key, array in alone[1].items())
