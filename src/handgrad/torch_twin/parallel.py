"""Several processes that train together: shares of a batch, sums over all of them, and what a lost one means."""

import atexit
import contextlib
import functools
import os
import signal
import threading

import numpy as np
import torch
from torch import distributed, nn
from torch.nn import functional as tf

LOST = ("gloo", "nccl", "connection", "socket", "processgroup", "watchdog", "peer")  # words of a broken collective


class Workers:
    """The `count` processes of one training, of which this is number `rank`; one without torchrun."""

    def __init__(self, rank=0, count=1):
        self.rank, self.count, self.is_ending = rank, count, False
        if count > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._end)

    def _end(self, number, frame):
        """torchrun's SIGTERM, when another worker failed: end before the next step, and say so, rather than vanish."""
        self.is_ending = True

    def share(self, num_rows):
        """The slice of a batch that is this worker's: shares in order, as equal as they can be."""
        if self.count == 1:
            return slice(None)
        starts = np.linspace(0, num_rows, self.count + 1).astype(int)
        return slice(starts[self.rank], starts[self.rank + 1])

    def gather(self, rows, num_rows):
        """All workers' rows (n, ...) of a batch of num_rows, in order, on every worker."""
        if self.count == 1:
            return rows
        sizes = np.diff(np.linspace(0, num_rows, self.count + 1).astype(int)).tolist()
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def wrap(self, module, device):
        """The module with gradients averaged, and batch norm measured, over all workers."""
        if self.count == 1:
            return module
        group = distributed.new_group()
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                child.forward = functools.partial(batch_norm_of_all, child, group)
        place = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=place)

    @contextlib.contextmanager
    def watched(self):
        """Within the block a broken collective is a ConnectionError that says what happened."""
        lost = f"worker {self.rank} of {self.count} lost another one (killed, or out of memory?): training stops here"
        if self.is_ending:
            raise ConnectionError(lost)
        try:
            yield
        except RuntimeError as problem:
            if self.count == 1 or not any(word in str(problem).lower() for word in LOST):
                raise
            raise ConnectionError(lost) from None


def is_parallel():
    """True in a process that torchrun started beside others."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 and "RANK" in os.environ


def join(device):
    """The workers that torchrun started this process among, by gloo on CPUs and nccl on GPUs."""
    if not is_parallel():
        return Workers()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(leave)
    return Workers(distributed.get_rank(), distributed.get_world_size())


def leave():
    if distributed.is_initialized():
        distributed.destroy_process_group()


class SumOverWorkers(torch.autograd.Function):
    """y = Σ x over the workers; dx = Σ dy, as every worker's loss depends on every x."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        return total(x, group)

    @staticmethod
    def backward(ctx, dy):
        return total(dy, ctx.group), None


def total(x, group):
    x = x.clone()
    distributed.all_reduce(x, group=group)
    return x


def batch_norm_of_all(module, group, x):
    """What nn.BatchNorm does, with mean and variance over the batches of all workers (also on CPUs)."""
    if not module.training:
        return tf.batch_norm(x, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *[1] * (x.ndim - 2))
    count = total(x.new_tensor([x.numel() / x.shape[1]]), group)
    mean = SumOverWorkers.apply(x.sum(axes), group) / count
    centered = x - mean.view(shape)
    var = SumOverWorkers.apply(centered.square().sum(axes), group) / count
    with torch.no_grad():
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(var * (count / (count - 1)), module.momentum)
    return centered * (module.weight * torch.rsqrt(var + module.eps)).view(shape) + module.bias.view(shape)
