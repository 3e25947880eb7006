"""Where training runs: a device by name, data and augmentation on it, and processes that share the work."""

import atexit
import contextlib
import functools
import gc
import importlib
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as tf

from ..arrays import Array, DTypeLike, Generator
from ..datasets import augment
from ..training.engine import Augment

TensorStep: TypeAlias = Callable[[Any, Tensor, Generator], Tensor]
GROUPS: list[Any] = []  # that this process shares with others
NETWORKS: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # that know a group
LOST = ("gloo", "nccl", "connection", "socket", "processgroup", "watchdog", "peer")  # words of a broken collective


class Rows:
    """A data set on a device, cut into batches by row numbers, an array: rows[order[:64]] is a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, rows: Array) -> Tensor:
        return self.tensor.index_select(0, torch.from_numpy(rows).to(self.tensor.device))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.asarray(self.tensor.cpu().numpy(), dtype)


def accelerators() -> dict[str, str]:
    """{'cuda': the names of NVIDIA's GPUs here, 'mps': Apple's}, or 'not there'."""
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    mps = torch.backends.mps.is_available()
    return {"cuda": ", ".join(cuda) or "not there", "mps": "an Apple GPU" if mps else "not there"}


def generator_of(device: torch.device) -> torch.Generator:
    """The generator that dropout on this device draws from. (torch.manual_seed would seed all, and cost 2 ms.)"""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index]
    return torch.mps._get_default_mps_generator() if device.type == "mps" else torch.default_generator


def find_device(name: str, dtype: DTypeLike) -> torch.device:
    """The torch.device of a name; under torchrun 'cuda' is this process' own GPU. ValueError where it is not there."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")  # none of those below
    here = f"PyTorch {torch.__version__}"
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device is {name!r}, but {here} finds no CUDA GPU: use device = 'cpu'")
        device = torch.device("cuda", device.index or int(os.environ.get("LOCAL_RANK", 0)))
        if device.index >= torch.cuda.device_count():
            raise ValueError(f"device is {name!r}, but there are only {torch.cuda.device_count()} GPUs, counted from 0")
        torch.cuda.set_device(device)
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(f"device is {name!r}, but {here} finds no Apple GPU: use device = 'cpu'")
        if dtype == "float64":
            raise ValueError("Apple GPUs have no float64: use dtype = 'float32'")
    elif device.type != "cpu":
        raise ValueError(f"device is {name!r}; expected cpu, cuda, cuda:1 or mps")
    return device


# Augmentation of a whole batch by indexing, with the draws that NumPy makes -------------------------------------------


def flip(step: augment.RandomFlip, x: Tensor, rng: Generator) -> Tensor:
    """`RandomFlip` on a device."""
    flipped = torch.from_numpy(rng.random(len(x)) < step.rate).to(x.device)
    return torch.where(flipped[:, None, None, None], x.flip(2), x)


def crop(step: augment.RandomCrop, x: Tensor, rng: Generator) -> Tensor:
    """`RandomCrop` on a device."""
    p, (n, height, width, _) = step.padding, x.shape
    top, left = torch.from_numpy(rng.integers(0, 2 * p + 1, (2, n))).to(x.device)
    padded = tf.pad(x, (0, 0, p, p, p, p))
    rows = top[:, None] + torch.arange(height, device=x.device)
    columns = left[:, None] + torch.arange(width, device=x.device)
    return padded[torch.arange(n, device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]]


def chain(steps: augment.Chain, x: Tensor, rng: Generator) -> Tensor:
    """`Chain` on a device."""
    for step in steps.steps:
        x = STEPS[type(step)](step, x, rng)
    return x


# class -> (augmentation, x (N, H, W, C) tensor, generator) -> tensor
STEPS: dict[type, TensorStep] = {augment.RandomFlip: flip, augment.RandomCrop: crop, augment.Chain: chain}


def on_device(augmentation: Augment | None) -> Augment | None:
    """A function (x, generator) of tensors that does what the augmentation does; others go through NumPy and back."""
    if augmentation is None:
        return None
    parts = augmentation.steps if isinstance(augmentation, augment.Chain) else [augmentation]
    if all(type(part) in STEPS for part in parts):
        return lambda x, rng: STEPS[type(augmentation)](augmentation, x, rng)
    return lambda x, rng: torch.from_numpy(augmentation(x.cpu().numpy(), rng)).to(x.device)


# Several processes that train together: shares of a batch, sums over all of them, and what a lost one means -----------


class Workers:
    """The `count` processes of one training, of which this is number `rank`; one without torchrun."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count
        self.is_ending: bool = False
        if count > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, frame: object) -> None:
        """torchrun's SIGTERM, when another worker failed: end before the next step, and say so, rather than vanish."""
        self.is_ending = True

    def share(self, num_rows: int) -> slice:
        """The slice of a batch that is this worker's: shares in order, as equal as they can be."""
        if self.count == 1:
            return slice(None)
        starts = np.linspace(0, num_rows, self.count + 1).astype(int)
        return slice(starts[self.rank], starts[self.rank + 1])

    def gather(self, rows: Tensor, num_rows: int) -> Tensor:
        """All workers' rows (n, ...) of a batch of num_rows, in order, on every worker."""
        if self.count == 1:
            return rows
        sizes = np.diff(np.linspace(0, num_rows, self.count + 1).astype(int)).tolist()
        padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with gradients averaged, and batch norm measured, over all workers."""
        if self.count == 1:
            return module
        group = distributed.new_group()
        GROUPS.append(group)
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                vars(child)["forward"] = functools.partial(batch_norm_of_all, child, group)
        place = [device] if device.type == "cuda" else None
        network = nn.parallel.DistributedDataParallel(module, device_ids=place)
        NETWORKS.add(network)
        return network

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
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


def join(device: torch.device) -> Workers:
    """The workers that torchrun started this process among, by gloo on CPUs and nccl on GPUs."""
    if int(os.environ.get("WORLD_SIZE", 1)) < 2 or "RANK" not in os.environ:
        return Workers()
    if not distributed.is_initialized():
        importlib.import_module("torch.distributed.nn.functional")  # imported later, its defaults would hold the group
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        GROUPS.append(distributed.group.WORLD)
        atexit.register(leave)
    return Workers(distributed.get_rank(), distributed.get_world_size())


def leave() -> None:
    """Say goodbye to the other workers at the end of the process, and end the threads of gloo while Python still runs.

    Such a thread takes Python's lock to let go of a tensor, and aborts the process where Python has been taken down
    before it (pytorch, pull request 179291). It ends with the last name of its group: first networks let go, then we.
    """
    if not distributed.is_initialized():
        return
    distributed.destroy_process_group()
    for network in list(NETWORKS):
        for child in network.modules():
            vars(child).pop("forward", None)
        vars(network).clear()
    gc.collect()
    GROUPS.clear()


class SumOverWorkers(torch.autograd.Function):
    """y = Σ x over the workers; dx = Σ dy, as every worker's loss depends on every x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        """y = Σ x."""
        ctx.group = group
        return total(x, group)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """dx = Σ dy."""
        return total(dy, ctx.group), None


sum_over_workers: Callable[[Tensor, Any], Tensor] = SumOverWorkers.apply


def total(x: Tensor, group: Any) -> Tensor:
    """Σ x over the workers."""
    x = x.clone()
    distributed.all_reduce(x, group=group)
    return x


def batch_norm_of_all(module: Any, group: Any, x: Tensor) -> Tensor:
    """What nn.BatchNorm does, with mean and variance over the batches of all workers (also on CPUs)."""
    if not module.training:
        return tf.batch_norm(x, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *[1] * (x.ndim - 2))
    count = total(x.new_tensor([x.numel() / x.shape[1]]), group)
    mean = sum_over_workers(x.sum(axes), group) / count
    centered = x - mean.view(shape)
    var = sum_over_workers(centered.square().sum(axes), group) / count
    with torch.no_grad():
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(var * (count / (count - 1)), module.momentum)
    y: Tensor = centered * (module.weight * torch.rsqrt(var + module.eps)).view(shape) + module.bias.view(shape)
    return y
