"""Losses: forward(Y, Y_hat) and backward(Y, Y_hat)."""

import unittest
from typing import Any

import numpy as np
from neural_networks.losses import L2, CrossEntropy
from tests.cases import arrays_of


class LossTest:
    """The two tests of a loss; a subclass names it and its cases."""

    loss_class: Any
    name: str

    def test_forward(self) -> None:
        for case in arrays_of(self.loss_class.__name__):
            loss = self.loss_class(name=self.name).forward(case["Y"], case["Y_hat"])
            np.testing.assert_almost_equal(loss, case["output"], decimal=9)

    def test_backward(self) -> None:
        for case in arrays_of(self.loss_class.__name__):
            gradient = self.loss_class(name=self.name).backward(case["Y"], case["Y_hat"])
            np.testing.assert_almost_equal(gradient, case["backward"], decimal=7)


class TestCrossEntropy(LossTest, unittest.TestCase):
    loss_class, name = CrossEntropy, "cross_entropy"


class TestL2(LossTest, unittest.TestCase):
    loss_class, name = L2, "l2"


if __name__ == "__main__":
    unittest.main()
