"""Layers: outputs, the gradient by the input, and the gradients by the parameters."""

import unittest
from collections.abc import Iterator
from typing import Any

import numpy as np
from neural_networks.layers import Conv2D, Flatten, FullyConnected, Pool2D
from tests import cases


class LayerTest:
    """The tests of a layer; a subclass names it and its cases."""

    layer_class: Any
    cases: Any

    def each_case(self) -> Iterator[Any]:
        """(layer with the case's parameters, the case's arrays) after a first forward, which creates them."""
        for case, arrays in zip(self.cases, cases.arrays_of(self.layer_class.__name__), strict=True):
            layer = self.layer_class(**case.get("layer", {}))
            layer.forward(arrays["input"])
            for name in ("W", "b"):
                if name in arrays:
                    layer.parameters[name] = arrays[name]
            yield layer, arrays

    def test_forward(self) -> None:
        for layer, arrays in self.each_case():
            np.testing.assert_almost_equal(layer.forward(arrays["input"]), arrays["output"], decimal=9)

    def test_backward(self) -> None:
        for layer, arrays in self.each_case():
            layer.forward(arrays["input"])
            dX = layer.backward(arrays["upstream_grad"])
            np.testing.assert_almost_equal(dX, arrays["backward"], decimal=9)
            for name in layer.parameters:
                np.testing.assert_almost_equal(layer.gradients[name], arrays[f"d{name}"], decimal=9)


class TestFullyConnected(LayerTest, unittest.TestCase):
    layer_class, cases = FullyConnected, cases.FULLY_CONNECTED

    def test_init_params(self) -> None:
        for n_in, n_out in ((1, 1), (3, 5), (40, 2)):
            layer = FullyConnected(n_out=n_out, activation="linear")
            layer._init_parameters((-1, n_in))
            self.assertEqual(layer.n_in, n_in)
            for arrays in (layer.parameters, layer.gradients):
                shapes = {name: array.shape for name, array in arrays.items()}
                self.assertEqual(shapes, {"W": (n_in, n_out), "b": (1, n_out)})
            self.assertFalse(any(gradient.any() for gradient in layer.gradients.values()))


class TestConv2D(LayerTest, unittest.TestCase):
    layer_class, cases = Conv2D, cases.CONV2D


class TestPool2D(LayerTest, unittest.TestCase):
    layer_class, cases = Pool2D, cases.POOL2D


class TestFlatten(LayerTest, unittest.TestCase):
    layer_class, cases = Flatten, cases.FLATTEN


if __name__ == "__main__":
    unittest.main()
