"""nndl's networks and classifiers give the figures that the homework prints, seed by seed."""

import json
from pathlib import Path

import numpy as np
import pytest

from handgrad.courses.cs231n.gradient_check import eval_numerical_gradient
from handgrad.courses.nndl import cnn, fc_net, knn, neural_net, softmax, svm
from handgrad.courses.nndl.layer_tests import rel_error

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "nndl.json").read_text(encoding="utf-8"))


def toy():
    np.random.seed(0)
    net = neural_net.TwoLayerNet(4, 10, 3, std=1e-1)
    np.random.seed(1)
    return net, 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])


def numeric_errors(model, loss):
    _, grads = loss()
    assert set(grads) == set(model.params)
    return {
        name: rel_error(eval_numerical_gradient(lambda _: loss()[0], model.params[name], verbose=False), grad)
        for name, grad in grads.items()
    }


def test_scores_loss_and_gradients_of_the_toy_net():
    golden = GOLDENS["two_layer_net_scores"]
    net, X, y = toy()
    assert np.abs(net.loss(X) - golden["scores"]).sum() < golden["sum_abs_difference_below"]
    assert abs(net.loss(X, y, reg=0.05)[0] - golden["loss_with_reg_0.05"]) < 1e-12
    assert max(numeric_errors(net, lambda: net.loss(X, y, reg=0.05)).values()) < 1e-8


def test_training_the_toy_net(capsys):
    net, X, y = toy()
    np.random.seed(0)
    net = neural_net.TwoLayerNet(4, 10, 3, std=1e-1)
    stats = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100, verbose=True)
    assert abs(stats["loss_history"][-1] - 0.014497864587765886) < 1e-14
    assert stats["loss_history"][-1] == pytest.approx(GOLDENS["toy_training"]["final_loss_about"], abs=1e-5)
    assert len(stats["train_acc_history"]) == len(stats["val_acc_history"]) == 100
    assert capsys.readouterr().out.startswith("iteration 0 / 100: loss 1.")
    assert np.array_equal(net.predict(X), y)


def test_the_modular_two_layer_net():
    golden = GOLDENS["two_layer_net_modular"]
    model = fc_net.TwoLayerNet(input_dim=5, hidden_dims=50, num_classes=7, weight_scale=1e-2)
    for name, (low, high) in {"W1": (-0.7, 0.3), "b1": (-0.1, 0.9), "W2": (-0.3, 0.4), "b2": (-0.9, 0.1)}.items():
        shape = model.params[name].shape
        model.params[name] = np.linspace(low, high, num=model.params[name].size).reshape(shape)
    X, y = np.linspace(-5.5, 4.5, num=15).reshape(5, 3).T, np.array(golden["y"])
    assert np.abs(model.loss(X) - golden["scores"]).sum() < golden["sum_abs_difference_below"]
    for reg, name in ((0.0, "loss_without_reg"), (1.0, "loss_with_reg_1")):
        model.reg = reg
        assert abs(model.loss(X, y)[0] - golden[name]) < golden["loss_difference_below"]
        assert max(numeric_errors(model, lambda: model.loss(X, y)).values()) < 1e-6


@pytest.mark.parametrize("reg", [0, 3.14])
def test_gradients_of_the_fully_connected_net(reg):
    np.random.seed(3)
    X, y = np.random.randn(2, 15), np.random.randint(10, size=2)
    model = fc_net.FullyConnectedNet(
        [20, 30], input_dim=15, num_classes=10, reg=reg, weight_scale=5e-2, dtype=np.float64
    )
    assert max(numeric_errors(model, lambda: model.loss(X, y)).values()) < 2e-6


def test_gradients_with_batchnorm_and_dropout():
    np.random.seed(3)
    X, y = np.random.randn(4, 15), np.random.randint(10, size=4)
    model = fc_net.FullyConnectedNet(
        [12, 10],
        input_dim=15,
        num_classes=10,
        reg=0.1,
        weight_scale=5e-2,
        dtype=np.float64,
        use_batchnorm=True,
        dropout=0.25,
        seed=5,
    )
    errors = numeric_errors(model, lambda: model.loss(X, y))
    # batchnorm takes any shift away again: the gradients by b1 and b2 are zero but for rounding
    assert max(error for name, error in errors.items() if name not in ("b1", "b2")) < 1e-4


def test_weights_come_from_the_global_generator_in_order():
    np.random.seed(6)
    model = fc_net.FullyConnectedNet([3, 2], input_dim=4, num_classes=5, weight_scale=0.1, use_batchnorm=True)
    np.random.seed(6)
    for name, shape in (("W1", (4, 3)), ("W2", (3, 2)), ("W3", (2, 5))):
        assert np.array_equal(model.params[name], (0.1 * np.random.randn(*shape)).astype(np.float32))
    assert list(model.params) == ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    assert {value.dtype for value in model.params.values()} == {np.dtype(np.float32)}


def test_losses_of_the_dropout_notebook():
    np.random.seed(123)
    np.random.rand(10, 10)  # the mask of the cell before
    X, y = np.random.randn(2, 15), np.random.randint(10, size=2)
    for p, expected in ((0, 2.3051948273987857), (0.25, 2.29898614757146), (0.5, 2.302437587710995)):
        model = fc_net.FullyConnectedNet(
            [20, 30], input_dim=15, num_classes=10, weight_scale=5e-2, dtype=np.float64, dropout=p, seed=123
        )
        assert abs(model.loss(X, y)[0] - expected) < 1e-14


def test_scores_are_those_of_test_mode():
    np.random.seed(8)
    X, y = np.random.randn(6, 4), np.random.randint(3, size=6)
    model = fc_net.FullyConnectedNet([5], input_dim=4, num_classes=3, dropout=0.5, use_batchnorm=True, dtype=np.float64)
    model.loss(X, y)
    assert np.array_equal(model.loss(X), model.loss(X))
    assert np.allclose(model.loss(X)[:2], model.loss(X[:2]))  # running averages, not the batch's


@pytest.mark.parametrize("use_batchnorm", [False, True])
def test_gradients_of_the_convolutional_net(use_batchnorm):
    np.random.seed(2)
    X, y = np.random.randn(2, 3, 8, 8), np.random.randint(10, size=2)
    model = cnn.ThreeLayerConvNet(
        input_dim=(3, 8, 8),
        num_filters=3,
        filter_size=3,
        hidden_dim=7,
        dtype=np.float64,
        weight_scale=0.1,
        reg=0.1,
        use_batchnorm=use_batchnorm,
    )
    errors = numeric_errors(model, lambda: model.loss(X, y))
    if use_batchnorm:
        errors = {name: error for name, error in errors.items() if name not in ("b1", "b2")}
    assert max(errors.values()) < 1e-4


def test_the_convolutional_net_starts_near_log_10_and_takes_a_pad_of_3():
    np.random.seed(0)
    model = cnn.ThreeLayerConvNet()
    X, y = np.random.randn(50, 3, 32, 32), np.random.randint(10, size=50)
    assert model.conv_param["pad"] == 3.0
    assert model.loss(X, y)[0] == pytest.approx(np.log(10), abs=1e-2)
    assert {name: value.shape for name, value in model.params.items()} == {
        "W1": (32, 3, 7, 7),
        "b1": (32,),
        "W2": (8192, 100),
        "b2": (100,),
        "W3": (100, 10),
        "b3": (10,),
    }


def test_nearest_neighbours():
    rng = np.random.default_rng(0)
    model, X_test = knn.KNN(), rng.normal(size=(6, 5))
    model.train(X=rng.normal(size=(20, 5)), y=rng.integers(3, size=20))
    one_by_one = model.compute_distances(X=X_test)
    assert np.allclose(one_by_one, model.compute_L2_distances_vectorized(X=X_test))
    city = model.compute_distances(X=X_test, norm=lambda difference: np.abs(difference).sum())
    assert np.array_equal(one_by_one, model.compute_distances(X_test, norm=None))
    assert np.allclose(city[2, 3], np.abs(X_test[2] - model.X_train[3]).sum())
    assert np.array_equal(model.predict_labels(one_by_one), model.y_train[one_by_one.argmin(axis=1)])


def test_of_equally_common_neighbours_the_smallest_label_wins():
    model = knn.KNN()
    model.train(np.zeros((4, 1)), np.array([7, 2, 7, 2]))
    assert model.predict_labels(np.array([[1.0, 2, 3, 4]]), k=4) == [2]
    assert model.predict_labels(np.array([[1.0, 2, 3, 4]]), k=3) == [7]


@pytest.mark.parametrize("module, name, scale", [(softmax, "Softmax", 1e-4), (svm, "SVM", 1.0)])
def test_linear_classifiers(module, name, scale, capsys):
    np.random.seed(4)
    model = getattr(module, name)(dims=[3, 5])
    np.random.seed(4)
    assert np.array_equal(model.W, scale * np.random.normal(size=[3, 5]))
    X, y = np.random.randn(30, 5), np.random.randint(3, size=30)
    loss, grad = model.loss_and_grad(X, y)
    assert loss == model.loss(X, y) and np.array_equal(grad, model.fast_loss_and_grad(X, y)[1])
    model.grad_check_sparse(X, y, grad, num_checks=5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and all(line.startswith("numerical: ") for line in lines)
    assert max(float(line.rpartition(" ")[2]) for line in lines) < 1e-5
    history = model.train(X, y, learning_rate=0.1, num_iters=200, batch_size=10, verbose=True)
    assert len(history) == 200 and np.mean(history[-50:]) < np.mean(history[:5])
    assert capsys.readouterr().out.startswith("iteration 0 / 200: loss ")
    assert model.predict(X).shape == (30,)
