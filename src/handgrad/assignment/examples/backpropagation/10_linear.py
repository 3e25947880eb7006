"""A layer of neurons, and a batch of examples.

x (N, in) holds an example in each row, W (in, out) the weights of a neuron in each column: y = x W + b is (N, out).
One entry is y_no = Σ_i x_ni w_io + b_o. The loss depends on w_io through every example, so that its gradient sums
over n; it depends on x_ni through every neuron, so that this one sums over o. The shapes tell you which matrix
products those are.
"""


def linear_forward(x, W, b):
    """y = x W + b; returns (y, cache)."""
    return x @ W + b, (x, W)


def linear_backward(dy, cache):
    """(dx, dW, db) for dy (N, out)."""
    x, W = cache
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)
