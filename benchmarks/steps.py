"""One training step of small networks (forward, loss, backward, update): handgrad beside PyTorch and scikit-learn.

    scripts/bench [--rounds 30]         a single training step, through Trainer.step
    scripts/bench --fits [--busy 2]     whole fits, through Trainer.fit, also beside so many busy processes

The contestants take turns within one run and the best time of each counts, so that what else the machine is doing
touches all alike. PyTorch is eager, with as many threads as it likes; scikit-learn's step is the time of a `fit`
divided by its steps. Of fits it is the median of five ratios that counts, to PyTorch by the better of one thread and
two; rows are shuffled in every epoch.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.neural_network import MLPClassifier

import handgrad as hg
from handgrad.sklearn import NetClassifier

NETWORKS = {  # name: (layer sizes, batch size, optimizer, steps a turn)
    "4-25-3, batch 32, SGD + momentum": ((4, 25, 3), 32, "sgd", 300),
    "784-256-128-10, batch 64, Adam": ((784, 256, 128, 10), 64, "adam", 20),
    "3072-50-10, batch 200, SGD": ((3072, 50, 10), 200, "plain sgd", 20),
}

CLOCK = [time.perf_counter]  # what counts; processor time on a machine that has other work
FITS = {  # name: (layer sizes, batch size, optimizer, rows, epochs)
    "4-25-3, batch 32, 120 rows": ((4, 25, 3), 32, "sgd", 120, 200),
    "64-100-10, batch 64, 1437 rows": ((64, 100, 10), 64, "sgd", 1437, 20),
    "50-100-50-2, batch 200, 2000 rows": ((50, 100, 50, 2), 200, "adam", 2000, 20),
    "784-256-128-10, batch 64, 2560 rows": ((784, 256, 128, 10), 64, "adam", 2560, 3),
    "3072-50-10, batch 200, 4000 rows": ((3072, 50, 10), 200, "plain sgd", 4000, 5),
}


def handgrad_step(sizes, optimizer, x, y):
    hidden = [layer for units in sizes[1:-1] for layer in (hg.Linear(units), hg.ReLU())]
    model = hg.Sequential([*hidden, hg.Linear(sizes[-1])]).build((sizes[0],), rng=0)
    rules = {"sgd": hg.SGD(0.01, momentum=0.9), "adam": hg.Adam(1e-3), "plain sgd": hg.SGD(0.01)}
    trainer = hg.Trainer(model, hg.CrossEntropy(), rules[optimizer])
    return lambda: trainer.step(x, y)


def torch_step(sizes, optimizer, x, y):
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    model, loss = torch.nn.Sequential(*layers[:-1]), torch.nn.CrossEntropyLoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    parameters = list(model.parameters())
    rule = {
        "sgd": lambda: torch.optim.SGD(parameters, 0.01, momentum=0.9),
        "adam": lambda: torch.optim.Adam(parameters, 1e-3),
        "plain sgd": lambda: torch.optim.SGD(parameters, 0.01),
    }[optimizer]()

    def step():
        rule.zero_grad()
        loss(model(x), y).backward()
        rule.step()

    return step


def sklearn_seconds(sizes, batch, optimizer, steps):
    """Seconds per step of one `fit` of MLPClassifier, validation and tolerance out of the way."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * steps, sizes[0]), dtype=np.float32)
    y = np.arange(len(x)) % sizes[-1]
    solver: dict[str, Any] = {
        "sgd": dict(solver="sgd", momentum=0.9, nesterovs_momentum=False),
        "adam": dict(solver="adam"),
        "plain sgd": dict(solver="sgd", momentum=0.0),
    }[optimizer]
    network = MLPClassifier(sizes[1:-1], batch_size=batch, max_iter=1, alpha=0.0, random_state=0, **solver)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seconds(lambda: network.fit(x, y), 1) / steps


def seconds(step, steps):
    start = CLOCK[0]()
    for _ in range(steps):
        step()
    return (CLOCK[0]() - start) / steps


def race(sizes, batch, optimizer, steps, rounds):
    """{contestant: best seconds per step}, the contestants taking turns."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
    y = rng.integers(0, sizes[-1], batch)
    ours, theirs = handgrad_step(sizes, optimizer, x, y), torch_step(sizes, optimizer, x, y)
    turns = {
        "handgrad": lambda: seconds(ours, steps),
        "PyTorch": lambda: seconds(theirs, steps),
        "scikit-learn": lambda: sklearn_seconds(sizes, batch, optimizer, steps),
    }
    best = dict.fromkeys(turns, float("inf"))
    for _ in range(rounds):
        for name, turn in turns.items():
            best[name] = min(best[name], turn())
    return best


def handgrad_fit(sizes, batch, optimizer, x, y, epochs, activation="ReLU"):
    hidden = [layer for units in sizes[1:-1] for layer in (hg.Linear(units), getattr(hg, activation)())]
    rules = {"sgd": hg.SGD(0.01, momentum=0.9), "adam": hg.Adam(1e-3), "plain sgd": hg.SGD(0.01)}
    trainer = hg.Trainer(hg.Sequential([*hidden, hg.Linear(sizes[-1])]), "cross-entropy", rules[optimizer], metrics={})
    trainer.fit(x, y, epochs=epochs, batch_size=batch)


def torch_fit(sizes, batch, optimizer, x, y, epochs, threads, activation="ReLU"):
    """The usual loop: rows in a new order each epoch, the loss of each batch read."""
    torch.set_num_threads(threads)
    kind = getattr(torch.nn, activation)
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (torch.nn.Linear(a, b), kind())]
    model, loss = torch.nn.Sequential(*layers[:-1]), torch.nn.CrossEntropyLoss()
    x, y, parameters = torch.from_numpy(x), torch.from_numpy(y), list(model.parameters())
    rules = {
        "sgd": lambda: torch.optim.SGD(parameters, 0.01, momentum=0.9),
        "adam": lambda: torch.optim.Adam(parameters, 1e-3),
        "plain sgd": lambda: torch.optim.SGD(parameters, 0.01),
    }
    rule = rules[optimizer]()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            rule.zero_grad()
            value = loss(model(x[rows]), y[rows])
            value.backward()
            rule.step()
            value.item()


def sklearn_fit(sizes, batch, optimizer, x, y, epochs, kind=MLPClassifier, **options):
    solver: dict[str, Any] = {
        "sgd": dict(solver="sgd", momentum=0.9, nesterovs_momentum=False),
        "adam": dict(solver="adam"),
        "plain sgd": dict(solver="sgd", momentum=0.0),
    }[optimizer]
    how = dict(batch_size=batch, max_iter=epochs, alpha=0.0, random_state=0, n_iter_no_change=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind(sizes[1:-1], **how, **solver, **options).fit(x, y)


def race_fits(sizes, batch, optimizer, num_rows, epochs, rounds, torch_threads=2):
    """[(handgrad, PyTorch on one thread, PyTorch on two, NetClassifier, MLPClassifier)], seconds of each round."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((num_rows, sizes[0]), dtype=np.float32), np.arange(num_rows) % sizes[-1]
    task = sizes, batch, optimizer, x, y, epochs
    turns = [
        lambda: handgrad_fit(*task),
        lambda: torch_fit(*task, threads=1),
        lambda: torch_fit(*task, threads=torch_threads),
        lambda: sklearn_fit(*task, kind=NetClassifier),
        lambda: sklearn_fit(*task),
    ]
    for turn in turns:  # what is loaded or compiled the first time
        turn()
    return [[seconds(turn, 1) for turn in turns] for _ in range(rounds)]


@contextlib.contextmanager
def neighbours(count):
    """So many processes that keep a core busy meanwhile."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def print_fits(busy, rounds):
    """A row for each of FITS: microseconds a step, and the medians of the ratios."""
    with neighbours(busy):
        columns = [f"{name:>9}" for name in ("handgrad", "torch 1", "torch 2", "Net", "MLP")]
        print(f"{'microseconds a step':<34}{''.join(columns)}{'x torch':>10}{'Net x MLP':>11}{'load':>7}")
        for name, (sizes, batch, optimizer, num_rows, epochs) in FITS.items():
            times = np.array(race_fits(sizes, batch, optimizer, num_rows, epochs, rounds))
            steps = epochs * -(-num_rows // batch)
            ratios = np.median(times[:, 1:3].min(axis=1) / times[:, 0]), np.median(times[:, 4] / times[:, 3])
            cells = "".join(f"{t:>9.1f}" for t in np.median(times, axis=0) / steps * 1e6)
            print(f"{name:<34}{cells}{ratios[0]:>9.2f}x{ratios[1]:>10.2f}x{os.getloadavg()[0]:>7.1f}", flush=True)


def import_seconds():
    """Best of several new interpreters: seconds to import handgrad beyond what NumPy's own import takes."""
    code = "import time, numpy; t = time.perf_counter(); import handgrad; print(time.perf_counter() - t)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(7))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--fits", action="store_true")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep a core busy meanwhile")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if arguments.fits:
        print_fits(arguments.busy, min(rounds, 5))
        return
    print(
        f"NumPy {np.__version__}, PyTorch {torch.__version__} ({torch.get_num_threads()} threads), "
        f"scikit-learn {sklearn.__version__}; best of {rounds} turns\n"
    )
    print(f"{'one training step':<34}{'handgrad':>10}{'PyTorch':>10}{'sklearn':>10}{'x PyTorch':>11}{'x sklearn':>11}")
    for name, (sizes, batch, optimizer, steps) in NETWORKS.items():
        best = race(sizes, batch, optimizer, steps, rounds)
        ours, theirs, sk = best.values()
        times = "".join(f"{t * 1e3:>8.3f}ms" for t in (ours, theirs, sk))
        print(f"{name:<34}{times}{theirs / ours:>10.2f}x{sk / ours:>10.2f}x")
    print(f"\nimport handgrad, beyond NumPy's own: {import_seconds():.3f} s")


if __name__ == "__main__":
    main()
