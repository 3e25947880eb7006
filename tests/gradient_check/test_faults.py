"""Faults of the code under test become verdicts with stable names, never exceptions."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad.gradient_check import check_gradients

X = np.random.default_rng(1).normal(size=(5, 4))


def identity_backward(dy, cache):
    return (dy,)


def raising(x):
    raise KeyError("weights")


def changing_shape():
    calls = []

    def forward(x):
        calls.append(1)
        return (x if len(calls) % 2 else x.T), None

    return forward


def noisy(x):
    return x + np.random.default_rng().normal(size=x.shape), None


def counting():
    calls = []

    def forward(x):
        calls.append(1)
        return x * len(calls), None

    return forward


def in_place(x):
    x *= 2
    return x + 0.0, None


FORWARDS = {
    "forward-raises": raising,
    "wrong-output": lambda x: x,
    "integer-output": lambda x: (np.floor(x).astype(int), None),
    "not-finite": lambda x: (np.log(x), None),
    "shape-changes": changing_shape(),
    "nondeterministic-forward": noisy,
    "float32-precision": lambda x: (np.sin(x).astype(np.float32), None),
    "float32-precision ": lambda x: (np.sin(x.astype(np.float32).astype(np.float64)), None),
}


@pytest.mark.parametrize("mistake", FORWARDS)
def test_a_forward_that_cannot_be_checked_is_a_verdict(mistake):
    forward = FORWARDS[mistake]
    forward.__name__ = "some_forward"
    report = check_gradients((forward, named_backward), X)
    assert [v.mistake for v in report.verdicts] == [mistake.strip()]
    assert "\n" not in report.verdicts[0].message


def named_backward(dy, cache):
    return (dy,)


def test_a_forward_that_counts_its_calls_is_told_from_a_random_one():
    report = check_gradients((counting(), named_backward), X)
    assert report.verdicts[0].mistake in ("state-mutated", "nondeterministic-forward")


def test_noise_from_the_global_generator_is_recognised():
    report = check_gradients((lambda x: (x * np.random.normal(), None), identity_backward), X)  # noqa: NPY002
    assert report.verdicts[0].mistake == "nondeterministic-forward"
    assert "global generator" in report.verdicts[0].message


def test_changing_x_in_place_is_named_and_the_gradient_is_checked_all_the_same():
    report = check_gradients((in_place, lambda dy, cache: (2 * dy,)), X)
    assert [(v.array, v.mistake) for v in report.verdicts] == [("x", "input-modified")]


@pytest.mark.parametrize(
    "backward, mistake",
    [
        (lambda dy, cache: dy[:, :2], "wrong-shape"),
        (lambda dy, cache: None, "gradient-missing"),
        (lambda dy, cache: (), "missing-gradient"),
        (lambda dy, cache: (dy, dy), "extra-gradient"),
        (lambda dy, cache: dy @ dy, "backward-raises"),
        (lambda dy, cache: dy * np.nan, "not-finite"),
        (lambda dy, cache: 0 * dy, "gradient-missing"),
        (lambda dy, cache: dy.astype(np.float32), "float32-precision"),
        (lambda dy, cache: dy * np.random.default_rng().uniform(0.5, 1), "nondeterministic-backward"),
    ],
)
def test_a_faulty_backward_is_a_verdict(backward, mistake):
    report = check_gradients((lambda x: (x.copy(), None), backward), X)
    assert [v.mistake for v in report.verdicts] == [mistake], report


def test_a_forward_alone_is_told_what_it_was_taken_for():
    for forward in (F.tanh_forward, lambda x: x**2):
        (verdict,) = check_gradients(forward, X).verdicts
        assert verdict.mistake == "wrong-output"
        assert "given alone, was taken for a function that returns (loss, gradients)" in verdict.message


def test_an_array_of_whole_numbers_is_told_that_it_was_taken_for_labels():
    (verdict,) = check_gradients((F.linear_forward, F.linear_backward), X, np.ones((4, 3), int), np.ones(3)).verdicts
    assert verdict.mistake == "extra-gradient"
    assert "weight is int64 (4, 3), taken for labels: make it floats" in verdict.message


def unwritten(dy, cache):
    """Some words, and no more."""
    ...


def to_do(dy, cache):
    raise NotImplementedError("exercise 3")


def blank(dy, cache):
    _x, _w = cache
    dx, dw = None, None
    # your code here
    pass
    return dx, dw


def begun(dy, cache):
    print(dy.shape, len(cache))
    raise NotImplementedError


def product(x, w):
    out = product_of(x, w)
    return out, (x, w)


def product_of(x, w):
    return x @ w


def blank_product(x, w):
    out = None
    cache = (x, w)
    return out, cache


def product_with_helper(x, w):
    return 2 * helper(x, w), (x, w)


def helper(x, w):
    pass


def nothing(dy, cache):
    dx, dw = [None for _ in cache]
    return dx, dw


class Layer:
    def forward(self, x):
        return self.squash(x) + 1

    def squash(self, x):
        """To be written."""

    def backward(self, dy):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ((product, unwritten), "unwritten is not written yet"),
        ((product, to_do), "to_do is not written yet"),
        ((product, blank), "blank is not written yet"),
        ((product, begun), "begun is not written yet"),
        ((product, nothing), "the backward gives None for x, w: it is not written yet"),
        ((blank_product, blank), "blank_product and blank are not written yet"),
        ((product_with_helper, blank), "blank is not written yet"),
        ((product_with_helper, product), "helper is not written yet: the forward needs it in line "),
        (blank_product, "blank_product is not written yet"),
    ],
)
def test_what_is_not_written_yet_is_one_verdict_that_names_it(target, message):
    (verdict,) = check_gradients(target, X, np.ones((4, 2))).verdicts
    assert verdict.mistake == "not-written"
    assert verdict.message.startswith(message)


def test_a_layer_that_is_not_written_yet_is_named_with_its_class_in_a_model_too():
    class Backed(Layer):
        def backward(self, dy):
            return dy

    class Identity:
        def forward(self, x):
            return x

        def backward(self, dy):
            return dy

    class Model(Identity):
        def __init__(self):
            self.layers = [Identity(), Layer()]

    assert check_gradients(Identity(), X).ok, "a function that returns its argument is written"
    (verdict,) = check_gradients(Layer(), X).verdicts
    assert str(verdict).startswith("not-written in line ") and "Layer.backward is not written yet" in verdict.message
    (verdict,) = check_gradients(Backed(), X).verdicts
    assert verdict.message.startswith("Backed.squash is not written yet: the forward needs it in line ")
    (verdict,) = check_gradients(Model(), X).verdicts
    assert verdict.message == "Layer.backward is not written yet"


def test_a_method_that_a_check_does_not_call_may_be_empty():
    class Cube:
        def compute(self):
            pass

        def forward(self, x):
            self.x = x
            return x**3

        def backward(self, dy):
            return 3 * dy * self.x**2

    class Halved(hg.Layer):
        def compute(self, x, training):
            return x / 2, None

        def differentiate(self, dy, cache):
            raise NotImplementedError

    assert check_gradients(Cube(), X).ok
    (verdict,) = check_gradients(Halved(), X).verdicts
    assert verdict.message == "Halved.differentiate is not written yet"


def test_a_forward_that_forgets_its_return_is_not_called_unwritten():
    def forward(x):
        np.tanh(x)

    (verdict,) = check_gradients((forward, named_backward), X).verdicts
    assert (verdict.mistake, "is its return missing" in verdict.message) == ("wrong-output", True)


def test_an_exception_is_told_with_the_users_line_not_numpys():
    def forward(x):
        return np.linalg.inv(x), None

    (verdict,) = check_gradients((forward, named_backward), X).verdicts
    first = forward.__code__.co_firstlineno
    assert (verdict.mistake, verdict.line) == ("forward-raises", first + 1)
    assert verdict.message.endswith(f"(line {first + 1} of forward)")
    assert verdict.evidence == "return np.linalg.inv(x), None  where x is (5, 4)"


def test_leaving_python_is_a_fault_like_any_other():
    (verdict,) = check_gradients((lambda x: exit(3), named_backward), X).verdicts
    assert verdict.message.startswith("the forward raised SystemExit: 3")


def test_an_unknown_mistake_is_honestly_unexplained():
    noise = np.random.default_rng(3).normal(size=X.shape)
    no_source = eval("lambda dy, y: (np.sin(5 * y) * dy + noise * dy[::-1],)", {"np": np, "noise": noise})
    report = check_gradients((F.tanh_forward, no_source), X)
    assert report.verdicts[0].mistake == "unexplained"
    assert "x[" in report.verdicts[0].evidence


def test_a_backward_that_is_not_linear_in_dy_is_told():
    report = check_gradients((F.tanh_forward, lambda dy, y: (y * np.sin(dy) + dy[::-1] ** 3,)), X)
    assert report.verdicts[0].mistake == "not-linear"
    assert "twice the dy must give twice the gradient" in report.verdicts[0].message


def test_a_cache_of_another_call_is_stale():
    kept = {}

    def forward(x):
        kept["x"] = x
        return x**2, None

    report = check_gradients((forward, lambda dy, cache: (2 * kept["x"] * dy,)), X)
    assert [v.mistake for v in report.verdicts] == ["stale-cache"]


def test_the_wrong_layer_of_a_model_is_named():
    class Tanh(hg.Tanh):
        def differentiate(self, dy, cache):
            return dy, {}

    model = hg.Sequential([hg.Linear(4), Tanh(name="bent"), hg.Linear(3)])
    report = check_gradients(model, X)
    assert [(v.array, v.mistake) for v in report.verdicts] == [("bent.x", "derivative-missing")]
    assert not report["linear1.weight"].ok
    assert report["linear2.weight"].ok


def test_the_softmax_and_loss_of_one_course_are_told_apart():
    """Each returns what the other should have left to it: the network descends the Brier score."""

    def fused(dloss, cache):
        probabilities, labels = cache
        return (dloss * (probabilities - np.eye(4)[labels]) / len(labels),)

    def forward(probabilities, labels):
        return F.probability_cross_entropy_forward(probabilities, labels)[0], (probabilities, labels)

    model = hg.Sequential([hg.Linear(4), hg.Softmax()])
    report = check_gradients(model, X, np.arange(5) % 4, loss=(forward, fused))
    assert not report.ok
    assert "brier-gradient" in {v.mistake for v in report.verdicts}


def test_a_loss_that_ignores_dloss_and_is_wrong_for_one_besides_gets_both_names():
    def twice(dloss, cache):
        probabilities, labels = cache
        off = (probabilities - np.eye(4)[labels]) / len(labels)
        return (probabilities * (off - (off * probabilities).sum(axis=1, keepdims=True)),)

    def forward(outputs, labels):
        return F.cross_entropy_forward(outputs, labels)[0], (F.softmax_forward(outputs)[0], labels)

    report = check_gradients((forward, twice), X, np.arange(5) % 4)
    assert [v.mistake for v in report.verdicts] == ["upstream-ignored", "brier-gradient"]


@pytest.mark.parametrize(
    ("gradient", "mistake"),
    [
        (lambda dy, x: dy * x, "not-summed"),
        (lambda dy, x: (dy * x).sum(axis=0, keepdims=True), "wrong-shape"),
        (lambda dy, x: (dy * x).sum(), "wrong-axis"),
    ],
)
def test_a_layer_of_ones_own_with_a_gradient_of_the_wrong_shape(gradient, mistake):
    class Scale(hg.Layer):
        def create_parameters(self, input_shape, rng):
            return {"factor": np.ones(input_shape)}

        def compute(self, x, training):
            return x * self.parameters["factor"], x

        def differentiate(self, dy, cache):
            return dy * self.parameters["factor"], {"factor": gradient(dy, cache)}

    report = hg.check_gradients(Scale(), X)
    assert [(v.array, v.mistake) for v in report.verdicts] == [("factor", mistake)]


class MeanSquare:
    """Methods that are a pair: the cache is handed back, and not kept in the object."""

    def forward(self, x):
        return (x**2).mean(), x

    def backward(self, dy, cache):
        return dy * 2 * cache / cache.size


def test_methods_that_hand_the_cache_back_are_a_pair():
    loss, x = MeanSquare(), np.random.default_rng(0).normal(size=(3, 2))
    assert check_gradients((loss.forward, loss.backward), x).ok
    (verdict,) = check_gradients(loss, x).verdicts
    assert verdict.mistake == "wrong-output" and "(layer.forward, layer.backward)" in verdict.message
