"""Minibatches: an order of the rows, cut into pieces. The data set itself is never copied."""

import numpy as np

from ..naming import check_count


def epoch_order(num_rows, generator=None):
    """The rows in the order of one epoch: shuffled by the generator, or as they come without one."""
    return np.arange(num_rows) if generator is None else generator.permutation(num_rows)


def batches(order, batch_size, skip=0):
    """Yield the row numbers of each batch; the last may be short. skip: how many batches are done already."""
    for start in range(skip * batch_size, len(order), batch_size):
        yield order[start : start + batch_size]


def streams(seed):
    """One seed as four generators that never meet: {'init', 'shuffle', 'dropout', 'augment'}."""
    if seed is not None:
        check_count("Trainer", "seed", seed, minimum=0)
    children = np.random.SeedSequence(seed).spawn(4)
    names = ("init", "shuffle", "dropout", "augment")
    return {name: np.random.default_rng(child) for name, child in zip(names, children, strict=True)}
