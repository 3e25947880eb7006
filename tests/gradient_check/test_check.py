"""check_gradients says right of what is right, for every kind of target, and leaves everything as it was."""

import numpy as np
import pytest

import handgrad as hg
from handgrad import functional as F
from handgrad.gradient_check import assert_gradients, check_gradients

RNG = np.random.default_rng(7)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
LABELS = np.array([0, 2, 1, 1, 0])


class Foreign:
    """A layer written without handgrad."""

    def __init__(self, dtype=np.float64):
        self.W, self.b = W.astype(dtype), B.astype(dtype)

    def forward(self, x):
        self.x = x
        return np.tanh(x @ self.W + self.b)

    def backward(self, dy):
        dz = dy * (1 - np.tanh(self.x @ self.W + self.b) ** 2)
        self.dW, self.db = self.x.T @ dz, dz.sum(axis=0)
        return dz @ self.W.T


class Lists(Foreign):
    """Parameters and gradients in two lists, as one popular book has them."""

    def __init__(self):
        self.params, self.grads = [W.copy(), B.copy()], [np.zeros_like(W), np.zeros_like(B)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.grads[0][...], self.grads[1][...] = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.params[0].T


class Lazy:
    """Parameters that come into being in the first forward, in dicts."""

    def __init__(self):
        self.parameters, self.gradients = {}, {}

    def forward(self, x):
        if not self.parameters:
            self.parameters = {"W": np.random.default_rng(1).normal(size=(x.shape[1], 2))}
        self.x = x
        return x @ self.parameters["W"]

    def backward(self, dy):
        self.gradients = {"W": self.x.T @ dy}
        return dy @ self.parameters["W"].T


class Activation:
    """The style backward(Z, dY), without a cache."""

    def forward(self, Z):
        return np.arctan(Z)

    def backward(self, Z, dY):
        return dY / (1 + Z**2)


class Several:
    """Arrays as arguments and a backward that answers for all of them."""

    def forward(self, x, w):
        self.kept = x, w
        return x @ w

    def backward(self, dy):
        x, w = self.kept
        return dy @ w.T, x.T @ dy


class Cube:
    """In the manner of torch.autograd.Function."""

    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return scale * x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * ctx.scale * x**2 * dy, None


class Updating:
    """A backward that takes a learning rate and makes the step itself."""

    def __init__(self):
        self.weights, self.bias = W.T.copy(), B[:, None].copy()

    def forward(self, input):
        self.input = input
        return self.weights @ self.input + self.bias

    def backward(self, output_gradient, learning_rate):
        input_gradient = self.weights.T @ output_gradient
        self.weights -= learning_rate * output_gradient @ self.input.T
        self.bias -= learning_rate * output_gradient.sum(axis=1, keepdims=True)
        return input_gradient


class CourseLoss:
    def forward(self, Y, Y_hat):
        return -(Y * np.log(Y_hat)).sum() / len(Y)

    def backward(self, Y, Y_hat):
        return -Y / Y_hat / len(Y)


class Uncopied(Foreign):
    def __init__(self):
        super().__init__()
        self.numbers = (number for number in range(3))


def softmax_loss(x, labels):
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    gradient = p.copy()
    gradient[np.arange(len(x)), labels] -= 1
    return -np.log(p[np.arange(len(x)), labels]).mean(), gradient / len(x)


def closure(weight):
    return np.mean((X @ weight) ** 2), 2 * X.T @ (X @ weight) / (X @ weight).size


TARGETS = {
    "pair": ((F.linear_forward, F.linear_backward), (X, W, B), ["x", "weight", "bias"]),
    "loss pair": ((F.cross_entropy_forward, F.cross_entropy_backward), (X, LABELS), ["logits"]),
    "loss pair with float targets": (
        (F.mean_squared_error_forward, F.mean_squared_error_backward),
        (X, X + 1),
        ["outputs"],
    ),
    "layer": (hg.Linear(3), (X,), ["x", "weight", "bias"]),
    "layer in float32": (hg.Linear(3).build(4, rng=0), (X.astype(np.float32),), ["x", "weight", "bias"]),
    "model": (
        hg.Sequential([hg.Linear(3), hg.Tanh(), hg.Linear(2)]),
        (X,),
        ["x", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"],
    ),
    "loss object": (hg.CrossEntropy(), (X, LABELS), ["outputs"]),
    "foreign layer": (Foreign(), (X,), ["x", "W", "b"]),
    "foreign layer in float32": (Foreign(np.float32), (X,), ["x", "W", "b"]),
    "foreign layer with lists": (Lists(), (X,), ["x", "params[0]", "params[1]"]),
    "foreign layer built late": (Lazy(), (X,), ["x", "W"]),
    "foreign activation": (Activation(), (X,), ["Z"]),
    "foreign layer that updates itself": (Updating(), (X.T,), ["input", "weights", "bias"]),
    "foreign loss": (CourseLoss(), (np.eye(4)[[0, 2, 1, 1, 0]], np.exp(X)), ["Y_hat"]),
    "foreign with several arrays": (Several(), (X, W), ["x", "w"]),
    "function class": (Cube, (X, 2.0), ["x"]),
    "function and gradient": ((lambda x: np.sum(np.sin(x)), np.cos), (X,), ["x"]),
    "element-wise derivative": ((np.sin, np.cos), (X,), None),
    "Jacobian": ((lambda x: W.T @ x, lambda x: W.T), (X[0],), ["x"]),
    "closure": (closure, (W,), ["weight"]),
    "closure with labels": (softmax_loss, (X, LABELS), ["x"]),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_every_kind_of_target_is_understood(kind):
    target, arrays, names = TARGETS[kind]
    report = check_gradients(target, *arrays)
    assert report.ok, report
    assert names is None or list(report.arrays) == names
    assert report.max_error < 1e-12
    assert {check.method for check in report.arrays.values()} == {"complex step"}


def test_a_true_torch_function():
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            return dy * ctx.saved_tensors[0]

    report = check_gradients(Square, X)
    assert [v.mistake for v in report.verdicts] == ["factor-two"]


@pytest.mark.parametrize("loss", [hg.CrossEntropy(), (F.cross_entropy_forward, F.cross_entropy_backward)])
def test_a_model_with_a_loss(loss):
    model = hg.Sequential([hg.Linear(4), hg.ReLU(), hg.Linear(3)])
    report = check_gradients(model, X, LABELS, loss=loss)
    assert report.ok, report
    assert len(report.arrays) == 5


def test_a_forward_that_takes_no_complex_numbers_is_checked_by_differences():
    def forward(x):
        return np.abs(x) * x.astype(np.float64), x

    report = check_gradients((forward, lambda dy, x: (2 * dy * np.abs(x),)), X)
    assert report.ok, report
    assert report["x"].method == "central differences"
    assert report.max_error < 1e-9


def test_a_complex_step_that_lies_is_found_out():
    def forward(x):  # np.abs is right for numbers and wrong for their continuation
        return np.sum(x**2) + 1e-7 * np.sum(np.abs(x)), x

    report = check_gradients((forward, lambda dy, x: (dy * (2 * x + 1e-7 * np.sign(x)),)), X)
    assert report.ok, report


def test_nothing_of_the_callers_is_changed():
    layer, x = Foreign(), X.copy()
    rng = np.random.default_rng(0)
    check_gradients(layer, x)
    check_gradients((F.dropout_forward, F.dropout_backward), x, kwargs={"rng": rng})
    assert not hasattr(layer, "x")
    assert np.array_equal(layer.W, W)
    assert np.array_equal(x, X)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_the_global_generator_is_left_where_it_was():
    before = np.random.get_state()  # noqa: NPY002 (the global generator is the subject)
    check_gradients((F.tanh_forward, F.tanh_backward), X)
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


def test_the_upstream_does_not_repeat_data_drawn_from_the_same_seed():
    x = np.random.default_rng(0).normal(size=(5, 4))
    report = check_gradients((F.tanh_forward, lambda dy, y: (x * (1 - y**2),)), x, seed=0)
    assert not report.ok


def test_wrt_names_the_arrays():
    report = check_gradients((F.linear_forward, F.linear_backward), X, W, B, wrt=["x", "weight", "bias"])
    assert report.ok
    loss = (F.mean_squared_error_forward, lambda dy, cache: (*F.mean_squared_error_backward(dy, cache), None))
    assert list(check_gradients(loss, X, X + 1, wrt="outputs").arrays) == ["outputs"]
    assert list(check_gradients(Foreign(), X, wrt="W").arrays) == ["W"]


@pytest.mark.parametrize(
    "target, arrays, options, problem",
    [
        ((F.relu_forward, F.relu_backward), (), {}, "example arrays"),
        ((F.relu_forward, F.relu_backward), (np.arange(3),), {}, "array of floats"),
        ((F.relu_forward,), (X,), {}, "a pair is"),
        ((F.linear_forward, F.linear_backward), (X, W, B), {"wrt": "wieght"}, "wrt names 'wieght'"),
        (Foreign, (X,), {}, "check an object of it"),
        (3, (X,), {}, "takes a pair"),
        (hg.Linear(3), (X, LABELS), {"loss": "cross-entropy"}, "loss must be"),
        ((F.linear_backward, F.linear_forward), (X, W, B), {}, "has the backward first: exchange them"),
        ((lambda dy, c: dy, lambda x: (x, None)), (X,), {}, "has the backward first: exchange them"),
        (F.relu_forward, (F.relu_backward, X), {}, "put the pair in brackets"),
        ((F.relu_forward(X)[0], F.relu_backward), (X,), {}, "got .float64 .5, 4., relu_backward.; give the functions"),
        (
            (F.linear_forward, F.linear_backward),
            ([X, W, B],),
            {},
            "missing a required argument: .weight.; give arrays one by one",
        ),
        ((F.linear_forward, F.linear_backward), (X, W), {}, "float64 .4, 3..: missing a required argument: .bias."),
        ((F.relu_forward, F.relu_backward), (X,), {"kwargs": {"slope": 1}}, "unexpected keyword argument 'slope'"),
        ((F.relu_forward, F.relu_backward), ([[1.0, 2.0], [3.0]],), {}, "array of floats, got x: a list of 2"),
        ((F.relu_forward, F.relu_backward), (X + 1j,), {}, "arrays of real numbers, got complex128 .5, 4."),
        ((F.relu_forward, F.relu_backward), (3.0,), {}, "write np.array.x, float."),
        (hg.Linear(3).forward, (hg.Linear(3).backward, X), {}, "give the layer itself, check_gradients.linear, x."),
        (Uncopied(), (X,), {}, "Uncopied cannot be copied, and a check works on copies: TypeError: cannot pickle"),
        (hg.Linear(3), (X,), {"wrt": True}, "wrt names True"),
        (hg.Linear(3), (X,), {"seed": "a"}, "seed must be a whole number >= 0, got 'a'"),
        (hg.Linear(3), (X,), {"max_entries": 2.5}, "max_entries must be a whole number >= 1, got 2.5"),
        (hg.Linear(3), (X,), {"seconds": -1}, "seconds must be a finite number > 0, got -1"),
        (hg.Linear(3), (X,), {"wrt": []}, "wrt is empty: name at least one of the arrays x, weight, bias"),
        (hg.Linear(3), (X,), {"wrt": 2.5}, "wrt names 2.5, but the arrays are"),
        (hg.CrossEntropy(), (X, LABELS), {"wrt": -9}, "wrt names -9, but the arrays are"),
        ((F.cross_entropy_forward, F.cross_entropy_backward), (X, LABELS), {"wrt": "targets"}, "no gradient by it"),
        (hg.Linear(3), (X,), {"kwargs": 3}, "kwargs must be a dict of keywords"),
        ((F.linear_forward, F.linear_backward), (X,), {"kwargs": W}, "arrays stand behind the target"),
        (hg.Linear(3), (X,), {"hints": "fx"}, "unknown hints 'fx'; did you mean 'fix'?"),
    ],
)
def test_misuse_raises_one_line(target, arrays, options, problem):
    with pytest.raises((TypeError, ValueError), match=problem) as raised:
        check_gradients(target, *arrays, **options)
    assert "\n" not in str(raised.value)


def test_a_backward_may_answer_for_more_than_is_asked_for():
    def forward(rows, table):
        return table[rows], (rows, len(table))

    def backward(dy, cache):
        rows, count = cache
        dtable = np.zeros((count, dy.shape[1]))
        np.add.at(dtable, rows, dy)
        return None, dtable

    assert check_gradients((forward, backward), np.array([0, 2, 2]), W).ok
    for wrt in ("x", "bias", ["weight", "x"]):
        assert check_gradients((F.linear_forward, F.linear_backward), X, W, B, wrt=wrt).ok


def test_a_parameter_whose_gradient_is_forgotten_is_said_to_be_unchecked():
    class Forgets(Foreign):
        def backward(self, dy):
            dz = dy * (1 - np.tanh(self.x @ self.W + self.b) ** 2)
            self.dW = self.x.T @ dz
            return dz @ self.W.T

    report = check_gradients(Forgets(), X)
    assert report.notes == ["b moves y, but has no gradient (none called db, grad_b, ...): it was not checked"]
    assert report.ok and report.unchecked == ["b"]
    assert "every gradient is right" not in str(report) and "right, but b could not be checked" in str(report)
    assert [check_gradients(layer, X).notes for layer in (Foreign(), Lists(), Lazy(), hg.BatchNorm())] == [[]] * 4


@pytest.mark.parametrize("gradient", ["dweights", "grad_weights", "weights_grad", "gw", "dW", "nabla_w"])
@pytest.mark.parametrize("in_list", [False, True])
def test_weights_are_checked_as_an_array_and_in_a_list(gradient, in_list):
    class Map:
        def __init__(self):
            self.weights = [W.copy()] if in_list else W.copy()

        def forward(self, x):
            self.x = x
            return x @ (self.weights[0] if in_list else self.weights)

        def backward(self, dy):
            wrong = 7.1 * self.x.T @ dy
            setattr(self, gradient, [wrong] if in_list else wrong)
            return dy @ (self.weights[0] if in_list else self.weights).T

    (verdict,) = check_gradients(Map(), X).verdicts
    assert (verdict.array, verdict.mistake) == ("weights[0]" if in_list else "weights", "constant-factor")


def test_gradients_in_a_dict_belong_to_the_attributes_of_their_names():
    class Affine:
        def __init__(self, factor):
            self.W, self.b, self.factor, self.grads = W.copy(), np.zeros(W.shape[1]), factor, {}

        def forward(self, x):
            self.x = x
            return x @ self.W + self.b

        def backward(self, dy):
            self.grads["W"] = self.factor * self.x.T @ dy
            self.grads["db"] = dy.sum(axis=0)
            return dy @ self.W.T

    right, wrong = check_gradients(Affine(1.0), X), check_gradients(Affine(2.0), X)
    assert right.ok and [*right.arrays] == ["x", "W", "b"] and not right.unchecked
    assert [(v.array, v.variable) for v in wrong.verdicts] == [("W", "self.grads['W']")]


class Listed:
    """An affine map that keeps its parameters, and their gradients, in lists of numbers."""

    def __init__(self, factor=1, extra=False):
        self.W, self.b = W.tolist(), B.tolist()
        self.factor, self.extra, self.grads = factor, extra, {}
        self.sizes, self.names = [4, 3], ["W", "b"]

    def forward(self, x):
        self.x = x
        bias = self.b.copy()
        if self.extra:
            bias.append(0.0)
        y = [[sum(r * self.W[i][j] for i, r in enumerate(row)) for j in range(3)] for row in x]
        return np.array(y) + bias[:3]

    def backward(self, dy):
        self.dW = (self.factor * self.x.T @ dy).tolist()
        self.grads["b"] = [column.sum() for column in dy.T]
        return dy @ np.array(self.W).T


def test_lists_of_numbers_are_parameters_and_their_gradients():
    layer = Listed()
    right, wrong = check_gradients(layer, X), check_gradients(Listed(factor=7), X)
    assert right.ok and [*right.arrays] == ["x", "W", "b"] and not right.unchecked
    assert [(v.array, v.variable) for v in wrong.verdicts] == [("W", "self.dW")]
    assert isinstance(layer.W, list) and isinstance(layer.b, list)


def test_lists_that_no_array_can_stand_for_are_said_to_be_unchecked():
    report = check_gradients(Listed(extra=True), X)
    assert report.unchecked == ["W", "b"]
    assert report.notes == [
        f"{name} moves y, but is a list of numbers (make it a NumPy array): it was not checked" for name in "Wb"
    ]


def test_a_list_of_numbers_that_a_backward_updates_is_a_parameter():
    class Scale:
        def __init__(self):
            self.scale = [1.0, 2.0, 3.0, 4.0]

        def forward(self, x):
            self.x = x
            return x * self.scale

        def backward(self, dy, learning_rate):
            dx, step = dy * self.scale, 3 * (dy * self.x).sum(axis=0)
            self.scale = [self.scale[j] - learning_rate * step[j] for j in range(4)]
            return dx

    report = check_gradients(Scale(), X)
    assert [*report.arrays] == ["x", "scale"] and [v.array for v in report.verdicts] == ["scale"]


def test_lists_of_numbers_are_arrays_and_gradients():
    def cubes(x):
        return sum(v**3 for v in x)

    def cubes_grad(x):
        return [3 * v**2 for v in x]

    for x in ([1.0, 2.0, 3.0], np.array([1.0, 2.0, 3.0])):
        assert check_gradients((cubes, cubes_grad), x).ok
        assert check_gradients((lambda x: x**3, lambda x: 3 * x**2), x).ok


def test_what_is_no_gradient_is_told_with_its_line():
    def forward(x):
        return 2 * x, None

    def words(dy, cache):
        return "2 dy"

    def nothing(dy, cache):
        dx = 2 * dy  # noqa: F841

    for backward, said in ((words, "must be an array of numbers, but is str"), (nothing, "is its return missing")):
        (verdict,) = check_gradients((forward, backward), X).verdicts
        assert said in verdict.message and verdict.line == backward.__code__.co_firstlineno


def test_a_method_without_self_is_named():
    class Doubles:
        def forward(self, x):
            return 2 * x

        def backward(dy):
            return 2 * dy

    with pytest.raises(TypeError, match=r"Doubles.backward\(dy\) lacks self, line \d+: write def backward\(self, dy\)"):
        check_gradients(Doubles(), X)


def test_the_methods_of_a_layer_are_the_layer():
    layer = Foreign()
    assert list(check_gradients((layer.forward, layer.backward), X).arrays) == ["x", "W", "b"]


def test_large_arrays_are_sampled_and_say_so():
    layer = hg.Linear(60).build(100, rng=0, dtype=np.float64)
    report = check_gradients(layer, np.random.default_rng(0).normal(size=(4, 100)), max_entries=50)
    assert report.ok
    assert report["weight"].num_checked < 100 < report["weight"].size
    assert "6,000 entries" in str(report)
    assert report["bias"].num_checked == 60


def test_a_single_wrong_entry_of_many_is_found_by_the_full_directions():
    class OneWrong(hg.Linear):
        def differentiate(self, dy, cache, input_gradient=True):
            dx, gradients = super().differentiate(dy, cache)
            gradients["weight"][17, 31] *= 1.5
            return dx, gradients

    layer = OneWrong(60).build(100, rng=0, dtype=np.float64)
    report = check_gradients(layer, np.random.default_rng(0).normal(size=(4, 100)), max_entries=30)
    assert [v.array for v in report.verdicts] == ["weight"]


def test_reports_are_repeatable():
    first, second = (check_gradients((F.softmax_forward, F.softmax_backward), X, seed=3) for _ in range(2))
    assert first.max_error == second.max_error


def test_assert_gradients_fails_with_the_report():
    assert assert_gradients(hg.Linear(3), X).ok
    with pytest.raises(AssertionError, match="batch-size-factor"):
        assert_gradients((F.linear_forward, lambda dy, c: (dy @ c[1].T, c[0].T @ dy / 5, dy.sum(axis=0))), X, W, B)


def test_running_averages_are_no_parameters():
    class Frozen:
        def __init__(self):
            self.running_mean, self.moving_var = np.zeros(3), np.ones(3)

        def forward(self, x):
            return (x - self.running_mean) / np.sqrt(self.moving_var)

        def backward(self, dy):
            return dy / np.sqrt(self.moving_var)

    report = check_gradients(Frozen(), np.random.default_rng(0).normal(size=(4, 3)))
    assert report.ok and not report.unchecked
