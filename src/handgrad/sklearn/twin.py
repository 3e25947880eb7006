"""The PyTorch engine for estimators: rows in the twin's table for the losses that only they have."""

import functools

from ..naming import check_arguments
from ..torch_twin import rules
from ..torch_twin.engine import TorchEngine
from .losses import LogLoss, PoissonDeviance, Scaled


def torch_engine(options):
    """What a Trainer takes as engine: the PyTorch engine with these options (device, precision, ...)."""
    check_arguments("engine", TorchEngine, options)
    return functools.partial(TorchEngine, **options)


def scaled(loss, outputs, targets):
    return loss.factor * rules.LOSSES[type(loss.loss)](loss.loss, outputs, targets)


def poisson(loss, outputs, targets):
    return (targets.xlogy(targets) - targets * outputs - targets + outputs.exp()).sum(dim=1)


rules.LOSSES.update({LogLoss: rules.cross_entropy, Scaled: scaled, PoissonDeviance: poisson})
