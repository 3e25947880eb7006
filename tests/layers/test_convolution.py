"""Conv2D as a layer: shapes, gradients, and messages that name it."""

import numpy as np
import pytest

import handgrad as hg


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(
    ("layer", "output_shape"),
    [
        (hg.Conv2D(4, 3), (5, 4, 4)),
        (hg.Conv2D(4, 3, padding="same", bias=False), (7, 6, 4)),
        (hg.Conv2D(4, (2, 3), stride=(2, 1), padding=1), (4, 6, 4)),
        (hg.Conv2D(2, 2, dilation=2, groups=2), (5, 4, 2)),
    ],
)
def test_shapes_and_gradients(layer, output_shape):
    layer.build((7, 6, 2), rng=0, dtype=np.float64)
    assert layer.output_shape == output_shape
    x = images(3, 7, 6, 2)
    assert layer.forward(x).shape == (3, *output_shape)
    assert hg.check_gradients(layer, x).ok
    assert ("bias" in layer.parameters) == layer.bias


def test_a_layer_alone_computes_the_pair():
    layer = hg.Conv2D(3, 3, stride=2).build((8, 8, 2), rng=0, dtype=np.float64)
    x = images(2, 8, 8, 2)
    y, _ = hg.functional.conv2d_forward(x, layer.parameters["weight"], layer.parameters["bias"], stride=2)
    np.testing.assert_array_equal(layer.forward(x), y)


def test_multiply_adds_count_each_weight_once_a_place():
    assert hg.Conv2D(4, 3, padding=1, groups=2).build((6, 5, 2), rng=0).multiply_adds == 6 * 5 * 3 * 3 * 1 * 4


def test_the_input_gradient_can_be_skipped():
    layer = hg.Conv2D(2, 3).build((5, 5, 1), rng=0)
    y = layer.forward(images(2, 5, 5, 1), training=True)
    assert layer.backward(y, input_gradient=False) is None
    assert layer.gradients["weight"].any()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (hg.Conv2D(2, 3), (784,), r"works on images \(N, H, W, C\), got examples of shape \(784,\)"),
        (hg.Conv2D(2, 9), (5, 5, 1), "the kernel spans 9x9 pixels but the padded image has only 5x5"),
        (hg.Conv2D(2, 3, stride=0), (5, 5, 1), "stride must be an int >= 1"),
        (hg.Conv2D(2, 3, groups=3), (5, 5, 2), "groups=3 must divide the 2 input channels and the 2 filters"),
        (hg.Conv2D(2, 3, padding="full"), (5, 5, 1), "'same' or 'valid', not 'full'"),
    ],
)
def test_build_refuses_naming_the_layer(layer, shape, message):
    layer.name = "edges"
    with pytest.raises(ValueError, match=f"edges:? .*{message}"):
        layer.build(shape, rng=0)


@pytest.mark.parametrize("filters", [0, 2.5, "3"])
def test_filters_are_counted_in_whole_numbers(filters):
    with pytest.raises(ValueError, match=f"filters must be a whole number >= 1, got {filters!r}"):
        hg.Conv2D(filters, 3)


def test_channels_first_is_recognised():
    model = hg.Sequential([hg.Conv2D(2, 3), hg.ReLU()]).build((8, 9, 3), rng=0)
    with pytest.raises(
        ValueError,
        match=r"expected x of shape \(N, 8, 9, 3\), got \(5, 3, 8, 9\); this looks like "
        r"\(N, C, H, W\): transpose with x.transpose\(0, 2, 3, 1\)",
    ):
        model.forward(np.zeros((5, 3, 8, 9)))


def test_grey_images_without_a_channel_axis_are_recognised():
    model = hg.Sequential([hg.Conv2D(2, 3), hg.ReLU()]).build((8, 9, 1), rng=0)
    with pytest.raises(ValueError, match=r"got \(5, 8, 9\); the last axis is missing: pass x\[..., None\]"):
        model.forward(np.zeros((5, 8, 9)))


def test_no_images_give_no_outputs():
    model = hg.Sequential([hg.Conv2D(2, 3), hg.ReLU(), hg.MaxPool2D(), hg.Flatten(), hg.Linear(3)])
    model.build((8, 9, 1), rng=0)
    x = np.zeros((0, 8, 9, 1))
    assert model.predict(x).shape == model.forward(x).shape == (0, 3)
    assert model.backward(model.forward(x, training=True)).shape == x.shape
