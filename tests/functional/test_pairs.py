"""Every pair of the table: gradients, purity, agreement with PyTorch, shapes, extreme inputs."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derivatives import complex_step_gradient, numeric_gradient, relative_error
from fuzzing import examples
from handgrad import functional as F
from pairs import PAIRS, keywords, torch


def each(rows):
    """One test per pair and case, named after them."""
    runs = [(pair, case) for pair in rows for case in pair.cases]
    names = [f"{pair.name}-{pair.make.__name__}-{'+'.join(case) or 'plain'}" for pair, case in runs]
    return pytest.mark.parametrize(("pair", "case"), runs, ids=names)


def run(pair, arrays, case):
    """Forward, then backward from a random upstream gradient: y, dy and the gradients."""
    y, cache = pair.forward(*arrays, **keywords(case, arrays))
    dy = np.random.default_rng(1).standard_normal(np.shape(y))
    dy = dy.astype(y.dtype) if isinstance(y, np.ndarray) else np.float64(dy)
    return y, dy, pair.backward(dy, cache)


def upstream_sum(pair, arrays, case, position, dy):
    """Σ y dy as a function of the array at this position: its gradient is what backward must return."""

    def scalar(x):
        moved = [*arrays[:position], x, *arrays[position + 1 :]]
        return np.sum(pair.forward(*moved, **keywords(case, arrays))[0] * dy)

    return scalar


def as_dtype(arrays, dtype):
    """Floats in another dtype; labels as they are."""
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def run_torch(pair, arrays, case, dy):
    """The PyTorch counterpart's value and gradients as arrays."""
    tensors = [torch.tensor(a) for a in arrays]
    for tensor in tensors[: pair.num_gradients]:
        tensor.requires_grad_()
    options = keywords(case, arrays)
    options = {key: torch.tensor(o) if isinstance(o, np.ndarray) else o for key, o in options.items()}
    y = pair.torch(*tensors, **options)
    gradients = torch.autograd.grad(y, tensors[: pair.num_gradients], torch.tensor(dy, dtype=y.dtype))
    return y.detach().numpy(), [gradient.numpy() for gradient in gradients]


WITH_TORCH = [pair for pair in PAIRS if pair.torch is not None]
needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def test_every_forward_stands_in_the_table_with_its_backward():
    defined = set()
    for module_info in pkgutil.iter_modules(F.__path__):
        module = importlib.import_module(f"{F.__name__}.{module_info.name}")
        functions = inspect.getmembers(module, inspect.isfunction)
        defined |= {name for name, function in functions if function.__module__ == module.__name__}
    forwards = {name.removesuffix("_forward") for name in defined if name.endswith("_forward")}
    backwards = {name.removesuffix("_backward") for name in defined if name.endswith("_backward")}
    assert forwards == backwards
    assert forwards == {pair.name for pair in PAIRS}
    assert all(hasattr(F, f"{name}_forward") and hasattr(F, f"{name}_backward") for name in forwards)


@each(PAIRS)
def test_gradients_equal_central_differences(pair, case):
    arrays = pair.make(np.random.default_rng(0))
    _, dy, gradients = run(pair, arrays, case)
    assert len(gradients) == pair.num_gradients
    for position, gradient in enumerate(gradients):
        numeric = numeric_gradient(upstream_sum(pair, arrays, case, position, dy), arrays[position])
        assert relative_error(gradient, numeric) <= pair.tolerance


@each(PAIRS)
def test_gradients_equal_complex_step(pair, case):
    arrays = pair.make(np.random.default_rng(2))
    _, dy, gradients = run(pair, arrays, case)
    for position, gradient in enumerate(gradients):
        exact = complex_step_gradient(upstream_sum(pair, arrays, case, position, dy), arrays[position])
        assert relative_error(gradient, exact) <= 1e-12


@each([pair for pair in PAIRS if not pair.kinked and pair.extreme is None])
def test_pairs_without_kinks_have_their_gradient_at_zero(pair, case):
    """Where a formula changes branches at 0 (softplus), both branches must meet in slope as well."""
    arrays = pair.make(np.random.default_rng(2))
    arrays = (np.zeros_like(arrays[0]), *arrays[1:])
    _, dy, gradients = run(pair, arrays, case)
    exact = complex_step_gradient(upstream_sum(pair, arrays, case, 0, dy), arrays[0])
    assert relative_error(gradients[0], exact) <= 1e-12


@each(PAIRS)
def test_complex_in_complex_out(pair, case):
    arrays = pair.make(np.random.default_rng(3))
    real, _ = pair.forward(*arrays, **keywords(case, arrays))
    y, _ = pair.forward(arrays[0].astype(complex), *arrays[1:], **keywords(case, arrays))
    assert np.iscomplexobj(y)
    assert relative_error(y, real) <= 1e-14


@each(PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(pair, case, dtype):
    arrays = as_dtype(pair.make(np.random.default_rng(4)), dtype)
    # NumPy's own float64 numbers, as a sweep over np.linspace passes them, must not widen float32
    case = {key: np.float64(value) if isinstance(value, float) else value for key, value in case.items()}
    y, _, gradients = run(pair, arrays, case)
    assert isinstance(y, float) or y.dtype == dtype
    assert [gradient.dtype for gradient in gradients] == [dtype] * pair.num_gradients


@each(PAIRS)
def test_float32_agrees_with_float64(pair, case):
    arrays = pair.make(np.random.default_rng(4))
    y, _, gradients = run(pair, arrays, case)
    rough, _, rough_gradients = run(pair, as_dtype(arrays, np.float32), case)
    for exact, single in zip([y, *gradients], [rough, *rough_gradients], strict=True):
        assert relative_error(exact, single) <= 1e-5


@each(PAIRS)
def test_inputs_are_not_modified(pair, case):
    arrays = pair.make(np.random.default_rng(5))
    copies = [a.copy() for a in arrays]
    y, cache = pair.forward(*arrays, **keywords(case, arrays))
    dy = np.random.default_rng(6).standard_normal(np.shape(y))
    dy_copy = dy.copy()
    first = pair.backward(dy, cache)
    for a, copy in zip([*arrays, dy], [*copies, dy_copy], strict=True):
        np.testing.assert_array_equal(a, copy)
    for gradient, again in zip(first, pair.backward(dy, cache), strict=True):
        np.testing.assert_array_equal(gradient, again, err_msg="backward changed its cache")


@needs_torch
@each(WITH_TORCH)
def test_values_and_gradients_equal_pytorch(pair, case):
    arrays = pair.make(np.random.default_rng(7))
    y, dy, gradients = run(pair, arrays, case)
    torch_y, torch_gradients = run_torch(pair, arrays, case, dy)
    assert relative_error(y, torch_y) <= 1e-10
    for gradient, torch_gradient in zip(gradients, torch_gradients, strict=True):
        assert relative_error(gradient, torch_gradient) <= 1e-10


@each(PAIRS)
def test_any_small_shape(pair, case):
    sizes = [name for name in inspect.signature(pair.make).parameters if name != "rng"]

    @examples(15)
    @given(st.fixed_dictionaries({name: st.integers(1, 4) for name in sizes}))
    def check(size):
        arrays = pair.make(np.random.default_rng(8), **size)
        y, dy, gradients = run(pair, arrays, case)
        assert [g.shape for g in gradients] == [a.shape for a in arrays[: pair.num_gradients]]
        if torch is not None and pair.torch is not None:
            torch_y, torch_gradients = run_torch(pair, arrays, case, dy)
            np.testing.assert_allclose(y, torch_y, atol=1e-10)
            for gradient, torch_gradient in zip(gradients, torch_gradients, strict=True):
                np.testing.assert_allclose(gradient, torch_gradient, atol=1e-10)

    check()


@each(PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_inputs_stay_finite(pair, case, dtype):
    rng = np.random.default_rng(9)
    arrays = pair.make(rng)
    if pair.extreme is None:
        arrays = (rng.choice([-1e4, -3.0, 2.0, 1e4], arrays[0].shape), *arrays[1:])
    else:
        arrays = pair.extreme(rng, arrays)
    arrays = as_dtype(arrays, dtype)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y, dy, gradients = run(pair, arrays, case)
    assert all(np.isfinite(a).all() for a in [y, *gradients])
    if dtype == np.float64 and torch is not None and pair.torch is not None and pair.extreme is None:
        torch_y, torch_gradients = run_torch(pair, arrays, case, dy)
        assert relative_error(y, torch_y) <= 1e-10
        for gradient, torch_gradient in zip(gradients, torch_gradients, strict=True):
            assert relative_error(gradient, torch_gradient) <= 1e-10
