"""Whole functions as students write them: a mistake in one of their lines, which no single number shows."""

import numpy as np

from .specimens import specimen


def rnn(x, h, wx, wh):
    outputs, tape = [], []
    for t in range(x.shape[1]):
        before, h = h, np.tanh(x[:, t] @ wx + h @ wh)
        outputs.append(h)
        tape.append((x[:, t], before, h))
    return np.stack(outputs, axis=1), (tape, wx, wh)


def rnn_arrays(rng):
    return rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5)), rng.normal(size=(4, 5)), rng.normal(size=(5, 5))


@specimen("rnn over time", "derivative-missing", "dh passes the tanh of every step: da = dh (1 - h²) before anything.")
def tanh_forgotten(rng):
    def backward(dy, cache):
        tape, wx, wh = cache
        dx, dwx, dwh, dh = np.zeros((*dy.shape[:2], len(wx))), np.zeros_like(wx), np.zeros_like(wh), 0
        for t in reversed(range(dy.shape[1])):
            x, before, _h = tape[t]
            da = dy[:, t] + dh
            dx[:, t], dh = da @ wx.T, da @ wh.T
            dwx += x.T @ da
            dwh += before.T @ da
        return dx, dh, dwx, dwh

    return (rnn, backward), rnn_arrays(rng), {}


@specimen("rnn over time", "term-missing", "A state goes two ways, to y and to the next step: both gradients add up.")
def next_step_forgotten(rng):
    def backward(dy, cache):
        tape, wx, wh = cache
        dx, dwx, dwh, dh = np.zeros((*dy.shape[:2], len(wx))), np.zeros_like(wx), np.zeros_like(wh), np.zeros(5)
        for t in reversed(range(dy.shape[1])):
            x, before, h = tape[t]
            da = dy[:, t] * (1 - h**2)
            dx[:, t], dh = da @ wx.T, da @ wh.T
            dwx += x.T @ da
            dwh += before.T @ da
        return dx, dh, dwx, dwh

    return (rnn, backward), rnn_arrays(rng), {}


@specimen("rnn over time", "overlap-overwritten", "Every step uses the same weight: its gradients add up over time.")
def weight_of_one_step(rng):
    def backward(dy, cache):
        tape, wx, wh = cache
        dx, dwx, dwh, dh = np.zeros((*dy.shape[:2], len(wx))), np.zeros_like(wx), np.zeros_like(wh), np.zeros(5)
        for t in reversed(range(dy.shape[1])):
            x, before, h = tape[t]
            da = (dy[:, t] + dh) * (1 - h**2)
            dx[:, t], dh = da @ wx.T, da @ wh.T
            dwx = x.T @ da
            dwh += before.T @ da
        return dx, dh, dwx, dwh

    return (rnn, backward), rnn_arrays(rng), {}


def attention(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(scores - scores.max(axis=1, keepdims=True)) if scores.dtype.kind == "f" else np.exp(scores)
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)


def attention_arrays(rng):
    return rng.normal(size=(4, 5)), rng.normal(size=(6, 5)), rng.normal(size=(6, 3))


@specimen("attention", "cross-terms-missing", "Each weight of a softmax moves all the others: p (dp - Σ p dp).")
def softmax_as_sigmoid(rng):
    def backward(dy, cache):
        q, k, v, p = cache
        dp = dy @ v.T
        ds = p * (1 - p) * dp
        ds = ds / np.sqrt(q.shape[1])
        return ds @ k, ds.T @ q, p.T @ dy

    return (attention, backward), attention_arrays(rng), {}


def columns(a, w, b):
    y = 1 / (1 + np.exp(-(w @ a + b)))
    return y, (a, w, y)


@specimen("layer of columns", "batch-size-factor", "The mean over the m columns is the loss's to take, once.")
def divided_by_columns(rng):
    def backward(da, cache):
        a, w, y = cache
        dz = da * y * (1 - y)
        return w.T @ dz, dz @ a.T / a.shape[1], dz.sum(axis=1, keepdims=True)

    return (columns, backward), (rng.normal(size=(4, 6)), rng.normal(size=(3, 4)), rng.normal(size=(3, 1))), {}


@specimen("layer of columns", "derivative-missing", "dz = da σ'(z) first, whichever way the examples lie.")
def sigmoid_of_columns_forgotten(rng):
    def backward(da, cache):
        a, w, _ = cache
        return w.T @ da, da @ a.T, da.sum(axis=1, keepdims=True)

    return (columns, backward), (rng.normal(size=(4, 6)), rng.normal(size=(3, 4)), rng.normal(size=(3, 1))), {}


def cell(x, c):
    new = np.tanh(x) + 0.5 * c
    return new, np.tanh(new), (x, new)


@specimen("cell with two outputs", "skip-missing", "dnew goes straight to the state, beside what comes through h.")
def own_output_only(rng):
    def backward(dnew, dh, cache):
        x, new = cache
        d = dh * (1 - np.tanh(new) ** 2)
        return d * (1 - np.tanh(x) ** 2), 0.5 * d

    return (cell, backward), (rng.normal(size=(3, 4)), rng.normal(size=(3, 4))), {}


@specimen("linear model with a penalty", "batch-size-factor", "The data's part is a mean: divide by m.")
def mean_of_the_data_forgotten(rng):
    x, t = rng.normal(size=(7, 4)), rng.normal(size=7)

    def loss(w, x, t):
        return 0.5 * ((x @ w - t) ** 2).mean() + 0.1 * w @ w

    def gradient(w, x, t):
        return x.T @ (x @ w - t) + 0.2 * w

    return (loss, gradient), (rng.normal(size=4), x, t), {"wrt": ["w"]}
