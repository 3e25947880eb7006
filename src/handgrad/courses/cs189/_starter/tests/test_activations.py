"""Activations: forward(Z) and backward(Z, dY)."""

import unittest
from typing import Any

import numpy as np
from neural_networks.activations import ArcTan, Linear, ReLU, Sigmoid, SoftMax, TanH
from tests.cases import arrays_of


class ActivationTest:
    """The two tests of an activation; a subclass names it and so its file of values."""

    activation: Any

    def test_forward(self) -> None:
        for case in arrays_of(self.activation.__name__):
            np.testing.assert_almost_equal(self.activation().forward(case["input"]), case["output"], decimal=9)

    def test_backward(self) -> None:
        for case in arrays_of(self.activation.__name__):
            gradient = self.activation().backward(case["input"], dY=case["upstream_grad"])
            np.testing.assert_almost_equal(gradient, case["backward"], decimal=9)


class TestLinear(ActivationTest, unittest.TestCase):
    activation = Linear


class TestSigmoid(ActivationTest, unittest.TestCase):
    activation = Sigmoid


class TestTanH(ActivationTest, unittest.TestCase):
    activation = TanH


class TestReLU(ActivationTest, unittest.TestCase):
    activation = ReLU


class TestSoftMax(ActivationTest, unittest.TestCase):
    activation = SoftMax


class TestArcTan(ActivationTest, unittest.TestCase):
    activation = ArcTan


if __name__ == "__main__":
    unittest.main()
