"""neural_networks.optimizers: SGD as the course writes it, update(name, parameter, gradient, epoch) -> step."""

import numpy as np

from ...clipping import ClipParameterNorm
from .schedulers import initialize_scheduler


def initialize_optimizer(
    name, lr, lr_scheduler=None, momentum=None, clip_norm=None, lr_decay=None, staircase=None, stage_length=None
):
    """'SGD' is the one there is; NotImplementedError for another."""
    if name != "SGD":
        raise NotImplementedError(f"{name} optimizer is not implemented")
    return SGD(
        lr=lr,
        lr_scheduler=lr_scheduler,
        momentum=momentum,
        clip_norm=clip_norm,
        lr_decay=lr_decay,
        staircase=staircase,
        stage_length=stage_length,
    )


class Optimizer:
    """What every optimizer of the course has."""

    def __init__(self):
        self.lr = None
        self.lr_scheduler = None


class SGD(Optimizer):
    """step = momentum · previous step + lr(epoch) · gradient, to be subtracted from the parameter.

    The learning rate stands inside the memory, so a change of it is felt slowly (handgrad's and PyTorch's SGD has it
    outside). clip_norm shortens each parameter's gradient, biases included, by itself. lr_scheduler None: constant.
    """

    def __init__(
        self, lr, lr_scheduler=None, momentum=0.0, clip_norm=None, lr_decay=0.9, stage_length=None, staircase=None
    ):
        self.lr = lr
        self.lr_scheduler = initialize_scheduler(
            lr_scheduler or "constant", lr=lr, decay=lr_decay, stage_length=stage_length, staircase=staircase
        )
        self.momentum = 0.0 if momentum is None else momentum
        self.clip_norm = clip_norm
        self.cache = {}

    def update(self, param_name, param, param_grad, epoch=0):
        """The step for this parameter; param_name is the key of its memory. Fall 2023 calls it without the epoch."""
        if self.clip_norm is not None:
            param_grad = param_grad.copy()
            ClipParameterNorm(self.clip_norm)([param_grad])
        previous = self.cache.get(param_name, np.zeros_like(param))
        self.cache[param_name] = self.momentum * previous + self.lr_scheduler(epoch) * param_grad
        return self.cache[param_name]
