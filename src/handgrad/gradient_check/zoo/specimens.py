"""The cages: how a wrong backward is written down, and the right forward it belongs to."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ... import functional as F

SPECIMENS: dict = {}  # name -> Specimen
FAMILIES: dict = {}  # subject -> Family


@dataclass(frozen=True)
class Specimen:
    """One wrong version: what it is a version of, the mistake's name, and what one learns from it.

    make(rng) gives (target, arrays, options) for check_gradients.
    """

    name: str
    subject: str
    mistake: str
    message: str
    make: Callable


@dataclass(frozen=True)
class Family:
    """A right pair, arrays to run it on, and keywords for its forward."""

    forward: Callable
    backward: Callable
    draw: Callable
    kwargs: dict


def family(subject, name, draw, **kwargs):
    """Put the pair `name` of handgrad.functional into the zoo as `subject`."""
    forward, backward = getattr(F, f"{name}_forward"), getattr(F, f"{name}_backward")
    FAMILIES[subject] = Family(forward, backward, draw, kwargs)


def wrong(subject, mistake, message):
    """Register a wrong backward(dy, c) of a family. c has the forward's arguments by name, y, keywords and `right`.

    c.right holds the right gradients, so that a specimen shows its mistake and nothing else.
    """

    def register(mutant):
        def make(rng):
            member = FAMILIES[subject]
            arrays = member.draw(rng)
            kwargs = {k: v() if callable(v) else v for k, v in member.kwargs.items()}
            return mutated(member, mutant), arrays, {"kwargs": kwargs}

        add(Specimen(f"{subject.replace(' ', '_')}.{mutant.__name__}", subject, mistake, message, make))
        return mutant

    return register


def specimen(subject, mistake, message):
    """Register a specimen with a target of its own: make(rng) -> (target, arrays, options)."""

    def register(make):
        add(Specimen(f"{subject.replace(' ', '_')}.{make.__name__}", subject, mistake, message, make))
        return make

    return register


def add(new):
    if new.name in SPECIMENS:
        raise ValueError(f"two specimens are called {new.name}")
    SPECIMENS[new.name] = new


def mutated(member, mutant):
    """The pair (forward, backward) with the mutant for its backward."""
    signature = inspect.signature(member.forward)

    def forward(*arrays, **keywords):
        y, cache = member.forward(*arrays, **keywords)
        bound = signature.bind(*arrays, **keywords)
        bound.apply_defaults()
        return y, (bound.arguments, y, cache)

    def backward(dy, cache):
        arguments, y, inner = cache
        right = member.backward(dy, inner)
        return mutant(dy, SimpleNamespace(**arguments, y=y, right=right, keywords=arguments))

    forward.__signature__ = signature
    forward.__name__ = member.forward.__name__
    return forward, backward


# Arrays ---------------------------------------------------------------------------------------------------------


def normal(*shapes):
    """A draw of standard normal arrays of these shapes."""
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def labelled(n, classes):
    """A draw of logits (n, classes) and labels (n,)."""
    return lambda rng: (rng.normal(size=(n, classes)), rng.integers(0, classes, n))


def probabilities(n, classes):
    """A draw of rows of probabilities and labels."""

    def draw(rng):
        p = rng.uniform(0.1, 1.0, size=(n, classes))
        return p / p.sum(axis=1, keepdims=True), rng.integers(0, classes, n)

    return draw


def small_integers(*shape):
    """Images of a few grey levels: windows have ties, as in scanned digits."""
    return lambda rng: (rng.integers(0, 3, size=shape).astype(np.float64),)


family("linear", "linear", normal((6, 4), (4, 5), (5,)))
family("square linear", "linear", normal((6, 4), (4, 4), (4,)))
family("relu", "relu", normal((6, 5)))
family("leaky relu", "leaky_relu", normal((6, 5)), alpha=0.1)
family("elu", "elu", normal((6, 5)), alpha=0.7)
family("sigmoid", "sigmoid", normal((6, 5)))
family("tanh", "tanh", normal((6, 5)))
family("arctan", "arctan", normal((6, 5)))
family("softplus", "softplus", normal((6, 5)))
family("silu", "silu", normal((6, 5)))
family("gelu", "gelu", normal((6, 5)))
family("softmax", "softmax", normal((6, 5)))
family("log softmax", "log_softmax", normal((6, 5)))
family("cross-entropy", "cross_entropy", labelled(6, 5))
family("weighted cross-entropy", "cross_entropy", labelled(6, 5), class_weight=lambda: np.array([1.0, 2, 3, 0.5, 4]))
family("smoothed cross-entropy", "cross_entropy", labelled(6, 5), label_smoothing=0.2)
family("probability cross-entropy", "probability_cross_entropy", probabilities(6, 5))
family(
    "binary cross-entropy",
    "binary_cross_entropy",
    lambda rng: (rng.normal(size=(6, 3)), rng.integers(0, 2, (6, 3)).astype(np.float64)),
)
family("mean squared error", "mean_squared_error", normal((6, 3), (6, 3)))
family("mean absolute error", "mean_absolute_error", normal((6, 3), (6, 3)))
family("huber", "huber", lambda rng: (3 * rng.normal(size=(6, 3)), rng.normal(size=(6, 3))), delta=0.8)
family("hinge", "hinge", labelled(6, 5))
family("l2 penalty", "l2_penalty", normal((4, 5)), strength=0.3)
family("l1 penalty", "l1_penalty", normal((4, 5)), strength=0.3)
family("conv2d", "conv2d", normal((4, 6, 6, 2), (3, 3, 2, 5), (5,)), padding=1)
family("strided conv2d", "conv2d", normal((4, 7, 7, 2), (3, 3, 2, 2), (2,)), stride=2)
family("max pool", "max_pool2d", normal((4, 6, 6, 2)), kernel_size=2)
family("overlapping max pool", "max_pool2d", normal((4, 6, 6, 2)), kernel_size=3, stride=1)
family("max pool of few greys", "max_pool2d", small_integers(4, 6, 6, 2), kernel_size=2)
family("avg pool", "avg_pool2d", normal((4, 6, 6, 2)), kernel_size=3, padding=1)
family("overlapping avg pool", "avg_pool2d", normal((4, 6, 6, 2)), kernel_size=3, stride=1)
family("batch norm", "batch_norm", normal((6, 5), (5,), (5,)))
family("batch norm of images", "batch_norm", normal((4, 3, 3, 5), (5,), (5,)))
family(
    "batch norm with averages",
    "batch_norm",
    normal((6, 5), (5,), (5,)),
    running_mean=lambda: np.full(5, 0.3),
    running_var=lambda: np.linspace(1, 2, 5),
)
family("layer norm", "layer_norm", normal((6, 5), (5,), (5,)))
family("dropout", "dropout", normal((6, 5)), rate=0.3, rng=lambda: np.random.default_rng(5))
