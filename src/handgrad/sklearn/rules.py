"""How an estimator is trained: the optimizer, schedule and engine that its parameters mean."""

import copy

from .. import optimizers, schedules
from ..layers import L2
from ..naming import look_up
from ..optimizers import SGD, Adam
from ..training import Schedule
from .engine import TableEngine

RATES = ("constant", "invscaling", "adaptive")


class ShortAdam(Adam):
    """Adam in the shorter form of Kingma & Ba (2015, section 2), as scikit-learn has it: epsilon is added to √v, not
    to √v̂, so that numbers whose gradients are tiny at first wait."""

    @property
    def epsilon(self):
        return self.added / (1 - self.beta2 ** max(1, self.num_steps)) ** 0.5

    @epsilon.setter
    def epsilon(self, value):
        self.added = value


def make_optimizer(net):
    """A fresh optimizer: the user's own, or that of the solver; PyTorch has Adam in its longer form."""
    if net.optimizer is not None:
        return copy.deepcopy(optimizers.get(net.optimizer))
    if net.solver == "adam":
        rule = ShortAdam if engine_spec(net)[0] == "numpy" else Adam
        return rule(net.learning_rate_init, net.beta_1, net.beta_2, net.epsilon)
    return SGD(net.learning_rate_init, net.momentum, bool(net.nesterovs_momentum and net.momentum))


def make_schedule(net):
    """The callback that sets the learning rate, in a list; none for scikit-learn's three names."""
    if isinstance(net.learning_rate, str) and net.learning_rate in RATES:
        return []
    if isinstance(net.learning_rate, str):
        look_up("learning_rate", net.learning_rate, dict.fromkeys([*RATES, *schedules.SCHEDULES]))
    monitor = "validation_loss" if net.early_stopping else "loss"
    return [Schedule(copy.deepcopy(schedules.get(net.learning_rate)), monitor=monitor)]


def engine_spec(net):
    """(name, options) of the parameter engine, 'torch' or {'name': 'torch', 'device': 'cuda'}; else a ValueError."""
    options = {} if isinstance(net.engine, str) else dict(net.engine)
    name = options.pop("name", net.engine)
    look_up("engine", name, dict.fromkeys(["numpy", "torch"]))
    if name == "numpy" and options:
        raise ValueError(f"engine 'numpy' has no options, got {options}")
    return name, options


def engine_options(net, batch_size):
    """What the trainer makes its engine with: {'engine': ..., 'penalty': ...}."""
    name, options = engine_spec(net)
    if name == "torch":
        from .twin import torch_engine

        return {"engine": torch_engine(options), "penalty": L2(net.alpha / batch_size) if net.alpha else None}

    def make(model, loss, optimizer, penalty, metrics):
        return TableEngine(model, loss, optimizer, net.alpha, metrics, batch_size)

    return {"engine": make}
