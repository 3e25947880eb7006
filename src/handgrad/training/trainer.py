"""The training loop: epochs, batches, hooks, history, and a state from which a run goes on to the same bits."""

from __future__ import annotations

import copy
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np

from .. import files, optimizers
from .. import metrics as measures
from ..arrays import Array, ArrayLike, MappedRows, array_of, rows_of
from ..layers.base import TrainingAlone, leaves, plain, walk
from ..layers.containers import Sequential, from_description
from ..layers.criteria import Loss, Penalty, get_loss, get_penalty
from ..layers.description import DESCRIPTION, describe
from ..naming import Advised, advised, check_count, check_path, check_switch, constructor_names, fold, nearest, without
from ..optimizers import Optimizer
from . import batches
from .batches import ArraySource, Batches, BatchSource, Data, Source, can_reposition, check_data, source_of, streams
from .engine import Augment, Engine, Figures, Metric, NumpyEngine
from .history import EpochSoFar, History

if TYPE_CHECKING:
    from typing_extensions import Self

ModelState: TypeAlias = dict[str, dict[str, Array]]
Spec: TypeAlias = "str | dict[str, Any]"  # a name, or a table {'name': ..., arguments}
MANY_STEPS = 100  # a fit of fewer steps, and of
MUCH_WORK = 3e8  # fewer parameters times rows times epochs, takes no longer than what could compile it takes to load
TO_VALIDATE = "pass validation_data to fit"
STATE = "training state"  # the kind of file that `Trainer.save` writes
ARRAYS = {str: np.ndarray}
FORM = {  # of what `Trainer.state` returns, see `files.check_form`
    "engine": {"parameters": ARRAYS, "state": ARRAYS, "optimizer": dict},
    "streams": {"init": dict, "shuffle": dict, "dropout": dict, "augment": dict},
    "callbacks": [dict],
    "recipe": {"model": DESCRIPTION, "loss": dict, "optimizer": dict, "penalty?": dict, "seed?": int},
    "stop_reason?": str,
    "history": {str: [float]},
    "epoch": files.COUNT,
    "num_steps": files.COUNT,
    "plan?": {
        "epochs": files.COUNT,
        "batch_size": range(1, 2**53),
        "shuffle": bool,
        "exact": bool,
        "num_rows?": files.COUNT,
    },
    "epoch_so_far": {
        "order_state?": dict,
        "steps_done": files.COUNT,
        "num_rows": files.COUNT,
        "sums": {str: float},
    },
}


class Length(TypedDict, total=False):
    """How many rows `fit` was given, where they are arrays."""

    num_rows: int


class Plan(Length):
    """What `fit` was asked for: training ends after so many epochs, those of earlier fits included."""

    epochs: int
    batch_size: int
    shuffle: bool
    exact: bool


@without("train", "test", "compile", "score")
class Trainer(Advised):
    """Train a model: loss, optimizer, and one seed spawned into the streams init, shuffle, dropout and augment.

    Parameters
    ----------
    model : Sequential
        The network, built already or built by the first fit.
    loss : Loss, str or dict
        An object, a name ('cross-entropy') or a table {'name': 'huber', 'delta': 0.5}.
    optimizer : Optimizer, str or dict
        The same for the rule of updates.
    seed : int, optional
        What parameters, shuffling, dropout and augmentation are drawn from; None draws anew each time.
    callbacks : iterable of Callback
        What happens between steps and epochs.
    penalty : Penalty or dict, optional
        L2 or L1 of the weights, part of every loss reported.
    metrics : dict of str to callable, optional
        {name: function(outputs, targets) -> number}; by default the accuracy, for losses of classes.
    augment : callable, optional
        function(x_batch, generator) -> x_batch, for training batches only.
    engine : callable
        Called with (model, loss, optimizer, penalty, metrics) to make the Engine that does the work.

    Attributes
    ----------
    history : History
        What each completed epoch measured.
    epoch, num_steps : int
        How many epochs and steps are completed.
    figures : dict of str to float
        What the last step measured.
    stop_reason : str or None
        Why training ended before its last epoch.
    was_interrupted : bool
        Whether Ctrl-C ended it.

    Raises
    ------
    TypeError
        For a model that is no Sequential, a class where an object is wanted, and the like.
    ValueError
        For a name or an argument that does not exist.

    Examples
    --------
    >>> data = hg.load_dataset("iris")
    >>> model = hg.Sequential([hg.Linear(25), hg.ReLU(), hg.Linear(3)])
    >>> trainer = hg.Trainer(model, "cross-entropy", hg.Adam(0.01), penalty=hg.L2(1e-4))
    >>> history = trainer.fit(*data.train, validation_data=data.validation, epochs=50)
    >>> history["loss"][-1] < history["loss"][0]
    True
    >>> trainer.evaluate(*data.test)["accuracy"] > 0.8
    True
    """

    measures_steps = True  # whether an epoch's figures have the metrics of its steps, too

    def __init__(
        self,
        model: Sequential,
        loss: Loss | Spec = "cross-entropy",
        optimizer: Optimizer | Spec = "sgd",
        *,
        seed: int | None = 0,
        callbacks: Iterable[Callback] = (),
        penalty: Penalty | dict[str, Any] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        augment: Augment | None = None,
        engine: Callable[..., Engine] = NumpyEngine,
    ) -> None:
        self.callbacks: list[Callback] = check_parts(model, callbacks, metrics, augment, engine)
        self.model: Sequential = model
        self.loss: Loss = get_loss(loss)
        self.optimizer: Optimizer = optimizers.get(optimizer)
        self.seed: int | None = seed
        self.penalty: Penalty | None = get_penalty(penalty)
        self.augment: Augment | None = augment
        usual: dict[str, Metric] = {"accuracy": measures.accuracy} if self.loss.classification else {}
        self.metrics: dict[str, Metric] = usual if metrics is None else dict(metrics)
        self.streams: dict[str, Any] = dict(streams(seed))  # generators, or what shuffles as they do
        self.history: History = History()
        self.epoch: int = 0
        self.num_steps: int = 0
        self.steps_per_epoch: int = 0
        self.figures: Figures = {}
        self.stop_reason: str | None = None
        self.was_interrupted: bool = False
        self.resume_hint = "trainer.resume(...)"  # what to tell who pressed Ctrl-C
        self.interrupts: Sequence[int] = (signal.SIGINT,)  # the signals that end training after the running step
        self._make_engine = engine
        self._engine: Engine | None = None
        self._augment: Augment | None = None
        self._made_of: tuple[object, ...] = ()
        self._plan: Plan | None = None
        self._so_far = EpochSoFar()
        self._is_loaded = False  # from another trainer's state
        self._at_once: int = 0  # steps in one call of the engine

    # Training ---------------------------------------------------------------------------------------------------

    @advised
    def fit(
        self,
        x: ArrayLike | Batches,
        y: ArrayLike | None = None,
        validation_data: Sequence[ArrayLike] | Batches | None = None,
        epochs: int = 10,
        batch_size: int | None = None,
        sample_weight: ArrayLike | None = None,
        shuffle: bool = True,
        exact: bool = False,
        progress: bool | None = None,
    ) -> History:
        """Train for `epochs` more epochs. Ctrl-C ends after the running step, keeping everything: `resume` goes on.

        Parameters
        ----------
        x : array_like or Batches
            Examples (N, ...), images as (N, height, width, channels). An array in a file (np.load(path, mmap_mode="r"))
            stays there, its rows shuffled in blocks; any other data larger than memory is a source of batches, alone.
        y : array_like, optional
            Targets (N, ...), as the loss takes them: int labels (N,), numbers (N, outputs).
        validation_data : sequence of array_like or Batches, optional
            (x, y) or (x, y, sample_weight), measured after each epoch; or a source of batches.
        epochs : int
            How many epochs more than so far, 0 or more.
        batch_size : int, optional
            Rows of a batch, 32 by default; the last of an epoch may be shorter. A source of batches has its own.
        sample_weight : array_like, optional
            What each row counts for, (N,): a batch's loss is Σ w l / Σ w.
        shuffle : bool
            Whether each epoch takes the rows in another order; a source of batches has its own.
        exact : bool
            Whether the training figures are measured after the epoch, in inference over all rows, for the price of a
            pass; otherwise they are means over the epoch's batches, each measured before its update.
        progress : bool, optional
            Whether progress is shown; by default a bar where somebody watches a terminal or a notebook.

        Returns
        -------
        History
            The figures of all epochs so far.

        Raises
        ------
        ValueError
            For data that the model or the loss cannot take: shapes, NaN, labels, weights, a single class.
        FloatingPointError
            For a loss that is not finite, before the update, naming the parameter or layer that is not.
        RuntimeError
            Where another thread is training the model, or with the optimizer.
        """
        check_count("fit", "epochs", epochs, minimum=0)
        size = check_count("fit", "batch_size", 32 if batch_size is None else batch_size)
        check_switch("fit", "shuffle", shuffle)
        check_switch("fit", "exact", exact)
        if progress is not None:
            check_switch("fit", "progress", progress)
        if y is None and batch_size is not None:
            raise ValueError(f"batch_size={batch_size} is for arrays: a source of batches yields its own")
        plan: Plan = {"epochs": self.epoch + epochs, "batch_size": size, "shuffle": shuffle, "exact": exact}
        return self._go_on(plan, (x, y, sample_weight), validation_data, progress)

    @advised
    def resume(
        self,
        x: ArrayLike | Batches,
        y: ArrayLike | None = None,
        validation_data: Sequence[ArrayLike] | Batches | None = None,
        sample_weight: ArrayLike | None = None,
        progress: bool | None = None,
    ) -> History:
        """Finish the fit that was interrupted or loaded, on the same data, to the bits it would have reached.

        Parameters and errors are those of `fit`; a ValueError also where no fit was begun.

        Returns
        -------
        History
            The figures of all epochs, those before the interruption included.
        """
        return self._go_on(self.plan, (x, y, sample_weight), validation_data, progress)

    def _go_on(self, plan: Plan, given: Data, validation_data: Any, progress: bool | None) -> History:
        """Train by the plan: nothing of the trainer changes before it is known that data and callbacks go with it."""
        with self._alone:
            data, held_out = self.check_data(given, validation_data)
            training = source_of(data, plan["batch_size"], self.engine)
            validation = None if held_out is None else source_of(held_out, plan["batch_size"], self.engine)
            check_monitors(self.callbacks, [*self.history, *self.measured(validation is not None)])
            num_rows = training.num_rows
            begun_on = num_rows if num_rows is None else plan.setdefault("num_rows", num_rows)
            self._own_memories()
            if plan is not self._plan:
                before, self._plan, self.stop_reason = self._plan, plan, None
                is_gone = given[1] is None and not can_reposition(given[0])
                if is_gone or (before is not None and before.get("num_rows") != plan.get("num_rows")):
                    self._so_far = EpochSoFar()  # the rest of an epoch is gone, or was of other rows
            check_arrays(self.model)
            self.steps_per_epoch = len(training)
            if (done := self._so_far.steps_done) > len(training):
                what = f"{done} batches of the epoch are done, and the data make {len(training)}"
                raise ValueError(f"{what}: resume with those that training was begun on")
            if begun_on != num_rows:
                what = f"training was begun on {begun_on} rows, and these are {num_rows}"
                raise ValueError(f"{what}: resume with the same data, or call fit")
            self._run_epochs(training, validation, [*self.callbacks, *self.observers(progress)])
        return self.history

    @advised
    def step(self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """One training step on one batch: forward, loss, backward, update.

        Parameters
        ----------
        x, y : array_like
            The batch, (N, ...) each.
        sample_weight : array_like, optional
            What each row counts for, (N,).

        Returns
        -------
        float
            The loss before the update.

        Examples
        --------
        >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(1)]), "mean-squared-error", hg.SGD(0.1))
        >>> x, y = np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]])
        >>> trainer.step(x, y) > trainer.step(x, y)
        True
        """
        with self._alone:
            self.figures = self.prepare(np.asarray(x)).step(x, y, sample_weight)
            self.num_steps += 1
        return self.figures["loss"]

    @advised
    def evaluate(
        self,
        x: ArrayLike | Batches,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        batch_size: int = 256,
    ) -> Figures:
        """The loss and the metrics over all rows, in inference: {'loss': ..., 'accuracy': ...}.

        Parameters
        ----------
        x, y : array_like
            Examples and targets, (N, ...) each; or a source of batches as x, alone.
        sample_weight : array_like, optional
            What each row counts for in the loss, (N,).
        batch_size : int
            How many rows are computed at a time.

        Returns
        -------
        dict of str to float
            The loss, the penalty in it, and each metric by its name.

        Raises
        ------
        ValueError
            For no rows, arrays of different lengths, and a model that is not built.
        """
        check_count("evaluate", "batch_size", batch_size)
        engine = self.prepare()
        if y is None:
            return self._batches(x, sample_weight).measure(self.epoch)
        data = check_data(self.model, self.loss, x, y, sample_weight)
        if isinstance(data[0], MappedRows):
            return ArraySource(data, batch_size, engine).measure(self.epoch)
        x, y, weight = data
        return engine.evaluate(x, y, weight, batch_size)

    def stop(self, reason: str) -> None:
        """End training after the current epoch; called by callbacks. The reason is kept in `stop_reason`."""
        self.stop_reason = reason

    @property
    def has_plan(self) -> bool:
        """Whether there is a fit that `resume` can finish."""
        return self._plan is not None

    @property
    def plan(self) -> Plan:
        """What the running or last fit was asked for; a ValueError where there was none."""
        if self._plan is None:
            raise ValueError("there is no interrupted fit to resume: call fit(x, y, epochs=...) first")
        return self._plan

    @property
    def is_finished(self) -> bool:
        """True when the planned epochs are done or a callback has stopped training."""
        return self.has_plan and (self.epoch >= self.plan["epochs"] or self.stop_reason is not None)

    # What a subclass may do in its own way ----------------------------------------------------------------------

    def check_data(self, training: Data, validation: Any) -> tuple[Data | Source, Data | Source | None]:
        """training (x, y, sample_weight or None) and validation as arrays that the model and the loss can take.

        Builds the model on x's shape if need be; a ValueError or TypeError says what cannot work. Where y is None, x
        is a source of batches.
        """
        x, y, weight = training
        data: Data | Source
        if y is None:
            data = self._batches(x, weight)
            if self._is_loaded and not can_reposition(x):
                what = "the source of batches cannot be repositioned, so that from here on it may yield other batches"
                warnings.warn(f"{what} than it would have: give it set_epoch(epoch)", stacklevel=3)
                self._is_loaded = False  # once is enough
        else:
            if not self.model.is_built:  # on what may be learnt from, at least by its rows
                batches.check_rows(rows_of("x", x), array_of("y", y))
            self.prepare(rows_of("x", x))
            data = batches.check_training_data(self.model, self.loss, x, y, weight)
        if validation is None:
            return data, None
        if batches.is_source(validation) and not isinstance(validation, (tuple, list)):
            return data, self._batches(validation)
        return data, batches.check_validation(self.model, self.loss, validation)

    def measured(self, validation: bool) -> list[str]:
        """The figures that an epoch adds to the history, with validation or without: what callbacks may watch."""
        figures = self.engine.figure_names
        own = [name for callback in self.callbacks for name in callback.measures]
        return [*figures, *(f"validation_{name}" for name in figures if validation), "learning_rate", *own]

    def observers(self, progress: bool | None) -> list[Callback]:
        """The callbacks of one fit beside the user's: what shows progress."""
        from .progress import Progress  # here, since it is a callback

        return [Progress(progress)]

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any) -> Figures:
        """One step of an epoch, on a batch; returns the figures that the epoch's means are taken of."""
        return self.engine.step(x, y, sample_weight, metrics=self.measures_steps)

    @property
    def _alone(self) -> TrainingAlone:
        return TrainingAlone(model=self.model, optimizer=self.optimizer)

    def _own_memories(self) -> None:
        """Refuse an optimizer and callbacks that remember another training; from now on they remember this one."""
        optimizer = self.optimizer
        own_memory(optimizer, self.model.parameter_vector, bool(optimizer.num_steps and optimizer.slots))
        for callback in self.callbacks:
            if callback.state():
                own_memory(callback._memory, self.history)

    # The loop ---------------------------------------------------------------------------------------------------

    def _batches(self, source: Any, sample_weight: Any = None) -> BatchSource:
        """A user's source of batches, the model built on its first where need be."""
        batches.check_source(source, sample_weight)
        if not self.model.is_built:
            self.prepare(batches.parts_of(next(iter(source)), 0)[0])
        return BatchSource(source, self.model, self.prepare())

    def _run_epochs(self, training: Source, validation: Source | None, observers: list[Callback]) -> None:
        """Epochs, until training is finished or interrupted."""
        observers = sorted(observers, key=lambda callback: callback.runs_last)
        self._at_once = self._steps_at_once(training)
        notify(observers, "on_fit_begin", self)
        try:
            with Interruptible(self.interrupts) as interrupt:
                while not self.is_finished and not interrupt.requested:
                    if (count := self._unseen_epochs(training, validation, observers)) > 1:
                        self._run_unseen(training, count, observers)
                    else:
                        self._run_epoch(training, validation, observers, interrupt)
            self.was_interrupted = interrupt.requested
            self.engine.bring_home()
        finally:
            notify(observers, "on_fit_end", self)

    def _steps_at_once(self, training: Source) -> int:
        """How many steps may be done in one call of the engine; 0 where they are done one by one."""
        is_own = type(self).train_on_batch is not Trainer.train_on_batch or self._augment is not None
        steps = self.plan["epochs"] * len(training)
        is_small = steps < MANY_STEPS and steps * self.plan["batch_size"] * self.model.num_parameters < MUCH_WORK
        if is_own or not training.is_gathered or is_small:
            return 0
        return self.engine.at_once(self.plan["batch_size"])

    def _run_epoch(
        self, training: Source, validation: Source | None, observers: list[Callback], interrupt: Interruptible
    ) -> None:
        if self._made_of != self._parts:
            raise ValueError("a part of the trainer was replaced while it trains: do so between two calls of fit")
        shuffle = self.streams["shuffle"]
        if self._so_far.order_state is None:
            notify(observers, "on_epoch_begin", self)
            self._so_far = EpochSoFar(shuffle.bit_generator.state)
        else:
            shuffle.bit_generator.state = self._so_far.order_state
        generator = shuffle if self.plan["shuffle"] else None
        for batch in self._single_batches(training, generator, observers, interrupt):
            notify(observers, "on_step_begin", self)
            self._train_on(*batch)
            notify(observers, "on_step_end", self)
            if interrupt.requested:
                break
        if interrupt.requested and self._so_far.steps_done < len(training):
            return
        figures = training.measure(self.epoch) if self.plan["exact"] else self._so_far.mean()
        self._finish_epoch(figures, validation)
        notify(observers, "on_epoch_end", self)

    def _single_batches(
        self, training: Source, generator: Any, observers: list[Callback], interrupt: Interruptible
    ) -> Iterator[Data]:
        """Yield the batches whose steps are done one by one; the others are trained on here, many in one call."""
        done, size = self._so_far.steps_done, self.plan["batch_size"]
        if not self._at_once:
            yield from training.epoch(self.epoch, generator, done)
            return
        order = training.order(generator)[done * size :]
        while len(order) and not interrupt.requested:
            count = min([self._at_once, *(observer.steps_unseen(self) for observer in observers)])
            rows, order = order[: max(count, 1) * size], order[max(count, 1) * size :]
            data, done = training.gather(rows), 0
            if count:
                sizes = sizes_of(len(rows), size)
                measured = self._run(data, sizes, observers)
                done = len(measured["loss"])
                self._so_far.add_steps(measured, sizes[:done])
                notify(observers, "on_steps_end", self)
            for start in range(done * size, len(rows), size):
                yield tuple(part if part is None else part[start : start + size] for part in data)

    def _unseen_epochs(self, training: Source, validation: Source | None, observers: list[Callback]) -> int:
        """How many of the next epochs may be done in one call of the engine, since nobody looks in between."""
        if not self._at_once or validation is not None or self.plan["exact"] or self._so_far.order_state is not None:
            return 0
        steps = min([self._at_once, *(observer.steps_unseen(self) for observer in observers)])
        epochs = min([self.plan["epochs"] - self.epoch, *(observer.epochs_unseen(self) for observer in observers)])
        return min(steps // len(training), epochs)

    def _run_unseen(self, training: Source, count: int, observers: list[Callback]) -> None:
        """Do several epochs in one call of the engine, up to a step left to `_run_epoch`; then call the hooks."""
        shuffle = self.streams["shuffle"]
        generator, state = shuffle if self.plan["shuffle"] else None, shuffle.bit_generator.state
        orders = [training.order(generator) for _ in range(count)]
        before, steps, sizes = self.num_steps, len(training), sizes_of(len(orders[0]), self.plan["batch_size"])
        measured = self._run(training.gather(np.concatenate(orders)), np.tile(sizes, count), observers)
        done = len(measured["loss"]) // steps
        means = [epoch_means(values[: done * steps], sizes) for values in measured.values()]
        for i, figures in enumerate(zip(*means, strict=True), start=1):
            notify(observers, "on_epoch_begin", self)
            self.num_steps = before + i * steps
            self._finish_epoch(dict(zip(measured, figures, strict=True)), None)
            notify(observers, "on_epoch_end", self)
        if done < count:
            notify(observers, "on_epoch_begin", self)
            rest = {name: values[done * steps :] for name, values in measured.items()}
            shuffle.bit_generator.state = state
            for _ in range(done):  # again, up to the state that the rest of this epoch begins with
                training.order(generator)
            self._so_far = EpochSoFar(shuffle.bit_generator.state)
            self._so_far.add_steps(rest, sizes[: len(rest["loss"])])
            self.num_steps = before + len(measured["loss"])
        notify(observers, "on_steps_end", self)

    def _run(self, data: Data, sizes: Array, observers: list[Callback]) -> dict[str, Array]:
        """Do the steps on these rows, in batches of these sizes, in one call of the engine: what each measured."""
        rates: Sequence[float] = [self.optimizer.learning_rate] * len(sizes)
        for observer in observers:
            rates = observer.learning_rates(self, len(sizes)) or rates
        x, y, weight = data
        measured = self.engine.run(x, y, weight, sizes, np.array(rates, np.float64), self.measures_steps)
        if done := len(measured["loss"]):
            self.num_steps += done
            self.figures = {name: float(values[-1]) for name, values in measured.items()}
            if rates[done - 1] != self.optimizer.learning_rate:
                self.optimizer.learning_rate = rates[done - 1]
        else:
            self._at_once = 0  # these rows are nothing for it, or a step that will say what is wrong with it
        return measured

    def _train_on(self, x: Any, y: Any, weight: Any) -> None:
        if self._augment is not None:
            x = self._augment(x, self.streams["augment"])
        self.figures = self.train_on_batch(x, y, weight)
        self._so_far.add(self.figures, len(y))
        self.num_steps += 1

    def _finish_epoch(self, figures: Figures, validation: Source | None) -> None:
        self.engine.bring_home()
        if validation is not None:
            measured = validation.measure(self.epoch)
            figures.update((f"validation_{name}", value) for name, value in measured.items())
        self.history.append({**figures, "learning_rate": float(self.optimizer.learning_rate)})
        self.epoch, self._so_far = self.epoch + 1, EpochSoFar()

    @property
    def engine(self) -> Engine:
        """What does the work; made when the model is built."""
        return self._engine or self.prepare()

    def prepare(self, x: Array | MappedRows | None = None) -> Engine:
        """Build the model on x's shape if need be, hand it the dropout stream, make the engine; returns the engine."""
        if not self.model.is_built:
            if x is None:
                raise ValueError("the model is not built: call fit, or model.build(input_shape, rng=0), first")
            check_unbuilt(self.model)
            self.model.build(x.shape[1:], rng=self.streams["init"])
        if self._engine is None or self._made_of != self._parts:
            self._engine = self._new_engine(self._engine)
            self._made_of, self._augment = self._parts, self._engine.adapt(self.augment)
        return self._engine

    def _new_engine(self, before: Engine | None) -> Engine:
        """An engine for what the trainer consists of now, which goes on from where the one before it stands."""
        self.model.rng = self.streams["dropout"]
        engine: object = self._make_engine(self.model, self.loss, self.optimizer, self.penalty, self.metrics)
        if not isinstance(engine, Engine):
            got = type(engine).__name__
            raise TypeError(f"engine must make a handgrad.training.Engine (subclass it); got {got}")
        if before is not None and not before.trains_in_place and before.optimizer is self.optimizer:
            engine.load_optimizer_state(before.optimizer_state())
        self._own_memories()
        return engine

    @property
    def _parts(self) -> tuple[object, ...]:
        """What an engine is made of: whoever assigns another of these has the next call make an engine of it."""
        return self.model, self.loss, self.optimizer, self.penalty, dict(self.metrics), self.augment

    # State ------------------------------------------------------------------------------------------------------

    def model_state(self) -> ModelState:
        """Copies of the model's parameters and running averages."""
        state = self.engine.state()
        return {"parameters": state["parameters"], "state": state["state"]}

    def load_model_state(self, state: ModelState) -> None:
        """Put back what `model_state` returned, leaving the optimizer as it is."""
        self.engine.load_state({**self.engine.state(), **state})

    def state(self) -> dict[str, Any]:
        """Everything the rest of the run depends on, as nested plain data and arrays."""
        return {
            "engine": self.prepare().state(),
            "streams": {name: generator.bit_generator.state for name, generator in self.streams.items()},
            "callbacks": [callback.state() for callback in self.callbacks],
            "recipe": self.recipe(),
            "stop_reason": self.stop_reason,
            "history": dict(self.history),
            "epoch": self.epoch,
            "num_steps": self.num_steps,
            "plan": self._plan,
            "epoch_so_far": asdict(self._so_far),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned. The trainer must have been made with the same arguments."""
        saved, own = state["callbacks"], self.callbacks
        if len(saved) != len(own):
            counts = f"this state has {len(saved)} callbacks, the trainer {len(own)}"
            raise ValueError(f"{counts}: make the trainer with the same callbacks")
        self.engine.load_state(state["engine"])
        for name, generator in self.streams.items():
            set_stream(generator, state["streams"][name], name)
        if (order := state["epoch_so_far"].get("order_state")) is not None:
            set_stream(copy.deepcopy(self.streams["shuffle"]), order, "shuffle")
        for callback, memory in zip(own, saved, strict=True):
            callback.load_state(memory)
            OWNERS.pop(id(callback._memory), None)  # it remembers what was loaded
        OWNERS.pop(id(self.optimizer), None)
        self.history, self._plan, self.stop_reason = (
            History(state["history"]),
            state.get("plan"),
            state.get("stop_reason"),
        )
        self.epoch, self.num_steps = state["epoch"], state["num_steps"]
        self._so_far = EpochSoFar(**copy.deepcopy(state["epoch_so_far"]))
        self._is_loaded = True

    def recipe(self) -> dict[str, Any]:
        """What this trainer was made of, as plain data: enough to make it again, but for callbacks and functions."""
        parts = {"loss": self.loss, "optimizer": self.optimizer, "penalty": self.penalty, "seed": self.seed}
        return {"model": describe(self.model), **{name: plain(part) for name, part in parts.items()}}

    def save(self, path: str | Path) -> None:
        """Write the full state to path (.npz or .safetensors), atomically.

        Examples
        --------
        >>> import tempfile
        >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(1)]).build((1,), rng=0), "mean-squared-error")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer.save(folder + "/state.npz")
        ...     again = hg.Trainer.load(folder + "/state.npz")
        >>> again.optimizer
        SGD(learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0, clipping=None)
        """
        files.write_tree(check_path("save", "path", path), self.state(), STATE)

    @classmethod
    def load(cls, path: str | Path, callbacks: Iterable[Callback] = (), **options: Any) -> Self:
        """The trainer that `save` wrote, ready to `resume`.

        Parameters
        ----------
        path : str or Path
            The file.
        callbacks : iterable of Callback
            The same as the saved trainer had: a file holds their memory, and no code.
        **options
            Other arguments of the constructor that are functions: the same augment, metrics and engine.

        Raises
        ------
        ValueError
            For a file that is damaged or holds no training state, and for another number of callbacks.
        """
        state = read_state(path)
        recipe = dict(state["recipe"])
        with files.reading(path):
            trainer = cls(from_description(recipe.pop("model")), **recipe, callbacks=callbacks, **options)
            trainer.load_state(state)
        return trainer


def sizes_of(num_rows: int, batch_size: int) -> Array:
    """How many rows each batch has."""
    sizes = np.full(-(-num_rows // batch_size), batch_size)
    sizes[-1] = num_rows - batch_size * (len(sizes) - 1)
    return sizes


def epoch_means(values: Array, sizes: Array) -> list[float]:
    """The row-weighted mean of each of several epochs' steps, on batches of these sizes in each epoch."""
    means: list[float] = ((values.reshape(-1, len(sizes)) * sizes).sum(1) / sizes.sum()).tolist()
    return means


def set_stream(generator: Any, state: object, name: str) -> None:
    """Put a generator where a state says; a ValueError where it is none of this kind of generator."""
    try:
        generator.bit_generator.state = state
    except (ValueError, TypeError, KeyError, OverflowError) as problem:
        raise ValueError(f"the state of the stream '{name}' is none of such a generator ({problem})") from None


def read_state(path: str | Path) -> dict[str, Any]:
    """What `Trainer.save` wrote. Nothing in the file is run; damage and foreign files raise a ValueError."""
    path = check_path("load", "path", path)
    state = files.read_tree(path, STATE, "write one with trainer.save(path) or a Checkpoint callback")
    files.check_form(state, FORM, path)
    so_far = state["epoch_so_far"]
    if so_far["num_rows"] < so_far["steps_done"] or not all(state["history"].values()):
        raise ValueError(f"{path} is damaged: its history and its steps do not belong together")
    known: dict[str, Any] = state
    return known


def check_parts(
    model: object, callbacks: Iterable[Callback], metrics: object, augment: object, engine: object
) -> list[Callback]:
    """The callbacks as a list; a class for an object, an object for a list and names for a dict are refused."""
    if not isinstance(model, Sequential):
        advice = "Trainer(Sequential([Linear(25), ReLU(), Linear(3)]))"
        raise TypeError(f"model must be a Sequential, got {type(model).__name__}: {advice}")
    if isinstance(callbacks, Callback):
        raise TypeError(f"callbacks is a list: write callbacks=[{type(callbacks).__name__}(...)]")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks is a list such as [EarlyStopping()], or () for none; got {callbacks!r}")
    callbacks = list(callbacks)
    if len({id(callback) for callback in callbacks}) < len(callbacks):
        raise ValueError(f"the same callback stands twice in callbacks, and would be called twice: {callbacks!r:.200}")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks are objects of subclasses of handgrad.Callback, got {callback!r}")
    is_table = isinstance(metrics, Mapping) and all(isinstance(k, str) and callable(metrics[k]) for k in metrics)
    if metrics is not None and not is_table:
        example = "{'accuracy': handgrad.metrics.accuracy}"
        raise TypeError(f"metrics is a dict {{name: function(outputs, targets)}}, such as {example}; got {metrics!r}")
    for name in metrics if isinstance(metrics, Mapping) else ():
        if name in ("loss", "learning_rate") or name.startswith("validation_"):
            raise ValueError(f"a metric may not be called '{name}', a figure that training measures: rename it")
    if augment is not None and not callable(augment):
        raise TypeError(f"augment is a function (x_batch, generator) -> x_batch, or None; got {augment!r}")
    if not callable(engine):
        raise TypeError(f"engine is a class such as handgrad.training.NumpyEngine, or makes its like; got {engine!r}")
    return list(callbacks)


def check_monitors(callbacks: Iterable[Callback], known: Sequence[str], advice: str = TO_VALIDATE) -> None:
    """Refuse a callback that watches a figure which this training will not measure."""
    for callback in callbacks:
        name = callback.watched
        if name is not None and name not in known:
            raise ValueError(not_measured(type(callback).__name__, name, known, advice))


def not_measured(who: str, name: object, known: Sequence[str], advice: str = TO_VALIDATE) -> str:
    """The message that nothing measures what somebody watches."""
    is_validation = fold(str(name)).startswith("val") and not any(key.startswith("validation") for key in known)
    way_out = f" ({advice})" if is_validation else nearest(name, known)
    return f"{who} watches '{name}', which this training does not measure{way_out}; it measures: {', '.join(known)}"


def check_arrays(model: Sequential) -> None:
    """Refuse a model whose layers compute with other arrays than those that training moves."""
    for prefix, layer in walk(model):
        for name, array in layer.parameters.items():
            if array.size and not np.may_share_memory(array, model.parameter_vector):
                what = f"'{prefix}.{name}' is no longer the array that training moves"
                raise ValueError(f"{what}: copy into it, model.parameters['{prefix}.{name}'] = a, or build a new model")


def check_unbuilt(model: Sequential) -> None:
    """Refuse to build a model of layers that may have been trained already: building draws their parameters anew."""
    if (layer := next((layer for layer in leaves(model) if layer.is_built and layer.parameters), None)) is not None:
        what = f"the model is not built, but its layer {layer.label} is, whose parameters would be drawn anew"
        raise ValueError(f"{what}: call model.build(...) before fit, and then copy back what is to stay")


# What happens around steps and epochs ---------------------------------------------------------------------------------


class Callback(Advised):
    """Hooks that a trainer calls with itself as argument; override those you want.

    state() and load_state() make a callback's memory part of a checkpoint, so that a resumed run is the same run.

    Examples
    --------
    >>> class Announce(hg.Callback):
    ...     def on_epoch_end(self, trainer):
    ...         print("epoch", trainer.epoch, "measured", *trainer.history)
    >>> x = np.ones((4, 1))
    >>> trainer = hg.Trainer(hg.Sequential([hg.Linear(1)]), "mean-squared-error", callbacks=[Announce()])
    >>> history = trainer.fit(x, 2 * x, epochs=2)
    epoch 1 measured loss learning_rate
    epoch 2 measured loss learning_rate
    """

    runs_last = False  # True: called after the other callbacks, to see (and save) what they have done

    @property
    def watched(self) -> str | None:
        """The history key that this callback cannot do without, if there is one."""
        return None

    @property
    def _memory(self) -> object:
        """What remembers a training here, and may therefore take part in no other."""
        return self

    @property
    def measures(self) -> Sequence[str]:
        """The history keys that this callback adds, for others that watch them."""
        return ()

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first epoch of a `fit` or `resume`."""

    def on_epoch_begin(self, trainer: Trainer) -> None:
        """Before an epoch's first batch; trainer.epoch counts the completed ones."""

    def on_step_begin(self, trainer: Trainer) -> None:
        """Before each step; trainer.num_steps counts the completed ones."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After each step; trainer.figures holds its loss."""

    def on_steps_end(self, trainer: Trainer) -> None:
        """After several steps done at once, which all callbacks had allowed by `steps_unseen`."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation; trainer.history ends with this epoch."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when training was stopped or interrupted."""

    def steps_unseen(self, trainer: Trainer) -> int:
        """How many of the next steps may be done at once, without on_step_begin and on_step_end: as many as training
        likes for a callback that has neither; 0 for one that has."""
        return sys.maxsize if is_inherited(self, "on_step_begin", "on_step_end") else 0

    def epochs_unseen(self, trainer: Trainer) -> int:
        """How many of the next epochs may be done at once, with on_epoch_begin and on_epoch_end called for each of
        them afterwards, when the parameters are those of the last: as many as training likes for a callback that has
        neither; 0 for one that has."""
        return sys.maxsize if is_inherited(self, "on_epoch_begin", "on_epoch_end") else 0

    def learning_rates(self, trainer: Trainer, count: int) -> Sequence[float] | None:
        """The learning rates of the next steps, from a callback that sets one for each; else None."""
        return None

    def state(self) -> dict[str, Any]:
        """What this callback must remember for a resumed run to be the same run, as plain data and arrays."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned."""

    def __repr__(self) -> str:
        known = [name for name in constructor_names(type(self)) if hasattr(self, name)]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in known)})"


def is_inherited(callback: Callback, *hooks: str) -> bool:
    """Whether a callback has these methods as its base class wrote them."""
    own, cls = vars(callback), type(callback)
    return all(hook not in own and getattr(cls, hook) is getattr(Callback, hook) for hook in hooks)


def notify(observers: Iterable[Callback], hook: str, trainer: Trainer) -> None:
    """Call one hook of every observer."""
    for observer in observers:
        getattr(observer, hook)(trainer)


OWNERS: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}  # id of what remembers a training -> it and whose


def own_memory(part: object, owner: object, has_memory: bool = True) -> None:
    """Refuse a part whose memory is of the training of another owner; else it belongs to this one."""
    key = id(part)
    if has_memory and key in OWNERS and OWNERS[key][1]() is not owner:
        what = f"{type(part).__name__} remembers the training of another model or trainer"
        raise ValueError(f"{what}, which would go on here: make a new one for each")
    OWNERS[key] = weakref.ref(part, lambda _: OWNERS.pop(key, None)), weakref.ref(owner)


class Interruptible:
    """Within the block the first Ctrl-C, or other signal of these, sets `requested`, so that training ends after the
    running step with nothing half-updated; a second one does what it does elsewhere. What is ignored stays ignored."""

    def __init__(self, signals: Iterable[int] = (signal.SIGINT,)) -> None:
        self.requested: bool = False
        self._signals = signals
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; elsewhere Ctrl-C never arrives anyway.
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: object) -> None:
        self.requested = True
        signal.signal(number, self._previous[number])
