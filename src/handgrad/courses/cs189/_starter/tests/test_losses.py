"""Losses: forward(Y, Y_hat) and backward(Y, Y_hat)."""

import unittest
from collections.abc import Iterator
from typing import Any

import numpy as np
from neural_networks.losses import L2, CrossEntropy
from tests import cases
from tests.cases import DATA


class LossTest:
    """The two tests of a loss; a subclass names it and its cases."""

    loss_class: Any
    name: str
    cases: Any

    def each_case(self) -> Iterator[Any]:
        with np.load(DATA / f"{self.loss_class.__name__}.npz") as values:
            for i in range(len(self.cases)):
                yield [values[f"{i}{key}"] for key in ("Y", "Y_hat", "output", "backward")]

    def test_forward(self) -> None:
        for Y, Y_hat, output, _ in self.each_case():
            np.testing.assert_almost_equal(self.loss_class(name=self.name).forward(Y, Y_hat), output, decimal=9)

    def test_backward(self) -> None:
        for Y, Y_hat, _, gradient in self.each_case():
            np.testing.assert_almost_equal(self.loss_class(name=self.name).backward(Y, Y_hat), gradient, decimal=7)


class TestCrossEntropy(LossTest, unittest.TestCase):
    loss_class, name, cases = CrossEntropy, "cross_entropy", cases.CROSS_ENTROPY


class TestL2(LossTest, unittest.TestCase):
    loss_class, name, cases = L2, "l2", cases.L2


if __name__ == "__main__":
    unittest.main()
