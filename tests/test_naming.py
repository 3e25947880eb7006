"""The right names told: of arguments, attributes and modules' names, by other libraries' names and by spelling."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad import naming

MODEL = hg.Sequential([hg.Linear(3)]).build(2, rng=0)
TRAINER = hg.Trainer(MODEL)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: hg.SGD(lr=0.1), "SGD has no argument 'lr'; did you mean 'learning_rate'? (it takes: learning_rate,"),
        (lambda: hg.Adam(0.1, betas=(0.9, 0.99)), "Adam has no argument 'betas'; did you mean 'beta1'?"),
        (lambda: hg.Linear(out_features=3), "Linear has no argument 'out_features'; did you mean 'units'?"),
        (lambda: hg.Linear(units=3, in_features=2), "a layer learns the shape of its input when the model is built"),
        (lambda: hg.ReLU(nme="a"), "ReLU has no argument 'nme'; did you mean 'name'?"),
        (lambda: hg.schedules.Cosine(lr=1.0, T_max=3), "Cosine has no argument 'lr'; did you mean 'initial'?"),
        (lambda: hg.initializers.HeNormal(mod="in"), "did you mean 'mode'?"),
        (lambda: hg.ClipValue(max_norm=1), "did you mean 'limit'?"),
        (lambda: TRAINER.fit([[1, 2]], [1], callbacks=[]), "fit has no argument 'callbacks'; it is the trainer's"),
        (lambda: hg.load_dataset("iris", random_state=0), "did you mean 'seed'?"),
        (lambda: hg.Trainer(MODEL, lr=0.1), "the learning rate is the optimizer's: SGD(learning_rate=0.1)"),
        (
            lambda: hg.Linear(4, 3),
            "the number of its outputs alone, and learns that of its inputs: Linear(3)",
        ),
    ],
)
def test_an_argument_that_there_is_not(wrong, said):
    with pytest.raises(TypeError) as problem:
        wrong()
    assert said in str(problem.value) and "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: hg.Dense, "module 'handgrad' has no attribute 'Dense'; did you mean 'Linear'?"),
        (lambda: hg.nn, "did you mean 'layers'?"),
        (lambda: hg.Sequentail, "did you mean 'Sequential'?"),
        (lambda: F.cross_entropy, "did you mean 'cross_entropy_forward'?"),
        (lambda: hg.schedules.CosineAnnealingLR, "did you mean 'Cosine'?"),
        (lambda: MODEL.add, "a Sequential takes all its layers when it is made"),
        (lambda: MODEL.compile, "Trainer(model, loss, optimizer).fit(x, y)"),
        (lambda: TRAINER.train, "did you mean 'fit'?"),
        (lambda: TRAINER.optimizer.lr, "did you mean 'learning_rate'?"),
    ],
)
def test_an_attribute_that_there_is_not(wrong, said):
    with pytest.raises(AttributeError) as problem:
        wrong()
    assert said in str(problem.value)


def test_a_name_that_cannot_be_imported():
    with pytest.raises(ImportError, match="has no attribute 'Dense'; did you mean 'Linear'"):
        from handgrad import Dense  # noqa: F401
    with pytest.raises(ImportError, match="did you mean 'CrossEntropy'"):
        from handgrad.layers import CrossEntropyLoss  # noqa: F401


def test_a_history_tells_its_keys():
    with pytest.raises(KeyError, match=r"no 'val_loss'; did you mean 'validation_loss'\?"):
        hg.History(loss=[1.0], validation_loss=[2.0])["val_loss"]


def test_configurations_are_told_by_the_same_table():
    with pytest.raises(ValueError, match="no argument 'lr'; did you mean 'learning_rate'"):
        hg.optimizers.get({"name": "sgd", "lr": 0.1})
    with pytest.raises(ValueError, match="unknown loss 'mse'; did you mean 'mean-squared-error'"):
        hg.Trainer(MODEL, loss="mse")


def test_every_name_of_ours_in_the_table_is_one():
    known = {naming.fold(name) for name in dir(hg)}
    places = [
        hg.optimizers,
        hg.schedules,
        hg.initializers,
        hg.layers,
        hg.training,
        F,
        hg.Trainer,
        hg.Sequential,
        hg.SGD,
    ]
    for place in places:
        for name, thing in inspect.getmembers(place):
            known.add(naming.fold(name))
            if inspect.isclass(thing) or inspect.isfunction(thing):
                known.update(map(naming.fold, naming.constructor_names(thing) if inspect.isclass(thing) else []))
                if inspect.isfunction(thing):
                    known.update(map(naming.fold, inspect.signature(thing).parameters))
    known |= {
        naming.fold(name) for name in ("accuracy", "validation_loss", "validation_accuracy", "random_state", "max_iter")
    }
    known |= {naming.fold(name) for name in ("learning_rate_init", "beta_1")}  # of the estimators
    table = {ours for meant in naming.translations().values() for ours in meant}
    assert len(table) > 50 and {ours for ours in table if " " not in ours and naming.fold(ours) not in known} == set()


def test_advice_changes_nothing_else():
    assert list(inspect.signature(hg.SGD).parameters)[:2] == ["learning_rate", "momentum"]
    assert list(inspect.signature(hg.Trainer.fit).parameters)[:3] == ["self", "x", "y"]
    assert not hasattr(hg, "Dense") and not hasattr(MODEL, "add") and getattr(MODEL, "eval", None) is None
    for thing in (hg.Adam(0.1), hg.schedules.Cosine(1.0, 5), MODEL, hg.SGD):
        assert repr(copy.deepcopy(thing)) == repr(pickle.loads(pickle.dumps(thing))) == repr(thing)


def test_an_error_from_within_stays_its_own():
    class Broken(hg.Layer):
        def __init__(self, units):
            super().__init__()
            dict(3, units=units)

        @property
        def weights(self):
            return self.missing

    with pytest.raises(TypeError, match="'int' object is not iterable"):
        Broken(units=3)
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        Broken.weights.fget(MODEL)


def test_arguments_read_and_changed_by_name_as_scikit_learn_does():
    optimizer = hg.Adam(0.1, clipping=hg.ClipValue(1.0))
    weight = np.array([1.0])
    optimizer.update([weight], [np.array([1.0])])
    assert optimizer.get_params()["clipping__limit"] == 1.0 and "clipping__limit" not in optimizer.get_params(
        deep=False
    )
    assert optimizer.set_params(learning_rate=0.2, clipping__limit=5.0) is optimizer
    assert (optimizer.learning_rate, optimizer.clipping.limit, optimizer.num_steps) == (0.2, 5.0, 1)
    with pytest.raises(ValueError, match="learning_rate must be a finite number > 0"):
        optimizer.set_params(beta1=0.5, learning_rate=-1)
    assert (optimizer.beta1, optimizer.learning_rate) == (0.9, 0.2)
    with pytest.raises(ValueError, match="no argument 'lr'; did you mean 'learning_rate'"):
        optimizer.set_params(lr=1)
    with pytest.raises(ValueError, match="SGD has no argument 'clipping__limit'"):
        hg.SGD().set_params(clipping__limit=3)
    assert hg.schedules.WarmUp(hg.schedules.Constant(1.0), 3).set_params(schedule__initial=2.0)(5) == 2.0
    assert hg.Huber().set_params(delta=3.0).delta == 3.0 and hg.CrossEntropy().get_params()["class_weight"] is None
