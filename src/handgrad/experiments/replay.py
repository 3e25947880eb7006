"""A run looked at again: predictions for new examples, its figures, and one training step layer by layer."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import files
from ..arrays import Array, MaybeArray, Shape
from ..datasets import Schema, Standardization
from ..datasets.predictions import Predictions
from ..datasets.schema import NewRows
from ..datasets.tabular import read_new
from ..layers.base import Layer, leaves, watching
from ..layers.containers import check_predictions, of_both_classes
from ..training import Callback, Trainer
from ..training.batches import batches, epoch_order
from .assembly import build_trainer, load_data
from .configuration import Recording
from .recorder import StepNorms, norm, unseen_steps
from .run_folder import CHECKPOINT, MODEL, RECORD, Run, check_num_classes
from .runner import SPLITS, Job, check_same_data, check_same_kernels, fit, measure, prepare


class LayerRow(NamedTuple):
    """What one layer did in the step: its output, and the norms of the gradients by its output and by its input."""

    name: str
    output_shape: Shape
    mean: float
    std: float
    zeros: float
    dy_norm: float
    dx_norm: float


class ParameterRow(NamedTuple):
    """How one parameter fared; ratio is that of the update's norm to the parameter's."""

    name: str
    norm: float
    gradient: float
    update: float
    ratio: float


class Replay(NamedTuple):
    """Step number `step`, counted from 1: its rows of the training data, its loss, its layers and parameters."""

    step: int
    epoch: int
    rows: Array
    learning_rate: float
    figures: dict[str, float]
    layers: list[LayerRow]
    parameters: list[ParameterRow]


class Reached(Exception):
    """Training has come to the step that is to be looked at."""


class StopBefore(Callback):
    """Raise Reached before step number `step`; stands where the run had its recorder."""

    runs_last = True

    def __init__(self, step: int, recording: Recording) -> None:
        self.step = step
        self.recording = recording

    def steps_unseen(self, trainer: Trainer) -> int:
        """Those before it that the run's recorder did not look at either, since they were done at once."""
        return min(self.step - 1 - trainer.num_steps, unseen_steps(self.recording, trainer))

    def on_step_begin(self, trainer: Trainer) -> None:
        if trainer.num_steps == self.step - 1:
            raise Reached


def replay(run: Run, step: int) -> Replay:
    """Recompute step number `step` (from 1) of a run, to its very bits, and look into it.

    Starts from the run's checkpoint where that lies before the step, else from the beginning.
    """
    with files.reading(run.path / RECORD):
        job = prepare(run.configuration, StopBefore(step, run.configuration.recording))
    trainer = job.trainer
    if not trainer.engine.trains_in_place:
        raise ValueError("replay looks into the layers of the NumPy engine; this run was trained by another")
    check_same_data(run, job.data)
    check_same_kernels(run, trainer)
    go_to(run, job, step)
    order = np.random.default_rng()
    order.bit_generator.state = trainer.state()["epoch_so_far"]["order_state"]
    shuffled = epoch_order(job.data.train.x, len(job.data.train.y), order if trainer.plan["shuffle"] else None)
    rows = next(batches(shuffled, trainer.plan["batch_size"], (step - 1) % trainer.steps_per_epoch))
    return look(trainer, *job.data.train, rows)


def go_to(run: Run, job: Job, step: int) -> None:
    """Train up to just before the step."""
    if step < 1:
        raise ValueError(f"steps are counted from 1; got {step}")
    trainer = job.trainer
    if run.has_checkpoint:
        state = run.checkpoint()
        if state["num_steps"] < step:
            with files.reading(run.path / CHECKPOINT):
                trainer.load_state(state)
    try:
        fit(job, progress=False)
    except Reached:
        return
    raise ValueError(f"{run.path} has {trainer.num_steps} steps; there is no step {step}")


def look(trainer: Trainer, x: Array, y: Array, rows: Array) -> Replay:
    """Do the step on these rows twice: layer by layer for the layers' figures, then as it was trained for the rest."""
    x, y = x[rows], y[rows]
    if trainer.augment is not None:
        x = trainer.augment(x, trainer.streams["augment"])
    before = trainer.state()
    layers = layer_rows(trainer, x, y)
    trainer.load_state(before)
    watched = StepNorms(trainer)
    figures = trainer.engine.step(x, y, metrics=True)
    parameters = []
    for name, norms in watched.after().items():
        size = norm(before["engine"]["parameters"][name])
        ratio = norms["update"] / size if size else math.inf
        parameters.append(ParameterRow(name, size, norms["gradient"], norms["update"], ratio))
    rate = float(trainer.optimizer.learning_rate)
    return Replay(trainer.num_steps + 1, trainer.epoch + 1, rows, rate, figures, layers, parameters)


def layer_rows(trainer: Trainer, x: Array, y: Array) -> list[LayerRow]:
    """Forward and backward through the layers one by one, without the fused forms a model may run in their place."""
    passed: dict[str, dict[int, tuple[Array, Array]]] = {"forward": {}, "backward": {}}

    def seen(direction: str, layer: Layer, given: Array, returned: MaybeArray) -> None:
        passed[direction][id(layer)] = given, given if returned is None else returned

    with watching(seen):
        trainer.loss.forward(trainer.model.forward(x, training=True), y)
        trainer.model.backward(trainer.loss.backward())
    rows = []
    for layer in leaves(trainer.model):
        (_, out), (dy, dx) = passed["forward"][id(layer)], passed["backward"][id(layer)]
        figures = float(out.mean()), float(out.std()), float((out == 0).mean()), norm(dy), norm(dx)
        rows.append(LayerRow(layer.label, out.shape, *figures))
    return rows


# Its model on new examples, and measured again ------------------------------------------------------------------------


def predict(run: Run, source: str | Path) -> Predictions:
    """What a run's model says of the examples in a CSV, NPZ, NPY or IDX file, or of a part of its own data by name.

    The columns are read as those trained on, and standardised as they were; for a file nothing but the run folder is
    needed. The parts are 'train', 'validation' and 'test'.
    """
    about = run.record["data"]
    is_part = str(source) in SPLITS and not Path(source).exists()
    rows = rows_of(run, str(source)) if is_part else read_examples(source, about, run.path / RECORD)
    model, x, notes = run.model(), rows.x, rows.notes
    target, id = str(about.get("target_name") or "target"), (about.get("schema") or {}).get("id")
    ids, id_name = (rows.ids, str(id)) if rows.ids else (range(1, len(x) + 1), "row" if target != "row" else "number")
    if id and not rows.ids:
        notes = (*notes, f"{source} has no column '{id}': its rows are numbered from 1")
    is_regression = about.get("task") != "classification"
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = model.predict(x).reshape(len(x), -1)[:, :1] if is_regression else model.predict_probabilities(x)
        check_predictions(found)
    except ValueError as problem:
        raise ValueError(f"{source}: {problem}") from None
    if is_regression:
        return Predictions(ids, found[:, 0], id_name, target, notes=notes)
    names = tuple(map(str, about.get("class_names") or ()))
    check_num_classes(model, names, run.path)
    found = of_both_classes(found)
    labels = found.argmax(axis=1)
    return Predictions(ids, [names[k] for k in labels], id_name, target, labels, found, names, notes)


def rows_of(run: Run, part: str) -> NewRows:
    """The rows of a part of the data that the run was trained on."""
    data = load_data(run.configuration)
    check_same_data(run, data)
    if (split := getattr(data, part)) is None:
        raise ValueError(f"{data.name} has no {part} rows")
    return NewRows(np.asarray(split.x), (), ())


def read_examples(source: str | Path, about: Mapping[str, Any], where: Path) -> NewRows:
    """A file of new examples, x as the model takes it; about: the run's record of its data."""
    with files.reading(where):
        schema = Schema.from_dict(about["schema"]) if about.get("schema") else None
        standardization = Standardization(**about["standardization"]) if about.get("standardization") else None
    rows = read_new(source, schema or about.get("feature_names") or (), about.get("target_name"))
    x = rows.x
    if about.get("dtype") == "uint8" and x.dtype != np.uint8 and (x.min() < 0 or x.max() > 1):
        what = f"{source}: x is {x.min():g} to {x.max():g}, but the run was trained on pixels"
        raise ValueError(f"{what}: save them as x.astype(np.uint8), 0 to 255, or as floats from 0 to 1")
    if standardization is None:
        return rows
    if schema is None and x.shape[1:] != np.shape(standardization.mean):
        expected = f"(N, {np.size(standardization.mean)}), the features trained on"
        raise ValueError(f"{source}: x is {x.shape}; expected {expected}")
    with files.reading(where):
        return rows._replace(x=standardization.apply(x))


def evaluate(run: Run) -> dict[str, dict[str, float]]:
    """{'train': {'loss': ..., 'accuracy': ...}, ...} of the run's model, measured again on its data."""
    data = load_data(run.configuration)
    check_same_data(run, data)
    with files.reading(run.path / RECORD):
        trainer = build_trainer(run.configuration, data)
    model = run.model()
    with files.reading(run.path / MODEL):
        trainer.load_model_state({"parameters": model.parameters, "state": model.state})
    return measure(trainer, data)
