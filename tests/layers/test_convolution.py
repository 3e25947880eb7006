"""Conv2D as a layer: shapes, gradients, and messages that name it."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F


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


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (hg.Conv1D(4, 3, padding="same"), (7, 2), (7, 4)),
        (hg.Conv1D(4, 3, stride=2, padding=1, groups=2, bias=False), (7, 2), (4, 4)),
        (hg.ConvTranspose2D(3, 4, stride=2, padding=1), (3, 4, 2), (6, 8, 3)),
        (hg.ConvTranspose2D(3, (2, 3), stride=(2, 1), output_padding=(1, 0), bias=False), (3, 2, 2), (7, 4, 3)),
    ],
)
def test_convolutions_of_sequences_and_transposed_ones(layer, shape, output):
    layer.build(shape, rng=0, dtype=np.float64)
    assert layer.output_shape == output
    rng = np.random.default_rng(0)
    report = hg.check_gradients(layer, rng.standard_normal((2, *shape)))
    assert report.ok, str(report)
    model = hg.Sequential([layer, hg.ReLU(), hg.Flatten(), hg.Linear(2)]).build(shape, rng=0)
    trainer = hg.Trainer(model, seed=0)
    trainer.fit(rng.standard_normal((20, *shape)), np.arange(20) % 2, epochs=1)
    assert np.isfinite(model.parameter_vector).all()


def test_a_transposed_convolution_is_a_convolution_s_way_back():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((3, 3, 3, 4))
    y, cache = F.conv2d_forward(x, weight, stride=2, padding=1)
    dy = rng.standard_normal(y.shape)
    back, _ = F.conv_transpose2d_forward(dy, weight.transpose(0, 1, 3, 2), stride=2, padding=1, output_padding=(0, 1))
    np.testing.assert_allclose(back, F.conv2d_backward(dy, cache)[0], rtol=1e-10, atol=1e-12)


def test_counts_of_the_other_convolutions():
    model = hg.Sequential([hg.Conv1D(4, 3)]).build((7, 2), rng=0)
    assert (model.num_parameters, model.multiply_adds) == (3 * 2 * 4 + 4, 5 * 3 * 2 * 4)
    model = hg.Sequential([hg.ConvTranspose2D(4, 3)]).build((5, 6, 2), rng=0)
    assert (model.num_parameters, model.multiply_adds) == (3 * 3 * 2 * 4 + 4, 5 * 6 * 3 * 3 * 2 * 4)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: hg.Conv1D(4, (3, 3)), (7, 2), r"Conv1D: kernel_size must be a whole number >= 1, got \(3, 3\)"),
        (
            lambda: hg.Conv1D(4, 3),
            (7, 2, 1),
            r"conv1d1 works on sequences \(N, T, C\), got .* \(7, 2, 1\)",
        ),
        (lambda: hg.Conv1D(4, 3, groups=3), (7, 2), "groups=3 must divide the 2 input channels"),
        (lambda: hg.Conv1D(4, 9), (7, 2), "the kernel spans 1x9 pixels"),
        (lambda: hg.ConvTranspose2D(0, 3), (7, 2, 1), "ConvTranspose2D: filters must be a whole number >= 1, got 0"),
        (lambda: hg.ConvTranspose2D(4, 3), (7, 2), "works on images"),
        (lambda: hg.ConvTranspose2D(4, 3, output_padding=1), (7, 2, 1), "output_padding must be below stride 1, got 1"),
        (lambda: hg.ConvTranspose2D(4, 2, padding=2), (2, 2, 1), "padding 2 cuts off the whole image: use less"),
    ],
)
def test_other_convolutions_refuse_what_does_not_fit(make, shape, message):
    with pytest.raises(ValueError, match=message):
        hg.Sequential([make()]).build(shape)
