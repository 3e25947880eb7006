"""Attention: each query takes a mean of values, weighted by how well it agrees with their keys.

>>> q, k, v = np.array([[0.0]]), np.array([[5.0], [-5.0]]), np.array([[1.0], [3.0]])
>>> y, cache = attention_forward(q, k, v)  # a query of 0 agrees with all keys alike
>>> y
array([[2.]])
>>> dq, dk, dv = attention_backward(np.ones((1, 1)), cache)
>>> dq, dv  # towards the first key q falls from its value 3 to 1
(array([[-5.]]), array([[0.5],
       [0.5]]))

Derivations: docs/derivations/attention.md.
"""

import math
from collections.abc import Iterator

import numpy as np

from ..arrays import Array, Cache, MaybeArray, Shape
from .activations import softmax_backward, softmax_forward
from .linear import over_steps, over_steps_gradients

BLOCK = 2**23  # bytes of weights at inference: so much fits a cache, and larger blocks gain nothing


def attention_forward(
    q: Array, k: Array, v: Array, mask: Array | None = None, causal: bool = False, training: bool = True
) -> tuple[Array, Cache]:
    """y = softmax(q kᵀ / √D) v, scaled dot-product attention (Vaswani et al. 2017, section 3.2.1).

    Queries q (..., T, D), keys k (..., S, D) and values v (..., S, E) give y (..., T, E). mask (..., T, S) is True
    where a query may look, of the leading axes any may be 1 or left out; causal=True lets step t look at the steps
    up to t, with S = T. training=False keeps no cache, and has but a block of the weights (..., T, S) at a time.
    """
    visible = visible_keys(q.shape, k.shape, v.shape, mask, causal)
    if not training:
        return attend_in_blocks(q, k, v, visible), None
    weights = attention_weights(q, k, visible)
    return weights @ v, (q, k, v, weights)


def attention_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """dv = Aᵀ dy with the weights A; dA = dy vᵀ goes through softmax to ds, then dq = ds k / √D and dk = dsᵀ q / √D."""
    q, k, v, weights = cache
    (dscores,) = softmax_backward(dy @ transposed(v), weights)
    dscores = dscores / math.sqrt(q.shape[-1])
    return dscores @ k, transposed(dscores) @ q, transposed(weights) @ dy


def multi_head_attention_forward(
    x: Array,
    weight: Array,
    bias: Array,
    output_weight: Array,
    output_bias: Array,
    num_heads: int = 1,
    causal: bool = False,
    training: bool = True,
) -> tuple[Array, Cache]:
    """[q k v] = x W + b; each head attends with its own share of their columns; y = [heads side by side] U + c.

    x and y are (N, T, D), weight W (D, 3D), bias b (3D,), output_weight U (D, D), output_bias c (D,); num_heads divides
    D. causal and training as in attention_forward. (Vaswani et al. 2017, section 3.2.2)
    """
    check_heads(x.shape, weight.shape, bias.shape, output_weight.shape, output_bias.shape, num_heads)
    n, steps, features = x.shape
    projected, cache = over_steps(x, weight, bias)
    # (N, T, 3D) as q, k and v, each (N, heads, T, D / heads)
    q, k, v = projected.reshape(n, steps, 3, num_heads, features // num_heads).transpose(2, 0, 3, 1, 4)
    attended, attention_cache = attention_forward(q, k, v, causal=causal, training=training)
    y, output_cache = over_steps(attended.swapaxes(1, 2).reshape(n, steps, features), output_weight, output_bias)
    return y, (cache, attention_cache, output_cache, num_heads)


def multi_head_attention_backward(
    dy: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, Array, Array, Array]:
    """Back through U, through each head, and with dq, dk and dv side by side through W.

    Returns dx, dweight, dbias, doutput_weight and doutput_bias. input_gradient=False puts None in dx's place.
    """
    cache, attention_cache, output_cache, num_heads = cache
    n, steps, features = dy.shape
    djoined, doutput_weight, doutput_bias = over_steps_gradients(dy, output_cache)
    dattended = djoined.reshape(n, steps, num_heads, features // num_heads).swapaxes(1, 2)
    dqkv = np.stack(attention_backward(dattended, attention_cache))
    dprojected = dqkv.transpose(1, 3, 0, 2, 4).reshape(n, steps, 3 * features)
    dx, dweight, dbias = over_steps_gradients(dprojected, cache, input_gradient)
    return dx, dweight, dbias, doutput_weight, doutput_bias


def attention_weights(q: Array, k: Array, visible: Array | None) -> Array:
    """softmax(q kᵀ / √D) along the keys, 0 for those that are not visible."""
    scores = (q / math.sqrt(q.shape[-1])) @ transposed(k)
    if visible is not None:
        np.copyto(scores, -np.inf, where=~visible)
    return softmax_forward(scores)[0]


def attend_in_blocks(q: Array, k: Array, v: Array, visible: Array | None) -> Array:
    """y of attention_forward, of a few examples or, of long sequences, of a few queries at a time."""
    y: Array
    if q.ndim == 2:
        (y,) = attend_in_blocks(q[None], k[None], v[None], visible)
        return y
    y = np.empty((*q.shape[:-1], v.shape[-1]), np.result_type(q, k, v))
    every = None if visible is None else np.broadcast_to(visible, (*q.shape[:-1], k.shape[-2]))
    for n, t in blocks(q.shape, k.shape[-2] * y.itemsize):
        weights = attention_weights(q[n, ..., t, :], k[n], None if every is None else every[n, ..., t, :])
        y[n, ..., t, :] = weights @ v[n]
    return y


def blocks(q_shape: Shape, row_size: int) -> Iterator[tuple[slice, slice]]:
    """Slices of the examples and of the queries with weights of about BLOCK bytes, row_size for each query."""
    count, *heads, steps, _ = q_shape
    per_query = max(1, row_size * math.prod(heads))
    num_queries = max(1, BLOCK // per_query)
    num_examples = max(1, BLOCK // (per_query * max(1, steps)))
    for n in range(0, count, num_examples):
        for t in range(0, steps, num_queries):
            yield slice(n, n + num_examples), slice(t, t + num_queries)


def transposed(array: Array) -> Array:
    """The last two axes exchanged."""
    return array.swapaxes(-1, -2)


def visible_keys(q_shape: Shape, k_shape: Shape, v_shape: Shape, mask: Array | None, causal: bool) -> Array | None:
    """Which keys (..., T, S) each query may look at, None for all; ValueError for shapes that do not go together."""
    shapes = f"q {q_shape}, k {k_shape} and v {v_shape}"
    is_fit = len(q_shape) >= 2 and (q_shape[:-2], k_shape[:-1]) == (k_shape[:-2], v_shape[:-1])
    if not is_fit or q_shape[-1:] != k_shape[-1:] or 0 in k_shape[-2:]:
        raise ValueError(f"attention: q (..., T, D), k (..., S, D) and v (..., S, E) are needed, got {shapes}")
    if causal and q_shape[-2] != k_shape[-2]:
        raise ValueError(f"attention: causal=True needs as many queries as keys, got {shapes}")
    visible = np.tri(q_shape[-2], dtype=bool) if causal else None
    if mask is None:
        return visible
    wanted = *q_shape[:-1], k_shape[-2]
    check_mask(mask, wanted)
    visible = mask if visible is None else mask & visible
    if not (sees := visible.any(axis=-1)).all():
        place = tuple(int(i) for i in np.argwhere(~sees)[0])
        raise ValueError(f"attention: mask and causal leave the query at {place} no key to look at: show it one")
    return visible


def check_mask(mask: Array, wanted: Shape) -> None:
    """Refuse a mask that is not of truth values, or that does not broadcast to the weights (..., T, S)."""
    shape, kind = np.shape(mask), np.asarray(mask).dtype
    if kind.kind != "b":
        raise TypeError(f"attention: mask must be an array of bool, True where a query may look, got {kind}")
    fits = len(shape) <= len(wanted) and shape[-2:] == wanted[-2:]
    if not fits or any(a not in (1, b) for a, b in zip(shape[::-1], wanted[::-1], strict=False)):
        raise ValueError(f"attention: mask must have the shape of the weights, {wanted}, got {shape}")


def check_heads(x: Shape, weight: Shape, bias: Shape, output_weight: Shape, output_bias: Shape, num_heads: int) -> None:
    """Refuse shapes that do not fit x (N, T, D), and a number of heads that does not divide D."""
    if len(x) != 3:
        raise ValueError(f"multi_head_attention: x must be (N, T, D), got {x}")
    features = x[2]
    wanted = (features, 3 * features), (3 * features,), (features, features), (features,)
    if (weight, bias, output_weight, output_bias) != wanted:
        what = f"multi_head_attention: for x {x} weight, bias, output_weight and output_bias are {wanted}"
        raise ValueError(f"{what}, got {(weight, bias, output_weight, output_bias)}")
    if num_heads < 1 or features % num_heads:
        raise ValueError(f"multi_head_attention: num_heads={num_heads} must divide the {features} features of x")
