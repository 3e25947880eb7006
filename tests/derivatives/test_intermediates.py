"""Every value that a forward computes has its true gradient; nothing of the user's is changed by looking."""

import copy
import functools

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F

RNG = np.random.default_rng(3)


def layer_norm(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=-1, keepdims=True)
    xmu = x - mu
    var = np.mean(xmu**2, axis=-1, keepdims=True)
    std = np.sqrt(var + eps)
    xhat = xmu / std
    return gamma * xhat + beta, (xhat, std, gamma)


def test_every_operation_has_a_row_with_its_true_gradient():
    x, gamma, beta = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=4)
    found = hg.intermediates(layer_norm, x, gamma, beta)
    dx, dgamma, dbeta = F.layer_norm_backward(found.upstream, F.layer_norm_forward(x, gamma, beta)[1])
    for name, gradient in (("x", dx), ("gamma", dgamma), ("beta", dbeta), ("xhat", found.upstream * gamma)):
        np.testing.assert_allclose(found[name].gradient, gradient, rtol=1e-10)
    dvar = (found.upstream * gamma * found["xmu"].value).sum(-1, keepdims=True) * -0.5 * found["std"].value ** -3
    np.testing.assert_allclose(found["var"].gradient, dvar, rtol=1e-10)
    assert [row.expression for row in found if row.name == "std"] == ["np.sqrt(var + eps)"]
    assert "np.sqrt(var + eps)" in str(found)


def test_operands_say_where_a_value_comes_from_and_what_goes_back():
    found = hg.intermediates(layer_norm, *(RNG.normal(size=shape) for shape in ((3, 4), 4, 4)))
    row = found["xhat"]
    assert [found[i].name for i in row.operands] == ["xmu", "std"]
    np.testing.assert_allclose(row.partials[0], row.gradient / found["std"].value)
    assert not np.allclose(row.partials[0], found["xmu"].gradient)  # what comes back through std is missing


class Recurrent:
    """A layer with state, a private name, a helper, a lambda, a loop, slices written into, += and a comprehension."""

    def __init__(self):
        self.__scale = 0.5
        self.w, self.calls = RNG.normal(size=(3, 3)), 0

    def step(self, x, h):
        return (lambda z: np.tanh(z))(x * self.__scale + h @ self.w)

    def forward(self, x):
        self.calls += 1
        h, out, total = np.zeros((2, 3)), np.zeros_like(x), 0.0
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h)
            out[:, t] = h
            out[:, t] += 1.0
            total += h.sum()
        return out * total + np.array([sum(row) for row in out[0]]).mean()


def reference(layer, x, w):
    """The same in complex numbers."""
    h, out = np.zeros((2, 3)), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] * 0.5 + h @ w)
        out.append(h)
    return (np.stack(out, 1) + 1) * sum(out).sum() + (np.stack(out, 1) + 1)[0].sum(-1).mean()


def test_classes_helpers_loops_and_lambdas_are_followed():
    layer, x = Recurrent(), RNG.normal(size=(2, 4, 3))
    before = copy.deepcopy(vars(layer))
    found = hg.intermediates(layer, x)
    assert vars(layer).keys() == before.keys() and layer.calls == 0
    np.testing.assert_array_equal(found.output, Recurrent.forward(layer, x))

    def gradient(moved, array):
        return np.array([(found.upstream * moved(entry)).sum() for entry in range(array.size)]).reshape(array.shape)

    def step_of(array, entry):
        new = array.astype(complex)
        new.flat[entry] += 1e-100j
        return new

    dx = gradient(lambda entry: reference(layer, step_of(x, entry), layer.w).imag / 1e-100, x)
    dw = gradient(lambda entry: reference(layer, x, step_of(layer.w, entry)).imag / 1e-100, layer.w)
    np.testing.assert_allclose(found["x"].gradient, dx, rtol=1e-8)
    np.testing.assert_allclose(next(r for r in found if r.expression == "self.w").gradient, dw, rtol=1e-8)
    assert [row.step for row in found if row.expression == "h @ self.w"] == [0, 1, 2, 3]


def test_code_that_takes_no_complex_numbers_is_differentiated_by_differences():
    def forward(x):
        out = np.zeros(x.shape)
        out[:] = x * 2
        return np.abs(out).sum()

    found = hg.intermediates(forward, np.array([1.0, -2.0]))
    np.testing.assert_allclose(found["x"].gradient, [2, -2], rtol=1e-7)


def test_a_value_that_others_were_written_into_has_the_gradient_of_all_its_uses():
    def forward(x):
        out = np.zeros_like(x)
        out[0] = x[0] ** 2
        return (out * 3 + out).sum()

    found = hg.intermediates(forward, np.array([1.0, -2.0]))
    filled = next(row for row in found if row.expression == "out")
    np.testing.assert_allclose(filled.gradient, [4, 4])


def test_partial_functions_and_functions_made_by_functions_are_followed():
    def make(power):
        return lambda x: np.sum(x**power)

    for forward in (make(3), functools.partial(lambda k, x: np.sum(x**k), 3)):
        found = hg.intermediates(forward, np.array([2.0]))
        assert found["x"].gradient == [12]
        assert any("x **" in row.expression for row in found)


def test_no_source_no_rows():
    assert hg.intermediates(np.tanh, np.ones(3)) is None
    names = {"np": np}
    exec("def forward(x):\n    return np.tanh(x)", names)
    assert hg.intermediates(names["forward"], np.ones(3)) is None


def test_bad_input_is_said_in_a_line():
    with pytest.raises(ValueError, match=r"upstream must have the shape of y, \(3,\), got \(2,\)"):
        hg.intermediates(lambda x: x * 2, np.ones(3), upstream=np.ones(2))
    with pytest.raises(TypeError, match="intermediates takes a forward, a pair or a layer, got int"):
        hg.intermediates(3, np.ones(3))
    with pytest.raises(KeyError, match="computes no 'z'; it has x"):
        hg.intermediates(lambda x: x * 2, np.ones(3))["z"]
    with pytest.raises(ZeroDivisionError):
        hg.intermediates(lambda x: x * (1 / 0), np.ones(3))


def test_the_page_says_first_which_gradient_differs():
    def halved(dy, cache):
        dx, dweight, dbias = F.linear_backward(dy, cache)
        return dx, dweight / 2, dbias

    x, weight, bias = np.ones((2, 3)), np.ones((3, 2)), np.zeros(2)
    page = hg.intermediates((F.linear_forward, halved), x, weight, bias).to_html()
    assert "The gradient by weight is the first that differs." in page
    right = hg.intermediates((F.linear_forward, F.linear_backward), x, weight, bias).to_html()
    assert "Every gradient agrees with yours." in right
    assert 'class="outcome' not in hg.intermediates(F.linear_forward, x, weight, bias).to_html()
