"""From a configuration to the objects it describes: data, model, trainer; each tried before a run is begun."""

import contextlib
import functools
import importlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import models, optimizers, schedules
from ..datasets import Dataset, augment, load_dataset
from ..layers.containers import Sequential
from ..layers.criteria import CrossEntropy, Loss, MeanSquaredError, get_loss, get_penalty
from ..naming import build, check_arguments, look_up, nearest
from ..training import Callback, EarlyStopping, Engine, Schedule, Trainer
from ..training.batches import check_data, check_training_data
from ..training.trainer import check_monitors
from .configuration import Configuration
from .recorder import R2, MLflow, Perplexity

T = TypeVar("T")
CALLBACKS = {"early-stopping": EarlyStopping, "mlflow": MLflow}
# name -> where its class stands: loaded when asked for, so that nobody pays for PyTorch who does not use it.
# Each is a subclass of training.Engine, whose constructor takes options of its own after the usual five.
ENGINES = {"numpy": "handgrad.training.engine:NumpyEngine", "torch": "handgrad.torch_twin.torch_engine:TorchEngine"}


def load_data(configuration: Configuration) -> Dataset:
    """The data set of a configuration, split and prepared."""
    how = configuration.data.model_dump(exclude={"name"}, exclude_none=True)
    with name_key("data"):
        return load_dataset(configuration.data.name, **how, dtype=np.dtype(configuration.dtype))


def build_trainer(configuration: Configuration, data: Dataset, observers: Sequence[Callback] = ()) -> Trainer:
    """A Trainer as configured, its model built on the data's shape; observers are further callbacks, put last."""
    optimizer = make("optimizer", optimizers.get, configuration.optimizer)
    loss = make("loss", get_loss, configuration.loss)
    figures, callbacks = loss_figures(configuration, loss, data), build_callbacks(configuration, data, optimizer)
    trainer = Trainer(
        build_model(configuration, data),
        loss,
        optimizer,
        seed=configuration.seed,
        callbacks=[*figures, *callbacks, *observers],
        penalty=make("penalty", get_penalty, configuration.penalty),
        augment=make("augmentation", augment.get, configuration.augmentation),
        engine=make("engine", get_engine, configuration.engine),
    )
    with name_key("model"):
        trainer.model.build(data.train.x.shape[1:], trainer.streams["init"], np.dtype(configuration.dtype))
    trainer.prepare()
    return trainer


def loss_figures(configuration: Configuration, loss: Loss, data: Dataset) -> list[Callback]:
    """What to write down beside a loss from which other figures follow."""
    if data.tokens and configuration.penalty is None and loss.config == CrossEntropy().config:
        return [Perplexity(data.tokens)]
    if isinstance(loss, MeanSquaredError) and data.task == "regression" and data.validation is not None:
        y = data.validation.y
        if y.size == len(y) and (variance := float(np.var(y, dtype=float))):
            return [R2(variance)]
    return []


def build_model(configuration: Configuration, data: Dataset) -> Sequential:
    """The unbuilt model of a configuration; units = "classes" becomes the number of classes of the data."""
    spec = configuration.model
    layers = [] if "name" in spec else fill_classes(spec["layers"], "model.layers", data)
    with name_key("model"):
        return named_model(spec, data) if "name" in spec else Sequential(layers)


def named_model(spec: Mapping[str, Any], data: Dataset) -> Sequential:
    """A model of `handgrad.models`, with as many outputs as the data has classes unless it says otherwise."""
    known = inspect.signature(look_up("model", spec["name"], models.MODELS)).parameters
    sizes = without(spec, "name")
    for name in sizes:
        if name not in known:
            raise ValueError(f"model '{spec['name']}' has no argument '{name}'{nearest(name, known)}")
    columns = {"sizes": data.schema.sizes} if "sizes" in known and data.schema is not None else {}
    return models.create(spec["name"], **{"num_outputs": len(data.class_names) or 1, **columns, **sizes})


def fill_classes(value: Any, where: str, data: Dataset) -> Any:
    """Tables of layers with units = "classes" replaced by their number, in layers of layers too."""
    if isinstance(value, list):
        return [fill_classes(item, f"{where}.{i}", data) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: fill_classes(item, f"{where}.{key}", data) for key, item in value.items()}
    if value != "classes" or not where.endswith(".units"):
        return value
    if not data.class_names:
        layer = where.removesuffix(".units")
        raise ValueError(f'{layer}: units = "classes", but the targets of {data.name} are numbers; write units = 1')
    return len(data.class_names)


def get_engine(spec: Mapping[str, Any]) -> Callable[..., Engine]:
    """What a Trainer takes as engine, from {'name': 'numpy', options}."""
    module, _, attribute = look_up("engine", spec["name"], ENGINES).partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    options = without(spec, "name")
    check_arguments("engine", cls, options)
    return functools.partial(cls, **options)


def build_callbacks(configuration: Configuration, data: Dataset, optimizer: optimizers.Optimizer) -> list[Callback]:
    """The schedule, if there is one, and the callbacks of a configuration."""
    callbacks: list[Callback] = []
    if configuration.schedule:
        with name_key("schedule"):
            callbacks.append(build_schedule(configuration, configuration.schedule, len(data.train.y), optimizer))
    for i, spec in enumerate(configuration.callbacks):
        with name_key(f"callbacks.{i}"):
            callbacks.append(build("callback", spec, CALLBACKS))
    return callbacks


def build_schedule(
    configuration: Configuration, table: Mapping[str, Any], num_rows: int, optimizer: optimizers.Optimizer
) -> Schedule:
    """The Schedule callback. Unless given, a schedule starts from the optimizer's learning rate and spans the run."""
    options = {name: table[name] for name in ("per", "monitor") if name in table}
    spec = without(table, *options)
    steps = math.ceil(num_rows / configuration.batch_size) if options.get("per") == "step" else 1
    rate, num_steps = float(optimizer.learning_rate), max(1, configuration.epochs * steps)
    return Schedule(schedules.get(complete(spec, initial=rate, peak=rate, num_steps=num_steps)), **options)


def complete(spec: Mapping[str, Any], **usual: float) -> dict[str, Any]:
    """The schedule's table with the usual values for the arguments it takes and does not name."""
    cls = schedules.SCHEDULES.get(spec.get("name", "").replace("-", "_"))
    takes = inspect.signature(cls).parameters if cls else ()
    return {**{name: value for name, value in usual.items() if name in takes}, **spec}


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The table without these keys."""
    return {name: value for name, value in table.items() if name not in names}


def make(key: str, build: Callable[[Any], T], spec: object) -> T:
    """What `build` makes of the value of a key, a fault named by it."""
    with name_key(key):
        return build(spec)


@contextlib.contextmanager
def name_key(path: str) -> Iterator[None]:
    """Put the key's path in front of a message about its value."""
    try:
        yield
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path}: {str(problem).removeprefix(f'{path} ')}") from None


# Tried before anything is written: a run that cannot work is refused at once, not half-way through --------------------


def rehearse(trainer: Trainer, configuration: Configuration, data: Dataset) -> None:
    """Refuse what the data, the model, the loss, the callbacks or the augmentation cannot do; change nothing."""
    if trainer.loss.classification and data.task == "regression":
        what = f"loss: {type(trainer.loss).__name__} is for classes, and the targets of {data.name} are numbers"
        raise ValueError(f'{what}; write loss = "mean-squared-error", or data.task = "classification"')
    check_training_data(trainer.model, trainer.loss, *data.train)
    for name, split in (("validation", data.validation), ("test", data.test)):
        if split is not None:
            with name_key(f"data.{name}"):
                check_data(trainer.model, trainer.loss, *split)
    check_outputs(trainer, data)
    advice = "data.validation is 0: give it rows, or --set callbacks=[]"
    check_monitors(trainer.callbacks, trainer.measured(data.validation is not None), advice)
    try_step(trainer, configuration, data)


def check_outputs(trainer: Trainer, data: Dataset) -> None:
    """Refuse a classifier that has neither one output per class nor, for two classes, a single one."""
    classes, outputs = len(data.class_names), trainer.model.output_shape[-1]
    if trainer.loss.classification and classes and outputs != classes and (outputs, classes) != (1, 2):
        what = f"model: it ends with {outputs} outputs, but {data.name} has {classes} classes"
        raise ValueError(f'{what}; let its last layer be {{layer = "Linear", units = "classes"}}')


def try_step(trainer: Trainer, configuration: Configuration, data: Dataset) -> None:
    """Do one step on as few rows as the last batch of an epoch has, and go back to the state before it."""
    before = trainer.state()
    x, y = data.train
    rows = np.arange(len(x) % configuration.batch_size or min(configuration.batch_size, len(x)))
    x = x[rows]
    if trainer.augment is not None:
        with name_key("augmentation"):
            x = trainer.augment(x, trainer.streams["augment"])
    # that the first loss is no number, training itself says better
    with contextlib.suppress(FloatingPointError), np.errstate(over="ignore", invalid="ignore"), name_key("model"):
        trainer.engine.step(x, y[rows], metrics=True)
    trainer.load_state(before)
