"""The pooling layers: shapes, gradients, and messages that name them."""

import numpy as np
import pytest

import handgrad as hg


@pytest.mark.parametrize(
    ("layer", "output_shape"),
    [
        (hg.MaxPool2D(), (3, 3, 2)),
        (hg.MaxPool2D(3, stride=2, padding=1), (4, 3, 2)),
        (hg.AvgPool2D((2, 1)), (3, 6, 2)),
        (hg.AvgPool2D(3, 1, padding="same"), (7, 6, 2)),
        (hg.GlobalAvgPool2D(), (2,)),
    ],
)
def test_shapes_and_gradients(layer, output_shape):
    layer.build((7, 6, 2), dtype=np.float64)
    assert layer.output_shape == output_shape
    x = np.random.default_rng(0).standard_normal((3, 7, 6, 2))
    assert layer.forward(x).shape == (3, *output_shape)
    assert hg.check_gradients(layer, x).ok


@pytest.mark.parametrize("layer", [hg.MaxPool2D(name="p"), hg.AvgPool2D(name="p"), hg.GlobalAvgPool2D(name="p")])
def test_rows_are_refused(layer):
    with pytest.raises(ValueError, match=r"p works on images \(N, H, W, C\), got examples of shape \(10,\)"):
        layer.build((10,))


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="MaxPool2D: the kernel spans 3x3 pixels but the padded image has only 2x2"):
        hg.MaxPool2D(3).build((2, 2, 1))


def test_adaptive_pooling_makes_as_many_windows_as_asked_for():
    layer = hg.AdaptiveAvgPool2D((3, 2)).build((7, 5, 2), dtype=np.float64)
    assert layer.output_shape == (3, 2, 2)
    report = hg.check_gradients(layer, np.random.default_rng(0).standard_normal((2, 7, 5, 2)))
    assert report.ok, str(report)
    with pytest.raises(ValueError, match="one window is the whole image: use GlobalAvgPool2D"):
        hg.AdaptiveAvgPool2D(1)
    with pytest.raises(ValueError, match="output_size must be an int >= 1 or a pair of them, not 0"):
        hg.AdaptiveAvgPool2D(0)
