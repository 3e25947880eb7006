"""cs231n.rnn_layers: recurrent layers over x (N, T, D), word vectors, and a loss over words; one step and all steps.

An LSTM's weights have the columns of its gates in the order i, f, o, g, as handgrad's.
"""

import numpy as np

from ... import functional as F
from ...arrays import Array, Cache
from ...functional.recurrent import lstm_gate_gradients, lstm_gates


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """h (N, T, H), h_t = tanh(x_t Wx + h_{t-1} Wh + b)."""
    return F.rnn_forward(x, h0, Wx, Wh, b)


def rnn_backward(dh: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """(dx, dh0, dWx, dWh, db)."""
    return F.rnn_backward(dh, cache)


def rnn_step_forward(x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """(next_h (N, H), cache) of one step, x (N, D)."""
    h, cache = F.rnn_forward(x[:, None], prev_h, Wx, Wh, b)
    return h[:, 0], cache


def rnn_step_backward(dnext_h: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """(dx, dprev_h, dWx, dWh, db)."""
    dx, dprev_h, dWx, dWh, db = F.rnn_backward(dnext_h[:, None], cache)
    return dx[:, 0], dprev_h, dWx, dWh, db


def lstm_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """h (N, T, H); the cell starts at zero."""
    return F.lstm_forward(x, h0, np.zeros_like(h0), Wx, Wh, b)


def lstm_backward(dh: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """(dx, dh0, dWx, dWh, db)."""
    dx, dh0, _, dWx, dWh, db = F.lstm_backward(dh, cache)
    return dx, dh0, dWx, dWh, db


def lstm_step_forward(
    x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, Array, Cache]:
    """(next_h, next_c, cache) of one step, x (N, D), prev_h and prev_c (N, H)."""
    z, cache = F.linear_forward(np.concatenate([x, prev_h], axis=1), np.concatenate([Wx, Wh]), b)
    next_h, next_c, gate_cache = lstm_gates(z, prev_c)
    return next_h, next_c, (x.shape[1], cache, gate_cache)


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array, Array]:
    """(dx, dprev_h, dprev_c, dWx, dWh, db)."""
    features, cache, gate_cache = cache
    dz, dprev_c = lstm_gate_gradients(dnext_h, dnext_c, gate_cache)
    dinputs, dweights, db = F.linear_backward(dz, cache)
    return (dinputs[:, :features], dinputs[:, features:], dprev_c, dweights[:features], dweights[features:], db)


def word_embedding_forward(x: Array, W: Array) -> tuple[Array, Cache]:
    """(out (N, T, D), cache): the row of W (V, D) for each word's index in x (N, T)."""
    return W[x], (x, W.shape)


def word_embedding_backward(dout: Array, cache: Cache) -> Array:
    """dW (V, D): each word's row collects from every place where it stood."""
    x, shape = cache
    dW = np.zeros(shape, dout.dtype)
    np.add.at(dW, x, dout)
    return dW


def temporal_affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """out (N, T, M) = x_t w + b at every step."""
    out, cache = F.linear_forward(x.reshape(-1, x.shape[2]), w, b)
    return out.reshape(*x.shape[:2], -1), (x.shape, cache)


def temporal_affine_backward(dout: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """(dx, dw, db)."""
    shape, cache = cache
    dx, dw, db = F.linear_backward(dout.reshape(-1, dout.shape[2]), cache)
    return dx.reshape(shape), dw, db


def temporal_softmax_loss(x: Array, y: Array, mask: Array, verbose: bool = False) -> tuple[float, Array]:
    """(loss, dx): cross-entropies of scores x (N, T, V) and words y (N, T), summed where mask is true, divided by N.

    Without a word that counts both are zero.
    """
    if not mask.any():
        return 0.0, np.zeros_like(x)
    flat_mask = mask.reshape(-1).astype(x.dtype)
    loss, cache = F.cross_entropy_forward(x.reshape(-1, x.shape[2]), y.reshape(-1), sample_weight=flat_mask)
    words_per_row = float(flat_mask.sum()) / len(x)
    (dx,) = F.cross_entropy_backward(words_per_row, cache)
    if verbose:
        print("dx_flat: ", dx.shape)
    return loss * words_per_row, dx.reshape(x.shape)
