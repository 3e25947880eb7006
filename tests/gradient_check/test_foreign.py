"""Code as courses have it, written without handgrad and without a thought of it, and the mistakes people make there.

Weights (out, in), images (N, C, H, W), settings in dicts, loops: the verdicts may not depend on our own layout.
"""

import threading
import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest

from handgrad.gradient_check import check_gradients

RNG = np.random.default_rng(42)
X, W, B = RNG.normal(size=(7, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=3)
IMAGES, KERNELS, BIASES = RNG.normal(size=(3, 2, 5, 5)), RNG.normal(size=(4, 2, 3, 3)), RNG.normal(size=4)
LABELS = np.array([0, 3, 1, 1, 2, 0, 2])


def affine(x, w, b):
    return x.dot(w.T) + b, (x, w, b)


def affine_back(change=lambda dx, dw, db, dy, x, w: (dx, dw, db)):
    def backward(dy, cache):
        x, w, _ = cache
        return change(dy.dot(w), dy.T.dot(x), np.sum(dy, axis=0), dy, x, w)

    return backward


def conv(x, w, b, settings):
    s, p = settings["stride"], settings["pad"]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    height, width = ((n + 2 * p - 3) // s + 1 for n in x.shape[2:])
    out = np.zeros((len(x), len(w), height, width))
    for i in range(height):
        for j in range(width):
            window = padded[:, None, :, i * s : i * s + 3, j * s : j * s + 3]
            out[:, :, i, j] = (window * w[None]).sum(axis=(2, 3, 4)) + b
    return out, (x, w, b, settings)


def conv_back(add=True, flip=False, crop=True, bias_axes=(0, 2, 3), last_window=False):
    def backward(dout, cache):
        x, w, _, settings = cache
        s, p = settings["stride"], settings["pad"]
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        dx, dw = np.zeros_like(padded), np.zeros_like(w)
        kernel = w[:, :, ::-1, ::-1] if flip else w
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                up = dout[:, :, i, j]
                place = np.s_[:, :, i * s : i * s + 3, j * s : j * s + 3]
                part = np.tensordot(up, padded[place], axes=(0, 0))
                dw = part if last_window else dw + part
                share = np.tensordot(up, kernel, axes=(1, 0))
                dx[place] = dx[place] + share if add else share
        return (dx[:, :, p:-p, p:-p] if crop else dx), dw, dout.sum(axis=bias_axes)

    return backward


def pool(x):
    n, c = x.shape[:2]
    return x[:, :, :4, :4].reshape(n, c, 2, 2, 2, 2).max(axis=(3, 5)), x


def pool_back_to_all_ties(dout, x):
    dx = np.zeros_like(x)
    for i in range(2):
        for j in range(2):
            window = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            mask = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = mask * dout[:, :, i : i + 1, j : j + 1]
    return dx


def norm(x, gamma, beta, bn_param):
    mean, var = x.mean(axis=0), ((x - x.mean(axis=0)) ** 2).mean(axis=0)
    hat = (x - mean) / np.sqrt(var + bn_param["eps"])
    return gamma * hat + beta, (hat, gamma, var, bn_param["eps"])


def norm_back(change):
    def backward(dout, cache):
        hat, gamma, var, eps = cache
        dgamma, dbeta = (dout * hat).sum(axis=0), dout.sum(axis=0)
        scale = 1 / np.sqrt(var + eps)
        m = len(dout)
        return change(gamma, scale, dout, hat, dgamma, dbeta, m), dgamma, dbeta

    return backward


def softmax_loss(x, y):
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(y)), y]).sum() / len(y), (p, y)


def softmax_loss_back(change):
    def backward(dloss, cache):
        p, y = cache
        d = p.copy()
        d[np.arange(len(y)), y] -= 1
        return dloss * change(d, p, y)

    return backward


def svm_loss(x, y):
    margins = np.maximum(0, x - x[np.arange(len(y)), y][:, None] + 1.0)
    margins[np.arange(len(y)), y] = 0
    return margins.sum() / len(y), (margins, y)


def svm_back_without_count(dloss, cache):
    margins, y = cache
    d = (margins > 0).astype(float)
    d[np.arange(len(y)), y] = -1
    return dloss * d / len(y)


def two_layers(x, w1, b1, w2):
    hidden = np.maximum(0, x @ w1 + b1)
    return hidden @ w2, (x, w1, hidden, w2)


def two_layers_back(dy, cache):
    x, w1, hidden, w2 = cache
    dhidden = dy @ w2.T  # the ReLU in between is forgotten
    return dhidden @ w1.T, x.T @ dhidden, dhidden.sum(axis=0), hidden.T @ dy


def dropout(x, p, rng):
    mask = (rng.random(x.shape) < p) / p
    return x * mask, (mask, p)


class Dense:
    def __init__(self):
        self.W, self.b = W.T.copy(), B.copy()

    def forward(self, x):
        self.x = x
        self.out = 1 / (1 + np.exp(-(x @ self.W + self.b)))
        return self.out

    def backward(self, grad):
        delta = self.delta(grad)
        self.dW, self.db = self.x.T @ delta, delta.sum(axis=0)
        return delta @ self.W.T

    def delta(self, grad):
        return grad * self.out * (1 - self.out)


class ForgetsSigmoid(Dense):
    def delta(self, grad):
        return grad


class AveragesBias(Dense):
    def backward(self, grad):
        dx = super().backward(grad)
        self.db = self.delta(grad).mean(axis=0)
        return dx


class AddsUp(Dense):
    def __init__(self):
        super().__init__()
        self.dW, self.db = 0, 0

    def backward(self, grad):
        delta = self.delta(grad)
        self.dW, self.db = self.dW + self.x.T @ delta, self.db + delta.sum(axis=0)
        return delta @ self.W.T


class HalfPrecision(Dense):
    def delta(self, grad):
        return (grad * self.out * (1 - self.out)).astype("f4")


SETTINGS = {"stride": 1, "pad": 1}
AFFINE, CONV, SCORES = (X, W, B), (IMAGES, KERNELS, BIASES, SETTINGS), (X, LABELS)
NORM, DROPOUT = (X, X[0].copy(), X[1].copy(), {"eps": 1e-5}), (X, 0.8, np.random.default_rng(3))


def wrong_affine(change):
    return affine, affine_back(change)


def wrong_norm(change):
    return norm, norm_back(change)


def wrong_loss(change):
    return softmax_loss, softmax_loss_back(change)


WRONG = {
    "affine: mean of dw": (
        wrong_affine(lambda dx, dw, db, dy, x, w: (dx, dw / len(x), db)),
        AFFINE,
        "batch-size-factor",
    ),
    "affine: dw transposed": (wrong_affine(lambda dx, dw, db, dy, x, w: (dx, dw.T, db)), AFFINE, "transposed"),
    "affine: db per row": (wrong_affine(lambda dx, dw, db, dy, x, w: (dx, dw, dy)), AFFINE, "not-summed"),
    "affine: db one number": (
        wrong_affine(lambda dx, dw, db, dy, x, w: (dx, dw, np.full(3, dy.sum()))),
        AFFINE,
        "wrong-axis",
    ),
    "affine: db column": (wrong_affine(lambda dx, dw, db, dy, x, w: (dx, dw, db[:, None])), AFFINE, "wrong-shape"),
    "affine: dx without dy": (
        wrong_affine(lambda dx, dw, db, dy, x, w: (np.ones_like(dy) @ w, dw, db)),
        AFFINE,
        "upstream-ignored",
    ),
    "affine: learning rate": (
        wrong_affine(lambda dx, dw, db, dy, x, w: (dx, 0.001 * dw, db)),
        AFFINE,
        "learning-rate-factor",
    ),
    "affine: dx negative": (wrong_affine(lambda dx, dw, db, dy, x, w: (-dx, dw, db)), AFFINE, "wrong-sign"),
    "affine: order": (wrong_affine(lambda dx, dw, db, dy, x, w: (dw, dx, db)), AFFINE, "swapped-gradients"),
    "conv: assigned": ((conv, conv_back(add=False)), CONV, "overlap-overwritten"),
    "conv: flipped": ((conv, conv_back(flip=True)), CONV, "flipped-kernel"),
    "conv: padding": ((conv, conv_back(crop=False)), CONV, "padding-kept"),
    "conv: bias per pixel": ((conv, conv_back(bias_axes=0)), CONV, "not-summed"),
    "conv: bias over channels": ((conv, conv_back(bias_axes=(1, 2, 3))), CONV, "wrong-axis"),
    "pool: all ties": ((pool, pool_back_to_all_ties), (np.round(IMAGES),), "ties-all-paid"),
    "norm: constants": (wrong_norm(lambda g, s, d, h, dg, db, m: g * s * d), NORM, "statistics-constant"),
    "norm: sums": (wrong_norm(lambda g, s, d, h, dg, db, m: g * s * (d - db - h * dg)), NORM, "not-averaged"),
    "norm: no gamma": (
        wrong_norm(lambda g, s, d, h, dg, db, m: s * (d - db / m - h * dg / m)),
        NORM,
        "parameter-ignored",
    ),
    "softmax loss: no mean": (wrong_loss(lambda d, p, y: d), SCORES, "batch-size-factor"),
    "softmax loss: classes": (wrong_loss(lambda d, p, y: d / 4), SCORES, "class-count-factor"),
    "softmax loss: no target": (wrong_loss(lambda d, p, y: p / 7), SCORES, "target-ignored"),
    "softmax loss: twice": (
        wrong_loss(lambda d, p, y: p * (d - (d * p).sum(1, keepdims=True)) / 7),
        SCORES,
        "brier-gradient",
    ),
    "svm: no count": ((svm_loss, svm_back_without_count), SCORES, "not-summed"),
    "two layers: no relu": ((two_layers, two_layers_back), (X, W.T, B, RNG.normal(size=(3, 2))), "derivative-missing"),
    "dropout: keep probability": (
        (dropout, lambda dy, cache: (dy * cache[0] * cache[1], None, None)),
        DROPOUT,
        "keyword-factor",
    ),
    "dropout: no mask": ((dropout, lambda dy, cache: (dy, None, None)), DROPOUT, "derivative-missing"),
    "sigmoid prime of x": ((lambda z: 1 / (1 + np.exp(-z)), lambda z: z * (1 - z)), (X,), "derivative-at-input"),
    "tanh prime": ((np.tanh, lambda z: 1 - np.tanh(np.tanh(z)) ** 2), (X,), "derivative-at-output"),
    "square without 2": ((lambda x: np.sum(x**2), lambda x: x), (X,), "factor-two"),
    "dense: sigmoid forgotten": (ForgetsSigmoid(), (X,), "derivative-missing"),
    "dense: bias averaged": (AveragesBias(), (X,), "batch-size-factor"),
    "dense: adds up": (AddsUp(), (X,), "gradient-accumulated"),
    "dense: half precision": (HalfPrecision(), (X,), "float32-precision"),
}


@pytest.mark.parametrize("name", WRONG)
def test_foreign_mistakes_get_their_name(name):
    target, arrays, mistake = WRONG[name]
    report = check_gradients(target, *arrays)
    assert mistake in {v.mistake for v in report.verdicts}, report


@pytest.mark.parametrize(
    "target, arrays",
    [
        ((affine, affine_back()), (X, W, B)),
        ((conv, conv_back()), CONV),
        ((norm, norm_back(lambda g, s, d, h, dg, db, m: g * s * (d - db / m - h * dg / m))), NORM),
        ((softmax_loss, softmax_loss_back(lambda d, p, y: d / len(y))), (X, LABELS)),
        (Dense(), (X,)),
    ],
)
def test_the_same_code_without_the_mistake_is_right(target, arrays):
    report = check_gradients(target, *arrays)
    assert report.ok, report


class Cell:
    """A step of an LSTM of one's own: two outputs, and a gradient for each."""

    def __init__(self, weight):
        self.W = weight

    def forward(self, x, h, c):
        self.xh, self.c_before = np.concatenate([x, h], axis=1), c
        self.i, self.f, self.o, g = np.split(self.xh @ self.W, 4, axis=1)
        self.i, self.f, self.o = (1 / (1 + np.exp(-a)) for a in (self.i, self.f, self.o))
        self.g = np.tanh(g)
        self.c = self.f * c + self.i * self.g
        self.t = np.tanh(self.c)
        return self.o * self.t, self.c

    def backward(self, dh, dc):
        dc = self.gradient_of_c(dh, dc)
        di, df = dc * self.g * self.i * (1 - self.i), dc * self.c_before * self.f * (1 - self.f)
        do, dg = dh * self.t * self.o * (1 - self.o), dc * self.i * (1 - self.g**2)
        da = np.concatenate([di, df, do, dg], axis=1)
        self.dW = self.xh.T @ da
        dxh = da @ self.W.T
        return dxh[:, :2], dxh[:, 2:], dc * self.f

    def gradient_of_c(self, dh, dc):
        return dc + dh * self.o * (1 - self.t**2)


class ForgetfulCell(Cell):
    def gradient_of_c(self, dh, dc):
        return dc


def test_a_layer_of_two_outputs_takes_a_gradient_for_each():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(3, 2)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    weight = rng.normal(size=(6, 16))
    report = check_gradients(Cell(weight), *arrays)
    assert report.ok and set(report.arrays) == {"x", "h", "c", "W"}
    (verdict,) = check_gradients(ForgetfulCell(weight), *arrays).verdicts
    assert verdict.mistake == "term-missing" and "np.tanh(self.c)" in verdict.message


def square_and_sine(x):
    return (x**2, np.sin(x[0])), x


@pytest.mark.parametrize(
    ("backward", "ok"),
    [
        (lambda dy, x: dy[0] * 2 * x + dy[1] * np.cos(x[0]) * (np.arange(3) == 0)[:, None], True),
        (lambda dy, dsine, x: dy * 2 * x + dsine * np.cos(x[0]) * (np.arange(3) == 0)[:, None], True),
        (lambda dy, x: dy[0] * 2 * x, False),
    ],
    ids=["together", "one by one", "one left out"],
)
def test_a_pair_may_return_a_tuple_of_outputs(backward, ok):
    x = np.random.default_rng(0).normal(size=(3, 2))
    assert check_gradients((square_and_sine, backward), x).ok == ok


class Buffered:
    """Writes every y into the same array."""

    def __init__(self):
        self.y = np.zeros((3, 2))

    def forward(self, x):
        self.x = x
        self.y[...] = x**3
        return self.y

    def backward(self, dy):
        return 3 * dy * self.x**2


def test_an_output_may_be_a_buffer_that_is_kept():
    assert check_gradients(Buffered(), np.random.default_rng(0).normal(size=(3, 2))).ok


class KeepsEverything:
    """A layer that keeps what went in and out beside the gradients by it, as if they were parameters."""

    def __init__(self, weight):
        self.W = weight
        self.y = np.zeros((4, 2))

    def forward(self, x):
        self.x = x
        self.z = x @ self.W
        self.y[...] = np.tanh(self.z)
        return self.y

    def backward(self, dy):
        self.dy = dy
        self.dz = dy * (1 - np.tanh(self.z) ** 2)
        self.dW = self.x.T @ self.dz
        self.dx = self.dz @ self.W.T
        return self.dx


def test_what_a_forward_computes_is_no_parameter_whatever_stands_beside_it():
    rng = np.random.default_rng(0)
    report = check_gradients(KeepsEverything(rng.normal(size=(3, 2))), rng.normal(size=(4, 3)))
    assert report.ok and list(report.arrays) == ["x", "W"]


class Squares:
    """Parameters in a property that makes its dict anew each time, with a factor forgotten."""

    def __init__(self, weight):
        self.weight = weight

    @property
    def params(self):
        return {"weight": self.weight}

    def forward(self, x):
        self.x = x
        return x * self.weight**2

    def backward(self, dy):
        self.grads = {"weight": (dy * self.x * self.weight).sum(axis=0)}
        return dy * self.weight**2


def test_parameters_may_be_a_property():
    rng = np.random.default_rng(0)
    report = check_gradients(Squares(rng.normal(size=3)), rng.normal(size=(4, 3)))
    assert [name for name, array in report.arrays.items() if not array.ok] == ["weight"]


# Arrays in dicts and lists ------------------------------------------------------------------------------------------


def dense(x, params):
    h = np.tanh(x @ params["W"] + params["b"])
    return h, (x, params, h)


def dense_backward(dh, cache):
    x, params, h = cache
    dz = dh * (1 - h**2)
    return dz @ params["W"].T, {"dW": x.T @ dz, "db": dz.mean(axis=0)}


def test_arrays_in_a_dict_are_checked_each():
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    report = check_gradients((dense, dense_backward), rng.normal(size=(5, 3)), params)
    assert {name: array.ok for name, array in report.arrays.items()} == {
        "x": True,
        "params['W']": True,
        "params['b']": False,
    }
    (verdict,) = report.verdicts
    assert verdict.mistake == "batch-size-factor" and "dz.sum(axis=0)" in verdict.fix


def stack(x, layers):
    kept = []
    for weight, bias in layers:
        kept.append(x)
        x = np.tanh(x @ weight + bias)
    return x, (kept, x, layers)


def stack_backward(dy, cache):
    kept, y, layers = cache
    gradients = []
    for x, (weight, _) in zip(kept[::-1], layers[::-1], strict=True):
        dz, y = dy * (1 - y**2), x
        gradients.insert(0, (x.T @ dz, dz.sum(axis=0)))
        dy = dz @ weight.T
    return dy, gradients


def test_arrays_in_a_list_of_pairs_are_checked_each():
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in ((3, 4), (4, 2))]
    report = check_gradients((stack, stack_backward), rng.normal(size=(5, 3)), layers)
    assert report.ok and list(report.arrays)[1:] == [f"layers[{i}][{j}]" for i in range(2) for j in range(2)]
    alone = check_gradients((stack, stack_backward), rng.normal(size=(5, 3)), layers, wrt="layers[0][0]")
    assert alone.ok and list(alone.arrays) == ["layers[0][0]"]


def loss_of_params(params, x, targets=None):
    h = np.tanh(x @ params["W1"])
    residual = h @ params["W2"] - targets
    grads = {"W2": h.T @ residual}
    dh = residual @ params["W2"].T
    grads["W1"] = x.T @ dh
    return 0.5 * (residual**2).sum(), grads


def test_a_loss_alone_may_take_its_parameters_in_a_dict():
    rng = np.random.default_rng(0)
    params = {"W1": rng.normal(size=(3, 4)), "W2": rng.normal(size=(4, 2))}
    (verdict,) = check_gradients(
        loss_of_params, params, rng.normal(size=(5, 3)), kwargs={"targets": rng.normal(size=(5, 2))}
    ).verdicts
    assert verdict.mistake == "derivative-missing" and "(1 - h ** 2)" in verdict.fix


def scaled_by(x, options):
    return x * options["scale"], options


def test_a_dict_without_gradients_is_an_option():
    pair = scaled_by, lambda dy, options: dy * options["scale"]
    report = check_gradients(pair, np.ones((2, 3)), {"scale": np.array([1.0, 2.0, 3.0])})
    assert report.ok and list(report.arrays) == ["x"]
    assert report.notes == [
        "options holds arrays, by which the backward gives no gradients: it was taken for an option"
    ]


def by_hand(dh, cache):
    x, params, h = cache
    dz = dh * (1 - h**2)
    return dz @ params["W"].T, x.T @ dz, dz.sum(axis=0)


class Dense:
    """Static methods, and another type for the parameters."""

    @staticmethod
    def forward(x, params):
        return dense(x, params)

    @staticmethod
    def backward(dh, cache):
        dx, dw, db = by_hand(dh, cache)
        return dx, {"W": dw, "b": db}


class Params(NamedTuple):
    W: np.ndarray
    b: np.ndarray


def named_tuple(x, params):
    return x @ params.W + params.b, (x, params)


def named_tuple_backward(dy, cache):
    x, params = cache
    return dy @ params.W.T, Params(x.T @ dy, dy.sum(axis=0))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ((dense, by_hand), dict),
        ((dense, lambda dh, cache: (by_hand(dh, cache)[0], list(by_hand(dh, cache)[1:]))), dict),
        ((dense, lambda dh, cache: dict(zip(["x", "W", "b"], by_hand(dh, cache), strict=True))), dict),
        (Dense, dict),
        ((named_tuple, named_tuple_backward), Params),
    ],
    ids=["one by one", "in a list", "all in a dict", "static", "named tuple"],
)
def test_gradients_by_a_dict_may_come_in_other_ways(target, kind):
    rng = np.random.default_rng(0)
    report = check_gradients(target, rng.normal(size=(5, 3)), kind(W=rng.normal(size=(3, 2)), b=rng.normal(size=2)))
    assert report.ok and len(report.arrays) == 3, report


def test_a_reference_takes_the_dict_too():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(5, 3)), {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
    assert check_gradients((dense, by_hand), *arrays, reference=lambda x, p: np.tanh(x @ p["W"] + p["b"])).ok
    report = check_gradients((dense, by_hand), *arrays, reference=lambda x, p: np.tanh(x @ p["W"] - p["b"]))
    assert [verdict.mistake for verdict in report.verdicts] == ["wrong-forward"]


def test_what_stands_beside_a_dict_is_due_as_well():
    rng = np.random.default_rng(0)
    pair = dense, lambda dh, cache: dense_backward(dh, cache)[1]
    report = check_gradients(pair, rng.normal(size=(5, 3)), {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)})
    assert "gradient-missing" in [verdict.mistake for verdict in report.verdicts if verdict.array == "x"]


def loss_of_two(weight, bias, x, targets):
    residual = x @ weight + bias - targets
    return 0.5 * (residual**2).sum(), {"weight": x.T @ residual, "bias": residual.mean(axis=0)}


def loss_of_two_in_order(weight, bias, x, targets):
    loss, grads = loss_of_two(weight, bias, x, targets)
    return loss, grads["weight"], grads["bias"]


@pytest.mark.parametrize("loss", [loss_of_two, loss_of_two_in_order])
def test_a_loss_alone_is_checked_by_all_that_it_gives_gradients_by(loss):
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    report = check_gradients(loss, *arrays)
    assert {name: array.ok for name, array in report.arrays.items()} == {"weight": True, "bias": False}


def test_an_argument_that_cannot_be_copied_is_one_line():
    with pytest.raises(TypeError, match="a check works on copies of what a forward is given"):
        check_gradients((dense, dense_backward), X, {"W": np.ones((4, 2)), "b": np.ones(2), "lock": threading.Lock()})


# Gradients behind those of the inputs -------------------------------------------------------------------------------


class Returns:
    """A layer whose backward returns the gradients of its parameters, too."""

    def __init__(self, weight, bias):
        self.W, self.b = weight, bias

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        return dy @ self.W.T, self.x.T @ dy, dy.mean(axis=0)


class ReturnsADict(Returns):
    def backward(self, dy):
        dx, dw, db = super().backward(dy)
        return dx, {"W": dw, "b": db}


class ReturnsATuple(Returns):
    def backward(self, dy):
        dx, *others = super().backward(dy)
        return dx, tuple(others)


class HoldsADict(Returns):
    def __init__(self, weight, bias):
        self.params = {"W": weight, "b": bias}

    W = property(lambda self: self.params["W"])
    b = property(lambda self: self.params["b"])


@pytest.mark.parametrize("kind", [Returns, ReturnsADict, ReturnsATuple, HoldsADict])
def test_a_backward_may_return_the_gradients_of_parameters_too(kind):
    rng = np.random.default_rng(0)
    report = check_gradients(kind(rng.normal(size=(3, 2)), rng.normal(size=2)), rng.normal(size=(5, 3)))
    assert {name: array.ok for name, array in report.arrays.items()} == {"x": True, "W": True, "b": False}
    assert [verdict.mistake for verdict in report.verdicts] == ["batch-size-factor"] and not report.unchecked


class ReturnsOne(Returns):
    def backward(self, dy):
        return super().backward(dy)[:2]


def test_a_gradient_that_is_not_returned_was_not_checked():
    rng = np.random.default_rng(0)
    report = check_gradients(ReturnsOne(rng.normal(size=(3, 2)), rng.normal(size=2)), rng.normal(size=(5, 3)))
    assert report.ok and list(report.arrays) == ["x", "W"] and report.unchecked == ["b"]


# What a class or its forward may do ---------------------------------------------------------------------------------


class Scaled:
    factor = 3.0

    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return Scaled.factor * np.exp(x)

    @staticmethod
    def backward(ctx, dy):
        return Scaled.factor * dy * ctx.x


def test_a_class_that_names_itself_is_read():
    (verdict,) = check_gradients(Scaled, np.random.default_rng(0).normal(size=(3, 4))).verdicts
    assert verdict.line and "np.exp(ctx.x)" in verdict.fix


class Locked:
    def __init__(self):
        self.lock = threading.RLock()

    def forward(self, x):
        with self.lock:
            self.x = x
        return x**2

    def backward(self, dy):
        return 2 * self.x * dy


def test_a_layer_may_have_a_lock():
    assert check_gradients(Locked(), np.random.default_rng(0).normal(size=(3, 4))).ok


def picked(points, table=None):
    return points * table[np.floor(points).astype(int)], (points, table)


def picked_backward(dy, cache):
    points, table = cache
    return dy * table[np.floor(points).astype(int)]


def test_a_forward_need_not_take_other_arrays():
    points, table = np.array([0.5, 1.95, 2.95]), np.array([1.0, 3.0, 2.0])
    assert check_gradients((picked, picked_backward), points, kwargs={"table": table}).ok


def doubling(x):
    levels = []
    while x.shape[1] > 1:
        levels.insert(0, (x[:, 0::2] - x[:, 1::2]) / np.sqrt(2))
        x = (x[:, 0::2] + x[:, 1::2]) / np.sqrt(2)
    return np.concatenate([x, *levels], axis=1), None


def doubling_backward(dy, cache):
    dx, at = dy[:, :1], 1
    while at < dy.shape[1]:
        part = dy[:, at : 2 * at]
        dx = np.concatenate([(dx + part) / np.sqrt(2), (dx - part) / np.sqrt(2)], axis=1)
        at *= 2
    return dx


def test_a_change_that_doubles_an_array_again_and_again_is_stopped():
    tracemalloc.start()
    (verdict,) = check_gradients((doubling, doubling_backward), np.random.default_rng(0).normal(size=(3, 8))).verdicts
    assert verdict.variable == "dx" and tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()


def mean_of_bags(table, bags=None):
    return np.stack([table[bag].mean(axis=0) for bag in bags]), (table, bags)


def mean_of_bags_backward(dy, cache):
    table, bags = cache
    dtable = np.zeros_like(table)
    for row, bag in zip(dy, bags, strict=True):
        for i in bag:
            dtable[i] += row
    return dtable


def test_lists_of_several_lengths_may_be_options():
    (verdict,) = check_gradients(
        (mean_of_bags, mean_of_bags_backward),
        np.random.default_rng(0).normal(size=(5, 3)),
        kwargs={"bags": [[0, 1, 1], [2, 4], [1, 3, 0, 2]]},
    ).verdicts
    assert verdict.variable == "dtable[i]" and verdict.line


def log_odds(p):
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("shares lie between 0 and 1")
    return np.log(p / (1 - p)), p


def test_a_domain_hides_no_wrong_gradient():
    (verdict,) = check_gradients((log_odds, lambda dy, p: dy / (p * p)), np.array([0.2, 0.9, 0.4])).verdicts
    assert verdict.mistake == "wrong-variable" and "(1 - p)" in verdict.fix


def test_at_the_edge_of_a_domain_it_is_said_that_the_arrays_given_are_taken():
    (verdict,) = check_gradients((log_odds, lambda dy, p: dy / (p * (1 - p))), np.array([0.2, 1 - 1e-14])).verdicts
    assert verdict.mistake == "forward-raises" and "a little beside those given, which it takes" in verdict.message


def elu(x, alpha=1.0):
    y = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return y, (x, y, alpha)


def elu_backward(dy, cache):
    x, y, _alpha = cache
    return dy * np.where(x > 0, 1, y)


def test_a_branch_that_is_there_is_not_said_to_be_missing():
    x = np.random.default_rng(0).normal(size=(5, 3))
    (verdict,) = check_gradients((elu, elu_backward), x, kwargs={"alpha": 0.7}).verdicts
    assert verdict.mistake == "formula-slip" and "y + _alpha" in verdict.fix
