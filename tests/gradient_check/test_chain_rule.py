"""The line that the chain rule makes due: written, confirmed, and named by what distinguishes it from the other."""

import ast

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.gradient_check.chain_rule import TABLE, in_one_way
from handgrad.gradient_check.differences import mistake_in

RNG = np.random.default_rng(11)

# what stands for the letters of the table: arrays and numbers at which no operation has a kink
OPERANDS = {"a": RNG.uniform(0.5, 2, (3, 3)), "b": RNG.uniform(0.5, 2, (3, 3)), "c": 1.7, "n": 3, "i": 1, "x": 1}
MATRIX, VECTOR, MASK = RNG.uniform(0.5, 2, (3, 3)), RNG.uniform(0.5, 2, 3), RNG.random((3, 3)) > 0.5
OTHERS = {  # for the lines that want others, by operation or heading
    "np.clip(a, b, c)": {"b": 0.8},
    "np.where(b, a, c)": {"b": MASK},
    "np.where(b, c, a)": {"b": MASK},
    "np.outer(a, b)": {"a": VECTOR, "b": VECTOR[:2]},
    "np.outer(b, a)": {"a": VECTOR, "b": VECTOR[:2]},
    "np.expand_dims(a, i)": {"a": VECTOR},
    "a.cumsum()": {"a": VECTOR},
    "a.repeat(b, axis=i)": {"b": 3},
    "of a matrix, to a vector": {"b": VECTOR},
    "of a vector, to a vector": {"a": VECTOR, "b": MATRIX},
    "of a vector, to a number": {"a": VECTOR, "b": VECTOR[::-1]},
}
REST = {"transpose": "1, 0", "swapaxes": "0, 1", "reshape": "9", "broadcast_to": "(3, 3)", "flip": "0", "squeeze": "()"}


def in_full(text):
    """A side of the table with something in the place of *r and **k."""
    rest = next((REST[name] for name in REST if f"{name}(" in text), "")
    return text.replace("*r", f"*[{rest}]").replace(", **k", "")


@pytest.mark.parametrize("known", TABLE, ids=[f"{ast.unparse(k.operation)} by a" for k in TABLE])
def test_every_line_of_the_table_is_the_derivative(known):
    operation, gradient = ast.unparse(known.operation), ast.unparse(known.gradient)
    names = {
        "np": np,
        **OPERANDS,
        **({"n": 1} if "axis=n" in operation else {}),
        **OTHERS.get(known.heading, {}),
        **OTHERS.get(operation, {}),
    }

    def forward(a):
        return np.asarray(eval(in_full(operation), {**names, "a": a}))

    a, z = names["a"], forward(names["a"])
    g, step = RNG.normal(size=z.shape), 1e-6
    due = eval(in_full(gradient), {**names, "g": g, "z": z, "s": a})
    direction = RNG.normal(size=a.shape)
    slope = np.sum(g * (forward(a + step * direction) - forward(a - step * direction))) / (2 * step)
    np.testing.assert_allclose(np.sum(due * direction), slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("written", "in_the_table"),
    [
        ("np.sum(x, 1, keepdims=True)", "x.sum(axis=1, keepdims=True)"),
        ("x.mean((0, 1))", "x.mean(axis=(0, 1))"),
        ("np.repeat(x, 2, axis=1)", "x.repeat(2, axis=1)"),
        ("x.repeat(2, 1)", "x.repeat(2, axis=1)"),
        ("np.reshape(x, (2, 3))", "x.reshape((2, 3))"),
        ("np.dot(x, w)", "x @ w"),
        ("x.dot(w)", "x @ w"),
        ("np.divide(x, w)", "x / w"),
        ("np.linalg.norm(x)", "np.linalg.norm(x)"),
    ],
)
def test_an_operation_is_known_however_it_is_written(written, in_the_table):
    assert ast.unparse(in_one_way(ast.parse(written, mode="eval").body)) == in_the_table


def logistic_regression(x, w, b):
    p = logistic(x @ w + b)
    return p, (x, w, p)


def logistic_regression_back(dp, cache):
    x, w, p = cache
    dz = dp * p * (1 - p)
    return np.outer(dz, 1 / w**2), x.T @ dz, dz.sum()


def test_a_product_with_a_vector_comes_back_as_an_outer_one():
    arrays = RNG.normal(size=(5, 3)), RNG.normal(size=3), np.array(0.3)
    (told,) = reported((logistic_regression, logistic_regression_back), *arrays)
    assert told == ("wrong-exponent", "return (np.outer(dz, w), x.T @ dz, dz.sum())")


@pytest.mark.parametrize(
    ("wrong", "right", "mistake"),
    [
        ("dy * h", "dy * x", "wrong-variable"),
        ("dy * A[i]", "dy * A[i - 1]", "wrong-index"),
        ("dy * h * h", "dy * h", "wrong-exponent"),
        ("dy * h", "dy / h", "derivative-inverted"),
        ("dy * h", "dy", "extra-product"),
        ("dy", "dy * gamma", "factor-missing"),
        ("dy", "np.einsum('bi,i->bi', dy, gamma)", "factor-missing"),
        ("dy / n", "dy / (n - 1)", "wrong-variable"),
        ("dy", "dy * (1 - h ** 2)", "derivative-missing"),
        ("dy", "-dy", "wrong-sign"),
        ("dy @ w", "dy @ w.T", "transposed"),
        ("dy + a", "dy + a + b", "term-missing"),
        ("dy + a - b", "dy + a", "term-too-many"),
        ("(dy * x).sum()", "(dy * x).sum(axis=0)", "wrong-axis"),
        ("dy * x", "(dy * x).sum(axis=0)", "not-summed"),
        ("dy[:, -1]", "dy", "examples-missing"),
        ("dy * np.cos(x)", "dy + np.log(x) * 2", "wrong-derivative"),
        ("y * dy - dy.mean()", "-(y * dy).sum(axis=1) * m + dy * y", "wrong-derivative"),
        ("np.diff(dy)", "np.cumsum(dy)", "wrong-derivative"),
    ],
)
def test_a_difference_has_a_name(wrong, right, mistake):
    assert mistake_in(*(ast.parse(text, mode="eval").body for text in (wrong, right))) == mistake


def reported(pair, *arrays, **kwargs):
    """[(mistake, line as due)] of what is said."""
    return [(v.mistake, v.fix) for v in check_gradients(pair, *arrays, kwargs=kwargs or None).verdicts]


def running_total(x):
    return np.cumsum(x, axis=1), None


def differences_back(dy, cache):
    return np.diff(dy, axis=1, prepend=0)


def test_what_undoes_the_forward_is_no_gradient_of_it():
    (told,) = reported((running_total, differences_back), RNG.normal(size=(2, 5)))
    assert told == ("wrong-derivative", "return np.flip(np.cumsum(np.flip(dy, 1), 1), 1)")


def bumps(x, centers, beta):
    r2 = ((x[:, None] - centers) ** 2).sum(axis=-1)
    return np.exp(-beta * r2), (x, centers, beta, r2, np.exp(-beta * r2))


def bumps_back(dphi, cache):
    x, centers, beta, r2, phi = cache
    dr2 = -dphi * phi * beta
    ddiff = 2 * dr2[:, :, None] * (x[:, None] - centers)
    dbeta = -(dphi * phi * (beta + 0 * r2)).sum(axis=0)
    return ddiff.sum(axis=1), -ddiff.sum(axis=0), dbeta


def test_the_line_is_in_the_words_of_the_backward():
    arrays = RNG.normal(size=(4, 2)), RNG.normal(size=(3, 2)), RNG.uniform(0.5, 1, 3)
    ((_, line),) = reported((bumps, bumps_back), *arrays)
    assert line == "dbeta = -(dphi * phi * r2).sum(axis=0)"


def logistic(u):
    return 1 / (1 + np.exp(-u))


def three_layers(x, w1, w2, w3):
    weights, outputs = [w1, w2, w3], [x]
    for w in weights:
        outputs.append(logistic(outputs[-1] @ w))
    return outputs[-1], (weights, outputs)


def three_layers_back(dy, cache):
    weights, outputs = cache
    gradients = []
    delta = dy * outputs[3] * (1 - outputs[3])
    for layer in (2, 1, 0):
        gradients.insert(0, outputs[layer].T @ delta)
        if layer:
            delta = delta @ weights[layer].T * outputs[layer - 1] * (1 - outputs[layer - 1])
    return (delta @ weights[0].T, *gradients)


def test_a_function_of_ones_own_is_one_operation_and_items_have_the_loops_count():
    ((mistake, line),) = reported((three_layers, three_layers_back), *(RNG.normal(size=(n, 3)) for n in (5, 3, 3, 3)))
    assert mistake == "wrong-index"
    assert line == "delta = delta @ weights[layer].T * outputs[layer] * (1 - outputs[layer])"


def mixture(gate, expert, x):
    each, p = np.einsum("kon,nm->kom", expert, x), np.tanh(gate)
    return np.einsum("km,kom->om", p, each), (p, expert, x, each)


def mixture_back(dy, cache):
    p, expert, x, each = cache
    dgate = np.einsum("om,kom->km", dy, each) * (1 - p**2)
    deach = np.broadcast_to(dy, each.shape)
    return dgate, np.einsum("kom,nm->kon", deach, x), np.einsum("kon,kom->nm", expert, deach)


def test_einsum_comes_back_as_einsum():
    arrays = RNG.normal(size=(2, 5)), RNG.normal(size=(2, 3, 4)), RNG.normal(size=(4, 5))
    told = reported((mixture, mixture_back), *arrays)
    assert told == [("factor-missing", "deach = np.einsum('om,km->kom', dy, p)")]


def adapter(x, w, a, b, alpha=8.0):
    scale = alpha / a.shape[1]
    return x @ w + scale * (x @ a) @ b, (x, w, a, b, scale)


def adapter_back(dy, cache):
    x, w, a, b, scale = cache
    dlow = dy @ b.T
    return dy @ w.T + dlow @ a.T, x.T @ dy, x.T @ dlow, scale * (x @ a).T @ dy


def test_a_gradient_of_the_wrong_value_gets_the_factor_between_the_two():
    arrays = (RNG.normal(size=shape) for shape in ((3, 4), (4, 5), (4, 2), (2, 5)))
    assert reported((adapter, adapter_back), *arrays) == [("factor-missing", "dlow = dy @ b.T * scale")]


def overwritten(x, w):
    h = np.tanh(x @ w)
    gate = np.exp(-(x**2).sum(axis=1, keepdims=True))
    h *= gate
    return h, (x, w, h, gate)


def overwritten_back(dy, cache):
    x, w, h, gate = cache
    dz = dy * gate * (1 - h**2)
    return dz @ w.T - 2 * x * (dy * h).sum(axis=1, keepdims=True), x.T @ dz


def test_what_the_forward_did_not_keep_is_computed_again():
    told = reported((overwritten, overwritten_back), RNG.normal(size=(3, 2)), RNG.normal(size=(2, 4)))
    assert [line for _, line in told] == ["dz = dy * gate * (1 - np.tanh(x @ w) ** 2)"]


def gated(a, b):
    gate = logistic(b)
    return a * gate, (a, gate)


def gated_back(dy, cache):
    a, gate = cache
    slope = logistic(gate) * (1 - logistic(gate))
    return dy * gate, dy * a * slope


def test_a_factor_is_mended_where_it_is_computed():
    (told,) = check_gradients((gated, gated_back), RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))).verdicts
    assert (told.variable, told.mistake) == ("slope", "function-too-many"), told
    assert told.fix == "slope = gate * (1 - gate)"


def scaled(x, gamma):
    z = x * gamma
    return np.tanh(z) * x, (x, gamma, z)


def scaled_back(dy, cache):
    x, gamma, z = cache
    dz = np.cumsum(dy, axis=0) * x
    return dz * gamma + dy * np.tanh(z), (dz * x).sum(axis=0)


def test_a_scale_of_ones_is_not_lost_in_the_line():
    for verdict in check_gradients((scaled, scaled_back), RNG.normal(size=(3, 4)), np.ones(4)).verdicts:
        assert verdict.fix in ("", "dz = dy * x * (1 - np.tanh(z) ** 2)"), verdict


def noisy(x, noise=1.0):
    return (x * noise) ** 3, x


def noisy_back(dy, x):
    return np.cumsum(dy, axis=0)


def test_a_name_that_the_backward_lacks_is_said():
    (told,) = check_gradients((noisy, noisy_back), RNG.normal(size=(3, 4)), kwargs={"noise": 1.3}).verdicts
    assert "noise" in told.fix
    assert "the forward must keep noise" in told.message


def two_parts(a, b):
    return np.tanh(a) + np.tanh(b), (np.tanh(a), np.tanh(b))


def two_parts_back(dz, cache):
    a, b = cache
    return np.cumsum(dz, axis=0) * a, np.sqrt(np.abs(dz)) * b + dz


def test_what_is_not_linear_is_told_of_what_is_made_of_it():
    found = check_gradients((two_parts, two_parts_back), RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))).verdicts
    assert [(v.array, v.mistake == "not-linear") for v in found] == [("a", False), ("b", True)], found


def accumulated(x, w):
    return x @ w + np.sin(x) @ w, (x, w)


def accumulated_back(dy, cache):
    x, w = cache
    dx = dy @ w.T
    dx += dx * 0.5
    return dx, (x + np.sin(x)).T @ dy


def test_true_gradients_stay_true_where_the_code_adds_to_them_in_place():
    arrays = RNG.normal(size=(3, 2)), RNG.normal(size=(2, 4))
    (told,) = check_gradients((accumulated, accumulated_back), *arrays).verdicts
    assert told.mistake != "unexplained"
