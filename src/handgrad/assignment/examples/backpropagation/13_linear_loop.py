"""The same layer, a hundred times as fast.

The three loops below are right, and each entry of y costs a line of Python for every input. NumPy does the loops in
compiled code when the whole is said as one product. Say it so.

    y = np.zeros((len(x), W.shape[1]))
    for n in range(len(x)):
        for o in range(W.shape[1]):
            y[n, o] = b[o]
            for i in range(len(W)):
                y[n, o] += x[n, i] * W[i, o]
    return y
"""


def linear(x, W, b):
    """y = x W + b for x (N, in), W (in, out) and b (out,), without a loop in Python."""
    return x @ W + b
