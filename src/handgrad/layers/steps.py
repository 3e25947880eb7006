"""The plan of what runs in place of a model's layers where that is faster, and what such steps have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from math import prod
from threading import get_ident
from typing import Any, TypeVar

import numpy as np

from ..arrays import Array, MaybeArray
from ..kernels.products import blocks, keep_freed_memory
from ..kernels.threads import share
from .base import NOTHING, Layer, Step, is_as_written, is_watched, refuse_backward

AnyStep = TypeVar("AnyStep", bound=Step)


def plan(layers: Sequence[Layer]) -> Sequence[Layer | Step]:
    """What runs in place of built layers: the steps that they offer where fused ones are among these, else themselves.

    A layer's class offers them, and a subclass runs as it was written.
    """
    steps = replace(layers, lambda rest: rest[0].fuse(rest[1:]) or InBlocks.of(rest))
    if not any(isinstance(step, Step) for step in steps):
        return replace(layers, lambda rest: rest[0].shorten(rest[1:]))
    keep_freed_memory()
    # Fused steps use threads of ours, and BLAS must not use its own beside them: share its products out, too.
    return [step if isinstance(step, Step) else step.share() or step for step in steps]


class Chain:
    """Layers one after the other, or the steps that run in their place.

    Who watches what passes through layers sees these alone: then they run themselves.
    """

    def __init__(self, layers: Sequence[Layer], steps: Sequence[Layer | Step] | None = None) -> None:
        self.layers: Sequence[Layer] = layers
        self.steps: Sequence[Layer | Step] = layers if steps is None else steps
        self.lowest: int = lowest_trained(self.steps)

    def forward(self, x: Array, training: bool) -> Array:
        for step in self.layers if is_watched() else self.steps:
            x = step.forward(x, training)
        return x

    def backward(self, dy: Array, input_gradient: bool) -> MaybeArray:
        """dx, through each in reverse; input_gradient=False stops at the first with parameters."""
        steps, lowest = self.steps, self.lowest
        if is_watched():
            steps, lowest = self.layers, lowest_trained(self.layers)
        if input_gradient:
            lowest = 0
        dx: MaybeArray = dy
        for i in range(len(steps) - 1, lowest - 1, -1):
            dx = steps[i].backward(dx, input_gradient or i > lowest)
        for step in steps[:lowest]:
            step.clear_cache()
        return dx if input_gradient else None

    @property
    def has_cache(self) -> bool:
        return any(step.has_cache for step in self.steps)

    def clear_cache(self) -> None:
        for step in self.steps:
            step.clear_cache()


def lowest_trained(steps: Sequence[Layer | Step]) -> int:
    """The position of the first that has parameters, or how many there are."""
    return next((i for i, step in enumerate(steps) if step.num_parameters), len(steps))


def replace(layers: Sequence[Layer], offer: Callable[[Sequence[Layer]], AnyStep | None]) -> list[Layer | AnyStep]:
    """The layers in order; where offer(those from here on) is a step, it stands for as many as it has."""
    steps, rest = list[Layer | AnyStep](), list(layers)
    while rest:
        step = offer(rest)
        steps.append(step or rest[0])
        rest = rest[len(step.layers) if step else 1 :]
    return steps


class FastStep(Step):
    """A step by one of `handgrad.kernels`: the results and messages of its layers, which run what it cannot take."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__(layers)
        self._cache: Any = NOTHING

    def serves(self, x: Array, training: bool) -> bool:
        """Whether the fast way can take this x; the layers themselves are run otherwise."""
        return x.dtype == self.layers[0].dtype and len(x) > 0

    def compute(self, x: Array, training: bool) -> tuple[Array, Any]:
        """y and, in training, what `differentiate` needs besides dy."""
        raise NotImplementedError

    def differentiate(self, dy: Array, cache: Any, input_gradient: bool) -> Array | None:
        """dx or None; the layers' gradients are written."""
        raise NotImplementedError

    def forward(self, x: Array, training: bool = False) -> Array:
        if not self.serves(x, training) or not all(map(is_as_written, self.layers)):
            if training:
                self._cache = NOTHING
            for layer in self.layers:
                x = layer.forward(x, training)
            return x
        y, cache = self.compute(x, training)
        if training:
            self._cache = cache, y.shape, get_ident()
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if self._cache is NOTHING:
            for i in range(len(self.layers) - 1, -1, -1):
                dy = self.layers[i].backward(dy, input_gradient or i > 0)
            return dy
        cache, shape, thread = self._cache
        if shape != dy.shape or thread != get_ident():
            refuse_backward(self.layers[-1], self._cache, dy)
        self._cache = NOTHING
        return self.differentiate(np.ascontiguousarray(dy, self.layers[0].dtype), cache, input_gradient)

    @property
    def has_cache(self) -> bool:
        return self._cache is not NOTHING or super().has_cache

    def clear_cache(self) -> None:
        self._cache = NOTHING
        super().clear_cache()


class InBlocks(FastStep):
    """Layers that compute each sequence by itself, a few sequences at a time while these are in cache.

    Threads share the blocks. The layers' own pairs do the work; only the order is another in which gradients add up.
    """

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> InBlocks | None:
        """For the first of these layers, as many as there are; None for a single one."""
        run = list(takewhile(is_apart, layers))
        return cls(run) if len(run) > 1 else None

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__(layers)
        numbers = max(prod(layer.input_shape) + prod(layer.output_shape) for layer in layers)
        self.bytes_each: int = 2 * numbers * layers[0].dtype.itemsize
        self.work: int = sum(layer.multiply_adds for layer in layers)

    def over_blocks(self, count: int, task: Callable[[int, slice], None]) -> None:
        """Call task(worker, block) for blocks of these examples, shared among threads."""

        def part(worker: int, start: int, stop: int) -> None:
            for block in blocks(start, stop, self.bytes_each):
                task(worker, block)

        share(count, part, count * self.work)

    def compute(self, x: Array, training: bool) -> tuple[Array, Any]:
        y = np.empty((len(x), *self.layers[-1].output_shape), x.dtype)
        caches = dict[int, list[Any]]()

        def one(worker: int, block: slice) -> None:
            passed, kept = x[block], list[Any]()
            for layer in self.layers:
                passed, cache = layer.compute(passed, training)
                kept.append(cache)
            y[block] = passed
            if training:
                caches[block.start] = kept

        self.over_blocks(len(x), one)
        return y, (caches, x.shape)

    def differentiate(self, dy: Array, cache: Any, input_gradient: bool) -> Array | None:
        (caches, shape), sums = cache, dict[int, list[dict[str, Array]]]()
        dx = np.empty(shape, dy.dtype)

        def one(worker: int, block: slice) -> None:
            passed = dy[block]
            added = sums.setdefault(worker, [{} for _ in self.layers])
            for layer, kept, total in zip(self.layers[::-1], caches[block.start][::-1], added, strict=True):
                passed, gradients = layer.differentiate(passed, kept)
                for name, gradient in gradients.items():
                    total[name] = total[name] + gradient if name in total else gradient
            dx[block] = passed

        self.over_blocks(len(dy), one)
        for position, layer in enumerate(self.layers[::-1]):
            for name, place in layer.gradients.items():
                place[...] = sum(sums[worker][position][name] for worker in sorted(sums))
        return dx if input_gradient else None


def is_apart(layer: Layer) -> bool:
    """Whether this is a layer of ours, of sequences, each of which it computes by itself."""
    return layer.sees_one_example and len(layer.input_shape) == 2 and type(layer).__module__.startswith("handgrad.")


def bias_of(layer: Layer) -> Array:
    """The layer's bias, or zeros where it has none."""
    return layer.parameters["bias"] if "bias" in layer.parameters else np.zeros(layer.output_shape[-1], layer.dtype)


def dbias_of(layer: Layer) -> Array:
    """Where the bias's gradient is written: memory that nobody reads where the layer has no bias."""
    return layer.gradients["bias"] if "bias" in layer.gradients else np.zeros(layer.output_shape[-1], layer.dtype)
