"""The affine map y = x W + b, and flatten, which lays pictures out as rows for it.

>>> x, weight, bias = np.array([[1.0, 2.0]]), np.array([[1.0], [10.0]]), np.array([0.5])
>>> y, cache = linear_forward(x, weight, bias)
>>> y
array([[21.5]])
>>> dx, dweight, dbias = linear_backward(np.array([[2.0]]), cache)
>>> dx, dweight, dbias
(array([[ 2., 20.]]), array([[2.],
       [4.]]), array([2.]))

Derivations: docs/derivations/linear.md.
"""

from math import prod

from ..arrays import Array, Cache, MaybeArray


def linear_forward(x: Array, weight: Array, bias: Array) -> tuple[Array, Cache]:
    """Map x (N, in) through weight (in, out) and bias (out,) to y (N, out)."""
    return x @ weight + bias, (x, weight)


def linear_backward(dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array]:
    """dx = dy Wᵀ, dweight = xᵀ dy, dbias = Σ dy over the rows.

    input_gradient=False puts None in dx's place: nothing below the first layer needs it.
    """
    x, weight = cache
    dx = dy @ weight.T if input_gradient else None
    return dx, x.T @ dy, dy.sum(axis=0)


def flatten_forward(x: Array) -> tuple[Array, Cache]:
    """Lay each example of x (N, ...) out as one row: y (N, features), in C order."""
    return x.reshape(len(x), prod(x.shape[1:])), x.shape


def flatten_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx is dy in the shape of x."""
    return (dy.reshape(cache),)


def over_steps(x: Array, weight: Array, bias: Array) -> tuple[Array, Cache]:
    """y_t = x_t W + b for all steps of x (N, T, in), in one product."""
    y, cache = linear_forward(x.reshape(-1, x.shape[-1]), weight, bias)
    return y.reshape(*x.shape[:-1], y.shape[-1]), cache


def over_steps_gradients(dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array]:
    """dx, dweight and dbias of y_t = x_t W + b: the steps are so many more rows."""
    dx, dweight, dbias = linear_backward(dy.reshape(-1, dy.shape[-1]), cache, input_gradient)
    return None if dx is None else dx.reshape(*dy.shape[:-1], dx.shape[-1]), dweight, dbias
