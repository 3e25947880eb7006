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
    "expm1": (np.expm1, -100, 88.3, 3),
    "tanh": (np.tanh, -20, 20, 5),
    "log1p": (np.log1p, 0, 1, 5),
    "erfc": (np.vectorize(math.erfc), -6, 6, 40),
}
TYPES = (np.float32, np.float64)


def of_each(name):
    function = getattr(elementary, name)

    @njit
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    return lambda x: (y := np.empty_like(x), loop(x, y))[0]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CASES)
def test_a_function_is_exact_but_for_rounding(name, dtype):
    exact, low, high, units = CASES[name]
    x = np.concatenate([np.linspace(low, high, 20_001), np.geomspace(1e-30, 1, 2001) * max(low, high, key=abs)])
    x = x[(low <= x) & (x <= high)].astype(dtype)
    wanted = exact(x.astype(np.float64))
    assert (np.abs(of_each(name)(x) - wanted) <= units * np.spacing(np.abs(wanted).astype(dtype))).all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("exp", [-np.inf, -1000, 1000, np.inf, np.nan], [0, 0, np.inf, np.inf, np.nan]),
        ("tanh", [-np.inf, -1000, 0, 1000, np.inf, np.nan], [-1, -1, 0, 1, 1, np.nan]),
        ("expm1", [-np.inf, -1000, 0, 1000, np.nan], [-1, -1, 0, np.inf, np.nan]),
        ("erfc", [-np.inf, -30, 30, np.inf, np.nan], [2, 2, 0, 0, np.nan]),
    ],
)
def test_what_is_beyond_all_bounds_and_what_is_no_number(name, x, y, dtype):
    np.testing.assert_array_equal(of_each(name)(np.array(x, dtype)), np.array(y, dtype))
