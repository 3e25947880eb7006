"""neural_networks.schedulers: the learning rate of an epoch, handgrad.schedules under the course's names."""

from abc import ABC, abstractmethod

from ... import schedules


def initialize_scheduler(name, lr, decay=None, stage_length=None, staircase=None):
    """'constant' or 'exponential'. As in the course, staircase has no effect here: logged runs depend on it.

    For steps, construct Exponential(staircase=True) yourself. What is None takes the class's default.
    """
    if name == "constant":
        return Constant(lr=lr)
    if name == "exponential":
        given = {"decay": decay, "stage_length": stage_length}
        return Exponential(lr=lr, **{key: value for key, value in given.items() if value is not None})
    raise NotImplementedError(f"{name} scheduler is not implemented")


class Scheduler(ABC):
    """scheduler(epoch) is the learning rate; epochs count from 0."""

    def __call__(self, epoch):
        return self.scheduled_lr(epoch)

    @abstractmethod
    def scheduled_lr(self, epoch):
        """The learning rate of this epoch."""


class Constant(Scheduler):
    """lr, always."""

    def __init__(self, lr=0.01):
        self.lr = lr

    def scheduled_lr(self, epoch=None):
        return self.lr


class Exponential(Scheduler):
    """lr decay^(epoch / stage_length), the exponent rounded down with staircase."""

    def __init__(self, lr=0.01, decay=0.9, stage_length=1000, staircase=False):
        self.lr, self.decay, self.stage_length, self.staircase = lr, decay, stage_length, staircase

    def scheduled_lr(self, epoch=0):
        return schedules.Exponential(self.lr, self.decay, self.stage_length, bool(self.staircase))(epoch)
