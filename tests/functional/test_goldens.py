"""The figures printed in the UCLA ECE C147 notebooks (tests/goldens/nndl.json) come out of the pairs."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from derivatives import numeric_gradient
from handgrad import functional as F

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "nndl.json").read_text(encoding="utf-8"))


def greatest_relative_error(x, y):
    """The notebooks' own measure: the worst entry of |x - y| / max(1e-8, |x| + |y|)."""
    return np.max(abs(x - y) / np.maximum(1e-8, abs(x) + abs(y)))


class ReferenceNet:
    """Linear layers with ReLUs between them, cross-entropy and an L2 penalty on the weights, out of pairs."""

    def __init__(self, parameters, reg=0.0):
        self.parameters, self.reg = parameters, reg  # [weight, bias, weight, bias, ...], weights (in, out)

    def scores(self, x):
        caches = []
        for weight, bias in zip(self.parameters[::2], self.parameters[1::2], strict=True):
            if caches:
                x, relu_cache = F.relu_forward(x)
                caches.append((F.relu_backward, relu_cache))
            x, linear_cache = F.linear_forward(x, weight, bias)
            caches.append((F.linear_backward, linear_cache))
        return x, caches

    def loss_and_gradients(self, x, y):
        scores, caches = self.scores(x)
        loss, loss_cache = F.cross_entropy_forward(scores, y)
        (dx,) = F.cross_entropy_backward(1.0, loss_cache)
        gradients = []
        for backward, cache in reversed(caches):
            dx, *of_parameters = backward(dx, cache)
            gradients = [*of_parameters, *gradients]
        for position in range(0, len(gradients), 2):
            penalty, penalty_cache = F.l2_penalty_forward(self.parameters[position], self.reg)
            loss += penalty
            gradients[position] = gradients[position] + F.l2_penalty_backward(1.0, penalty_cache)[0]
        return loss, gradients

    def worst_numeric_error(self, x, y):
        """The worst relative error of any parameter's gradient against central differences."""
        _, gradients = self.loss_and_gradients(x, y)
        errors = []
        for position, gradient in enumerate(gradients):

            def loss_at(p, position=position):
                moved = [*self.parameters[:position], p, *self.parameters[position + 1 :]]
                return ReferenceNet(moved, self.reg).loss_and_gradients(x, y)[0]

            errors.append(greatest_relative_error(gradient, numeric_gradient(loss_at, self.parameters[position])))
        return max(errors)


def toy_net(reg):
    """The four-feature, ten-unit, three-class net of the first notebook, its points and labels."""
    # the notebooks drew these with NumPy's legacy generator
    random = np.random.RandomState(0)
    w1, w2 = 0.1 * random.randn(10, 4), 0.1 * random.randn(3, 10)
    x = 10 * np.random.RandomState(1).randn(5, 4)
    return ReferenceNet([w1.T, np.zeros(10), w2.T, np.zeros(3)], reg), x, np.array([0, 1, 2, 2, 1]), random


def test_toy_net_scores():
    net, x, _, _ = toy_net(reg=0.05)
    golden = GOLDENS["two_layer_net_scores"]
    assert abs(net.scores(x)[0] - golden["scores"]).sum() < golden["sum_abs_difference_below"]


def test_toy_net_loss_and_gradients():
    net, x, y, _ = toy_net(reg=0.05)
    loss, _ = net.loss_and_gradients(x, y)
    assert abs(loss - GOLDENS["two_layer_net_scores"]["loss_with_reg_0.05"]) < 1e-12
    assert net.worst_numeric_error(x, y) < 1e-8


def test_toy_net_training_ends_at_the_printed_loss():
    net, x, y, random = toy_net(reg=5e-6)
    learning_rate = 0.1
    for _ in range(100):
        rows = random.choice(5, 200)
        loss, gradients = net.loss_and_gradients(x[rows], y[rows])
        net.parameters = [p - learning_rate * g for p, g in zip(net.parameters, gradients, strict=True)]
        learning_rate *= 0.95
    assert loss == pytest.approx(GOLDENS["toy_training"]["final_loss_about"], abs=5e-4)


def test_affine_forward():
    x = np.linspace(-0.1, 0.5, num=2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    weight = np.linspace(-0.2, 0.3, num=4 * 5 * 6 * 3).reshape(120, 3)
    y, _ = F.linear_forward(F.flatten_forward(x)[0], weight, np.linspace(-0.3, 0.1, num=3))
    assert greatest_relative_error(y, np.array(GOLDENS["affine_forward"]["out"])) < 2e-9


def test_affine_backward():
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((10, 2, 3)), rng.standard_normal((6, 5)), rng.standard_normal(5)
    dy = rng.standard_normal((10, 5))
    rows, flatten_cache = F.flatten_forward(x)
    _, cache = F.linear_forward(rows, weight, bias)
    drows, dweight, dbias = F.linear_backward(dy, cache)
    (dx,) = F.flatten_backward(drows, flatten_cache)

    def output(x, weight, bias):
        return (F.linear_forward(F.flatten_forward(x)[0], weight, bias)[0] * dy).sum()

    assert greatest_relative_error(dx, numeric_gradient(lambda a: output(a, weight, bias), x)) < 1e-8
    assert greatest_relative_error(dweight, numeric_gradient(lambda a: output(x, a, bias), weight)) < 1e-8
    assert greatest_relative_error(dbias, numeric_gradient(lambda a: output(x, weight, a), bias)) < 1e-8


def test_relu_forward():
    y, _ = F.relu_forward(np.linspace(-0.5, 0.5, num=12).reshape(3, 4))
    assert greatest_relative_error(y, np.array(GOLDENS["relu_forward"]["out"])) < 6e-8


def test_softmax_loss():
    rng = np.random.default_rng(0)
    x, y = 0.001 * rng.standard_normal((50, 10)), rng.integers(0, 10, 50)
    loss, cache = F.cross_entropy_forward(x, y)
    numeric = numeric_gradient(lambda a: F.cross_entropy_forward(a, y)[0], x)
    assert loss == pytest.approx(GOLDENS["softmax_loss"]["loss_about"], abs=5e-4)
    assert greatest_relative_error(F.cross_entropy_backward(1.0, cache)[0], numeric) < 2e-8


def test_modular_two_layer_net():
    golden = GOLDENS["two_layer_net_modular"]
    parameters = [
        np.linspace(-0.7, 0.3, num=5 * 50).reshape(5, 50),
        np.linspace(-0.1, 0.9, num=50),
        np.linspace(-0.3, 0.4, num=50 * 7).reshape(50, 7),
        np.linspace(-0.9, 0.1, num=7),
    ]
    x, y = np.linspace(-5.5, 4.5, num=3 * 5).reshape(5, 3).T, np.array(golden["y"])
    assert abs(ReferenceNet(parameters).scores(x)[0] - golden["scores"]).sum() < golden["sum_abs_difference_below"]
    for reg, expected in [(0.0, golden["loss_without_reg"]), (1.0, golden["loss_with_reg_1"])]:
        loss, _ = ReferenceNet(parameters, reg).loss_and_gradients(x, y)
        assert abs(loss - expected) < golden["loss_difference_below"]


@pytest.mark.parametrize("reg", [0.0, 3.14])
def test_fully_connected_net_gradients(reg):
    rng = np.random.default_rng(0)
    sizes = [15, 20, 30, 10]
    parameters = []
    for inputs, outputs in pairwise(sizes):
        parameters += [5e-2 * rng.standard_normal((inputs, outputs)), np.zeros(outputs)]
    x, y = rng.standard_normal((2, 15)), rng.integers(0, 10, 2)
    assert ReferenceNet(parameters, reg).worst_numeric_error(x, y) < 1e-5
