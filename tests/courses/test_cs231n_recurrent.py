"""CS231n's recurrent layers and captioning network: its printed losses, and gradients checked step by step."""

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.courses.cs231n import rnn_layers
from handgrad.courses.cs231n.classifiers.rnn import CaptioningRNN
from handgrad.courses.cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array
from handgrad.courses.nndl.layer_tests import rel_error

RNG = np.random.default_rng(0)
N, T, D, H = 2, 3, 4, 5
WORDS = {"<NULL>": 0, "cat": 2, "dog": 3}


def normal(*shape):
    return RNG.normal(size=shape)


PAIRS = {
    "rnn": (normal(N, T, D), normal(N, H), normal(D, H), normal(H, H), normal(H)),
    "rnn_step": (normal(N, D), normal(N, H), normal(D, H), normal(H, H), normal(H)),
    "lstm": (normal(N, T, D), normal(N, H), normal(D, 4 * H), normal(H, 4 * H), normal(4 * H)),
    "temporal_affine": (normal(N, T, D), normal(D, H), normal(H)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_gradients(name):
    pair = (getattr(rnn_layers, f"{name}_forward"), getattr(rnn_layers, f"{name}_backward"))
    report = check_gradients(pair, *PAIRS[name])
    assert report.ok, str(report)


def test_gradients_of_a_step_of_the_lstm():
    arrays = [normal(N, D), normal(N, H), normal(N, H), normal(D, 4 * H), normal(H, 4 * H), normal(4 * H)]
    dnext_h, dnext_c = normal(N, H), normal(N, H)
    _, _, cache = rnn_layers.lstm_step_forward(*arrays)
    gradients = rnn_layers.lstm_step_backward(dnext_h, dnext_c, cache)
    for array, gradient in zip(arrays, gradients, strict=True):
        numeric = sum(
            eval_numerical_gradient_array(lambda _, i=i: rnn_layers.lstm_step_forward(*arrays)[i], array, d)
            for i, d in enumerate((dnext_h, dnext_c))
        )
        assert np.allclose(numeric, gradient, rtol=1e-5, atol=1e-9)


def test_steps_one_by_one_are_the_whole():
    x, h, *weights = PAIRS["lstm"]
    states, c = rnn_layers.lstm_forward(x, h, *weights)[0], np.zeros_like(h)
    for t in range(T):
        h, c, _ = rnn_layers.lstm_step_forward(x[:, t], h, c, *weights)
        assert np.allclose(h, states[:, t])


def test_word_vectors():
    x, W = np.array([[0, 3, 1, 2], [2, 1, 0, 3]]), np.linspace(0, 1, num=15).reshape(5, 3)
    out, cache = rnn_layers.word_embedding_forward(x, W)
    assert np.array_equal(out[0, 1], W[3])
    dout = normal(*out.shape)
    numeric = eval_numerical_gradient_array(lambda W: rnn_layers.word_embedding_forward(x, W)[0], W, dout)
    assert rel_error(numeric, rnn_layers.word_embedding_backward(dout, cache)) < 1e-8


@pytest.mark.parametrize("N, T, p, expected", [(100, 1, 1.0, 2.3), (100, 10, 1.0, 23.0), (5000, 10, 0.1, 2.3)])
def test_the_temporal_loss_sums_over_time_where_the_mask_is_true(N, T, p, expected):
    x, y, mask = 0.001 * normal(N, T, 10), RNG.integers(10, size=(N, T)), RNG.random((N, T)) <= p
    loss, dx = rnn_layers.temporal_softmax_loss(x, y, mask)
    assert loss == pytest.approx(expected, rel=0.02) and not dx[~mask].any()


def test_the_temporal_loss_of_no_words_is_zero():
    loss, dx = rnn_layers.temporal_softmax_loss(normal(2, 3, 4), np.zeros((2, 3), int), np.zeros((2, 3), bool))
    assert loss == 0 and dx.shape == (2, 3, 4) and not dx.any()


def test_the_gradient_of_the_temporal_loss():
    x, y, mask = normal(3, 4, 5), RNG.integers(5, size=(3, 4)), RNG.random((3, 4)) > 0.5
    loss, dx = rnn_layers.temporal_softmax_loss(x, y, mask)
    numeric = eval_numerical_gradient(lambda x: rnn_layers.temporal_softmax_loss(x, y, mask)[0], x, verbose=False)
    assert np.allclose(dx, numeric, rtol=1e-5, atol=1e-9) and isinstance(loss, float)


@pytest.mark.parametrize(
    "cell, low, high, expected", [("rnn", -1.5, 0.3, 9.83235591003), ("lstm", -0.5, 1.7, 9.82445935443)]
)
def test_losses_of_the_captioning_network(cell, low, high, expected):
    model = CaptioningRNN(WORDS, input_dim=20, wordvec_dim=30, hidden_dim=40, cell_type=cell, dtype=np.float64)
    for name, value in model.params.items():
        model.params[name] = np.linspace(-1.4, 1.3, num=value.size).reshape(value.shape)
    features, captions = np.linspace(low, high, num=200).reshape(10, 20), (np.arange(130) % 3).reshape(10, 13)
    assert model.loss(features, captions)[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_gradients_and_captions_of_the_captioning_network(cell):
    np.random.seed(3)
    words = {"<NULL>": 0, "<START>": 1, "<END>": 2, "cat": 3}
    model = CaptioningRNN(words, input_dim=5, wordvec_dim=3, hidden_dim=4, cell_type=cell, dtype=np.float64)
    features, captions = normal(2, 5), RNG.integers(4, size=(2, 5))
    _, grads = model.loss(features, captions)
    assert set(grads) == set(model.params)
    for name, grad in grads.items():
        numeric = eval_numerical_gradient(lambda _: model.loss(features, captions)[0], model.params[name], False)
        assert np.allclose(numeric, grad, rtol=1e-4, atol=1e-8), name
    captions = model.sample(features, max_length=6)
    assert captions.shape == (2, 6) and captions.min() >= 0 and captions.max() < 4


def test_the_captioning_network_draws_in_the_courses_order_and_refuses_other_cells():
    np.random.seed(1)
    model = CaptioningRNN(WORDS, input_dim=4, wordvec_dim=2, hidden_dim=3, dtype=np.float64)
    np.random.seed(1)
    assert np.array_equal(model.params["W_embed"], np.random.randn(3, 2) / 100)
    for name, rows, columns in (("W_proj", 4, 3), ("Wx", 2, 3), ("Wh", 3, 3), ("W_vocab", 3, 3)):
        assert np.array_equal(model.params[name], np.random.randn(rows, columns) / np.sqrt(rows))
    with pytest.raises(ValueError, match='Invalid cell_type "gru"'):
        CaptioningRNN(WORDS, cell_type="gru")


def test_captions_need_a_word_to_start_with():
    with pytest.raises(ValueError, match="sample begins with <START>, which word_to_idx does not have"):
        CaptioningRNN(WORDS, input_dim=4, wordvec_dim=2, hidden_dim=3).sample(normal(2, 4))
