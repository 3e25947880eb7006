"""Embeddings: a row of numbers, which are learnt, for each thing that has no number of its own, a word or a place.

>>> weight, indices = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 1, 0])
>>> y, cache = embedding_forward(weight, indices)
>>> y
array([[3., 4.],
       [3., 4.],
       [1., 2.]])
>>> embedding_backward(np.ones_like(y), cache)[0]  # row 1 was taken twice
array([[1., 1.],
       [2., 2.]])

Derivations: docs/derivations/embedding.md.
"""

import numpy as np

from ..arrays import Array, ArrayLike, Cache, array_of


def embedding_forward(weight: Array, indices: ArrayLike) -> tuple[Array, Cache]:
    """y = weight[indices]: row i of weight (num_embeddings, D) for each index i (...); y is (..., D).

    The product of one-hot rows and weight, without the zeros. Raises TypeError for indices that are no whole numbers,
    ValueError for those that no row has.
    """
    rows = check_indices(indices, len(weight))
    return weight[rows], (rows, weight.shape)


def embedding_backward(dy: Array, cache: Cache) -> tuple[Array]:
    """dweight: row i is the sum of dy over all places where the index was i."""
    indices, shape = cache
    dweight = np.zeros(shape, dy.dtype)
    if indices.size:
        # equal indices side by side, then one sum each: np.add.at(dweight, indices, dy) at a multiple of its speed
        order = indices.argsort(axis=None, kind="stable")
        ordered = indices.ravel()[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        dweight[ordered[starts]] = np.add.reduceat(dy.reshape(-1, shape[1])[order], starts, axis=0)
    return (dweight,)


def positional_embedding_forward(x: Array, weight: Array) -> tuple[Array, Cache]:
    """y_t = x_t + weight_t: each step of x (N, T, D) gets the row of its place; weight is (T or more, D)."""
    if x.ndim != 3 or weight.shape[1:] != x.shape[2:] or len(weight) < x.shape[1]:
        what = "positional_embedding: weight must have a row of D numbers for each step of x (N, T, D)"
        raise ValueError(f"{what}, got {weight.shape} for x {x.shape}")
    return x + weight[: x.shape[1]], weight.shape


def positional_embedding_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """dx = dy; row t of dweight is Σ dy_t over the examples, 0 beyond the last step."""
    dweight = np.zeros(cache, dy.dtype)
    dweight[: dy.shape[1]] = dy.sum(axis=0)
    return dy, dweight


def sinusoidal_positions(length: int, features: int) -> Array:
    """Row t holds sin(t w_i), cos(t w_i) with w_i = 10000^(-2i / features): (length, features).

    Waves of lengths from 2π to 10000 · 2π steps; the row k steps on is a rotation of it. (Vaswani et al. 2017, 3.5)
    """
    pairs = np.arange(features) // 2
    angles = np.arange(length)[:, None] * 10000.0 ** (-2 * pairs / features)
    return np.where(np.arange(features) % 2, np.cos(angles), np.sin(angles))


def check_indices(indices: ArrayLike, count: int) -> Array:
    """indices as an array of whole numbers from 0 to count - 1."""
    array = array_of("embedding: indices", indices)
    if array.dtype.kind not in "iu":
        what = f"embedding: indices must be whole numbers, 0 to {count - 1}, got dtype {array.dtype}"
        raise TypeError(f"{what}: use .astype(int) for whole ones, np.unique(x, return_inverse=True)[1] for names")
    if array.size and (array.min() < 0 or array.max() >= count):
        place = tuple(int(i) for i in np.argwhere((array < 0) | (array >= count))[0])
        what = f"embedding: indices must be 0 to {count - 1}, for {count} rows of weight"
        raise ValueError(f"{what}, got {array[place]} at {place}")
    return array.astype(np.intp, copy=False)
