"""Initializers: shapes, fans, spreads, structure, and how they are named."""

import math

import numpy as np
import pytest

from handgrad import functional as F
from handgrad import initializers
from handgrad.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Normal,
    Ones,
    Orthogonal,
    Sparse,
    Uniform,
    Zeros,
    fans,
    gain,
    get,
)

DENSE, KERNEL = (40, 60), (3, 5, 20, 30)
ALL = [get({"name": name, "value": 0.5} if name == "constant" else name) for name in initializers.INITIALIZERS]


def test_fans_of_dense_weights_and_kernels():
    assert fans((4, 25)) == (4, 25)
    assert fans((3, 5, 7, 11)) == (3 * 5 * 7, 3 * 5 * 11)


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0)])
def test_fans_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"weights \(..., in, out\)"):
        fans(shape)


def test_fans_are_pytorchs():
    torch = pytest.importorskip("torch")
    calculate = torch.nn.init._calculate_fan_in_and_fan_out
    assert fans((3, 5, 7, 11)) == calculate(torch.empty(11, 7, 3, 5))


@pytest.mark.parametrize("initializer", ALL, ids=repr)
def test_the_seed_decides_and_the_array_is_float64(initializer):
    first, again, other = (initializer((12, 12), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.shape == (12, 12) and first.dtype == np.float64
    np.testing.assert_array_equal(first, again)
    random = not isinstance(initializer, (Zeros, Ones, Constant, Identity))
    assert np.array_equal(first, other) != random


@pytest.mark.parametrize(("initializer", "expected"), [(Zeros(), 0.0), (Ones(), 1.0), (Constant(0.5), 0.5)])
def test_constants(initializer, expected):
    np.testing.assert_array_equal(initializer((2, 3), 0), np.full((2, 3), expected))


SCALED = [
    (GlorotUniform(), lambda i, o: math.sqrt(2 / (i + o))),
    (GlorotNormal("tanh"), lambda i, o: 5 / 3 * math.sqrt(2 / (i + o))),
    (HeUniform(), lambda i, o: math.sqrt(2 / i)),
    (HeNormal(), lambda i, o: math.sqrt(2 / i)),
    (HeNormal(1.0, "fan_out"), lambda i, o: math.sqrt(1 / o)),
    (LecunUniform(), lambda i, o: math.sqrt(1 / i)),
    (LecunNormal(), lambda i, o: math.sqrt(1 / i)),
    (Uniform(-3, 3), lambda i, o: math.sqrt(3)),
    (Normal(0, 0.2), lambda i, o: 0.2),
]


@pytest.mark.parametrize("shape", [DENSE, KERNEL])
@pytest.mark.parametrize(("initializer", "std"), SCALED, ids=lambda value: repr(value) if not callable(value) else "")
def test_spread(initializer, std, shape):
    weight, expected = initializer(shape, 0), std(*fans(shape))
    assert weight.shape == shape
    assert abs(weight.mean()) < 5 * expected / math.sqrt(weight.size)
    assert weight.std() == pytest.approx(expected, rel=5 / math.sqrt(weight.size))


@pytest.mark.parametrize("initializer", [GlorotUniform(), HeUniform(), LecunUniform()], ids=repr)
def test_uniform_ones_reach_their_bound_and_stay_in_it(initializer):
    weight = initializer(DENSE, 0)
    factor = {"GlorotUniform": 6 / sum(DENSE), "HeUniform": 6 / DENSE[0], "LecunUniform": 3 / DENSE[0]}
    bound = math.sqrt(factor[type(initializer).__name__])
    assert 0.99 * bound < np.abs(weight).max() <= bound


def test_uniform_and_normal_are_where_they_should_be():
    assert Uniform(2, 3)((1000,), 0).min() >= 2 and Uniform(2, 3)((1000,), 0).max() < 3
    assert Normal(5, 0.1)((1000,), 0).mean() == pytest.approx(5, abs=0.02)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 7)])
def test_orthogonal(shape):
    q = Orthogonal(gain=2.0)(shape, 0).reshape(-1, shape[-1]) / 2
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_takes_all_signs():
    first = [Orthogonal()((3, 3), seed)[0, 0] for seed in range(200)]
    assert 60 < sum(value > 0 for value in first) < 140


def test_identity():
    np.testing.assert_array_equal(Identity(2.0)((3, 3), 0), 2 * np.eye(3))
    with pytest.raises(ValueError, match=r"square weights \(n, n\) only, got shape \(3, 4\)"):
        Identity()((3, 4), 0)


def test_sparse_zeros_as_many_inputs_of_every_unit():
    weight = Sparse(sparsity=0.25, std=0.1)((10, 300), 0)
    assert ((weight == 0).sum(axis=0) == 3).all()
    assert weight[weight != 0].std() == pytest.approx(0.1, rel=0.1)
    counts = (weight == 0).sum(axis=1)  # over the units, every input is left out about as often
    assert counts.min() > 50 and counts.max() < 130


AS_PYTORCH_HAS_THEM = {"identity", "linear", "sigmoid", "logistic", "tanh"}  # of other reasons than He's


@pytest.mark.parametrize(
    "activation", sorted({name for name, facts in F.ACTIVATIONS.items() if facts.elementwise} - AS_PYTORCH_HAS_THEM)
)
def test_gains_keep_the_mean_square(activation):
    z = np.linspace(-12, 12, 200_001)
    density = np.exp(-z * z / 2)
    y, _ = F.ACTIVATIONS[activation].forward(z)
    assert gain(activation) == pytest.approx(1 / math.sqrt((y**2 * density).sum() / density.sum()), abs=2e-4)


def test_gains_are_pytorchs():
    torch = pytest.importorskip("torch")
    for activation in ("linear", "sigmoid", "tanh", "relu", "leaky_relu"):
        assert gain(activation) == pytest.approx(torch.nn.init.calculate_gain(activation))
    assert gain(0.7) == 0.7


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("xavier_uniform", GlorotUniform()),
        ("HeNormal", HeNormal()),
        ({"name": "he_normal", "mode": "fan_out"}, HeNormal(mode="fan_out")),
        (Orthogonal(), Orthogonal()),
    ],
)
def test_get(spec, expected):
    assert get(spec) == expected


@pytest.mark.parametrize(
    ("make", "error", "fragment"),
    [
        (lambda: get("he_norml"), ValueError, "did you mean 'he_normal'?"),
        (lambda: get({"name": "he_normal", "fan": 1}), ValueError, "HeNormal has no argument 'fan'"),
        (lambda: get("constant"), ValueError, "Constant needs the argument 'value'"),
        (lambda: get(HeNormal), TypeError, "write HeNormal(...)"),
        (lambda: get(0.1), TypeError, "got 0.1"),
        (lambda: gain("rely"), ValueError, "did you mean 'relu'?"),
        (lambda: GlorotUniform(-1.0), ValueError, "got -1.0"),
        (lambda: HeNormal(mode="fan_sum"), ValueError, "unknown mode 'fan_sum'"),
        (lambda: Uniform(1, 0), ValueError, "high must be a finite number >= 1, got 0"),
        (lambda: Normal(std=-1), ValueError, "std"),
        (lambda: Constant(np.nan), ValueError, "got nan"),
        (lambda: Sparse(1.5), ValueError, "sparsity must be a finite number >= 0 and <= 1, got 1.5"),
        (lambda: Sparse()((3, 3, 2, 2), 0), ValueError, "Sparse fits weights (in, out) only"),
    ],
)
def test_wrong_input_is_refused(make, error, fragment):
    with pytest.raises(error) as raised:
        make()
    assert fragment in str(raised.value)


def test_every_weight_is_contiguous():
    """Optimizers update arrays in place, in one piece."""
    for name in initializers.INITIALIZERS:
        spec = {"name": name, "value": 1.0} if name == "constant" else name
        shape = (4, 4) if name == "identity" else (4, 6)
        assert initializers.get(spec)(shape, 0).flags.c_contiguous, name
