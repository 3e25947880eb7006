"""Purdue's PyTorchANN and PyTorchCNN give the handout's figures."""

import doctest

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from handgrad.courses.purdue import pytorch_ann, pytorch_cnn, utils  # noqa: E402 (after the skip)
from handgrad.courses.purdue.pytorch_ann import PyTorchANN  # noqa: E402
from handgrad.courses.purdue.pytorch_cnn import PyTorchCNN  # noqa: E402

pytestmark = pytest.mark.usefixtures("torch_on_one_thread")


def blobs(num_rows=60, classes=3, shape=(5,)):
    """Rows around a centre per class, and their one-hot targets."""
    rng = np.random.default_rng(0)
    labels = np.arange(num_rows) % classes
    x = 0.3 * rng.standard_normal((num_rows, *shape)) + labels.reshape(-1, *[1] * len(shape))
    return torch.from_numpy(x.astype(np.float32)), torch.eye(classes)[torch.from_numpy(labels)]


@pytest.mark.parametrize("module", [pytorch_ann, pytorch_cnn], ids=lambda module: module.__name__)
def test_the_handouts_examples(module):
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.attempted and result.failed == 0


def test_the_reference_runs_first_epochs():
    """Fashion-MNIST, 2000 training and 200 validation rows: the course's figures to six digits for ten epochs."""
    try:
        images, labels, *_ = utils.load_mnist_f()
    except (ValueError, OSError) as problem:
        pytest.skip(str(problem))
    rows = np.random.RandomState(42).permutation(60000)[:2200]
    x = torch.from_numpy(images[rows].reshape(2200, -1).astype(np.float32) / 255)
    y = torch.eye(10)[torch.from_numpy(labels[rows].astype(np.int64))]
    network = PyTorchANN(784, 32, 10)
    network.train(x[200:], y[200:], x[:200], y[:200], epochs=10, batch_size=64, learning_rate=0.2)
    metrics = network.train_val_metrics
    at = [0, 1, 4, 9]
    assert np.take(metrics["train_losses"], at) == pytest.approx([1.411090, 0.956699, 0.721251, 0.541158], abs=2e-5)
    assert np.take(metrics["val_losses"], at) == pytest.approx([1.426373, 0.890423, 0.653638, 0.525550], abs=2e-5)


def test_training_prints_every_fifth_epoch_and_keeps_all(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (x, y), network = blobs(), PyTorchANN(5, 8, 3)
    assert network.train(x[:40], y[:40], x[40:], y[40:], epochs=12, batch_size=16, learning_rate=0.3) is None
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["[5 / 12]", "[10 / 12]"]
    assert [part.split(":")[0] for part in lines[0].split(" | ")[1:]] == [
        "Train Loss",
        "Train Accuracy",
        "Val Loss",
        "Val Accuracy",
    ]
    assert {name: len(values) for name, values in network.train_val_metrics.items()} == dict.fromkeys(
        ("train_losses", "train_accs", "val_losses", "val_accs"), 12
    )
    assert network.train_val_metrics["train_losses"][-1] < network.train_val_metrics["train_losses"][0]
    _, axes = network.plot_train_val_metrics()
    assert axes.shape == (2,) and (tmp_path / "pytorch_ann_train_val_metrics.png").stat().st_size > 5000
    assert network.report_my_judgement() in ("underfitting", "overfitting", "generalizing")
    assert type(network.accuracy(x, y)) is float and network.accuracy(X=x, y=y) > 0.9
    with pytest.raises(AssertionError, match="X has 60 rows, y 3"):
        network.accuracy(x, y[:3])
    network.train(x[:40], y[:40], x[40:], y[40:], epochs=2, batch_size=16, learning_rate=0.3)
    assert len(network.train_val_metrics["val_losses"]) == 2  # of the last training alone


def test_judgements_name_their_kind():
    network = PyTorchANN(5, 8, 10)
    names = ("train_losses", "train_accs", "val_losses", "val_accs")

    def judged(*figures):
        network.train_val_metrics = dict(zip(names, figures, strict=True))
        return network.report_my_judgement()

    assert judged([2.0, 0.1], [0.3, 1.0], [2.0, 0.9], [0.3, 0.7]) == "overfitting"
    assert judged([2.3, 2.2], [0.1, 0.2], [2.3, 2.2], [0.1, 0.2]) == "underfitting"
    assert judged([2.0, 0.3], [0.3, 0.9], [2.0, 0.31], [0.3, 0.9]) == "generalizing"


def test_the_convolutional_network_takes_one_step_an_epoch(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (x, y), network = blobs(30, 3, (1, 28, 28)), PyTorchCNN(num_classes=3)
    widths = [module.out_channels for module in network.model if isinstance(module, torch.nn.Conv2d)]
    assert widths == [32, 64, 128, 256]
    network.train(x[:24], y[:24], x[24:], y[24:], epochs=3, learning_rate=0.002, batch_size=None)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert network.train_val_metrics["train_losses"][-1] < network.train_val_metrics["train_losses"][0]
    network.plot_train_val_metrics()
    assert (tmp_path / "pytorch_cnn_train_val_metrics.png").is_file()


def test_the_convolutional_network_learns_faster_by_batches(capsys):
    (x, y), losses = blobs(64, 2, (1, 28, 28)), []
    for options in ({}, {"batch_size": 16}):
        network = PyTorchCNN(num_classes=2)
        network.train(x, y, x, y, epochs=2, learning_rate=0.002, **options)
        losses.append(network.train_val_metrics["train_losses"][-1])
    assert losses[1] < losses[0]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_labels_may_be_whole_numbers(capsys, dtype):
    (x, y), metrics = blobs(), []
    for targets in (y, y.argmax(dim=1).to(dtype)):
        network = PyTorchANN(5, 8, 3)
        network.train(x[:40], targets[:40], x[40:], targets[40:], epochs=3, batch_size=16, learning_rate=0.3)
        metrics.append(network.train_val_metrics)
        assert network.accuracy(x, targets) == network.accuracy(x, y)
    assert metrics[0]["val_losses"] == pytest.approx(metrics[1]["val_losses"])


def test_a_plot_before_training_says_so():
    with pytest.raises(ValueError, match="there is nothing to plot yet: train the network first"):
        PyTorchANN(5, 8, 3).plot_train_val_metrics()


def test_both_networks_are_read_by_the_twin():
    from handgrad.torch_twin import compare, from_torch

    x, y = blobs(8, 3, (1, 28, 28))
    model = from_torch(PyTorchCNN(num_classes=3).model, input_shape=(28, 28, 1))
    images = x.numpy().transpose(0, 2, 3, 1)
    assert compare(model, PyTorchCNN(num_classes=3).model, images, y.numpy(), "cross-entropy").ok
