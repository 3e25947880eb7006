"""Which rows train, which validate and which test: seeded, and each class in its share."""

import numpy as np


def draw_rows(groups, count, rng):
    """Choose `count` rows so that each group gives its share to within a row: (the chosen, the others).

    groups (N,) holds the group of each row, 0 upwards. The rows of a group of n, in random order, stand at
    (i + ½)/n of the way through it; the `count` rows of lowest standing are chosen, and ties are drawn.
    """
    shuffled = rng.permutation(len(groups))
    by_group = shuffled[np.argsort(groups[shuffled], kind="stable")]
    sizes = np.bincount(groups)
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    standing = (place + 0.5) / np.repeat(sizes, sizes)
    ranked = by_group[np.lexsort((rng.random(len(groups)), standing))]
    return ranked[:count], ranked[count:]


def num_rows(share, total, what):
    """The rows that `share` of `total` means: a fraction below 1, or a whole number of rows."""
    a_number = isinstance(share, (int, float, np.integer, np.floating)) and not isinstance(share, bool)
    if not a_number or not 0 <= share < total or (share == 1 and isinstance(share, (float, np.floating))):
        raise ValueError(f"{what} is {share!r}; give a fraction from 0 to below 1, or a number of rows below {total}")
    if share == 0:
        return 0
    count = max(1, round(share * total)) if share < 1 else share
    if count != int(count) or count >= total:
        raise ValueError(
            f"{what}={share!r} of {total} rows leaves no rows for training; "
            "give a fraction below 1 or a whole number of rows"
        )
    return int(count)


def three_way(groups, validation, test, seed):
    """Row numbers (train, validation, test); validation is a share of what the test leaves."""
    rng = np.random.default_rng(seed)
    test_rows, rest = draw_rows(groups, num_rows(test, len(groups), "test"), rng)
    chosen, others = draw_rows(groups[rest], num_rows(validation, len(rest), "validation"), rng)
    return rest[others], rest[chosen], test_rows
