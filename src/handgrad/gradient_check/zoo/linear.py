"""Wrong versions of y = x W + b."""

import numpy as np

from .specimens import wrong

SUM = "Every example uses the same weight, so its gradient is a sum over the examples."


@wrong(
    "linear",
    "batch-size-factor",
    "The loss is a mean and has divided by m already; dividing again makes it m times too small.",
)
def dweight_divided_by_batch(dy, c):
    dx, dweight, dbias = c.right
    return dx, dweight / len(c.x), dbias


@wrong(
    "linear", "batch-size-factor", "The bias is summed, like the weight: a mean beside a sum moves them at two speeds."
)
def dbias_averaged(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, dy.mean(axis=0)


@wrong(
    "linear", "not-summed", "y = x W + b adds the same b to every row, so db is Σ dy over the rows (a printed erratum)."
)
def dbias_not_summed(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, dy


@wrong(
    "linear",
    "gradient-missing",
    "A bias that gets no gradient never moves: the network still trains, and only looks limited.",
)
def dbias_forgotten(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, np.zeros_like(c.bias)


@wrong("linear", "wrong-axis", "The sum runs over the examples, axis 0; over axis 1 the units are lost.")
def dbias_over_features(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, dy.sum(axis=1)


@wrong(
    "linear",
    "wrong-shape",
    "keepdims leaves (1, out) for a bias (out,): the update broadcasts, and sooner or later spreads.",
)
def dbias_keeps_dimensions(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, dy.sum(axis=0, keepdims=True)


@wrong(
    "linear", "wrong-axis", "A gradient has the shape of its array; one number for the whole bias is summed too far."
)
def dbias_one_number(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, dy.sum()


@wrong("linear", "transposed", "dW = xᵀ dy has W's shape; dyᵀ x is its transpose.")
def dweight_transposed(dy, c):
    return dy @ c.weight.T, dy.T @ c.x, dy.sum(axis=0)


@wrong("square linear", "transposed", "With as many inputs as outputs no shape complains: dW = xᵀ dy, not dyᵀ x.")
def dweight_transposed_square(dy, c):
    return dy @ c.weight.T, dy.T @ c.x, dy.sum(axis=0)


@wrong("square linear", "transposed", "dx = dy Wᵀ: what went forward through W comes back through its transpose.")
def dx_through_weight(dy, c):
    return dy @ c.weight, c.x.T @ dy, dy.sum(axis=0)


@wrong(
    "square linear",
    "extra-product",
    "Printed as Xᵀ dZ Wᵀ in one course text; the weight has no place in its own gradient.",
)
def dweight_times_weight(dy, c):
    return dy @ c.weight.T, c.x.T @ dy @ c.weight.T, dy.sum(axis=0)


@wrong("linear", "extra-product", "Printed as Xᵀ dZ Wᵀ in one course text; here not even the shape fits.")
def dweight_times_weight_misshapen(dy, c):
    return dy @ c.weight.T, c.x.T @ dy @ c.weight.T, dy.sum(axis=0)


@wrong(
    "linear",
    "upstream-ignored",
    "The chain rule multiplies by dy; a check with dy = 1 never notices that it is missing.",
)
def dweight_ignores_upstream(dy, c):
    return dy @ c.weight.T, c.x.T @ np.ones_like(dy), dy.sum(axis=0)


@wrong("linear", "upstream-ignored", "dx is dy Wᵀ; the row sums of W are right for dy = 1 only.")
def dx_ignores_upstream(dy, c):
    return np.ones_like(dy) @ c.weight.T, c.x.T @ dy, dy.sum(axis=0)


@wrong("linear", "wrong-sign", "The update subtracts the gradient; a minus here makes it climb.")
def dx_negative(dy, c):
    return -dy @ c.weight.T, c.x.T @ dy, dy.sum(axis=0)


@wrong("linear", "swapped-gradients", "Gradients come in the order of the forward's arrays: x, weight, bias.")
def weight_and_bias_swapped(dy, c):
    dx, dweight, dbias = c.right
    return dx, dbias, dweight


@wrong("square linear", "upstream-twice", "dy is multiplied in once: the chain rule is linear in it.")
def dweight_upstream_squared(dy, c):
    return dy @ c.weight.T, c.x.T @ (dy * dy), dy.sum(axis=0)


@wrong("linear", "float32-precision", "A float32 somewhere in the backward leaves seven digits.")
def float32_backward(dy, c):
    return dy @ c.weight.T, (c.x.T.astype(np.float32) @ dy.astype(np.float32)), dy.sum(axis=0)


@wrong("linear", "gradient-missing", "None is no gradient; return zeros where it is zero.")
def dbias_none(dy, c):
    return dy @ c.weight.T, c.x.T @ dy, None


@wrong("linear", "missing-gradient", "A backward answers for every array of its forward.")
def dbias_not_returned(dy, c):
    return dy @ c.weight.T, c.x.T @ dy


@wrong("linear", "extra-gradient", "As many gradients as arrays, in their order.")
def one_gradient_too_many(dy, c):
    return (*c.right, dy)


@wrong("linear", "examples-missing", SUM + " Here only the last one counts: a loop assigns where it should add.")
def dweight_of_last_example(dy, c):
    dweight = np.zeros_like(c.weight)
    for row, upstream in zip(c.x, dy, strict=True):
        dweight = np.outer(row, upstream)
    return dy @ c.weight.T, dweight, dy.sum(axis=0)


@wrong("linear", "examples-missing", SUM + " The loop stops one short.")
def dweight_without_last_example(dy, c):
    return dy @ c.weight.T, c.x[:-1].T @ dy[:-1], dy.sum(axis=0)


@wrong("linear", "partly-missing", "A loop over range(1, out) leaves the first column of W without a gradient.")
def dweight_without_first_column(dy, c):
    dweight = np.zeros_like(c.weight)
    for j in range(1, dy.shape[1]):
        dweight[:, j] = c.x.T @ dy[:, j]
    return dy @ c.weight.T, dweight, dy.sum(axis=0)


@wrong("linear", "penalty-missing", "A weight decay in the gradient that is not in the loss (or the other way round).")
def dweight_with_hidden_decay(dy, c):
    return dy @ c.weight.T, c.x.T @ dy + 0.01 * c.weight, dy.sum(axis=0)


@wrong("linear", "not-finite", "A normalised gradient divides by its own norm; a column of zeros is 0 / 0.")
def dweight_divided_by_zero(dy, c):
    dweight = c.x.T @ dy
    dweight[0] = np.log(dweight[0] * 0)
    return dy @ c.weight.T, dweight, dy.sum(axis=0)


@wrong("square linear", "reshaped", "reshape fills row by row and moves no axis; only transpose exchanges them.")
def dx_reshaped_for_transposed(dy, c):
    dx = dy @ c.weight.T
    return dx.T.reshape(dx.shape), c.x.T @ dy, dy.sum(axis=0)


@wrong("linear", "learning-rate-factor", "The learning rate belongs into the update, not into the gradient.")
def dweight_times_learning_rate(dy, c):
    return dy @ c.weight.T, 0.01 * c.x.T @ dy, dy.sum(axis=0)
