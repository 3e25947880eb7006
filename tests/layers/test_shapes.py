"""Last, Reshape and Permute: shapes, gradients, what is refused, and image layers behind a Reshape in PyTorch too."""

import numpy as np
import pytest

import handgrad as hg


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (hg.Last(), (5, 3), (3,)),
        (hg.Reshape((2, 2, 3)), (12,), (2, 2, 3)),
        (hg.Permute((2, 1)), (5, 3), (3, 5)),
        (hg.Permute((3, 1, 2)), (4, 5, 3), (3, 4, 5)),
    ],
)
def test_gradients_go_back_where_numbers_came_from(layer, shape, output):
    layer.build(shape, dtype=np.float64)
    assert layer.output_shape == output
    assert layer.forward(np.zeros((0, *shape))).shape == (0, *output)
    report = hg.check_gradients(layer, np.random.default_rng(0).standard_normal((3, *shape)))
    assert report.ok, str(report)


def test_last_is_a_recurrent_layer_s_last_state():
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    every = hg.Sequential([hg.GRU(5, return_sequences=True), hg.Last()]).build((4, 3), rng=0)
    np.testing.assert_array_equal(every.forward(x), hg.Sequential([hg.GRU(5)]).build((4, 3), rng=0).forward(x))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (hg.Last(), (4,), "last1 works on sequences"),
        (hg.Reshape((2, 3)), (4,), r"examples of shape \(4,\) have not the numbers for \(2, 3\)"),
        (hg.Permute((1, 3)), (4, 3), r"axes must be 1 to 2 in some order for x \(1, 4, 3\), got \(1, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        hg.Sequential([layer]).build(shape)


def test_sizes_and_axes_are_counted_from_1():
    with pytest.raises(ValueError, match="Permute: each of axes must be a whole number >= 1, got 0"):
        hg.Permute((0, 1))
    with pytest.raises(ValueError, match="Reshape: each size of shape must be a whole number >= 1, got -1"):
        hg.Reshape((-1, 2))


def test_a_decoder_s_twin_computes_the_same():
    pytest.importorskip("torch")
    from handgrad.torch_twin import compare

    encoder = [hg.Conv2D(3, 3), hg.Flatten(), hg.Linear(12), hg.Reshape((2, 2, 3))]
    model = hg.Sequential([*encoder, hg.ConvTranspose2D(2, 3, stride=2), hg.Permute((3, 1, 2))])
    model.build((4, 4, 1), rng=0, dtype=np.float64)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 4, 4, 1)), rng.standard_normal((3, *model.output_shape))
    assert compare(model, None, x, y).worst("float64")[0] <= 1e-10
