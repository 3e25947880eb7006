"""The parameters of the estimators: defaults, checks, and the optimizer, the schedule and the engine that they mean."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .. import optimizers, schedules
from ..layers import L2, Layer, Loss, Sequential
from ..layers.criteria import get_loss
from ..naming import check_arguments, check_count, check_number, check_switch, look_up
from ..optimizers import SGD, Adam, Optimizer
from ..training import Callback, Engine, Schedule
from ..training.epochs import RULES
from .objectives import LogLoss, PoissonDeviance, Scaled
from .table_engine import TableEngine

if TYPE_CHECKING:
    from typing_extensions import Self

    class BaseEstimator:
        """As scikit-learn's, which has no types."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **parameters: Any) -> Self: ...
        def set_fit_request(self, **requested: bool | str | None) -> Self: ...
        def __sklearn_tags__(self) -> Any: ...
else:
    from sklearn.base import BaseEstimator

Spec: TypeAlias = "str | dict[str, Any]"  # a name, or a table {'name': ..., arguments}
Sizes: TypeAlias = "int | Sequence[int]"
Activations: TypeAlias = "str | Layer | Sequence[str | Layer]"

RATES = ("constant", "invscaling", "adaptive")
# parameters that are numbers, with their limits as check_number has them
NUMBERS: dict[str, dict[str, float]] = {
    **{name: {"minimum": 0} for name in ("alpha", "power_t", "tol")},
    **{name: {"above": 0} for name in ("learning_rate_init", "epsilon")},
    **{name: {"minimum": 0, "below": 1} for name in ("momentum", "validation_fraction", "beta_1", "beta_2")},
}
# parameters that may be objects, and what makes one of a name
PARTS: dict[str, Callable[[Any], object]] = {
    "optimizer": optimizers.get,
    "learning_rate": schedules.get,
    "loss": get_loss,
}
SWITCHES = ("shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm", "progress")


@dataclass(repr=False, eq=False)
class Parameters(BaseEstimator):
    """What both estimators take by keyword. The constructor keeps each argument unchanged, as scikit-learn wants it."""

    _: KW_ONLY
    solver: Literal["adam", "sgd", "lbfgs"] = "adam"
    alpha: float = 0.0001
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: Spec | schedules.LearningRateSchedule = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    layers: Sequential | Sequence[Layer] | Callable[..., Any] | None = None
    input_shape: tuple[int, ...] | None = None
    dropout: float | Sequence[float] = 0.0
    batch_norm: bool = False
    optimizer: Spec | Optimizer | None = None
    callbacks: Sequence[Callback] = ()
    dtype: Literal["float32", "float64"] | np.dtype[Any] | type[Any] | None = None
    engine: Spec = "numpy"
    progress: bool = False
    # each estimator gives these its own place or default
    loss: Spec | Loss = ""
    hidden_layer_sizes: Sizes = (100,)
    activation: Activations = "relu"

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name, those of a part as 'optimizer__learning_rate', its name made the object first."""
        for path in list(parameters):
            name, is_nested, _ = path.partition("__")
            if is_nested and name in PARTS:
                parameters[name] = PARTS[name](parameters.get(name, getattr(self, name)))
        return super().set_params(**parameters)

    @property
    def _is_stochastic(self) -> bool:
        return self.optimizer is not None or self.solver != "lbfgs"

    def _check_parameters(self) -> None:
        """Raise a ValueError or TypeError for the first parameter that is out of its range or of the wrong kind."""
        name, values = type(self).__name__, {field.name: getattr(self, field.name) for field in fields(self)}
        for parameter, limits in NUMBERS.items():
            check_number(name, parameter, values[parameter], **limits)
        counts = {parameter: values[parameter] for parameter in ("max_iter", "max_fun")}
        counts |= {} if self.batch_size == "auto" else {"batch_size": self.batch_size}
        counts |= {} if self.n_iter_no_change == math.inf else {"n_iter_no_change": self.n_iter_no_change}
        for parameter, value in counts.items():
            check_count(name, parameter, value)
        for parameter in SWITCHES:
            check_switch(name, parameter, values[parameter])
        look_up("solver", self.solver, dict.fromkeys(("lbfgs", "sgd", "adam")))
        is_list = isinstance(self.callbacks, (list, tuple))
        if not is_list or not all(isinstance(callback, Callback) for callback in self.callbacks):
            raise TypeError(f"{name}: callbacks takes a list of handgrad.Callback objects, got {self.callbacks!r}")
        self._check_together(values)

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Refuse what one parameter would pass over in silence because of another."""
        if self.layers is not None:
            for parameter, default in (("dropout", 0.0), ("batch_norm", False)):
                if values[parameter] != default:
                    raise ValueError(f"{parameter} is for hidden_layer_sizes; among layers=[...] put the layer itself")
        if not self._is_stochastic:
            for parameter, unset in (("callbacks", ()), ("engine", "numpy"), ("progress", False)):
                if values[parameter] != unset:
                    what = f"{parameter}={values[parameter]!r} is for training by batches"
                    raise ValueError(f"{what}, and solver='lbfgs' takes all rows at once: use solver='adam' or 'sgd'")

    # What they mean ---------------------------------------------------------------------------------------------

    def _make_optimizer(self) -> Optimizer:
        """A fresh optimizer: the user's own, or that of the solver; PyTorch has Adam in its longer form."""
        if self.optimizer is not None:
            return copy.deepcopy(optimizers.get(self.optimizer))
        if self.solver == "adam":
            rule = ShortAdam if self._engine_and_options()[0] == "numpy" else Adam
            return rule(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGD(self.learning_rate_init, self.momentum, bool(self.nesterovs_momentum and self.momentum))

    def _make_schedule(self) -> list[Schedule]:
        """The callback that sets the learning rate, in a list; none for scikit-learn's three names."""
        if isinstance(self.learning_rate, str):
            if self.learning_rate in RATES:
                return []
            look_up("learning_rate", self.learning_rate, dict.fromkeys([*RATES, *schedules.SCHEDULES]))
        monitor = "validation_loss" if self.early_stopping else "loss"
        return [Schedule(copy.deepcopy(schedules.get(self.learning_rate)), monitor=monitor)]

    def _engine_and_options(self) -> tuple[str, dict[str, Any]]:
        """(name, options) of the parameter engine: 'torch', or {'name': 'torch', 'device': 'cuda'}."""
        options: dict[str, Any] = {"name": self.engine} if isinstance(self.engine, str) else dict(self.engine)
        name: Any = options.pop("name", self.engine)
        look_up("engine", name, dict.fromkeys(["numpy", "torch"]))
        if name == "numpy" and options:
            raise ValueError(f"engine 'numpy' has no options, got {options}")
        return name, options

    def _engine_arguments(self, batch_size: int) -> dict[str, Any]:
        """What the trainer makes its engine with: {'engine': ..., 'penalty': ...}."""
        name, options = self._engine_and_options()
        if name == "torch":
            penalty = L2(self.alpha / batch_size) if self.alpha else None
            return {"engine": functools.partial(torch_engine(options), **options), "penalty": penalty}

        def make(model: Sequential, loss: Loss, optimizer: Optimizer, penalty: None, metrics: Any) -> Engine:
            return TableEngine(model, loss, optimizer, self.alpha, metrics, batch_size)

        return {"engine": make}


class ShortAdam(Adam):
    """Adam in the shorter form of Kingma & Ba (2015, section 2), as scikit-learn has it: epsilon is added to √v, not
    to √v̂, so that numbers whose gradients are tiny at first wait."""

    @property
    def epsilon(self) -> float:
        return float(self.added / (1 - self.beta2 ** max(1, self.num_steps)) ** 0.5)

    @epsilon.setter
    def epsilon(self, value: float) -> None:
        self.added = value


RULES[ShortAdam] = lambda rule: ("adam", (0.0, rule.beta1, rule.beta2, rule.added, 1.0))


def torch_engine(options: Mapping[str, Any]) -> type[Engine]:
    """The PyTorch engine, which also knows the losses that only estimators have."""
    from ..torch_twin import rules
    from ..torch_twin.torch_engine import TorchEngine

    def scaled(loss: Scaled, outputs: Any, targets: Any) -> Any:
        return loss.factor * rules.LOSSES[type(loss.loss)](loss.loss, outputs, targets)

    def poisson(loss: PoissonDeviance, outputs: Any, targets: Any) -> Any:
        return (targets.xlogy(targets) - targets * outputs - targets + outputs.exp()).sum(dim=1)

    class EstimatorEngine(TorchEngine):
        losses = {**rules.LOSSES, LogLoss: rules.cross_entropy, Scaled: scaled, PoissonDeviance: poisson}

    check_arguments("engine", TorchEngine, options)
    return EstimatorEngine
