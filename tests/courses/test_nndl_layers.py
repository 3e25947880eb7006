"""nndl.layers and what is built of them give the homework's figures, and the right gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.courses.cs231n import fast_layers
from handgrad.courses.nndl import conv_layer_utils, conv_layers, layer_tests, layer_utils, layers

GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "nndl.json").read_text(encoding="utf-8"))
RNG = np.random.default_rng(0)
CONV, POOL = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}


def normal(*shape):
    return RNG.normal(size=shape)


@pytest.mark.parametrize("name", ["affine", "relu"])
def test_printed_values(name):
    golden = GOLDENS[f"{name}_forward"]
    x, *others = (eval(golden[key], {"np": np}) for key in ("x", "w", "b") if key in golden)
    out, _ = getattr(layers, f"{name}_forward")(x, *others)
    assert layer_tests.rel_error(out, np.array(golden["out"])) < 1.1 * golden["rel_error_about"]


def test_losses_of_small_scores():
    np.random.seed(0)
    x, y = 0.001 * np.random.randn(50, 10), np.random.randint(10, size=50)
    assert layers.softmax_loss(x, y)[0] == pytest.approx(GOLDENS["softmax_loss"]["loss_about"], abs=1e-3)
    assert layers.svm_loss(x, y)[0] == pytest.approx(9, abs=1e-2)


@pytest.mark.parametrize("name", [name for name in dir(layer_tests) if name.endswith("_test")])
def test_the_homeworks_own_checks_pass(name, capsys):
    np.random.seed(1)
    getattr(layer_tests, name)()
    errors = [
        float(line.rpartition(": ")[2])
        for line in capsys.readouterr().out.splitlines()
        if "error: " in line or line.startswith("difference: ")
    ]
    assert errors and max(errors) < 1e-5


def test_the_homeworks_check_of_a_network_prints_as_in_the_course(capsys):
    np.random.seed(1)
    layer_tests.fc_net_test()
    lines = capsys.readouterr().out.splitlines()
    names = [f"{name}{i} relative error" for name in "Wb" for i in (1, 2, 3)]
    assert [line.partition(":")[0] for line in lines] == [
        "Running check with reg = 0",
        "Initial loss",
        *names,
        "Running check with reg = 3.14",
        "Initial loss",
        *names,
    ]


PAIRS = {
    "affine": (layers, (normal(4, 2, 3), normal(6, 5), normal(5)), {}),
    "relu": (layers, (normal(4, 5),), {}),
    "batchnorm": (layers, (normal(6, 3), normal(3), normal(3)), {"bn_param": {"mode": "train"}}),
    "layernorm": (layers, (normal(4, 5), normal(5), normal(5)), {"ln_param": {}}),
    "dropout": (layers, (normal(4, 5),), {"dropout_param": {"mode": "train", "p": 0.3, "seed": 1}}),
    "affine_relu": (layer_utils, (normal(4, 2, 3), normal(6, 5), normal(5)), {}),
    "affine_batchnorm_relu": (
        layer_utils,
        (normal(4, 6), normal(6, 5), normal(5), normal(5), normal(5)),
        {"bn_param": {"mode": "train"}},
    ),
    "spatial_batchnorm": (conv_layers, (normal(2, 3, 4, 5), normal(3), normal(3)), {"bn_param": {"mode": "train"}}),
    "conv_relu": (conv_layer_utils, (normal(2, 3, 5, 4), normal(4, 3, 3, 3), normal(4)), {"conv_param": CONV}),
    "conv_relu_pool": (
        conv_layer_utils,
        (normal(2, 3, 6, 4), normal(4, 3, 3, 3), normal(4)),
        {"conv_param": CONV, "pool_param": POOL},
    ),
    "conv_bn_relu": (
        conv_layer_utils,
        (normal(2, 3, 5, 4), normal(4, 3, 3, 3), normal(4), normal(4), normal(4)),
        {"conv_param": CONV, "bn_param": {"mode": "train"}},
    ),
}
NAMES = ("x", "w", "b", "gamma", "beta")


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_right(name):
    module, arrays, kwargs = PAIRS[name]
    forward, backward = (getattr(module, f"{name}_{way}") for way in ("forward", "backward"))

    def every_gradient(dout, cache):
        gradients = backward(dout, cache)
        return gradients if isinstance(gradients, tuple) else (gradients,)

    report = check_gradients((forward, every_gradient), *arrays, kwargs=kwargs)
    assert report.ok, str(report)


def convolved(x, w, b, stride, pad):
    """The sum written out."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = ((padded.shape[i] - w.shape[i]) // stride + 1 for i in (2, 3))
    out = np.empty((len(x), len(w), height, width))
    for i, j in np.ndindex(height, width):
        seen = padded[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
        out[:, :, i, j] = np.einsum("nchw,fchw->nf", seen, w) + b
    return out


def test_windows_that_fit_nowhere_are_refused():
    with pytest.raises(ValueError, match="windows of 5x3 do not fit into images of 4x4, padding included"):
        conv_layers.conv_forward_naive(normal(1, 1, 4, 4), normal(1, 1, 5, 3), normal(1), {"stride": 1, "pad": 0})
    with pytest.raises(ValueError, match="windows of 2x5 do not fit"):
        conv_layers.max_pool_forward_naive(normal(1, 1, 4, 4), {"pool_height": 2, "pool_width": 5, "stride": 1})


@pytest.mark.parametrize("stride, pad", [(1, 0), (1, 1.0), (2, 1), (3, 2)])
def test_convolution_naive_and_fast(stride, pad):
    x, w, b, param = normal(2, 3, 7, 6), normal(4, 3, 3, 2), normal(4), {"stride": stride, "pad": pad}
    out, cache = conv_layers.conv_forward_naive(x, w, b, param)
    assert np.allclose(out, convolved(x, w, b, stride, int(pad)))
    fast, fast_cache = fast_layers.conv_forward_fast(x, w, b, param)
    np.testing.assert_allclose(out, fast, rtol=1e-12, atol=1e-12)  # two implementations: loops, and one product
    dout = normal(*out.shape)
    slow_gradients, fast_gradients = (
        conv_layers.conv_backward_naive(dout, cache),
        fast_layers.conv_backward_fast(dout, fast_cache),
    )
    for slow, quick, array in zip(slow_gradients, fast_gradients, (x, w, b), strict=True):
        np.testing.assert_allclose(slow, quick, rtol=1e-12, atol=1e-12)
        assert slow.shape == array.shape
    assert cache == (x, w, b, param) or all(a is b for a, b in zip(cache, (x, w, b, param), strict=True))


def test_the_gradient_of_the_naive_convolution():
    pair = conv_layers.conv_forward_naive, conv_layers.conv_backward_naive
    report = check_gradients(
        pair, normal(2, 3, 5, 5), normal(2, 3, 3, 3), normal(2), kwargs={"conv_param": {"stride": 2, "pad": 1}}
    )
    assert report.ok, str(report)


@pytest.mark.parametrize(
    "message, function, arguments",
    [
        (
            r"affine: x \(2, 3, 2\) has 6 numbers a row, but w \(5, 6\) takes 5",
            layers.affine_forward,
            (normal(2, 3, 2), normal(5, 6), normal(5)),
        ),
        (
            r"convolution: x \(2, 3, 4, 4\) has 3 channels \(N, C, H, W\), but w takes 4",
            conv_layers.conv_forward_naive,
            (normal(2, 3, 4, 4), normal(2, 4, 3, 3), normal(2), CONV),
        ),
        (
            r"max_pool: x must be images \(N, C, H, W\), got \(3, 4, 4\)",
            conv_layers.max_pool_forward_naive,
            (normal(3, 4, 4), POOL),
        ),
        (
            r"spatial_batchnorm: x .* has 3 channels .* but gamma takes 4",
            conv_layers.spatial_batchnorm_forward,
            (normal(2, 3, 4, 4), np.ones(4), np.zeros(4), {"mode": "train"}),
        ),
    ],
)
def test_shapes_that_do_not_fit_are_named_as_the_course_has_them(message, function, arguments):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_a_pad_that_is_no_whole_number_is_refused():
    with pytest.raises(ValueError, match=r"whole number, got 1\.5: only odd filters"):
        conv_layers.conv_forward_naive(normal(1, 1, 4, 4), normal(1, 1, 4, 4), normal(1), {"stride": 1, "pad": 1.5})


@pytest.mark.parametrize(
    "forward, backward",
    [
        (conv_layers.max_pool_forward_naive, conv_layers.max_pool_backward_naive),
        (fast_layers.max_pool_forward_fast, fast_layers.max_pool_backward_fast),
        (fast_layers.max_pool_forward_reshape, fast_layers.max_pool_backward_reshape),
        (fast_layers.max_pool_forward_im2col, fast_layers.max_pool_backward_im2col),
    ],
)
def test_max_pool(forward, backward):
    x = np.linspace(-0.3, 0.4, num=96).reshape(2, 3, 4, 4)
    out, cache = forward(x, POOL)
    assert np.array_equal(out, x[:, :, 1::2, 1::2])
    dout = normal(*out.shape)
    dx = backward(dout, cache)
    assert dx.shape == x.shape and np.array_equal(dx[:, :, 1::2, 1::2], dout) and np.isclose(dx.sum(), dout.sum())


def test_windows_that_do_not_tile_are_refused_by_the_reshaping_pool_alone():
    x = normal(1, 1, 5, 4)
    assert fast_layers.max_pool_forward_fast(x, POOL)[0].shape == (1, 1, 2, 2)
    with pytest.raises(ValueError, match="do not tile images of 5x4"):
        fast_layers.max_pool_forward_reshape(x, POOL)


def test_batchnorm_keeps_biased_running_averages_in_bn_param():
    x, ones, zeros, param = 3 + 2 * normal(50, 4), np.ones(4), np.zeros(4), {"mode": "train"}
    out, _ = layers.batchnorm_forward(x, ones, zeros, param)
    assert np.allclose(out.mean(axis=0), 0) and np.allclose(out.std(axis=0), 1, atol=1e-4)
    assert np.allclose(param["running_mean"], 0.1 * x.mean(axis=0))
    assert np.allclose(param["running_var"], 0.1 * x.var(axis=0))
    kept = param["running_mean"].copy()
    param["mode"] = "test"
    out, _ = layers.batchnorm_forward(x, ones, zeros, param)
    assert np.array_equal(param["running_mean"], kept)
    assert np.allclose(out, (x - kept) / np.sqrt(param["running_var"] + 1e-5))


@pytest.mark.parametrize("param, mode", [({"mode": "eval"}, "eval"), ({}, "None")])
def test_batchnorm_and_dropout_need_a_mode(param, mode):
    with pytest.raises(ValueError, match=f'Invalid forward batchnorm mode "{mode}"'):
        layers.batchnorm_forward(normal(3, 2), np.ones(2), np.zeros(2), param)
    with pytest.raises(ValueError, match=f'Invalid forward dropout mode "{mode}"'):
        layers.dropout_forward(normal(3, 2), {"p": 0.5, **param})


def test_dropout_refuses_to_drop_everything():
    with pytest.raises(ValueError, match=r"probability of dropping, must be a finite number >= 0 and < 1, got 1"):
        layers.dropout_forward(normal(3, 2), {"mode": "train", "p": 1})


def test_caches_of_layers_in_a_row_are_those_of_the_layers():
    _, cache = conv_layer_utils.conv_relu_pool_forward(normal(1, 2, 4, 4), normal(3, 2, 3, 3), normal(3), CONV, POOL)
    conv_cache, relu_cache, pool_cache = cache
    assert conv_cache[3] is CONV and relu_cache.shape == (1, 3, 4, 4) and pool_cache[1] is POOL
    x = normal(2, 3)
    _, (fc_cache, relu_cache) = layer_utils.affine_relu_forward(x, normal(3, 4), normal(4))
    assert fc_cache[0] is x and relu_cache.shape == (2, 4)


def test_spatial_batchnorm_works_per_channel():
    x, param = 4 * normal(5, 3, 4, 2) + 10, {"mode": "train"}
    out, _ = conv_layers.spatial_batchnorm_forward(x, np.array([3.0, 4, 5]), np.array([6.0, 7, 8]), param)
    assert np.allclose(out.mean(axis=(0, 2, 3)), [6, 7, 8]) and param["running_mean"].shape == (3,)


@pytest.mark.parametrize("p", [0.3, 0.6, 0.75])
def test_dropout_drops_with_probability_p_and_keeps_the_mean(p):
    np.random.seed(2)
    x = np.random.randn(500, 500) + 10
    out, _ = layers.dropout_forward(x, {"mode": "train", "p": p})
    assert np.mean(out == 0) == pytest.approx(p, abs=0.01) and out.mean() == pytest.approx(10, abs=0.1)
    assert layers.dropout_forward(x, {"mode": "test", "p": p})[0] is x


def test_dropouts_mask_is_numpys_global_draw():
    out, _ = layers.dropout_forward(np.ones((2, 3), np.float32), {"mode": "train", "p": 0.5, "seed": 7})
    np.random.seed(7)
    assert np.array_equal(out, 2 * (np.random.rand(2, 3) < 0.5)) and out.dtype == np.float32
