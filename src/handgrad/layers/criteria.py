"""What training minimises, as objects: losses, and penalties on large weights."""

from collections.abc import Mapping
from typing import Any, ClassVar

from .. import functional as F
from ..arrays import Array, ArrayLike, Cache
from ..naming import build, by_name, check_number, constructor_arguments
from .base import NOTHING, Pair, plain


class Loss:
    """How wrong outputs are, as one number. A subclass names its pair, and writes `compute` where it has options.

    classification: True where targets are classes, so that accuracy means something.
    """

    classification = False
    pair: ClassVar[Pair]
    _cache: Any = NOTHING

    def compute(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, Cache]:
        """The loss, and what `pair_backward` needs."""
        if not hasattr(self, "pair"):
            raise NotImplementedError(f"{type(self).__name__} must name its pair, or define compute and pair_backward")
        value, cache = self.pair[0](outputs, targets, sample_weight=sample_weight)
        return value, cache

    def pair_backward(self, dloss: float, cache: Cache) -> tuple[Array]:
        """(doutputs,) for the derivative of what is minimised by this loss."""
        backward: Any = self.pair[1]
        gradients: tuple[Array] = backward(dloss, cache)
        return gradients

    def forward(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The loss (a float) of outputs (N, ...) against targets; keeps the cache that `backward` takes away."""
        value, self._cache = self.compute(outputs, targets, sample_weight)
        return value

    def backward(self) -> Array:
        """doutputs, in the shape of the outputs."""
        if self._cache is NOTHING:
            raise ValueError(f"{type(self).__name__}.backward() has no cache: call forward(outputs, targets) first")
        cache, self._cache = self._cache, NOTHING
        (doutputs,) = self.pair_backward(1.0, cache)
        return doutputs

    def __call__(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The loss alone, keeping nothing."""
        return self.compute(outputs, targets, sample_weight)[0]

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data."""
        return {k: plain(v) for k, v in constructor_arguments(self).items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config.items())})"


class CrossEntropy(Loss):
    """-log softmax(logits)[target], mean over the batch. Targets: int labels (N,) or probabilities (N, C).

    class_weight (C,) makes it the weighted mean Σ w[t] l / Σ w[t]; label_smoothing mixes the target with the
    uniform distribution (Szegedy et al., 2016).
    """

    classification = True
    pair: ClassVar[Pair] = F.cross_entropy_forward, F.cross_entropy_backward

    def __init__(self, class_weight: ArrayLike | None = None, label_smoothing: float = 0.0) -> None:
        self.class_weight: ArrayLike | None = class_weight
        self.label_smoothing: float = label_smoothing

    def compute(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, Cache]:
        return F.cross_entropy_forward(
            outputs,
            targets,
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
            sample_weight=sample_weight,
        )


class ProbabilityCrossEntropy(Loss):
    """-log p[target] on probabilities (the output of Softmax), mean over the batch."""

    classification = True
    pair: ClassVar[Pair] = F.probability_cross_entropy_forward, F.probability_cross_entropy_backward


class BinaryCrossEntropy(Loss):
    """Cross-entropy of one logit per example (or per label) against targets in [0, 1]."""

    classification = True
    pair: ClassVar[Pair] = F.binary_cross_entropy_forward, F.binary_cross_entropy_backward


class Hinge(Loss):
    """Multiclass hinge: Σ max(0, s_j - s_y + 1) over the wrong classes j, mean over the batch."""

    classification = True
    pair: ClassVar[Pair] = F.hinge_forward, F.hinge_backward


class MeanSquaredError(Loss):
    """(y - t)², mean over all elements, no ½."""

    pair: ClassVar[Pair] = F.mean_squared_error_forward, F.mean_squared_error_backward


class MeanAbsoluteError(Loss):
    """|y - t|, mean over all elements."""

    pair: ClassVar[Pair] = F.mean_absolute_error_forward, F.mean_absolute_error_backward


class Huber(Loss):
    """Quadratic within delta of the target, linear beyond (Huber, 1964), mean over all elements."""

    pair: ClassVar[Pair] = F.huber_forward, F.huber_backward

    def __init__(self, delta: float = 1.0) -> None:
        self.delta: float = delta

    def compute(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, Cache]:
        return F.huber_forward(outputs, targets, delta=self.delta, sample_weight=sample_weight)


LOSSES: dict[str, type[Loss]] = by_name(
    "-", CrossEntropy, ProbabilityCrossEntropy, BinaryCrossEntropy, Hinge, MeanSquaredError, MeanAbsoluteError, Huber
)


def get_loss(spec: str | dict[str, Any] | Loss) -> Loss:
    """A loss from its name ('cross-entropy'), from {"name": ..., arguments}, or the loss itself."""
    return build("loss", spec, LOSSES)


class Penalty:
    """A pair of `handgrad.functional` applied to every parameter called 'weight' or '..._weight', times a strength."""

    pair: ClassVar[Pair]

    def __init__(self, strength: float) -> None:
        self.strength: float = check_number(type(self).__name__, "strength", strength, minimum=0)

    def __call__(self, parameters: Mapping[str, Array]) -> float:
        """The penalty of {'linear1.weight': array, ...}, a float."""
        return sum(float(self.pair[0](weight, self.strength)[0]) for weight in weights(parameters).values())

    def add(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> float:
        """Add the penalty's gradient to the gradients, in place; returns the penalty."""
        total = 0.0
        for name, weight in weights(parameters).items():
            value, cache = self.pair[0](weight, self.strength)
            gradient = gradients[name]
            gradient += self.pair[1](1.0, cache)[0]
            total += value
        return total

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in constructor_arguments(self).items())})"


class L2(Penalty):
    """½ strength Σ w²: its gradient is strength w."""

    pair: ClassVar[Pair] = F.l2_penalty_forward, F.l2_penalty_backward


class L1(Penalty):
    """strength Σ |w|: its gradient is strength sign(w)."""

    pair: ClassVar[Pair] = F.l1_penalty_forward, F.l1_penalty_backward


PENALTIES: dict[str, type[Penalty]] = by_name("_", L2, L1)


def get_penalty(spec: dict[str, Any] | Penalty | None) -> Penalty | None:
    """A penalty from {"name": "l2", "strength": 1e-4}, the penalty itself, or None."""
    return spec if spec is None else build("penalty", spec, PENALTIES)


def weights(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays that penalties count: those named 'weight' or 'recurrent_weight', alone or in a model."""
    return {name: array for name, array in parameters.items() if name.endswith("weight")}
