"""The PyTorch engine: what a trainer drives, on a CPU, a GPU or several."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..arrays import Array, ArrayLike, MappedRows, pieces
from ..files import COUNT, check_form
from ..layers import BatchNorm, Embedding, Loss, Sequential
from ..layers.base import leaves, walk
from ..layers.containers import check_finite
from ..layers.criteria import Penalty, weights
from ..naming import look_up
from ..optimizers import Optimizer
from ..training.engine import Augment, Engine, Figures, Metric, why_not_finite
from .convert import to_torch, torch_dtype
from .devices import Rows, Workers, find_device, generator_of, join, on_device
from .read import Pairing, copy_to_layers, copy_to_modules, pair
from .rules import LOSSES, TwinLoss, clip, make_optimizer, penalty_of
from .table import Layout, Order

PRECISIONS = {"float32": None, "bf16": torch.bfloat16}  # None: the model's own dtype


class TorchEngine(Engine):
    """Trains the PyTorch twin of a model, on a CPU, a GPU or several.

    The same loss, optimizer rule, penalty, metrics and batches as the NumPy engine. The model object gets the trained
    numbers at the end of every epoch, and from `state`. Under torchrun each process takes its share of every batch.

    Parameters
    ----------
    model : Sequential
        A built model.
    loss : Loss
        What is minimised.
    optimizer : Optimizer
        Its rule, learning rate and clipping are followed by PyTorch's.
    penalty : Penalty, optional
        L2 or L1 of the weights.
    metrics : mapping, optional
        {name: function(outputs, targets)}.
    device : str
        'cpu', 'cuda', 'cuda:1' or 'mps'.
    compile : bool
        Whether torch.compile is used.
    precision : {'float32', 'bf16'}
        'bf16': mixed precision.
    channels_last : bool
        Whether images stay (N, H, W, C) in memory, which convolutions do faster.

    Raises
    ------
    ValueError
        For a device that is not there, and for a layer, loss, optimizer or penalty without a counterpart in PyTorch.

    Examples
    --------
    >>> import functools
    >>> data = hg.load_dataset("iris")
    >>> model = hg.Sequential([hg.Linear(8), hg.Tanh(), hg.Linear(3)])
    >>> engine = functools.partial(TorchEngine, device="cpu")
    >>> trainer = hg.Trainer(model, hg.CrossEntropy(), hg.Adam(0.01), seed=0, engine=engine)
    >>> history = trainer.fit(*data.train, epochs=20, progress=False)
    >>> trainer.evaluate(*data.test)["accuracy"] > 0.8
    True
    """

    trains_in_place = False
    losses = LOSSES  # a subclass may know more of them

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        penalty: Penalty | None = None,
        metrics: Mapping[str, Metric] | None = None,
        device: str = "cpu",
        compile: bool = False,
        precision: str = "float32",
        channels_last: bool = True,
    ) -> None:
        self.autocast: torch.dtype | None = look_up("precision", precision, PRECISIONS)
        for name, flag in (("compile", compile), ("channels_last", channels_last)):
            if not isinstance(flag, bool):
                raise ValueError(f"{name} is {flag!r}; expected true or false")
        super().__init__(model, loss, optimizer, penalty, metrics)
        self.num_steps: int = 0
        self.device: torch.device = find_device(device, model.dtype)
        self.module: nn.Sequential = to_torch(model)
        self.dtype: torch.dtype = torch_dtype(model)
        self.pairings: list[Pairing] = pair(model, self.module).pairings
        self.module.to(self.device)
        penalized = weights(model.parameters)
        self.weights: list[Tensor] = [tensor for name, tensor, *_ in self._tensors() if name in penalized]
        lay_out_images(self.module, channels_last)
        self.workers: Workers = join(self.device)
        network = self.workers.wrap(self.module, self.device)
        self.network: Callable[[Tensor], Tensor] = torch.compile(network) if compile else network
        self.twin_loss: TwinLoss = TwinLoss(loss, self.losses)
        self.rule: torch.optim.Optimizer = make_optimizer(optimizer, list(self.module.parameters()))
        self.is_random: bool = any(isinstance(child, nn.Dropout) for child in self.module.modules())
        self.first_layers: list[Embedding] = [layer for layer in leaves(model) if isinstance(layer, Embedding)]
        self.seed: int = int(np.random.default_rng(model.rng).integers(2**62)) if self.is_random else 0

    # Training and inference -------------------------------------------------------------------------------------

    def step(self, x: Any, y: Any, sample_weight: Any = None, metrics: bool = False) -> Figures:
        """One training step on one batch. Returns {'loss': ...} and the metrics.

        A loss that is NaN or infinite raises FloatingPointError before anything is updated; a worker that is gone
        ConnectionError.
        """
        x, y = self._tensor(x), self._tensor(y)
        self._check_rows(len(x))
        sample_weight = None if sample_weight is None else self._tensor(sample_weight)
        with self.workers.watch():
            outputs, loss, penalty = self._forward(x, y, sample_weight)
            self.rule.zero_grad()
            torch.autograd.backward(loss * self.workers.count + penalty)
            outputs = self.workers.gather(outputs.detach(), len(x))
        value = self._value(loss, outputs, y, sample_weight)
        if not math.isfinite(value):
            self.bring_home()
            raise FloatingPointError(why_not_finite(self.model, x.cpu().numpy(), value))
        self._update()
        figures = {"loss": value + penalty.item()}
        if metrics and self.metrics:
            figures.update(self.measure(outputs.cpu().numpy(), y.cpu().numpy()))
        return figures

    def predict(self, x: Any, batch_size: int = 256) -> Array:
        """The model's outputs for all rows, an array."""
        if isinstance(x, MappedRows):
            return np.concatenate([self.predict(x[rows], batch_size) for rows in pieces(x)])
        if isinstance(x, np.ndarray):
            self.model.accept(x[:0])
            check_finite(x)
        x = self._tensor(x)
        share, parts = x[self.workers.share(len(x))], []
        self.module.eval()
        with torch.no_grad(), self._precision(), self.workers.watch():
            for start in range(0, max(1, len(share)), batch_size):
                parts.append(self.module(self._cast(share[start : start + batch_size])))
            outputs = self.workers.gather(torch.cat(parts), len(x))
        return outputs.cpu().to(self.dtype).numpy()

    def penalty_now(self) -> float:
        """What the weights of this moment add to the loss."""
        with torch.no_grad():
            return penalty_of(self.penalty, self.weights).item()

    # State ------------------------------------------------------------------------------------------------------

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned, to the bit."""
        if "torch" not in state["optimizer"]:
            way_out = "go on with that engine, or start a new training from its parameters"
            raise ValueError(f"this training state is the NumPy engine's: {way_out}")
        super().load_state(state)
        copy_to_modules(leaves(self.model), self.pairings)

    def optimizer_state(self) -> dict[str, Any]:
        """PyTorch's state of each parameter as arrays, and from what dropout draws."""
        return {
            "learning_rate": float(self.optimizer.learning_rate),
            "num_steps": self.num_steps,
            "seed": self.seed,
            "torch": {str(i): to_plain(slots) for i, slots in self.rule.state_dict()["state"].items()},
        }

    def load_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `optimizer_state` returned; a ValueError, and nothing changed, for what is none."""
        parameters = {str(i): parameter for i, parameter in enumerate(self.rule.param_groups[0]["params"])}
        memory = {f"{i}?": {str: (float, np.ndarray)} for i in parameters}
        form = {"learning_rate": float, "num_steps": COUNT, "seed": range(2**62), "torch": memory}
        check_form(state, form, "the state of PyTorch's optimizer")
        for i, slots in state["torch"].items():
            shapes = {value.shape for value in slots.values() if isinstance(value, np.ndarray)}
            if i not in parameters or shapes - {tuple(parameters[i].shape)}:
                raise ValueError(f"the state of PyTorch's optimizer does not fit the model's parameter number {i:.20}")
        self.optimizer.learning_rate = state["learning_rate"]
        self.num_steps, self.seed = state["num_steps"], state["seed"]
        slots = {int(i): from_plain(slots, parameters[i]) for i, slots in state["torch"].items()}
        self.rule.load_state_dict({"state": slots, "param_groups": self.rule.state_dict()["param_groups"]})

    # Training data, there and back ------------------------------------------------------------------------------

    def place(self, array: ArrayLike) -> Array | Rows:
        """Training data where batches are cut: on a CPU the array itself, else its Rows on the device."""
        return np.asarray(array) if self.device.type == "cpu" else Rows(self._tensor(array))

    def adapt(self, augment: Augment | None) -> Augment | None:
        """The augmentation for batches where they are cut, with the same random draws."""
        return augment if self.device.type == "cpu" else on_device(augment)

    def bring_home(self) -> None:
        """Copy the numbers trained so far into the handgrad model."""
        copy_to_layers(leaves(self.model), self.pairings)

    # ------------------------------------------------------------------------------------------------------------

    def _tensor(self, array: Any) -> Tensor:
        """An array as a tensor on the device; pixels stay uint8."""
        if isinstance(array, (Tensor, Rows)):
            return array.tensor if isinstance(array, Rows) else array
        array = np.asarray(array)
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"])).to(self.device)

    def _forward(self, x: Tensor, y: Tensor, sample_weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """This worker's outputs and its share of the loss, as tensors, and the penalty."""
        if not self.module.training:
            self.module.train()
        share = self.workers.share(len(x))
        weight = None if sample_weight is None else sample_weight[share]
        total = None if self.workers.count == 1 else self.twin_loss.total(y, sample_weight)
        with self._precision(), self._seed(), explain_compiling():
            outputs = self.network(self._cast(x[share]))
        outputs = outputs.to(self.dtype)
        return outputs, self.twin_loss(outputs, y[share], weight, total), penalty_of(self.penalty, self.weights)

    def _check_rows(self, num_rows: int) -> None:
        """Refuse one example where batch norm would have to take its variance."""
        for layer in leaves(self.model) if num_rows == 1 else ():
            if isinstance(layer, BatchNorm) and math.prod(layer.input_shape[:-1]) == 1:
                way_out = "use batches of two or more (choose a batch_size that leaves no last batch of one)"
                raise ValueError(f"{layer.label} cannot train on one example: it has no variance; {way_out}")

    def _value(self, loss: Tensor, outputs: Tensor, y: Tensor, sample_weight: Tensor | None) -> float:
        """The loss of the whole batch, a number."""
        if self.workers.count == 1:
            return loss.item()
        with torch.no_grad():
            return self.twin_loss(outputs, y, sample_weight).item()

    def _update(self) -> None:
        if self.on_gradients is not None:
            self.on_gradients(self._gradients())
        clip(self.optimizer, self.rule.param_groups[0]["params"])
        self.rule.param_groups[0]["lr"] = float(self.optimizer.learning_rate)
        self.rule.step()
        self.num_steps += 1

    def _gradients(self) -> dict[str, Array]:
        """{'linear1.weight': gradient} as handgrad has them."""
        found = ((name, t.grad, layout, order) for name, t, layout, order in self._tensors() if t.grad is not None)
        return {name: np.ascontiguousarray(layout.back(dw.cpu().numpy(), order)) for name, dw, layout, order in found}

    def _tensors(self) -> Iterator[tuple[str, Tensor, Layout, Order]]:
        """Yield (our name, their tensor, how it lies, order of the features) for every parameter."""
        for (path, layer), pairing in zip(walk(self.model), self.pairings, strict=True):
            for group, name, _, tensor, layout in pairing.tensors(layer):
                if group == "parameters":
                    yield f"{path}.{name}", tensor, layout, pairing.before.order

    def _cast(self, x: Tensor) -> Tensor:
        """x in the model's dtype; pixels 0..255 become 0..1, indices stay."""
        if tuple(x.shape[1:]) != self.model.input_shape:
            shape = ", ".join(map(str, self.model.input_shape))
            raise ValueError(f"{self.model.label} expected x of shape (N, {shape}), got {tuple(x.shape)}")
        if self.model.takes_indices:
            if x.is_floating_point():
                raise TypeError(f"{self.model.label} takes whole numbers, got {x.dtype}: use .astype(int)")
            for layer in self.first_layers:
                if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < layer.num_embeddings:
                    layer.compute(x.cpu().numpy(), False)  # which refuses it, and says where
            return x.long()
        return x.to(self.dtype) * (1 / 255) if x.dtype == torch.uint8 else x.to(self.dtype)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast)

    @contextlib.contextmanager
    def _seed(self) -> Iterator[None]:
        """PyTorch's generator seeded from this step and worker; as it was before, afterwards.

        Dropout knows only the global generator. Seeding every step makes its state two numbers, the same on any
        number of workers, so that a run can be resumed exactly.
        """
        if not self.is_random:
            yield
            return
        generator = generator_of(self.device)
        before = generator.get_state()
        numbers = np.random.SeedSequence([self.seed, self.num_steps, self.workers.rank])
        generator.manual_seed(int(numbers.generate_state(1, np.uint64)[0]) >> 1)
        try:
            yield
        finally:
            generator.set_state(before)


@contextlib.contextmanager
def explain_compiling() -> Iterator[None]:
    """Within the block a failure of torch.compile (no C++ compiler, say) is a ValueError on one line."""
    try:
        yield
    except Exception as problem:
        if not type(problem).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        first = str(problem).splitlines()[0]
        raise ValueError(f"compile: torch.compile failed ({first}): leave out engine.compile") from None


def lay_out_images(module: Any, channels_last: bool) -> None:
    """Have convolutions find their images and weights channels last in memory, or first as PyTorch does by default."""
    turn = getattr(module, "to_channels_first", None)
    if turn is not None and channels_last:
        module.to(memory_format=torch.channels_last)
    elif turn is not None:
        turn.register_forward_hook(lambda module, inputs, output: output.contiguous())


def to_plain(slots: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's tensors of one parameter as arrays; single numbers (the count of steps) as numbers."""
    tensors = {name: value.cpu() for name, value in slots.items() if isinstance(value, Tensor)}
    return {name: value.numpy().copy() if value.ndim else value.item() for name, value in tensors.items()}


def from_plain(slots: Mapping[str, Any], parameter: Tensor) -> dict[str, Tensor]:
    """Tensors again, arrays lying in memory as their parameter does: fused optimizers rely on that."""

    def tensor(value: Array | float) -> Tensor:
        is_array = isinstance(value, np.ndarray)
        return torch.empty_like(parameter).copy_(torch.from_numpy(value)) if is_array else torch.tensor(value)

    return {name: tensor(value) for name, value in slots.items()}
