"""pytorch_ann: the network of numpy_ann in PyTorch, its training loop included.

>>> ann = PyTorchANN(input_size=5, hidden_size=10, output_size=3)
>>> ann
PyTorchANN(
  (model): Sequential(
    (0): Linear(in_features=5, out_features=10, bias=True)
    (1): ReLU()
    (2): Linear(in_features=10, out_features=3, bias=True)
  )
)
>>> ann(torch.rand(5))
tensor([-0.0675,  0.0238, -0.0057], grad_fn=<...>)
>>> ann = PyTorchANN(input_size=5, hidden_size=10, output_size=3)
>>> ann.predict(torch.rand((5, 5)))
tensor([1, 2, 2, 2, 2])
"""

import torch
from torch import nn

from .network import Network

__all__ = ["PyTorchANN"]


class PyTorchANN(Network):
    """Linear, ReLU, Linear to logits; drawn by PyTorch's generator after torch.manual_seed(random_seed)."""

    picture = "pytorch_ann_train_val_metrics.png"

    def __init__(self, input_size, hidden_size, output_size, random_seed=42):
        torch.manual_seed(random_seed)
        layers = nn.Linear(input_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, output_size)
        super().__init__(nn.Sequential(*layers), random_seed)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size

    def train(self, X_train, y_train, X_val, y_val, epochs, batch_size, learning_rate):
        """SGD on batches in the order of the rows; figures after every epoch, printed every fifth."""
        criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(self.model.parameters(), lr=learning_rate)
        for epoch in range(1, epochs + 1):
            self.model.train()
            for x, y in zip(X_train.split(batch_size), y_train.split(batch_size), strict=True):
                optimizer.zero_grad()
                criterion(self.model(x), y).backward()
                optimizer.step()
            self.note([*self.measure(X_train, y_train), *self.measure(X_val, y_val)], epoch, epochs, every=5)
