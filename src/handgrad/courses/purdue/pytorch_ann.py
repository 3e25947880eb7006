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

from ..arguments import script_arguments
from .network import Network, targets
from .utils import fashion_parts, tensors


class PyTorchANN(Network):
    """Linear, ReLU, Linear to logits; drawn by PyTorch's generator after torch.manual_seed(random_seed)."""

    input_size: int
    hidden_size: int
    output_size: int

    picture = "pytorch_ann_train_val_metrics.png"

    def __init__(self, input_size: int, hidden_size: int, output_size: int, random_seed: int = 42) -> None:
        """Seed PyTorch, then draw `model`, Sequential(Linear, ReLU, Linear)."""
        torch.manual_seed(random_seed)
        layers = nn.Linear(input_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, output_size)
        super().__init__(nn.Sequential(*layers), random_seed)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size

    def train(  # type: ignore[override]  # the course's name, which nn.Module has for something else
        self,
        X_train: torch.Tensor,
        y_train: torch.Tensor,
        X_val: torch.Tensor,
        y_val: torch.Tensor,
        epochs: int,
        batch_size: int,
        learning_rate: float,
    ) -> None:
        """SGD on batches in the order of the rows; figures after every epoch, printed every fifth."""
        criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(self.model.parameters(), lr=learning_rate)
        for epoch in range(1, epochs + 1):
            self.model.train()
            for x, y in zip(torch.split(X_train, batch_size), torch.split(y_train, batch_size), strict=True):
                optimizer.zero_grad()
                criterion(self.model(self.here(x)), targets(self.here(y))).backward()
                optimizer.step()
            self.note([*self.measure(X_train, y_train), *self.measure(X_val, y_val)], epoch, epochs, every=5)


def main() -> None:
    """Train 784-32-10 on Fashion-MNIST."""
    arguments = script_arguments(__doc__, epochs=100, rows=(2000, 59_800), seed=42)
    train, validation, test = tensors(fashion_parts(arguments.rows), (784,))
    ann = PyTorchANN(input_size=784, hidden_size=32, output_size=10, random_seed=arguments.seed)
    ann.train(*train, *validation, epochs=arguments.epochs, batch_size=64, learning_rate=0.2)
    ann.plot_train_val_metrics()
    print(f"judgement: {ann.report_my_judgement()}")
    print(f"test accuracy: {ann.accuracy(*test):.4f}")


if __name__ == "__main__":
    main()
