"""Losses, penalties, optimizers and clippings in PyTorch: one row each, by the class of the handgrad object."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, optim
from torch.nn import functional as tf

from .. import clipping, optimizers
from .. import layers as hg
from ..layers.criteria import Penalty

T = TypeVar("T")
RowLoss: TypeAlias = Callable[[Any, Tensor, Tensor], Tensor]  # (loss, outputs, targets) -> the loss of each row


def rows_of(losses: Tensor) -> Tensor:
    """Losses by element (N, ...) as one per row (N,)."""
    return losses.reshape(len(losses), -1).mean(dim=1)


def cross_entropy(loss: hg.CrossEntropy, outputs: Tensor, targets: Tensor) -> Tensor:
    """Softmax cross-entropy of each row, by the weight of its class and with smoothed labels."""
    if outputs.ndim == 3:  # of sequences: the mean over the steps
        if loss.class_weight is not None:
            raise ValueError("class_weight for labels of sequences (N, T) is not in the PyTorch engine: use numpy")
        outputs, targets = (a.movedim(-1, 1) if a.ndim == 3 else a for a in (outputs, targets))
        return rows_of(tf.cross_entropy(outputs, targets, reduction="none", label_smoothing=loss.label_smoothing))
    weight = None if loss.class_weight is None else torch.as_tensor(loss.class_weight).to(outputs)
    return tf.cross_entropy(outputs, targets, weight, reduction="none", label_smoothing=loss.label_smoothing)


def probability_cross_entropy(loss: hg.Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """-Σ t log p of each row, of outputs p that are probabilities."""
    if targets.ndim == 1:
        targets = tf.one_hot(targets, outputs.shape[1])
    smallest = torch.finfo(outputs.dtype).tiny
    floored = outputs + (outputs.clamp(min=smallest) - outputs).detach()  # 1 / p at the floor, where clamp's is 0
    return -torch.where(targets == 0, 0, targets * floored.log()).sum(dim=1)


def hinge(loss: hg.Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Σ max(0, 1 + s_k - s_true) of each row, over the wrong classes k."""
    return tf.multi_margin_loss(outputs, targets, reduction="none") * outputs.shape[1]


# class -> losses of each row (N,), from (loss, outputs, targets)
LOSSES: dict[type[hg.Loss], RowLoss] = {
    hg.CrossEntropy: cross_entropy,
    hg.ProbabilityCrossEntropy: probability_cross_entropy,
    hg.Hinge: hinge,
    hg.BinaryCrossEntropy: lambda loss, y, t: rows_of(tf.binary_cross_entropy_with_logits(y, t, reduction="none")),
    hg.MeanSquaredError: lambda loss, y, t: rows_of(tf.mse_loss(y, t, reduction="none")),
    hg.MeanAbsoluteError: lambda loss, y, t: rows_of(tf.l1_loss(y, t, reduction="none")),
    hg.Huber: lambda loss, y, t: rows_of(tf.huber_loss(y, t, reduction="none", delta=loss.delta)),
}
BY_CLASS = (hg.CrossEntropy, hg.ProbabilityCrossEntropy, hg.Hinge)  # targets are labels or probabilities of classes

PENALTIES: dict[type, Callable[[Any, Tensor], Tensor]] = {
    hg.L2: lambda penalty, weight: 0.5 * penalty.strength * weight.square().sum(),
    hg.L1: lambda penalty, weight: penalty.strength * weight.abs().sum(),
}

# class -> (theirs, {their argument: ours})
OPTIMIZERS: dict[type[optimizers.Optimizer], tuple[Callable[..., optim.Optimizer], dict[str, list[str]]]] = {
    optimizers.SGD: (optim.SGD, {"momentum": ["momentum"], "nesterov": ["nesterov"]}),
    optimizers.Adam: (optim.Adam, {"betas": ["beta1", "beta2"], "eps": ["epsilon"]}),
    optimizers.AdamW: (optim.AdamW, {"betas": ["beta1", "beta2"], "eps": ["epsilon"]}),
    optimizers.RMSprop: (optim.RMSprop, {"alpha": ["decay_rate"], "eps": ["epsilon"]}),
    optimizers.Adagrad: (optim.Adagrad, {"eps": ["epsilon"]}),
}


def clip_global_norm(limit: float, gradients: Sequence[Tensor]) -> None:
    """As handgrad: exactly limit / norm, where clip_grad_norm_ takes limit / (norm + 1e-6); inf and NaN stay."""
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    factor = torch.where(torch.isfinite(norm) & (norm > limit), limit / norm, torch.ones_like(norm))
    for gradient in gradients:
        gradient.mul_(factor)


def clip_parameter_norm(limit: float, gradients: Sequence[Tensor]) -> None:
    """Each gradient shortened by itself."""
    for gradient in gradients:
        clip_global_norm(limit, [gradient])


def clip_value(limit: float, gradients: Sequence[Tensor]) -> None:
    """Each number of each gradient kept within ±limit."""
    for gradient in gradients:
        gradient.clamp_(-limit, limit)


CLIPPINGS: dict[type, Callable[[float, Sequence[Tensor]], None]] = {
    clipping.ClipGlobalNorm: clip_global_norm,
    clipping.ClipParameterNorm: clip_parameter_norm,
    clipping.ClipValue: clip_value,
}


def find(thing: object, kind: str, table: Mapping[type[Any], T]) -> T:
    """The row for an object's class, or a ValueError that names it."""
    if type(thing) not in table:
        known = ", ".join(cls.__name__ for cls in table)
        raise ValueError(f"the {kind} {type(thing).__name__} has no PyTorch twin (there are: {known})")
    return table[type(thing)]


class TwinLoss:
    """A loss of handgrad as a function of tensors: Σ w l / Σ w over the rows, w from sample and class weights."""

    def __init__(self, loss: hg.Loss, table: Mapping[type[hg.Loss], RowLoss] = LOSSES) -> None:
        self.loss = loss
        self.rows: RowLoss = find(loss, "loss", table)

    def __call__(
        self, outputs: Tensor, targets: Tensor, sample_weight: Tensor | None = None, total: float | None = None
    ) -> Tensor:
        """The mean; total: what to divide the sum by instead of Σ w, for a share of a larger batch."""
        targets = self.fit(outputs, targets)
        losses = self.rows(self.loss, outputs, targets)
        weight = self.weights(targets, sample_weight)
        counted = losses if sample_weight is None else losses * sample_weight.to(losses)
        if total is not None:
            return counted.sum() / total
        return counted.sum() / (len(losses) if weight is None else weight.sum().to(losses))

    def total(self, targets: Tensor, sample_weight: Tensor | None = None) -> float:
        """Σ w of a batch, as a number."""
        weight = self.weights(targets, sample_weight)
        return float(len(targets) if weight is None else weight.sum())

    def weights(self, targets: Tensor, sample_weight: Tensor | None) -> Tensor | None:
        """What each row counts: its sample weight, times the weight of its class where the target is a label."""
        if not isinstance(self.loss, hg.CrossEntropy) or self.loss.class_weight is None or targets.ndim > 1:
            return sample_weight
        counts = torch.as_tensor(self.loss.class_weight, dtype=torch.float64, device=targets.device)[targets]
        return counts if sample_weight is None else counts * sample_weight

    def fit(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Targets in the dtype and shape that PyTorch's loss wants beside these outputs."""
        if isinstance(self.loss, BY_CLASS):
            return targets.to(outputs.dtype) if targets.ndim == outputs.ndim else targets.long()
        return targets.to(outputs.dtype).reshape(outputs.shape)


def make_optimizer(optimizer: optimizers.Optimizer, parameters: list[Any]) -> optim.Optimizer:
    """The torch.optim object that follows the same rule, in its fused form (one pass over the arrays) where it can."""
    cls, names = find(optimizer, "optimizer", OPTIMIZERS)
    options: dict[str, Any] = {theirs: operator.attrgetter(*ours)(optimizer) for theirs, ours in names.items()}
    options.update(lr=optimizer.learning_rate, weight_decay=optimizer.weight_decay)
    try:
        return cls(parameters, **options, fused=True)
    except (TypeError, RuntimeError):  # a rule, a device or an older PyTorch that has no such form
        return cls(parameters, **options)


def clip(optimizer: optimizers.Optimizer, parameters: Iterable[Tensor]) -> None:
    """Do to the gradients what the optimizer's clipping does."""
    if optimizer.clipping is not None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        find(optimizer.clipping, "clipping", CLIPPINGS)(optimizer.clipping.limit, gradients)


def penalty_of(penalty: Penalty | None, weights: Iterable[Tensor]) -> Tensor:
    """The penalty of these weights, a tensor; 0 without one."""
    total = torch.zeros(())
    if penalty is not None:
        for weight in weights:
            total = total + find(penalty, "penalty", PENALTIES)(penalty, weight)
    return total
