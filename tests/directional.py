"""The exact derivative of a pair along a random direction, by complex step."""

import numpy as np


def assert_backward_is_exact(forward, backward, *arrays, seed=0, **keywords):
    """Both sides of <dy, dy/dε f(arrays + ε v)> = Σ <darray, v>: the left by complex step, exact to rounding."""
    rng = np.random.default_rng(seed)
    y, cache = forward(*arrays, **keywords)
    dy = rng.normal(size=y.shape)
    gradients = backward(dy, cache)
    assert len(gradients) == len(arrays)
    for k, gradient in enumerate(gradients):
        direction = rng.normal(size=arrays[k].shape)
        moved = [a + 1e-200j * direction if i == k else a for i, a in enumerate(arrays)]
        by_step = np.sum(dy * forward(*moved, **keywords)[0].imag) / 1e-200
        assert gradient.shape == arrays[k].shape
        np.testing.assert_allclose(np.sum(gradient * direction), by_step, rtol=1e-11, atol=1e-11)
