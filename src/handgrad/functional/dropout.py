"""Dropout: in training each number is switched off at random, so that no unit can lean on another.

>>> y, cache = dropout_forward(np.ones(6), rate=0.5, rng=1)
>>> y
array([2., 0., 2., 2., 2., 2.])
>>> dropout_backward(np.ones(6), cache)[0]
array([2., 0., 2., 2., 2., 2.])

Derivations: docs/derivations/dropout.md.
"""

import numpy as np

from ..arrays import Array, Cache, Seed
from ..naming import check_number


def dropout_forward(x: Array, rate: float = 0.5, rng: Seed = None, training: bool = True) -> tuple[Array, Cache]:
    """y = x mask / (1 - rate), where each entry of mask is 0 with probability rate, else 1.

    x and y have any shape. Dividing in training ('inverted' dropout) keeps the expected y at x, so that outside
    training y is simply x. rng is a np.random.Generator or an int seed. (Srivastava et al. 2014)
    """
    check_number("dropout", "rate, the probability of dropping,", rate, minimum=0, below=1)
    if not training or rate == 0:
        return x, None
    if rng is None:
        raise ValueError("dropout: training needs rng=, a np.random.Generator or an int seed")
    # 16 random bits an entry, whatever the dtype: the rate is exact to 1/131072, and drawing takes a third of the time
    # that random floats take. A rate nearer to 0 than that drops nothing, and one nearer to 1 drops everything.
    bits = np.random.default_rng(rng).integers(0, 1 << 64, -(-x.size // 4), dtype=np.uint64).view(np.uint16)
    kept = bits[: x.size].reshape(x.shape) >= round(rate * (1 << 16))
    mask = kept * np.result_type(x.real, np.float16).type(1 / (1 - rate))
    return x * mask, mask


def dropout_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dx = dy mask / (1 - rate): what was switched off gets no gradient."""
    return (dy if cache is None else dy * cache,)
