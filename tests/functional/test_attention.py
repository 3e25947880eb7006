"""Attention beyond what holds for every pair: what masks hide, blocks at inference, what is refused."""

import numpy as np
import pytest

from handgrad import functional as F
from handgrad.functional import attention


def qkv(*shape):
    return np.random.default_rng(0).standard_normal((3, *shape))


@pytest.mark.parametrize("shape", [(6, 2), (3, 6, 2), (3, 2, 6, 2), (0, 2, 6, 2)])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"mask": np.tri(6, dtype=bool)[::-1]}])
@pytest.mark.parametrize("size", [1, 200, 2**20])
def test_blocks_compute_the_same(monkeypatch, shape, options, size):
    monkeypatch.setattr(attention, "BLOCK", size)
    whole, _ = F.attention_forward(*qkv(*shape), **options)
    y, cache = F.attention_forward(*qkv(*shape), **options, training=False)
    np.testing.assert_allclose(y, whole, rtol=1e-12, atol=1e-15)
    assert cache is None


def test_inference_never_has_all_weights(monkeypatch):
    """Of (N, heads, T, T) at most a block."""
    seen = []
    weights = attention.attention_weights
    monkeypatch.setattr(attention, "attention_weights", lambda *a: (seen.append(y := weights(*a)), y)[1])
    F.attention_forward(*qkv(4, 2, 1024, 2), causal=True, training=False)
    assert max(y.nbytes for y in seen) <= attention.BLOCK
    assert sum(y.size for y in seen) == 4 * 2 * 1024 * 1024


def test_what_is_hidden_does_not_matter():
    q, k, v = qkv(3, 5, 2)
    mask = np.ones((3, 5, 5), bool)
    mask[:, :, 3:] = False
    y, cache = F.attention_forward(q, k, v, mask)
    k[:, 3:], v[:, 3:] = 1e9, -1e9
    np.testing.assert_array_equal(F.attention_forward(q, k, v, mask)[0], y)
    _, dk, dv = F.attention_backward(np.ones_like(y), cache)
    assert not dk[:, 3:].any() and not dv[:, 3:].any()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((5, 4), bool), r"mask must have the shape of the weights, \(2, 3, 5, 5\), got \(5, 4\)"),
        (np.ones((3, 1, 5, 5), bool), r"the weights, \(2, 3, 5, 5\), got \(3, 1, 5, 5\)"),
        (~np.eye(5, k=-4, dtype=bool) & ~np.tri(5, dtype=bool), r"leave the query at \(4,\) no key to look at"),
    ],
)
def test_a_mask_that_fits_no_weights_or_hides_every_key_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        F.attention_forward(*qkv(2, 3, 5, 2), mask)


def test_a_mask_is_of_truth_values():
    with pytest.raises(TypeError, match="mask must be an array of bool, True where a query may look, got float64"):
        F.attention_forward(*qkv(5, 2), np.ones((5, 5)))


def test_nothing_broadcasts():
    q, k, v = qkv(2, 5, 3)
    with pytest.raises(ValueError, match=r"v \(\.\.\., S, E\) are needed, got q \(1, 5, 3\)"):
        F.attention_forward(q[:1], k, v)
    with pytest.raises(ValueError, match=r"causal=True needs as many queries as keys"):
        F.attention_forward(q[:, :4], k, v, causal=True)
    with pytest.raises(ValueError, match=r"v \(2, 4, 3\)"):
        F.attention_forward(q, k, v[:, :4])


def test_heads_divide_the_features():
    x, weights = np.ones((2, 3, 4)), (np.ones((4, 12)), np.ones(12), np.ones((4, 4)), np.ones(4))
    with pytest.raises(ValueError, match="num_heads=3 must divide the 4 features"):
        F.multi_head_attention_forward(x, *weights, num_heads=3)
    with pytest.raises(ValueError, match=r"for x \(2, 3, 4\) weight, bias, output_weight"):
        F.multi_head_attention_forward(x, weights[0].T, *weights[1:])
