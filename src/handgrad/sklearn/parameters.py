"""The checks of an estimator's parameters, before anything is trained: one line that names parameter and value."""

import math

from ..naming import check_count, check_number, look_up
from ..training import Callback

SOLVERS = ("lbfgs", "sgd", "adam")
NUMBERS = {  # parameter: limits, as check_number has them
    "alpha": {"minimum": 0},
    "learning_rate_init": {"above": 0},
    "power_t": {"minimum": 0},
    "tol": {"minimum": 0},
    "momentum": {"minimum": 0, "below": 1},
    "validation_fraction": {"minimum": 0, "below": 1},
    "beta_1": {"minimum": 0, "below": 1},
    "beta_2": {"minimum": 0, "below": 1},
    "epsilon": {"above": 0},
}
COUNTS = ("max_iter", "max_fun")
SWITCHES = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm", "progress")


def check_parameters(net):
    """Raise a ValueError or TypeError for the first parameter that is out of its range or of the wrong kind."""
    name = type(net).__name__
    for parameter, limits in NUMBERS.items():
        check_number(name, parameter, getattr(net, parameter), **limits)
    for parameter in COUNTS:
        check_count(name, parameter, getattr(net, parameter))
    if net.batch_size != "auto":
        check_count(name, "batch_size", net.batch_size)
    if net.n_iter_no_change != math.inf:
        check_count(name, "n_iter_no_change", net.n_iter_no_change)
    for parameter in SWITCHES:
        value = getattr(net, parameter)
        if value not in (True, False):
            raise ValueError(f"{name}: {parameter} must be True or False, got {value!r}")
    look_up("solver", net.solver, dict.fromkeys(SOLVERS))
    is_list = isinstance(net.callbacks, (list, tuple))
    if not is_list or not all(isinstance(callback, Callback) for callback in net.callbacks):
        raise TypeError(f"{name}: callbacks takes a list of handgrad.Callback objects, got {net.callbacks!r}")
    check_together(net)


def check_together(net):
    """Refuse what one parameter would pass over in silence because of another."""
    if net.layers is not None:
        for parameter, default in (("dropout", 0.0), ("batch_norm", False)):
            if getattr(net, parameter) != default:
                raise ValueError(f"{parameter} is for hidden_layer_sizes; among layers=[...] put the layer itself")
    if net.solver == "lbfgs" and net.optimizer is None:
        for parameter, default in (("callbacks", ()), ("engine", "numpy"), ("progress", False)):
            if getattr(net, parameter) != default:
                raise ValueError(
                    f"{parameter}={getattr(net, parameter)!r} is for training by batches, and "
                    "solver='lbfgs' takes all rows at once: use solver='adam' or 'sgd'"
                )
