"""The courses' figures on their data sets, through the courses' own interfaces: measured beside what they print.

    python benchmarks/courses.py                    all of them
    python benchmarks/courses.py suboptimal numpy_ann

Needs CIFAR-10 and Fashion-MNIST (handgrad data get cifar10, handgrad data get fashion-mnist). Every run is seeded.
"""

import argparse
import contextlib
import io
import os
import time

import numpy as np

from handgrad.courses.cs231n.data_utils import get_CIFAR10_data
from handgrad.courses.cs231n.solver import Solver
from handgrad.courses.nndl import fc_net, knn, neural_net, softmax, svm
from handgrad.courses.purdue import utils
from handgrad.courses.purdue.numpy_ann import NumpyANN


def cifar_rows(bias=False, **sizes):
    """The homeworks' rows (N, 3072), pixels in the order of the files' images (rows, columns, colours)."""
    data = get_CIFAR10_data(**sizes)
    for name in ("X_train", "X_val", "X_test"):
        rows = data[name].transpose(0, 2, 3, 1).reshape(-1, 3072)
        data[name] = np.hstack([rows, np.ones((len(rows), 1))]) if bias else rows
    return data


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


def run_suboptimal():
    """Homework 3: two layers, 50 hidden units, learning rate 1e-4, after the notebook's toy net."""
    data = cifar_rows()
    after_the_toy_net()
    net = neural_net.TwoLayerNet(3072, 50, 10)
    stats = net.train(
        data["X_train"],
        data["y_train"],
        data["X_val"],
        data["y_val"],
        num_iters=1000,
        batch_size=200,
        learning_rate=1e-4,
        learning_rate_decay=0.95,
        reg=0.25,
    )
    yield "loss at iterations 0, 100, ..., 900", " ".join(f"{loss:.6f}" for loss in stats["loss_history"][::100]), ""
    yield "validation accuracy", np.mean(net.predict(data["X_val"]) == data["y_val"]), "0.283"


def after_the_toy_net():
    """Leave the global generator as the notebook's cells do that train the toy net."""
    np.random.seed(1)
    X = 10 * np.random.randn(5, 4)
    np.random.seed(0)
    net = neural_net.TwoLayerNet(4, 10, 3, std=1e-1)
    y = np.array([0, 1, 2, 2, 1])
    net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100)


def run_tuned():
    """Homework 3: the same net at each of nine learning rates, 3000 iterations, seed 0; the best by validation."""
    data = cifar_rows()
    nets = {}
    for rate in (0.1, 0.06, 0.03, 0.01, 0.006, 0.003, 0.001, 0.0006, 0.0003):
        np.random.seed(0)
        net = neural_net.TwoLayerNet(3072, 50, 10)
        with np.errstate(all="ignore"):  # the largest rates diverge
            net.train(
                data["X_train"],
                data["y_train"],
                data["X_val"],
                data["y_val"],
                num_iters=3000,
                batch_size=200,
                learning_rate=rate,
                reg=0.55,
            )
            accuracy = np.mean(net.predict(data["X_val"]) == data["y_val"])
        nets[accuracy, rate] = net
        yield f"validation accuracy at {rate:g}", accuracy, "0.509" if rate == 0.001 else ""
    (_, rate), net = max(nets.items(), key=lambda pair: pair[0])
    yield f"test accuracy of the best ({rate:g})", np.mean(net.predict(data["X_test"]) == data["y_test"]), "0.513"


def run_overfit():
    """Homework 3: three layers learn 50 images by heart."""
    data = get_CIFAR10_data()
    data = {**data, "X_train": data["X_train"][:50], "y_train": data["y_train"][:50]}
    np.random.seed(0)
    model = fc_net.FullyConnectedNet([100, 100], weight_scale=3e-2, dtype=np.float64)
    solver = Solver(
        model,
        data,
        print_every=10,
        num_epochs=20,
        batch_size=25,
        update_rule="sgd",
        optim_config={"learning_rate": 1e-3},
        verbose=False,
    )
    solver.train()
    yield "training accuracy", solver.train_acc_history[-1], "1.0"


def run_solver():
    """Homework 3: the modular two-layer net by the Solver, 200 hidden units, 10 epochs."""
    np.random.seed(0)
    solver = Solver(
        fc_net.TwoLayerNet(hidden_dims=200),
        get_CIFAR10_data(),
        update_rule="sgd",
        lr_decay=0.95,
        optim_config={"learning_rate": 1e-3},
        num_epochs=10,
        batch_size=100,
        verbose=False,
    )
    solver.train()
    yield "final validation accuracy", solver.val_acc_history[-1], "about 0.523"
    yield "best validation accuracy", solver.best_val_acc, ""


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


def run_pytorch_cnn():
    """Purdue: four convolution blocks in PyTorch, 60 steps on all rows (needs handgrad[torch])."""
    import torch

    torch.set_num_threads(1)
    cnn, test = trained_cnn(seed=42)
    yield from pytorch_figures(cnn, test, (1, 10, 30, 60), "last 0.1178", "", "0.86, at least 0.85")


def run_pytorch_cnn_seeds():
    """The same on two threads with four seeds, also on all 10,000 test images: how much the seed decides."""
    import torch

    torch.set_num_threads(2)
    _, _, X, y = utils.load_mnist_f()
    images = torch.from_numpy((X / 255).astype(np.float32).reshape(-1, 1, 28, 28))
    for seed in (42, 0, 1, 2):
        cnn, test = trained_cnn(seed)
        whole = np.concatenate([cnn.predict(some).numpy() for some in images.split(500)])
        yield f"seed {seed}: last training loss", cnn.train_val_metrics["train_losses"][-1], "0.1178 with 42"
        yield f"seed {seed}: test accuracy, 200 and all images", f"{cnn.accuracy(*test)} {np.mean(whole == y):.4f}", ""


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RUNS))
    names = parser.parse_args().names or list(RUNS)
    unknown = [name for name in names if name not in RUNS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(RUNS)})")
    for name in names:
        started = time.perf_counter()
        print(f"{name}: {RUNS[name].__doc__}", flush=True)
        for what, measured, expected in RUNS[name]():
            shown = f"{measured:.16g}" if isinstance(measured, float) else measured
            print(f"  {what}: {shown}" + (f"   (course: {expected})" if expected else ""), flush=True)
        print(f"  {time.perf_counter() - started:.0f} s, {os.cpu_count()} cores", flush=True)
