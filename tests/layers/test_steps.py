"""What a model runs in place of its image layers gives what the layers give."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad import models
from handgrad.kernels import route, set_threads
from handgrad.kernels.threads import num_threads
from handgrad.layers.base import watching
from handgrad.layers.images import ConvolutionBlock

runs = st.fixed_dictionaries(
    {
        "size": st.tuples(st.integers(3, 9), st.integers(3, 9)),
        "channels": st.integers(1, 3),
        "filters": st.integers(1, 4),
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.sampled_from([0, "same", "valid"]),
        "bias": st.booleans(),
        "norm": st.booleans(),
        "relu": st.booleans(),
        "pool": st.sampled_from([None, 2, (1, 2), (3, 1)]),
        "n": st.integers(2, 6),
    }
)


@pytest.fixture(params=[1, 2], autouse=True)
def threads(request, monkeypatch):
    """Tiny blocks, and threads for the smallest of work, so that both are used."""
    for kind in {route.batch_pass((8, 8, 1), (1, 1, 1, 1), (8, 8), pool, np.dtype(float)) for pool in [(2, 2), (3, 3)]}:
        monkeypatch.setattr(kind, "block_bytes", 3000)
    monkeypatch.setattr("handgrad.kernels.threads.WORTH_A_THREAD", 1)
    before = num_threads()
    set_threads(request.param)
    yield
    set_threads(before)


def make_layers(filters, kernel, padding, bias, norm, relu, pool):
    layers = [hg.Conv2D(filters, kernel, padding=padding, bias=bias)]
    return layers + [hg.BatchNorm()] * norm + [hg.ReLU()] * relu + [hg.MaxPool2D(pool)] * (pool is not None)


def two_of(layers, input_shape, dtype=np.float64):
    """A model, and one with the same parameters that runs layer by layer."""
    model = hg.Sequential(layers).build(input_shape, rng=0, dtype=dtype)
    rng = np.random.default_rng(1)
    for name, array in {**model.parameters, **model.state}.items():
        array[...] = rng.normal(size=array.shape) if "var" not in name else rng.random(array.shape) + 0.5
    return model, LayerByLayer(copy.deepcopy(model))


class LayerByLayer:
    def __init__(self, model):
        self.model, self.state, self.gradients = model, model.state, model.gradients

    def forward(self, x, training=False):
        for layer in self.model.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy):
        for layer in reversed(self.model.layers):
            dy = layer.backward(dy)
        return dy


def assert_same(fused, plain, x, tolerance=1e-11):
    """Training step and inference: outputs, input gradient, parameter gradients and running averages."""
    y = fused.forward(x, training=True)
    np.testing.assert_allclose(y, plain.forward(x, training=True), atol=tolerance, rtol=tolerance)
    dy = np.random.default_rng(2).normal(size=y.shape).astype(y.dtype)
    np.testing.assert_allclose(fused.backward(dy), plain.backward(dy), atol=tolerance, rtol=tolerance)
    for group, expected in ((fused.gradients, plain.gradients), (fused.state, plain.state)):
        for name, array in group.items():
            np.testing.assert_allclose(array, expected[name], atol=tolerance, rtol=tolerance, err_msg=name)
    np.testing.assert_allclose(fused.forward(x), plain.forward(x), atol=tolerance, rtol=tolerance)


@examples(100)
@given(runs)
def test_fused_runs_equal_their_layers(run):
    n, size, channels = run.pop("n"), run.pop("size"), run.pop("channels")
    try:
        fused, plain = two_of(make_layers(**run), (*size, channels))
    except ValueError as problem:
        assert "the kernel spans" in str(problem)
        return
    assert isinstance(fused._chain.steps[0], ConvolutionBlock)
    rng = np.random.default_rng(3)
    for count in (n, n - 1 or 2, n + 2):  # memory is used again for smaller and larger batches
        if run["norm"] and count * np.prod(fused.layers[1].input_shape[:2]) < 3:
            continue  # x̂ of two numbers is ±1: gradients are all rounding
        assert_same(fused, plain, rng.normal(size=(count, *size, channels)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-3), (np.float64, 1e-10)])
def test_a_whole_network(dtype, tolerance):
    layers = [
        hg.Conv2D(6, 5, padding="same"),
        hg.ReLU(),
        hg.MaxPool2D(),
        hg.BatchNorm(),
        hg.Conv2D(4, 3),
        hg.BatchNorm(),
        hg.ReLU(),
        hg.Conv2D(8, 1),
        hg.MaxPool2D(3, 2),
        hg.Flatten(),
        hg.Linear(7),
        hg.ReLU(),
        hg.Linear(4, bias=False),
        hg.Linear(3),
    ]
    fused, plain = two_of(layers, (13, 12, 2), dtype)
    assert_same(fused, plain, np.random.default_rng(0).normal(size=(5, 13, 12, 2)).astype(dtype), tolerance)


def test_ties_of_flat_images_go_to_the_first():
    fused, plain = two_of([hg.Conv2D(3, 3, padding=1), hg.BatchNorm(), hg.MaxPool2D()], (8, 8, 1))
    x = np.zeros((4, 8, 8, 1))
    x[0, 1, 1] = 1
    assert_same(fused, plain, x)


def test_a_gamma_of_zero_gives_the_layers_gradients():
    fused, plain = two_of([hg.Conv2D(3, 3), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D()], (6, 6, 1))
    for model in (fused, plain.model):
        model.parameters["batchnorm1.gamma"][1] = 0
    assert_same(fused, plain, np.random.default_rng(0).normal(size=(3, 6, 6, 1)))


def test_a_complex_input_passes_analytically():
    fused, plain = two_of([hg.Conv2D(3, 3), hg.ReLU(), hg.MaxPool2D()], (6, 6, 1))
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 1)) + 1e-200j
    np.testing.assert_allclose(fused.forward(x).imag * 1e200, plain.forward(x).imag * 1e200, rtol=1e-11)


@pytest.mark.parametrize(
    "conv",
    [
        hg.Conv2D(2, 3, stride=2),
        hg.Conv2D(2, 3, dilation=2),
        hg.Conv2D(2, 2, groups=2),
        hg.Conv2D(2, 3, padding=4),
    ],
)
def test_other_convolutions_run_as_layers(conv):
    fused, plain = two_of([conv, hg.ReLU()], (9, 9, 2))
    assert fused._chain.steps == fused.layers
    assert_same(fused, plain, np.random.default_rng(0).normal(size=(3, 9, 9, 2)))


@pytest.mark.parametrize("method", ["forward", "compute"])
def test_a_layer_whose_method_was_replaced_runs(method):
    model = hg.Sequential([hg.Conv2D(4, 3), hg.ReLU(), hg.Flatten(), hg.Linear(2)]).build((8, 8, 2), rng=0)
    x = np.random.default_rng(0).random((3, 8, 8, 2), np.float32)
    expected, calls, original = model.forward(x), [], getattr(model.layers[0], method)
    setattr(model.layers[0], method, lambda *given: calls.append(given) or original(*given))
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-4, atol=1e-5)
    assert calls


def test_a_subclass_runs_as_it_was_written():
    class Doubled(hg.Conv2D):
        def compute(self, x, training):
            y, cache = super().compute(x, training)
            return 2 * y, cache

    model = hg.Sequential([Doubled(2, 3), hg.ReLU()]).build((5, 5, 1), rng=0)
    assert not any(isinstance(step, ConvolutionBlock) for step in model._chain.steps)


def test_arrays_handed_out_are_never_written_again():
    model = hg.Sequential([hg.Conv2D(2, 3, padding=1), hg.ReLU(), hg.MaxPool2D()]).build((6, 6, 1), rng=0)
    x = np.random.default_rng(0).normal(size=(2, 2, 6, 6, 1)).astype(np.float32)
    y = model.forward(x[0], training=True)
    dx = model.backward(np.ones_like(y))
    y_before, dx_before = y.copy(), dx.copy()
    model.backward(np.ones_like(model.forward(x[1], training=True)))
    np.testing.assert_array_equal(y, y_before)
    np.testing.assert_array_equal(dx, dx_before)


def test_inference_between_forward_and_backward_changes_nothing():
    fused, plain = two_of([hg.Conv2D(2, 3, padding=1), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D()], (6, 6, 1))
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 1))
    y = fused.forward(x, training=True)
    plain.forward(x, training=True)
    fused.forward(-x)
    np.testing.assert_allclose(fused.backward(y), plain.backward(y), atol=1e-11)


def test_backward_without_its_forward_is_refused():
    model = hg.Sequential([hg.Conv2D(2, 3), hg.ReLU()]).build((5, 5, 1), rng=0)
    with pytest.raises(ValueError, match="has no cache: call forward"):
        model.backward(np.zeros((1, 3, 3, 2), np.float32))
    y = model.forward(np.zeros((1, 5, 5, 1), np.float32), training=True)
    with pytest.raises(ValueError, match=r"relu1.backward expected dy of shape \(1, 3, 3, 2\), got \(2, 3, 3, 2\)"):
        model.backward(np.zeros((2, 3, 3, 2), np.float32))
    model.backward(y)
    with pytest.raises(ValueError, match="has no cache"):
        model.backward(y)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.deepcopy,
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: model.astype(np.float64),
    ],
)
def test_copies_run_fused_on_their_own_parameters(duplicate):
    model = hg.Sequential([hg.Conv2D(2, 3), hg.ReLU()]).build((5, 5, 1), rng=0)
    other = duplicate(model)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 1)).astype(np.float32)
    np.testing.assert_allclose(other.forward(x), model.forward(x), atol=1e-6)
    model.parameters["conv2d1.weight"][...] = 0
    assert other.forward(x).any()
    assert isinstance(other._chain.steps[0], ConvolutionBlock)


@pytest.mark.parametrize("block_bytes", [1, 2000, 2**30])
def test_sequences_pass_in_blocks_as_through_their_layers(block_bytes, monkeypatch):
    monkeypatch.setattr("handgrad.kernels.products.BLOCK_BYTES", block_bytes)
    model = models.create("transformer-text", num_outputs=9, width=8, num_heads=2, dropout=0.0)
    model.build((6,), rng=0, dtype=np.float64)
    runs = [step for residual in model.layers[2:-2] for step in residual._chain.steps]
    assert [len(step.layers) for step in runs] == [2, 4] * 4
    rng = np.random.default_rng(0)
    x, dy = rng.integers(0, 9, (5, 6)), rng.normal(size=(5, 6, 9))
    passed = model.forward(x, training=True), model.backward(dy), model.gradient_vector.copy()
    with watching(lambda *_: None):
        through = model.forward(x, training=True), model.backward(dy), model.gradient_vector
    for one, other in zip(passed, through, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12 * abs(other).max())
    assert not any(step.has_cache for step in runs)


def test_batch_norm_of_sequences_is_that_of_its_last_axis():
    fused, plain = two_of([hg.Linear(3), hg.ReLU(), hg.BatchNorm(), hg.Linear(2)], (4, 3))
    assert_same(fused, plain, np.random.default_rng(0).normal(size=(7, 4, 3)))


def test_a_users_layer_of_sequences_runs_as_it_is_written():
    class Twice(hg.ReLU):
        def compute(self, x, training):
            y, cache = super().compute(x, training)
            return y - y.mean(axis=0), cache  # sees all examples

    model = hg.Sequential([hg.Linear(3), Twice(), hg.Linear(2)]).build((4, 5), rng=0)
    assert model._chain.steps == model.layers


@pytest.mark.parametrize("sizes, rows", [((4, 25, 3), 32), ((64, 100, 10), 64), ((3, 2, 1), 5), ((6, 1, 4), 1)])
def test_dense_networks_get_the_bits_of_their_layers(sizes, rows):
    layers = [layer for units in sizes[1:-1] for layer in (hg.Linear(units), hg.ReLU())] + [hg.Linear(sizes[-1])]
    model, rng = hg.Sequential(layers).build(sizes[0], rng=0), np.random.default_rng(0)
    x, dy = (rng.standard_normal((rows, width), dtype=np.float32) for width in (sizes[0], sizes[-1]))
    short = model.forward(x, training=True), model.backward(dy), model.gradient_vector.copy()
    with watching(lambda *_: None):
        long = model.forward(x, training=True), model.backward(dy), model.gradient_vector
    assert all(map(np.array_equal, short, long))


def test_a_replaced_method_runs_in_a_dense_network_too():
    model = hg.Sequential([hg.Linear(3), hg.ReLU()]).build(2, rng=0)
    model.layers[1].forward = lambda x, training=False: x
    assert (model.forward(np.random.default_rng(0).standard_normal((9, 2))) < 0).any()
