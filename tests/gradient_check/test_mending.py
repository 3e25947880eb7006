"""The source is searched for the one line that is wrong, and nothing of the user's is changed by it."""

import inspect

import numpy as np
import pytest

from handgrad import check_gradients

RNG = np.random.default_rng(5)


def step(x, h, wx, wh):
    y = np.tanh(x @ wx + h @ wh)
    return y, (x, h, wx, wh, y)


def step_back(dy, cache):
    x, h, wx, wh, _y = cache
    return dy @ wx.T, dy @ wh.T, x.T @ dy, h.T @ dy


def unrolled(x, h, wx, wh):
    steps, outputs = [], []
    for t in range(x.shape[1]):
        h, cache = step(x[:, t], h, wx, wh)
        steps.append(cache)
        outputs.append(h)
    return np.stack(outputs, axis=1), steps


def unrolled_back(dy, steps):
    dx, dwx, dwh = [], 0, 0
    dh = 0
    for t in reversed(range(dy.shape[1])):
        dxt, dh, a, b = step_back(dy[:, t] + dh, steps[t])
        dx.append(dxt)
        dwx, dwh = dwx + a, dwh + b
    return np.stack(dx[::-1], axis=1), dh, dwx, dwh


RECURRENT = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5)), RNG.normal(size=(4, 5)), RNG.normal(size=(5, 5))


def test_a_mistake_deep_in_a_helper_is_found_once_for_all_arrays():
    """The derivative is missing in step_back: no gradient of the whole recurrence shows it by itself."""
    report = check_gradients((unrolled, unrolled_back), *RECURRENT)
    (verdict,) = report.verdicts
    assert (verdict.array, verdict.mistake) == ("x, h, wx, wh", "derivative-missing")
    assert "of step_back" in verdict.message
    assert "1 - _y ** 2" in verdict.fix
    assert f"→ x, h, wx, wh: derivative-missing in line {verdict.line}" in str(report)


def conv(x, w):
    n = len(x) - len(w) + 1
    return np.array([x[i : i + len(w)] @ w for i in range(n)]), (x, w)


def conv_back(dy, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(dy)):
        dx[i : i + len(w)] += w * dy[i]
        dw = x[i : i + len(w)] * dy[i]
    return dx, dw


def test_an_accumulation_that_is_assigned_is_named():
    report = check_gradients((conv, conv_back), RNG.normal(size=7), RNG.normal(size=3))
    (verdict,) = report.verdicts
    assert (verdict.array, verdict.mistake) == ("w", "overlap-overwritten")
    assert verdict.fix.startswith("dw += ")


class TwoMistakes:
    """A sigmoid's derivative with the wrong sign in it, and a bias gradient that is a mean."""

    def __init__(self, rng):
        self.W, self.b = rng.normal(size=(4, 3)), rng.normal(size=3)

    def forward(self, x):
        self.x, self.s = x, 1 / (1 + np.exp(-(x @ self.W + self.b)))
        return self.s

    def backward(self, dy):
        print("backward called")
        dz = dy * self.s * (1 + self.s)
        self.dW, self.db = self.x.T @ dz, dz.mean(axis=0)
        return dz @ self.W.T


def test_two_mistakes_in_one_backward_are_both_found(capsys):
    report = check_gradients(TwoMistakes(RNG), RNG.normal(size=(6, 4)))
    assert {v.array: v.mistake for v in report.verdicts} == {"x, W": "wrong-sign", "b": "not-summed"}
    assert capsys.readouterr().out.count("\n") < 50  # the search itself is silent


class TwoOnTheWay:
    """A sum of tanh(w tanh(v x)), with a mistake in each derivative: neither by itself makes any gradient right."""

    def __init__(self, rng):
        self.v, self.w = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
        self.grads = {}

    def forward(self, x):
        self.x = x
        self.h = np.tanh(x @ self.v)
        self.y = np.tanh(self.h @ self.w)
        return self.y

    def backward(self, dy):
        steps = [None, None]
        steps[1] = dy * (1 + self.y**2)
        dh = steps[1] @ self.w.T
        steps[0], self.grads["w"] = dh * (1 - self.h), self.h.T @ steps[1]
        self.grads["v"] = self.x.T @ steps[0]
        return steps[0] @ self.v.T


def test_two_mistakes_on_the_way_to_the_same_arrays_are_both_found():
    report = check_gradients(TwoOnTheWay(RNG), RNG.normal(size=(5, 3)))
    assert {(v.variable, v.mistake) for v in report.verdicts} == {
        ("steps[1]", "wrong-sign"),
        ("(steps[0], self.grads['w'])", "wrong-exponent"),
    }


def softplus_square(s):
    v = np.log(1 + np.exp(s))
    return v**2, (s, v)


def softplus_square_back(dy, cache):
    _s, v = cache
    dv = 2 * dy * v
    ds = dv
    return (ds,)


def test_the_gradient_of_another_value_is_placed_where_it_is_taken_for_this_one():
    (verdict,) = check_gradients((softplus_square, softplus_square_back), RNG.normal(size=6)).verdicts
    assert (verdict.variable, verdict.line) == ("ds", softplus_square_back.__code__.co_firstlineno + 3)


def heads(x, w):
    maps = [np.tanh(x @ part) for part in w]
    return np.stack(maps), (x, w, maps)


def heads_back(dy, cache):
    x, w, maps = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for m in maps:
        last = m
    for h in range(len(w)):
        dz = dy[h] * (1 - last**2)
        dw[h] = x.T @ dz
        dx += dz @ w[h].T
    return dx, dw


def test_a_variable_that_another_step_left_is_told_with_the_item_of_this_step():
    (verdict,) = check_gradients((heads, heads_back), RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3, 2))).verdicts
    assert (verdict.array, verdict.variable, verdict.mistake) == ("x, w", "dz", "wrong-variable")
    assert "maps[h]" in verdict.fix


def weighted(x, w):
    return (w * (x**2).sum(axis=1)).sum(), (x, w)


def weighted_back(dy, cache):
    x, w = cache
    return 2 * dy * x * w


def test_a_number_for_each_row_is_told_to_stand_in_a_column():
    weights = RNG.uniform(1, 2, size=4)
    report = check_gradients((weighted, weighted_back), RNG.normal(size=(4, 4)), kwargs={"w": weights})
    (verdict,) = report.verdicts
    assert (verdict.mistake, "w[:, None]" in verdict.fix) == ("broadcast", True)


def test_of_several_lambdas_in_a_line_the_right_one_is_read():
    wrong = {"other": lambda dy, x: (2 * dy * np.cos(x),), "this": lambda dy, x: (dy * np.sin(2 * x),)}
    (verdict,) = check_gradients((lambda x: (np.sin(x), x), wrong["this"]), RNG.normal(size=6)).verdicts
    assert "2 * dy" not in verdict.evidence


def test_a_file_that_has_changed_since_it_was_loaded_is_not_read(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = "import numpy as np\ndef forward(x):\n    return np.sin(x), x\ndef backward(dy, x):\n    return ({},)\n"
    (tmp_path / "changing.py").write_text(text.format("dy * np.sin(2 * x)"))
    import changing

    (tmp_path / "changing.py").write_text(text.format("2 * dy * np.cos(x)"))
    (verdict,) = check_gradients((changing.forward, changing.backward), RNG.normal(size=6)).verdicts
    assert "2 * dy" not in verdict.evidence


def test_a_change_may_drop_a_name_from_outside():
    outside = RNG.normal(size=4)
    report = check_gradients((np.tanh, lambda dy, x: dy / np.cosh(x) ** 2 + outside * dy**3), RNG.normal(size=4))
    (verdict,) = report.verdicts
    assert verdict.mistake == "term-too-many"


DATA = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))


def closure(w1, w2):
    x, t = DATA
    z = x @ w1
    h = np.maximum(z, 0)
    off = h @ w2 - t
    loss = (off**2).mean() + 0.1 * (w1**2).sum()
    d = 2 * off / off.size
    return loss, (x.T @ (d @ w2.T) + 0.2 * w1, h.T @ d)


def test_a_closure_is_searched_without_touching_its_loss_or_its_data():
    kept = [a.copy() for a in DATA]
    report = check_gradients(closure, RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)))
    (verdict,) = report.verdicts
    assert (verdict.array, verdict.mistake) == ("w1", "derivative-missing")
    assert all(np.array_equal(a, b) for a, b in zip(DATA, kept, strict=True))


def test_the_users_functions_are_put_back():
    before = step_back.__code__, conv_back.__code__
    check_gradients((unrolled, unrolled_back), *RECURRENT)
    check_gradients((conv, conv_back), RNG.normal(size=7), RNG.normal(size=3))
    assert (step_back.__code__, conv_back.__code__) == before


def test_code_without_a_source_is_still_judged_by_its_numbers():
    names = {"np": np}
    exec("def f(x): return np.tanh(x), x\ndef g(dy, x): return dy * (1 - np.tanh(np.tanh(x))**2)", names)
    report = check_gradients((names["f"], names["g"]), RNG.normal(size=5))
    assert [v.mistake for v in report.verdicts] == ["derivative-at-output"]


def lstm_like(x, c):
    new = np.tanh(x) * c
    return new, np.tanh(new), (x, c, new)


def lstm_like_back(dnew, dh, cache):
    x, c, new = cache
    d = dnew + dh * (1 - np.tanh(new) ** 2)
    return d * c * (1 - np.tanh(x) ** 2), d * np.tanh(x)


def test_a_forward_may_give_several_outputs_where_the_backward_takes_as_many():
    x, c = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))
    assert check_gradients((lstm_like, lstm_like_back), x, c).ok
    wrong = check_gradients((lstm_like, lambda dnew, dh, cache: lstm_like_back(dnew, 0 * dh, cache)), x, c)
    assert not wrong.ok


def test_a_backward_may_take_the_arrays_in_the_place_of_a_cache():
    assert check_gradients((np.tanh, lambda dy, x: dy / np.cosh(x) ** 2), RNG.normal(size=4)).ok


class Stale:
    def forward(self, x):
        if not hasattr(self, "x"):
            self.x = x
        return x**2

    def backward(self, dy):
        return 2 * self.x * dy


def test_a_cache_that_is_only_written_once_is_stale():
    assert "stale-cache" in {v.mistake for v in check_gradients(Stale(), RNG.normal(size=4)).verdicts}


class Part:
    def __init__(self, wrong=False):
        self.W, self.wrong = RNG.normal(size=(3, 3)), wrong

    def __call__(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.dW = self.x.T @ dy / (len(dy) if self.wrong else 1)
        return dy @ self.W.T


class Model:
    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


def test_layers_that_are_only_called_are_located_too():
    assert check_gradients(Model([Part(), Part()]), RNG.normal(size=(4, 3))).ok
    report = check_gradients(Model([Part(), Part(wrong=True)]), RNG.normal(size=(4, 3)))
    assert [(v.array, v.mistake) for v in report.verdicts] == [("layers[1].W", "batch-size-factor")]


@pytest.mark.parametrize(
    "options, arrays, words",
    [
        ({}, (np.zeros((0, 3)),), "without any numbers"),
        ({"seed": -1}, (np.ones(3),), "seed must be a whole number >= 0, got -1"),
        ({"max_entries": 0}, (np.ones(3),), "max_entries must be a whole number >= 1, got 0"),
    ],
)
def test_misuse_is_said_in_one_line(options, arrays, words):
    with pytest.raises(ValueError, match=words):
        check_gradients((lambda x: (x * 2, None), lambda dy, cache: dy * 2), *arrays, **options)


# Where the first wrong value stands -------------------------------------------------------------------------------


def line_of(function, text):
    """The number of the first line of a function that holds a text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def norm(x, gamma):
    mu = x.mean(axis=1, keepdims=True)
    xmu = x - mu
    var = (xmu**2).mean(axis=1, keepdims=True)
    ivar = 1 / np.sqrt(var + 1e-5)
    return gamma * xmu * ivar, (xmu, ivar, gamma)


def norm_back(dout, cache):
    xmu, ivar, gamma = cache
    dgamma = (dout * xmu * ivar).sum(axis=0)
    dxhat = dout * gamma
    divar = (dxhat * xmu).sum(axis=0)
    dvar = divar * -0.5 * ivar**3
    dxmu = dxhat * ivar + 2 * xmu * dvar / xmu.shape[1]
    return dxmu - dxmu.mean(axis=1, keepdims=True), dgamma


def test_a_verdict_has_variable_line_and_the_line_as_due():
    """Batch and features are as many, so that no shape tells."""
    (verdict,) = check_gradients((norm, norm_back), RNG.normal(size=(4, 4)), RNG.normal(size=4)).verdicts
    assert (verdict.mistake, verdict.variable) == ("wrong-axis", "divar")
    assert verdict.line == line_of(norm_back, "divar =")
    assert verdict.fix.replace("-1", "1") == "divar = (dxhat * xmu).sum(axis=1, keepdims=True)"


def cell(x, c_prev, w):
    i, g = 1 / (1 + np.exp(-(x @ w))), np.tanh(x)
    c = c_prev + i * g
    h = i * np.tanh(c)
    return np.hstack((h, c)), (x, w, i, g, c)


def cell_back(dout, cache):
    x, w, i, g, c = cache
    dh, dc_next = np.split(dout, 2, axis=1)
    dc = dc_next
    da = (dc * g + dh * np.tanh(c)) * i * (1 - i)
    return da @ w.T + dc * i * (1 - g**2), dc, x.T @ da


def test_a_path_that_is_left_out_is_named_with_the_line_of_the_forward():
    (verdict,) = check_gradients((cell, cell_back), *(RNG.normal(size=(3, 3)) for _ in range(3))).verdicts
    assert (verdict.array, verdict.mistake, verdict.variable) == ("x, c_prev, w", "term-missing", "dc")
    assert f"np.tanh(c) in line {line_of(cell, 'np.tanh(c)')} of cell" in verdict.message


def test_large_values_are_followed_along_a_few_directions():
    """A full gradient of the 300 x 40 numbers would take thousands of forwards."""

    def forward(x, w):
        h = np.tanh(x @ w)
        return h * h, (x, w, h)

    def backward(dy, cache):
        x, w, h = cache
        dh = 2 * dy * h
        da = dh * (1 - h)
        return da @ w.T, x.T @ da

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(300, 30)), RNG.normal(size=(30, 40))).verdicts
    assert (verdict.line, verdict.variable) == (line_of(backward, "da ="), "da")
    assert verdict.fix == "da = dh * (1 - h ** 2)"


def test_what_makes_a_value_right_by_itself_is_not_believed():
    """dmu equals a gradient by accident of its name alone: only returned gradients tell."""

    def forward(x, mu):
        return (x - mu) ** 2, (x, mu)

    def backward(dy, cache):
        x, mu = cache
        dmu = 2 * dy * (x - mu)  # the gradient by x, under another's name
        return dmu, -dmu.mean(axis=0)

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(4, 3)), RNG.normal(size=3)).verdicts
    assert (verdict.array, verdict.line) == ("mu", line_of(backward, "return"))


def correlate(x, w):
    y = np.zeros(len(x) - len(w) + 1)
    for i in range(len(y)):
        for j in range(len(w)):
            y[i] += x[i + j] * w[j]
    return y, (x, w)


def correlate_back(dy, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(dy) - 1):
        for j in range(len(w)):
            dx[i + j] += w[j] * dy[i]
            dw[j] += x[i + j] * dy[i]
    return dx, dw


def test_bounds_of_long_loops_are_found():
    (verdict,) = check_gradients((correlate, correlate_back), RNG.normal(size=60), RNG.normal(size=5)).verdicts
    assert (verdict.array, verdict.mistake) == ("x, w", "off-by-one")
    assert verdict.fix == "for i in range(len(dy)):"


def test_aliases_helpers_lambdas_classes_and_comprehensions_are_followed():
    class Scaled:
        def __init__(self, factor):
            self.factor = factor

        def forward(self, x):
            self.x, self.rows = x, [np.sin(self.factor * row) for row in x]
            return np.stack(self.rows)

        def slope(self, row):
            other = row
            return (lambda z: self.factor * np.sin(self.factor * z))(other)

        def backward(self, dy):
            total = dy
            total = total * 1.0
            total *= np.array([self.slope(row) for row in self.x])
            return total

    (verdict,) = check_gradients(Scaled(2.0), RNG.normal(size=(3, 4))).verdicts
    assert verdict.line == line_of(Scaled.slope, "lambda")
    assert "np.cos(self.factor * z)" in verdict.fix


def test_an_unexplained_gradient_has_a_line():
    def backward(dy, x):
        strange = np.cos(x) + 0.1 * np.sqrt(np.abs(x)) * x**3
        return dy * strange

    (verdict,) = check_gradients((lambda x: (np.sin(x), x), backward), RNG.normal(size=6)).verdicts
    assert verdict.line in (line_of(backward, "strange ="), line_of(backward, "return"))


def test_two_mistakes_on_the_way_to_one_array_are_two_verdicts():
    def forward(x, w):
        h = np.tanh(x @ w)
        return h.sum(axis=0) ** 3, (x, w, h)

    def backward(dy, cache):
        x, w, h = cache
        dh = 2 * dy * h.sum(axis=0) ** 2 * np.ones_like(h)
        da = dh * (1 - h)
        return da @ w.T, x.T @ da

    verdicts = check_gradients((forward, backward), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2))).verdicts
    assert {v.line for v in verdicts} == {line_of(backward, "dh ="), line_of(backward, "da =")}


def test_verdicts_do_not_depend_on_the_time_that_a_check_may_take():
    reports = [check_gradients((norm, norm_back), RNG.normal(size=(4, 4)), np.ones(4), seconds=s) for s in (0.01, 60)]
    assert [[v.title for v in report.verdicts] for report in reports[:1]] == [[v.title for v in reports[1].verdicts]]


def test_a_sum_that_hides_what_is_wrong_clears_nothing():
    """The gradient by the mean is right, since what is wrong in dxc adds up to zero."""

    def forward(x):
        xc = x - x.mean(axis=0)
        return xc / np.sqrt((xc**2).mean(axis=0)), xc

    def backward(dy, xc):
        std = np.sqrt((xc**2).mean(axis=0))
        dvar = -0.5 * (dy * xc).sum(axis=0) / std**3
        dxc = dy / std
        dxc += 2 * xc * dvar
        return dxc - dxc.mean(axis=0)

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(6, 4))).verdicts
    assert verdict.line == line_of(backward, "dxc +=")


def test_the_gradient_by_minus_x_is_not_taken_for_the_gradient_by_x():
    def forward(x, w):
        z = 1 / (1 + np.exp(-(x @ w)))
        return (1 - z) * x, (x, w, z)

    def backward(dy, cache):
        x, w, z = cache
        dz = dy * x
        da = dz * z * (1 - z)
        return dy * (1 - z) + da @ w.T, x.T @ da

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))).verdicts
    assert (verdict.array, verdict.mistake, verdict.variable) == ("x, w", "wrong-sign", "dz")


def test_a_change_that_makes_a_loop_endless_is_given_up():
    def backward(dy, x):
        dx, i = np.zeros_like(x), 0
        while i < len(x):
            dx[i] = dy[i] * x[i] ** 1
            i += 1
        return dx

    (verdict,) = check_gradients((lambda x: (x**2, x), backward), RNG.normal(size=5)).verdicts
    assert verdict.line == line_of(backward, "dx[i] =")


def normalized(x):
    centered = x - x.mean(0)
    std = np.sqrt((centered**2).mean(0) + 1e-5)
    return centered / std, (centered / std, std)


def test_a_factor_missing_within_a_sum_gives_one_verdict_whose_line_mends():
    def backward(dy, cache):
        xh, std = cache
        return (1 / len(dy)) / std * (len(dy) * dy - dy.sum(0) - xh * dy.sum(0))

    (verdict,) = check_gradients((normalized, backward), RNG.normal(size=(6, 4))).verdicts
    assert (verdict.mistake, verdict.line) == ("factor-missing", line_of(backward, "return"))
    assert verdict.fix.endswith("xh * (dy * xh).sum(0))")


def test_a_slope_that_is_summed_over_every_entry_lacks_its_mask():
    def forward(x, a):
        return np.where(x > 0, x, a * x), (x, a)

    def backward(dy, cache):
        x, a = cache
        return np.where(x > 0, dy, a * dy), (dy * x).sum(0)

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(6, 4)), RNG.normal(size=4)).verdicts
    assert (verdict.array, verdict.mistake) == ("a", "wrong-mask")
    assert "(dy * x * (x <= 0)).sum(0)" in verdict.fix


def test_what_stands_in_the_code_is_due_rather_than_a_number_that_equals_it():
    """The root of 4 columns is a 2 for this array only."""

    def forward(q, k):
        return q @ k.T / np.sqrt(q.shape[1]), (q, k)

    def backward(dy, cache):
        q, k = cache
        return dy @ k, dy.T @ q / np.sqrt(q.shape[1])

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(5, 4)), RNG.normal(size=(6, 4))).verdicts
    assert (verdict.array, verdict.mistake) == ("q", "factor-missing")
    assert verdict.fix.startswith("return (dy @ k / np.sqrt(q.shape[1])")


@pytest.mark.parametrize("alpha", [0.5, 0.3])
def test_a_keyword_that_is_left_out_is_named_whatever_its_value(alpha):
    def forward(x, alpha=1.0):
        return np.where(x > 0, x, alpha * (np.exp(x) - 1)), x

    def backward(dy, x):
        return np.where(x > 0, dy, dy * np.exp(x))

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(6, 4)), kwargs={"alpha": alpha}).verdicts
    assert verdict.mistake == "keyword-ignored"
    assert verdict.fix in ("", "return np.where(x > 0, dy, dy * np.exp(x) * alpha)"), "the keyword, never its number"
    assert "alpha" in verdict.message


def test_a_number_is_no_fix_where_a_sum_equals_it():
    """Every margin of three classes is violated, so that each row's sum is 2."""
    rows, labels = np.arange(6), np.array([0, 1, 2, 0, 1, 2])

    def forward(s):
        margins = np.maximum(0, s - s[rows, labels][:, None] + 1)
        margins[rows, labels] = 0
        return margins.sum(), s

    def backward(dy, s):
        d = (s - s[rows, labels][:, None] + 1 > 0).astype(float)
        d[rows, labels] = 0
        d[rows, labels] -= 1
        return dy * d

    (verdict,) = check_gradients((forward, backward), RNG.uniform(0, 0.4, size=(6, 3))).verdicts
    assert verdict.fix == "d[rows, labels] -= d.sum(axis=1)"


def test_a_product_of_the_forward_is_due_where_one_factor_stands():
    def forward(r, h, w):
        y = np.tanh((r * h) @ w)
        return y, (r, h, w, y)

    def backward(dy, cache):
        r, h, w, y = cache
        dz = dy * (1 - y**2)
        return dz @ w.T * h, dz @ w.T * r, h.T @ dz

    arrays = [RNG.normal(size=shape) for shape in ((5, 4), (5, 4), (4, 3))]
    (verdict,) = check_gradients((forward, backward), *arrays).verdicts
    assert (verdict.array, verdict.mistake, verdict.variable) == ("w", "factor-missing", "return")
    assert "(r * h).T @ dz" in verdict.fix


def test_a_mask_that_lets_everything_through_is_found_where_it_stands():
    def forward(x, w, v):
        h = np.maximum(0, x @ w)
        return h @ v, (x, w, v, h)

    def backward(dy, cache):
        x, w, v, h = cache
        dh = dy @ v.T
        dh[h < 0] = 0
        return dh @ w.T, x.T @ dh, h.T @ dy

    arrays = [RNG.normal(size=shape) for shape in ((6, 3), (3, 5), (5, 2))]
    (verdict,) = check_gradients((forward, backward), *arrays).verdicts
    assert (verdict.array, verdict.mistake, verdict.fix) == ("x, w", "wrong-mask", "dh[h <= 0] = 0")


def test_a_slope_of_zero_in_the_wrong_branch_is_that_of_the_forward():
    def forward(x, w):
        z = x @ w
        return np.where(z > 0, z, 0.01 * z), (x, w, z)

    def backward(dy, cache):
        x, w, z = cache
        dz = np.where(z > 0, dy, 0)
        return dz @ w.T, x.T @ dz

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4))).verdicts
    assert (verdict.array, verdict.mistake) == ("x, w", "one-branch")
    assert verdict.fix == "dz = np.where(z > 0, dy, 0.01 * dy)"


def test_a_softmax_jacobian_with_the_wrong_sign_lacks_no_terms():
    def forward(x):
        e = np.exp(x - x.max())
        return e / e.sum(), e / e.sum()

    def backward(dy, y):
        return (np.diagflat(y) + np.outer(y, y)) @ dy

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=5)).verdicts
    assert (verdict.mistake, verdict.fix) == ("wrong-sign", "return (np.diagflat(y) - np.outer(y, y)) @ dy")


def gates_back(dh, cache):
    x, w, o, g = cache
    do, dg = dh * g, dh * o
    dzo = do * (1 - o)
    dzg = dg * (1 - g)
    dz = np.concatenate([dzo, dzg], axis=1)
    return dz @ w.T, x.T @ dz


def gates(x, w):
    zo, zg = np.split(x @ w, 2, axis=1)
    o, g = 1 / (1 + np.exp(-zo)), np.tanh(zg)
    return o * g, (x, w, o, g)


def test_two_mistakes_in_branches_that_meet_are_two_verdicts():
    report = check_gradients((gates, gates_back), RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)))
    assert [(v.variable, v.fix) for v in report.verdicts] == [
        ("dzo", "dzo = do * (1 - o) * o"),
        ("dzg", "dzg = dg * (1 - g ** 2)"),
    ]


def decay(x, f):
    c, outputs = np.zeros(x.shape[1]), []
    for t in range(len(x)):
        c = f * c + np.tanh(x[t])
        outputs.append(np.sin(c))
    return np.stack(outputs), (x, f)


def decay_back(dy, cache):
    x, f = cache
    cs = [np.zeros(x.shape[1])]
    for t in range(len(x)):
        cs.append(f * cs[-1] + np.tanh(x[t]))
    dx, df, dc_next = np.zeros_like(x), np.zeros_like(f), 0
    for t in reversed(range(len(x))):
        dc = dy[t] * np.cos(cs[t + 1]) + dc_next
        dx[t] = dc * (1 - np.tanh(x[t]) ** 2)
        df = df + dc * cs[t]
        dc_next = dc
    return dx, df


def test_what_is_handed_to_the_step_before_lacks_a_factor():
    """dc_next is a true gradient, but by this step's c: the sum that it enters is where numbers first go wrong."""
    (verdict,) = check_gradients((decay, decay_back), RNG.normal(size=(9, 3)), RNG.normal(size=3)).verdicts
    assert verdict.mistake == "parameter-ignored"
    assert verdict.fix.endswith("* f")


def split_heads(x, n=2):
    b, t, d = x.shape
    y = np.tanh(x).reshape(b, t, n, d // n).transpose(0, 2, 1, 3)
    return y, (x, n)


def split_heads_back(dy, cache):
    x, _n = cache
    d = dy.reshape(x.shape)
    return d * (1 - np.tanh(x) ** 2)


def test_a_reshape_for_a_transpose_is_named_where_it_stands():
    (verdict,) = check_gradients((split_heads, split_heads_back), RNG.normal(size=(2, 3, 4))).verdicts
    assert (verdict.mistake, verdict.variable) == ("reshaped", "d")


def robust(pred, delta=0.5):
    small = np.abs(pred) <= delta
    return np.where(small, 0.5 * pred**2, delta * (np.abs(pred) - 0.5 * delta)).mean(), (pred, small, delta)


def robust_back(dloss, cache):
    pred, small, delta = cache
    g = np.where(small, pred, delta)
    return dloss * g / pred.size


def robust_back_upside_down(dloss, cache):
    pred, small, delta = cache
    g = delta * np.sign(pred)
    g[~small] = pred[~small]
    return dloss * g / pred.size


@pytest.mark.parametrize(("back", "mistake"), [(robust_back, "wrong-sign"), (robust_back_upside_down, "wrong-mask")])
def test_signs_and_masks_are_named_in_part_of_an_array(back, mistake):
    pred = np.array([[-2.0, -1.5, -0.3, 0.1], [0.2, 0.3, 1.0, 3.0]])
    assert {v.mistake for v in check_gradients((robust, back), pred).verdicts} == {mistake}


def scores(x, w):
    y = np.tanh(x @ w / np.sqrt(x.shape[-1]))
    return y, (x, w, y)


def scores_back(dy, cache):
    x, w, y = cache
    d = dy * (1 - y**2)
    return d @ w.T, x.T @ d


def scores_back_with_a_one(dy, cache):
    x, w, y = cache
    scale = 1.0
    d = scale * dy * (1 - y**2)
    return d @ w.T, x.T @ d


@pytest.mark.parametrize("back", [scores_back, scores_back_with_a_one])
def test_a_number_of_the_forward_that_is_missing_is_told_in_every_layout(back):
    """√4 is also the number of outputs: the source says which of the two it is."""
    (verdict,) = check_gradients((scores, back), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))).verdicts
    assert verdict.mistake == "factor-missing"
    assert "np.sqrt(x.shape[-1])" in verdict.message


def attend_back(dout, cache):
    s, q = cache
    return np.einsum("bid,bjd->bij", dout, q), np.einsum("bij,bjd->bid", s, dout)


def summed_up_back(dy, y):
    return np.cumsum(2 * y * dy, axis=1)


def shared_back(dy, cache):
    scale, ids, shape = cache
    share = dy[:, None, :] * scale
    table = np.zeros(shape)
    np.add.at(table, ids, share)
    return table


@pytest.mark.parametrize(
    ("pair", "array", "mistake", "due"),
    [
        (
            (lambda s, q: (np.einsum("bij,bjd->bid", s, q), (s, q)), attend_back),
            [RNG.normal(size=(2, 3, 3)), RNG.normal(size=(2, 3, 4))],
            "transposed",
            "'bji,bjd->bid'",
        ),
        (
            (lambda x: (np.cumsum(x, axis=1) ** 2, np.cumsum(x, axis=1)), summed_up_back),
            [RNG.normal(size=(3, 5))],
            "reversed",
            "np.flip(np.cumsum(np.flip(2 * y * dy, 1), 1), 1)",
        ),
        (
            (lambda table, ids: ((table[ids] * 0.7).mean(axis=1), (0.7, ids, table.shape)), shared_back),
            [RNG.normal(size=(5, 4))],
            "element-count-factor",
            "ids.shape[1]",
        ),
    ],
)
def test_letters_ends_and_counts_are_put_right(pair, array, mistake, due):
    kwargs = {"ids": np.array([[1, 3, 1], [0, 2, 4]])} if pair[1] is shared_back else {}
    (verdict,) = check_gradients(pair, *array, kwargs=kwargs).verdicts
    assert verdict.mistake == mistake
    assert due in verdict.fix


def normal_nll(mu, logvar):
    precision = np.exp(-logvar)

    def pull_back(g):
        return g * mu * precision, g * 0.5 * (1 + mu**2 * precision)

    return 0.5 * (logvar + mu**2 * precision).sum(), pull_back


def call_back(g, pull_back):
    return pull_back(g)


def two_layers(x, w, v):
    return (h := np.tanh(z := x @ w)) @ v, (x, w, v, z, h)


def two_layers_back(dy, c):
    x, w, v, z, h = c
    return (dz := dy @ v.T * (1 - z * z)) @ w.T, x.T @ dz, h.T @ dy


def scaled_channels(x, gain):
    t = np.tanh(x)
    return t * gain[:, None], (t, gain)


def scaled_channels_back(dy, cache):
    t, gain = cache
    g = dy.reshape(t.shape)
    return g * (1 - t**2), (g * t).sum((0, 2)).reshape(gain.shape)


def attending(s, v):
    p = np.exp(s - s.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    return p @ v, (p, v)


def attending_back(dy, cache):
    p, v = cache
    dp = dy @ v.T
    return p * (dp - (p * dp).sum(0)), p.T @ dy


@pytest.mark.parametrize(
    ("pair", "shapes", "mistake", "due"),
    [
        ((normal_nll, call_back), ((3, 2), (3, 2)), "wrong-sign", "1 - mu ** 2 * precision"),
        ((two_layers, two_layers_back), ((4, 3), (3, 5), (5, 2)), "wrong-variable", "1 - h * h"),
        ((scaled_channels, scaled_channels_back), ((2, 3, 4), (3,)), "parameter-ignored", "gain[:, None]"),
        ((attending, attending_back), ((3, 3), (3, 2)), "wrong-axis", "axis=-1"),
    ],
)
def test_closures_walruses_channels_and_the_softmax_are_put_right(pair, shapes, mistake, due):
    (verdict,) = check_gradients(pair, *(np.random.default_rng(3).normal(size=shape) for shape in shapes)).verdicts
    assert verdict.mistake == mistake
    assert due in verdict.fix


def apart(x, y):
    return np.abs(x - y).sum(axis=1), (x, y)


def apart_back(dy, cache):
    x, y = cache
    g = (np.sign(x) - np.sign(y)) * dy[:, None]
    return g, -g


def rate(x, w):
    r = np.exp(x @ w)
    return r, (x, w, r)


def rate_back(dy, cache):
    x, w, r = cache
    g = r[:, None] * w * dy.sum()
    return g, x.T @ (r * dy)


def two_ways(x, w, v):
    a, b = x @ w, x @ v
    return np.tanh(a) + b, (x, w, v, a)


def two_ways_back(dy, cache):
    x, w, v, a = cache
    da = dy * (1 - np.tanh(a) ** 2)
    through_b = dy @ v.T  # noqa: F841, the mistake
    return da @ w.T, x.T @ da, x.T @ dy


def rectified(x, w, v):
    a = np.maximum(x @ w, 0)
    return a @ v, (x, w, v, a)


def rectified_back(dy, cache):
    x, w, v, a = cache
    g = a
    g[...] = (dy @ v.T) * (a > 0)
    return g @ w.T, x.T @ g, a.T @ dy


@pytest.mark.parametrize(
    ("pair", "shapes", "mistake", "due"),
    [
        ((apart, apart_back), ((4, 3), (4, 3)), "formula-slip", "np.sign(x - y)"),
        ((rate, rate_back), ((4, 3), (3,)), "wrong-axis", "dy[:, None]"),
        ((two_ways, two_ways_back), ((4, 3), (3, 2), (3, 2)), "term-missing", "through_b is computed and never used"),
        ((rectified, rectified_back), ((4, 3), (3, 2), (2, 5)), "cache-modified", "g = a.copy()"),
    ],
)
def test_signs_rows_unused_values_and_second_names_are_put_right(pair, shapes, mistake, due):
    rng = np.random.default_rng(3)
    verdicts = check_gradients(pair, *(rng.normal(size=shape) for shape in shapes)).verdicts
    assert {verdict.mistake for verdict in verdicts} == {mistake}
    assert any(due in verdict.fix + verdict.message for verdict in verdicts)


def focal(z, t):
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    pt = p[np.arange(len(z)), t][:, None]
    return (-((1 - pt) ** 2) * np.log(pt)).sum(), (p, pt, t)


def focal_back(dy, cache):
    p, pt, t = cache
    weight = (1 - pt) ** 2
    return dy * weight * (p - np.eye(p.shape[1])[t]), None


def test_a_weight_held_fixed_is_a_path_that_is_missing():
    """No line is wrong by itself: the gradient is right but for what comes back through one value of the forward."""
    (verdict,) = check_gradients((focal, focal_back), RNG.normal(size=(4, 3)), np.array([0, 2, 1, 1])).verdicts
    assert (verdict.array, verdict.mistake) == ("z", "term-missing")
    assert "lacks what comes back through" in verdict.message and "(1 - pt) ** 2" in verdict.message


def pieces(x, w):
    z = np.einsum("nd,pdh->nph", x, w)
    return z.max(axis=1), (x, w, z)


def pieces_back(dy, cache):
    x, w, z = cache
    dz = np.repeat(dy[:, None, :], z.shape[1], axis=1)
    return np.einsum("nph,pdh->nd", dz, w), np.einsum("nd,nph->pdh", x, dz)


def test_of_several_pieces_only_the_largest_is_paid():
    (verdict,) = check_gradients((pieces, pieces_back), RNG.normal(size=(4, 3)), RNG.normal(size=(2, 3, 5))).verdicts
    assert (verdict.mistake, verdict.variable) == ("winner-ignored", "dz")
    assert "along axis 1" in verdict.message


def test_steps_left_out_are_named_along_any_axis():
    def backward(dy, cache):
        x, w = cache
        return np.einsum("bto,oi->bti", dy, w), np.einsum("bo,bi->oi", dy[:, -1], x[:, -1])

    def forward(x, w):
        return np.einsum("bti,oi->bto", x, w), (x, w)

    (verdict,) = check_gradients((forward, backward), RNG.normal(size=(2, 4, 3)), RNG.normal(size=(5, 3))).verdicts
    assert (verdict.array, verdict.mistake) == ("w", "examples-missing")
    assert "last row of dy along axis 1" in verdict.message


def layer_norm(x, gamma, beta):
    centered = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-5)
    xhat = centered / std
    return gamma * xhat + beta, (xhat, centered, std, gamma)


def layer_norm_by_einsum(dout, cache):
    xhat, _centered, std, gamma = cache
    g = np.einsum("nd,d->nd", dout, gamma)
    mean = np.einsum("nd->n", g) / dout.shape[1]
    dot = np.einsum("nd,nd->d", g, xhat) / len(g)
    dx = (g - mean[:, None] - xhat * dot) / std
    return dx, np.einsum("nd,nd->d", dout, xhat), dout.sum(axis=0)


def layer_norm_by_closures(dout, cache):
    xhat, _centered, std, gamma = cache

    def mean(a, axis):
        return np.mean(a, axis=axis, keepdims=True)

    def project(a):
        return xhat * mean(a * xhat, 0)

    def center(a):
        return a - mean(a, 1)

    g = gamma * dout
    return (center(g) - project(g)) / std, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def layer_norm_by_loops(dout, cache):
    xhat, _centered, std, gamma = cache
    (N, D), dx = dout.shape, np.zeros_like(dout)
    for n in range(N):
        for d in range(D):
            mean = 0.0
            for k in range(D):
                mean += gamma[k] * dout[n, k] / D
            dot = sum(gamma[d] * dout[k, d] * xhat[k, d] for k in range(N)) / N
            dx[n, d] = (gamma[d] * dout[n, d] - mean - xhat[n, d] * dot) / std[n, 0]
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


@pytest.mark.parametrize(
    ("backward", "mistake", "line"),
    [
        (layer_norm_by_einsum, "wrong-axis", "dot ="),
        (layer_norm_by_closures, "wrong-axis", "return xhat * mean"),
        (layer_norm_by_loops, "unexplained", "dot ="),
    ],
)
def test_parts_of_a_simplified_formula_that_are_right_are_not_blamed(backward, mistake, line):
    rng = np.random.default_rng(0)
    arrays = 2 * rng.normal(size=(4, 5)) + 1, rng.normal(size=5), rng.normal(size=5)
    (verdict,) = check_gradients((layer_norm, backward), *arrays).verdicts
    assert (verdict.array, verdict.mistake) == ("x", mistake)
    assert line in inspect.getsource(backward).splitlines()[verdict.line - backward.__code__.co_firstlineno]


def naive_svm(weight, x, labels):
    scores, loss = x @ weight, 0.0
    for i in range(len(x)):
        for j in range(weight.shape[1]):
            if j != labels[i]:
                margin = scores[i, j] - scores[i, labels[i]] + 1
                if margin > 0:
                    loss += margin
    return loss / len(x), (weight, x, scores, labels)


def right_class_behind_the_loop(dloss, cache):
    weight, x, scores, labels = cache
    dweight, dx = np.zeros_like(weight), np.zeros_like(x)
    for i in range(len(x)):
        right = labels[i]
        for j in range(weight.shape[1]):
            if j != right and scores[i, j] - scores[i, right] + 1 > 0:
                dweight[:, j] += x[i]
                dx[i] += weight[:, j]
        dweight[:, right] -= x[i]
        dx[i] -= weight[:, right]
    return dloss * dweight / len(x), dloss * dx / len(x)


def right_class_before_the_if(dloss, cache):
    weight, x, scores, labels = cache
    dweight = np.zeros_like(weight)
    dx = np.zeros_like(x)
    for i in range(len(x)):
        for j in range(weight.shape[1]):
            if j == labels[i]:
                continue
            margin = scores[i, j] - scores[i, labels[i]] + 1
            dweight[:, labels[i]] -= x[i]
            if margin > 0:
                dweight[:, j] += x[i]
                dx[i] += weight[:, j] - weight[:, labels[i]]
    return dloss * dweight / len(x), dloss * dx / len(x)


def right_class_left_out(dloss, cache):
    weight, x, scores, labels = cache
    dweight, dx = np.zeros_like(weight), np.zeros_like(x)
    for i in range(len(x)):
        for j in range(weight.shape[1]):
            if j != labels[i] and scores[i, j] - scores[i, labels[i]] + 1 > 0:
                dweight[:, j] += x[i]
                dx[i] += weight[:, j] - weight[:, labels[i]]
    return dloss * dweight / len(x), dloss * dx / len(x)


@pytest.mark.parametrize(
    ("backward", "array", "mistake", "told"),
    [
        (right_class_behind_the_loop, "weight, x", "wrong-mask", "this and the lines behind it belong into the if"),
        (right_class_before_the_if, "weight", "wrong-mask", "dweight[:, labels[i]] -= x[i] * (margin > 0)"),
        (right_class_left_out, "weight", "term-missing", "dweight[:, labels[i]] -= x[i] is missing"),
    ],
)
def test_what_belongs_into_a_condition_or_to_another_entry(backward, array, mistake, told):
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(4, 5)), rng.normal(size=(6, 4)), np.array([0, 3, 1, 4, 2, 3])
    (verdict,) = check_gradients((naive_svm, backward), *arrays, wrt=["weight", "x"]).verdicts
    assert (verdict.array, verdict.mistake) == (array, mistake)
    assert told in verdict.message + verdict.fix


def recurrent(x, h0, wx, wh):
    h = np.zeros((*x.shape[:2], len(wh)), dtype=np.result_type(x, h0, wx, wh))
    before = h0
    for t in range(x.shape[1]):
        before = h[:, t] = np.tanh(x[:, t] @ wx + before @ wh)
    return h, (x, h0, wx, wh, h)


def recurrent_from_the_last(dh, cache):
    x, h0, wx, wh, h = cache
    dx, dwx, dwh, dbefore = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(h0)
    for t in range(x.shape[1] - 1, -1, -1):
        da = (dh[:, t] + dbefore) * (1 - h[:, t] ** 2)
        before = h[:, t - 1]
        dx[:, t] = da @ wx.T
        dwx += x[:, t].T @ da
        dwh += before.T @ da
        dbefore = da @ wh.T
    return dx, dbefore, dwx, dwh


def window_maxima(v, size=3):
    windows = v.reshape(-1, size)
    best = [int(k) for k in np.argmax(windows, axis=1)]
    return np.array([window[k] for window, k in zip(windows, best, strict=True)]), (best, len(windows), size)


def window_maxima_at_the_start(dy, cache):
    best, n, size = cache
    dv = np.zeros(n * size)
    for i, k in enumerate(best):
        dv[k] += dy[i]
    return dv


def bag(table, tokens, mask):
    counts = mask.sum(axis=1)
    return (table[tokens] * mask[:, :, None]).sum(axis=1) / counts[:, None], (table.shape, tokens, mask, counts)


def bag_by_the_longest(dy, cache):
    shape, tokens, mask, counts = cache
    dtable = np.zeros(shape)
    N, T = tokens.shape
    for n in range(N):
        for t in range(T):
            if mask[n, t] and counts[n] > 0:
                dtable[tokens[n, t]] += dy[n] / T
    return dtable


def grouped(x, weight, groups=2):
    outputs, size = [], x.shape[1] // groups
    for g in range(groups):
        part = x[:, g * size : (g + 1) * size]
        outputs.append(np.einsum("ncl,fc->nfl", part, weight[g]))
    return np.concatenate(outputs, axis=1), (x, weight, groups, part)


def grouped_by_the_last(dy, cache):
    x, weight, groups, part = cache
    F, size = weight.shape[1], x.shape[1] // groups
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for g in range(groups):
        d = dy[:, g * F : (g + 1) * F]
        dx[:, g * size : (g + 1) * size] = np.einsum("nfl,fc->ncl", d, weight[g])
        dweight[g] = np.einsum("nfl,ncl->fc", d, part)
    return dx, dweight


def two_layers(x, w1, w2):
    h = np.tanh(x @ w1)
    return h @ w2, (x, h, w1, w2)


def two_layers_updated_on_the_way(dy, cache):
    x, h, w1, w2 = cache
    dw2 = h.T @ dy
    w2 = w2 - 0.5 * dw2
    da = (dy @ w2.T) * (1 - h**2)
    return da @ w1.T, x.T @ da, dw2


def divergence(mean, log_var):
    return 0.5 * np.sum(mean**2 + np.exp(log_var) - 1 - log_var), (mean, log_var)


def divergence_with_a_value(d, cache):
    mean, log_var = cache
    return mean * d, 0.5 * (np.exp(log_var) - log_var) * d


def smoothed_cross_entropy(scores, labels, eps=0.2):
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    q = np.full(p.shape, eps / p.shape[1])
    q[np.arange(len(p)), labels] += 1 - eps
    return -np.sum(q * np.log(p)) / len(p), (p, labels, eps)


def smoothed_with_a_hard_one(d, cache):
    p, labels, eps = cache
    dscores = p.copy()
    dscores -= eps / p.shape[1]
    dscores[np.arange(len(p)), labels] -= 1
    return dscores * d / len(p)


def cosine(u, v):
    nu, nv = np.sqrt(np.sum(u * u)), np.sqrt(np.sum(v * v))
    return np.sum(u * v) / (nu * nv), (u, v, nu, nv)


def cosine_without_a_square(d, cache):
    u, v, nu, nv = cache
    y = np.sum(u * v) / (nu * nv)
    return d * (v / (nu * nv) - y * u / nu), d * (u / (nu * nv) - y * v / nv**2)


@pytest.mark.parametrize(
    ("pair", "arrays", "mistake", "told"),
    [
        (
            (recurrent, recurrent_from_the_last),
            (RNG.normal(size=(2, 3, 3)), RNG.normal(size=(2, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4)) / 2),
            "off-by-one",
            "before = h[:, t - 1] if t else h0",
        ),
        ((window_maxima, window_maxima_at_the_start), (RNG.normal(size=12),), "shifted", "dv[size * i + k] += dy[i]"),
        (
            (bag, bag_by_the_longest),
            (RNG.normal(size=(6, 3)), np.array([[1, 4, 0], [5, 2, 3]]), np.array([[1, 1, 0], [1, 1, 1]])),
            "element-count-factor",
            "+= dy[n] / counts[n]",
        ),
        (
            (grouped, grouped_by_the_last),
            (RNG.normal(size=(3, 6, 4)), RNG.normal(size=(2, 2, 3))),
            "wrong-variable",
            "np.einsum('nfl,ncl->fc', d, x[:, g * size:(g + 1) * size])",
        ),
        (
            (two_layers, two_layers_updated_on_the_way),
            (RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5)), RNG.normal(size=(5, 2))),
            "wrong-variable",
            "w2 is changed here, and still needed as it was",
        ),
        (
            (divergence, divergence_with_a_value),
            (RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))),
            "value-for-derivative",
            "0.5 * (np.exp(log_var) - 1) * d",
        ),
        (
            (smoothed_cross_entropy, smoothed_with_a_hard_one),
            (RNG.normal(size=(4, 5)), np.array([2, 0, 4, 1])),
            "term-missing",
            "-= 1 - eps",
        ),
        ((cosine, cosine_without_a_square), (RNG.normal(size=5), RNG.normal(size=5)), "wrong-exponent", "nu ** 2"),
    ],
    ids=["rnn", "max pool", "bag of words", "groups", "update", "value", "label smoothing", "cosine"],
)
def test_lines_of_everyday_code(pair, arrays, mistake, told):
    wanted = [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]
    (verdict,) = check_gradients(pair, *arrays, wrt=wanted).verdicts
    assert verdict.mistake == mistake
    assert told in verdict.message + verdict.fix
