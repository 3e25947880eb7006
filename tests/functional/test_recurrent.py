"""Recurrent pairs: the recurrence itself, time running one way only, and shapes that do not fit."""

import numpy as np
import pytest

from handgrad import functional as F
from handgrad.functional.recurrent import lstm_gate_gradients, lstm_gates
from pairs import Pair, draw_lstm, draw_rnn

PAIRS = [Pair("rnn", draw_rnn, num_gradients=5), Pair("lstm", draw_lstm, num_gradients=6)]
each_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)


def test_rnn_is_its_recurrence():
    x, hidden, weight, recurrent_weight, bias = draw_rnn(np.random.default_rng(0), steps=4)
    y, _ = F.rnn_forward(x, hidden, weight, recurrent_weight, bias)
    for t in range(4):
        hidden = np.tanh(x[:, t] @ weight + hidden @ recurrent_weight + bias)
        np.testing.assert_allclose(y[:, t], hidden, rtol=1e-14)


def test_rnn_takes_other_activations():
    x, hidden, weight, recurrent_weight, bias = draw_rnn(np.random.default_rng(0), steps=1)
    y, _ = F.rnn_forward(x, hidden, weight, recurrent_weight, bias, activation="sigmoid")
    z = x[:, 0] @ weight + hidden @ recurrent_weight + bias
    np.testing.assert_allclose(y[:, 0], 1 / (1 + np.exp(-z)), rtol=1e-14)
    with pytest.raises(ValueError, match="unknown activation 'tan'; did you mean 'tanh'"):
        F.rnn_forward(x, hidden, weight, recurrent_weight, bias, activation="tan")


def test_lstm_remembers_when_told_to():
    """With f = 1 and i = 0 the cell stays as it was; with f = 0 it is forgotten."""
    x, hidden, cell, weight, recurrent_weight, bias = draw_lstm(np.random.default_rng(0), steps=5)
    weight, recurrent_weight = weight * 0, recurrent_weight * 0
    i, f, o = np.full(3, -1e3), np.full(3, 1e3), np.full(3, 1e3)
    kept, _ = F.lstm_forward(x, hidden, cell, weight, recurrent_weight, np.concatenate([i, f, o, bias[9:]]))
    np.testing.assert_allclose(kept, np.broadcast_to(np.tanh(cell)[:, None], kept.shape), rtol=1e-14)
    forgotten, _ = F.lstm_forward(x, hidden, cell, weight, recurrent_weight, np.concatenate([i, -f, o, bias[9:]]))
    np.testing.assert_array_equal(abs(forgotten) < 1e-300, True)


@each_pair
def test_two_halves_make_the_whole(pair):
    """Steps 3 and 4 begun from the state after step 2 are the steps 3 and 4 of the whole sequence."""
    x, *state, weight, recurrent_weight, bias = pair.make(np.random.default_rng(1), steps=4)
    whole, _ = pair.forward(x, *state, weight, recurrent_weight, bias)
    for t in range(2):
        z = x[:, t] @ weight + state[0] @ recurrent_weight + bias
        state = [np.tanh(z)] if pair.name == "rnn" else lstm_gates(z, state[1])[:2]
    rest, _ = pair.forward(x[:, 2:], *state, weight, recurrent_weight, bias)
    np.testing.assert_allclose(rest, whole[:, 2:], rtol=1e-13)


@each_pair
def test_no_gradient_reaches_the_future(pair):
    """A loss of step 2 alone has no gradient by the steps after it, and one by every step before it."""
    arrays = pair.make(np.random.default_rng(2), steps=4)
    y, cache = pair.forward(*arrays)
    dy = np.zeros_like(y)
    dy[:, 1] = 1
    dx = pair.backward(dy, cache)[0]
    assert dx[:, :2].all() and not dx[:, 2:].any()


@each_pair
def test_input_gradient_may_be_left_out(pair):
    arrays = pair.make(np.random.default_rng(3))
    y, cache = pair.forward(*arrays)
    dx, *others = pair.backward(np.ones_like(y), cache, input_gradient=False)
    assert dx is None
    for gradient, same in zip(others, pair.backward(np.ones_like(y), cache)[1:], strict=True):
        np.testing.assert_array_equal(gradient, same)


def test_one_lstm_step_backwards_is_the_pair_at_one_step():
    x, hidden, cell, weight, recurrent_weight, bias = draw_lstm(np.random.default_rng(4), steps=1)
    y, cache = F.lstm_forward(x, hidden, cell, weight, recurrent_weight, bias)
    dy = np.random.default_rng(5).standard_normal(y.shape)
    _, dhidden, dcell, *_ = F.lstm_backward(dy, cache)
    *_, gate_cache = lstm_gates(x[:, 0] @ weight + hidden @ recurrent_weight + bias, cell)
    dz, dcell_of_step = lstm_gate_gradients(dy[:, 0], 0.0, gate_cache)
    np.testing.assert_allclose(dz @ recurrent_weight.T, dhidden, rtol=1e-12)
    np.testing.assert_allclose(dcell_of_step, dcell, rtol=1e-12)


@pytest.mark.parametrize(
    ("position", "shape", "words"),
    [
        (0, (2, 3), "x must be (N, T, features)"),
        (0, (2, 0, 2), "at least one step"),
        (1, (3, 3), "hidden must be (2, 3)"),
        (-3, (3, 3), "weight must be (2, "),
        (-1, (1, 3), "bias must be ("),
    ],
)
@each_pair
def test_shapes_that_do_not_fit_are_refused(pair, position, shape, words):
    arrays = list(pair.make(np.random.default_rng(6)))
    arrays[position] = np.zeros(shape)
    with pytest.raises(ValueError) as refusal:
        pair.forward(*arrays)
    assert f"{pair.name}: " in str(refusal.value) and words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_cell_of_another_shape_is_refused():
    x, hidden, cell, *weights = draw_lstm(np.random.default_rng(7))
    with pytest.raises(ValueError, match=r"hidden and cell must have one shape, got \(2, 3\) and \(1, 3\)"):
        F.lstm_forward(x, hidden, cell[:1], *weights)
