"""What training minimises, as objects: losses, and penalties on large weights."""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import Any, ClassVar

from .. import functional as F
from ..arrays import Array, ArrayLike, Cache
from ..naming import Configured, build, by_name, check_number, constructor_arguments
from .base import NOTHING, Pair, plain


class Loss(Configured):
    """How wrong outputs are, as one number, and its derivative. A loss is called, or taken forward and backward.

    A subclass names its pair. One with options writes `compute`, too, which calls the pair's forward with them.

    Attributes
    ----------
    pair : tuple
        (forward, backward) of `handgrad.functional`, or of your own:
        forward(outputs, targets, sample_weight=None) -> (loss, cache) and backward(dloss, cache) -> (doutputs,).
    classification : bool
        True where targets are classes, so that accuracy means something.

    Examples
    --------
    >>> def forward(outputs, targets, sample_weight=None):
    ...     return float(((outputs - targets) ** 4).mean()), outputs - targets
    >>> class Quartic(hg.Loss):
    ...     pair = forward, lambda dloss, error: (dloss * 4 * error**3 / error.size,)
    >>> loss = Quartic()
    >>> loss.forward(np.array([1.0, 2.0]), np.zeros(2))
    8.5
    >>> loss.backward()
    array([ 2., 16.])
    """

    classification = False
    pair: ClassVar[Pair]

    def compute(self, outputs: Array, targets: Any, sample_weight: Any) -> tuple[float, Cache]:
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
        """The loss; keeps the cache that `backward` takes away.

        Parameters
        ----------
        outputs : numpy.ndarray (N, ...)
            What the model returned.
        targets : array_like
            What it should have: see the class.
        sample_weight : array_like (N,), optional
            Makes it a weighted mean over the examples.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            For targets or weights that do not fit the outputs: nothing broadcasts.
        """
        value, cache = self.compute(outputs, targets, sample_weight)
        vars(self).setdefault("_caches", {})[get_ident()] = cache  # one a thread: models in several may share a loss
        return value

    def backward(self) -> Array:
        """doutputs, the derivative of the loss by the outputs of the last `forward`, in their shape.

        Raises
        ------
        ValueError
            Without a forward before it.
        """
        cache = vars(self).get("_caches", {}).pop(get_ident(), NOTHING)
        if cache is NOTHING:
            raise ValueError(f"{type(self).__name__}.backward() has no cache: call forward(outputs, targets) first")
        (doutputs,) = self.pair_backward(1.0, cache)
        return doutputs

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_caches"}

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
    """-log softmax(logits)[target], the mean over the batch: for one class out of several.

    Outputs are logits (N, C), numbers before any softmax. Targets are int labels (N,) or probabilities (N, C), each
    row 1 in sum within 0.02. Of sequences all steps count alike: outputs (N, T, C), labels (N, T).

    Parameters
    ----------
    class_weight : array_like (C,), optional
        Makes it a weighted mean, Σ w[target] loss / Σ w[target]. With probabilities as targets each class's term is
        multiplied by its weight, and the divisor is N.
    label_smoothing : float
        ε from 0 to below 1: the target becomes (1 - ε) target + ε / C (Szegedy et al. 2016).

    Raises
    ------
    ValueError
        For a label_smoothing below 0, or of 1 and above.

    See Also
    --------
    handgrad.functional.cross_entropy_forward : the pair of this loss, with cross_entropy_backward.

    Examples
    --------
    >>> round(hg.CrossEntropy()(np.zeros((5, 10)), np.arange(5)), 4)  # log 10
    2.3026
    """

    classification = True
    pair: ClassVar[Pair] = F.cross_entropy_forward, F.cross_entropy_backward

    def __init__(self, class_weight: ArrayLike | None = None, label_smoothing: float = 0.0) -> None:
        self.class_weight: ArrayLike | None = class_weight
        self.label_smoothing: float = check_number("CrossEntropy", "label_smoothing", label_smoothing, 0, below=1)

    def compute(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, Cache]:
        return F.cross_entropy_forward(outputs, targets, self.class_weight, self.label_smoothing, sample_weight)


class ProbabilityCrossEntropy(Loss):
    """-log p[target], the mean over the batch, for outputs that are probabilities already.

    Outputs are (N, C), those of a Softmax, and targets int labels (N,) or probabilities (N, C). `CrossEntropy` on the
    numbers before the softmax keeps more digits.

    See Also
    --------
    handgrad.functional.probability_cross_entropy_forward : of the pair of this loss, with its backward.

    Examples
    --------
    >>> round(hg.ProbabilityCrossEntropy()(np.array([[0.25, 0.75]]), [0]), 4)  # -log 0.25
    1.3863
    """

    classification = True
    pair: ClassVar[Pair] = F.probability_cross_entropy_forward, F.probability_cross_entropy_backward


class BinaryCrossEntropy(Loss):
    """-t log σ(x) - (1 - t) log(1 - σ(x)), the mean over all outputs: for two classes, or labels that go together.

    Outputs are logits, numbers before any sigmoid; targets, of the same shape, lie from 0 to 1.

    See Also
    --------
    handgrad.functional.binary_cross_entropy_forward : the pair of this loss, with binary_cross_entropy_backward.

    Examples
    --------
    >>> round(hg.BinaryCrossEntropy()(np.zeros((4, 1)), np.ones((4, 1))), 4)  # log 2
    0.6931
    """

    classification = True
    pair: ClassVar[Pair] = F.binary_cross_entropy_forward, F.binary_cross_entropy_backward


class Hinge(Loss):
    """Σ_j max(0, s_j - s_y + 1) over the classes j other than the right one y, the mean over the batch.

    Outputs are scores (N, C), targets int labels (N,). It is 0 where the right class leads by 1.
    (Weston & Watkins 1999)

    See Also
    --------
    handgrad.functional.hinge_forward : the pair of this loss, with hinge_backward.

    Examples
    --------
    >>> hg.Hinge()(np.array([[3.0, 2.5, 0.0]]), [0])
    0.5
    """

    classification = True
    pair: ClassVar[Pair] = F.hinge_forward, F.hinge_backward


class MeanSquaredError(Loss):
    """(y - t)², the mean over all elements, without a factor ½.

    Outputs and targets have the same shape, any.

    See Also
    --------
    handgrad.functional.mean_squared_error_forward : the pair of this loss, with mean_squared_error_backward.

    Examples
    --------
    >>> hg.MeanSquaredError()(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]]))
    2.0
    """

    pair: ClassVar[Pair] = F.mean_squared_error_forward, F.mean_squared_error_backward


class MeanAbsoluteError(Loss):
    """|y - t|, the mean over all elements: outliers pull no harder than other errors.

    Outputs and targets have the same shape, any. The derivative at 0 is 0.

    See Also
    --------
    handgrad.functional.mean_absolute_error_forward : the pair of this loss, with mean_absolute_error_backward.

    Examples
    --------
    >>> hg.MeanAbsoluteError()(np.array([[1.0], [4.0]]), np.array([[1.0], [2.0]]))
    1.0
    """

    pair: ClassVar[Pair] = F.mean_absolute_error_forward, F.mean_absolute_error_backward


class Huber(Loss):
    """½ e² for an error e = y - t within delta, else delta (|e| - ½ delta); the mean over all elements. (Huber 1964)

    Outputs and targets have the same shape, any.

    Parameters
    ----------
    delta : float
        Where the square becomes a line, above 0.

    Raises
    ------
    ValueError
        For a delta that is not above 0.

    See Also
    --------
    handgrad.functional.huber_forward : the pair of this loss, with huber_backward.

    Examples
    --------
    >>> hg.Huber(delta=1)(np.array([0.5, 3.0]), np.zeros(2))  # (0.125 + 2.5) / 2
    1.3125
    """

    pair: ClassVar[Pair] = F.huber_forward, F.huber_backward

    def __init__(self, delta: float = 1.0) -> None:
        self.delta: float = check_number("Huber", "delta", delta, above=0)

    def compute(self, outputs: Array, targets: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, Cache]:
        return F.huber_forward(outputs, targets, delta=self.delta, sample_weight=sample_weight)


LOSSES: dict[str, type[Loss]] = by_name(
    "-", CrossEntropy, ProbabilityCrossEntropy, BinaryCrossEntropy, Hinge, MeanSquaredError, MeanAbsoluteError, Huber
)


def get_loss(spec: str | dict[str, Any] | Loss) -> Loss:
    """A loss from its name ('cross-entropy'), from {"name": ..., arguments}, or the loss itself."""
    return build("loss", spec, LOSSES, Loss)


class Penalty(Configured):
    """What large weights cost, and its gradient: a pair of `handgrad.functional` applied to every weight.

    Every parameter whose name ends in 'weight' counts ('recurrent_weight', too); biases, gamma and beta are left alone.

    Parameters
    ----------
    strength : float
        What the pair multiplies its sum by, 0 or more.

    Attributes
    ----------
    pair : tuple
        (forward, backward): forward(weight, strength) -> (penalty, cache) and backward(dpenalty, cache) -> (dweight,).
    """

    pair: ClassVar[Pair]

    def __init__(self, strength: float) -> None:
        self.strength: float = check_number(type(self).__name__, "strength", strength, minimum=0)

    def __call__(self, parameters: Mapping[str, Array]) -> float:
        """The penalty of {'linear1.weight': array, ...}, a float."""
        return sum(float(self.pair[0](weight, self.strength)[0]) for weight in weights(parameters).values())

    def add(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array], divisor: float = 1.0) -> float:
        """Add the gradient of the penalty, of strength / divisor, to the gradients, in place; returns the penalty."""
        total, strength = 0.0, self.strength / divisor
        for name, weight in weights(parameters).items():
            value, cache = self.pair[0](weight, strength)
            gradient = gradients[name]
            gradient += self.pair[1](1.0, cache)[0]
            total += value
        return total


class L2(Penalty):
    """½ strength Σ w²: large weights cost, and each is pulled to 0 in proportion. Its gradient is strength w.

    Every parameter whose name ends in 'weight' counts ('recurrent_weight', too); biases, gamma and beta are left alone.

    Parameters
    ----------
    strength : float
        0 or more.

    Raises
    ------
    ValueError
        For a strength below 0.

    Examples
    --------
    >>> hg.L2(0.1)({"linear1.weight": np.array([[3.0, 4.0]]), "linear1.bias": np.ones(2)})  # 0.05 (9 + 16)
    1.25
    """

    pair: ClassVar[Pair] = F.l2_penalty_forward, F.l2_penalty_backward


class L1(Penalty):
    """strength Σ |w|: all weights are pulled to 0 alike, and many get there. Its gradient is strength sign(w).

    Every parameter whose name ends in 'weight' counts ('recurrent_weight', too); biases, gamma and beta are left alone.

    Parameters
    ----------
    strength : float
        0 or more.

    Raises
    ------
    ValueError
        For a strength below 0.

    Examples
    --------
    >>> hg.L1(0.1)({"linear1.weight": np.array([[3.0, -4.0]])}) == 0.1 * 7
    True
    """

    pair: ClassVar[Pair] = F.l1_penalty_forward, F.l1_penalty_backward


PENALTIES: dict[str, type[Penalty]] = by_name("_", L2, L1)


def get_penalty(spec: dict[str, Any] | Penalty | None) -> Penalty | None:
    """A penalty from {"name": "l2", "strength": 1e-4}, the penalty itself, or None."""
    return spec if spec is None else build("penalty", spec, PENALTIES, Penalty)


def weights(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays that penalties count: those whose names end in 'weight', alone or in a model."""
    return {name: array for name, array in parameters.items() if name.endswith("weight")}
