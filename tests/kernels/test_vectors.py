"""Our own product of matrices beside NumPy's, with whole tiles, edges and any layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handgrad.kernels import route

if route.vectors() is None:
    pytest.skip(route.why_numpy() or "no vectors on this processor", allow_module_level=True)

from handgrad.kernels import products, vectors
from handgrad.kernels.compiled import AS_IT_IS, TRANSPOSED

GUARD = 100  # numbers behind the result, which nobody may touch


LARGE = (19, 250, 301)  # more than is thought to stay in the cache, with panels and a rest


@settings(deadline=None)  # the first one may compile
@given(
    sizes=st.one_of(st.tuples(*[st.integers(1, 70)] * 3), st.just(LARGE)),
    turned=st.tuples(st.booleans(), st.booleans()),
    beta=st.integers(0, 1),
    dtype=st.sampled_from((np.float32, np.float64)),
)
def test_a_product_is_numpys_and_stays_in_its_place(sizes, turned, beta, dtype):
    rows, columns, inner = sizes
    rng = np.random.default_rng(inner)
    a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
    memory = np.full(rows * columns + GUARD, 7, dtype)
    out = memory[:-GUARD].reshape(rows, columns)
    laid = [np.ascontiguousarray(m.T if t else m) for m, t in zip((a, b), turned, strict=True)]
    how = tuple(TRANSPOSED if t else AS_IT_IS for t in turned)
    vectors.product(np.empty(b.size, dtype), how, sizes, *laid, out, beta)
    limit = 100 * np.finfo(dtype).eps * (1 + inner**0.5)
    np.testing.assert_allclose(out, a.astype(float) @ b + 7 * beta, rtol=0, atol=limit)
    assert (memory[-GUARD:] == 7).all()


@settings(deadline=None)
@given(sizes=st.tuples(*[st.integers(1, 200)] * 3), ends=st.tuples(*[st.integers(0, 9)] * 2))
def test_parts_of_an_affine_map_are_numpys_and_stay_in_their_place(sizes, ends):
    n, inputs, units = sizes
    rng = np.random.default_rng(n)
    x, dy = rng.normal(size=(n, inputs)).astype(np.float32), rng.normal(size=(n, units)).astype(np.float32)
    weight, bias = rng.normal(size=(inputs, units)).astype(np.float32), rng.normal(size=units).astype(np.float32)
    results = []
    for way in products, vectors:
        y, dweight, dx = np.full((n, units), 7, "f4"), np.full((inputs, units), 7, "f4"), np.full((n, inputs), 7, "f4")
        way.affine_part(x, weight, bias, y, min(ends[0], units), units)
        way.gradients_part(x, weight, dy, dweight, dx, min(ends[1], inputs), inputs)
        results.append((y, dweight, dx))
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)
