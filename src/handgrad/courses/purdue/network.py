"""What the course's two PyTorch networks share: predictions, figures by epoch, curves and a judgement."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import nn

from ...arrays import Array
from ...reports.judgement import judge

METRICS = {
    "loss": "train_losses",
    "accuracy": "train_accs",
    "validation_loss": "val_losses",
    "validation_accuracy": "val_accs",
}  # ours -> the course's, in the order of the printed line


class Network(nn.Module):
    """A network in `model`, trained on one-hot rows or whole numbers by cross-entropy; a subclass writes `train`.

    `train` is the course's name for training and takes the place of nn.Module's, so modes are switched on `model`.
    """

    seed: int
    model: nn.Sequential
    train_val_metrics: dict[str, list[float]]

    picture = "train_val_metrics.png"  # where the curves go

    def __init__(self, model: nn.Sequential, random_seed: int) -> None:
        super().__init__()
        self.seed, self.model = random_seed, model
        self.train_val_metrics = {name: [] for name in METRICS.values()}
        self.to(best_device())

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes)."""
        logits: torch.Tensor = self.model(X)
        return logits

    def predict(self, X: torch.Tensor) -> torch.Tensor:
        """The likeliest class of each row, (N,), on the CPU."""
        self.model.eval()
        with torch.no_grad():
            return torch.cat([self.model(self.here(x)).argmax(dim=-1).cpu() for x in torch.split(X, 1000)])

    def here(self, x: torch.Tensor) -> torch.Tensor:
        """x on the network's device."""
        return x.to(next(self.model.parameters()).device)

    def accuracy(self, X: torch.Tensor, y: torch.Tensor) -> float:
        """The share of rows whose likeliest class is that of y: one-hot rows, or whole numbers."""
        assert len(X) == len(y), f"X has {len(X)} rows, y {len(y)}"
        classes = y if y.ndim == 1 else y.argmax(dim=1)
        return (self.predict(X) == classes.cpu()).double().mean().item()

    def plot_train_val_metrics(self) -> tuple[Any, Array]:
        """Draw loss and accuracy by epoch, training beside validation, into `picture`; returns (figure, two axes)."""
        if not self.train_val_metrics["train_losses"]:
            raise ValueError("there is nothing to plot yet: train the network first")
        figure = Figure(figsize=(10.4, 3.6), layout="constrained")
        axes: Array = figure.subplots(1, 2)
        for panel, name, part in zip(axes, ("loss", "accuracy"), ("losses", "accs"), strict=True):
            for label, key in (("training", "train"), ("validation", "val")):
                values = self.train_val_metrics[f"{key}_{part}"]
                panel.plot(range(1, len(values) + 1), values, label=label)
            panel.set(xlabel="epoch", ylabel=name)
            panel.legend()
        figure.savefig(f"{self.picture}.new", format="png", dpi=100)
        os.replace(f"{self.picture}.new", self.picture)  # a picture that is whole or not there
        return figure, axes

    def report_my_judgement(self) -> str:
        """'underfitting', 'overfitting' or 'generalizing', from the figures of all epochs."""
        last = self.model[-1]
        assert isinstance(last, nn.Linear)
        return judge(self.history(), num_classes=last.out_features).verdict

    def history(self) -> dict[str, list[float]]:
        """The metrics under handgrad's names."""
        return {ours: self.train_val_metrics[theirs] for ours, theirs in METRICS.items()}

    def measure(self, X: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """(loss, accuracy) in evaluation mode."""
        self.model.eval()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(self.model(self.here(X)), targets(self.here(y))).item()
        return loss, self.accuracy(X, y)

    def note(self, figures: Sequence[float], epoch: int, epochs: int, every: int) -> None:
        """Keep an epoch's four figures, those of the first in place of an earlier training's; print some epochs'."""
        if epoch == 1:
            self.train_val_metrics = {name: [] for name in METRICS.values()}
        for name, value in zip(METRICS.values(), figures, strict=True):
            self.train_val_metrics[name].append(value)
        if epoch % every == 0:
            titles = ("Train Loss", "Train Accuracy", "Val Loss", "Val Accuracy")
            parts = [f"{title}: {value:.5f}" for title, value in zip(titles, figures, strict=True)]
            print(f"[{epoch} / {epochs}]", *parts, sep=" | ")


def best_device() -> str:
    """A GPU of NVIDIA's or Apple's where there is one."""
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def targets(y: torch.Tensor) -> torch.Tensor:
    """y as cross_entropy takes it: one-hot rows as they are, classes as whole numbers of 64 bits."""
    return y.long() if y.ndim == 1 else y
