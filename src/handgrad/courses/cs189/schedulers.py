"""neural_networks.schedulers: the learning rate of an epoch, constant or falling exponentially."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any


def initialize_scheduler(
    name: str, lr: float, decay: float | None = None, stage_length: int | None = None, staircase: bool | None = None
) -> "Scheduler":
    """'constant' or 'exponential'; what is None takes the class's default (the course never passed staircase on)."""
    if name == "constant":
        return Constant(lr=lr)
    if name == "exponential":
        given: dict[str, Any] = {"decay": decay, "stage_length": stage_length, "staircase": staircase}
        return Exponential(lr=lr, **{key: value for key, value in given.items() if value is not None})
    raise NotImplementedError(f"{name} scheduler is not implemented")


class Scheduler(ABC):
    """scheduler(epoch) is the learning rate; epochs count from 0."""

    def __call__(self, epoch: int) -> float:
        return self.scheduled_lr(epoch)

    @abstractmethod
    def scheduled_lr(self, epoch: int) -> float:
        """The learning rate of this epoch."""


@dataclass
class Constant(Scheduler):
    """lr, always."""

    lr: float = 0.01

    def scheduled_lr(self, epoch: int | None = None) -> float:
        return self.lr


@dataclass
class Exponential(Scheduler):
    """lr decay^(epoch / stage_length), the exponent rounded down with staircase."""

    lr: float = 0.01
    decay: float = 0.9
    stage_length: int = 1000
    staircase: bool = False

    def scheduled_lr(self, epoch: int = 0) -> float:
        stages = epoch / self.stage_length
        return self.lr * self.decay ** (math.floor(stages) if self.staircase else stages)
