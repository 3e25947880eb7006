"""Many training steps of a dense network in one compiled call.

What `handgrad.functional` and `handgrad.optimizers` say with whole arrays, and explain, stands here as loops: in a
small network the calls cost more than the arithmetic. Nothing is compiled for a network anew, since it comes as
numbers; each of its layers is a row of `chain`, whole numbers, and a row of `options`, two floats:

    kind          the layer's place in LAYERS
    inputs        how many numbers of an example come in
    outputs       and how many go out
    parameters    where its parameters begin in the vector of all: a weight, then its bias; gamma, then beta
    statistics    where batch norm's running means begin in the vector of these; its running variances follow
    values        where its outputs begin in `values`, and their gradients in `slopes`, for batches of one example
    options       of a linear layer: whether it has a bias; of batch norm: epsilon, momentum; of dropout: how many of
                  65,536 random numbers drop, by what the rest is multiplied; of an activation: alpha

Read `train`, at the end, and then what it calls. (n, outputs) are the shapes for a batch of n examples.
"""

import functools
import math
from typing import NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, DType
from .compiled import AS_IT_IS, TRANSPOSED, Gemm, announced, compiled, product
from .compiled import gemm_of as gemm_of

KIND, INPUTS, OUTPUTS, PARAMETERS, STATISTICS, VALUES = range(6)  # columns of `chain`
LAYERS = [
    "linear",
    "batch_norm",
    "dropout",
    "softmax",
    "log_softmax",
    "relu",
    "leaky_relu",
    "elu",
    "sigmoid",
    "tanh",
    "arctan",
    "softplus",
    "silu",
    "gelu",
]
LINEAR, BATCH_NORM, DROPOUT, SOFTMAX, LOG_SOFTMAX, RELU, LEAKY_RELU, ELU, SIGMOID, TANH = range(10)
ARCTAN, SOFTPLUS, SILU, GELU = range(10, 14)
KEEP_MORE = (BATCH_NORM, DROPOUT)  # they keep as many numbers behind their outputs: the normalized, the mask
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715
LOSSES = ["cross_entropy", "probability_cross_entropy", "hinge", "binary_cross_entropy", "mean_squared_error"]
LOSSES += ["mean_absolute_error", "huber", "poisson"]
CROSS_ENTROPY, PROBABILITY_CROSS_ENTROPY, HINGE, BINARY_CROSS_ENTROPY, MEAN_SQUARED_ERROR = range(5)
MEAN_ABSOLUTE_ERROR, HUBER, POISSON = range(5, 8)
RULES = ("sgd", "adam", "rmsprop", "adagrad")
SGD, ADAM, RMSPROP, ADAGRAD = range(4)

Option: TypeAlias = Array  # a row of options


class Network(NamedTuple):
    """The layers, and the vectors that they have in common."""

    chain: Array
    options: Array
    parameters: Array
    gradients: Array
    statistics: Array  # of batch norm, running
    measured: Array  # the same of this batch
    values: Array
    slopes: Array


class Goal(NamedTuple):
    """What is minimised: `factor` times a loss of LOSSES, plus a penalty on the weights of linear layers."""

    loss: int
    factor: float
    option: float  # label_smoothing; delta; the smallest probability that counts
    class_weight: Array  # empty where all classes count the same
    strength: float  # of the penalty
    power: int  # 2: ½ strength Σ w²; 1: strength Σ |w|; 0: there is none
    is_shared: bool  # whether the strength is divided by what the rows of the batch count for together


class Rule(NamedTuple):
    """How parameters move: the optimizer's place in RULES, its numbers, see `update`, and what it remembers."""

    kind: int
    numbers: tuple[float, float, float, float, float, float]
    norm_limit: float  # infinite where nothing is clipped
    value_limit: float
    first: Array  # empty where it remembers nothing, as `second`
    second: Array


class Rows(NamedTuple):
    """What is learned from, in the order of the steps. Of labels and targets one is empty, as weights may be."""

    x: Array  # (rows, inputs)
    labels: Array
    targets: Array
    weights: Array
    classes: Array  # for the count of hits; empty where there is none
    bits: Array  # random, for dropout


# A layer, forward -----------------------------------------------------------------------------------------------------


@compiled
def linear(gemm: Gemm, x: Array, weight: Array, bias: Array, y: Array) -> None:
    """y = x W + b, the product added to rows that hold b."""
    for r in range(len(y) if len(bias) else 0):
        for k in range(len(bias)):
            y[r, k] = bias[k]
    sizes = len(x), y.shape[1], x.shape[1]
    product(gemm, (AS_IT_IS, AS_IT_IS), sizes, x, weight, y, 1 if len(bias) else 0)


@compiled
def batch_norm(
    option: Option, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, y: Array, kept: Array
) -> None:
    """y = gamma x̂ + beta with x̂ = (x - mean) / √(var + epsilon), which is kept; mean and var are written."""
    count, epsilon = x.dtype.type(len(x)), x.dtype.type(option[0])
    mean[:] = 0
    var[:] = 0
    for r in range(len(x)):
        for k in range(len(mean)):
            mean[k] += x[r, k]
    mean /= count
    for r in range(len(x)):
        for k in range(len(mean)):
            var[k] += (x[r, k] - mean[k]) * (x[r, k] - mean[k])
    var /= count
    scale = x.dtype.type(1) / np.sqrt(var + epsilon)
    for r in range(len(x)):
        for k in range(len(mean)):
            kept[r, k] = (x[r, k] - mean[k]) * scale[k]
            y[r, k] = gamma[k] * kept[r, k] + beta[k]


@compiled
def dropout(option: Option, bits: Array, x: Array, y: Array, mask: Array) -> None:
    """y = x mask, where mask is 0 for as many of 65,536 random bits as the option says, and else 1 / (1 - rate)."""
    dropped, zero, scale = int(option[0]), x.dtype.type(0), x.dtype.type(option[1])
    for i in range(len(x)):
        mask[i] = scale if bits[i] >= dropped else zero
    for i in range(len(x)):
        y[i] = x[i] * mask[i]


@compiled
def largest_of(row: Array) -> float:
    """The largest number of a row."""
    largest: float = row[0]
    for k in range(1, len(row)):
        largest = max(largest, row[k])
    return largest


@compiled
def softmax(is_log: bool, x: Array, y: Array) -> None:
    """y = exp(x) / Σ exp(x) along a row, or the logarithm of that."""
    for r in range(len(x)):
        largest, total = largest_of(x[r]), x.dtype.type(0)
        for k in range(x.shape[1]):
            y[r, k] = np.exp(x[r, k] - largest)
            total += y[r, k]
        log_total = np.log(total)
        for k in range(x.shape[1]):
            y[r, k] = x[r, k] - largest - log_total if is_log else y[r, k] / total


@compiled
def activate(kind: int, alpha: float, x: Array, y: Array) -> None:
    """y = f(x), element by element: see `handgrad.functional.activations`, whose formulas these are."""
    real = x.dtype.type
    zero, half, one, alpha = real(0), real(0.5), real(1), real(alpha)
    if kind == RELU:
        for i in range(len(x)):
            y[i] = zero if x[i] <= zero else x[i]  # so that a NaN stays one
    elif kind == LEAKY_RELU:
        for i in range(len(x)):
            y[i] = x[i] if x[i] > zero else alpha * x[i]
    elif kind == ELU:
        for i in range(len(x)):
            y[i] = x[i] if x[i] > zero else alpha * np.expm1(x[i])
    elif kind == SIGMOID:
        for i in range(len(x)):
            y[i] = one / (one + np.exp(-x[i]))
    elif kind == TANH:
        for i in range(len(x)):
            y[i] = np.tanh(x[i])
    elif kind == ARCTAN:
        for i in range(len(x)):
            y[i] = np.arctan(x[i])
    elif kind == SOFTPLUS:
        for i in range(len(x)):
            y[i] = (zero if x[i] <= zero else x[i]) + np.log1p(np.exp(-abs(x[i])))
    elif kind == SILU:
        for i in range(len(x)):
            y[i] = x[i] / (one + np.exp(-x[i]))
    elif kind == GELU:
        for i in range(len(x)):
            u = real(GELU_SCALE) * (x[i] + real(GELU_CUBIC) * x[i] * x[i] * x[i])
            y[i] = half * x[i] * (one + np.tanh(u))


# A layer, backward ----------------------------------------------------------------------------------------------------


@compiled
def linear_backward(gemm: Gemm, x: Array, dy: Array, weight: Array, dweight: Array, dbias: Array, dx: Array) -> None:
    """dweight = xᵀ dy, dbias = Σ dy over the rows, and dx = dy Wᵀ where it has rows."""
    product(gemm, (TRANSPOSED, AS_IT_IS), (x.shape[1], dy.shape[1], len(x)), x, dy, dweight, 0)
    dbias[:] = 0
    for r in range(len(dy) if len(dbias) else 0):
        for k in range(len(dbias)):
            dbias[k] += dy[r, k]
    if len(dx):
        product(gemm, (AS_IT_IS, TRANSPOSED), (len(dy), dx.shape[1], dy.shape[1]), dy, weight, dx, 0)


@compiled
def batch_norm_backward(
    option: Option, dy: Array, gamma: Array, var: Array, kept: Array, dgamma: Array, dbeta: Array, dx: Array
) -> None:
    """dgamma = Σ dy x̂, dbeta = Σ dy, dx = gamma scale (dy - mean(dy) - x̂ mean(dy x̂)), scale = 1 / √(var + epsilon)."""
    dgamma[:] = 0
    dbeta[:] = 0
    for r in range(len(dy)):
        for k in range(len(gamma)):
            dgamma[k] += dy[r, k] * kept[r, k]
            dbeta[k] += dy[r, k]
    count, scale = dy.dtype.type(len(dy)), gamma / np.sqrt(var + dy.dtype.type(option[0]))
    for r in range(len(dx)):
        for k in range(len(gamma)):
            dx[r, k] = scale[k] * (dy[r, k] - dbeta[k] / count - kept[r, k] * (dgamma[k] / count))


@compiled
def softmax_backward(is_log: bool, dy: Array, y: Array, dx: Array) -> None:
    """dx = y (dy - Σ dy y) along a row, or for the logarithm dx = dy - exp(y) Σ dy."""
    for r in range(len(dy)):
        total = dy.dtype.type(0)
        for k in range(dy.shape[1]):
            total += dy[r, k] if is_log else dy[r, k] * y[r, k]
        for k in range(dy.shape[1]):
            dx[r, k] = dy[r, k] - np.exp(y[r, k]) * total if is_log else y[r, k] * (dy[r, k] - total)


@compiled
def differentiate(kind: int, alpha: float, dy: Array, x: Array, y: Array, dx: Array) -> None:
    """dx = dy f'(x), element by element, from x or from y = f(x)."""
    real = dy.dtype.type
    zero, half, one, alpha = real(0), real(0.5), real(1), real(alpha)
    if kind == RELU:
        for i in range(len(dy)):
            dx[i] = dy[i] if y[i] > zero else zero
    elif kind == LEAKY_RELU:
        for i in range(len(dy)):
            dx[i] = dy[i] if x[i] > zero else alpha * dy[i]
    elif kind == ELU:
        for i in range(len(dy)):
            dx[i] = dy[i] if x[i] > zero else dy[i] * (y[i] + alpha)
    elif kind == SIGMOID:
        for i in range(len(dy)):
            dx[i] = dy[i] * (y[i] * (one - y[i]))
    elif kind == TANH:
        for i in range(len(dy)):
            dx[i] = dy[i] * (one - y[i] * y[i])
    elif kind == ARCTAN:
        for i in range(len(dy)):
            dx[i] = dy[i] / (one + x[i] * x[i])
    elif kind == SOFTPLUS:
        for i in range(len(dy)):
            dx[i] = dy[i] / (one + np.exp(-x[i]))
    elif kind == SILU:
        for i in range(len(dy)):
            gate = one / (one + np.exp(-x[i]))
            dx[i] = dy[i] * (gate * (one + x[i] * (one - gate)))
    elif kind == GELU:
        for i in range(len(dy)):
            square = x[i] * x[i]
            t = np.tanh(real(GELU_SCALE) * (x[i] + real(GELU_CUBIC) * square * x[i]))
            inner = real(GELU_SCALE) * (one + real(3 * GELU_CUBIC) * square)
            dx[i] = dy[i] * (half * (one + t) + half * x[i] * (one - t * t) * inner)


# All layers -----------------------------------------------------------------------------------------------------------


@compiled
def part(vector: Array, start: int, rows: int, columns: int) -> Array:
    """A matrix (rows, columns) that lies in a vector from `start` on."""
    return vector[start : start + rows * columns].reshape(rows, columns)


@compiled
def forward(gemm: Gemm, net: Network, x: Array, capacity: int, bits: Array) -> int:
    """Compute every layer's outputs for the examples x; capacity: how many there is room for. Returns the bits used."""
    n, used = len(x), 0
    for i in range(len(net.chain)):
        row, option = net.chain[i], net.options[i]
        kind, width, at, place = row[KIND], row[OUTPUTS], row[PARAMETERS], row[VALUES] * capacity
        y = part(net.values, place, n, width)
        flat = y.reshape(-1)
        if kind == LINEAR:
            end = at + row[INPUTS] * width
            bias = net.parameters[end : end + (width if option[0] else 0)]
            linear(gemm, x, part(net.parameters, at, row[INPUTS], width), bias, y)
        elif kind == BATCH_NORM:
            p, measured, at2 = net.parameters, net.measured, row[STATISTICS]
            mean, var = measured[at2 : at2 + width], measured[at2 + width : at2 + 2 * width]
            kept = part(net.values, place + capacity * width, n, width)
            batch_norm(option, x, p[at : at + width], p[at + width : at + 2 * width], mean, var, y, kept)
        elif kind == DROPOUT:
            mask = part(net.values, place + capacity * width, n, width).reshape(-1)
            dropout(option, bits[used:], x.reshape(-1), flat, mask)
            used += (n * width + 3) // 4 * 4  # they are drawn by the four
        elif kind in (SOFTMAX, LOG_SOFTMAX):
            softmax(kind == LOG_SOFTMAX, x, y)
        else:
            activate(kind, option[0], x.reshape(-1), flat)
        x = y
    return used


@compiled
def backward(gemm: Gemm, net: Network, x: Array, capacity: int, lowest: int) -> None:
    """Write all gradients, from the last layer's in `slopes` down to the layer `lowest`, the first with parameters."""
    n = len(x)
    for i in range(len(net.chain) - 1, lowest - 1, -1):
        row, option = net.chain[i], net.options[i]
        kind, width, at, place = row[KIND], row[OUTPUTS], row[PARAMETERS], row[VALUES] * capacity
        below = net.chain[i - 1, VALUES] * capacity if i else 0
        inputs = part(net.values, below, n, row[INPUTS]) if i else x
        dx = part(net.slopes, below, n if i > lowest else 0, row[INPUTS])
        y, dy = part(net.values, place, n, width), part(net.slopes, place, n, width)
        kept = part(net.values, place + (capacity * width if kind in KEEP_MORE else 0), n, width)
        if kind == LINEAR:
            end = at + row[INPUTS] * width
            weight, dweight = part(net.parameters, at, row[INPUTS], width), part(net.gradients, at, row[INPUTS], width)
            dbias = net.gradients[end : end + (width if option[0] else 0)]
            linear_backward(gemm, inputs, dy, weight, dweight, dbias, dx)
        elif kind == BATCH_NORM:
            gamma, var = net.parameters[at : at + width], net.measured[row[STATISTICS] + width :][:width]
            dgamma, dbeta = net.gradients[at : at + width], net.gradients[at + width : at + 2 * width]
            batch_norm_backward(option, dy, gamma, var, kept, dgamma, dbeta, dx)
        elif kind == DROPOUT:
            flat, mask, out = dy.reshape(-1), kept.reshape(-1), dx.reshape(-1)
            for k in range(len(out)):
                out[k] = flat[k] * mask[k]
        elif kind in (SOFTMAX, LOG_SOFTMAX):
            softmax_backward(kind == LOG_SOFTMAX, dy, y, dx)
        else:
            differentiate(kind, option[0], dy.reshape(-1), inputs.reshape(-1), y.reshape(-1), dx.reshape(-1))


@compiled
def keep_statistics(net: Network, count: int) -> None:
    """running = (1 - momentum) running + momentum batch, for every batch norm; the variance divided by count - 1."""
    for i in range(len(net.chain)):
        if net.chain[i, KIND] == BATCH_NORM:
            width, at, momentum = net.chain[i, OUTPUTS], net.chain[i, STATISTICS], net.options[i, 1]
            for k in range(at, at + 2 * width):
                batch = net.measured[k] * (count / (count - 1) if k >= at + width else 1.0)
                net.statistics[k] = net.statistics[k] * (1 - momentum) + momentum * batch


# The loss -------------------------------------------------------------------------------------------------------------


@compiled
def row_shares(goal: Goal, labels: Array, weights: Array, shares: Array) -> bool:
    """What each row counts for: 1 / n, or w / Σ w, with the class's weight in the sum. Returns whether that is > 0."""
    total = 0.0
    for r in range(len(shares)):
        counts = weights[r] if len(weights) else 1.0
        shares[r] = counts
        total += counts * goal.class_weight[labels[r]] if len(goal.class_weight) and len(labels) else counts
    for r in range(len(shares)):
        shares[r] /= total
    return total > 0


@compiled
def amounts(goal: Goal, r: int, share: float, labels: Array, targets: Array, amount: Array) -> None:
    """What each class's term counts for in row r of a cross-entropy: share · q · class weight, q the distribution."""
    smoothing = goal.option if goal.loss == CROSS_ENTROPY else 0.0
    for k in range(len(amount)):
        q = targets[r, k] if len(targets) else 1.0 if k == labels[r] else 0.0
        q = q * (1 - smoothing) + smoothing / len(amount)
        amount[k] = share * q * (goal.class_weight[k] if len(goal.class_weight) else 1.0)


@compiled
def cross_entropy(goal: Goal, labels: Array, targets: Array, shares: Array, z: Array, dz: Array) -> float:
    """-Σ amount log softmax(z), and dz = softmax(z) Σ amount - amount, row by row."""
    loss, amount = 0.0, np.empty(z.shape[1])
    for r in range(len(z)):
        amounts(goal, r, shares[r], labels, targets, amount)
        largest, total, counted = largest_of(z[r]), 0.0, 0.0
        for k in range(len(amount)):
            dz[r, k] = np.exp(z[r, k] - largest)
            total += dz[r, k]
        log_total = np.log(total)
        for k in range(len(amount)):
            counted += amount[k]
            if amount[k]:
                loss -= amount[k] * (z[r, k] - largest - log_total)
        for k in range(len(amount)):
            dz[r, k] = goal.factor * (dz[r, k] * (counted / total) - amount[k])
    return loss


@compiled
def probability_cross_entropy(goal: Goal, labels: Array, targets: Array, shares: Array, p: Array, dp: Array) -> float:
    """-Σ amount log p, and dp = -amount / p, row by row; NaN for what is no probability."""
    loss, amount = 0.0, np.empty(p.shape[1])
    for r in range(len(p)):
        amounts(goal, r, shares[r], labels, targets, amount)
        for k in range(len(amount)):
            if not 0 <= p[r, k] <= 1.02:
                return math.nan
            dp[r, k] = 0
            if amount[k]:
                picked = max(p[r, k], goal.option)
                loss -= amount[k] * np.log(picked)
                dp[r, k] = -goal.factor * amount[k] / picked
    return loss


@compiled
def hinge(goal: Goal, labels: Array, shares: Array, z: Array, dz: Array) -> float:
    """Σ max(0, z - z_label + 1) over the other classes; each positive one pushes its own score down, the label's up."""
    loss = 0.0
    for r in range(len(z)):
        label, positive = labels[r], 0
        for k in range(z.shape[1]):
            margin = z[r, k] - z[r, label] + 1
            dz[r, k] = 0
            if k != label and not margin <= 0:
                loss += shares[r] * margin
                dz[r, k] = goal.factor * shares[r]
                positive += 1
        dz[r, label] = -goal.factor * shares[r] * positive
    return loss


@compiled
def element(kind: int, delta: float, z: float, t: float) -> tuple[float, float]:
    """The loss of one output z with target t, and its derivative by z."""
    error = z - t
    if kind == MEAN_SQUARED_ERROR:
        return error * error, 2 * error
    if kind == MEAN_ABSOLUTE_ERROR:
        return abs(error), np.sign(error)
    if kind == HUBER:
        clipped = min(max(error, -delta), delta)
        return clipped * (error - 0.5 * clipped), clipped
    if kind == POISSON:
        rate = np.exp(z)
        return (t * np.log(t) if t > 0 else 0.0) - t * z - t + rate, rate - t
    return max(z, 0.0) - z * t + np.log1p(np.exp(-abs(z))), 1 / (1 + np.exp(-z)) - t


@compiled
def loss_of(goal: Goal, labels: Array, targets: Array, weights: Array, y: Array, dy: Array) -> float:
    """The loss of the outputs y, and dy; NaN also where the weights are all 0, which `functional` says in words."""
    shares = np.empty(len(y))
    if not row_shares(goal, labels, weights, shares):
        return math.nan
    if goal.loss == CROSS_ENTROPY:
        return goal.factor * cross_entropy(goal, labels, targets, shares, y, dy)
    if goal.loss == PROBABILITY_CROSS_ENTROPY:
        return goal.factor * probability_cross_entropy(goal, labels, targets, shares, y, dy)
    if goal.loss == HINGE:
        return goal.factor * hinge(goal, labels, shares, y, dy)
    loss, columns = 0.0, 1 if goal.loss == POISSON else y.shape[1]
    for r in range(len(y)):
        share = goal.factor * shares[r] / columns
        for k in range(y.shape[1]):
            value, slope = element(goal.loss, goal.option, float(y[r, k]), float(targets[r, k]))
            loss += share * value
            dy[r, k] = share * slope
    return loss


@compiled
def add_penalty(net: Network, goal: Goal, count: float) -> float:
    """Add the penalty's gradient to those of the weights; returns the penalty."""
    strength, total = goal.strength / (count if goal.is_shared else 1.0), 0.0
    factor, zero = net.parameters.dtype.type(strength), net.parameters.dtype.type(0)
    for i in range(len(net.chain)):
        start = net.chain[i, PARAMETERS]
        size = net.chain[i, INPUTS] * net.chain[i, OUTPUTS] if net.chain[i, KIND] == LINEAR else 0
        w, dw, found = net.parameters[start : start + size], net.gradients[start : start + size], zero
        if goal.power == 2:
            for k in range(size):
                found += w[k] * w[k]
                dw[k] += factor * w[k]
        else:
            for k in range(size):
                found += abs(w[k])
                dw[k] += factor * np.sign(w[k])
        total += found * (0.5 * strength if goal.power == 2 else strength)
    return total


# The update -----------------------------------------------------------------------------------------------------------


@compiled
def clip(norm_limit: float, value_limit: float, g: Array) -> None:
    """Shorten the gradient to the limit of its norm, or each of its numbers to that of a value."""
    if norm_limit < np.inf:
        total = 0.0
        for i in range(len(g)):
            total += float(g[i]) * float(g[i])
        norm = math.sqrt(total)
        if norm_limit < norm < np.inf:
            g *= g.dtype.type(norm_limit / norm)
    if value_limit < np.inf:
        limit = g.dtype.type(value_limit)
        for i in range(len(g)):
            g[i] = -limit if g[i] < -limit else limit if g[i] > limit else g[i]


@compiled
def update(rule: Rule, rate: float, t: int, p: Array, g: Array) -> None:
    """Move the parameters p along the gradient g, in the step number t from 1: see `handgrad.optimizers`.

    The rule's numbers are weight_decay; whether that is AdamW's; of SGD momentum and whether it is Nesterov's, of Adam
    beta1 and beta2, of the others decay_rate (1 for Adagrad's sum) and 0; epsilon; whether Adam adds it to √v, not √v̂.
    """
    real, (decay, is_decoupled, a, b, epsilon, is_short) = p.dtype.type, rule.numbers
    if is_decoupled:
        p *= real(1 - rate * decay)
    elif decay:
        for i in range(len(p)):
            g[i] += real(decay) * p[i]
    if rule.kind == SGD:
        descend(rule.first, real(rate), real(a), b != 0, p, g)
    elif rule.kind == ADAM:
        scale = math.sqrt((1 - b) / (1 - b**t))
        length = rate * (1 - a) / (1 - a**t) / scale
        epsilon /= math.sqrt(1 - b) if is_short else scale
        adapt(rule.first, rule.second, real(a), real(b), real(length), real(epsilon), p, g)
    else:
        scale = math.sqrt(1 - a) if rule.kind == RMSPROP else 1.0
        adapt(p[:0], rule.first, real(0), real(a), real(rate / scale), real(epsilon / scale), p, g)


@compiled
def descend(velocity: Array, rate: float, momentum: float, is_nesterov: bool, p: Array, g: Array) -> None:
    """v <- momentum v + g, then p <- p - rate v; without a velocity p <- p - rate g."""
    if not len(velocity):
        for i in range(len(p)):
            p[i] -= rate * g[i]
    elif is_nesterov:
        for i in range(len(p)):
            velocity[i] = momentum * velocity[i] + g[i]
            p[i] -= rate * (g[i] + momentum * velocity[i])
    else:
        for i in range(len(p)):
            velocity[i] = momentum * velocity[i] + g[i]
            p[i] -= rate * velocity[i]


@compiled
def adapt(first: Array, second: Array, a: float, b: float, length: float, epsilon: float, p: Array, g: Array) -> None:
    """s <- b s + g² and v <- a v + g (where there is none, v = g), then p <- p - length v / (√s + epsilon)."""
    if len(first):
        for i in range(len(p)):
            first[i] = a * first[i] + g[i]
            second[i] = b * second[i] + g[i] * g[i]
            p[i] -= length * (first[i] / (np.sqrt(second[i]) + epsilon))
    else:
        for i in range(len(p)):
            second[i] = b * second[i] + g[i] * g[i]
            p[i] -= length * (g[i] / (np.sqrt(second[i]) + epsilon))


@compiled
def count_hits(y: Array, classes: Array) -> int:
    """In how many rows the class is the first of the largest outputs; or 1 where the only output is positive."""
    hits = 0
    for r in range(len(classes)):
        best = 0
        for k in range(y.shape[1]):
            best = k if y[r, k] > y[r, best] else best
        if y.shape[1] == 1:
            best = 1 if y[r, 0] > 0 else 0
        hits += best == classes[r]
    return hits


# The steps ------------------------------------------------------------------------------------------------------------


@compiled
def train(
    gemm: Gemm,
    net: Network,
    goal: Goal,
    rule: Rule,
    rows: Rows,
    sizes: Array,
    capacity: int,
    rates: Array,
    num_steps: int,
    losses: Array,
    hits: Array,
    outputs: Array,
) -> int:
    """Do a training step on each batch of the rows, of these sizes, capacity at most, and with these learning rates.

    num_steps is how many there were before.

    Written are each step's loss, in how many rows the likeliest class was the true one, and the outputs for each row.
    Returns how many steps were done: one whose loss is no number, or that is not possible, is left to those who can
    say why, with nothing changed by it.
    """
    lowest, used, first, last = 0, 0, 0, net.chain[-1]
    while lowest < len(net.chain) - 1 and net.chain[lowest, KIND] not in (LINEAR, BATCH_NORM):
        lowest += 1
    for step in range(len(sizes)):
        n = sizes[step]
        batch = slice(first, first + n)
        x, labels, targets, weights = rows.x[batch], rows.labels[batch], rows.targets[batch], rows.weights[batch]
        if n < 2 and len(net.statistics):
            return step
        used += forward(gemm, net, x, capacity, rows.bits[used:])
        y = part(net.values, last[VALUES] * capacity, n, last[OUTPUTS])
        dy = part(net.slopes, last[VALUES] * capacity, n, last[OUTPUTS])
        loss = loss_of(goal, labels, targets, weights, y, dy)
        if not math.isfinite(loss):
            return step
        keep_statistics(net, n)
        backward(gemm, net, x, capacity, lowest)
        if goal.power:
            loss += add_penalty(net, goal, weights.sum() if len(weights) else float(n))
        clip(rule.norm_limit, rule.value_limit, net.gradients)
        update(rule, rates[step], num_steps + step + 1, net.parameters, net.gradients)
        losses[step], hits[step] = loss, count_hits(y, rows.classes[batch])
        if len(outputs):
            outputs[batch] = y
        first += n
    return len(sizes)


@functools.cache
def load(dtype: DType) -> None:
    """Compile `train` for numbers of this type, which takes seconds and is said on stderr, or load it from the disk."""
    real, whole, double, matrix = np.empty(0, dtype), np.empty(0, np.int64), np.empty(0), np.empty((0, 0), dtype)
    net = Network(np.zeros((1, 6), np.int64), np.zeros((1, 2)), real, real, real, real, real, real)
    goal = Goal(0, 1.0, 0.0, double, 0.0, 0, False)
    rule = Rule(0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), math.inf, math.inf, real, real)
    rows = Rows(matrix, whole, matrix, double, whole, np.empty(0, np.uint16))
    with announced("the training of dense networks"):
        train(gemm_of(dtype), net, goal, rule, rows, whole, 0, double, 0, double, whole, matrix)
