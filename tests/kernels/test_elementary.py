"""The functions that become vectors beside NumPy's in float64, over all that they are used on."""

import math

import numpy as np
import pytest

from handgrad.kernels import route

if route.epochs() is None:
    pytest.skip(route.why_numpy(), allow_module_level=True)

from numba import njit

from handgrad.kernels import elementary

CASES = {  # name: (the exact one, from, to, how many units in the last place it may be off)
    "exp": (np.exp, -87.3, 88.3, 2),
    "tanh": (np.tanh, -20, 20, 2),
    "expm1": (np.expm1, -100, 0, 3),
    "log1p": (np.log1p, 0, 1, 4),
    "erfc": (np.vectorize(math.erfc), -6, 6, 40),
}


def of_each(name):
    function = getattr(elementary, name)

    @njit
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    return lambda x: (y := np.empty_like(x), loop(x, y))[0]


@pytest.mark.parametrize("name", CASES)
def test_a_function_is_exact_but_for_rounding(name):
    exact, low, high, units = CASES[name]
    x = np.concatenate([np.linspace(low, high, 20_001), np.geomspace(1e-30, 1, 2001) * max(low, high, key=abs)])
    x, compute = x[(low <= x) & (x <= high)].astype(np.float32), of_each(name)
    wanted = exact(x.astype(float))
    assert (np.abs(compute(x) - wanted) <= units * np.spacing(np.abs(wanted).astype(np.float32))).all()
    np.testing.assert_allclose(compute(x.astype(float)), wanted, rtol=1e-15, atol=5e-324)  # float64 goes another way


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", [-np.inf, -1000, 1000, np.inf, np.nan], [0, 0, np.inf, np.inf, np.nan]),
        ("tanh", [-np.inf, -1000, 0, 1000, np.inf, np.nan], [-1, -1, 0, 1, 1, np.nan]),
        ("expm1", [-np.inf, -1000, 0, np.nan], [-1, -1, 0, np.nan]),
        ("erfc", [-np.inf, -30, 30, np.inf, np.nan], [2, 2, 0, 0, np.nan]),
    ],
)
def test_what_is_beyond_all_bounds_and_what_is_no_number(name, x, y):
    np.testing.assert_array_equal(of_each(name)(np.array(x, np.float32)), np.array(y, np.float32))
