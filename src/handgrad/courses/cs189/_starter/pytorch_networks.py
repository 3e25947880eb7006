"""Two networks in PyTorch: an MLP for Fashion-MNIST, a CNN for CIFAR-10; also a notebook, pytorch_networks.ipynb."""

# %% [markdown]
# # Two networks in PyTorch
# First a network of dense layers that tells clothes apart (validation accuracy of at least 0.82), then a convolutional
# one for small photographs (test accuracy of at least 0.75), with their curves, and `predictions.csv` to hand in.
#
# The images are those that `handgrad data get fashion-mnist` and `handgrad data get cifar10` put into place.

# %%
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import torch
from arguments import script_arguments
from neural_networks.datasets import load_images
from torch import Tensor, nn

Part = tuple[Tensor, Tensor]  # images and their classes
Curves = dict[str, list[float]]  # {figure: a number per epoch}
arguments = script_arguments(__doc__, epochs=10, cnn_epochs=12, rows=(60_000, 60_000), seed=0)
torch.manual_seed(arguments.seed)
device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


# %% [markdown]
# ## Data
# Pixels become numbers from -1 to 1, images (channels, rows, columns). The last tenth of the training images is kept
# for validation: what is tried is judged by them, and the test images are looked at once, in the end.


# %%
def prepared(images: Any) -> Tensor:
    x = torch.tensor(images).permute(0, 3, 1, 2).float()
    return (x / 255 - 0.5) / 0.5


def load(name: str) -> list[Part]:
    """The training, validation and test parts of a data set, (x, y) each, from at most so many rows."""
    X, y, X_test, y_test = (array[: arguments.rows] for array in load_images(name))
    cut = len(X) - len(X) // 10
    parts = (X[:cut], y[:cut]), (X[cut:], y[cut:]), (X_test, y_test)
    return [(prepared(images), torch.tensor(labels)) for images, labels in parts]


# %% [markdown]
# ## Training
# One loop for both networks. A training figure is the mean over an epoch's rows, each measured before its step, so it
# lags half an epoch behind; dropout makes it worse than it is, too. A network may begin *above* its training curve.


# %%
def train(
    model: nn.Module,
    data: list[Part],
    optimizer: torch.optim.Optimizer,
    epochs: int,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    change: Callable[[Tensor], Tensor] | None = None,
    batch_size: int = 64,
) -> Curves:
    """Train by cross-entropy; returns {figure: a number per epoch}. `change` is what happens to images in training."""
    (X, y), validation, _ = data
    criterion = nn.CrossEntropyLoss()
    curves: Curves = {"training loss": [], "validation loss": [], "training accuracy": [], "validation accuracy": []}
    for epoch in range(epochs):
        model.train()
        loss_sum, right = 0.0, 0.0
        for rows in torch.split(torch.randperm(len(X)), batch_size):
            x, target = X[rows], y[rows].to(device)
            scores = model((change(x) if change else x).to(device))
            step_loss = criterion(scores, target)
            optimizer.zero_grad()
            step_loss.backward()
            optimizer.step()
            if scheduler:
                scheduler.step()
            loss_sum += step_loss.item() * len(rows)
            right += (scores.argmax(dim=1) == target).sum().item()
        means = loss_sum / len(X), right / len(X)
        for part, (loss, accuracy) in (("training", means), ("validation", measure(model, validation))):
            curves[f"{part} loss"].append(loss)
            curves[f"{part} accuracy"].append(accuracy)
        figures = ", ".join(f"{name} {values[-1]:.4f}" for name, values in curves.items())
        print(f"epoch {epoch + 1}: {figures}", flush=True)
    return curves


def scores_of(model: nn.Module, X: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(x.to(device)).cpu() for x in torch.split(X, 1000)])


def measure(model: nn.Module, part: Part) -> tuple[float, float]:
    """(loss, accuracy) of a part of the data, with nothing trained."""
    scores = scores_of(model, part[0])
    return nn.functional.cross_entropy(scores, part[1]).item(), (scores.argmax(dim=1) == part[1]).double().mean().item()


def draw(curves: Curves, path: str) -> None:
    """Loss and accuracy by epoch, training beside validation."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name, values in curves.items():
        panel = axes[int("accuracy" in name)]
        panel.plot(range(1, len(values) + 1), values, label=name.partition(" ")[0])
        panel.set(xlabel="epoch", ylabel=name.partition(" ")[2])
        panel.legend()
    figure.savefig(path, dpi=100)


# %% [markdown]
# ## The dense network
# Layers of 256 and 128 units, by Adam with its usual learning rate of 0.001: wide enough to learn the training images
# by heart, which is why its validation loss turns up before the tenth epoch.


# %%
def dense_network() -> nn.Module:
    """784-256-128-10 with ReLU, from images."""
    return nn.Sequential(nn.Flatten(), *dense(784, 256), *dense(256, 128), nn.Linear(128, 10)).to(device)


def dense(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.ReLU()


clothes = load("fashion-mnist")
mlp = dense_network()
curves = train(mlp, clothes, torch.optim.Adam(mlp.parameters(), lr=1e-3), arguments.epochs)
draw(curves, "mlp_curves.png")
print(f"MLP validation accuracy: {curves['validation accuracy'][-1]:.4f}")

# %% [markdown]
# ## The convolutional network
# Three blocks of convolution, batch normalization, ReLU and pooling, then two layers with dropout between them.


# %%
def convolutional_network() -> nn.Module:
    """Blocks of 32, 64 and 128 channels, then 2048-256-128-10 with dropout after the first."""
    blocks = *block(3, 32), *block(32, 64), *block(64, 128)
    top = *dense(2048, 256), nn.Dropout(0.5), *dense(256, 128), nn.Linear(128, 10)
    return nn.Sequential(*blocks, nn.Flatten(), *top).to(device)


def block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)


def mirrored_and_shifted(x: Tensor) -> Tensor:
    """Half of the images mirrored; each cut from a frame of grey at a place of its own."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    places = torch.randint(9, (len(x), 2)).tolist()
    framed = nn.functional.pad(x, (4, 4, 4, 4))
    return torch.stack([image[:, i : i + 32, j : j + 32] for image, (i, j) in zip(framed, places, strict=True)])


photographs = load("cifar10")
cnn = convolutional_network()
sgd = torch.optim.SGD(cnn.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
steps = arguments.cnn_epochs * -(-len(photographs[0][0]) // 64)
one_cycle = torch.optim.lr_scheduler.OneCycleLR(sgd, max_lr=0.05, total_steps=steps)
curves = train(cnn, photographs, sgd, arguments.cnn_epochs, one_cycle, mirrored_and_shifted)
draw(curves, "cnn_curves.png")
print(f"CNN test accuracy: {measure(cnn, photographs[2])[1]:.4f}")

# %% [markdown] answer
# ## Why is it made as it is?
# - Three blocks of a 3x3 convolution: a unit of the third sees 22 of 32 pixels across, most of what an object covers.
#   Each pooling halves the side and each block doubles the channels, so that no block throws half of it away at once.
# - Batch normalization keeps what a layer sees of one size while the layers below it change, and allows larger steps.
# - Half of the 256 units before the last layers are dropped in training: those 524,544 weights would learn by heart.
# - Training images are mirrored, and shifted by up to four pixels: a mirrored cat is a cat. Test images are not.
# - SGD with momentum and weight decay, the learning rate rising to 0.05 and falling to nothing: large steps to get
#   about, small ones to settle. (A step down after 30 of 30 epochs, as some write it, never acts.)

# %% [markdown]
# ## What is handed in
# A class for each test image, a whole number, under the image's number, counted from 1.

# %%
classes = scores_of(cnn, photographs[2][0]).argmax(dim=1).tolist()
with open("predictions.csv", "w") as file:
    file.write("Id,Category\n" + "".join(f"{number},{label}\n" for number, label in enumerate(classes, 1)))
print(f"{len(classes)} classes in predictions.csv")
