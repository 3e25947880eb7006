"""A line is shown as due only if it is right at other sizes too, where the code takes them."""

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.gradient_check.sizes import groups, longer
from handgrad.user_code.recognize import recognize

RNG = np.random.default_rng(7)


def mean_of_rows(x, w):
    return (x @ w).mean(axis=0), (x, w)


def mean_of_rows_back(dy, cache):
    x, w = cache
    dz = np.repeat(dy[None], x.shape[0], 0)
    return dz @ w.T, x.T @ dz


@pytest.mark.parametrize("shapes", [((4, 4), (4, 3)), ((3, 3), (3, 3)), ((6, 4), (4, 3))])
def test_a_count_that_equals_another_axis_is_not_taken_for_it(shapes):
    report = check_gradients((mean_of_rows, mean_of_rows_back), *(RNG.normal(size=shape) for shape in shapes))
    assert {v.fix for v in report.verdicts} == {"dz = np.repeat(dy[None], x.shape[0], 0) / x.shape[0]"}


def winners(x):
    z = x.reshape(len(x), 2, -1)
    return z.max(axis=1), z


def winners_back(dy, z):
    n, k, m = z.shape
    chosen = np.eye(k)[z.argmax(axis=1)].reshape(n, k, m)
    return (chosen * dy[:, None]).reshape(n, k * m)


def test_axes_to_exchange_are_told_by_their_names():
    (verdict,) = check_gradients((winners, winners_back), RNG.normal(size=(3, 6))).verdicts
    assert verdict.fix == "chosen = np.eye(k)[z.argmax(axis=1)].reshape(n, m, k).swapaxes(1, 2)"


def cube(x):
    return (x**3).sum(axis=1), x


def cube_back(dy, x):
    return dy[:, None] * x**2


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (3, 3), (4, 2)])
def test_a_number_that_is_a_size_here_is_shown_where_it_holds_elsewhere(shape):
    (verdict,) = check_gradients((cube, cube_back), RNG.normal(size=shape)).verdicts
    assert verdict.fix == "return dy[:, None] * (3 * x ** 2)"


def dense(x, w, b):
    return x @ w + b, None


class Dense:
    def __init__(self, weight):
        self.weight = weight

    def forward(self, x):
        self.x = x
        return x @ self.weight

    def backward(self, dy):
        self.grad_weight = self.x.T @ dy
        return dy @ self.weight.T


def picked(p, labels):
    return -np.log(p[np.arange(len(labels)), labels]).mean(), None


SQUARE = RNG.normal(size=(4, 4))


@pytest.mark.parametrize(
    "target, arrays, kwargs, expected",
    [
        ((dense, dense), (SQUARE, SQUARE, SQUARE[0]), {}, [{"x0"}, {"x1", "w0"}, {"w1", "b0"}]),
        (Dense(SQUARE), (SQUARE,), {}, [{"x0"}, {"x1", "weight0"}, {"weight1"}]),
        ((picked, picked), (np.abs(SQUARE),), {"labels": np.arange(4)}, [{"p0", "labels0"}, {"p1"}]),
    ],
)
def test_axes_grow_with_those_that_they_must_equal_and_no_others(target, arrays, kwargs, expected):
    subject = recognize(target, arrays, kwargs, None, None, 0)
    found = [{f"{name}{axis}" for name, axis in group} for _, group in groups(subject)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
    assert np.array_equal(subject.arguments[0], arrays[0])


def test_what_adds_up_to_one_still_does():
    subject = recognize((dense, dense), (SQUARE, np.eye(4), SQUARE[0]), None, None, None, 0)
    assert np.array_equal(longer(subject, {("w", 1): 6}).arguments[1].sum(axis=1), np.ones(4))


def test_code_of_one_size_alone_has_no_elsewhere():
    def fixed(x):
        return x.reshape(2, 3).sum(axis=0), None

    def fixed_back(dy, _):
        return np.tile(dy, 2) * 5

    (verdict,) = check_gradients((fixed, fixed_back), RNG.normal(size=6)).verdicts
    assert verdict.mistake == "constant-factor"
    assert list(groups(recognize((fixed, fixed_back), (np.ones(6),), None, None, None, 0))) == []
