"""Many steps in one compiled call give what they give one by one, and everything around them works as ever."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import handgrad as hg
from handgrad.kernels import route
from handgrad.training import trainer as training

if route.epochs() is None:
    pytest.skip(route.why_numpy(), allow_module_level=True)

ACTIVATIONS = [hg.ReLU, hg.LeakyReLU, hg.ELU, hg.GELU, hg.SiLU, hg.Sigmoid, hg.Tanh, hg.Softplus, hg.Arctan, hg.Softmax]
LAYERS = [*ACTIVATIONS, hg.LogSoftmax, hg.Identity, hg.BatchNorm, hg.Dropout, lambda: hg.Dropout(0.0)]
OPTIMIZERS = [
    hg.SGD(0.05),
    hg.SGD(0.05, momentum=0.9),
    hg.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    hg.Adam(0.01, weight_decay=0.1),
    hg.AdamW(0.01),
    hg.RMSprop(0.01),
    hg.Adagrad(0.05),
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


def both_routes(make, fit):
    """The same training step by step, and many steps in a call."""
    single, compiled = (by_route(name, make, fit) for name in ("numpy", "compiled"))
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


@settings(deadline=None, max_examples=60)
@given(trainings())
def test_random_trainings_are_the_same(training_of):
    check_same(*both_routes(*training_of))


class Doubled(hg.Sequential):
    """A chain whose forward is its own."""

    def forward(self, x, training=False):
        return 2 * super().forward(x, training)

    def backward(self, dy, input_gradient=True):
        return super().backward(2 * dy, input_gradient)


class Own(hg.ReLU):
    """A layer that is not the one whose name it might have."""


class Engine(hg.training.NumpyEngine):
    """An engine with a step of its own."""

    def step(self, x, y, sample_weight=None, metrics=False):
        return super().step(x, y, sample_weight, metrics)


@pytest.mark.parametrize(
    ("why", "make"),
    [
        ("Doubled is no plain chain", lambda: hg.Trainer(Doubled([hg.Linear(2)]))),
        ("Residual is no plain chain", lambda: hg.Trainer(hg.Sequential([hg.Residual([hg.Linear(3)]), hg.Linear(2)]))),
        (r"own1 \(Own\)", lambda: hg.Trainer(hg.Sequential([hg.Linear(2), Own()]))),
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
