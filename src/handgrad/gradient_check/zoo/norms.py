"""Wrong versions of normalisation and dropout."""

import numpy as np

from ... import functional as F
from .specimens import wrong

MOVES = "Mean and variance move with every x of the batch, so dy loses its mean and its part along x̂."


def parts(c, epsilon=None, ddof=0):
    """x̂ and 1 / √(var + epsilon) of a batch norm."""
    axes = tuple(range(c.x.ndim - 1))
    scale = 1 / np.sqrt(c.x.var(axis=axes, ddof=ddof) + (c.epsilon if epsilon is None else epsilon))
    return (c.x - c.x.mean(axis=axes)) * scale, scale


def batch_norm_dx(dy, gamma, normalized, scale):
    axes = tuple(range(dy.ndim - 1))
    return gamma * scale * (dy - dy.mean(axis=axes) - normalized * (dy * normalized).mean(axis=axes))


@wrong("batch norm", "statistics-constant", MOVES)
def statistics_constant(dy, c):
    _, scale = parts(c)
    return dy * c.gamma * scale, *c.right[1:]


@wrong("batch norm", "statistics-constant", MOVES)
def variance_constant(dy, c):
    _, scale = parts(c)
    return c.gamma * scale * (dy - dy.mean(axis=0)), *c.right[1:]


@wrong("batch norm of images", "statistics-constant", MOVES)
def mean_constant(dy, c):
    normalized, scale = parts(c)
    return c.gamma * scale * (dy - normalized * (dy * normalized).mean(axis=(0, 1, 2))), *c.right[1:]


@wrong("batch norm", "not-averaged", "The two terms are means over the batch, not sums.")
def sums_for_means(dy, c):
    normalized, scale = parts(c)
    return c.gamma * scale * (dy - dy.sum(axis=0) - normalized * (dy * normalized).sum(axis=0)), *c.right[1:]


@wrong("batch norm", "wrong-sign", "Both terms are subtracted.")
def variance_term_added(dy, c):
    normalized, scale = parts(c)
    return c.gamma * scale * (dy - dy.mean(axis=0) + normalized * (dy * normalized).mean(axis=0)), *c.right[1:]


@wrong("batch norm", "parameter-ignored", "y = gamma x̂ + beta: gamma multiplies every gradient that comes back.")
def gamma_ignored(dy, c):
    return batch_norm_dx(dy, 1.0, *parts(c)), *c.right[1:]


@wrong("batch norm", "unnormalized-input", "dgamma = Σ dy x̂, with the normalised x.")
def dgamma_with_x(dy, c):
    return c.right[0], (dy * c.x).sum(axis=0), c.right[2]


@wrong("batch norm", "unnormalized-input", "dgamma = Σ dy x̂; y has gamma and beta in it.")
def dgamma_with_y(dy, c):
    return c.right[0], (dy * c.y).sum(axis=0), c.right[2]


@wrong("batch norm", "batch-size-factor", "gamma and beta are shared by all examples: sum.")
def dbeta_averaged(dy, c):
    return *c.right[:2], dy.mean(axis=0)


@wrong("batch norm", "gradient-missing", "beta is a parameter too.")
def dbeta_forgotten(dy, c):
    return *c.right[:2], np.zeros_like(c.beta)


@wrong("batch norm", "not-summed", "gamma is shared by all examples: sum over them.")
def dgamma_not_summed(dy, c):
    return c.right[0], dy * parts(c)[0], c.right[2]


@wrong(
    "batch norm of images",
    "not-summed",
    "In images the statistics and the sums run over the batch and both image axes.",
)
def dgamma_summed_over_batch_only(dy, c):
    return c.right[0], (dy * parts(c)[0]).sum(axis=0), c.right[2]


@wrong("batch norm", "wrong-axis", "Sum over the examples, axis 0.")
def dbeta_over_features(dy, c):
    return *c.right[:2], dy.sum(axis=1)


@wrong("batch norm", "keyword-ignored", "1 / √(var + epsilon): the backward divides by the same number as the forward.")
def epsilon_forgotten(dy, c):
    return batch_norm_dx(dy, c.gamma, *parts(c, epsilon=0.0)), *c.right[1:]


@wrong(
    "batch norm", "unbiased-variance", "The forward's variance divides by m; the backward's must not divide by m - 1."
)
def unbiased_variance(dy, c):
    return batch_norm_dx(dy, c.gamma, *parts(c, ddof=1)), *c.right[1:]


@wrong(
    "batch norm with averages",
    "keyword-ignored",
    "In training the batch's own statistics count, not the running averages.",
)
def running_averages_in_training(dy, c):
    return dy * c.gamma / np.sqrt(c.running_var + c.epsilon), *c.right[1:]


@wrong("layer norm", "statistics-constant", "The mean and variance of an example move with each of its features.")
def layer_statistics_constant(dy, c):
    return dy * c.gamma / np.sqrt(c.x.var(axis=1, keepdims=True) + c.epsilon), *c.right[1:]


@wrong(
    "layer norm", "wrong-axis", "Layer norm averages over the features of one example; over the batch it is batch norm."
)
def layer_norm_over_batch(dy, c):
    scale = 1 / np.sqrt(c.x.var(axis=1, keepdims=True) + c.epsilon)
    normalized = (c.x - c.x.mean(axis=1, keepdims=True)) * scale
    g = dy * c.gamma
    return scale * (g - g.mean(axis=0) - normalized * (g * normalized).mean(axis=0)), *c.right[1:]


@wrong("layer norm", "parameter-ignored", "gamma multiplies dy before the means are taken.")
def layer_gamma_ignored(dy, c):
    _, cache = F.layer_norm_forward(c.x, np.ones_like(c.gamma), c.beta)
    return F.layer_norm_backward(dy, cache)[0], *c.right[1:]


@wrong("dropout", "mask-redrawn", "What was switched off forward is switched off backward: keep the mask.")
def mask_redrawn(dy, c):
    kept = np.random.default_rng(99).random(dy.shape) >= c.rate
    return (dy * kept / (1 - c.rate),)


@wrong("dropout", "mask-redrawn", "Drawing from the same generator again gives the next mask, not the same.")
def mask_drawn_from_same_generator(dy, c):
    kept = c.rng.random(dy.shape) >= c.rate
    return (dy * kept / (1 - c.rate),)


@wrong("dropout", "keyword-factor", "Inverted dropout divides by 1 - rate forward, and so backward.")
def scale_forgotten(dy, c):
    return (c.right[0] * (1 - c.rate),)


@wrong("dropout", "keyword-factor", "Divide by the probability of keeping, 1 - rate, not of dropping.")
def divided_by_rate(dy, c):
    return (c.right[0] * (1 - c.rate) / c.rate,)


@wrong("dropout", "derivative-missing", "The mask applies to the gradient as it did to x.")
def mask_forgotten(dy, c):
    return (dy / (1 - c.rate),)


@wrong("dropout", "derivative-missing", "Outside training dropout is the identity; in training it is not.")
def inference_backward(dy, c):
    return (dy,)
