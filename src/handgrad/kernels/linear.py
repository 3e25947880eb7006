"""The affine map's products, cut along the features and shared among threads."""

import numpy as np

from .threads import share


def linear(x, weight, bias):
    """y = x weight + bias, each thread a range of the outputs."""
    y = np.empty((len(x), weight.shape[1]), np.result_type(x, weight))

    def part(worker, start, stop):
        y[:, start:stop] = x @ weight[:, start:stop]
        y[:, start:stop] += bias[start:stop]

    share(weight.shape[1], part, len(x) * weight.size)
    return y


def linear_gradients(x, weight, dy, dweight, dbias, input_gradient):
    """dx or None, each thread a range of the inputs; dweight and dbias are written."""
    dx = np.empty_like(x) if input_gradient else None

    def part(worker, start, stop):
        np.matmul(x[:, start:stop].T, dy, out=dweight[start:stop])
        if input_gradient:
            dx[:, start:stop] = dy @ weight[start:stop].T

    share(weight.shape[0], part, 2 * len(x) * weight.size)
    np.sum(dy, axis=0, out=dbias)
    return dx
