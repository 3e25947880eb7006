"""pytorch_cnn: a convolutional network of four blocks for images (N, 1, 28, 28), its training loop included.

>>> cnn = PyTorchCNN()
>>> cnn.predict(torch.randn(10, 1, 28, 28))
tensor([5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
"""

import random
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from ..arguments import script_arguments
from .network import Network, targets
from .utils import fashion_parts, tensors

CHANNELS = (1, 32, 64, 128, 256)


class PyTorchCNN(Network):
    """Four times convolution, ReLU, max-pool, batch norm, dropout, then 256-128-num_classes; all generators seeded."""

    num_classes: int

    picture = "pytorch_cnn_train_val_metrics.png"

    def __init__(self, num_classes: int = 10, random_seed: int = 42) -> None:
        """Seed PyTorch, NumPy and random, then draw `model`."""
        torch.manual_seed(random_seed)
        np.random.seed(random_seed)
        random.seed(random_seed)
        blocks = [module for sizes in pairwise(CHANNELS) for module in block(*sizes)]
        dense = nn.Flatten(), nn.Linear(CHANNELS[-1], 128), nn.ReLU(), nn.Linear(128, num_classes)
        super().__init__(nn.Sequential(*blocks, *dense), random_seed)
        self.num_classes = num_classes

    def train(  # type: ignore[override]  # the course's name, which nn.Module has for something else
        self,
        X_train: torch.Tensor,
        y_train: torch.Tensor,
        X_val: torch.Tensor,
        y_val: torch.Tensor,
        epochs: int = 10,
        learning_rate: float = 0.001,
        batch_size: int | None = 128,
    ) -> None:
        """Adam on shuffled batches; an epoch's training loss is the mean of its rows' before their steps.

        batch_size None is the course's reference code: one step on all rows at once per epoch.
        """
        criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(self.model.parameters(), lr=learning_rate)
        for epoch in range(1, epochs + 1):
            self.model.train()
            total = 0.0
            order = torch.arange(len(X_train)) if batch_size is None else torch.randperm(len(X_train))
            for rows in torch.split(order, batch_size or len(X_train)):
                optimizer.zero_grad()
                loss = criterion(self.model(self.here(X_train[rows])), targets(self.here(y_train[rows])))
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            figures = [total / len(X_train), self.accuracy(X_train, y_train), *self.measure(X_val, y_val)]
            self.note(figures, epoch, epochs, every=1)


def block(num_inputs: int, num_outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(num_inputs, num_outputs, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
        nn.BatchNorm2d(num_outputs),
        nn.Dropout(0.3),
    )


def main() -> None:
    """Train four blocks on Fashion-MNIST."""
    arguments = script_arguments(__doc__, epochs=60, rows=(2000, 59_800), seed=42)
    train, validation, test = tensors(fashion_parts(arguments.rows), (1, 28, 28))
    cnn = PyTorchCNN(random_seed=arguments.seed)
    cnn.train(*train, *validation, epochs=arguments.epochs, learning_rate=0.002)
    cnn.plot_train_val_metrics()
    print(f"judgement: {cnn.report_my_judgement()}")
    print(f"test accuracy: {cnn.accuracy(*test):.4f}")


if __name__ == "__main__":
    main()
