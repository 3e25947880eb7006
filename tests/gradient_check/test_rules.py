"""Each rule of rules.txt that a stranger's mistake asked for: a small case that goes unnamed without it."""

import ast
import itertools
from string import Formatter
from typing import NamedTuple

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.gradient_check.edits import RULES

RNG = np.random.default_rng(11)
CASES = {}


def case(mistake, said, *arrays, **keywords):
    """A function that gives (forward, backward): what is said of them, in message or line, and for which arrays."""

    def add(make):
        CASES[make.__name__] = make, mistake, said, arrays, keywords
        return make

    return add


def normal(*shape):
    return RNG.normal(size=shape)


@pytest.mark.parametrize("name", CASES)
def test_the_mistake_gets_its_name_and_its_line(name):
    make, mistake, said, arrays, keywords = CASES[name]
    (verdict,) = check_gradients(make(), *arrays, kwargs=keywords).verdicts
    assert verdict.mistake == mistake, verdict
    assert said in verdict.fix or said in verdict.message


def test_a_message_names_only_what_its_rule_knows():
    for rule in itertools.chain.from_iterable(RULES.values()):
        known = {node.id for node in ast.walk(rule.wrong) if isinstance(node, ast.Name)} | {*rule.free, "new"}
        assert {name for _, name, *_ in Formatter().parse(rule.message) if name} <= known, rule


@case("function-too-many", "dh = da @ w", normal(3, 2, 4), normal(4, 4))
def clipped_on_the_way():
    def forward(x, w):
        h, hs = np.zeros(x.shape[1:]), []
        for step in x:
            h = np.tanh(step + h @ w.T)
            hs.append(h)
        return np.stack(hs), (x, w, hs)

    def backward(dy, cache):
        x, w, hs = cache
        dx, dw, dh = np.zeros_like(x), np.zeros_like(w), 0
        for t in reversed(range(len(x))):
            da = (dy[t] + dh) * (1 - hs[t] ** 2)
            dx[t] = da
            dw += da.T @ (hs[t - 1] if t else np.zeros_like(da))
            dh = np.clip(da @ w, -0.3, 0.3)
        return dx, dw

    return forward, backward


@case("statement-too-many", "out=", normal(4, 3), normal(3, 2))
def clipped_in_place():
    def backward(dy, cache):
        x, w = cache
        dw = x.T @ dy
        np.clip(dw, -0.2, 0.2, out=dw)
        return dy @ w.T, dw

    return lambda x, w: (x @ w, (x, w)), backward


@case("function-too-many", "dy * np.clip(x, -1, 1)", 2 * normal(12))
def clipped_with_the_upstream():
    def forward(x):
        return np.where(np.abs(x) <= 1, 0.5 * x**2, np.abs(x) - 0.5), x

    return forward, lambda dy, x: np.clip(dy * x, -1, 1)


@case("overlap-overwritten", "np.add.at(dw, ids, dy)", normal(5, 3), ids=np.array([0, 2, 2, 4, 0, 2]))
def repeated_index():
    def backward(dy, cache):
        shape, ids = cache
        dw = np.zeros(shape)
        dw[ids] += dy
        return (dw,)

    return lambda w, ids=None: (w[ids], (w.shape, ids)), backward


@case("statement-too-many", "wipes out", normal(7, 5))
def wiped_windows():
    def forward(x):
        return np.array([[x[i : i + 3, j : j + 3].max() for j in range(0, 3, 2)] for i in range(0, 5, 2)]), x

    def backward(dy, x):
        dx = np.zeros_like(x)
        for i in range(3):
            for j in range(2):
                a, b = np.unravel_index(np.argmax(x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3]), (3, 3))
                dx[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] = 0
                dx[2 * i + a, 2 * j + b] += dy[i, j]
        return dx

    return forward, backward


@case("derivative-at-output", "y * (1 - y)", normal(4, 3), normal(3, 2))
def slope_of_the_output():
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def slope(z):
        return sigmoid(z) * (1 - sigmoid(z))

    def forward(x, w):
        y = sigmoid(x @ w)
        return y, (x, w, y)

    def backward(dy, cache):
        x, w, y = cache
        dz = dy * slope(y)
        return dz @ w.T, x.T @ dz

    return forward, backward


@case("transposed", "(a + a.T) / 2", normal(4, 3), normal(3, 3))
def not_symmetric():
    def backward(dy, cache):
        x, a = cache
        return dy[:, None] * (x @ a), 0.5 * np.einsum("n,ni,nj->ij", dy, x, x)

    return lambda x, a: (0.5 * np.einsum("ni,ij,nj->n", x, a, x), (x, a)), backward


@case("swapped", "side(v, u, nv, nu)", normal(4, 3), normal(4, 3))
def arguments_exchanged():
    def forward(u, v):
        nu, nv = (np.sqrt((a * a).sum(1, keepdims=True)) for a in (u, v))
        return ((u * v).sum(1, keepdims=True) / (nu * nv))[:, 0], (u, v, nu, nv)

    def backward(dy, cache):
        u, v, nu, nv = cache

        def side(a, b, na, nb):
            return dy[:, None] * (b / (na * nb) - (a * b).sum(1, keepdims=True) / (na * nb) * a / na**2)

        return side(u, v, nu, nv), side(v, u, nu, nv)

    return forward, backward


@case("off-by-one", "ws[-i + 1].T", normal(3, 2), normal(3, 3), normal(3, 3))
def counted_from_the_end():
    def forward(x, u, v):
        h = np.tanh(u @ x)
        return np.tanh(v @ h), (x, u, v, h, np.tanh(v @ h))

    def backward(dy, cache):
        x, u, v, h, y = cache
        ws, values, inputs, grads = [u, v], [h, y], [x, h], [None, None]
        delta = dy * (1 - y**2)
        grads[-1] = delta @ inputs[-1].T
        for i in range(2, 3):
            delta = (ws[-i].T @ delta) * (1 - values[-i] ** 2)
            grads[-i] = delta @ inputs[-i].T
        return ws[0].T @ delta, *grads

    return forward, backward


@case("wrong-index", "x[:, g * 2:(g + 1) * 2]", normal(3, 4), normal(4, 2))
def first_group_alone():
    def forward(x, w):
        c = 2
        return np.concatenate([x[:, g * c : (g + 1) * c] @ w[g * c : (g + 1) * c] for g in range(2)], axis=1), (x, w)

    def backward(dy, cache):
        x, w = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for g in range(2):
            dx[:, 2 * g : 2 * g + 2] = dy[:, 2 * g : 2 * g + 2] @ w[2 * g : 2 * g + 2].T
            dw[2 * g : 2 * g + 2] = x[:, :2].T @ dy[:, 2 * g : 2 * g + 2]
        return dx, dw

    return forward, backward


@case("reshaped", "transpose((0, 2, 1, 3))", normal(2, 3, 4), normal(4, 5))
def heads_merged():
    def forward(x, w):
        return (x @ np.tanh(w)).reshape(2, 3, 5, 1).transpose(0, 2, 1, 3), (x, w)

    def backward(dy, cache):
        x, w = cache
        d = dy.reshape(2, 3, 5)
        return d @ np.tanh(w).T, np.einsum("bti,btj->ij", x, d) * (1 - np.tanh(w) ** 2)

    return forward, backward


@case("reshaped", "swapaxes(1, 2).swapaxes(3, 4)", normal(2, 3, 2))
def tiled_for_repeated():
    def forward(x):
        return np.broadcast_to(x[:, :, None, :, None], (2, 3, 2, 2, 2)).reshape(2, 6, 4), x.shape

    def backward(dy, shape):
        blocks = dy.reshape(2, 2, 3, 2, 2)
        return blocks.sum(axis=(1, 3))

    return forward, backward


@case("wrong-mask", "np.where(_l > 0", normal(5, 3), normal(5, 3))
def mask_without_the_margin():
    def forward(a, b):
        d = ((a - b) ** 2).sum(1)
        l = np.maximum(0, 7.0 - d)
        return l, (a, b, d, l)

    def backward(dy, cache):
        a, b, d, _l = cache
        on = np.where(d < 4, dy, 0)[:, None]
        return -2 * on * (a - b), 2 * on * (a - b)

    return forward, backward


@case("margin-missing", "d + margin > 0", normal(9), margin=1.5)
def margin_left_out():
    def forward(d, margin=1.0):
        return np.maximum(d + margin, 0) ** 3, (d, margin)

    def backward(dy, cache):
        d, margin = cache
        return dy * 3 * (d + margin) ** 2 * (d > 0)

    return forward, backward


@case("wrong-mask", "np.abs(e) <= delta", 2 * normal(9), delta=0.7)
def size_without_abs():
    def forward(e, delta=1.0):
        return np.where(np.abs(e) <= delta, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)), (e, delta)

    def backward(dy, cache):
        e, delta = cache
        return dy * np.where(e <= delta, e, delta * np.sign(e))

    return forward, backward


@case("factor-missing", "weighted with g itself", normal(4, 3), normal(4, 3))
def plain_mean_in_a_softmax():
    def forward(x, v):
        g = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return (g * v).sum(axis=1), (g, v)

    def backward(dy, cache):
        g, v = cache
        dg = dy[:, None] * v
        return g * (dg - dg.mean(axis=1, keepdims=True)), dy[:, None] * g

    return forward, backward


@case("element-count-factor", "dy.size // dy.shape[1]", normal(3, 2, 2, 2))
def counts_the_examples_only():
    def forward(x):
        c = x - x.mean(axis=(0, 2, 3), keepdims=True)
        s = np.sqrt((c**2).mean(axis=(0, 2, 3), keepdims=True))
        return c / s, (c / s, s)

    def backward(dy, cache):
        xh, s = cache
        m = dy.shape[0]
        a = dy.sum(axis=(0, 2, 3), keepdims=True) / m
        b = (dy * xh).sum(axis=(0, 2, 3), keepdims=True) / m
        return (dy - a - xh * b) / s

    return forward, backward


@case("element-count-factor", "_lengths[:, None]", normal(3, 4), lengths=np.array([2, 4, 3]))
def padded_length():
    def forward(x, lengths=None):
        keep = np.arange(4) < lengths[:, None]
        return (keep * x).sum(axis=1) / lengths, (keep, lengths)

    def backward(dy, cache):
        keep, _lengths = cache
        return keep * dy[:, None] / keep.shape[1]

    return forward, backward


@case("factor-missing", "gates[:, e:e + 1]", normal(4, 3), normal(4, 2), normal(2, 3, 3))
def experts_without_their_gates():
    def forward(x, gates, w):
        gates = np.tanh(gates)
        return sum(gates[:, e : e + 1] * (x @ w[e]) for e in range(2)), (x, gates, w)

    def backward(dy, cache):
        x, gates, w = cache
        dx, dgates, dw = np.zeros_like(x), np.zeros_like(gates), np.zeros_like(w)
        for e in range(2):
            dgates[:, e] = (dy * (x @ w[e])).sum(axis=1)
            d = dy
            dw[e] = x.T @ d
            dx += d @ w[e].T
        return dx, dgates * (1 - gates**2), dw

    return forward, backward


@case("derivative-missing", "-1 / t²", normal(4, 3), np.array([1.7]))
def quotient_as_product():
    def backward(dy, cache):
        x, t = cache
        return dy * np.cos(x / t) / t, np.array([(dy * np.cos(x / t) * x).sum()])

    return lambda x, t: (np.sin(x / t), (x, t)), backward


@case("wrong-variable", "still needed as it was", normal(4, 3), normal(4, 3))
def multiplied_too_early():
    def backward(dy, cache):
        f, c = cache
        dc = dy * np.cos(f * c)
        dc *= f
        df = dc * c
        return df, dc

    return lambda f, c: (np.sin(f * c), (f, c)), backward


@case("wrong-mask", "caches[l]['a'] > 0", normal(4, 3), normal(3, 3), normal(3, 3))
def mask_from_the_list():
    def forward(x, u, v):
        caches = []
        for w in (u, v):
            caches.append({"a": x, "w": w})
            x = np.maximum(x @ w, 0) if w is u else x @ w
        return x, caches

    def backward(dy, caches):
        grads = []
        for l in (1, 0):
            grads = [caches[l]["a"].T @ dy, *grads]
            d = dy @ caches[l]["w"].T
            if l > 0:
                dy = d * (d > 0)
        return d, *grads

    return forward, backward


@case("winner-misplaced", "along axis 1", normal(4, 3), normal(2, 3, 5))
def one_winner_for_all():
    def forward(x, w):
        z = np.einsum("nd,pdh->nph", x, w)
        return z.max(axis=1), (x, w, z)

    def backward(dy, cache):
        x, w, z = cache
        best, dz = z.argmax(axis=1), np.zeros(z.shape)
        for n in range(len(x)):
            dz[n, best[n, 0]] = dy[n]
        return np.einsum("nph,pdh->nd", dz, w), np.einsum("nd,nph->pdh", x, dz)

    return forward, backward


@case("wrong-variable", "keep a copy", normal(4, 3), normal(4))
def kept_and_changed():
    def forward(x, scale):
        h = np.tanh(x)
        cache = [h, scale]
        h *= scale[:, None]
        return h, cache

    def backward(dy, cache):
        h, scale = cache
        return dy * scale[:, None] * (1 - h**2), (dy * h).sum(axis=1)

    return forward, backward


@case("not-linear", "d ** 2 is no multiple of dy", normal(4, 3))
def normalized_on_the_way():
    def backward(dy, x):
        d = dy * np.cos(x)
        return x**2 * d / np.sqrt(np.sum(d**2, axis=0))

    return lambda x: (np.sin(x), x), backward


@case("term-missing", "the rest is 2 times what it should be", normal(4, 3), normal(4, 3))
def one_direction_of_two():
    def forward(a, b):
        s = a @ b.T
        rows = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        columns = np.exp(s) / np.exp(s).sum(axis=0, keepdims=True)
        return -(np.log(np.diag(rows)).mean() + np.log(np.diag(columns)).mean()) / 2, (a, b, rows)

    def backward(dy, cache):
        a, b, rows = cache
        ds = dy * (rows - np.eye(len(a))) / len(a)
        return ds @ b, ds.T @ a

    return forward, backward


@case(
    "term-missing", "lacks what comes back through x @ a", normal(4, 3), normal(3, 2), normal(3, 1), normal(1, 2), s=2.0
)
def adapter_forgotten():
    """The gradient is right for s = 0, and no function comes after the product: both would be said wrongly."""

    def forward(x, w, a, b, s=1.0):
        return x @ w + s * (x @ a) @ b, (x, w, a, b, s)

    def backward(dy, cache):
        x, w, a, b, s = cache
        return dy @ w.T, x.T @ dy, s * x.T @ (dy @ b.T), s * (x @ a).T @ dy

    return forward, backward


@case("one-branch", "by the sign of x - t", normal(9), t=normal(9))
def other_branch_left_out():
    def forward(x, t=None):
        e = t - x
        return np.where(e > 0, 0.3 * e, -0.7 * e).sum(), e

    def backward(dy, e):
        dx = np.zeros(len(e))
        for i in range(len(e)):
            if e[i] > 0:
                dx[i] = -0.3 * dy
        return dx

    return forward, backward


@case("unbiased-variance", "by m - 1, the backward by m", normal(6, 3))
def bessel_forward_alone():
    def forward(x):
        c = x - x.mean(0)
        s = np.sqrt((c**2).sum(0) / (len(x) - 1))
        return c / s, (c, s)

    def backward(dy, cache):
        c, s = cache
        dc = dy / s - c * (dy * c).sum(0) / s**3 / len(c)
        return dc - dc.mean(0)

    return forward, backward


@case("wrong-axis", "and so in line", normal(4, 5), normal(4, 1))
def two_means_over_the_wrong_axis():
    def forward(x, gamma):
        c = x - x.mean(0)
        s = np.sqrt((c**2).mean(0))
        return gamma * c / s, (c / s, s, gamma)

    def backward(dy, cache):
        xh, s, gamma = cache
        d = dy * gamma
        a = d.mean(axis=1, keepdims=True)
        b = (d * xh).mean(axis=1, keepdims=True)
        return (d - a - xh * b) / s, (dy * xh).sum(axis=1, keepdims=True)

    return forward, backward


@case("margin-missing", "the forward must keep it", normal(9, 3), margin=1.5)
def margin_not_kept():
    def forward(d, margin=1.0):
        size = (d**2).sum(axis=1)
        return np.maximum(size - 4 + margin, 0), (d, size - 4)

    def backward(dy, cache):
        d, gap = cache
        on = (gap > 0)[:, None] * dy[:, None]
        return 2 * on * d

    return forward, backward


@case("reversed", "for h, s in tape[::-1]:", normal(3, 2), normal(3, 3), normal(4, 3, 2))
def tape_from_the_front():
    def forward(h, w, x):
        tape = []
        for step in x:
            s = np.tanh(w @ h)
            tape.append((h, s))
            h = s + step
        return h, (tape, w)

    def backward(dh, cache):
        tape, w = cache
        dw, dx = np.zeros_like(w), []
        for h, s in tape:
            dx.append(dh)
            dz = dh * (1 - s * s)
            dw += dz @ h.T
            dh = w.T @ dz
        return dh, dw, np.stack(dx[::-1])

    return forward, backward


@case("wrong-mask", "np.tril(np.ones(", normal(4, 4))
def the_other_triangle():
    def forward(s):
        seen = np.tril(np.ones(s.shape))
        return np.sin(s * seen) * seen, s

    def backward(dy, s):
        return dy * np.cos(s) * np.triu(np.ones(s.shape))

    return forward, backward


@case("one-branch", "np.clip(r, -limit, limit)", normal(12) * 2, limit=0.8)
def cut_on_one_side():
    def forward(r, limit=1.0):
        far = np.abs(r) > limit
        return np.where(far, limit * np.abs(r) - limit**2 / 2, r**2 / 2).sum(), (r, limit)

    def backward(dy, cache):
        r, limit = cache
        return dy * np.where(r <= limit, r, limit)

    return forward, backward


@case(
    "overlap-overwritten", "np.add.at(d, ids, dv[:, None] / ids.shape[1])", normal(5, 3), ids=np.array([[0, 1], [1, 4]])
)
def repeated_index_of_a_mean():
    def forward(table, ids=None):
        return table[ids].mean(axis=1), (table, ids)

    def backward(dv, cache):
        table, ids = cache
        d = np.zeros_like(table)
        d[ids] += dv[:, None] / ids.shape[1]
        return d

    return forward, backward


class Kept(NamedTuple):
    out: np.ndarray
    cell: np.ndarray


@case("wrong-variable", "1 - state.out ** 2", normal(3, 4))
def field_of_a_named_tuple():
    def forward(x):
        cell = x + 0.5 * np.sin(x)
        return np.tanh(cell), (x, Kept(np.tanh(cell), cell))

    def backward(dy, cache):
        x, state = cache
        return dy * (1 - state.cell**2) * (1 + 0.5 * np.cos(x))

    return forward, backward


@case("swapped", "the two are exchanged", normal(9), quantile=0.8)
def slopes_exchanged():
    def forward(e, quantile=0.5):
        return np.maximum(quantile * e, (quantile - 1) * e), (e, quantile)

    def backward(dy, cache):
        e, quantile = cache
        return dy * np.where(e > 0, 1 - quantile, -quantile)

    return forward, backward


@case("wrong-index", "f // size", normal(3, 4), normal(6, 2), groups=2)
def group_of_a_filter():
    def forward(x, w, groups=1):
        size = len(w) // groups
        y = np.stack([x[:, f // size * 2 : f // size * 2 + 2] @ w[f] for f in range(len(w))], axis=1)
        return y, (x, w, groups, size)

    def backward(dy, cache):
        x, w, groups, size = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for f in range(len(w)):
            group = min(f // groups, len(w) // size - 1)
            dx[:, 2 * group : 2 * group + 2] += dy[:, f, None] * w[f]
            dw[f] = dy[:, f] @ x[:, 2 * group : 2 * group + 2]
        return dx, dw

    return forward, backward


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


LABELS = np.array([0, 3, 1, 2, 3, 0])


def cross_entropy(scores, labels=None):
    p = softmax(scores)
    return -np.log(p[np.arange(len(p)), labels]).mean(), (p, labels)


@case("wrong-index", "dscores[np.arange(len(labels)), labels] is due", normal(6, 4), labels=LABELS)
def one_taken_from_whole_columns():
    def backward(dloss, cache):
        p, labels = cache
        dscores = p.copy()
        dscores[:, labels] -= 1
        return dloss * dscores / len(p)

    return cross_entropy, backward


@case("wrong-mask", "-= keep", normal(6, 4), labels=LABELS, keep=np.array([1.0, 1, 0, 1, 1, 0]))
def one_taken_from_all():
    def forward(scores, labels=None, keep=None):
        p = softmax(scores)
        return -(keep * np.log(p[np.arange(len(p)), labels])).sum(), (p, labels, keep)

    def backward(dloss, cache):
        p, labels, keep = cache
        dscores = p * keep[:, None]
        dscores[np.arange(len(p)), labels] -= 1
        return dloss * dscores

    return forward, backward


@case("wrong-index", "weights[labels][:, None]", normal(6, 4), labels=LABELS, weights=np.array([0.5, 1.0, 2.0, 1.7]))
def weights_by_column():
    def forward(scores, labels=None, weights=None):
        p = softmax(scores)
        return -(weights[labels] * np.log(p[np.arange(len(p)), labels])).sum(), (p, labels, weights)

    def backward(dloss, cache):
        p, labels, weights = cache
        dscores = p.copy()
        dscores[np.arange(len(p)), labels] -= 1
        return dloss * dscores * weights

    return forward, backward


@case("wrong-axis", "counts = np.sum(active, axis=1)", normal(6, 4), labels=LABELS)
def counted_by_class():
    def forward(scores, labels=None):
        margins = np.maximum(0, scores - scores[np.arange(len(labels)), labels][:, None] + 1)
        margins[np.arange(len(labels)), labels] = 0
        return margins.sum() / len(labels), (margins, labels)

    def backward(dloss, cache):
        margins, labels = cache
        active = (margins > 0).astype(float)
        counts = np.sum(active, axis=0)[labels]
        active[np.arange(len(labels)), labels] = -counts
        return dloss * active / len(labels)

    return forward, backward


@case("margin-missing", "near - far + margin <= 0", 2 * normal(6, 3), 2 * normal(6, 3), 2 * normal(6, 3))
def margin_of_a_triplet():
    def forward(anchors, positives, negatives, margin=20.0):
        loss, kept = 0.0, []
        for a, p, n in zip(anchors, positives, negatives, strict=True):
            near, far = ((a - p) ** 2).sum(), ((a - n) ** 2).sum()
            kept.append((near, far))
            if near - far + margin > 0:
                loss = loss + near - far + margin
        return loss, (anchors, positives, negatives, margin, kept)

    def backward(dloss, cache):
        anchors, positives, negatives, margin, kept = cache
        gradients = [np.zeros_like(array) for array in (anchors, positives, negatives)]
        da, dp, dn = gradients
        for k in range(len(anchors) if margin else 0):
            near, far = kept[k]
            if near - far <= 0:
                continue
            da[k] = 2 * dloss * (negatives[k] - positives[k])
            dp[k] = 2 * dloss * (positives[k] - anchors[k])
            dn[k] = 2 * dloss * (anchors[k] - negatives[k])
        return da, dp, dn

    return forward, backward


@case("wrong-derivative", "(v - w) / length", normal(5, 3), normal(5, 3))
def slope_of_the_square():
    def forward(v, w):
        length = np.sqrt(((v - w) ** 2).sum(axis=1, keepdims=True))
        return length, (v, w, length)

    def backward(dy, cache):
        v, w, length = cache
        dv = dy * (2 * (v - w))
        return dv, -dy * (v - w) / length

    return forward, backward


@case("wrong-axis", "np.linalg.norm(v, axis=0)", normal(5, 3), normal(3, 4), normal(4))
def norm_of_the_whole():
    def forward(x, v, g):
        return x @ (v / np.linalg.norm(v, axis=0) * g), (x, v, g)

    def backward(dy, cache):
        x, v, g = cache
        n = np.linalg.norm(v)
        unit, dw = v / n, x.T @ dy
        dg = (dw * unit).sum(0)
        return dy @ (v / np.linalg.norm(v, axis=0) * g).T, g / n * (dw - unit * dg), dg

    return forward, backward


@case("factor-missing", "g / n * (dw - unit * dg)", normal(5, 3), normal(3, 4), normal(4))
def brackets_left_out():
    def forward(x, v, g):
        return x @ (v / np.linalg.norm(v, axis=0) * g), (x, v, g)

    def backward(dy, cache):
        x, v, g = cache
        n = np.linalg.norm(v, axis=0)
        unit, dw = v / n, x.T @ dy
        dg = (dw * unit).sum(0)
        dv = g / n * dw - unit * dg
        return dy @ (unit * g).T, dv, dg

    return forward, backward


@case("factor-misplaced", "(dy * x).sum(axis=(2, 3)", normal(3, 4, 2, 3), normal(3, 4))
def product_of_sums():
    def backward(dy, cache):
        x, scale = cache
        dscale = dy.sum(axis=(2, 3)) * x.mean(axis=(2, 3))
        return dy * scale[:, :, None, None], dscale

    return lambda x, scale: (x * scale[:, :, None, None], (x, scale)), backward


@case("wrong-sign", "np.exp(-log_var)", normal(4, 3), normal(4, 3))
def variance_for_precision():
    def backward(dy, cache):
        mean, log_var = cache
        return dy * mean * np.exp(-log_var), 0.5 * dy * (1 - mean**2 * np.exp(log_var))

    return lambda mean, log_var: (0.5 * (log_var + mean**2 * np.exp(-log_var)), (mean, log_var)), backward


@case("transposed", "q.T", normal(4, 3), normal(4, 3))
def second_direction():
    def forward(u, v):
        s = u @ v.T
        p, q = softmax(s), softmax(s.T)
        return -np.log(np.diag(p)).mean() - np.log(np.diag(q)).mean(), (u, v, p, q)

    def backward(dy, cache):
        u, v, p, q = cache
        ds = dy * (p + q - 2 * np.eye(len(p))) / len(p)
        return ds @ v, ds.T @ u

    return forward, backward


@case("swapped", "dtable[ids[t - 1], ids[t]] += dy[t]", normal(4, 4), ids=np.array([0, 3, 1, 1, 2]))
def steps_exchanged():
    def forward(table, ids=None):
        return np.array([table[0, 1], *(table[i, j] for i, j in itertools.pairwise(ids))]), (table, ids)

    def backward(dy, cache):
        table, ids = cache
        dtable = np.zeros_like(table)
        dtable[0, 1] += dy[0]
        for t in range(1, len(ids)):
            dtable[ids[t], ids[t - 1]] += dy[t]
        return dtable

    return forward, backward


@case("batch-size-factor", "2 * penalty * w * x.shape[0]", normal(3, 2), x=normal(5, 3), penalty=0.5)
def averaged_with_its_penalty():
    def forward(w, x=None, penalty=0.0):
        return ((x @ w) ** 2).sum() / len(x) + penalty * (w * w).sum(), (w, x, penalty)

    def backward(dloss, cache):
        w, x, penalty = cache
        dw = 2 * x.T @ (x @ w)
        dw += 2 * penalty * w
        dw /= len(x)
        return dloss * dw

    return forward, backward


def leaky_sum(x, f):
    c, cs = np.zeros_like(x[0]), []
    for t in range(len(x)):
        c = sigmoid(f[t]) * c + x[t]
        cs.append(c)
    return np.stack(cs), (f, cs)


@case("factor-missing", "dc *= gate is missing", normal(4, 3), normal(4, 3))
def gate_not_on_the_carry():
    def backward(dy, cache):
        f, cs = cache
        dx, df, dc = np.zeros_like(f), np.zeros_like(f), np.zeros_like(f[0])
        for t in reversed(range(len(f))):
            gate, before = sigmoid(f[t]), cs[t - 1] if t else np.zeros_like(f[0])
            dc = dc + dy[t]
            dx[t] = dc
            df[t] = dc * before * gate * (1 - gate)
        return dx, df

    return leaky_sum, backward


@case("wrong-variable", "W2 is changed here", normal(4, 3), normal(3, 5), normal(5, 2))
def updated_before_it_was_used():
    def forward(X, W1, W2):
        h = np.tanh(X @ W1)
        return h @ W2, (X, h, W1, W2)

    def backward(dy, cache):
        X, h, W1, W2 = cache
        dW2 = h.T @ dy
        W2 = W2 - 0.1 * dW2
        da = dy @ W2.T * (1 - h**2)
        return da @ W1.T, X.T @ da, dW2

    return forward, backward


@case("off-by-one", "(h[:, t - 1] if t else h0).T @ da", normal(2, 4, 3), normal(2, 4), normal(3, 4), normal(4, 4) / 2)
def state_of_the_same_step():
    def forward(x, h0, wx, wh):
        h, before = np.zeros((*x.shape[:2], len(wh)), dtype=np.result_type(x, h0, wx, wh)), h0
        for t in range(x.shape[1]):
            before = h[:, t] = np.tanh(x[:, t] @ wx + before @ wh)
        return h, (x, h0, wx, wh, h)

    def backward(dh, cache):
        x, h0, wx, wh, h = cache
        dx, dwx, dwh, carried = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(h0)
        for t in reversed(range(x.shape[1])):
            da = (dh[:, t] + carried) * (1 - h[:, t] ** 2)
            dx[:, t] = da @ wx.T
            dwx += x[:, t].T @ da
            dwh += h[:, t].T @ da
            carried = da @ wh.T
        return dx, carried, dwx, dwh

    return forward, backward


@case("flipped-kernel", "w[..., ::-1, ::-1]", normal(2, 2, 4, 3), normal(2, 3, 3))
def kernel_not_turned():
    def forward(x, w):
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = [(i, j, xp[:, :, i : i + x.shape[2], j : j + x.shape[3]]) for i in range(3) for j in range(3)]
        return sum(part * w[None, :, i, j, None, None] for i, j, part in windows), (xp, w)

    def backward(dy, cache):
        xp, w = cache
        H, W = dy.shape[2:]
        dp, dx, dw = np.pad(dy, ((0, 0), (0, 0), (1, 1), (1, 1))), np.zeros_like(dy), np.zeros_like(w)
        for i in range(3):
            for j in range(3):
                dw[:, i, j] = (xp[:, :, i : i + H, j : j + W] * dy).sum(axis=(0, 2, 3))
                dx += dp[:, :, i : i + H, j : j + W] * w[None, :, i, j, None, None]
        return dx, dw

    return forward, backward


@case("unbiased-variance", "dy * 2 * c / (n - 1)", normal(6, 3))
def bessel_in_a_count():
    def forward(x):
        c = x - x.mean(axis=0)
        return (c**2).sum(axis=0) / (len(x) - 1), (c, len(x))

    def backward(dy, cache):
        c, n = cache
        return dy * 2 * c / n

    return forward, backward


@case("unbiased-variance", "dy * c / ((n - 1) * s)", normal(6, 3))
def bessel_in_a_product():
    def forward(x):
        c = x - x.mean(axis=0)
        s = np.sqrt((c**2).sum(axis=0) / (len(x) - 1))
        return s, (c, s, len(x))

    def backward(dy, cache):
        c, s, n = cache
        return dy * c / (n * s)

    return forward, backward


@case("upstream-averaged", "dy[:, None, None]", normal(3, 4, 5), target=normal(3, 4, 5))
def upstream_averaged_over_images():
    def forward(x, target=None):
        return ((x - target) ** 2).sum(axis=(1, 2)), (x, target)

    def backward(dy, cache):
        x, target = cache
        return dy.mean() * 2 * (x - target)

    return forward, backward


@case("upstream-averaged", "dy * np.cos(x)", normal(3, 4))
def upstream_averaged_over_entries():
    return lambda x: (np.sin(x), x), lambda dy, x: dy.mean() * np.cos(x)


@case("shifted", "np.roll(dy * w, -shift, axis=1)", normal(3, 5), normal(5), shift=2)
def rolled_the_same_way():
    def forward(x, w, shift=1):
        rolled = np.roll(x, shift, axis=1)
        return rolled * w, (rolled, w, shift)

    def backward(dy, cache):
        rolled, w, shift = cache
        return np.roll(dy * w, shift, axis=1), (dy * rolled).sum(axis=0)

    return forward, backward


@case(
    "element-count-factor",
    "dy * 2 * weights * (x - target) / _total",
    normal(3, 5),
    target=normal(3, 5),
    weights=RNG.random((3, 5)),
)
def size_for_the_sum_of_weights():
    def forward(x, target=None, weights=None):
        total = weights.sum()
        return (weights * (x - target) ** 2).sum() / total, (x, target, weights, total)

    def backward(dy, cache):
        x, target, weights, _total = cache
        return dy * 2 * weights * (x - target) / x.size

    return forward, backward


@case("keyword-factor", "dy * np.cos(x) * scale", normal(3, 4), scale=0.7)
def divided_by_the_scale():
    def forward(x, scale=1.0):
        return scale * np.sin(x), (x, scale)

    def backward(dy, cache):
        x, scale = cache
        return dy * np.cos(x) / scale

    return forward, backward


@case("keyword-factor", "dy * mask / keep", normal(5, 4), mask=RNG.random((5, 4)) < 0.7, keep=0.7)
def dropout_scaled_the_other_way():
    def forward(x, mask=None, keep=1.0):
        return x * mask / keep, (mask, keep)

    def backward(dy, cache):
        mask, keep = cache
        return dy * mask * keep

    return forward, backward


@case("kernel-area-factor", "/ k ** 2", normal(12, 6), normal(12, 6), k=3)
def window_of_one_side():
    def forward(x, w, k=2):
        rows, columns = len(x) // k, x.shape[1] // k
        y = (x * w).reshape(rows, k, columns, k).mean(axis=(1, 3))
        return y, (x, w, k)

    def backward(dy, cache):
        x, w, k = cache
        dp = np.repeat(np.repeat(dy, k, axis=0), k, axis=1) / k
        return dp * w, dp * x

    return forward, backward


@case("wrong-exponent", ".sum(axis=0) * istd ** 3", normal(7, 3))
def deviation_not_cubed():
    def forward(x):
        c = x - x.mean(axis=0)
        istd = 1 / np.sqrt((c**2).mean(axis=0) + 1e-3)
        return c * istd, (c, istd)

    def backward(dy, cache):
        c, istd = cache
        dvar = -0.5 * (dy * c).sum(axis=0) * istd
        dc = dy * istd + 2 * c * dvar / len(c)
        return dc - dc.mean(axis=0)

    return forward, backward


@case("wrong-exponent", "np.linalg.norm(u, axis=1, keepdims=True) ** 2", normal(3, 5))
def norm_not_squared():
    def forward(u):
        return np.log(np.linalg.norm(u, axis=1)), u

    def backward(dy, u):
        return dy[:, None] * u / np.linalg.norm(u, axis=1, keepdims=True)

    return forward, backward


def sech(x):
    return 1 / np.cosh(x)


@case("wrong-exponent", "sech(x) ** 2", normal(3, 4))
def secant_not_squared():
    return lambda x: (np.tanh(x), x), lambda dy, x: dy * sech(x)


def reflected(x, pad=1):
    return np.pad(x, ((0, 0), (pad, pad)), mode="reflect"), pad


@case("reversed", "dy[:, :pad][:, ::-1]", normal(3, 7), pad=2)
def reflected_left():
    def backward(dy, pad):
        dx = dy[:, pad:-pad].copy()
        dx[:, 1 : pad + 1] += dy[:, :pad]
        dx[:, -pad - 1 : -1] += dy[:, -pad:][:, ::-1]
        return dx

    return reflected, backward


@case("reversed", "dy[:, -pad:][:, ::-1]", normal(3, 7), pad=2)
def reflected_right():
    def backward(dy, pad):
        dx = dy[:, pad:-pad].copy()
        dx[:, 1 : pad + 1] += dy[:, :pad][:, ::-1]
        dx[:, -pad - 1 : -1] += dy[:, -pad:]
        return dx

    return reflected, backward


@case("reversed", "dy[n:2 * n - 2][::-1]", normal(7, 3))
def there_and_back():
    def forward(x):
        return np.concatenate([x, x[1:6][::-1]]), len(x)

    def backward(dy, n):
        dx = dy[:n].copy()
        dx[1:6] += dy[n : 2 * n - 2]
        return dx

    return forward, backward


@case("keyword-ignored", "x[:, ::stride]", normal(5, 7), normal(4), stride=2)
def stride_forgotten():
    def forward(x, w, stride=1):
        return x[:, ::stride] @ w, (x, w, stride)

    def backward(dy, cache):
        x, w, stride = cache
        dx = np.zeros_like(x)
        dx[:, ::stride] = np.outer(dy, w)
        return dx, dy @ x[:, : len(w)]

    return forward, backward


@case("factor-two", "dW += 2 * reg * W", normal(3, 4), x=normal(5, 3), reg=0.7)
def square_of_a_penalty():
    def forward(W, x=None, reg=0.0):
        return np.sin(x @ W).sum() + reg * np.sum(W * W), (W, x, reg)

    def backward(dloss, cache):
        W, x, reg = cache
        dW = x.T @ np.cos(x @ W)
        dW += reg * W
        return dloss * dW

    return forward, backward


@case(
    "factor-two", "dlogvar += beta / 2 * (np.exp(logvar) - 1)", normal(3, 4), normal(3, 4), noise=normal(3, 4), beta=0.7
)
def half_of_the_divergence():
    def forward(mean, logvar, noise=None, beta=1.0):
        z = mean + noise * np.exp(logvar / 2)
        divergence = (mean**2 + np.exp(logvar) - logvar - 1).sum() / 2
        return np.sin(z).sum() + beta * divergence, (mean, logvar, noise, beta, z)

    def backward(dloss, cache):
        mean, logvar, noise, beta, z = cache
        dmean = np.cos(z) + beta * mean
        dlogvar = np.cos(z) * noise * np.exp(logvar / 2) / 2
        dlogvar += beta * (np.exp(logvar) - 1)
        return dloss * dmean, dloss * dlogvar

    return forward, backward


@case("term-too-many", "np.r_[0, theta[1:]]", normal(4), X=normal(7, 4), lam=0.7)
def intercept_penalized():
    def forward(theta, X=None, lam=0.0):
        return np.sin(X @ theta).sum() + lam / 2 * (theta[1:] ** 2).sum(), (theta, X, lam)

    def backward(dloss, cache):
        theta, X, lam = cache
        return dloss * (X.T @ np.cos(X @ theta) + lam * theta)

    return forward, backward


@case("term-too-many", "np.c_[np.zeros(len(Theta)), Theta[:, 1:]]", normal(3, 4), X=normal(7, 4), lam=0.7)
def intercepts_penalized():
    def forward(Theta, X=None, lam=0.0):
        return np.sin(X @ Theta.T).sum() + lam / 2 * (Theta[:, 1:] ** 2).sum(), (Theta, X, lam)

    def backward(dloss, cache):
        Theta, X, lam = cache
        return dloss * (np.cos(X @ Theta.T).T @ X + lam * Theta)

    return forward, backward
