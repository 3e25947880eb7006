"""The training loop: epochs, batches, callbacks, history, and a state from which a run goes on to the same bits."""

import numpy as np

from .. import metrics, optimizers
from ..layers.base import plain
from ..layers.containers import describe, from_description
from ..layers.losses import get_loss
from ..layers.penalties import get_penalty
from ..naming import check_count
from . import checkpoint
from .batches import batches, epoch_order, streams
from .checks import check_parts, check_rows, check_training_data, check_validation
from .engine import Engine, NumpyEngine
from .history import History, RunningMean
from .interrupt import Interruptible
from .progress import Progress


class Trainer:
    """Train a model: loss, optimizer, and one seed spawned into the streams init, shuffle, dropout and augment.

    model: a Sequential, built already or built by the first fit. loss, optimizer: objects or names.
    penalty: L2 or L1 of the weights. metrics: {name: function(outputs, targets)}; accuracy for classification losses.
    augment: function(x_batch, generator) -> x_batch, for training batches only. engine: called with (model, loss,
    optimizer, penalty, metrics) to make what does the work; the NumPy engine by default.
    """

    def __init__(
        self,
        model,
        loss="cross-entropy",
        optimizer="sgd",
        *,
        seed=0,
        callbacks=(),
        penalty=None,
        metrics=None,
        augment=None,
        engine=NumpyEngine,
    ):
        callbacks = check_parts(model, callbacks, metrics)
        self.model, self.loss, self.optimizer = model, get_loss(loss), optimizers.get(optimizer)
        self.seed, self.callbacks, self.penalty, self.augment = seed, callbacks, get_penalty(penalty), augment
        self.metrics = default_metrics(self.loss) if metrics is None else dict(metrics)
        self.streams = streams(seed)
        self.history, self.epoch, self.num_steps = History(), 0, 0
        self.plan, self.figures, self.stop_reason, self.was_interrupted = None, {}, None, False
        self.resume_hint = "trainer.resume(...)"  # what to tell who pressed Ctrl-C
        self._make_engine, self._engine = engine, None
        self.steps_per_epoch = None
        self._steps_done, self._order_state, self._means = 0, None, RunningMean()

    # Training ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        x,
        y,
        validation_data=None,
        epochs=10,
        batch_size=32,
        sample_weight=None,
        shuffle=True,
        exact=False,
        progress=None,
    ):
        """Train for `epochs` more epochs on x (N, ...) and y (N, ...); returns the history of all epochs so far.

        validation_data: (x, y) or (x, y, sample_weight), measured after each epoch.
        sample_weight (N,): each batch's loss is Σ w l / Σ w.
        exact: measure the training figures after the epoch too, in inference over all rows, at the cost of a pass;
        otherwise they are means over the epoch's batches, each measured before its update.
        progress: True or False; by default a bar where somebody watches a terminal or a notebook.
        Ctrl-C ends training after the running step, keeping everything: `resume` goes on.
        """
        check_count("fit", "epochs", epochs, minimum=0)
        check_count("fit", "batch_size", batch_size)
        self.plan = {"epochs": self.epoch + epochs, "batch_size": batch_size, "shuffle": shuffle, "exact": exact}
        self.stop_reason = None
        return self._run(x, y, validation_data, sample_weight, progress)

    def resume(self, x, y, validation_data=None, sample_weight=None, progress=None):
        """Finish the fit that was interrupted or loaded, on the same data, to the bits it would have reached."""
        if self.plan is None:
            raise ValueError("there is no interrupted fit to resume: call fit(x, y, epochs=...) first")
        return self._run(x, y, validation_data, sample_weight, progress)

    def step(self, x, y, sample_weight=None):
        """One training step on one batch: forward, loss, backward, update. Returns the loss before the update."""
        if self._engine is None:
            self.prepare(np.asarray(x))
        self.figures = self._engine.step(x, y, sample_weight)
        self.num_steps += 1
        return self.figures["loss"]

    def evaluate(self, x, y, sample_weight=None, batch_size=256):
        """{'loss': ..., 'accuracy': ...} over all rows, in inference."""
        x, y = np.asarray(x), np.asarray(y)
        check_rows(x, y, sample_weight)
        return self.engine.evaluate(x, y, sample_weight, batch_size)

    def stop(self, reason):
        """End training after the current epoch; called by callbacks."""
        self.stop_reason = reason

    # What a subclass may do in its own way ----------------------------------------------------------------------

    def check_data(self, training, validation):
        """training (x, y, sample_weight) and validation as arrays that the model and the loss can take.

        Builds the model on x's shape if need be; a ValueError or TypeError says what cannot work.
        """
        x, y, weight = (None if part is None else np.asarray(part) for part in training)
        self.prepare(x)
        check_training_data(self, x, y, weight)
        return (x, y, weight), None if validation is None else check_validation(self.model, validation)

    def observers(self, progress):
        """The callbacks of one fit beside the user's: what shows progress."""
        return [Progress(progress)]

    def train_on_batch(self, x, y, sample_weight):
        """One step of an epoch, on a batch; returns the figures that the epoch's means are taken of."""
        return self._engine.step(x, y, sample_weight, metrics=True)

    # The loop ---------------------------------------------------------------------------------------------------

    def _run(self, x, y, validation_data, sample_weight, progress):
        training, validation = self.check_data((x, y, sample_weight), validation_data)
        self.steps_per_epoch = -(-len(training[1]) // self.plan["batch_size"])
        training, validation = self._place(training), self._place(validation)
        observers = sorted([*self.callbacks, *self.observers(progress)], key=lambda callback: callback.runs_last)
        notify(observers, "on_fit_begin", self)
        try:
            with Interruptible() as interrupt:
                while not self.is_finished and not interrupt.requested:
                    self._run_epoch(training, validation, observers, interrupt)
            self.was_interrupted = interrupt.requested
            self._engine.bring_home()
        finally:
            notify(observers, "on_fit_end", self)
        return self.history

    def _place(self, data):
        return None if data is None else tuple(None if part is None else self._engine.place(part) for part in data)

    def _run_epoch(self, training, validation, observers, interrupt):
        x, y, weight = training
        if self._order_state is None:
            notify(observers, "on_epoch_begin", self)
            self._order_state = self.streams["shuffle"].bit_generator.state
            self._means, self._steps_done = RunningMean(), 0
        self.streams["shuffle"].bit_generator.state = self._order_state
        order = epoch_order(len(y), self.streams["shuffle"] if self.plan["shuffle"] else None)
        for rows in batches(order, self.plan["batch_size"], self._steps_done):
            notify(observers, "on_step_begin", self)
            self._train_on(x[rows], y[rows], None if weight is None else weight[rows])
            notify(observers, "on_step_end", self)
            if interrupt.requested:
                return
        figures = self._engine.evaluate(x, y, weight) if self.plan["exact"] else self._means.mean()
        self._finish_epoch(figures, validation)
        notify(observers, "on_epoch_end", self)

    def _train_on(self, x, y, weight):
        if self._augment is not None:
            x = self._augment(x, self.streams["augment"])
        self.figures = self.train_on_batch(x, y, weight)
        self._means.add(self.figures, len(y))
        self.num_steps += 1
        self._steps_done += 1

    def _finish_epoch(self, figures, validation):
        self._engine.bring_home()
        if validation is not None:
            measured = self._engine.evaluate(*validation)
            figures.update((f"validation_{name}", value) for name, value in measured.items())
        self.history.append({**figures, "learning_rate": float(self.optimizer.learning_rate)})
        self.epoch += 1
        self._order_state, self._steps_done = None, 0

    @property
    def is_finished(self):
        """True when the planned epochs are done or a callback has stopped training."""
        return self.plan is not None and (self.epoch >= self.plan["epochs"] or self.stop_reason is not None)

    @property
    def engine(self):
        """What does the work; made when the model is built."""
        if self._engine is None:
            if not self.model.is_built:
                raise ValueError("the model is not built: call fit, or model.build(input_shape, rng=0), first")
            self.prepare()
        return self._engine

    def prepare(self, x=None):
        """Build the model on x's shape if need be, hand it the dropout stream, make the engine."""
        if not self.model.is_built:
            self.model.build(x.shape[1:], rng=self.streams["init"])
        if self._engine is None:
            self.model.rng = self.streams["dropout"]
            engine = self._make_engine(self.model, self.loss, self.optimizer, self.penalty, self.metrics)
            if not isinstance(engine, Engine):
                raise TypeError(
                    f"engine must make a handgrad.training.Engine (subclass it); got {type(engine).__name__}"
                )
            self._engine, self._augment = engine, engine.adapt(self.augment)

    # State ------------------------------------------------------------------------------------------------------

    def model_state(self):
        """Copies of the model's parameters and running averages."""
        state = self.engine.state()
        return {"parameters": state["parameters"], "state": state["state"]}

    def load_model_state(self, state):
        """Put back what `model_state` returned, leaving the optimizer as it is."""
        self.engine.load_state({**self.engine.state(), **state})

    def state(self):
        """Everything the rest of the run depends on, as nested plain data and arrays."""
        return {
            "engine": self.engine.state(),
            "streams": {name: generator.bit_generator.state for name, generator in self.streams.items()},
            "callbacks": [callback.state() for callback in self.callbacks],
            "recipe": self.recipe(),
            "stop_reason": self.stop_reason,
            "history": dict(self.history),
            "epoch": self.epoch,
            "num_steps": self.num_steps,
            "plan": self.plan,
            "epoch_so_far": {
                "steps_done": self._steps_done,
                "order_state": self._order_state,
                "num_rows": self._means.num_rows,
                "sums": self._means.sums,
            },
        }

    def load_state(self, state):
        """Go back to what `state` returned. The trainer must have been made with the same arguments."""
        if len(state["callbacks"]) != len(self.callbacks):
            raise ValueError(
                f"this state has {len(state['callbacks'])} callbacks, the trainer {len(self.callbacks)}: "
                "make the trainer with the same callbacks"
            )
        self.engine.load_state(state["engine"])
        for name, generator in self.streams.items():
            generator.bit_generator.state = state["streams"][name]
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state(saved)
        self.history, self.plan, self.stop_reason = History(state["history"]), state["plan"], state["stop_reason"]
        self.epoch, self.num_steps = state["epoch"], state["num_steps"]
        so_far = state["epoch_so_far"]
        self._steps_done, self._order_state = so_far["steps_done"], so_far["order_state"]
        self._means = RunningMean(so_far["num_rows"], so_far["sums"])

    def recipe(self):
        """What this trainer was made of, as plain data: enough to make it again, but for callbacks and functions."""
        parts = {"loss": self.loss, "optimizer": self.optimizer, "penalty": self.penalty, "seed": self.seed}
        return {"model": describe(self.model), **{name: plain(part) for name, part in parts.items()}}

    def save(self, path):
        """Write the full state to path (.npz or .safetensors), atomically."""
        checkpoint.save_state(path, self.state())

    @classmethod
    def load(cls, path, callbacks=(), **options):
        """The trainer that `save` wrote, ready to `resume`. Callbacks, and other options such as augment or metrics,
        are functions and objects of the caller's: pass the same ones again."""
        state = checkpoint.read_state(path)
        recipe = dict(state["recipe"])
        trainer = cls(from_description(recipe.pop("model")), **recipe, callbacks=callbacks, **options)
        trainer.load_state(state)
        return trainer


def notify(observers, hook, trainer):
    for observer in observers:
        getattr(observer, hook)(trainer)


def default_metrics(loss):
    return {"accuracy": metrics.accuracy} if loss.classification else {}
