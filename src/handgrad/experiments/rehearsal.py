"""What is tried before anything is written: a run that cannot work is refused at once, not half-way through."""

import contextlib

import numpy as np

from ..naming import nearest
from ..training import Schedule
from ..training.checks import check_training_data
from .assembly import key


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
