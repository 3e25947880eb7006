"""gradient_check: numeric gradients by central differences, entry by entry; handgrad.check_gradients says more.

Every function moves the entries of x in place and puts them back.
"""

from collections.abc import Callable, Iterable
from random import randrange
from typing import Any

import numpy as np

from ...arrays import Array, ArrayLike


def difference(f: Callable[[Array], Any], x: Array, index: tuple[int, ...], h: float) -> Array:
    """f(x + h) - f(x - h) in one entry of x; TypeError where x has whole numbers, which no such h would move."""
    if x.dtype.kind in "iub":
        raise TypeError(
            f"x must have floating-point numbers, got {x.dtype}, which a step of {h:g} leaves as they are: "
            "pass x.astype(float)"
        )
    value = x[index]
    x[index] = value + h
    above = np.copy(f(x))
    x[index] = value - h
    below = np.copy(f(x))
    x[index] = value
    change: Array = above - below
    return change


def eval_numerical_gradient(f: Callable[[Array], Any], x: Array, verbose: bool = True, h: float = 0.00001) -> Array:
    """The gradient of a number f(x); verbose prints each entry."""
    grad = eval_numerical_gradient_array(f, x, 1.0, h)
    if verbose:
        print(*(f"{index} {value}" for index, value in np.ndenumerate(grad)), sep="\n")
    return grad


def eval_numerical_gradient_array(f: Callable[[Array], Any], x: Array, df: ArrayLike, h: float = 1e-5) -> Array:
    """The gradient of Σ f(x) df for an array f(x)."""
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        grad[index] = np.sum(difference(f, x, index, h) * df) / (2 * h)
    return grad


def eval_numerical_gradient_blobs(
    f: Callable[..., Any], inputs: Iterable[Any], output: Any, h: float = 1e-5
) -> list[Array]:
    """Gradients by each input blob of f(*inputs, output), which writes output.vals; blobs have vals and diffs."""

    def vals(_: Array) -> Any:
        f(*inputs, output)
        return output.vals

    return [eval_numerical_gradient_array(vals, blob.vals, output.diffs, h) for blob in inputs]


def eval_numerical_gradient_net(net: Any, inputs: Iterable[Any], output: Any, h: float = 1e-5) -> list[Array]:
    """The same for a net with a forward()."""
    return eval_numerical_gradient_blobs(lambda *args: net.forward(), inputs, output, h=h)


def grad_check_sparse(
    f: Callable[[Array], Any], x: Array, analytic_grad: Array, num_checks: int = 10, h: float = 1e-5
) -> None:
    """Print numeric beside given gradients of a number f(x) in entries drawn by Python's random."""
    for _ in range(num_checks):
        index = tuple(randrange(m) for m in x.shape)
        compare(difference(f, x, index, h) / (2 * h), analytic_grad[index])


def compare(numerical: Array, analytic: Array) -> None:
    """Print two numbers and how far they are apart."""
    error = abs(numerical - analytic) / (abs(numerical) + abs(analytic))
    print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {error:e}")
