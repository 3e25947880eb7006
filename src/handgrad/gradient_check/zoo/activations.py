"""Wrong versions of activations, softmax and log-softmax."""

import numpy as np

from .specimens import wrong

CHAIN = "dx = dy f'(x): upstream times local derivative."


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@wrong("relu", "derivative-missing", CHAIN + " Without the mask, dead units learn too.")
def relu_without_mask(dy, c):
    return (dy,)


@wrong("relu", "mask-from-upstream", "The mask remembers the sign of x, not of dy.")
def relu_mask_from_upstream(dy, c):
    return (dy * (dy > 0),)


@wrong("relu", "mask-from-upstream", "Masking by x and by dy is guided backpropagation: a picture, not a gradient.")
def relu_guided(dy, c):
    return (dy * (dy > 0) * (c.x > 0),)


@wrong("relu", "upstream-ignored", CHAIN + " The mask alone is right for dy = 1 only.")
def relu_mask_alone(dy, c):
    return ((c.x > 0).astype(float) + 0 * dy,)


@wrong("relu", "wrong-mask", "ReLU passes what is positive.")
def relu_mask_reversed(dy, c):
    return (dy * (c.x < 0),)


@wrong("relu", "value-for-derivative", "The derivative of max(0, x) is 0 or 1; max(0, x) is its value.")
def relu_value(dy, c):
    return (dy * c.y,)


@wrong("relu", "input-modified", "dy belongs to the caller: another branch of the network may still need it.")
def relu_zeroes_upstream_in_place(dy, c):
    dy[c.x <= 0] = 0
    return (dy,)


@wrong("leaky relu", "one-branch", "The slope alpha of the negative side is forgotten.")
def leaky_without_slope(dy, c):
    return (dy * (c.x > 0),)


@wrong("leaky relu", "keyword-ignored", "alpha is a number of the forward: the backward must not have its own.")
def leaky_default_slope(dy, c):
    return (dy * np.where(c.x > 0, 1, 0.01),)


@wrong("leaky relu", "derivative-missing", CHAIN)
def leaky_identity(dy, c):
    return (dy,)


@wrong("elu", "one-branch", "Below zero the derivative is alpha exp(x), which falls; alpha alone is its value at 0.")
def elu_constant_slope(dy, c):
    return (dy * np.where(c.x > 0, 1, c.alpha),)


@wrong("elu", "one-branch", "In terms of the output the derivative is y + alpha, not y.")
def elu_output_without_alpha(dy, c):
    return (dy * np.where(c.x > 0, 1, c.y),)


@wrong("sigmoid", "derivative-missing", CHAIN)
def sigmoid_identity(dy, c):
    return (dy,)


@wrong("sigmoid", "derivative-twice", "σ' = y (1 - y) goes in once; a loss on logits has put it in already.")
def sigmoid_twice(dy, c):
    return (dy * (c.y * (1 - c.y)) ** 2,)


@wrong("sigmoid", "derivative-at-output", "σ'(x) = σ(x)(1 - σ(x)); the function must not be applied to its own output.")
def sigmoid_of_output(dy, c):
    again = sigmoid(c.y)
    return (dy * again * (1 - again),)


@wrong("sigmoid", "derivative-at-input", "y (1 - y) is written for the output y; the cache held the input x.")
def sigmoid_formula_on_input(dy, c):
    return (dy * c.x * (1 - c.x),)


@wrong("sigmoid", "formula-slip", "σ' = y (1 - y), with a minus.")
def sigmoid_plus(dy, c):
    return (dy * c.y * (1 + c.y),)


@wrong("sigmoid", "value-for-derivative", "The cache holds y; the derivative is y (1 - y).")
def sigmoid_value(dy, c):
    return (dy * c.y,)


@wrong("sigmoid", "formula-slip", "σ' = y (1 - y): one of the factors is lost.")
def sigmoid_half(dy, c):
    return (dy * (1 - c.y),)


@wrong("sigmoid", "upstream-ignored", CHAIN)
def sigmoid_ignores_upstream(dy, c):
    return (c.y * (1 - c.y) + 0 * dy,)


@wrong("tanh", "derivative-at-input", "1 - y² is written for the output y; the cache held the input x.")
def tanh_formula_on_input(dy, c):
    return (dy * (1 - c.x**2),)


@wrong("tanh", "formula-slip", "tanh' = 1 - y², with a minus.")
def tanh_plus(dy, c):
    return (dy * (1 + c.y**2),)


@wrong("tanh", "formula-slip", "tanh' = 1 - y²: the square is lost.")
def tanh_without_square(dy, c):
    return (dy * (1 - c.y),)


@wrong("tanh", "derivative-at-output", "tanh' = 1 - tanh(x)²; the cache held y already, and tanh was applied again.")
def tanh_of_output(dy, c):
    return (dy * (1 - np.tanh(c.y) ** 2),)


@wrong("tanh", "wrong-sign", "d/dx (1 - y²)... the derivative of tanh is positive.")
def tanh_negative(dy, c):
    return (dy * (c.y**2 - 1),)


@wrong(
    "tanh", "derivative-inverted", "Multiply by f'(x) on the way back; dividing by it is the inverse function's rule."
)
def tanh_divided(dy, c):
    return (dy / (1 - c.y**2),)


@wrong("arctan", "derivative-at-output", "arctan' = 1 / (1 + x²), with the input x, not the output.")
def arctan_of_output(dy, c):
    return (dy / (1 + c.y**2),)


@wrong("arctan", "formula-slip", "arctan' = 1 / (1 + x²), with a plus.")
def arctan_minus(dy, c):
    return (dy / (1 - c.x**2),)


@wrong("arctan", "formula-slip", "arctan' = 1 / (1 + x²), without a root: that one is arsinh's.")
def arctan_root(dy, c):
    return (dy / np.sqrt(1 + c.x**2),)


@wrong("softplus", "value-for-derivative", "softplus' is the sigmoid of x; the value y was returned.")
def softplus_value(dy, c):
    return (dy * c.y,)


@wrong("softplus", "formula-slip", "log(1 + eˣ)' = eˣ / (1 + eˣ): the inner derivative alone is not enough.")
def softplus_inner_only(dy, c):
    return (dy * np.exp(c.x),)


@wrong("silu", "term-missing", "The product x σ(x) has two terms in its derivative: σ + x σ (1 - σ).")
def silu_first_term(dy, c):
    return (dy * sigmoid(c.x),)


@wrong("silu", "term-missing", "The product x σ(x) has two terms in its derivative: σ + x σ (1 - σ).")
def silu_second_term(dy, c):
    s = sigmoid(c.x)
    return (dy * c.x * s * (1 - s),)


@wrong("gelu", "term-missing", "The product x Φ(x) has two terms in its derivative: Φ + x φ.")
def gelu_first_term(dy, c):
    return (dy * c.y / c.x,)


@wrong("softmax", "cross-terms-missing", "Raising one logit lowers every other probability: σ_i (δ_ij - σ_j).")
def softmax_diagonal(dy, c):
    return (dy * c.y * (1 - c.y),)


@wrong("softmax", "cross-terms-missing", "The Jacobian is σ_i (δ_ij - σ_j); y dy is its δ part alone.")
def softmax_first_term(dy, c):
    return (dy * c.y,)


@wrong("softmax", "cross-terms-missing", "One printed Jacobian has σ_i (1 - σ_j) everywhere; the 1 is δ_ij.")
def softmax_without_delta(dy, c):
    return (c.y * ((1 - c.y) * dy).sum(axis=-1, keepdims=True),)


@wrong("softmax", "cross-terms-missing", "Σ y dy is subtracted: probabilities compete.")
def softmax_sum_added(dy, c):
    return (c.y * (dy + (c.y * dy).sum(axis=-1, keepdims=True)),)


@wrong("softmax", "wrong-axis", "The probabilities of one example compete with each other, not with other examples.")
def softmax_over_batch(dy, c):
    return (c.y * (dy - (c.y * dy).sum(axis=0)),)


@wrong(
    "softmax",
    "derivative-twice",
    "A fused loss (p - t) contains the softmax Jacobian; applying it again descends another loss.",
)
def softmax_twice(dy, c):
    def product(d):
        return c.y * (d - (c.y * d).sum(axis=-1, keepdims=True))

    return (product(product(dy)),)


@wrong("softmax", "derivative-missing", CHAIN)
def softmax_identity(dy, c):
    return (dy,)


@wrong("log softmax", "derivative-missing", CHAIN)
def log_softmax_identity(dy, c):
    return (dy,)


@wrong("log softmax", "cross-terms-missing", "dx = dy - p Σ dy: each output depends on every logit through the sum.")
def log_softmax_diagonal(dy, c):
    return (dy * (1 - np.exp(c.y)),)


@wrong("log softmax", "value-for-derivative", "dx = dy - p Σ dy with p = exp(y); the logarithm y itself was used.")
def log_softmax_with_logarithms(dy, c):
    return (dy - c.y * dy.sum(axis=-1, keepdims=True),)
