"""Many training steps in one compiled call: a model, its loss and its optimizer in the numbers of `kernels.epochs`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, Generator
from ..clipping import ClipGlobalNorm, ClipValue
from ..functional.activations import SELU_ALPHA, SELU_SCALE
from ..kernels import route
from ..kernels.threads import SMALL_PRODUCT, num_threads, threads_for
from ..layers import L1, L2, BatchNorm, CrossEntropy, Dropout, Huber, Identity, Layer, Linear, Loss, Sequential
from ..layers.activations import ACTIVATIONS, ELU, GELU, SELU, ReLU, ReLU6
from ..layers.base import family, is_as_written, leaves
from ..layers.criteria import LOSSES, Penalty
from ..layers.dense import Flatten
from ..metrics import target_classes
from ..optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

Stage: TypeAlias = tuple[str, float, float]  # the name of one of the kernel's kinds, and two options
LABELS = ("CROSS_ENTROPY", "PROBABILITY_CROSS_ENTROPY", "HINGE")  # the objectives that take them
PASSING = (Flatten, Identity)  # layers that leave the numbers of a row as they are
ROW_BYTES = 2**21  # of rows in one call: what a core has in its cache
CALL = 2**29  # multiply-adds in one call at most, about a tenth of a second: so long does Ctrl-C wait


def activation(name: str, layer: Any) -> Stage:
    """The stage of an activation."""
    return name, getattr(layer, "alpha", 0.0), 0.0


def plain_loss(name: str, loss: Loss) -> Stage:
    """The goal that is a loss without options."""
    return name, 1.0, 0.0


# what each class is to the kernel; a subclass is none of them, and is run as it was written
STAGES: dict[type[Layer], Callable[[Any], Stage]] = {
    **{cls: functools.partial(activation, name) for name, cls in reversed(ACTIVATIONS.items())},
    ReLU: lambda layer: ("relu", math.inf, 0.0),
    ReLU6: lambda layer: ("relu", 6.0, 0.0),
    ELU: lambda layer: ("elu", layer.alpha, 1.0),
    SELU: lambda layer: ("elu", SELU_SCALE * SELU_ALPHA, SELU_SCALE),
    GELU: lambda layer: ("gelu" if layer.approximate == "tanh" else "exact_gelu", 0.0, 0.0),
    Linear: lambda layer: ("linear", layer.bias, 0.0),
    BatchNorm: lambda layer: ("batch_norm", layer.epsilon, layer.momentum),
    Dropout: lambda layer: ("dropout", round(layer.rate * 2**16), 1 / (1 - layer.rate)),
}
GOALS: dict[type[Loss], Callable[[Any], Stage]] = {  # (the name of one of the kernel's objectives, factor, option)
    **{cls: functools.partial(plain_loss, name.replace("-", "_")) for name, cls in LOSSES.items()},
    CrossEntropy: lambda loss: ("cross_entropy", 1.0, loss.label_smoothing),
    Huber: lambda loss: ("huber", 1.0, loss.delta),
}
RULES: dict[type[Optimizer], Callable[[Any], tuple[str, tuple[float, ...]]]] = {  # see the kernel's `update`
    SGD: lambda rule: ("sgd", (0.0, rule.momentum, rule.nesterov, 0.0, 0.0)),
    Adam: lambda rule: ("adam", (0.0, rule.beta1, rule.beta2, rule.epsilon, 0.0)),
    AdamW: lambda rule: ("adam", (1.0, rule.beta1, rule.beta2, rule.epsilon, 0.0)),
    RMSprop: lambda rule: ("rmsprop", (0.0, rule.decay_rate, 0.0, rule.epsilon, 0.0)),
    Adagrad: lambda rule: ("adagrad", (0.0, 1.0, 0.0, rule.epsilon, 0.0)),
}
POWERS: dict[type[Penalty], tuple[int, bool]] = {L1: (1, False), L2: (2, False)}  # see the kernel's Goal


def why_not(model: Sequential, loss: Loss, optimizer: Optimizer, penalty: Penalty | None) -> str:
    """Why the steps of this training are done one by one, or '' where a compiled call can do many."""
    layers = leaves(model)
    if not model.num_parameters:
        return "there are no parameters"
    for thing in (*family(model), loss, optimizer, penalty):
        if thing is not None and not is_as_written(thing):
            return f"a method of {getattr(thing, 'label', type(thing).__name__)} was replaced"
    for part in family(model):
        if part.children and type(part) is not Sequential:
            return f"{type(part).__name__} is no plain chain of layers"
    for layer in layers:
        if type(layer) not in STAGES and type(layer) not in PASSING:
            return f"{layer.label} ({type(layer).__name__}) is not compiled"
        if len(layer.input_shape) > 1 and type(layer) is not Flatten:
            return f"{layer.label} works on more than rows of numbers"
    if len({id(layer.rng) for layer in layers if type(layer) is Dropout}) > 1:
        return "its dropout draws from several generators"
    others: list[tuple[object, Collection[type]]] = [(loss, GOALS), (optimizer, RULES)]
    for other, known in others if penalty is None else [*others, (penalty, POWERS)]:
        if type(other) not in known:
            return f"{type(other).__name__} is not compiled"
    if type(optimizer.clipping) not in (type(None), ClipGlobalNorm, ClipValue):
        return f"{type(optimizer.clipping).__name__} looks at each parameter"
    if model.dtype not in (np.float32, np.float64):
        return f"dtype {model.dtype} is not compiled"
    return "" if route.epochs() else route.why_numpy()


class CompiledSteps:
    """The steps of one training, as the kernel does them: to the numbers of `NumpyEngine.step` but for rounding."""

    def __init__(
        self, kernel: ModuleType, model: Sequential, loss: Loss, optimizer: Optimizer, penalty: Penalty | None
    ) -> None:
        self.kernel: Any = kernel
        self.model: Sequential = model
        self.loss: Loss = loss
        self.optimizer: Optimizer = optimizer
        self.penalty: Penalty | None = penalty
        self.num_values: int
        self.layers: list[Layer] = [layer for layer in leaves(model) if does_something(layer)]
        self.chain: Array
        self.options: Array
        self.chain, self.options = self.describe()
        self.dropouts: list[int] = [layer.output_shape[0] for layer in self.layers if type(layer) is Dropout]
        self.states: list[Array] = [array for layer in self.layers for array in layer.state.values()]
        self.goal: Any = self.describe_goal()
        self.memory: tuple[Array, ...] = (np.empty(0, model.dtype),)

    def describe(self) -> tuple[Array, Array]:
        """The rows of `chain` and `options`."""
        chain, options = [], []
        parameters = statistics = self.num_values = 0
        for layer in self.layers:
            name, *numbers = STAGES[type(layer)](layer)
            kind, (inputs,), (outputs,) = self.kernel.Kind[name.upper()], layer.input_shape, layer.output_shape
            chain.append((kind, inputs, outputs, parameters, statistics, self.num_values))
            options.append(numbers)
            parameters += layer.num_parameters
            statistics += sum(array.size for array in layer.state.values())
            self.num_values += outputs * (2 if kind in self.kernel.KEEP_MORE else 1)
        return np.array(chain, np.int64), np.array(options, np.float64)

    def at_once(self, batch_size: int) -> int:
        """How many steps go into one call; 0 where that brings nothing, since one by itself fills the cache."""
        row_bytes = math.prod(self.model.input_shape) * self.model.dtype.itemsize
        most = min(ROW_BYTES // row_bytes, CALL // self.model.num_parameters) // batch_size
        return max(most, 1) if self.is_vectorised(batch_size) else most if most > 1 else 0

    def is_vectorised(self, batch_size: int) -> bool:
        """Whether machine code of our own multiplies matrices: on one thread as fast as two of BLAS, and none waits."""
        few = num_threads() <= 2 or batch_size * self.model.num_parameters <= SMALL_PRODUCT
        return few and route.vectors() is not None

    def run(
        self, x: Array, y: Array, sample_weight: Array | None, sizes: Array, rates: Array, counts: bool, keeps: bool
    ) -> tuple[int, Array, Array, Array]:
        """Do the steps: how many were done; the loss of each, the hits in each if they count, outputs if they are kept.

        Fewer are done than there are sizes where one is left to `NumpyEngine.step`, which says what is wrong with it.
        """
        model, optimizer, vector = self.model, self.optimizer, self.model.parameter_vector
        remembered = (optimizer.rows or optimizer.start([vector]))[0][1:]
        losses, hits = np.empty(len(sizes)), np.empty(len(sizes), np.int64)
        outputs = np.empty((len(x) if keeps else 0, *model.output_shape), model.dtype)
        if optimizer.shapes != [vector.shape]:  # an optimizer that has looked at each parameter before
            return 0, losses, hits, outputs
        rows, most = self.rows(x, y, sample_weight, sizes, counts), int(sizes.max())
        statistics = np.concatenate(self.states) if self.states else vector[:0]
        own = self.is_vectorised(most)
        gemm = self.kernel.gemm_of(model.dtype, vector.size if own else 0)
        work = gemm, self.network(most, statistics), self.goal, self.rule(remembered), rows, sizes, most, rates
        with threads_for(0 if own else most * vector.size):
            done: int = self.kernel.train(*work, optimizer.num_steps, losses, hits, outputs)
        optimizer.num_steps += done
        start = 0
        for array in self.states:
            array[...] = statistics[start : start + len(array)]
            start += len(array)
        if done < len(sizes) and self.dropouts:  # the step that is left to others draws these numbers itself
            self.generator.bit_generator.state = self.drawn_from
            self.draw(sizes[:done])
        return done, losses[:done], hits[:done], outputs

    @property
    def generator(self) -> Generator:
        """What dropout draws from."""
        generator = next(layer.rng for layer in self.layers if type(layer) is Dropout)
        assert generator is not None, "a layer that is built has one"
        return generator

    def network(self, capacity: int, statistics: Array) -> Any:
        """The kernel's Network, for batches of so many rows, in memory that is used again."""
        if self.memory[0].size < self.num_values * capacity:
            self.memory = tuple(np.empty(self.num_values * capacity, self.model.dtype) for _ in range(2))
        vectors = self.model.parameter_vector, self.model.gradient_vector, statistics, np.empty_like(statistics)
        return self.kernel.Network(self.chain, self.options, *vectors, *self.memory)

    def describe_goal(self) -> Any:
        """The kernel's Goal."""
        name, factor, option = GOALS[type(self.loss)](self.loss)
        weight = getattr(self.loss, "class_weight", None)
        weights = np.array(() if weight is None else weight, np.float64)
        if name == "probability_cross_entropy":
            option = np.finfo(self.model.dtype).tiny
        strength, power, is_shared = 0.0, 0, False
        if self.penalty is not None:
            strength, (power, is_shared) = self.penalty.strength, POWERS[type(self.penalty)]
        objective, numbers = int(self.kernel.Objective[name.upper()]), (float(factor), float(option))
        return self.kernel.Goal(objective, *numbers, weights, float(strength), power, is_shared)

    def rule(self, remembered: Sequence[Array]) -> Any:
        """The kernel's Rule."""
        optimizer, nothing = self.optimizer, self.model.parameter_vector[:0]
        name, numbers = RULES[type(optimizer)](optimizer)
        clipping, limits = optimizer.clipping, [math.inf, math.inf]
        if clipping is not None:
            limits[type(clipping) is ClipValue] = float(clipping.limit)
        floats = float(optimizer.weight_decay), *map(float, numbers)
        return self.kernel.Rule(
            int(self.kernel.Update[name.upper()]), floats, *limits, *[*remembered, nothing, nothing][:2]
        )

    def rows(self, x: Array, y: Array, sample_weight: Array | None, sizes: Array, counts: bool) -> Any:
        """The kernel's Rows, of data that were checked before the first epoch."""
        model, labels, targets = self.model, np.empty(0, np.int64), np.empty((0, 1), self.model.dtype)
        if y.ndim == 1 and self.goal.loss in [self.kernel.Objective[name] for name in LABELS]:
            labels = y.astype(np.int64, copy=False)
        else:
            targets = np.ascontiguousarray(y.reshape(len(x), -1), model.dtype)
        classes = np.empty(0, np.int64)
        if counts:
            classes = labels if len(labels) else target_classes(y)
        weights = np.empty(0) if sample_weight is None else sample_weight.astype(np.float64)
        flat = np.ascontiguousarray(model.accept(x).reshape(len(x), -1))
        return self.kernel.Rows(flat, labels, targets, weights, classes, self.draw(sizes))

    def draw(self, sizes: Array) -> Array:
        """Random bits for all dropout in batches of these sizes, those that each layer would draw in its turn."""
        if not self.dropouts:
            return np.empty(0, np.uint16)
        self.drawn_from = self.generator.bit_generator.state
        count = sum(int(((sizes * width + 3) // 4).sum()) for width in self.dropouts)
        return self.generator.integers(0, 1 << 64, count, dtype=np.uint64).view(np.uint16)


def does_something(layer: Layer) -> bool:
    """Whether a layer changes rows of numbers in training."""
    return type(layer) not in PASSING and not (type(layer) is Dropout and layer.rate == 0)
