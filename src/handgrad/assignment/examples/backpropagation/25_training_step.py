"""Training is this, many times.

Forward, loss, gradients, a step against them. Here for a line through points: the output is x @ w + b, the loss the
mean of the squares of (output - y). The gradients you know from the layer and from the loss.
"""


def training_step(x, y, w, b, learning_rate):
    """(new w, new b) after one step of gradient descent for x (N, in), y (N,), w (in,) and a number b."""
    output = x @ w + b
    doutput = 2 * (output - y) / len(y)
    return w - learning_rate * (x.T @ doutput), b - learning_rate * doutput.sum()
