"""The public tests: what the forwards compute, and backwards beside differences of them."""

import functools
import unittest

import numpy as np

import layers


def slope(function, x, dy, step=1e-6):
    """The numeric gradient of Σ dy f(x) by each number of x."""
    gradient = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        change = np.zeros_like(x)
        change[place] = step
        gradient[place] = ((function(x + change) - function(x - change)) * dy).sum() / (2 * step)
    return gradient


class TestLayers(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(0)
        self.x, self.dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
        self.gamma, self.beta = rng.normal(size=3), rng.normal(size=3)

    def test_leaky_relu_forward(self):
        y, _ = layers.leaky_relu_forward(np.array([-2.0, 3.0]))
        np.testing.assert_allclose(y, [-2 * layers.LEAKY_SLOPE, 3])

    def test_leaky_relu_backward(self):
        _, cache = layers.leaky_relu_forward(self.x)
        (dx,) = layers.leaky_relu_backward(self.dy, cache)
        np.testing.assert_allclose(dx, slope(lambda x: layers.leaky_relu_forward(x)[0], self.x, self.dy), atol=1e-7)

    def test_layer_norm_forward(self):
        y, _ = layers.layer_norm_forward(self.x, np.ones(3), np.zeros(3))
        np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-7)
        np.testing.assert_allclose(y.var(axis=1), 1, atol=1e-3)

    def test_layer_norm_backward(self):
        _, cache = layers.layer_norm_forward(self.x, self.gamma, self.beta)
        dx, dgamma, dbeta = layers.layer_norm_backward(self.dy, cache)
        forward = functools.partial(layers.layer_norm_forward, gamma=self.gamma, beta=self.beta)
        np.testing.assert_allclose(dx, slope(lambda x: forward(x)[0], self.x, self.dy), atol=1e-6)
        self.assertEqual((dgamma.shape, dbeta.shape), ((3,), (3,)))


if __name__ == "__main__":
    unittest.main()
