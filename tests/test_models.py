"""The named networks: shapes and counts the courses state, and a step of training each."""

import json
from pathlib import Path

import numpy as np
import pytest

import handgrad as hg
from handgrad import models

EXERCISES = json.loads((Path(__file__).parent / "functional" / "cnn_exercises.json").read_text())
INPUTS = {
    "fashion-mlp": (28, 28, 1),
    "mlp": (5,),
    "lenet": (28, 28, 1),
    "cifar-cnn": (32, 32, 3),
    "fashion-cnn": (28, 28, 1),
    "resnet-cifar": (32, 32, 3),
    "transformer-text": (16,),
    "tabular": (5,),
    "iris-mlp": (4,),
    "wine-mlp": (13,),
    "breast-cancer-mlp": (30,),
    "digits-mlp": (64,),
    "diabetes-mlp": (10,),
}


def test_every_network_is_tried_here():
    assert set(INPUTS) == set(models.MODELS)


@pytest.mark.parametrize("name", INPUTS)
def test_each_network_learns_a_batch(name):
    model = models.create(name)
    rng = np.random.default_rng(0)
    x = rng.random((8, *INPUTS[name]), dtype=np.float32)
    if name == "diabetes-mlp":
        loss, y = hg.MeanSquaredError(), rng.random((8, 1))
    elif name == "transformer-text":
        loss, x, y = hg.CrossEntropy(), rng.integers(0, 256, (8, 16)), rng.integers(0, 9, (8, 16))
    else:
        loss, y = hg.CrossEntropy(), np.arange(8) % models.MODELS[name]()[-1].units
    trainer = hg.Trainer(model, loss, hg.Adam(learning_rate=0.01), seed=0)
    losses = [trainer.step(x, y) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        # by hand: 5*5*1*6 + 6, 5*5*6*16 + 16, 400*120 + 120, 120*84 + 84, 84*10 + 10
        ("lenet", 61706, 28 * 28 * 150 + 10 * 10 * 2400 + 48000 + 10080 + 840),
        ("fashion-mlp", 784 * 256 + 256 + 256 * 128 + 128 + 1290, 784 * 256 + 256 * 128 + 1280),
    ],
)
def test_counts(name, parameters, multiply_adds):
    summary = models.create(name).build(INPUTS[name], rng=0).summary()
    assert summary.num_parameters == parameters
    assert summary.multiply_adds == multiply_adds


def test_the_exercises_parameter_counts():
    one, strided, two = EXERCISES["parameters"]
    for bias, key in ((True, "with_bias"), (False, "without_bias")):
        assert hg.Conv2D(1, 3, bias=bias).build((32, 32, 3), rng=0).num_parameters == one[key]
    assert hg.Conv2D(1, 4, stride=2).build((40, 40, 1), rng=0).num_parameters == strided["with_bias"]
    stack = hg.Sequential([hg.Conv2D(4, 6), hg.Conv2D(3, 3)]).build((28, 28, 1), rng=0)
    assert stack.num_parameters == two["with_bias"]


def test_an_unknown_network_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown model 'lenett'; did you mean 'lenet'"):
        models.create("lenett")


def test_another_number_of_classes():
    assert models.create("lenet", num_outputs=26).build((28, 28, 1), rng=0).output_shape == (26,)


def test_batch_norm_and_dropout_can_be_left_out():
    for name, num_norms, num_dropouts in (("cifar-cnn", 3, 1), ("fashion-cnn", 4, 4)):
        for batch_norm, dropout in ((True, 0.2), (False, 0.2), (True, 0)):
            kinds = [type(layer).__name__ for layer in models.MODELS[name](batch_norm=batch_norm, dropout=dropout)]
            assert kinds.count("BatchNorm") == num_norms * batch_norm
            assert kinds.count("Dropout") == num_dropouts * bool(dropout)
