"""Many training steps of a dense network in one compiled call.

What `handgrad.functional` and `handgrad.optimizers` say with whole arrays, and explain, stands here as loops: in a
small network the calls cost more than the arithmetic. Nothing is compiled for a network anew, since it comes as
numbers; each of its layers is a row of `chain`, whole numbers, and a row of `options`, two floats:

    kind          a Kind
    inputs        how many numbers of an example come in
    outputs       and how many go out
    parameters    where its parameters begin in the vector of all: a weight, then its bias; gamma, then beta
    statistics    where batch norm's running means begin in the vector of these; its running variances follow
    values        where its outputs begin in `values`, and their gradients in `slopes`, for batches of one example
    options       of a linear layer: whether it has a bias; of batch norm: epsilon, momentum; of dropout: how many of
                  65,536 random numbers drop, by what the rest is multiplied; of an activation: see `activate`

Read `train`, at the end, and then what it calls. (n, outputs) are the shapes for a batch of n examples.
"""

import functools
import math
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import types
from numba.extending import overload

from ..arrays import Array, DType
from . import compiled, vectors
from .compiled import AS_IT_IS, TRANSPOSED, announced, bare, part
from .elementary import erfc, exp, expm1, log1p, tanh

KIND, INPUTS, OUTPUTS, PARAMETERS, STATISTICS, VALUES = range(6)  # columns of `chain`


class Kind(IntEnum):
    """What a layer is."""

    LINEAR = 0
    BATCH_NORM = 1
    DROPOUT = 2
    SOFTMAX = 3
    LOG_SOFTMAX = 4
    RELU = 5
    LEAKY_RELU = 6
    ELU = 7
    SIGMOID = 8
    TANH = 9
    ARCTAN = 10
    SOFTPLUS = 11
    SILU = 12
    GELU = 13
    EXACT_GELU = 14


class Objective(IntEnum):
    """What a loss is."""

    CROSS_ENTROPY = 0
    PROBABILITY_CROSS_ENTROPY = 1
    HINGE = 2
    BINARY_CROSS_ENTROPY = 3
    MEAN_SQUARED_ERROR = 4
    MEAN_ABSOLUTE_ERROR = 5
    HUBER = 6
    POISSON = 7


class Update(IntEnum):
    """What an optimizer is."""

    SGD = 0
    ADAM = 1
    RMSPROP = 2
    ADAGRAD = 3


KEEP_MORE = (Kind.BATCH_NORM, Kind.DROPOUT)  # they keep as many numbers behind their outputs: the normalized, the mask
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715
Option: TypeAlias = Array  # a row of options
Gemm: TypeAlias = "compiled.Gemm | Array"  # what multiplies matrices: BLAS, or `vectors` in this memory; see `gemm_of`


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
    """What is minimised: `factor` times a loss, plus a penalty on the weights of linear layers."""

    loss: int  # an Objective
    factor: float
    option: float  # label_smoothing; delta; the smallest probability that counts
    class_weight: Array  # empty where all classes count the same
    strength: float  # of the penalty
    power: int  # 2: ½ strength Σ w²; 1: strength Σ |w|; 0: there is none
    is_shared: bool  # whether the strength is divided by what the rows of the batch count for together


class Rule(NamedTuple):
    """How parameters move: the optimizer's numbers, see `update`, and what it remembers."""

    kind: int  # an Update
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


def product(
    gemm: Gemm, how: tuple[Any, Any], sizes: tuple[int, int, int], a: Array, b: Array, out: Array, beta: int
) -> None:
    """out (rows, columns) = a b + beta out, summed over inner; how says which of a and b are transposed."""


def choose(gemm: Any, how: Any, sizes: Any, a: Any, b: Any, out: Any, beta: Any) -> Any:
    """The product that `gemm` means: chosen when `train` is compiled."""
    chosen: Any = vectors.product if isinstance(gemm, types.Array) else compiled.product
    return lambda gemm, how, sizes, a, b, out, beta: chosen(gemm, how, sizes, a, b, out, beta)


compiled_as: Any = overload
compiled_as(product, jit_options={"_nrt": False}, strict=False)(choose)


# A layer, forward -----------------------------------------------------------------------------------------------------


@bare
def linear(gemm: Gemm, x: Array, weight: Array, bias: Array, y: Array) -> None:
    """y = x W + b, the product added to rows that hold b."""
    for r in range(len(y) if len(bias) else 0):
        for k in range(len(bias)):
            y[r, k] = bias[k]
    sizes = len(x), y.shape[1], x.shape[1]
    product(gemm, (AS_IT_IS, AS_IT_IS), sizes, x, weight, y, 1 if len(bias) else 0)


@bare
def batch_norm(
    option: Option, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, scale: Array, y: Array, kept: Array
) -> None:
    """y = gamma x̂ + beta, x̂ = (x - mean) scale, which is kept, scale = 1 / √(var + epsilon)."""
    real = x.dtype.type
    count, epsilon, one = real(len(x)), real(option[0]), real(1)
    mean[:] = 0
    var[:] = 0
    for r in range(len(x)):
        for k in range(len(mean)):
            mean[k] += x[r, k]
    for k in range(len(mean)):
        mean[k] /= count
    for r in range(len(x)):
        for k in range(len(mean)):
            var[k] += (x[r, k] - mean[k]) * (x[r, k] - mean[k])
    for k in range(len(mean)):
        var[k] /= count
        scale[k] = one / np.sqrt(var[k] + epsilon)
    for r in range(len(x)):
        for k in range(len(mean)):
            kept[r, k] = (x[r, k] - mean[k]) * scale[k]
            y[r, k] = gamma[k] * kept[r, k] + beta[k]


@bare
def dropout(option: Option, bits: Array, x: Array, y: Array, mask: Array) -> None:
    """y = x mask, where mask is 0 for as many of 65,536 random bits as the option says, and else 1 / (1 - rate)."""
    dropped, zero, scale = int(option[0]), x.dtype.type(0), x.dtype.type(option[1])
    for i in range(len(x)):
        mask[i] = scale if bits[i] >= dropped else zero
    for i in range(len(x)):
        y[i] = x[i] * mask[i]


@bare
def largest_of(x: Array, r: int) -> float:
    """The largest number of row r."""
    largest: float = x[r, 0]
    for k in range(1, x.shape[1]):
        largest = max(largest, x[r, k])
    return largest


@bare
def softmax(is_log: bool, x: Array, y: Array) -> None:
    """y = exp(x) / Σ exp(x) along a row, or the logarithm of that."""
    for r in range(len(x)):
        largest, total = largest_of(x, r), x.dtype.type(0)
        for k in range(x.shape[1]):
            y[r, k] = exp(x[r, k] - largest)
            total += y[r, k]
        log_total = np.log(total)
        for k in range(x.shape[1]):
            y[r, k] = x[r, k] - largest - log_total if is_log else y[r, k] / total


@bare
def activate(kind: int, option: Option, x: Array, y: Array) -> None:
    """y = f(x), element by element: see `handgrad.functional.activations`, whose formulas these are.

    The options: a ReLU's limit; a leaky ReLU's alpha; what an ELU comes to far below 0, negated, and its slope above.
    """
    real = x.dtype.type
    zero, half, one, a, slope = real(0), real(0.5), real(1), real(option[0]), real(option[1])
    if kind == Kind.RELU:
        for i in range(len(x)):
            y[i] = zero if x[i] <= zero else a if x[i] >= a else x[i]  # so that a NaN stays one
    elif kind == Kind.LEAKY_RELU:
        for i in range(len(x)):
            y[i] = x[i] if x[i] > zero else a * x[i]
    elif kind == Kind.ELU:
        for i in range(len(x)):
            y[i] = slope * x[i] if x[i] > zero else a * expm1(x[i])
    elif kind == Kind.SIGMOID:
        for i in range(len(x)):
            y[i] = one / (one + exp(-x[i]))
    elif kind == Kind.TANH:
        for i in range(len(x)):
            y[i] = tanh(x[i])
    elif kind == Kind.ARCTAN:
        for i in range(len(x)):
            y[i] = np.arctan(x[i])
    elif kind == Kind.SOFTPLUS:
        for i in range(len(x)):
            y[i] = (zero if x[i] <= zero else x[i]) + log1p(exp(-abs(x[i])))
    elif kind == Kind.SILU:
        for i in range(len(x)):
            y[i] = x[i] / (one + exp(-x[i]))
    elif kind == Kind.GELU:
        for i in range(len(x)):
            u = real(GELU_SCALE) * (x[i] + real(GELU_CUBIC) * x[i] * x[i] * x[i])
            y[i] = half * x[i] * (one + tanh(u))
    elif kind == Kind.EXACT_GELU:
        for i in range(len(x)):
            y[i] = half * x[i] * erfc(-real(math.sqrt(0.5)) * x[i])


# A layer, backward ----------------------------------------------------------------------------------------------------


@bare
def linear_backward(gemm: Gemm, x: Array, dy: Array, weight: Array, dweight: Array, dbias: Array, dx: Array) -> None:
    """dweight = xᵀ dy, dbias = Σ dy over the rows, and dx = dy Wᵀ where it has rows."""
    product(gemm, (TRANSPOSED, AS_IT_IS), (x.shape[1], dy.shape[1], len(x)), x, dy, dweight, 0)
    dbias[:] = 0
    for r in range(len(dy) if len(dbias) else 0):
        for k in range(len(dbias)):
            dbias[k] += dy[r, k]
    if len(dx):
        product(gemm, (AS_IT_IS, TRANSPOSED), (len(dy), dx.shape[1], dy.shape[1]), dy, weight, dx, 0)


@bare
def batch_norm_backward(
    dy: Array, gamma: Array, scale: Array, kept: Array, dgamma: Array, dbeta: Array, dx: Array
) -> None:
    """dgamma = Σ dy x̂, dbeta = Σ dy, dx = gamma scale (dy - mean(dy) - x̂ mean(dy x̂))."""
    dgamma[:] = 0
    dbeta[:] = 0
    for r in range(len(dy)):
        for k in range(len(gamma)):
            dgamma[k] += dy[r, k] * kept[r, k]
            dbeta[k] += dy[r, k]
    count = dy.dtype.type(len(dy))
    for r in range(len(dx)):
        for k in range(len(gamma)):
            centred = dy[r, k] - dbeta[k] / count - kept[r, k] * (dgamma[k] / count)
            dx[r, k] = gamma[k] * scale[k] * centred


@bare
def softmax_backward(is_log: bool, dy: Array, y: Array, dx: Array) -> None:
    """dx = y (dy - Σ dy y) along a row, or for the logarithm dx = dy - exp(y) Σ dy."""
    for r in range(len(dy)):
        total = dy.dtype.type(0)
        for k in range(dy.shape[1]):
            total += dy[r, k] if is_log else dy[r, k] * y[r, k]
        for k in range(dy.shape[1]):
            dx[r, k] = dy[r, k] - exp(y[r, k]) * total if is_log else y[r, k] * (dy[r, k] - total)


@bare
def differentiate(kind: int, option: Option, dy: Array, x: Array, y: Array, dx: Array) -> None:
    """dx = dy f'(x), element by element, from x or from y = f(x)."""
    real = dy.dtype.type
    zero, half, one, a, slope = real(0), real(0.5), real(1), real(option[0]), real(option[1])
    if kind == Kind.RELU:
        for i in range(len(dy)):
            dx[i] = dy[i] if zero < y[i] < a else zero
    elif kind == Kind.LEAKY_RELU:
        for i in range(len(dy)):
            dx[i] = dy[i] if x[i] > zero else a * dy[i]
    elif kind == Kind.ELU:
        for i in range(len(dy)):
            dx[i] = slope * dy[i] if x[i] > zero else dy[i] * (y[i] + a)
    elif kind == Kind.SIGMOID:
        for i in range(len(dy)):
            dx[i] = dy[i] * (y[i] * (one - y[i]))
    elif kind == Kind.TANH:
        for i in range(len(dy)):
            dx[i] = dy[i] * (one - y[i] * y[i])
    elif kind == Kind.ARCTAN:
        for i in range(len(dy)):
            dx[i] = dy[i] / (one + x[i] * x[i])
    elif kind == Kind.SOFTPLUS:
        for i in range(len(dy)):
            dx[i] = dy[i] / (one + exp(-x[i]))
    elif kind == Kind.SILU:
        for i in range(len(dy)):
            gate = one / (one + exp(-x[i]))
            dx[i] = dy[i] * (gate * (one + x[i] * (one - gate)))
    elif kind == Kind.GELU:
        for i in range(len(dy)):
            square = x[i] * x[i]
            t = tanh(real(GELU_SCALE) * (x[i] + real(GELU_CUBIC) * square * x[i]))
            inner = real(GELU_SCALE) * (one + real(3 * GELU_CUBIC) * square)
            dx[i] = dy[i] * (half * (one + t) + half * x[i] * (one - t * t) * inner)
    elif kind == Kind.EXACT_GELU:
        for i in range(len(dy)):
            density = real(0.5 * GELU_SCALE) * exp(-half * x[i] * x[i])
            dx[i] = dy[i] * (half * erfc(-real(math.sqrt(0.5)) * x[i]) + x[i] * density)


# All layers -----------------------------------------------------------------------------------------------------------


@bare
def forward(gemm: Gemm, net: Network, x: Array, capacity: int, bits: Array) -> int:
    """Compute every layer's outputs for the examples x; capacity: how many there is room for. Returns the bits used."""
    n, used = len(x), 0
    chain, options, p, values = net.chain, net.options, net.parameters, net.values
    for i in range(len(chain)):
        kind, inputs, width, at = chain[i, KIND], chain[i, INPUTS], chain[i, OUTPUTS], chain[i, PARAMETERS]
        option, place = part(options, 2 * i, (2,)), chain[i, VALUES] * capacity
        y, kept = part(values, place, (n, width)), place + capacity * width
        if kind == Kind.LINEAR:
            bias = part(p, at + inputs * width, (width if option[0] else 0,))
            linear(gemm, x, part(p, at, (inputs, width)), bias, y)
        elif kind == Kind.BATCH_NORM:
            gamma, beta, start = part(p, at, (width,)), part(p, at + width, (width,)), chain[i, STATISTICS]
            mean, var = part(net.measured, start, (width,)), part(net.measured, start + width, (width,))
            scale = part(net.slopes, kept, (width,))  # memory that slopes do not need
            batch_norm(option, x, gamma, beta, mean, var, scale, y, part(values, kept, (n, width)))
        elif kind == Kind.DROPOUT:
            dropout(
                option,
                bits[used:],
                part(x, 0, (n * width,)),
                part(y, 0, (n * width,)),
                part(values, kept, (n * width,)),
            )
            used += (n * width + 3) // 4 * 4  # they are drawn by the four
        elif kind in (Kind.SOFTMAX, Kind.LOG_SOFTMAX):
            softmax(kind == Kind.LOG_SOFTMAX, x, y)
        else:
            activate(kind, option, part(x, 0, (n * width,)), part(y, 0, (n * width,)))
        x = y
    return used


@bare
def backward(gemm: Gemm, net: Network, x: Array, capacity: int, lowest: int) -> None:
    """Write all gradients, from the last layer's in `slopes` down to the layer `lowest`, the first with parameters."""
    n = len(x)
    chain, options, p, g, values, slopes = net.chain, net.options, net.parameters, net.gradients, net.values, net.slopes
    for i in range(len(chain) - 1, lowest - 1, -1):
        kind, inputs, width, at = chain[i, KIND], chain[i, INPUTS], chain[i, OUTPUTS], chain[i, PARAMETERS]
        option, place, below = part(options, 2 * i, (2,)), chain[i, VALUES] * capacity, 0
        if i:
            below = chain[i - 1, VALUES] * capacity
            x_i = part(values, below, (n, inputs))
        else:
            x_i = part(x, 0, (n, inputs))
        dx = part(slopes, below, (n if i > lowest else 0, inputs))
        y, dy = part(values, place, (n, width)), part(slopes, place, (n, width))
        more = place + (capacity * width if kind in KEEP_MORE else 0)
        kept = part(values, more, (n, width))
        if kind == Kind.LINEAR:
            bias_at, biases = at + inputs * width, width if option[0] else 0
            weight, dweight = part(p, at, (inputs, width)), part(g, at, (inputs, width))
            linear_backward(gemm, x_i, dy, weight, dweight, part(g, bias_at, (biases,)), dx)
        elif kind == Kind.BATCH_NORM:
            gamma, dgamma, dbeta = part(p, at, (width,)), part(g, at, (width,)), part(g, at + width, (width,))
            batch_norm_backward(dy, gamma, part(slopes, more, (width,)), kept, dgamma, dbeta, dx)
        elif kind == Kind.DROPOUT:
            for r in range(len(dx)):
                for k in range(width):
                    dx[r, k] = dy[r, k] * kept[r, k]
        elif kind in (Kind.SOFTMAX, Kind.LOG_SOFTMAX):
            softmax_backward(kind == Kind.LOG_SOFTMAX, dy, y, dx)
        else:
            flat = part(dy, 0, (dy.size,)), part(x_i, 0, (dy.size,)), part(y, 0, (dy.size,)), part(dx, 0, (dx.size,))
            differentiate(kind, option, *flat)


@bare
def keep_statistics(net: Network, count: int) -> None:
    """running = (1 - momentum) running + momentum batch, for every batch norm; the variance divided by count - 1."""
    for i in range(len(net.chain)):
        if net.chain[i, KIND] == Kind.BATCH_NORM:
            width, at, momentum = net.chain[i, OUTPUTS], net.chain[i, STATISTICS], net.options[i, 1]
            for k in range(at, at + 2 * width):
                batch = net.measured[k] * (count / (count - 1) if k >= at + width else 1.0)
                net.statistics[k] = net.statistics[k] * (1 - momentum) + momentum * batch


# The loss -------------------------------------------------------------------------------------------------------------


@bare
def total_of(goal: Goal, rows: Rows) -> float:
    """What all rows count for together: n, or Σ w, each with the weight of its class."""
    total = 0.0
    for r in range(len(rows.x)):
        counts = rows.weights[r] if len(rows.weights) else 1.0
        total += counts * goal.class_weight[rows.labels[r]] if len(goal.class_weight) and len(rows.labels) else counts
    return total


@bare
def amount(goal: Goal, rows: Rows, r: int, k: int, num_classes: int) -> float:
    """What class k's term counts for in row r of a cross-entropy: q · class weight, where q is the distribution."""
    q = rows.targets[r, k] if len(rows.targets) else 1.0 if k == rows.labels[r] else 0.0
    if goal.loss == Objective.CROSS_ENTROPY:
        q = q * (1 - goal.option) + goal.option / num_classes
    return q * (goal.class_weight[k] if len(goal.class_weight) else 1.0)


@bare
def terms(goal: Goal, rows: Rows, r: int, num_classes: int) -> tuple[int, int]:
    """The classes, from one to before another, whose terms count in row r: the label's alone, or all."""
    return (rows.labels[r], rows.labels[r] + 1) if len(rows.labels) and goal.option == 0 else (0, num_classes)


@bare
def cross_entropy(goal: Goal, rows: Rows, total: float, z: Array, dz: Array) -> float:
    """-Σ amount log softmax(z), and dz = softmax(z) Σ amount - amount, row by row.

    The exponentials of all rows are taken at once: many make vectors, where the classes of one row are few.
    """
    loss, classes, real = 0.0, z.shape[1], z.dtype.type
    for r in range(len(z)):
        largest, share = largest_of(z, r), (rows.weights[r] if len(rows.weights) else 1.0) / total
        for k in range(classes):
            dz[r, k] = z[r, k] - largest
        for k in range(*terms(goal, rows, r, classes)):
            counts = amount(goal, rows, r, k, classes)
            loss -= share * counts * dz[r, k] if counts else 0.0
    exponentials = part(dz, 0, (dz.size,))
    for i in range(len(exponentials)):
        exponentials[i] = exp(exponentials[i])
    for r in range(len(z)):
        share, counted, around = (rows.weights[r] if len(rows.weights) else 1.0) / total, 0.0, 0.0
        for k in range(classes):
            around += dz[r, k]
        for k in range(*terms(goal, rows, r, classes)):
            counted += amount(goal, rows, r, k, classes)
        loss += share * counted * np.log(around)
        share *= goal.factor
        scale = real(share * counted / around)
        for k in range(classes):
            dz[r, k] *= scale
        for k in range(*terms(goal, rows, r, classes)):
            dz[r, k] -= real(share * amount(goal, rows, r, k, classes))
    return loss


@bare
def probability_cross_entropy(goal: Goal, rows: Rows, total: float, p: Array, dp: Array) -> float:
    """-Σ amount log p, and dp = -amount / p, row by row; NaN for what is no probability."""
    loss = 0.0
    for r in range(len(p)):
        share = (rows.weights[r] if len(rows.weights) else 1.0) / total
        for k in range(p.shape[1]):
            if not 0 <= p[r, k] <= 1.02:
                return math.nan
            counts, picked = share * amount(goal, rows, r, k, p.shape[1]), max(p[r, k], goal.option)
            dp[r, k] = -goal.factor * counts / picked if counts else 0.0
            loss -= counts * np.log(picked) if counts else 0.0
    return loss


@bare
def hinge(goal: Goal, rows: Rows, total: float, z: Array, dz: Array) -> float:
    """Σ max(0, z - z_label + 1) over the other classes; each positive one pushes its own score down, the label's up."""
    loss = 0.0
    for r in range(len(z)):
        label, positive, share = rows.labels[r], 0, (rows.weights[r] if len(rows.weights) else 1.0) / total
        for k in range(z.shape[1]):
            margin = z[r, k] - z[r, label] + 1
            dz[r, k] = 0
            if k != label and not margin <= 0:
                loss += share * margin
                dz[r, k] = goal.factor * share
                positive += 1
        dz[r, label] = -goal.factor * share * positive
    return loss


@bare
def element(kind: int, delta: float, z: float, t: float) -> tuple[float, float]:
    """The loss of one output z with target t, and its derivative by z."""
    error = z - t
    if kind == Objective.MEAN_SQUARED_ERROR:
        return error * error, 2 * error
    if kind == Objective.MEAN_ABSOLUTE_ERROR:
        return abs(error), np.sign(error)
    if kind == Objective.HUBER:
        clipped = min(max(error, -delta), delta)
        return clipped * (error - 0.5 * clipped), clipped
    if kind == Objective.POISSON:
        rate = exp(z)
        return (t * np.log(t) if t > 0 else 0.0) - t * z - t + rate, rate - t
    return max(z, 0.0) - z * t + log1p(exp(-abs(z))), 1 / (1 + exp(-z)) - t


@bare
def loss_of(goal: Goal, rows: Rows, y: Array, dy: Array) -> float:
    """The loss of the outputs y, and dy; NaN also where the weights are all 0, which `functional` says in words."""
    total = total_of(goal, rows)
    if not total > 0:
        return math.nan
    if goal.loss == Objective.CROSS_ENTROPY:
        return goal.factor * cross_entropy(goal, rows, total, y, dy)
    if goal.loss == Objective.PROBABILITY_CROSS_ENTROPY:
        return goal.factor * probability_cross_entropy(goal, rows, total, y, dy)
    if goal.loss == Objective.HINGE:
        return goal.factor * hinge(goal, rows, total, y, dy)
    loss, columns = 0.0, 1 if goal.loss == Objective.POISSON else y.shape[1]
    for r in range(len(y)):
        share = goal.factor * (rows.weights[r] if len(rows.weights) else 1.0) / (total * columns)
        for k in range(y.shape[1]):
            value, slope = element(goal.loss, goal.option, float(y[r, k]), float(rows.targets[r, k]))
            loss += share * value
            dy[r, k] = share * slope
    return loss


@bare
def add_penalty(net: Network, goal: Goal, count: float) -> float:
    """Add the penalty's gradient to those of the weights; returns the penalty."""
    strength, total = goal.strength / (count if goal.is_shared else 1.0), 0.0
    factor, zero = net.parameters.dtype.type(strength), net.parameters.dtype.type(0)
    for i in range(len(net.chain)):
        start = net.chain[i, PARAMETERS]
        size = net.chain[i, INPUTS] * net.chain[i, OUTPUTS] if net.chain[i, KIND] == Kind.LINEAR else 0
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


@bare
def clip(norm_limit: float, value_limit: float, g: Array) -> None:
    """Shorten the gradient to the limit of its norm, or each of its numbers to that of a value."""
    if norm_limit < np.inf:
        total = 0.0
        for i in range(len(g)):
            total += float(g[i]) * float(g[i])
        norm = math.sqrt(total)
        if norm_limit < norm < np.inf:
            for i in range(len(g)):
                g[i] *= g.dtype.type(norm_limit / norm)
    if value_limit < np.inf:
        limit = g.dtype.type(value_limit)
        for i in range(len(g)):
            g[i] = -limit if g[i] < -limit else limit if g[i] > limit else g[i]


@bare
def update(rule: Rule, rate: float, t: int, p: Array, g: Array) -> None:
    """Move the parameters p along the gradient g, in the step number t from 1: see `handgrad.optimizers`.

    The rule's numbers are weight_decay; whether that is AdamW's; of SGD momentum and whether it is Nesterov's, of Adam
    beta1 and beta2, of the others decay_rate (1 for Adagrad's sum) and 0; epsilon; whether Adam adds it to √v, not √v̂.
    """
    real, (decay, is_decoupled, a, b, epsilon, is_short) = p.dtype.type, rule.numbers
    if is_decoupled:
        for i in range(len(p)):
            p[i] *= real(1 - rate * decay)
    elif decay:
        for i in range(len(p)):
            g[i] += real(decay) * p[i]
    if rule.kind == Update.SGD:
        descend(rule.first, real(rate), real(a), b != 0, p, g)
    elif rule.kind == Update.ADAM:
        scale = math.sqrt((1 - b) / (1 - b**t))
        length = rate * (1 - a) / (1 - a**t) / scale
        epsilon /= math.sqrt(1 - b) if is_short else scale
        adapt(rule.first, rule.second, real(a), real(b), real(length), real(epsilon), p, g)
    else:
        scale = math.sqrt(1 - a) if rule.kind == Update.RMSPROP else 1.0
        adapt(p[:0], rule.first, real(0), real(a), real(rate / scale), real(epsilon / scale), p, g)


@bare
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


@bare
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


@bare
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


@bare
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
    while lowest < len(net.chain) - 1 and net.chain[lowest, KIND] not in (Kind.LINEAR, Kind.BATCH_NORM):
        lowest += 1
    for step in range(len(sizes)):
        n = sizes[step]
        batch = slice(first, first + n)
        x, classes, weights = rows.x[batch], rows.classes[batch], rows.weights[batch]
        if n < 2 and len(net.statistics):
            return step
        used += forward(gemm, net, x, capacity, rows.bits[used:])
        y = part(net.values, last[VALUES] * capacity, (n, last[OUTPUTS]))
        dy = part(net.slopes, last[VALUES] * capacity, (n, last[OUTPUTS]))
        of_batch = Rows(x, rows.labels[batch], rows.targets[batch], weights, classes, rows.bits)
        loss = loss_of(goal, of_batch, y, dy)
        if not math.isfinite(loss):
            return step
        keep_statistics(net, n)
        backward(gemm, net, x, capacity, lowest)
        if goal.power:
            loss += add_penalty(net, goal, weights.sum() if len(weights) else float(n))
        clip(rule.norm_limit, rule.value_limit, net.gradients)
        update(rule, rates[step], num_steps + step + 1, net.parameters, net.gradients)
        losses[step], hits[step] = loss, count_hits(y, classes)
        for r in range(n if len(outputs) else 0):
            for k in range(last[OUTPUTS]):
                outputs[first + r, k] = y[r, k]
        first += n
    return len(sizes)


def gemm_of(dtype: DType, room: int) -> Gemm:
    """What multiplies matrices of so many numbers at most: our own machine code, with room for one; 0 means BLAS."""
    load(dtype, room > 0)
    return np.empty(room, dtype) if room else compiled.gemm_of(dtype)


@functools.cache
def load(dtype: DType, by_vectors: bool) -> None:
    """Compile `train` for numbers of this type, which takes seconds and is said on stderr, or load it from the disk."""
    real, whole, double, matrix = np.empty(0, dtype), np.empty(0, np.int64), np.empty(0), np.empty((0, 0), dtype)
    net = Network(np.zeros((1, 6), np.int64), np.zeros((1, 2)), real, real, real, real, real, real)
    goal = Goal(0, 1.0, 0.0, double, 0.0, 0, False)
    rule = Rule(0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), math.inf, math.inf, real, real)
    rows = Rows(matrix, whole, matrix, double, whole, np.empty(0, np.uint16))
    with announced("the training of dense networks"):
        gemm = real if by_vectors else compiled.gemm_of(dtype)
        train(gemm, net, goal, rule, rows, whole, 0, double, 0, double, whole, matrix)
