"""From a configuration to the objects it describes: data, model, trainer, each tried before a run is begun."""

import contextlib
import functools
import importlib
import inspect
import math

import numpy as np

from .. import models, optimizers, schedules
from ..datasets import augment, load_dataset
from ..layers.containers import Sequential
from ..layers.losses import get_loss
from ..layers.penalties import get_penalty
from ..naming import build, check_arguments, look_up, nearest
from ..training import EarlyStopping, Schedule, Trainer
from ..training.checks import check_training_data
from .recorder import MLflow

# name -> where its class stands: loaded when asked for, so that nobody pays for PyTorch who does not use it.
# Each is a subclass of training.Engine, whose constructor takes options of its own after the usual five.
ENGINES = {
    "numpy": "handgrad.training.engine:NumpyEngine",
    "torch": "handgrad.torch_twin.engine:TorchEngine",
}


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


def get_engine(spec):
    """What a Trainer takes as engine, from {'name': 'numpy', options}."""
    module, _, attribute = look_up("engine", spec["name"], ENGINES).partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    options = {key: value for key, value in spec.items() if key != "name"}
    check_arguments("engine", cls, options)
    return functools.partial(cls, **options)


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


# Tried before anything is written: what cannot work is refused at once, not half-way through -----------------------


def rehearse(trainer, configuration, data):
    """Refuse what the data, the model, the loss, the callbacks or the augmentation cannot do; change nothing."""
    check_training_data(trainer, *data.train, None)
    check_outputs(trainer, data)
    check_monitors(trainer, data)
    try_step(trainer, configuration, data)


def check_outputs(trainer, data):
    """A classifier has one output per class, or one in all for two classes."""
    classes, outputs = len(data.class_names), trainer.model.output_shape[-1]
    if trainer.loss.classification and classes and outputs != classes and (outputs, classes) != (1, 2):
        raise ValueError(
            f"model: it ends with {outputs} outputs, but {data.name} has {classes} classes; let its last "
            'layer be {layer = "Linear", units = "classes"}'
        )


def check_monitors(trainer, data):
    """The figures that callbacks watch are among those that this training measures."""
    figures = ["loss", *trainer.metrics]
    known = [*figures, *(f"validation_{name}" for name in figures if data.validation is not None), "learning_rate"]
    for callback in trainer.callbacks:
        monitor = getattr(callback, "monitor", None)
        watches = not isinstance(callback, Schedule) or hasattr(callback.schedule, "observe")
        if monitor is None or monitor in known or not watches:
            continue
        hint = ""
        if str(monitor).startswith("validation") and data.validation is None:
            hint = " (data.validation is 0: give it rows, or --set callbacks=[])"
        raise ValueError(
            f"{type(callback).__name__} watches '{monitor}', which this training does not measure{hint}"
            f"{nearest(monitor, known)} (it measures: {', '.join(known)})"
        )


def try_step(trainer, configuration, data):
    """Do one step on as few rows as the last batch of an epoch has, and go back to the state before it."""
    before = trainer.state()
    x, y = data.train
    rows = np.arange(len(x) % configuration.batch_size or min(configuration.batch_size, len(x)))
    x = x[rows]
    if trainer.augment is not None:
        with key("augmentation"):
            x = trainer.augment(x, trainer.streams["augment"])
    # that the first loss is no number, training itself says better
    with contextlib.suppress(FloatingPointError), np.errstate(over="ignore", invalid="ignore"), key("model"):
        trainer.engine.step(x, y[rows], metrics=True)
    trainer.load_state(before)


@contextlib.contextmanager
def key(path):
    """Put the key's path in front of a message about its value."""
    try:
        yield
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
    except TypeError as problem:
        raise ValueError(f"{path}: a value has the wrong type ({problem})") from None
