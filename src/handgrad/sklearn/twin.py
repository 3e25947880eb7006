"""The PyTorch engine for estimators: rows in the twin's tables for the losses and the Adam that only they have."""

import functools

from ..naming import check_arguments
from ..optimizers import Adam
from ..torch_twin import rules
from ..torch_twin.engine import TorchEngine
from .losses import PoissonDeviance, Scaled
from .rules import ShortAdam


def torch_engine(options):
    """What a Trainer takes as engine: the PyTorch engine with these options (device, precision, ...)."""
    check_arguments("engine", TorchEngine, options)
    return functools.partial(TorchEngine, **options)


def scaled(loss, outputs, targets):
    return loss.factor * rules.LOSSES[type(loss.loss)](loss.loss, outputs, targets)


def poisson(loss, outputs, targets):
    return (targets.xlogy(targets) - targets * outputs - targets + outputs.exp()).sum(dim=1)


def short_adam(rule, parameters):
    """PyTorch's Adam; it adds epsilon to √v̂."""
    return rules.OPTIMIZERS[Adam](Adam(rule.learning_rate, rule.beta1, rule.beta2, rule.added), parameters)


rules.LOSSES.update({Scaled: scaled, PoissonDeviance: poisson})
rules.OPTIMIZERS[ShortAdam] = short_adam
