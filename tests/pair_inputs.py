"""Example inputs for the table of pairs: each function takes rng and sizes and returns the array arguments."""

import numpy as np


def away_from(kinks, rng, shape, gap=0.05):
    """Normal numbers, each at least gap away from every kink."""
    x = rng.standard_normal(shape)
    while (close := np.min([abs(x - kink) for kink in kinks], axis=0) < gap).any():
        x[close] = rng.standard_normal(close.sum())
    return x


def draw(rng, n=3, k=2, c=4):
    return (rng.standard_normal((n, k, c)),)


def draw_kinked(rng, n=3, k=2, c=4):
    return (away_from([0], rng, (n, k, c)),)


def draw_linear(rng, n=3, features=4, out=2):
    return rng.standard_normal((n, features)), rng.standard_normal((features, out)), rng.standard_normal(out)


def draw_labels(rng, n=4, c=3):
    return rng.standard_normal((n, c)), rng.integers(0, c, n)


def draw_distributions(rng, n=4, c=3):
    return rng.standard_normal((n, c)), rng.dirichlet(np.ones(c), n)


def draw_probabilities_and_labels(rng, n=4, c=3):
    return rng.dirichlet(np.full(c, 5.0), n), rng.integers(0, c, n)


def draw_probabilities_and_distributions(rng, n=4, c=3):
    return rng.dirichlet(np.full(c, 5.0), n), rng.dirichlet(np.ones(c), n)


def certain_probabilities(rng, arrays):
    probabilities, targets = arrays
    return np.eye(probabilities.shape[1])[rng.integers(0, probabilities.shape[1], len(targets))], targets


def draw_yes_or_no(rng, n=4, c=2):
    return rng.standard_normal((n, c)), rng.integers(0, 2, (n, c))


def draw_yes_or_no_row(rng, n=4):
    return rng.standard_normal((n, 1)), rng.random(n)


def draw_regression(rng, n=4, c=2):
    """Differences away from 0 and from huber's ±delta."""
    targets = rng.standard_normal((n, c))
    return targets + away_from([-1, -0.5, 0, 0.5, 1], rng, (n, c)), targets


def draw_regression_row(rng, n=4):
    outputs, targets = draw_regression(rng, n, 1)
    return outputs, targets[:, 0]


def draw_hinge(rng, n=4, c=3):
    """Margins away from 0."""
    scores, targets = draw_labels(rng, n, c)
    others = away_from([-1], rng, (n, c))
    scores = scores[np.arange(n), targets][:, None] + others
    scores[np.arange(n), targets] -= others[np.arange(n), targets]
    return scores, targets


def draw_convolution(rng, n=2, height=3, width=2, c=2, out=3):
    """Images at least as large as the kernel dilated by 2."""
    return (
        rng.standard_normal((n, height + 3, width + 2, c)),
        rng.standard_normal((3, 2, c, out)),
        rng.standard_normal(out),
    )


def draw_grouped_convolution(rng, n=2, height=3, width=2, c=2, out=1):
    x, weight, _ = draw_convolution(rng, n, height, width, 2 * c, 2 * out)
    return x, weight[:, :, :c], rng.standard_normal(2 * out)


def draw_distinct_images(rng, n=2, height=3, width=2, c=2):
    """No two pixels within 0.05 of each other: no maximum changes hands."""
    shape = n, height + 2, width + 2, c
    return (rng.permutation(np.linspace(-3, 3, np.prod(shape) + 1)[1:]).reshape(shape),)


def draw_images(rng, n=2, height=3, width=2, c=2):
    return (rng.standard_normal((n, height, width, c)),)


def draw_features(rng, n=4, c=3):
    return rng.standard_normal((n + 1, c)), rng.standard_normal(c), rng.standard_normal(c)


def draw_image_features(rng, n=2, height=3, width=2, c=2):
    return rng.standard_normal((n + 1, height, width, c)), rng.standard_normal(c), rng.standard_normal(c)


def draw_recurrent(rng, n, steps, features, units, blocks):
    return (
        rng.standard_normal((n, steps, features)),
        rng.standard_normal((n, units)),
        rng.standard_normal((features, blocks * units)),
        rng.standard_normal((units, blocks * units)),
        rng.standard_normal(blocks * units),
    )


def draw_rnn(rng, n=2, steps=3, features=2, units=3):
    return draw_recurrent(rng, n, steps, features, units, blocks=1)


def draw_lstm(rng, n=2, steps=3, features=2, units=3):
    x, hidden, *weights = draw_recurrent(rng, n, steps, features, units, blocks=4)
    return x, hidden, rng.standard_normal((n, units)), *weights
