"""Fused image networks where something is missing, shared or in the way: numbers and messages stay as they are."""

import ctypes
import os
import signal

import numpy as np
import pytest

import handgrad as hg
from handgrad.kernels import num_threads, route

if route.compiled() is None:
    pytest.skip(route.why_numpy(), allow_module_level=True)

from handgrad.kernels import compiled

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 12, 12, 3), dtype=np.float32), RNG.integers(0, 4, 40)


def image_trainer(**options):
    blocks = [hg.Conv2D(16, 3, padding="same"), hg.BatchNorm(), hg.ReLU(), hg.MaxPool2D(2)]
    blocks += [hg.Conv2D(32, 3, padding="same"), hg.ReLU(), hg.MaxPool2D(2)]
    model = hg.Sequential([*blocks, hg.Flatten(), hg.Linear(16), hg.ReLU(), hg.Dropout(), hg.Linear(4)])
    return hg.Trainer(model, "cross-entropy", hg.SGD(0.05, momentum=0.9), seed=0, **options)


def trained(**options):
    trainer = image_trainer(**options)
    trainer.fit(X, Y, epochs=2, batch_size=8)
    return trainer.model.parameter_vector


@pytest.fixture(scope="module")
def expected():
    return trained()


def test_each_route_trains_alike(expected, monkeypatch):
    for wish in "numpy", "compiled":
        monkeypatch.setenv("HANDGRAD_KERNELS", wish)
        np.testing.assert_allclose(trained(), expected, rtol=0, atol=1e-3)


def test_a_processor_without_vectors_trains_alike(expected, monkeypatch):
    for module in "direct", "vectors", "winograd":
        monkeypatch.setattr(f"handgrad.kernels.{module}.FAST", False)
    assert route.name() == "compiled"
    np.testing.assert_allclose(trained(), expected, rtol=0, atol=1e-3)


def test_more_threads_than_cores_train_alike(expected):
    before = num_threads()
    hg.set_threads(16)
    try:
        np.testing.assert_allclose(trained(), expected, rtol=0, atol=1e-3)
    finally:
        hg.set_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_trains_to_the_same_bits(expected):
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, trained().tobytes()[:1000])
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000) == expected.tobytes()[:1000]


def test_ctrl_c_within_an_epoch_goes_on_to_the_same_bits(expected):
    class Interrupt(hg.Callback):
        def on_step_end(self, trainer):
            if trainer.num_steps == 3:
                signal.raise_signal(signal.SIGINT)

    trainer = image_trainer(callbacks=[Interrupt()])
    trainer.fit(X, Y, epochs=2, batch_size=8)
    assert trainer.was_interrupted and trainer.num_steps == 3
    trainer.resume(X, Y)
    np.testing.assert_array_equal(trainer.model.parameter_vector, expected)


@pytest.mark.parametrize("wish", ["numpy", "compiled", "winograd"])
def test_what_is_not_finite_is_blamed_alike(wish, monkeypatch):
    monkeypatch.setenv("HANDGRAD_KERNELS", wish)
    trainer, x = image_trainer(), X.copy()
    x[33] = 1e38  # finite, unlike what is made of its square
    with (
        pytest.raises(FloatingPointError, match="layer 'batchnorm1' is the first whose output is not finite"),
        np.errstate(all="ignore"),
    ):
        trainer.fit(x, Y, epochs=1, batch_size=8, shuffle=False)
    assert trainer.num_steps == 4


def test_what_is_compiled_calls_the_blas_of_this_process():
    """Its address is no part of what is kept on the disk."""
    size, number = ctypes.c_int64, ctypes.c_double
    called = []
    kinds = [*[ctypes.c_int32] * 3, *[size] * 3, number, *[ctypes.c_void_p, size] * 2, number, ctypes.c_void_p, size]
    other = ctypes.CFUNCTYPE(None, *kinds)(lambda *arguments: called.append(arguments[3:6]))
    address = ctypes.cast(other, ctypes.c_void_p).value
    a, b, out = np.ones((2, 3)), np.ones((3, 4)), np.zeros((2, 4))
    compiled.multiply(compiled.gemm_of(a.dtype), a, b, out, 0, False)
    compiled.multiply((address, np.empty(0, np.int64)), a, b, out, 0, False)
    assert called == [(2, 4, 3)] and (out == 3).all()
