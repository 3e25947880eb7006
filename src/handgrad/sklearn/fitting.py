"""One fit of an estimator: what it learns and counts, training by batches or by L-BFGS, and when to stop."""

from __future__ import annotations

import copy
import functools
import math
import sys
import warnings
from typing import Any

import numpy as np
from numpy.random import RandomState
from scipy import optimize, sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ..arrays import Array, MaybeNone
from ..layers import BatchNorm, Dropout, Linear, Sequential
from ..layers.base import leaves
from ..layers.description import load_arrays
from ..optimizers import SGD, Optimizer
from ..training import Callback, History, Trainer
from ..training.batches import Data
from ..training.progress import Progress
from ..training.trainer import ModelState
from .networks import make_network, weight_arrays
from .objectives import Objective
from .parameters import Parameters
from .table_engine import TableEngine
from .tables import Inputs

BROKEN = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


class Learned:
    """What a fit learns and counts: scikit-learn's fitted attributes, and ours."""

    model_: Sequential
    n_outputs_: int
    out_activation_: str
    n_layers_: int
    n_iter_: int  # iterations: epochs of the last call of fit, or steps of L-BFGS
    t_: int  # rows seen, each epoch's anew
    loss_: float
    best_loss_: float | None  # None with early stopping
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | MaybeNone  # None where nothing was measured, as the next two
    validation_scores_: list[float] | MaybeNone
    best_validation_score_: float | MaybeNone
    optimizer_: Optimizer | None  # None for L-BFGS
    callbacks_: list[Callback] | None
    history_: History
    stop_reason_: str | None
    _no_improvement_count: int


class Fit(Learned):
    """The owner of what is learned: from a fresh network on, through all calls that go on from it."""

    inputs: Inputs
    objective: Objective
    optimizer_state: dict[str, Any] | None  # of an engine that keeps it by itself

    def attributes(self) -> dict[str, Any]:
        """{name: value} of all that is learned, for the estimator to show."""
        return {name: getattr(self, name) for name in Learned.__annotations__}


def start(net: Parameters, inputs: Inputs, objective: Objective, x: Any, random: RandomState) -> Fit:
    """A fresh network, and everything that counts its training at zero."""
    fit = Fit()
    fit.inputs, fit.objective, fit.optimizer_state = inputs, objective, None
    fit.model_ = make_network(net, x.shape[1:], objective, inputs.dtype, random)
    first = fit.model_.layers[0]
    if sparse.issparse(x) and type(first) is not Linear:
        raise ValueError(f"sparse X needs a network that begins with Linear, not {first.label}: pass X.toarray()")
    if sparse.issparse(x) and net._engine_and_options()[0] != "numpy":
        raise ValueError(f"sparse X needs engine='numpy', not {net.engine!r}: pass X.toarray()")
    fit.n_outputs_, fit.out_activation_ = objective.num_outputs, objective.activation
    fit.n_layers_ = len(weight_arrays(fit.model_, "weight")) + 1
    fit.n_iter_ = fit.t_ = fit._no_improvement_count = 0
    fit.loss_, fit.best_loss_, fit.loss_curve_ = math.nan, math.inf, []
    fit.validation_loss_curve_ = fit.validation_scores_ = fit.best_validation_score_ = None
    fit.optimizer_ = fit.callbacks_ = fit.stop_reason_ = None
    fit.history_ = History()
    return fit


def train_by_lbfgs(net: Parameters, fit: Fit, data: Data) -> None:
    """Train on all rows at once, by SciPy's quasi-Newton minimiser, until the gradient is below tol.

    Everything is computed in float64: the line search compares losses too close for float32.
    Byrd, Lu, Nocedal & Zhu (1995).
    """
    check_deterministic(fit.model_)
    double = fit.model_.astype(np.float64)
    engine = TableEngine(double, fit.objective.loss, SGD(), net.alpha)  # of which no step is asked
    x, y, sample_weight = data
    x, y = x.astype(np.float64), y.astype(np.float64) if y.dtype.kind == "f" else y

    def loss_and_gradient(vector: Array) -> tuple[float, Array]:
        double.parameter_vector[...] = vector
        fit.loss_ = engine.differentiate(x, y, sample_weight)
        return fit.loss_, double.gradient_vector.copy()

    def note_iteration(xk: Array) -> None:
        fit.loss_curve_.append(fit.loss_)
        if net.verbose:
            print(f"Iteration {len(fit.loss_curve_)}, loss = {fit.loss_:.8f}")

    result = optimize.minimize(
        loss_and_gradient,
        double.parameter_vector.copy(),
        jac=True,
        method="L-BFGS-B",
        callback=note_iteration,
        options={"maxfun": net.max_fun, "maxiter": net.max_iter, "gtol": net.tol},
    )
    double.parameter_vector[...] = result.x
    states = {f"state.{name}": array for name, array in double.state.items()}
    load_arrays(fit.model_, {**double.parameters, **states})
    if not np.isfinite(result.x).all():
        raise ValueError(BROKEN)
    fit.n_iter_, fit.loss_ = min(result.nit, net.max_iter), float(result.fun)
    fit.best_loss_ = fit.loss_ if fit.best_loss_ is None else min(fit.loss_, fit.best_loss_)
    fit.stop_reason_ = str(result.message)
    if not result.success:
        advice = f"raise max_iter={net.max_iter} or max_fun={net.max_fun}, or scale the data"
        message = f"lbfgs ended before it converged ({result.message}): {advice}"
        warnings.warn(message, ConvergenceWarning, stacklevel=5)


def check_deterministic(model: Sequential) -> None:
    """Refuse layers whose outputs are random in training."""
    for layer in leaves(model):
        if isinstance(layer, Dropout):
            needs = f"solver='lbfgs' needs the same loss for the same weights, which {layer.label} does not give"
            raise ValueError(f"{needs}: use solver='adam' or 'sgd' with dropout")


class Training(Callback):
    """One call of fit or partial_fit by batches, and scikit-learn's bookkeeping after each of its epochs.

    Training stops, or an adaptive learning rate falls, when more than n_iter_no_change epochs in a row have not
    improved by tol: the training loss, or with early stopping the validation score.
    """

    def __init__(self, net: Parameters, fit: Fit, is_partial: bool) -> None:
        self.net: Parameters = net
        self.fit: Fit = fit
        self.is_partial: bool = is_partial
        self.num_rows: int = 0
        self.best_state: ModelState | None = None
        if net.early_stopping and is_partial:
            raise ValueError("partial_fit does not support early_stopping=True")

    def run(self, data: Data, validation: Data | None, random: RandomState) -> None:
        """Train for max_iter epochs, or for one (partial_fit), until converged or stopped."""
        net, fit = self.net, self.fit
        if net.early_stopping and validation is None:
            data, validation = self.split(data, random)
        x, targets, sample_weight = data
        self.num_rows, fit.n_iter_ = len(targets), 0
        if validation is not None and fit.validation_scores_ is None:
            fit.validation_loss_curve_, fit.validation_scores_, fit.best_validation_score_ = [], [], -math.inf
        fit.best_loss_ = None if net.early_stopping else math.inf if fit.best_loss_ is None else fit.best_loss_
        fit.optimizer_ = optimizer = self.next_optimizer()
        if fit.callbacks_ is None or not self.is_partial:
            fit.callbacks_ = [*net._make_schedule(), *copy.deepcopy(list(net.callbacks))]
        batch_size = self.rows_of_batch()
        trainer = self.make_trainer(optimizer, [self, *fit.callbacks_], batch_size, validation)
        trainer.streams.update(shuffle=Shuffle(random), dropout=fit.model_.rng)
        epochs = 1 if self.is_partial else net.max_iter
        try:
            trainer.fit(x, targets, validation, epochs, batch_size, sample_weight, net.shuffle, progress=net.progress)
        except FloatingPointError as problem:
            self.note_divergence(problem)
        if self.best_state is not None:
            trainer.load_model_state(self.best_state)
        if not trainer.engine.trains_in_place:
            fit.optimizer_state = trainer.engine.optimizer_state()
        fit.stop_reason_ = trainer.stop_reason
        self.warn_of_the_end(trainer)

    def split(self, data: Data, random: RandomState) -> tuple[Data, Data]:
        """(training data, validation data): validation_fraction of the rows, two classes each by its share."""
        stratify = self.fit.objective.stratify(data[1])
        rows = np.arange(len(data[1]))
        parts = train_test_split(rows, random_state=random, test_size=self.net.validation_fraction, stratify=stratify)
        if len(parts[1]) < 2:
            advice = "Increase 'validation_fraction' or the size of your dataset."
            raise ValueError(f"The validation set is too small. {advice}")
        training, held_out = (tuple(None if array is None else array[part] for array in data) for part in parts)
        return training, held_out

    def next_optimizer(self) -> Optimizer:
        """The optimizer of before in partial_fit; in a warm start its state under the rates of today's parameters."""
        before = self.fit.optimizer_
        if before is not None and self.is_partial:
            return before
        optimizer = self.net._make_optimizer()
        if before is not None and type(before) is type(optimizer) and before.slots == optimizer.slots:
            optimizer.load_state({**before.state(), "learning_rate": optimizer.learning_rate})
        return optimizer

    def rows_of_batch(self) -> int:
        """batch_size as a number; with batch norm one that leaves no batch of a single row, which has no variance."""
        given, num_rows = self.net.batch_size, self.num_rows
        if given != "auto" and given > num_rows:
            message = f"batch_size={given} is larger than the {num_rows} samples and is clipped to them"
            warnings.warn(message, stacklevel=6)
        size = min(200 if given == "auto" else given, num_rows)
        if any(isinstance(layer, BatchNorm) for layer in leaves(self.fit.model_)):
            while size < num_rows and num_rows % size == 1:
                size += 1
        return size

    def make_trainer(
        self, optimizer: Optimizer, callbacks: list[Callback], batch_size: int, validation: Data | None
    ) -> NetTrainer:
        """The trainer, with what earlier calls have counted and measured."""
        fit = self.fit
        loss, score = fit.objective.loss, fit.objective.score
        metrics = {} if validation is None else {"score": functools.partial(score, sample_weight=validation[2])}
        engine = self.net._engine_arguments(batch_size)
        trainer = NetTrainer(fit.model_, loss, optimizer, callbacks=callbacks, metrics=metrics, **engine)
        trainer.history, trainer.epoch, trainer.num_steps = fit.history_, fit.history_.num_epochs, optimizer.num_steps
        if fit.optimizer_state is not None:
            trainer.engine.load_optimizer_state({**fit.optimizer_state, "learning_rate": optimizer.learning_rate})
        return trainer

    def note_divergence(self, problem: FloatingPointError) -> None:
        """With early stopping the best weights so far stay; else an error."""
        if not self.net.early_stopping:
            raise ValueError(f"{BROKEN} ({problem})") from None
        fit = self.fit
        fit.validation_scores_ = [*(fit.validation_scores_ or []), math.nan]
        message = f"training stopped in iteration {fit.n_iter_ + 1}, the best weights before it are kept: {problem}"
        warnings.warn(message, ConvergenceWarning, stacklevel=6)

    def warn_of_the_end(self, trainer: Trainer) -> None:
        """Say so where training ended for no good reason."""
        max_iter = self.net.max_iter
        if trainer.was_interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        elif not self.is_partial and trainer.stop_reason is None and self.fit.n_iter_ == max_iter:
            reached = f"max_iter={max_iter} iterations reached and the optimization hasn't converged yet"
            advice = "raise max_iter, or tol to be content with less"
            warnings.warn(f"{reached}: {advice}", ConvergenceWarning, stacklevel=6)

    # After each epoch -------------------------------------------------------------------------------------------

    def on_fit_begin(self, trainer: Trainer) -> None:
        if self.net.early_stopping:
            self.best_state = trainer.model_state()

    def on_epoch_end(self, trainer: Trainer) -> None:
        net, fit, figures = self.net, self.fit, trainer.history.epoch(-1)
        fit.n_iter_ += 1
        fit.t_ += self.num_rows
        fit.loss_ = figures["loss"]
        fit.loss_curve_.append(fit.loss_)
        if net.verbose:
            print(f"Iteration {fit.n_iter_}, loss = {fit.loss_:.8f}")
        if "validation_loss" in figures:
            self.note_validation(figures["validation_loss"], figures["validation_score"], trainer)
        if fit.best_loss_ is not None:
            self.count(fit.loss_ > fit.best_loss_ - net.tol)
            fit.best_loss_ = min(fit.loss_, fit.best_loss_)
        if net.learning_rate == "invscaling" and self.is_plain_sgd:
            change_rate(trainer.optimizer, net.learning_rate_init / (fit.t_ + 1) ** net.power_t)
        if fit._no_improvement_count > net.n_iter_no_change:
            self.react(trainer)

    def epochs_unseen(self, trainer: Trainer) -> int:
        """Until one after which training may stop, or its learning rate change; validation looks at each by itself."""
        if self.net.learning_rate == "invscaling":
            return 0
        return int(min(self.net.n_iter_no_change - self.fit._no_improvement_count + 1, sys.maxsize))

    @property
    def is_plain_sgd(self) -> bool:
        """Whether learning_rate means the learning rate of the solver 'sgd'."""
        return self.net.optimizer is None and self.net.solver == "sgd"

    def note_validation(self, loss: float, score: float, trainer: Trainer) -> None:
        net, fit = self.net, self.fit
        best = -math.inf if fit.best_validation_score_ is None else fit.best_validation_score_
        fit.validation_loss_curve_ = [*(fit.validation_loss_curve_ or []), loss]
        fit.validation_scores_ = [*(fit.validation_scores_ or []), score]
        if net.verbose:
            print(f"Validation score: {score:f}")
        if net.early_stopping:
            self.count(score < best + net.tol)
        if score > best:
            fit.best_validation_score_ = score
            self.best_state = trainer.model_state() if net.early_stopping else None

    def count(self, is_stuck: bool) -> None:
        self.fit._no_improvement_count = self.fit._no_improvement_count + 1 if is_stuck else 0

    def react(self, trainer: Trainer) -> None:
        net, watched = self.net, "validation score" if self.net.early_stopping else "training loss"
        reason = f"the {watched} did not improve by tol={net.tol:g} for {net.n_iter_no_change} iterations"
        if net.learning_rate == "adaptive" and self.is_plain_sgd and trainer.optimizer.learning_rate > 1e-6:
            change_rate(trainer.optimizer, trainer.optimizer.learning_rate / 5)
            self.fit._no_improvement_count = 0
            action = f"learning rate set to {trainer.optimizer.learning_rate:g}"
        else:
            trainer.stop(reason)
            action = "stopping"
        if net.verbose:
            print(f"{reason[0].upper()}{reason[1:]}: {action}.")


def change_rate(sgd: Optimizer, learning_rate: float) -> None:
    """Change the learning rate as in scikit-learn, where a velocity keeps the rates of the steps that made it."""
    for velocity in sgd.arrays.values():
        velocity *= sgd.learning_rate / learning_rate
    sgd.learning_rate = learning_rate


class NetTrainer(Trainer):
    """A Trainer that takes data which its estimator has checked, sparse or not; its metrics are for validation only."""

    measures_steps = False

    def check_data(self, training: Data, validation: Any) -> tuple[Data, Data | None]:
        self.prepare()
        return training, validation

    def measured(self, validation: bool) -> list[str]:
        return ["loss", "learning_rate", *(["validation_loss", "validation_score"] if validation else [])]

    def observers(self, progress: bool | None) -> list[Callback]:
        return [Progress(True)] if progress else []


class Shuffle:
    """The orders of rows that scikit-learn draws: each epoch shuffles the order of the last.

    The state of a RandomState takes longer to read than many an epoch. So a state here is an order that was drawn, and
    knows those drawn after it.
    """

    def __init__(self, random: RandomState) -> None:
        self.random_state: RandomState = random
        self.bit_generator: Shuffle = self  # what a trainer asks for the state
        self.state: Drawn = Drawn(None)

    def permutation(self, num_rows: int) -> Array:
        if self.state.next is None:
            order = np.arange(num_rows) if self.state.order is None else self.state.order
            self.state.next = Drawn(order[self.random_state.permutation(num_rows)])
        self.state = self.state.next
        return self.state.order


class Drawn:
    """An order of rows, and the one after it, once that is drawn."""

    def __init__(self, order: Array | MaybeNone) -> None:
        self.order: Array | MaybeNone = order
        self.next: Drawn | None = None
