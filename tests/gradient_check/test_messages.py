"""What a verdict says is so in the case at hand."""

import numpy as np

import handgrad as hg
from handgrad import functional as F
from handgrad.gradient_check import check_gradients

RNG = np.random.default_rng(5)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def verdict(target, *arrays, **options):
    (found,) = check_gradients(target, *arrays, **options).verdicts
    return found


def test_a_factor_two_at_a_tanh_is_not_called_a_square():
    found = verdict((F.tanh_forward, lambda dy, y: 2 * dy * (1 - y * y)), X)
    assert found.mistake == "factor-two"
    assert "square" not in found.message


def test_a_bias_used_along_an_axis_of_the_image_is_not_said_to_be_used_by_every_example():
    images, kernel = RNG.normal(size=(2, 5, 5, 3)), RNG.normal(size=(3, 3, 3, 2))
    bias = RNG.normal(size=2)

    def backward(dy, cache):
        dx, dweight, _ = F.conv2d_backward(dy, cache)
        return dx, dweight, dy.sum(axis=(0, 1))

    found = verdict((F.conv2d_forward, backward), images, kernel, bias)
    assert (found.array, found.mistake) == ("bias", "not-summed")
    assert "example" not in found.message + found.term.lesson


def test_a_scale_outside_the_means_is_not_called_transposed():
    def forward(x, gamma):
        mean, sigma = (
            x.mean(axis=1, keepdims=True),
            np.sqrt(((x - x.mean(axis=1, keepdims=True)) ** 2).mean(1))[:, None],
        )
        return gamma * (x - mean) / sigma, ((x - mean) / sigma, sigma, gamma)

    def backward(dy, cache):
        h, sigma, gamma = cache
        dx = gamma / sigma * (dy - dy.mean(1, keepdims=True) - h * (dy * h).mean(1, keepdims=True))
        return dx, (dy * h).sum(0)

    assert verdict((forward, backward), X, RNG.normal(size=4)).mistake == "factor-misplaced"


def test_a_sum_for_the_mean_of_a_root_mean_square_norm_is_named():
    def forward(x):
        scale = 1 / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6)
        return x * scale, (x * scale, scale)

    def backward(dy, cache):
        y, scale = cache
        return scale * (dy - y * (dy * y).sum(axis=1, keepdims=True))

    found = verdict((forward, backward), X)
    assert found.mistake == "not-averaged"
    assert found.evidence.endswith("dy - x̂ mean(dy x̂) is due")


def test_a_mask_that_leaves_out_winners_is_a_wrong_mask():
    def forward(x):
        return x.reshape(4, 3, 2).max(axis=2), x

    def backward(dy, x):
        return np.repeat(dy, 2, axis=1) * (x == x.max(axis=1, keepdims=True))

    found = verdict((forward, backward), RNG.normal(size=(4, 6)))
    assert found.mistake == "wrong-mask"
    assert "leaves out 8 of the entries that the forward chooses" in found.message


def test_a_forward_that_rounds_its_input_is_not_called_a_missing_derivative():
    def forward(x, w, b):
        return x.astype(np.float32).astype(np.float64) @ w + b, (x, w)

    found = verdict((forward, F.linear_backward), X, W, B)
    assert found.mistake == "float32-precision"
    assert "takes x in float32" in found.message


def test_an_array_that_is_small_beside_y_is_not_said_to_be_rounded():
    tiny = 1e-9 * RNG.normal(size=3)
    report = check_gradients((lambda b: (np.tanh(1 + b), b), lambda dy, b: dy * (1 - np.tanh(1 + b) ** 2)), tiny)
    assert report.ok, report


def test_a_sequence_turned_round_is_no_flipped_kernel():
    x = RNG.normal(size=(3, 5, 2))
    found = verdict((lambda x: (np.sin(x) * 2, x), lambda dy, x: (2 * dy * np.cos(x))[:, ::-1]), x)
    assert found.mistake == "reversed"


def test_a_residual_of_another_name_is_called_by_its_name():
    found = verdict((lambda h: (h + np.tanh(h), h), lambda dy, h: dy * (1 - np.tanh(h) ** 2)), X)
    assert found.message.startswith("in the gradient by h dy itself is missing")


def test_a_mistake_is_in_the_users_file_and_not_in_ours():
    def backward(dy, cache):
        return F.linear_backward(3 * dy, cache)

    class Double(hg.Linear):
        def differentiate(self, dy, cache, input_gradient=True):
            dx, dweight, dbias = F.linear_backward(3 * dy, cache)
            return dx, {"weight": dweight, "bias": dbias}

    for target, arrays, first in (
        ((F.linear_forward, backward), (X, W, B), backward.__code__.co_firstlineno),
        (Double(3), (X,), Double.differentiate.__code__.co_firstlineno),
    ):
        found = verdict(target, *arrays)
        assert (found.array, found.line) == ("x, weight, bias", first + 1), found


def test_the_line_of_an_exception_is_the_users_and_not_a_librarys():
    def backward(dy, cache):
        return F.linear_backward(dy.T, cache)  # our own pair raises within

    found = verdict((F.linear_forward, backward), X, W, B)
    assert found.line == backward.__code__.co_firstlineno + 1


def test_a_factor_is_no_size_where_nothing_is_summed():
    def square_backward(dy, x):
        return 3 * dy * x

    found = verdict((lambda x: (x * x, x), square_backward), RNG.normal(size=(6, 4)))
    assert (found.mistake, found.fix) == ("constant-factor", "return 2 * dy * x")


def test_a_leaky_mask_from_upstream_is_no_mask_drawn_anew():
    def leaky_backward(dy, x):
        return np.where(dy > 0, dy, 0.1 * dy)

    found = verdict((lambda x: (np.where(x > 0, x, 0.1 * x), x), leaky_backward), X)
    assert (found.mistake, found.fix) == ("mask-from-upstream", "return np.where(x > 0, dy, 0.1 * dy)")


def test_a_gradient_of_true_and_false_is_one_of_ones_and_zeros():
    def forgetful_backward(dy, x):
        return x > 0

    assert verdict((lambda x: (np.maximum(x, 0), x), forgetful_backward), X).mistake == "upstream-ignored"


def test_a_line_to_be_added_is_no_line_to_be_replaced():
    def forgetful_backward(dy, x):
        dx = np.zeros(x.shape)
        dx[x > 0] = 1
        return dx

    found = verdict((lambda x: (np.maximum(x, 0), x), forgetful_backward), X)
    assert found.fix == "return dx * dy"  # where a line that is there can mend it, none is added

    def neuron_forward(x, w):
        y = np.tanh(x @ w)
        return y, (x, w, y)

    def neuron_backward(dy, cache):
        x, w, y = cache
        return dy * w, dy * x + 0 * y

    found = verdict((neuron_forward, neuron_backward), *RNG.normal(size=(2, 5)))
    assert found.fix == "dy = dy * (1 - y ** 2)  # a line more, above this one"


def test_what_is_returned_as_it_came_is_wrong_where_it_is_returned():
    def unsummed_backward(dy, cache):
        x, weight = cache
        dweight = x.T @ dy
        return dy @ weight.T, dweight, dy

    found = verdict((F.linear_forward, unsummed_backward), X, W, B)
    assert (found.mistake, found.line) == ("not-summed", unsummed_backward.__code__.co_firstlineno + 3)


def test_zeros_to_add_to_are_not_what_is_wrong_first():
    def steps_forward(x, w):
        h = np.zeros((4, len(w)))
        for t in range(1, 4):
            h[t] = np.tanh(x[t] + h[t - 1] @ w)
        return h, (h, w)

    def steps_backward(dh, cache):
        h, w = cache
        dx, dw, carried = np.zeros_like(h), np.zeros_like(w), 0
        for t in reversed(range(1, 4)):
            da = (dh[t] + carried) * (1 - h[t] ** 2)
            dx[t] = da
            dw += np.outer(np.cos(h[t]), da)
            carried = da @ w.T
        return dx, dw

    found = verdict((steps_forward, steps_backward), RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3)))
    assert found.array == "w" and found.line != steps_backward.__code__.co_firstlineno + 2


def test_what_is_taken_apart_is_not_multiplied():
    def forgetful_backward(dy, cache):
        x, w, c = cache
        return 2 * c * w, 2 * c * x

    a, b = RNG.normal(size=(2, 5))
    report = check_gradients((lambda x, w: ((x * w) ** 2, (x, w, x * w)), forgetful_backward), a, b)
    assert [(v.mistake, v.fix[:7]) for v in report.verdicts] == [("upstream-ignored", "return ")] * 2


def test_a_mean_of_what_is_due_is_not_its_sum():
    found = verdict((lambda x: (x * x, x), lambda dy, x: (2 * dy * x).mean(axis=0)), RNG.normal(size=(6, 5)))
    assert (found.mistake, found.evidence) == ("wrong-axis", "0.166667 times that sum")
