"""What a trainer, a model and a loss refuse at once, and in which words."""

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
        ({"loss": hg.CrossEntropy(class_weight="balanced")}, "class_weight must be 3 numbers, one for each class"),
        ({"loss": hg.CrossEntropy(class_weight={0: 1, 1: 2, 2: 1})}, "class_weight must be 3 numbers"),
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
