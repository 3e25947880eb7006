"""The training of an estimator: handgrad's trainer on checked data, and scikit-learn's rules of when to stop."""

import contextlib
import threading

import numpy as np

from ..kernels.threads import limit_blas
from ..training import Callback, Trainer
from ..training.trainer import Progress

SMALL_PRODUCT = 2**24  # multiply-adds: below, a second thread of BLAS costs more in waiting than it brings


class NetTrainer(Trainer):
    """A Trainer that shuffles as scikit-learn does, and takes data that it has checked, sparse or not."""

    def __init__(self, model, loss, optimizer, random_state, **options):
        super().__init__(model, loss, optimizer, **options)
        self.streams.update(shuffle=Shuffle(random_state), dropout=model.rng)

    def check_data(self, training, validation):
        """The data as they are: the estimator has checked them."""
        self.prepare()
        return training, validation

    def observers(self, progress):
        return [Progress(True)] if progress else []

    def train_on_batch(self, x, y, sample_weight):
        """A step without the metrics, which are for validation only."""
        return self.engine.step(x, y, sample_weight)


class Shuffle:
    """The orders of rows that scikit-learn draws: each epoch shuffles the order of the last."""

    def __init__(self, random_state):
        self.random_state, self.order = random_state, None
        self.bit_generator = self  # what a trainer asks for the state

    def permutation(self, num_rows):
        order = np.arange(num_rows) if self.order is None else self.order
        self.order = order[self.random_state.permutation(num_rows)]
        return self.order

    @property
    def state(self):
        return {"random_state": self.random_state.get_state(legacy=False), "order": self.order}

    @state.setter
    def state(self, state):
        self.random_state.set_state(state["random_state"])
        self.order = state["order"]


class Convergence(Callback):
    """scikit-learn's bookkeeping after each epoch, on the estimator: curves, the best so far, when to stop.

    Training stops, or an adaptive learning rate falls, when more than n_iter_no_change epochs in a row have not
    improved by tol: the training loss, or with early stopping the validation score.
    """

    def __init__(self, estimator, num_rows):
        self.net, self.num_rows, self.best_state = estimator, num_rows, None

    def on_fit_begin(self, trainer):
        if self.net.early_stopping:
            self.best_state = trainer.model_state()

    def on_epoch_end(self, trainer):
        net, figures = self.net, trainer.history.epoch(-1)
        net.n_iter_ += 1
        net.t_ += self.num_rows
        net.loss_ = figures["loss"]
        net.loss_curve_.append(net.loss_)
        if net.verbose:
            print(f"Iteration {net.n_iter_}, loss = {net.loss_:.8f}")
        if "validation_loss" in figures:
            self.note_validation(figures["validation_loss"], figures["validation_score"], trainer)
        if not net.early_stopping:
            self.count(net.loss_ > net.best_loss_ - net.tol)
            net.best_loss_ = min(net.loss_, net.best_loss_)
        if net.learning_rate == "invscaling" and net.optimizer is None and net.solver == "sgd":
            change_rate(trainer.optimizer, net.learning_rate_init / (net.t_ + 1) ** net.power_t)
        if net._no_improvement_count > net.n_iter_no_change:
            self.react(trainer)

    def note_validation(self, loss, score, trainer):
        net = self.net
        net.validation_loss_curve_.append(loss)
        net.validation_scores_.append(score)
        if net.verbose:
            print(f"Validation score: {score:f}")
        if net.early_stopping:
            self.count(score < net.best_validation_score_ + net.tol)
        if score > net.best_validation_score_:
            net.best_validation_score_ = score
            self.best_state = trainer.model_state() if net.early_stopping else None

    def count(self, is_stuck):
        self.net._no_improvement_count = self.net._no_improvement_count + 1 if is_stuck else 0

    def react(self, trainer):
        net, watched = self.net, "validation score" if self.net.early_stopping else "training loss"
        reason = f"the {watched} did not improve by tol={net.tol:g} for {net.n_iter_no_change} iterations"
        is_adaptive = net.learning_rate == "adaptive" and net.optimizer is None and net.solver == "sgd"
        if is_adaptive and trainer.optimizer.learning_rate > 1e-6:
            change_rate(trainer.optimizer, trainer.optimizer.learning_rate / 5)
            net._no_improvement_count = 0
            action = f"learning rate set to {trainer.optimizer.learning_rate:g}"
        else:
            trainer.stop(reason)
            action = "stopping"
        if net.verbose:
            print(f"{reason[0].upper()}{reason[1:]}: {action}.")


def change_rate(sgd, learning_rate):
    """Change the learning rate as in scikit-learn, where a velocity keeps the rates of the steps that made it."""
    for velocity in sgd.arrays.values():
        velocity *= sgd.learning_rate / learning_rate
    sgd.learning_rate = learning_rate


class BlasThreads:
    """Within `for_products`, BLAS keeps to one thread while the products of a training are small.

    Fits in several threads share one limit: the first sets it, the last takes it back.
    """

    def __init__(self):
        self.lock, self.users, self.before = threading.Lock(), 0, None

    @contextlib.contextmanager
    def for_products(self, multiply_adds):
        if multiply_adds > SMALL_PRODUCT:
            yield
            return
        with self.lock:
            self.users += 1
            if self.users == 1:
                self.before = limit_blas(1)
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if not self.users:
                    limit_blas(self.before)


blas_threads = BlasThreads()
