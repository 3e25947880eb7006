"""One fit of an estimator: its network and counters at the start, training by batches or by L-BFGS."""

import copy
import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ..layers import BatchNorm, Linear
from ..layers.base import leaves
from ..training import History
from .engine import TableEngine
from .lbfgs import minimize
from .networks import make_network, weight_arrays
from .rules import engine_options, engine_spec, make_optimizer, make_schedule
from .training import Convergence, NetTrainer

BROKEN = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


@dataclass
class Data:
    """Checked x, targets as the loss wants them, and what each row counts for, or None."""

    x: object
    targets: np.ndarray
    weight: np.ndarray | None = None

    def rows(self, rows):
        return Data(self.x[rows], self.targets[rows], None if self.weight is None else self.weight[rows])

    def arrays(self):
        return self.x, self.targets, self.weight

    def __len__(self):
        return len(self.targets)


def start(net, x, random_state):
    """A fresh network, and everything that counts its training at zero."""
    net.model_ = make_network(net, x.shape[1:], net._objective, net._dtype, random_state)
    first = net.model_.layers[0]
    if sparse.issparse(x) and type(first) is not Linear:
        raise ValueError(f"sparse X needs a network that begins with Linear, not {first.label}: pass X.toarray()")
    if sparse.issparse(x) and engine_spec(net)[0] != "numpy":
        raise ValueError(f"sparse X needs engine='numpy', not {net.engine!r}: pass X.toarray()")
    net.n_outputs_, net.out_activation_ = net._objective.num_outputs, net._objective.activation
    net.n_layers_ = len(weight_arrays(net.model_, "weight")) + 1
    net.n_iter_, net.t_, net._no_improvement_count = 0, 0, 0
    net.loss_curve_, net.best_loss_ = [], math.inf
    net.validation_loss_curve_ = net.validation_scores_ = net.best_validation_score_ = None
    net.optimizer_, net.history_, net._engine_state = None, History(), None
    net.callbacks_ = None


def fit_by_batches(net, data, validation, random_state, is_partial):
    """Train for max_iter epochs, or for one (partial_fit), until converged or stopped."""
    if net.early_stopping and is_partial:
        raise ValueError("partial_fit does not support early_stopping=True")
    if net.early_stopping and validation is None:
        data, validation = split(net, data, random_state)
    prepare_curves(net, validation is not None)
    net.optimizer_ = next_optimizer(net, is_partial)
    if net.callbacks_ is None or not is_partial:
        net.callbacks_ = [*make_schedule(net), *copy.deepcopy(list(net.callbacks))]
    batch_size = rows_of_batch(net, len(data))
    convergence = Convergence(net, len(data))
    trainer = make_trainer(net, convergence, batch_size, validation, random_state)
    try:
        trainer.fit(
            data.x,
            data.targets,
            validation_data=None if validation is None else validation.arrays(),
            epochs=1 if is_partial else net.max_iter,
            batch_size=batch_size,
            sample_weight=data.weight,
            shuffle=net.shuffle,
            progress=net.progress,
        )
    except FloatingPointError as problem:
        note_divergence(net, problem)
    finish(net, trainer, convergence, is_partial)


def make_trainer(net, convergence, batch_size, validation, random_state):
    """The trainer, with what earlier calls have counted and measured."""
    metrics = {} if validation is None else {"score": net._scorer(validation.weight)}
    trainer = NetTrainer(
        net.model_,
        net._objective.loss,
        net.optimizer_,
        random_state,
        metrics=metrics,
        callbacks=[convergence, *net.callbacks_],
        **engine_options(net, batch_size),
    )
    trainer.history, trainer.epoch, trainer.num_steps = net.history_, net.history_.num_epochs, net.optimizer_.num_steps
    if net._engine_state is not None:
        rate = net.optimizer_.learning_rate
        trainer.engine.load_state({**trainer.engine.state(), "optimizer": {**net._engine_state, "learning_rate": rate}})
    return trainer


def finish(net, trainer, convergence, is_partial):
    """The best weights, the state that a warm start goes on from, and warnings."""
    if convergence.best_state is not None:
        trainer.load_model_state(convergence.best_state)
    if not isinstance(trainer.engine, TableEngine):
        net._engine_state = trainer.engine.state()["optimizer"]
    net.stop_reason_ = trainer.stop_reason
    if trainer.was_interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=5)
    elif not is_partial and trainer.stop_reason is None and net.n_iter_ == net.max_iter:
        warnings.warn(
            f"max_iter={net.max_iter} iterations reached and the optimization hasn't converged yet: raise "
            "max_iter, or tol to be content with less",
            ConvergenceWarning,
            stacklevel=5,
        )


def note_divergence(net, problem):
    """With early stopping the best weights so far stay; else an error."""
    if not net.early_stopping:
        raise ValueError(f"{BROKEN} ({problem})") from None
    net.validation_scores_.append(math.nan)
    warnings.warn(
        f"training stopped in iteration {net.n_iter_ + 1}, the best weights before it are kept: {problem}",
        ConvergenceWarning,
        stacklevel=6,
    )


def fit_by_lbfgs(net, data):
    """Train on all rows at once until the gradient is below tol."""

    def report(loss):
        net.loss_curve_.append(loss)
        if net.verbose:
            print(f"Iteration {len(net.loss_curve_)}, loss = {loss:.8f}")

    result = minimize(
        net.model_,
        net._objective.loss,
        data.x,
        data.targets,
        data.weight,
        net.alpha,
        net.max_iter,
        net.max_fun,
        net.tol,
        report,
    )
    if not np.isfinite(result.x).all():
        raise ValueError(BROKEN)
    net.n_iter_, net.loss_ = min(result.nit, net.max_iter), float(result.fun)
    net.best_loss_, net.stop_reason_ = min(net.loss_, net.best_loss_), str(result.message)
    if not result.success:
        warnings.warn(
            f"lbfgs ended before it converged ({result.message}): raise max_iter={net.max_iter} or "
            f"max_fun={net.max_fun}, or scale the data",
            ConvergenceWarning,
            stacklevel=5,
        )


def split(net, data, random_state):
    """(training data, validation data): validation_fraction of the rows, each class its share where there are two."""
    rows, held_out = train_test_split(
        np.arange(len(data)),
        random_state=random_state,
        test_size=net.validation_fraction,
        stratify=net._stratify(data.targets),
    )
    if len(held_out) < 2:
        raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return data.rows(rows), data.rows(held_out)


def prepare_curves(net, is_validated):
    """Lists for what this training measures, where earlier ones measured nothing; count the iterations anew."""
    net.n_iter_ = 0
    if is_validated and net.validation_scores_ is None:
        net.validation_loss_curve_, net.validation_scores_, net.best_validation_score_ = [], [], -math.inf
    if net.early_stopping:
        net.best_loss_ = None
    elif net.best_loss_ is None:
        net.best_loss_ = math.inf


def next_optimizer(net, is_partial):
    """The optimizer of before in partial_fit; in a warm start its state under the rates of today's parameters."""
    before = net.optimizer_
    if before is not None and is_partial:
        return before
    optimizer = make_optimizer(net)
    if before is not None and type(before) is type(optimizer) and before.slots == optimizer.slots:
        optimizer.load_state({**before.state(), "learning_rate": optimizer.learning_rate})
    return optimizer


def rows_of_batch(net, num_rows):
    """batch_size as a number; with batch norm one that leaves no batch of a single row, which has no variance."""
    size = 200 if net.batch_size == "auto" else net.batch_size
    if net.batch_size != "auto" and size > num_rows:
        warnings.warn(f"batch_size={size} is larger than the {num_rows} samples and is clipped to them", stacklevel=5)
    size = min(size, num_rows)
    if any(isinstance(layer, BatchNorm) for layer in leaves(net.model_)):
        while size < num_rows and num_rows % size == 1:
            size += 1
    return size
