"""The PyTorch engine beside a plain hand-written PyTorch loop: epochs of two networks, ratios from one run.

    python benchmarks/torch_engine.py [--rounds 10] [--device cpu] [--threads 2]

Both train from the same data, shuffle, and report mean loss and accuracy of the epoch. The plain loop holds its data as
tensors on the device and images channels first, PyTorch's default; a third contestant has them channels last. The
contestants take turns within one run and the best time of each counts. --quick: one short turn, to see that it works.
"""

import argparse
import functools
import time
from typing import Any

import numpy as np
import torch
from torch import nn

import handgrad as hg
from handgrad.torch_twin import TorchEngine, to_torch


def mlp():
    """S6's network for Fashion-MNIST."""
    layers = [hg.Linear(256), hg.ReLU(), hg.Linear(128), hg.ReLU(), hg.Linear(10)]
    return hg.Sequential(layers).build((784,), rng=0)


def cnn():
    """S6's network for CIFAR-10."""
    layers = [
        layer
        for filters in (32, 64, 128)
        for layer in (hg.Conv2D(filters, 3, padding="same"), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D(2))
    ]
    dense = [hg.Flatten(), hg.Linear(256), hg.ReLU(), hg.Dropout(0.5), hg.Linear(128), hg.ReLU(), hg.Linear(10)]
    return hg.Sequential([*layers, *dense]).build((32, 32, 3), rng=0)


NETWORKS = {  # name: (model, batch size, steps an epoch, our rule, theirs)
    "784-256-128-10, batch 64, Adam": (mlp, 64, 100, lambda: hg.Adam(1e-3), lambda p: torch.optim.Adam(p, 1e-3)),
    "cifar-cnn, batch 64, SGD + momentum": (
        cnn,
        64,
        8,
        lambda: hg.SGD(0.01, momentum=0.9, weight_decay=5e-4),
        lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=5e-4),
    ),
}


def engine_epoch(make, rule, x, y, batch_size, device):
    """An epoch by Trainer and TorchEngine."""
    engine = functools.partial(TorchEngine, device=device)
    trainer = hg.Trainer(make(), "cross-entropy", rule(), engine=engine)
    return lambda: trainer.fit(x, y, epochs=1, batch_size=batch_size, progress=False)


def plain_epoch(make, rule, x, y, batch_size, device, channels_last=False):
    """An epoch as a PyTorch user writes it."""
    module: Any = to_torch(make(), layout="NCHW").to(device)  # PyTorch's types know no memory_format
    loss = nn.CrossEntropyLoss()
    x, y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    if x.ndim == 4:
        form = torch.channels_last if channels_last else torch.contiguous_format
        module, x = module.to(memory_format=form), x.permute(0, 3, 1, 2).contiguous(memory_format=form)
    optimizer = rule(module.parameters())

    def epoch():
        module.train()
        total = correct = 0
        for rows in torch.randperm(len(x), device=device).split(batch_size):
            outputs = module(x[rows])
            value = loss(outputs, y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(rows)
            correct += (outputs.argmax(dim=1) == y[rows]).sum().item()
        return total / len(x), correct / len(x)

    return epoch


def race(contestants, rounds):
    """{name: best seconds}, the contestants taking turns; the first round warms up and does not count."""
    best = dict.fromkeys(contestants, float("inf"))
    for turn in range(rounds + 1):
        for name, epoch in contestants.items():
            start = time.perf_counter()
            epoch()
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = 1 if options.quick else options.rounds
    print(f"PyTorch {torch.__version__}, {options.device}, {options.threads} threads; best of {rounds} turns\n")
    for title, (make, batch_size, steps, ours, theirs) in NETWORKS.items():
        rng = np.random.default_rng(0)
        num_rows = batch_size * (2 if options.quick else steps)
        x = rng.random((num_rows, *make().input_shape), dtype=np.float32)
        y = rng.integers(0, 10, num_rows)
        contestants = {
            "handgrad, torch engine": engine_epoch(make, ours, x, y, batch_size, options.device),
            "plain PyTorch loop": plain_epoch(make, theirs, x, y, batch_size, options.device),
        }
        if x.ndim == 4:
            last = plain_epoch(make, theirs, x, y, batch_size, options.device, channels_last=True)
            contestants["plain loop, channels last"] = last
        best = race(contestants, rounds)
        engine = best["handgrad, torch engine"]
        print(title)
        for name, seconds in best.items():
            step = 1e3 * seconds * batch_size / num_rows
            print(f"  {name:<28}{step:8.3f} ms a step {num_rows / seconds:9.0f} rows/s {seconds / engine:6.2f}x")
        print()


if __name__ == "__main__":
    main()
