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

from .network import Network

__all__ = ["PyTorchCNN"]
CHANNELS = (1, 32, 64, 128, 256)


class PyTorchCNN(Network):
    """Four times convolution, ReLU, max-pool, batch norm, dropout, then 256-128-num_classes; all generators seeded."""

    num_classes: int

    picture = "pytorch_cnn_train_val_metrics.png"

    def __init__(self, num_classes: int = 10, random_seed: int = 42) -> None:
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
    ) -> None:
        """A step of Adam on all rows at once per epoch; the training loss is that of the step, before it."""
        criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(self.model.parameters(), lr=learning_rate)
        for epoch in range(1, epochs + 1):
            self.model.train()
            optimizer.zero_grad()
            loss = criterion(self.model(X_train), y_train)
            loss.backward()
            optimizer.step()
            figures = [loss.item(), self.accuracy(X_train, y_train), *self.measure(X_val, y_val)]
            self.note(figures, epoch, epochs, every=1)


def block(num_inputs: int, num_outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(num_inputs, num_outputs, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
        nn.BatchNorm2d(num_outputs),
        nn.Dropout(0.3),
    )
