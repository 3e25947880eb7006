"""From a configuration to the objects it describes: data, model, trainer."""

import contextlib
import inspect
import math

import numpy as np

from .. import models, optimizers, schedules
from ..datasets import augment, load_dataset
from ..layers.containers import Sequential
from ..layers.losses import get_loss
from ..layers.penalties import get_penalty
from ..naming import build, look_up, nearest
from ..training import EarlyStopping, Schedule, Trainer
from .engines import get_engine
from .exports import MLflow

CALLBACKS = {"early-stopping": EarlyStopping, "mlflow": MLflow}


def load_data(configuration):
    """The data set of a configuration, split and prepared."""
    data = configuration.data
    with key("data"):
        return load_dataset(
            data.name,
            target=data.target,
            task=data.task,
            validation=data.validation,
            test=data.test,
            seed=data.seed,
            standardize=data.standardize,
            dtype=np.dtype(configuration.dtype),
        )


def build_model(configuration, data):
    """The unbuilt model of a configuration; units = "classes" becomes the number of classes of the data."""
    spec = configuration.model
    if "name" in spec:
        with key("model"):
            return named_model(spec, data)
    layers = [fill_classes(layer, i, data) for i, layer in enumerate(spec["layers"])]
    with key("model"):
        return Sequential(layers)


def named_model(spec, data):
    """A model of `handgrad.models`, with as many outputs as the data has classes unless it says otherwise."""
    known = inspect.signature(look_up("model", spec["name"], models.MODELS)).parameters
    sizes = {name: value for name, value in spec.items() if name != "name"}
    for name in sizes:
        if name not in known:
            raise ValueError(f"model '{spec['name']}' has no argument '{name}'{nearest(name, known)}")
    return models.create(spec["name"], **{"num_outputs": len(data.class_names) or 1, **sizes})


def fill_classes(layer, index, data):
    if layer.get("units") != "classes":
        return layer
    if not data.class_names:
        raise ValueError(
            f'model.layers.{index}: units = "classes", but the targets of {data.name} are numbers; write units = 1'
        )
    return {**layer, "units": len(data.class_names)}


def build_trainer(configuration, data, observers=()):
    """A Trainer as configured, its model built on the data's shape; observers are further callbacks, put last."""
    with key("optimizer"):
        optimizer = optimizers.get(configuration.optimizer)
    with key("loss"):
        loss = get_loss(configuration.loss)
    with key("penalty"):
        penalty = get_penalty(configuration.penalty)
    with key("engine"):
        engine = get_engine(configuration.engine)
    with key("augmentation"):
        augmentation = augment.get(configuration.augmentation)
    callbacks = [*build_callbacks(configuration, data, optimizer), *observers]
    trainer = Trainer(
        build_model(configuration, data),
        loss,
        optimizer,
        seed=configuration.seed,
        callbacks=callbacks,
        penalty=penalty,
        augment=augmentation,
        engine=engine,
    )
    with key("model"):
        trainer.model.build(data.train.x.shape[1:], trainer.streams["init"], np.dtype(configuration.dtype))
    trainer.prepare()
    return trainer


def build_callbacks(configuration, data, optimizer):
    callbacks = []
    if configuration.schedule:
        with key("schedule"):
            callbacks.append(build_schedule(configuration, len(data.train.y), optimizer))
    for i, spec in enumerate(configuration.callbacks):
        with key(f"callbacks.{i}"):
            callbacks.append(build("callback", spec, CALLBACKS))
    return callbacks


def build_schedule(configuration, num_rows, optimizer):
    """The Schedule callback. Unless given, a schedule starts from the optimizer's learning rate and spans the run."""
    options = {name: configuration.schedule[name] for name in ("per", "monitor") if name in configuration.schedule}
    spec = {name: value for name, value in configuration.schedule.items() if name not in options}
    steps = math.ceil(num_rows / configuration.batch_size) if options.get("per") == "step" else 1
    usual = {
        "initial": float(optimizer.learning_rate),
        "peak": float(optimizer.learning_rate),
        "num_steps": max(1, configuration.epochs * steps),
    }
    return Schedule(schedules.get(complete(spec, usual)), **options)


def complete(spec, usual):
    """The schedule's table with the usual values for the arguments it takes and does not name."""
    cls = schedules.SCHEDULES.get(spec.get("name", "").replace("-", "_"))
    takes = inspect.signature(cls).parameters if cls else ()
    return {**{name: value for name, value in usual.items() if name in takes}, **spec}


@contextlib.contextmanager
def key(path):
    """Put the key's path in front of a message about its value."""
    try:
        yield
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
    except TypeError as problem:
        raise ValueError(f"{path}: a value has the wrong type ({problem})") from None
