"""Fits and predictions of NetClassifier beside scikit-learn's MLPClassifier; and their accuracies, seed by seed.

    scripts/setup dev && .venv/bin/python benchmarks/sklearn_estimators.py [--rounds 7] [--accuracy]

The two take turns within one run, on the same data, parameters and seed; what counts is the median of the ratios of
their times, so that what else the machine is doing touches both. --accuracy: 20 seeds on five data sets instead.
"""

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from handgrad.kernels import blas
from handgrad.sklearn import NetClassifier, NetRegressor

EPOCHS = {32: 2, 64: 3, 128: 4, 256: 5, 512: 6}  # batch size: epochs a fit, so that none takes long
ESTIMATORS = {"diabetes": (MLPRegressor, NetRegressor)}  # by data set; for all others the two classifiers


def digits():
    x, y = datasets.load_digits(return_X_y=True)
    return np.tile(x / 16, (4, 1)), np.tile(y, 4)


def synthetic():
    return datasets.make_classification(20_000, 50, n_informative=20, n_classes=5, random_state=0)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def race(x, y, batch, rounds):
    """Medians over the rounds: (scikit-learn's and our ms a step of `fit`, ratio of fits, ratio of predictions)."""
    options: dict[str, Any] = dict(batch_size=batch, max_iter=EPOCHS[batch], n_iter_no_change=np.inf, random_state=0)
    theirs, ours = MLPClassifier(**options), NetClassifier(**options)
    fits, predictions = [], []
    for _ in range(rounds):
        fits.append((seconds(theirs.fit, x, y), seconds(ours.fit, x, y)))
        predictions.append((seconds(theirs.predict, x), seconds(ours.predict, x)))
    steps = EPOCHS[batch] * -(-len(x) // batch)
    milliseconds = [statistics.median(column) / steps * 1e3 for column in zip(*fits, strict=True)]
    return *milliseconds, *(statistics.median(a / b for a, b in pairs) for pairs in (fits, predictions))


def print_times(rounds):
    print(f"{'a training step of fit':<34}{'sklearn':>10}{'handgrad':>10}{'fit':>8}{'predict':>9}")
    for dtype in (np.float32, np.float64):
        ratios = []
        for name, make in (("digits", digits), ("20,000 x 50", synthetic)):
            x, y = make()
            for batch in EPOCHS:
                theirs, ours, fit, predict = race(np.asarray(x, dtype), y, batch, rounds)
                ratios.append((fit, predict))
                label = f"{name}, {dtype.__name__}, batch {batch}"
                print(f"{label:<34}{theirs:>8.3f}ms{ours:>8.3f}ms{fit:>7.2f}x{predict:>8.2f}x", flush=True)
        fit, predict = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"{f'median, {dtype.__name__}':<54}{fit:>7.2f}x{predict:>8.2f}x\n")


def scores(estimator, x, y, seed):
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed)
    return make_pipeline(StandardScaler(), estimator).fit(x_train, y_train).score(x_test, y_test)


def print_accuracies(seeds=20):
    """Mean and standard deviation of the test scores over the seeds, and the largest difference for one seed."""
    print(f"{'test score':<16}{'sklearn':>16}{'handgrad':>16}{'largest difference':>20}")
    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        kinds = ESTIMATORS.get(name, (MLPClassifier, NetClassifier))
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        results = np.array([[scores(kind(random_state=seed), x, y, seed) for kind in kinds] for seed in range(seeds)])
        columns = "".join(f"{mean:>8.4f} ±{std:.4f}" for mean, std in zip(results.mean(0), results.std(0), strict=True))
        print(f"{name:<16}{columns}{np.abs(results[:, 0] - results[:, 1]).max():>20.2g}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--accuracy", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    library = blas.find()
    print(
        f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}, {library and library.name}, "
        f"{library and library.num_threads()} threads of BLAS; medians of {arguments.rounds} turns\n"
    )
    print_accuracies() if arguments.accuracy else print_times(arguments.rounds)


if __name__ == "__main__":
    main()
