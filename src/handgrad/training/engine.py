"""Engines: what a trainer drives. The base class says what it may ask for, NumpyEngine does it on our own layers."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..arrays import Array, ArrayLike, Generator
from ..kernels import route
from ..kernels.threads import threads_for
from ..layers.base import is_as_written
from ..layers.containers import Sequential
from ..layers.criteria import Loss, Penalty
from ..layers.description import load_arrays
from ..metrics import accuracy
from ..optimizers import Optimizer
from . import epochs

Metric: TypeAlias = Callable[[Array, Array], float]
Figures: TypeAlias = dict[str, float]


class Augment(Protocol):
    """Changes a batch x (N, ...) at random, in any way that leaves its targets right."""

    def __call__(self, x: Any, rng: Generator, /) -> Any: ...


class Engine:
    """One training step, and all else that a trainer may ask of what does the work, on a model of `handgrad.layers`.

    A subclass defines `step`; the other methods have defaults for an engine that trains the model object itself. One
    that works elsewhere, on a GPU say, overrides `predict`, `place`, `adapt`, `bring_home` and what concerns state.

    `on_gradients`, where it is set, is called by `step` with {'linear1.weight': gradient, ...} between backward and
    update.

    Parameters
    ----------
    model : Sequential
        The network, built.
    loss : Loss
        What is minimised.
    optimizer : Optimizer
        The rule for updates.
    penalty : Penalty, optional
        L2 or L1 of the weights, part of every loss reported.
    metrics : dict of str to callable, optional
        {name: function(outputs, targets) -> number}.

    Examples
    --------
    >>> class SignOfGradients(hg.training.Engine):
    ...     def step(self, x, y, sample_weight=None, metrics=False):
    ...         loss = self.loss.forward(self.model.forward(x, training=True), y, sample_weight)
    ...         self.model.backward(self.loss.backward())
    ...         signs = np.sign(self.model.gradient_vector)
    ...         self.optimizer.update([self.model.parameter_vector], [signs])
    ...         return {"loss": loss}
    >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(1)]), "mean-squared-error", engine=SignOfGradients)
    >>> x = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> history = trainer.fit(x, 3 * x, epochs=50, batch_size=20)
    >>> history["loss"][-1] < history["loss"][0]
    True
    """

    trains_in_place = True  # False: `step` works on copies of the model and of the optimizer's state
    on_gradients: Callable[[Mapping[str, Array]], object] | None = None

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        penalty: Penalty | None = None,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        self.model: Sequential = model
        self.loss: Loss = loss
        self.optimizer: Optimizer = optimizer
        self.penalty: Penalty | None = penalty
        self.metrics: dict[str, Metric] = dict(metrics or {})

    def step(self, x: Any, y: Any, sample_weight: Any = None, metrics: bool = False) -> Figures:
        """One training step on one batch: forward, loss, backward, update.

        Parameters
        ----------
        x, y : array
            The rows of the batch, x (N, ...) and y (N, ...), as `place` hands them out.
        sample_weight : array, optional
            What each row counts for, (N,).
        metrics : bool
            Whether the metrics are measured, too, on the outputs before the update.

        Returns
        -------
        dict of str to float
            {'loss': ...}, the penalty in it, and the metrics asked for.

        Raises
        ------
        FloatingPointError
            For a loss that is NaN or infinite, before anything is updated.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(x, y, sample_weight, metrics)")

    def at_once(self, batch_size: int) -> int:
        """How many steps on batches of this size `run` can do in one call; 0 for an engine that does them singly."""
        return 0

    def how(self, batch_size: int) -> str:
        """How steps on batches of this size are done, for people."""
        if many := self.at_once(batch_size):
            return f"up to {many} steps in one compiled call"
        return f"step by step: {self.why_single() or 'one batch fills the cache by itself'}"

    def why_single(self) -> str:
        """Why the steps are done one by one; '' where `run` can do many in one call."""
        return f"{type(self).__name__} has a step of its own"

    def run(
        self, x: Any, y: Any, sample_weight: Any, sizes: Array, rates: Array, metrics: bool = False
    ) -> dict[str, Array]:
        """Steps on batches of these rows, of these sizes and with these learning rates: what each has measured.

        Where that is fewer than there are sizes, the next one is for `step`, which says what is wrong with it.
        """
        return {"loss": np.empty(0)}

    def predict(self, x: Any, batch_size: int = 256) -> Array:
        """The model's outputs for all rows."""
        return self.model.predict(x, batch_size)

    def evaluate(self, x: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, batch_size: int = 256) -> Figures:
        """The loss, the penalty in it, and the metrics over all rows, in inference: {'loss': ..., 'accuracy': ...}.

        Parameters
        ----------
        x, y : array
            All rows, as arrays or as `place` returned them.
        sample_weight : array, optional
            What each row counts for, (N,).
        batch_size : int
            How many rows are computed at a time.
        """
        weight = None if sample_weight is None else np.asarray(sample_weight)
        return self.figures(self.predict(x, batch_size), np.asarray(y), weight)

    def figures(self, outputs: Array, y: Array, sample_weight: Array | None = None) -> Figures:
        """The loss of these outputs, the penalty in it, and the metrics."""
        loss = self.loss(outputs, y, sample_weight)
        return {"loss": float(loss + self.penalty_now()), **self.measure(outputs, y)}

    @property
    def figure_names(self) -> list[str]:
        """What `step` and `evaluate` measure: an engine that measures more says so, for callbacks that watch it."""
        return ["loss", *self.metrics]

    def measure(self, outputs: Array, y: Array) -> Figures:
        """The metrics of these outputs."""
        return {name: number_of(name, metric(outputs, y)) for name, metric in self.metrics.items()}

    def penalty_now(self) -> float:
        """What the parameters of this moment add to the loss."""
        return 0.0 if self.penalty is None else self.penalty(self.model.parameters)

    # State ------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Copies of everything that training has changed, as nested plain data and arrays."""
        self.bring_home()
        model = self.model
        return {
            "parameters": {k: v.copy() for k, v in model.parameters.items()},
            "state": {k: v.copy() for k, v in model.state.items()},
            "optimizer": self.optimizer_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned, to the bit."""
        arrays = {**state["parameters"], **{f"state.{k}": v for k, v in state["state"].items()}}
        load_arrays(self.model, arrays, "this training state")
        self.load_optimizer_state(state["optimizer"])

    def optimizer_state(self) -> dict[str, Any]:
        """The part of `state` that the update rule remembers."""
        return self.optimizer.state()

    def load_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `optimizer_state` returned."""
        self.optimizer.load_state(state)

    # What an engine that works elsewhere overrides --------------------------------------------------------------

    def place(self, array: Any) -> Any:
        """Training data where batches are cut from it; what comes back has a length and takes row numbers in []."""
        return np.asarray(array)

    def adapt(self, augment: Augment | None) -> Augment | None:
        """The augmentation for batches where they are cut."""
        return augment

    def bring_home(self) -> None:
        """Update the model object to the numbers trained so far; called after every epoch."""


def number_of(name: str, value: Any) -> float:
    """What a metric returned, as a float; a TypeError that names it where it is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"the metric '{name}' must return a number for (outputs, targets), got {value!r:.100}"
        ) from None


HOOKS = ("step", "propagate", "forward", "backward", "add_penalty", "arrays")  # what a step of NumpyEngine calls


class NumpyEngine(Engine):
    """Each training step by the model's own layers, in NumPy; many steps of a dense network in one compiled call."""

    _compiled: epochs.CompiledSteps | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles keep: not what is compiled, which is made anew."""
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

    def step(self, x: Array, y: Array, sample_weight: Array | None = None, metrics: bool = False) -> Figures:
        """One training step on one batch: forward, loss, backward, update; arguments and errors are Engine's."""
        outputs, loss = self.propagate(x, y, sample_weight)
        if self.on_gradients is not None:
            self.on_gradients(self.model.gradients)
        self.optimizer.update(*self.arrays())
        figures = {"loss": float(loss)}
        if metrics:
            figures.update(self.measure(outputs, y))
        return figures

    def propagate(
        self, x: Any, y: Array, sample_weight: Array | None = None, must_be_finite: bool = True
    ) -> tuple[Array, float]:
        """Forward and backward: the outputs and the loss of one batch, its penalty in it; the gradients are written."""
        with blas_block(self.model, len(y)):
            outputs = self.forward(x)
            loss = self.loss.forward(outputs, y, sample_weight)
            if must_be_finite and not math.isfinite(loss):
                raise FloatingPointError(self.why_not_finite(x, loss))
            self.backward(self.loss.backward())
        return outputs, loss if self.penalty is None else loss + self.add_penalty(y, sample_weight)

    def forward(self, x: Any) -> Array:
        """The model's outputs in training."""
        return self.model.forward(x, training=True)

    def backward(self, dy: Array) -> None:
        """Write all gradients."""
        self.model.backward(dy, input_gradient=False)

    def add_penalty(self, y: Array, sample_weight: Array | None) -> float:
        """Add the penalty's gradient to the gradients; returns the penalty."""
        return 0.0 if self.penalty is None else self.penalty.add(self.model.parameters, self.model.gradients)

    def why_not_finite(self, x: Any, loss: float) -> str:
        """Why the loss of this batch is not finite."""
        return why_not_finite(self.model, x, loss)

    def why_single(self) -> str:
        if not is_as_written(self) or any(is_foreign(getattr(type(self), hook)) for hook in HOOKS):
            return super().why_single()
        return epochs.why_not(self.model, self.loss, self.optimizer, self.penalty)

    def at_once(self, batch_size: int) -> int:
        kernel = None if self.why_single() else route.epochs()
        parts = self.model, self.loss, self.optimizer, self.penalty
        self._compiled = None if kernel is None else epochs.CompiledSteps(kernel, *parts)
        return self._compiled.at_once(batch_size) if self._compiled else 0

    def run(
        self, x: Any, y: Any, sample_weight: Any, sizes: Array, rates: Array, metrics: bool = False
    ) -> dict[str, Array]:
        if self._compiled is None or self.on_gradients is not None or not isinstance(x, np.ndarray):
            return {"loss": np.empty(0)}
        wanted = self.metrics if metrics else {}
        own = {name: metric for name, metric in wanted.items() if metric is not accuracy}
        how = len(own) < len(wanted), len(own) > 0
        done, losses, hits, outputs = self._compiled.run(x, y, sample_weight, sizes, rates, *how)
        measured = {"loss": losses, **(dict.fromkeys(wanted, hits / sizes[:done]) if wanted else {})}
        for name, metric in own.items():
            ends = np.cumsum(sizes[:done]).tolist()
            batches = [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]
            measured[name] = np.array([number_of(name, metric(outputs[batch], y[batch])) for batch in batches])
        return measured

    def arrays(self) -> tuple[list[Array], list[Array]]:
        """Parameters and gradients as the optimizer wants them: one flat vector each, where it can take that."""
        clipping = self.optimizer.clipping
        if clipping is not None and clipping.per_parameter:
            return list(self.model.parameters.values()), list(self.model.gradients.values())
        return [self.model.parameter_vector], [self.model.gradient_vector]


def blas_block(model: Sequential, num_rows: int) -> contextlib.AbstractContextManager[object]:
    """What products on so many rows run in; models of images share theirs by themselves."""
    size = model.parameter_vector.size if len(model.input_shape) == 1 else 0
    return threads_for(num_rows * size)


def is_foreign(method: Callable[..., object]) -> bool:
    """Whether a method was written elsewhere than in handgrad, whose engines do the same in compiled calls."""
    return method.__module__.partition(".")[0] != __name__.partition(".")[0]


def why_not_finite(model: Sequential, x: Array, loss: float) -> str:
    """Why the loss is not finite: the first parameter, or else the first layer's output, that is not."""
    for name, array in model.parameters.items():
        if not np.isfinite(array).all():
            what = f"the loss became {loss}: parameter '{name}' is not finite, so the last update overflowed"
            return f"{what}; lower the learning_rate or clip the gradients"
    y = x
    for layer, y in model.trace(x):
        if not np.isfinite(y).all():
            what = f"the loss became {loss}: layer '{layer.label}' is the first whose output is not finite"
            return f"{what}; lower the learning_rate, or look at its input"
    largest = float(np.abs(y).max(initial=0))
    if largest > np.sqrt(np.finfo(y.dtype).max):
        what = f"the loss became {loss}: outputs as large as {largest:.2g} overflow in it"
        return f"{what}; lower the learning_rate or clip the gradients"
    return f"the loss became {loss} on finite outputs: look at the targets and sample weights of this batch"
