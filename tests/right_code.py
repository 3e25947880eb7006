"""Code that is right: every pair, every layer and ten deep networks with kinks; a check may say nothing against it.

    python tests/right_code.py 1000 [pair] [layer] [network] [real]

runs that many random checks of each (of these kinds), and prints how many were false alarms.
"""

import sys
import time

import numpy as np

import handgrad as hg
from handgrad import functional as F
from handgrad.gradient_check import check_gradients
from pairs import PAIRS, keywords

ROWS, IMAGES, SEQUENCES = (6, 5), (3, 6, 6, 2), (3, 4, 2)
LAYERS = {
    "Linear": (lambda: hg.Linear(3), ROWS),
    "ReLU": (hg.ReLU, ROWS),
    "LeakyReLU": (hg.LeakyReLU, ROWS),
    "ELU": (hg.ELU, ROWS),
    "Sigmoid": (hg.Sigmoid, ROWS),
    "Tanh": (hg.Tanh, ROWS),
    "Arctan": (hg.Arctan, ROWS),
    "Softplus": (hg.Softplus, ROWS),
    "GELU": (hg.GELU, ROWS),
    "SiLU": (hg.SiLU, ROWS),
    "Identity": (hg.Identity, ROWS),
    "Softmax": (hg.Softmax, ROWS),
    "LogSoftmax": (hg.LogSoftmax, ROWS),
    "Flatten": (hg.Flatten, IMAGES),
    "BatchNorm": (hg.BatchNorm, ROWS),
    "BatchNorm of images": (hg.BatchNorm, IMAGES),
    "LayerNorm": (hg.LayerNorm, ROWS),
    "Dropout": (lambda: hg.Dropout(0.4), ROWS),
    "Conv2D": (lambda: hg.Conv2D(3, 3, padding=1), IMAGES),
    "strided Conv2D": (lambda: hg.Conv2D(2, 2, stride=2), IMAGES),
    "MaxPool2D": (hg.MaxPool2D, IMAGES),
    "overlapping MaxPool2D": (lambda: hg.MaxPool2D(3, stride=1, padding=1), IMAGES),
    "AvgPool2D": (hg.AvgPool2D, IMAGES),
    "GlobalAvgPool2D": (hg.GlobalAvgPool2D, IMAGES),
    "RNN": (lambda: hg.RNN(3), SEQUENCES),
    "LSTM": (lambda: hg.LSTM(2), SEQUENCES),
    "Conv1D": (lambda: hg.Conv1D(2, 2), SEQUENCES),
    "ConvTranspose2D": (lambda: hg.ConvTranspose2D(2, 3, stride=2, padding=1), IMAGES),
    "Last": (hg.Last, SEQUENCES),
    "Reshape": (lambda: hg.Reshape((2, 4)), SEQUENCES),
    "Permute": (lambda: hg.Permute((3, 1, 2)), IMAGES),
    "AdaptiveAvgPool2D": (lambda: hg.AdaptiveAvgPool2D(4), IMAGES),
    "GRU": (lambda: hg.GRU(2), SEQUENCES),
    "SELU": (hg.SELU, ROWS),
    "ReLU6": (hg.ReLU6, ROWS),
    "exact GELU": (lambda: hg.GELU("none"), ROWS),
    "GroupNorm": (lambda: hg.GroupNorm(2), IMAGES),
    "RMSNorm": (hg.RMSNorm, ROWS),
    "Linear of sequences": (lambda: hg.Linear(3), SEQUENCES),
    "PositionalEmbedding": (hg.PositionalEmbedding, SEQUENCES),
    "MultiHeadAttention": (lambda: hg.MultiHeadAttention(2), SEQUENCES),
    "causal MultiHeadAttention": (lambda: hg.MultiHeadAttention(1, causal=True), SEQUENCES),
}


class RealSequential(hg.Sequential):
    """A network that refuses complex numbers, as most code does: it has to be checked by differences."""

    def forward(self, x, training=False):
        if x.dtype.kind == "c" or any(a.dtype.kind == "c" for a in self.parameters.values()):
            raise TypeError("real numbers only")
        return super().forward(x, training)


def networks(model):
    """Ten deep networks of ReLUs and maxima, and the shapes they take."""
    linear, relu = hg.Linear, hg.ReLU
    yield model([*(f() for _ in range(4) for f in (lambda: linear(12), relu)), linear(4)]), (5, 6)
    yield model([*(f() for _ in range(10) for f in (lambda: linear(6), relu)), linear(3)]), (4, 6)
    yield (
        model(
            [
                hg.Conv2D(3, 3, padding=1),
                relu(),
                hg.MaxPool2D(2),
                hg.Conv2D(3, 3, padding=1),
                relu(),
                hg.MaxPool2D(2),
                hg.Flatten(),
                linear(3),
            ]
        ),
        (2, 8, 8, 1),
    )
    yield (
        model([hg.Conv2D(3, 3, padding=1), hg.BatchNorm(), relu(), hg.MaxPool2D(2), hg.Flatten(), linear(3)]),
        (3, 6, 6, 1),
    )
    yield (
        model([hg.MaxPool2D(2, stride=1), hg.Conv2D(3, 2), relu(), hg.MaxPool2D(2, stride=1), hg.Flatten(), linear(3)]),
        (2, 6, 6, 1),
    )
    yield model([linear(8), hg.LeakyReLU(), linear(8), relu(), linear(8), hg.ELU(), linear(2)]), (5, 5)
    yield model([linear(8), hg.BatchNorm(), relu(), linear(8), hg.BatchNorm(), relu(), linear(3)]), (6, 5)
    yield model([linear(10), relu(), hg.Dropout(0.5), linear(10), relu(), hg.Dropout(0.5), linear(3)]), (6, 5)
    yield (
        model(
            [
                hg.Conv2D(2, 3, padding="same"),
                relu(),
                hg.MaxPool2D(3, stride=2, padding=1),
                hg.Conv2D(2, 3),
                relu(),
                hg.AvgPool2D(2),
                hg.Flatten(),
                linear(2),
            ]
        ),
        (2, 8, 8, 1),
    )
    yield model([*(f() for _ in range(5) for f in (lambda: linear(10), relu)), linear(5)]), (6, 8)


def draw(rng, shape, seed):
    """Normal numbers; every third time rounded to halves, so that kinks and ties are met exactly."""
    x = rng.normal(size=shape)
    return np.round(2 * x) / 2 if seed % 3 == 2 else x


def check_pair(pair, seed):
    rng = np.random.default_rng([seed, 1])
    arrays = pair.make(rng)
    kwargs = keywords(pair.cases[seed % len(pair.cases)], arrays)
    return check_gradients((pair.forward, pair.backward), *arrays, kwargs=kwargs, seed=seed)


def check_layer(name, seed):
    make, shape = LAYERS[name]
    x = np.random.default_rng([seed, 2]).normal(size=shape)
    return check_gradients(make(), x, seed=seed)


def check_network(position, seed, model=hg.Sequential):
    """With a loss every other time."""
    network, shape = list(networks(model))[position]
    rng = np.random.default_rng([seed, 3, position])
    x = draw(rng, shape, seed)
    if seed % 2 == 0:
        return check_gradients(network, x, seed=seed)
    labels = rng.integers(0, network.build(shape[1:], rng=seed).output_shape[0], shape[0])
    return check_gradients(network, x, labels, loss=(F.cross_entropy_forward, F.cross_entropy_backward), seed=seed)


def candidates():
    """{name: function of a seed that gives a report}."""
    found = {f"pair {p.name} {i}": lambda seed, p=p: check_pair(p, seed) for i, p in enumerate(PAIRS)}
    found |= {f"layer {name}": lambda seed, name=name: check_layer(name, seed) for name in LAYERS}
    for i in range(10):
        found[f"network {i}"] = lambda seed, i=i: check_network(i, seed)
        found[f"real network {i}"] = lambda seed, i=i: check_network(i, seed, RealSequential)
    return found


def main(rounds, kinds):
    started, alarms, checks, kinks = time.time(), 0, 0, 0
    for name, check in candidates().items():
        if kinds and not name.startswith(tuple(kinds)):
            continue
        wrong = 0
        for seed in range(rounds):
            report = check(seed)
            kinks += len(report.kinks)
            if not report.ok:
                wrong += 1
                print(f"{name}, seed {seed}:\n{report}", flush=True)
        alarms, checks = alarms + wrong, checks + rounds
        print(f"{name}: {wrong} false alarms in {rounds}", flush=True)
    print(
        f"{alarms} false alarms in {checks:,} checks of right code, {kinks:,} entries at kinks, "
        f"{time.time() - started:.0f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2:])
