"""reference= compares what a forward computes with what it should: the gradient check alone cannot see that."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad.gradient_check import check_gradients
from handgrad.gradient_check.reference import difference

X, W, B = (np.random.default_rng(1).normal(size=shape) for shape in ((5, 4), (4, 3), (3,)))
BACK = F.softmax_backward


def softmax(x):
    """Right."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_forward(x):
    y = softmax(x)
    return y, y


def only(report):
    (verdict,) = report.verdicts
    assert (verdict.array, verdict.mistake) == ("y", "wrong-forward"), report
    return verdict


@pytest.mark.parametrize("reference", [softmax, softmax_forward, (softmax_forward, BACK), "softmax", "Softmax", True])
def test_a_right_forward_passes_beside_every_kind_of_reference(reference):
    report = check_gradients((softmax_forward, BACK), X, reference=reference)
    assert report.ok, report
    assert "y was compared with that of " in str(report) and "reference=" not in str(report)


def test_without_a_reference_the_report_says_what_it_cannot_see():
    report = check_gradients((lambda x: (2 * softmax(x), softmax(x)), lambda dy, y: BACK(2 * dy, y)), X)
    assert report.ok
    assert "a wrong forward with its own right backward passes without reference=" in str(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: 2 * y, "y is 2 times what it should be, everywhere"),
        (lambda y: -y, "y is of the other sign"),
        (lambda y: y + 0.5, "y is off by +0.5 everywhere"),
        (lambda y: y * np.array([1, 1, 3, 1]), "y is wrong at index 2 of axis 1, right elsewhere"),
        (lambda y: y * np.arange(1, 6)[:, None], "y is wrong at index 1, 2, 3, 4 of axis 0, right elsewhere"),
        (lambda y: y * np.arange(2, 7)[:, None], "y is off by a factor that is the same all along axis 1"),
        (lambda y: y**2, "y is wrong everywhere"),
    ],
)
def test_it_is_said_where_the_values_differ(change, words):
    report = check_gradients((lambda x: (change(softmax(x)), None), lambda dy, c: dy), X, reference=softmax)
    assert words in report.verdicts[0].message


def test_the_gradient_is_checked_all_the_same():
    report = check_gradients((lambda x: (2 * np.tanh(x), x), lambda dy, x: dy), X, reference=np.tanh)
    assert (report.verdicts[0].array, report.verdicts[0].mistake) == ("y", "wrong-forward")
    assert len(report.verdicts) == 2 and report.verdicts[1].array == "x"


def test_what_is_right_on_the_arrays_given_may_be_wrong_on_others():
    x = np.abs(X)
    verdict = only(
        check_gradients((lambda x: (x * 1.0, x), lambda dy, x: dy), X * 0.4, reference=lambda x: np.clip(x, -1, 1))
    )
    assert "it is right on the arrays given, and wrong on others" in verdict.message
    assert check_gradients((lambda x: (np.sqrt(x), x), lambda dy, x: dy / np.sqrt(x) / 2), x, reference=np.sqrt).ok


def test_a_layer_hands_its_parameters_to_a_reference():
    class Dense:
        def __init__(self):
            self.W, self.b = W.copy(), B.copy()

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dy):
            self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
            return dy @ self.W.T

    class Biased(Dense):
        def forward(self, x):
            return super().forward(x) + 1

    for reference in ("linear", lambda x, w, b: x @ w + b, hg.Linear(3), Dense()):
        assert check_gradients(Dense(), X, reference=reference).ok
        assert "+1 everywhere" in only(check_gradients(Biased(), X, reference=reference)).message


def test_keywords_and_generators_reach_both():
    pair = (F.dropout_forward, F.dropout_backward)
    given = {"rate": 0.3, "rng": np.random.default_rng(0)}
    assert check_gradients(pair, X, kwargs=given, reference="dropout").ok
    with pytest.raises(ValueError, match="the reference tanh takes no keyword 'rate'"):
        check_gradients(pair, X, kwargs=given, reference="tanh")


def test_several_outputs_are_compared_in_one_row():
    def step(x, h):
        new = np.tanh(x + h)
        return new, 2 * new, new

    def back(d1, d2, new):
        d = (d1 + 2 * d2) * (1 - new**2)
        return d, d

    assert check_gradients((step, back), X, X + 1, reference=step).ok
    wrong = only(check_gradients((step, back), X, X + 1, reference=lambda x, h: (np.tanh(x + h), np.tanh(x + h))))
    assert "y[" in wrong.message


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("sofmax", "unknown reference 'sofmax'; did you mean 'softmax'"),
        ("jax:gelu", "unknown package of references 'jax'"),
        (3, "reference must be a function, a pair"),
        (lambda x, y: x, "does not run on the arrays of this check: TypeError"),
    ],
)
def test_a_reference_that_cannot_be_used_is_refused_in_one_line(reference, problem):
    with pytest.raises((ValueError, TypeError), match=problem) as raised:
        check_gradients((softmax_forward, BACK), X, reference=reference)
    assert "\n" not in str(raised.value)


def test_a_function_of_torch_by_name():
    pytest.importorskip("torch")
    assert check_gradients((F.silu_forward, F.silu_backward), X, reference="torch:silu").ok
    assert (
        "off by +1 everywhere"
        in only(
            check_gradients(
                (lambda x: (np.tanh(x) + 1, x), lambda dy, x: dy * (1 - np.tanh(x) ** 2)), X, reference="torch:tanh"
            )
        ).message
    )
    labels = np.array([0, 2, 1, 1, 0])
    assert check_gradients(
        (F.cross_entropy_forward, F.cross_entropy_backward), X, labels, reference="torch:cross_entropy"
    ).ok
    with pytest.raises(ValueError, match=r"'gellu'; did you mean 'gelu'\?$"):  # without the names of all others
        check_gradients((F.gelu_forward, F.gelu_backward), X, reference="torch:gellu")


def test_a_wrong_forward_of_a_model_stays_beside_what_its_layers_say():
    model = hg.Sequential([hg.Linear(3), hg.Tanh()])
    report = check_gradients(model, X, reference=lambda x: np.zeros((5, 3)))
    assert [v.mistake for v in report.verdicts] == ["wrong-forward"]


def test_a_pattern_is_one_and_no_chance():
    x = np.array([[0.5, 2.0]])
    for wrong, words in (
        (0.7, "y is 0.7, the reference half gives 0.5"),
        (1.5, ": y is 3 times what it should be, everywhere"),
    ):
        assert difference(np.array(0.5), np.array(wrong), {}, "half", "").message.endswith(words)
    said = difference(x, x + np.array([[0.1, 0.3]]), {"x": x}, "same", "", "dx").message
    assert said == "dx[0, 1] is 2.3, the reference same gives 2: dx is wrong everywhere"
    near = difference(x, x + np.array([[1e-5, -3e-5]]), {}, "same", "")
    assert near.message.endswith("y is a little off: is a small constant, such as an epsilon, forgotten?")
