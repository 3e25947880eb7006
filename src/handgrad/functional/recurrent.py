"""Recurrent networks over time: x (N, T, D) holds T steps of D features, y (N, T, H) the hidden state after each step.

The backwards go through time from the last step to the first: what reaches a state is its own dy and what the step
after it sends back.

>>> x, hidden = np.ones((1, 3, 1)), np.zeros((1, 1))
>>> one, half = np.ones((1, 1)), np.full((1, 1), 0.5)
>>> y, cache = rnn_forward(x, hidden, one, half, np.zeros(1), activation="identity")  # h <- x + h / 2
>>> y.ravel()
array([1.  , 1.5 , 1.75])
>>> rnn_backward(np.array([[[0.0], [0.0], [1.0]]]), cache)[0].ravel()  # what each step gives to the last
array([0.25, 0.5 , 1.  ])

Derivations: docs/derivations/recurrent.md.
"""

from collections.abc import Sequence

import numpy as np

from ..arrays import Array, Cache, MaybeArray, Shape
from ..naming import look_up
from .activations import ACTIVATIONS, sigmoid_backward, sigmoid_forward, tanh_backward, tanh_forward
from .linear import over_steps, over_steps_gradients


def rnn_forward(
    x: Array, hidden: Array, weight: Array, recurrent_weight: Array, bias: Array, activation: str = "tanh"
) -> tuple[Array, Cache]:
    """h_t = tanh(x_t W + h_{t-1} U + b), or another activation of that sum; h_0 = hidden (Elman 1990).

    x is (N, T, D), hidden (N, H), weight W (D, H), recurrent_weight U (H, H), bias (H,); y (N, T, H) is all the h_t.
    """
    check_shapes("rnn", x, hidden, weight, recurrent_weight, bias, blocks=1)
    inputs, input_cache = over_steps(x, weight, bias)
    activate, differentiate, *_ = look_up("activation", activation, ACTIVATIONS)
    states, caches = [hidden], []
    for t in range(x.shape[1]):
        state, cache = activate(inputs[:, t] + states[-1] @ recurrent_weight)
        states.append(state)
        caches.append(cache)
    return np.stack(states[1:], axis=1), (input_cache, states, caches, differentiate, recurrent_weight)


def rnn_backward(dy: Array, cache: Cache, input_gradient: bool = True) -> tuple[MaybeArray, Array, Array, Array, Array]:
    """dz_t = (dy_t + dz_{t+1} Uᵀ) f'(z_t), for tanh times 1 - h_t².

    dW = Σ_t x_tᵀ dz_t, dU = Σ_t h_{t-1}ᵀ dz_t, db = Σ dz_t and dx_t = dz_t Wᵀ, z_t being what goes into f.
    Returns dx, dhidden = dz_1 Uᵀ, dweight, drecurrent_weight and dbias. input_gradient=False puts None in dx's place.
    """
    input_cache, states, caches, differentiate, recurrent_weight = cache
    dhidden = np.zeros_like(states[0])
    steps = []
    for t in reversed(range(dy.shape[1])):
        (dz,) = differentiate(dy[:, t] + dhidden, caches[t])
        dhidden = dz @ recurrent_weight.T
        steps.append(dz)
    dx, dweight, drecurrent_weight, dbias = weight_gradients(steps[::-1], states, input_cache, input_gradient)
    return dx, dhidden, dweight, drecurrent_weight, dbias


def lstm_forward(
    x: Array, hidden: Array, cell: Array, weight: Array, recurrent_weight: Array, bias: Array
) -> tuple[Array, Cache]:
    """c_t = f c_{t-1} + i g and h_t = o tanh(c_t), where i, f, o = σ and g = tanh of x_t W + h_{t-1} U + b.

    x is (N, T, D), hidden and cell (N, H) the state before the first step, weight W (D, 4H), recurrent_weight U
    (H, 4H), bias (4H,); y (N, T, H) is all the h_t. The four blocks of columns are the gates in the order i, f, o, g
    (CS231n's; PyTorch's is i, f, g, o). (Hochreiter & Schmidhuber 1997, the forget gate f Gers et al. 2000)
    """
    check_shapes("lstm", x, hidden, weight, recurrent_weight, bias, blocks=4)
    if cell.shape != hidden.shape:
        raise ValueError(f"lstm: hidden and cell must have one shape, got {hidden.shape} and {cell.shape}")
    inputs, input_cache = over_steps(x, weight, bias)
    states, gate_caches = [hidden], []
    for t in range(x.shape[1]):
        hidden, cell, gate_cache = lstm_gates(inputs[:, t] + hidden @ recurrent_weight, cell)
        states.append(hidden)
        gate_caches.append(gate_cache)
    return np.stack(states[1:], axis=1), (input_cache, states, gate_caches, recurrent_weight)


def lstm_backward(
    dy: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, Array, Array, Array, Array]:
    """From the last step to the first: dz_t out of dh_t = dy_t + dz_{t+1} Uᵀ and of dc_t, then as for rnn.

    Returns dx, dhidden, dcell, dweight, drecurrent_weight and dbias. input_gradient=False puts None in dx's place.
    """
    input_cache, states, gate_caches, recurrent_weight = cache
    dhidden, dcell = np.zeros_like(states[0]), np.zeros_like(states[0])
    steps = []
    for t in reversed(range(dy.shape[1])):
        dz, dcell = lstm_gate_gradients(dy[:, t] + dhidden, dcell, gate_caches[t])
        dhidden = dz @ recurrent_weight.T
        steps.append(dz)
    dx, dweight, drecurrent_weight, dbias = weight_gradients(steps[::-1], states, input_cache, input_gradient)
    return dx, dhidden, dcell, dweight, drecurrent_weight, dbias


def lstm_gates(z: Array, cell: Array) -> tuple[Array, Array, Cache]:
    """One step without its products: the gates' sums z (N, 4H) and c_{t-1} (N, H) give h_t, c_t and a cache."""
    size = cell.shape[1]
    (gates, _), (candidate, _) = sigmoid_forward(z[:, : 3 * size]), tanh_forward(z[:, 3 * size :])
    i, f, o = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
    new_cell = f * cell + i * candidate
    squashed, _ = tanh_forward(new_cell)
    return o * squashed, new_cell, (gates, candidate, squashed, cell)


def lstm_gate_gradients(dhidden: Array, dcell: Array, cache: Cache) -> tuple[Array, Array]:
    """dz and dc_{t-1} from dh_t and dc_t: o's share is dh tanh(c); c_t gets dc + dh o (1 - tanh² c)."""
    gates, candidate, squashed, cell = cache
    size = cell.shape[1]
    i, f, o = gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
    dcell = dcell + tanh_backward(dhidden * o, squashed)[0]
    dgates = np.concatenate([dcell * candidate, dcell * cell, dhidden * squashed], axis=1)
    dz = np.concatenate([*sigmoid_backward(dgates, gates), *tanh_backward(dcell * i, candidate)], axis=1)
    return dz, dcell * f


def gru_forward(
    x: Array, hidden: Array, weight: Array, recurrent_weight: Array, bias: Array, recurrent_bias: Array
) -> tuple[Array, Cache]:
    """h_t = (1 - z) n + z h_{t-1}, where r, z = σ(a + c) and n = tanh(a + r c) by columns of a and c.

    a = x_t W + b and c = h_{t-1} U + d. x is (N, T, D), hidden (N, H), weight W (D, 3H), recurrent_weight U (H, 3H),
    bias b and recurrent_bias d (3H,); the blocks of columns are in the order r (reset), z (update), n (new), as in
    PyTorch. The reset comes after the product, so that d is no part of b. (Cho et al. 2014; this form in cuDNN)
    """
    check_shapes("gru", x, hidden, weight, recurrent_weight, bias, blocks=3)
    if recurrent_bias.shape != bias.shape:
        raise ValueError(f"gru: recurrent_bias must be {bias.shape} as bias is, got {recurrent_bias.shape}")
    inputs, input_cache = over_steps(x, weight, bias)
    states, gate_caches = [hidden], []
    for t in range(x.shape[1]):
        hidden, gate_cache = gru_gates(inputs[:, t], hidden @ recurrent_weight + recurrent_bias, hidden)
        states.append(hidden)
        gate_caches.append(gate_cache)
    return np.stack(states[1:], axis=1), (input_cache, states, gate_caches, recurrent_weight)


def gru_backward(
    dy: Array, cache: Cache, input_gradient: bool = True
) -> tuple[MaybeArray, Array, Array, Array, Array, Array]:
    """From the last step to the first: da_t and dc_t out of dh_t = dy_t + what step t + 1 sends back.

    dh_{t-1} = dh_t z + dc_t Uᵀ, dU = Σ_t h_{t-1}ᵀ dc_t, dd = Σ dc_t, and dW, db and dx of the da_t as for rnn.
    Returns dx, dhidden, dweight, drecurrent_weight, dbias and drecurrent_bias.
    """
    input_cache, states, gate_caches, recurrent_weight = cache
    dhidden = np.zeros_like(states[0])
    dinputs, dproducts = np.empty((2, *dy.shape[:2], recurrent_weight.shape[1]), np.result_type(dy, dhidden))
    for t in reversed(range(dy.shape[1])):
        dinputs[:, t], dproducts[:, t], carried = gru_gate_gradients(dy[:, t] + dhidden, gate_caches[t])
        dhidden = carried + dproducts[:, t] @ recurrent_weight.T
    products_cache = np.stack(states[:-1], axis=1).reshape(-1, len(recurrent_weight)), recurrent_weight
    _, drecurrent_weight, drecurrent_bias = over_steps_gradients(dproducts, products_cache, input_gradient=False)
    dx, dweight, dbias = over_steps_gradients(dinputs, input_cache, input_gradient)
    return dx, dhidden, dweight, drecurrent_weight, dbias, drecurrent_bias


def gru_gates(inputs: Array, products: Array, hidden: Array) -> tuple[Array, Cache]:
    """One step without its products: a and c (N, 3H) and h_{t-1} (N, H) give h_t and a cache."""
    size = hidden.shape[1]
    gates, _ = sigmoid_forward(inputs[:, : 2 * size] + products[:, : 2 * size])
    reset, update, product = gates[:, :size], gates[:, size:], products[:, 2 * size :]
    new, _ = tanh_forward(inputs[:, 2 * size :] + reset * product)
    return new + update * (hidden - new), (gates, new, product, hidden)


def gru_gate_gradients(dhidden: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """da, dc and the share of dh_{t-1} that comes by h_t = n + z (h_{t-1} - n), from dh_t."""
    gates, new, product, hidden = cache
    size = hidden.shape[1]
    reset, update = gates[:, :size], gates[:, size:]
    (dnew,) = tanh_backward(dhidden * (1 - update), new)
    (dgates,) = sigmoid_backward(np.concatenate([dnew * product, dhidden * (hidden - new)], axis=1), gates)
    dproducts = np.concatenate([dgates, dnew * reset], axis=1)
    return np.concatenate([dgates, dnew], axis=1), dproducts, dhidden * update


def weight_gradients(
    dz: Sequence[Array], states: Sequence[Array], cache: Cache, input_gradient: bool
) -> tuple[MaybeArray, Array, Array, Array]:
    """dx, dweight, drecurrent_weight and dbias from each step's dz (N, blocks H): one product each over all steps."""
    dinputs, before = np.stack(dz, axis=1), np.stack(states[:-1], axis=1)
    dx, dweight, dbias = over_steps_gradients(dinputs, cache, input_gradient)
    units, columns = before.shape[2], dinputs.shape[2]
    return dx, dweight, before.reshape(-1, units).T @ dinputs.reshape(-1, columns), dbias


def check_shapes(
    name: str, x: Array, hidden: Array, weight: Array, recurrent_weight: Array, bias: Array, blocks: int
) -> None:
    """Refuse shapes that do not fit x (N, T, D) and H units, each with `blocks` columns of weights."""
    if x.ndim != 3 or not x.shape[1]:
        raise ValueError(f"{name}: x must be (N, T, features) with at least one step, got {x.shape}")
    units = recurrent_weight.shape[0]
    columns = blocks * units
    weights = {"weight": (x.shape[2], columns), "recurrent_weight": (units, columns)}
    expected: dict[str, Shape] = {"hidden": (len(x), units), **weights, "bias": (columns,)}
    for (key, shape), array in zip(expected.items(), (hidden, weight, recurrent_weight, bias), strict=True):
        if array.shape != shape:
            raise ValueError(f"{name}: {key} must be {shape} for x {x.shape} and {units} units, got {array.shape}")
