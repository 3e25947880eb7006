"""Layer normalization, and the leaky ReLU of the network around it: forward and backward as pairs."""

import numpy as np

LEAKY_SLOPE = 0.01


def leaky_relu_forward(x):
    """y = x where x > 0, else LEAKY_SLOPE x; returns (y, cache)."""
    return np.where(x > 0, x, LEAKY_SLOPE * x), x


def leaky_relu_backward(dy, cache):
    """(dx,): dy where x > 0, else LEAKY_SLOPE dy."""
    return (dy * np.where(cache > 0, 1.0, LEAKY_SLOPE),)


def layer_norm_forward(x, gamma, beta, epsilon=1e-5):
    """y = gamma x̂ + beta for x (N, D), gamma and beta (D,); returns (y, cache).

    x̂ = (x - mean) / √(var + epsilon), where mean and (biased) variance are those of each example: a row of x.
    """
    mean = x.mean(axis=1, keepdims=True)
    scale = 1 / np.sqrt(x.var(axis=1, keepdims=True) + epsilon)
    normalized = (x - mean) * scale
    return gamma * normalized + beta, (normalized, gamma, scale)


def layer_norm_backward(dy, cache):
    """(dx, dgamma, dbeta) for dy (N, D).

    Mean and variance depend on x as well: with g = gamma dy, what is lost by it are the parts of g along 1 and x̂.
    """
    normalized, gamma, scale = cache
    g = gamma * dy
    along = (g * normalized).mean(axis=1, keepdims=True)
    dx = scale * (g - g.mean(axis=1, keepdims=True) - normalized * along)
    return dx, (dy * normalized).sum(axis=0), dy.sum(axis=0)
