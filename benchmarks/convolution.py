"""Training steps, epochs and predictions of the image networks: handgrad beside PyTorch in two layouts.

    python benchmarks/convolution.py [--rounds 20] [--batch 64]

The contestants take turns within one run and the best step of each counts, so that what else the machine is doing
touches all alike: handgrad on NumPy alone, handgrad[fast] (with Numba), PyTorch eager in its default layout and in
channels_last, with as many threads. A ratio above 1 means handgrad is faster. Predictions are of 1,024 images, at the
best of three batch sizes each, PyTorch's under no_grad. An epoch is of uint8 images, shuffled, cropped and flipped.
"""

import argparse
import itertools
import os
import time
from typing import Any

import numpy as np
import torch
from torch import nn

import handgrad as hg
from handgrad import kernels, models
from handgrad.datasets.augment import get

NETWORKS = {"cifar-cnn": (32, 32, 3), "fashion-cnn": (28, 28, 1), "lenet": (28, 28, 1)}


def torch_cifar_cnn():
    blocks = [
        [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
        for a, b in itertools.pairwise((3, 32, 64, 128))
    ]
    head = [nn.Linear(2048, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)]
    return nn.Sequential(*itertools.chain(*blocks), nn.Flatten(), *head)


def torch_fashion_cnn():
    blocks = [
        [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(b), nn.Dropout(0.3)]
        for a, b in itertools.pairwise((1, 32, 64, 128, 256))
    ]
    return nn.Sequential(*itertools.chain(*blocks), nn.Flatten(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def torch_lenet():
    blocks = [[nn.Conv2d(a, b, 5, padding=p), nn.ReLU(), nn.MaxPool2d(2)] for a, b, p in [(1, 6, 2), (6, 16, 0)]]
    head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*itertools.chain(*blocks), nn.Flatten(), *head)


TORCH = {"cifar-cnn": torch_cifar_cnn, "fashion-cnn": torch_fashion_cnn, "lenet": torch_lenet}
CLOCK = [time.perf_counter]  # what counts; processor time on a machine that has other work
BATCHES = (64, 256, 1024)  # of predictions
SGD: dict[str, Any] = {"momentum": 0.9, "weight_decay": 5e-4}  # of cifar-cnn; fashion-cnn trains by Adam


def handgrad_trainer(name, route="auto", **options):
    os.environ["HANDGRAD_KERNELS"] = route
    model = models.create(name).build(NETWORKS[name], rng=0)
    optimizer = hg.SGD(learning_rate=0.01, **SGD) if name == "cifar-cnn" else hg.Adam(learning_rate=1e-3)
    return hg.Trainer(model, hg.CrossEntropy(), optimizer, seed=0, **options)


def handgrad_step(name, x, y, route):
    trainer = handgrad_trainer(name, route)
    return lambda: trainer.step(x, y)


def torch_step(name, x, y, layout):
    network: Any = TORCH[name]()  # PyTorch's types know no memory_format
    model, loss = network.to(memory_format=layout), nn.CrossEntropyLoss()
    x, y = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout), torch.from_numpy(y)
    parameters = model.parameters()
    rule = torch.optim.SGD(parameters, 0.01, **SGD) if name == "cifar-cnn" else torch.optim.Adam(parameters, 1e-3)

    def step():
        rule.zero_grad()
        loss(model(x), y).backward()
        rule.step()

    return step


def torch_prediction(name, x, layout):
    network: Any = TORCH[name]()
    model = network.to(memory_format=layout).eval()
    x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)

    def predict(batch):
        with torch.no_grad():
            for start in range(0, len(x), batch):
                model(x[start : start + batch])

    return predict


def prediction_race(name, rounds):
    """Best seconds to predict of the fast route, NCHW and channels_last."""
    x = np.random.default_rng(0).random((BATCHES[-1], *NETWORKS[name]), dtype=np.float32)
    model = handgrad_trainer(name).model
    contestants = [
        lambda batch: model.predict(x, batch),
        torch_prediction(name, x, torch.contiguous_format),
        torch_prediction(name, x, torch.channels_last),
    ]
    best = [float("inf")] * len(contestants)
    for _ in range(rounds):
        for (i, predict), batch in itertools.product(enumerate(contestants), BATCHES):
            best[i] = min(best[i], seconds(lambda predict=predict, batch=batch: predict(batch)))
    return best


def epoch_over_steps(name, batch, rounds, steps=20):
    """The time of an epoch beside the sum of its steps, the best of each."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (batch * steps, *NETWORKS[name]), np.uint8), rng.integers(0, 10, batch * steps)
    trainer = handgrad_trainer(name, augment=get(["random_crop", "random_flip"]))
    one = trainer.model.accept(x[:batch])
    epochs, parts = [], []
    for _ in range(max(rounds // 4, 2)):
        epochs.append(seconds(lambda: trainer.fit(x, y, epochs=1, batch_size=batch)))
        parts.append(seconds(lambda: [trainer.step(one, y[:batch]) for _ in range(steps)]))
    return min(epochs) / min(parts)


def seconds(function):
    start = CLOCK[0]()
    function()
    return CLOCK[0]() - start


def race(name, batch, rounds, steps=5):
    """Best seconds per step of NumPy alone, the fast route, NCHW and channels_last, taking turns of a few steps."""
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, *NETWORKS[name]), dtype=np.float32), rng.integers(0, 10, batch)
    contestants = [
        handgrad_step(name, x, y, "numpy"),
        handgrad_step(name, x, y, "auto"),
        torch_step(name, x, y, torch.contiguous_format),
        torch_step(name, x, y, torch.channels_last),
    ]
    best = [float("inf")] * len(contestants)
    for _ in range(rounds):
        for i, step in enumerate(contestants):
            step()  # back into the caches
            for _ in range(steps):
                best[i] = min(best[i], seconds(step))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(kernels.num_threads())
    facts = kernels.describe()
    print(f"NumPy {np.__version__} with {facts['blas']}, PyTorch {torch.__version__}, {facts['threads']} threads each")
    print(f"fast route: {facts['convolutions']}\nbatch {arguments.batch}, best of {5 * arguments.rounds} steps\n")
    print(
        "| one training step | NumPy alone | fast route | PyTorch NCHW | channels_last "
        "| NumPy : NCHW | NumPy : channels_last | fast : better of the two |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in NETWORKS:
        plain, fast, nchw, last = times = race(name, arguments.batch, arguments.rounds)
        ratios = nchw / plain, last / plain, min(nchw, last) / fast
        print("|", " | ".join([name, *(f"{t * 1e3:.1f} ms" for t in times), *(f"{r:.2f}x" for r in ratios)]), "|")
    print("\n| 1,024 predictions | fast route | PyTorch NCHW | channels_last | fast : better of the two |")
    print("|---|---|---|---|---|")
    for name in NETWORKS:
        fast, nchw, last = times = prediction_race(name, arguments.rounds)
        print("|", " | ".join([name, *(f"{t * 1e3:.1f} ms" for t in times), f"{min(nchw, last) / fast:.2f}x"]), "|")
    shares = [f"{name} {epoch_over_steps(name, arguments.batch, arguments.rounds):.3f}" for name in NETWORKS]
    print(f"\nan epoch : the sum of its steps: {', '.join(shares)}; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
