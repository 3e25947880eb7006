"""CS189's training, to the printed digit and the random draw: against the course's rules written out in full."""

import pickle

import numpy as np
import pytest

from handgrad.courses.cs189 import weights
from handgrad.courses.cs189.datasets import Data, Dataset, initialize_dataset
from handgrad.courses.cs189.logs import Logger
from handgrad.courses.cs189.models import NeuralNetwork, initialize_model
from handgrad.courses.cs189.optimizers import SGD, initialize_optimizer
from handgrad.courses.cs189.schedulers import Exponential, initialize_scheduler
from handgrad.courses.cs189.utils import AttrDict, center, integers_to_one_hot, normalize, standardize

EPOCHS, BATCH = 12, 25
OPTIMIZER = {
    "name": "SGD",
    "lr": 0.05,
    "lr_scheduler": "exponential",
    "lr_decay": 0.5,
    "stage_length": 7,
    "staircase": True,
    "clip_norm": 0.5,
    "momentum": 0.9,
}


def layer_args():
    return [
        AttrDict(name="fully_connected", activation="relu", weight_init="xavier_uniform", n_out=8),
        AttrDict(name="fully_connected", activation="softmax", weight_init="xavier_uniform", n_out=None),
    ]


@pytest.fixture
def iris(tmp_path, monkeypatch):
    """A working folder without files: the data set is made from handgrad's own."""
    monkeypatch.chdir(tmp_path)
    return initialize_dataset("iris", batch_size=BATCH)


class Reference:
    """The training that the course describes, in plain NumPy: data, draws, gradients, update."""

    def __init__(self, dataset):
        self.data = {
            "train": [dataset.train.data_, dataset.train.labels],
            "validate": [dataset.validate.data_, dataset.validate.labels],
        }
        self.P, self.velocity, self.log = {}, {}, {"train": [], "validate": []}

    def batches(self, part):
        order = np.arange(len(self.data[part][0]))
        np.random.shuffle(order)
        self.data[part] = X, Y = [array[order] for array in self.data[part]]
        return [(X[i : i + BATCH], Y[i : i + BATCH]) for i in range(0, len(X), BATCH)]

    def forward(self, X):
        if not self.P:
            for i, (n_in, n_out, gain) in enumerate(((4, 8, np.sqrt(2)), (8, 3, 1))):
                bound = np.sqrt(3) * gain * np.sqrt(2 / (n_in + n_out))
                self.P[f"W{i}"] = np.random.uniform(-bound, bound, (n_in, n_out))
                self.P[f"b{i}"] = np.zeros((1, n_out))
        H = np.maximum(0, X @ self.P["W0"] + self.P["b0"])
        Z = H @ self.P["W1"] + self.P["b1"]
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return H, E / E.sum(axis=1, keepdims=True)

    def step(self, X, Y, epoch):
        H, Y_hat = self.forward(X)
        dZ = (Y_hat - Y) / len(X)
        dH = dZ @ self.P["W1"].T * (H > 0)
        gradients = {
            "W0": X.T @ dH,
            "b0": dH.sum(axis=0, keepdims=True),
            "W1": H.T @ dZ,
            "b1": dZ.sum(axis=0, keepdims=True),
        }
        for name, g in gradients.items():
            if np.linalg.norm(g) > 0.5:
                g = g * 0.5 / np.linalg.norm(g)
            delta = 0.9 * self.velocity.get(name, 0) + 0.05 * 0.5 ** (epoch // 7) * g  # the staircase acts
            self.velocity[name] = delta
            self.P[name] = self.P[name] - delta
        return self.measure(Y, Y_hat)

    def measure(self, Y, Y_hat):
        loss = -np.sum(Y * np.log(Y_hat + np.finfo(float).eps)) / len(Y)
        return loss, np.mean(Y_hat.argmax(axis=1) != Y.argmax(axis=1))

    def train(self):
        for epoch in range(EPOCHS):
            figures = [self.step(X, Y, epoch) for X, Y in self.batches("train")]
            self.log["train"].append(np.mean(figures, axis=0).round(4))
            figures = [self.measure(Y, self.forward(X)[1]) for X, Y in self.batches("validate")]
            self.log["validate"].append(np.mean(figures, axis=0).round(4))


def test_a_seeded_run_logs_the_courses_figures(iris, tmp_path, capsys):
    reference = Reference(iris)
    np.random.seed(3)
    reference.train()
    np.random.seed(3)
    logger = Logger("run", {}, {}, save=True, save_dir=f"{tmp_path}/logs/")
    model = initialize_model("net", "cross_entropy", layer_args(), OPTIMIZER, logger=logger)
    model.train(iris, EPOCHS)
    log = pickle.loads((tmp_path / "logs" / "run" / "log").read_bytes())
    for part in ("train", "validate"):
        expected = np.transpose(reference.log[part])
        np.testing.assert_array_equal([log["loss"][part], log["error"][part]], expected)
    (loss, error), (val_loss, val_error) = reference.log["train"][-1], reference.log["validate"][-1]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        f"Epoch 11 Training Loss: {loss} Training Accuracy: {round(1 - error, 4)} "
        f"Val Loss: {val_loss} Val Accuracy: {round(1 - val_error, 4)}"
    )
    assert lines[-3].startswith("Example target: [") and lines[-2].startswith("Example prediction: [0.")
    assert log["params"]["W0"]["max"][-1] == pytest.approx(reference.P["W0"].max(), rel=1e-12)
    assert list(log["params"]) == ["W0", "b0", "W1", "b1"]


def test_seed_and_name_of_a_model_act(iris):
    weights = []
    for seed in (1, 1, 2):
        model = initialize_model("net", "cross_entropy", layer_args(), OPTIMIZER, seed=seed)
        assert repr(model) == "net: fully_connected, fully_connected"
        model.forward(iris.train.data_)
        weights.append(model.layers[0].parameters["W"])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_logger_that_saves_gets_the_learned_parameters(iris, tmp_path):
    for save in (True, False):
        logger = Logger(f"run-{save}", {}, {}, save=save, save_dir=f"{tmp_path}/logs/")
        model = NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER, logger)
        model.train(iris, 2)
    saved = tmp_path / "logs" / "run-True" / "parameters_epoch2"
    assert pickle.loads(saved.read_bytes())[1]["W"].shape == (8, 3)
    assert not (tmp_path / "logs" / "run-False" / "parameters_epoch2").exists()


def test_training_twice_goes_on_with_the_same_output_layer(iris):
    model = NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER)
    model.train(iris, 1)
    model.train(iris, 1)
    assert len(model.layers) == model.n_layers == 2
    log = model.test(iris)
    assert set(log) == {"loss", "error"} and len(log["loss"]) == 2


def test_predictions_are_saved_beside_the_log(iris, tmp_path):
    model = NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER, Logger("run", {}, {}, save_dir="logs/"))
    model.train(iris, 1)
    log = model.test(iris, save_predictions=True)
    saved = pickle.loads((tmp_path / "logs" / "run" / "test_predictions.p").read_bytes())
    assert len(saved["prediction"]) == 30 and saved["loss"] == log["loss"]
    model.test_kaggle(iris)
    lines = (tmp_path / "logs" / "run" / "kaggle_predictions.csv").read_text().splitlines()
    assert lines[0] == "Id,Category" and lines[1].startswith("0,") and len(lines) == 31
    with pytest.raises(ValueError, match="Must have a logger"):
        NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER).save_parameters(3)


def test_predict_trains_nothing(iris):
    model = NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER)
    model.train(iris, 1)
    before = model.layers[0].parameters["W"].copy()
    Y_hat, loss = model.predict(iris.test.data_, iris.test.labels)
    assert Y_hat.shape == (30, 3) and loss > 0
    np.testing.assert_array_equal(model.layers[0].parameters["W"], before)


def test_sgd_is_momentum_with_the_rate_inside():
    optimizer = initialize_optimizer("SGD", lr=0.1, lr_scheduler="constant", momentum=0.5)
    g = np.array([1.0, 2.0])
    np.testing.assert_allclose(optimizer.update("W0", g, g, 0), 0.1 * g)
    np.testing.assert_allclose(optimizer.update("W0", g, g), 0.15 * g)
    np.testing.assert_allclose(optimizer.update("b0", g, g, 5), 0.1 * g)
    np.testing.assert_array_equal(g, [1.0, 2.0])
    clipped = SGD(lr=1.0, lr_scheduler="constant", clip_norm=1.0).update("W0", g, 10 * g, 0)
    np.testing.assert_allclose(clipped, g / np.sqrt(5))
    with pytest.raises(NotImplementedError, match="Adam"):
        initialize_optimizer("Adam", lr=0.1)


def test_schedules_by_epoch():
    assert initialize_scheduler("constant", lr=0.3)(99) == 0.3
    exponential = initialize_scheduler("exponential", lr=1.0, decay=0.5, stage_length=10, staircase=True)
    assert exponential(5) == 1.0 and exponential(10) == 0.5
    assert initialize_scheduler("exponential", lr=1.0, decay=0.5, stage_length=10)(5) == pytest.approx(0.5**0.5)
    assert Exponential(lr=1.0, decay=0.5, stage_length=10, staircase=True)(15) == 0.5
    assert initialize_scheduler("exponential", lr=1.0)(1000) == pytest.approx(0.9)
    with pytest.raises(NotImplementedError, match="cosine"):
        initialize_scheduler("cosine", lr=1.0)


@pytest.mark.parametrize(
    ("name", "activation", "draw"),
    [
        (
            "xavier_uniform",
            "relu",
            lambda n, m: np.random.uniform(-np.sqrt(12 / (n + m)), np.sqrt(12 / (n + m)), (n, m)),
        ),
        ("xavier_normal", "tanh", lambda n, m: np.random.normal(0, 5 / 3 * np.sqrt(2 / (n + m)), (n, m))),
        ("he_uniform", "relu", lambda n, m: np.random.uniform(-np.sqrt(6 / n), np.sqrt(6 / n), (n, m))),
        ("he_normal", "arctan", lambda n, m: np.random.normal(0, 1 / np.sqrt(n), (n, m))),
        ("uniform", None, lambda n, m: np.random.uniform(-1, 1, (n, m))),
        ("normal", None, lambda n, m: np.random.normal(0, 1, (n, m))),
        ("identity", None, lambda n, m: np.eye(n)),
        ("constant", None, lambda n, m: np.full((n, m), 0.5)),
        ("zeros", None, lambda n, m: np.zeros((n, m))),
        ("ones", None, lambda n, m: np.ones((n, m))),
    ],
)
def test_weights_are_the_global_generators_draws(name, activation, draw):
    shape = (4, 4) if name == "identity" else (4, 3)
    np.random.seed(5)
    expected = draw(*shape)
    np.random.seed(5)
    np.testing.assert_allclose(weights.initialize_weights(name, activation=activation)(shape), expected, rtol=1e-15)


def test_weights_of_other_kinds():
    np.random.seed(0)
    sparse = weights.initialize_weights("sparse")((15, 3))
    assert ((sparse == 0).sum(axis=0) == 2).all()
    np.random.seed(0)
    normal = np.random.normal(0, 0.01, (15, 3))
    np.testing.assert_array_equal(sparse[sparse != 0], normal[sparse != 0])
    assert weights.initialize_weights("he_normal", mode="sum").std((2, 2)) == 0.5
    assert weights.fans((3, 5, 2, 7)) == 10  # rows of the kernel and channels out: the course's count
    with pytest.raises(ValueError, match="square"):
        weights.Identity()((2, 3))
    with pytest.raises(NotImplementedError, match="orthogonal"):
        weights.initialize_weights("orthogonal")


def test_data_comes_in_shuffled_batches():
    data = Data(np.arange(5), batch_size=2, labels=np.arange(5) * 10)
    assert data.samples_per_epoch == 3
    np.random.seed(1)
    batches = [data.sample() for _ in range(3)]
    np.random.seed(1)
    order = np.arange(5)
    np.random.shuffle(order)
    np.testing.assert_array_equal(np.concatenate([X for X, _ in batches]), order)
    np.testing.assert_array_equal(batches[2][1], order[4:] * 10)
    before = data.data_
    data.sample(shuffle=False)
    data.reset()
    np.testing.assert_array_equal(data.sample(shuffle=False)[0], before[:2])


def test_datasets_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    waves = initialize_dataset("sinewave", batch_size=100)
    assert waves.train.data_.shape == (7000, 1, 50) and waves.test.labels.shape == (2000, 1) and waves.out_dim == 1
    with pytest.raises(NotImplementedError, match="cifar"):
        initialize_dataset("cifar")
    monkeypatch.setenv("HANDGRAD_DATA", str(tmp_path / "none"))
    for name, advice in (("higgs", "it comes with the course's files only"), ("mnist", "run handgrad data get mnist")):
        with pytest.raises(FileNotFoundError, match=f"{name}_train_data.npy is not in the working folder: {advice}"):
            initialize_dataset(name)


def test_files_of_the_working_folder_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, shape in (("higgs", (6, 28)), ("mnist", (6, 784))):
        folder = tmp_path / "datasets" / name
        folder.mkdir(parents=True)
        for part in ("train", "val"):
            np.save(folder / f"{name}_{part}_data.npy", np.full(shape, 51, np.uint8))
            np.save(folder / f"{name}_{part}_labels.npy", np.eye(2)[[0, 1] * 3] if name == "higgs" else np.arange(6))
    np.save(tmp_path / "datasets" / "higgs" / "higgs_test_data.npy", np.ones((4, 28)))
    assert initialize_dataset("higgs").test.labels.shape == (4, 2)
    mnist = initialize_dataset("mnist", batch_size=4)
    X, Y = mnist.train.sample()
    assert X.shape == (4, 28, 28, 1) and X.dtype == np.float32 and X.max() == np.float32(0.2)
    assert Y.shape == (4, 10) and not hasattr(mnist, "test")


def test_a_dataset_may_be_training_only():
    dataset = Dataset(np.ones((3, 2)), np.ones((3, 4)), 2)
    assert (dataset.n_training, dataset.n_validation, dataset.out_dim) == (3, 0, 4)


def test_the_log_never_overwrites_another_runs(tmp_path, capsys):
    for number in (1, 2, 3):
        logger = Logger("run", AttrDict(a=1), {}, save=True, save_dir=f"{tmp_path}/")
        logger.push({"loss": {"train": number, "validate": 2}, "params": {"W0": {"max": 1, "min": 0}}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-2", "run-3"]
    assert pickle.loads((tmp_path / "run" / "log").read_bytes())["loss"] == {"train": [1], "validate": [2]}
    assert "holds a run already: this one goes to" in capsys.readouterr().out
    assert pickle.loads((tmp_path / "run" / "model_args").read_bytes()).a == 1
    logger.reset()
    nothing = {"train": [], "validate": []}
    assert logger.log == {"loss": nothing, "error": nothing, "params": {}} and logger.counter == 0


def test_pictures_are_drawn_when_asked_for_with_or_without_the_log(tmp_path):
    logger = Logger("run", {}, {}, plot=True, save_dir=tmp_path)
    figures = {"train": 1.0, "validate": 2.0}
    logger.push({"loss": figures, "error": figures, "params": {"W0": {"max": 1.0, "min": 0.0}}})
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {"model_args", "data_args", "loss.png", "error.png", "W0.png"}


def test_an_update_keeps_the_extremes_of_what_it_updated():
    model = NeuralNetwork("cross_entropy", layer_args(), OPTIMIZER)
    model._add_output_layer(3)
    model.backward(np.eye(3)[[0, 1]], model.forward(np.ones((2, 4))))
    model.update()
    weight = model.layers[0].parameters["W"]
    assert model.epoch_log["params"]["W0"] == {"max": weight.max(), "min": weight.min()}
    assert list(model.epoch_log["params"]) == ["W0", "b0", "W1", "b1"]


def test_utilities():
    d = AttrDict({"lr": 1})
    d.momentum = 2
    assert d["momentum"] == 2 and d.lr == 1 and AttrDict(**d) == d
    np.testing.assert_array_equal(integers_to_one_hot(np.array([0, 2]), 2), [[1, 0, 0], [0, 0, 1]])
    assert integers_to_one_hot(np.array([[1], [3]])).shape == (2, 4)
    X = np.array([[0.0, 10.0], [2.0, 30.0]])
    np.testing.assert_array_equal(center(X), [[-1, -10], [1, 10]])
    assert standardize(X.copy()).std() == pytest.approx(1)
    Y = X.copy()
    assert normalize(Y) is Y
    np.testing.assert_array_equal(Y, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(normalize(X.copy(), max_val=10), [[0, 0], [0.2, 2]])
