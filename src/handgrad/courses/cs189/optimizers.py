"""neural_networks.optimizers: SGD as the course writes it, update(name, parameter, gradient, epoch) -> step."""

from typing import Any

import numpy as np

from .schedulers import Scheduler, initialize_scheduler
from .utils.data_structures import Array


def initialize_optimizer(name: str, *arguments: Any, **named: Any) -> "SGD":
    """'SGD', of these arguments, is the one there is; NotImplementedError for another."""
    if name != "SGD":
        raise NotImplementedError(f"{name} optimizer is not implemented")
    return SGD(*arguments, **named)


class Optimizer:
    """What every optimizer of the course has."""

    def __init__(self) -> None:
        self.lr: float | None = None
        self.lr_scheduler: Scheduler | None = None


class SGD(Optimizer):
    """step = momentum · previous step + lr(epoch) · gradient, to be subtracted from the parameter.

    The learning rate stands inside the memory, so a change of it is felt slowly (PyTorch's SGD has it outside).
    clip_norm shortens each parameter's gradient, biases included, by itself. lr_scheduler None: constant.
    """

    def __init__(
        self,
        lr: float,
        lr_scheduler: str | None = None,
        momentum: float | None = 0.0,
        clip_norm: float | None = None,
        lr_decay: float | None = 0.9,
        stage_length: int | None = None,
        staircase: bool | None = None,
    ) -> None:
        self.lr: float | None = lr
        self.lr_scheduler: Scheduler = initialize_scheduler(
            lr_scheduler or "constant", lr=lr, decay=lr_decay, stage_length=stage_length, staircase=staircase
        )
        self.momentum: float = 0.0 if momentum is None else momentum
        self.clip_norm: float | None = clip_norm
        self.cache: dict[str, Array] = {}

    def update(self, param_name: str, param: Array, param_grad: Array, epoch: int = 0) -> Array:
        """The step for this parameter; param_name is the key of its memory. Fall 2023 calls it without the epoch."""
        if self.clip_norm is not None:
            norm = np.linalg.norm(param_grad)
            param_grad = param_grad * self.clip_norm / norm if norm > self.clip_norm else param_grad
        previous = self.cache.get(param_name, np.zeros_like(param))
        self.cache[param_name] = self.momentum * previous + self.lr_scheduler(epoch) * param_grad
        return self.cache[param_name]
