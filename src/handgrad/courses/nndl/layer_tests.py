"""nndl.layer_tests: the homework's own checks, which print how far each layer is from what it should give.

handgrad.check_gradients says more: which array is wrong, and what was forgotten.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...arrays import Array, Cache
from ..cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array
from . import layer_utils, layers
from .fc_net import FullyConnectedNet
from .layer_utils import *


def rel_error(x: Array, y: Array) -> float:
    """max |x - y| / max(1e-8, |x| + |y|)."""
    error: float = np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))
    return error


def affine_forward_test() -> None:
    """Compare with printed values."""
    x = np.linspace(-0.1, 0.5, num=240).reshape(2, 4, 5, 6)
    w, b = np.linspace(-0.2, 0.3, num=360).reshape(120, 3), np.linspace(-0.3, 0.1, num=3)
    out, _ = layers.affine_forward(x, w, b)
    expected = np.array([[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]])
    report("affine_forward", "1e-9", difference=rel_error(out, expected))


def affine_backward_test() -> None:
    """Compare with numeric gradients at random points."""
    x, w, b, dout = (np.random.randn(*shape) for shape in ((10, 2, 3), (6, 5), (5,), (10, 5)))
    _, cache = layers.affine_forward(x, w, b)
    errors = gradient_errors(layers.affine_forward, (x, w, b), dout, layers.affine_backward(dout, cache))
    report("affine_backward", "1e-9", dx=errors[0], dw=errors[1], db=errors[2])


def relu_forward_test() -> None:
    """Compare with printed values."""
    out, _ = layers.relu_forward(np.linspace(-0.5, 0.5, num=12).reshape(3, 4))
    expected = np.array([[0, 0, 0, 0], [0, 0, 0.04545455, 0.13636364], [0.22727273, 0.31818182, 0.40909091, 0.5]])
    report("relu_forward", "1e-7", difference=rel_error(out, expected))


def relu_backward_test() -> None:
    """Compare with numeric gradients at random points."""
    x, dout = np.random.randn(10, 10), np.random.randn(10, 10)
    _, cache = layers.relu_forward(x)
    (error,) = gradient_errors(layers.relu_forward, (x,), dout, (layers.relu_backward(dout, cache),))
    report("relu_backward", "1e-11", dx=error)


def affine_relu_test() -> None:
    """Compare with numeric gradients at random points."""
    x, w, b, dout = (np.random.randn(*shape) for shape in ((2, 3, 4), (12, 10), (10,), (2, 10)))
    _, cache = layer_utils.affine_relu_forward(x, w, b)
    analytic = layer_utils.affine_relu_backward(dout, cache)
    errors = gradient_errors(layer_utils.affine_relu_forward, (x, w, b), dout, analytic)
    report("affine_relu_forward and affine_relu_backward", "1e-9", dx=errors[0], dw=errors[1], db=errors[2])


def fc_net_test() -> None:
    """Compare the gradients of a network of three layers with numeric ones, without and with a penalty."""
    N, D, H1, H2, C = 2, 15, 20, 30, 10
    X, y = np.random.randn(N, D), np.random.randint(C, size=(N,))
    for reg in (0, 3.14):
        print(f"Running check with reg = {reg}")
        check_net(FullyConnectedNet([H1, H2], D, C, reg=reg, weight_scale=5e-2, dtype=np.float64), X, y)


def check_net(model: Any, X: Array, y: Array) -> None:
    loss, grads = model.loss(X, y)
    print(f"Initial loss: {loss}")
    for name in sorted(grads):
        numeric = eval_numerical_gradient(lambda _: model.loss(X, y)[0], model.params[name], verbose=False)
        print(f"{name} relative error: {rel_error(numeric, grads[name])}")


def gradient_errors(
    forward: Callable[..., tuple[Array, Cache]], arrays: Sequence[Array], dout: Array, analytic: Sequence[Array]
) -> list[float]:
    """rel_error of each array's gradient."""
    return [
        rel_error(eval_numerical_gradient_array(lambda _: forward(*arrays)[0], array, dout), gradient)
        for array, gradient in zip(arrays, analytic, strict=True)
    ]


def report(name: str, bound: str, **errors: float) -> None:
    print(f"If {name} is right, the error should be below {bound}:")
    for what, error in errors.items():
        print(f"{what}: {error}" if what == "difference" else f"{what} error: {error}")
