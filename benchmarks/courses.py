"""The courses' figures on their data sets, through the courses' own interfaces: measured beside what they print.

    python benchmarks/courses.py                    all of them: an hour or two
    python benchmarks/courses.py two_layer_nn numpy_ann

A name is a script or notebook that comes with a course, run in full in a copy of it, or a run of its modules. Needs
MNIST, Fashion-MNIST and CIFAR-10 (handgrad data get mnist, and so on), and PyTorch for some. Every run is seeded.
"""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from functools import partial

import numpy as np

from handgrad.courses.copies import copy
from handgrad.courses.cs231n.data_utils import get_CIFAR10_data
from handgrad.courses.nndl import knn, softmax, svm
from handgrad.courses.purdue import utils
from handgrad.courses.purdue.numpy_ann import NumpyANN


def cifar_rows(bias=False, **sizes):
    """The homeworks' rows (N, 3072), pixels in the order of the files' images (rows, columns, colours)."""
    data = get_CIFAR10_data(**sizes)
    for name in ("X_train", "X_val", "X_test"):
        rows = data[name].transpose(0, 2, 3, 1).reshape(-1, 3072)
        data[name] = np.hstack([rows, np.ones((len(rows), 1))]) if bias else rows
    return data


# What a line begins with that tells a figure of a script, and what the course prints or asks for.
SCRIPTS = {
    "train_ffnn": ("cs189", {"Test Loss": ""}),
    "train_conv": ("cs189", {"Epoch": ""}),
    "train_rnn": ("cs189", {"Test Loss": ""}),
    "pytorch_networks": ("cs189", {"MLP": "at least 0.82", "CNN": "at least 0.75", "10000": ""}),
    "two_layer_nn": (
        "nndl",
        {
            "difference of the": "below 1e-07, 1e-12",
            "final loss of the toy": "about 0.0145",
            "validation accuracy of the first": "0.283",
            "validation accuracy at": "0.509 at 0.001",
            "test accuracy of the best": "0.513",
        },
    ),
    "FC_nets": ("nndl", {"training accuracy on 50": "1.0", "final validation accuracy": "about 0.523"}),
    "numpy_ann": ("purdue", {"test accuracy": "at least 0.77"}),
    "pytorch_ann": ("purdue", {"test accuracy": "at least 0.80"}),
    "pytorch_cnn": ("purdue", {"test accuracy": "at least 0.85"}),
}


def script_figures(name, *arguments):
    """The figures that a course's script prints, run in a copy of the course."""
    course, lines = SCRIPTS[name]
    with tempfile.TemporaryDirectory() as folder:
        copy(course, folder)
        command = [sys.executable, f"{name}.py", *arguments]
        printed = subprocess.run(command, cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout
    for line in printed.splitlines():
        for beginning, expected in lines.items():
            if line.startswith(beginning):
                what, _, figure = line.rpartition(": ")
                yield what or f"{name}.py says", figure, expected


def run_knn():
    """Homework 2: distances of 500 test to 5000 training images, and the error of one neighbour."""
    data = cifar_rows(num_training=5000, num_validation=0, num_test=500, subtract_mean=False)
    model = knn.KNN()
    model.train(data["X_train"], data["y_train"])
    distances = model.compute_L2_distances_vectorized(data["X_test"])
    yield "norm of the distances", np.linalg.norm(distances, "fro"), "7906696.077040902"
    yield "error, k = 1", np.mean(model.predict_labels(distances, k=1) != data["y_test"]), "0.726"


def run_linear():
    """Homework 2: the losses of linear classifiers before training, seed 1."""
    data = cifar_rows(bias=True)
    for module, name, expected in ((softmax, "Softmax", "2.3277607028048966"), (svm, "SVM", "15569.977915410096")):
        np.random.seed(1)
        model = getattr(module, name)(dims=[10, 3073])
        yield f"{name} loss", model.loss(data["X_train"], data["y_train"]), expected


def fashion_parts():
    """Purdue's 2000 training, 200 validation and 200 test images, as scikit-learn's train_test_split chose them."""
    X, y, X_test, y_test = utils.load_mnist_f()
    rows, test_rows = (np.random.RandomState(42).permutation(n) for n in (60000, 10000))
    chosen = ((X, y, rows[200:2200]), (X, y, rows[:200]), (X_test, y_test, test_rows[1:201]))
    return [(X[part].reshape(len(part), -1) / 255, np.eye(10)[y[part]]) for X, y, part in chosen]


def run_numpy_ann():
    """Purdue: 784-64-10 on Fashion-MNIST, 250 epochs."""
    (X_train, y_train), (X_val, y_val), (X_test, y_test) = fashion_parts()
    ann = NumpyANN(input_size=784, hidden_size=64, output_size=10, lr=0.01)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ann.train(X_train, y_train, X_val, y_val, epochs=250, batch_size=64)
    yield "last line", printed.getvalue().splitlines()[-1], "train 0.33738, 0.8905; validation 0.37030, 0.88"
    yield "norm of W1", np.linalg.norm(ann.W1), "5.585541277"
    yield "norm of W2", np.linalg.norm(ann.W2), "5.213629645"
    yield "test accuracy", ann.accuracy(X_test, y_test), "0.86, at least 0.77"
    yield from script_figures("numpy_ann")


def run_pytorch_ann():
    """Purdue: 784-32-10 in PyTorch, 100 epochs (needs handgrad[torch])."""
    import torch

    from handgrad.courses.purdue.pytorch_ann import PyTorchANN

    torch.set_num_threads(1)
    train, val, test = ([torch.from_numpy(array.astype(np.float32)) for array in part] for part in fashion_parts())
    ann = PyTorchANN(input_size=784, hidden_size=32, output_size=10)
    with contextlib.redirect_stdout(io.StringIO()):
        ann.train(*train, *val, epochs=100, batch_size=64, learning_rate=0.2)
    yield from pytorch_figures(
        ann,
        test,
        (1, 2, 5, 10),
        "1.411090 0.956699 0.721251 0.541158",
        "1.426373 0.890423 0.653638 0.525550",
        "0.835, at least 0.80",
    )
    yield from script_figures("pytorch_ann")


def run_pytorch_cnn_at_once():
    """Purdue: four convolution blocks in PyTorch, 60 steps on all rows (needs handgrad[torch])."""
    import torch

    torch.set_num_threads(1)
    cnn, test = trained_cnn(seed=42)
    yield from pytorch_figures(cnn, test, (1, 10, 30, 60), "last 0.1178", "", "0.86, at least 0.85")


def run_pytorch_cnn_seeds():
    """Purdue's CNN by batches of 128 as its script trains it, five seeds, on all 10,000 test images."""
    for seed in (42, 0, 1, 2, 3):
        yield from script_figures("pytorch_cnn", "--seed", str(seed))


def trained_cnn(seed, epochs=60, batch_size=None):
    """(the course's CNN after its training, the 200 test images and their one-hot rows)."""
    import torch

    from handgrad.courses.purdue.pytorch_cnn import PyTorchCNN

    parts = [[images.reshape(-1, 1, 28, 28), labels] for images, labels in fashion_parts()]
    train, val, test = ([torch.from_numpy(array.astype(np.float32)) for array in part] for part in parts)
    cnn = PyTorchCNN(random_seed=seed)
    with contextlib.redirect_stdout(io.StringIO()):
        cnn.train(*train, *val, epochs=epochs, learning_rate=0.002, batch_size=batch_size)
    return cnn, test


def pytorch_figures(network, test, epochs, losses, validation_losses, accuracy):
    for name, expected in (("train_losses", losses), ("val_losses", validation_losses)):
        figures = " ".join(f"{network.train_val_metrics[name][epoch - 1]:.6f}" for epoch in epochs)
        yield f"{name} of epochs {', '.join(map(str, epochs))}", figures, expected
    yield (
        "last train and validation accuracy",
        " ".join(f"{network.train_val_metrics[name][-1]:.4f}" for name in ("train_accs", "val_accs")),
        "",
    )
    yield "judgement", network.report_my_judgement(), ""
    yield "test accuracy", network.accuracy(*test), accuracy


RUNS = {name.removeprefix("run_"): run for name, run in list(globals().items()) if name.startswith("run_")}
RUNS.update((name, partial(script_figures, name)) for name in SCRIPTS if name not in RUNS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    names = parser.parse_args().names or list(RUNS)
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(RUNS)})")
    for name in names:
        started = time.perf_counter()
        title = f"{name}.py in a copy of {SCRIPTS[name][0]}" if isinstance(RUNS[name], partial) else RUNS[name].__doc__
        print(f"{name}: {title}", flush=True)
        for what, measured, expected in RUNS[name]():
            shown = f"{measured:.16g}" if isinstance(measured, float) else measured
            print(f"  {what}: {shown}" + (f"   (course: {expected})" if expected else ""), flush=True)
        print(f"  {time.perf_counter() - started:.0f} s, {os.cpu_count()} cores", flush=True)
